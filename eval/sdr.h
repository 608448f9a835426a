// Separation measures of a track: BSSEval v4 (bss_eval.h) and plain energy ratios, of any estimates and of the trivial ones
// that they have to beat; and their medians over windows and tracks.
//
// All signals are interleaved stereo float32 [2 * num_frames], full scale 1. Values in dB.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "eval/json_output.h"
#include "eval/tracks.h"
#include "runtime/thread_pool.h"

namespace vqcodec::eval {

// The whole-track SDR of the Music Demixing Challenges of 2021 and 2023 (Mitsufuji et al. 2022): 10 log10 of
// (|reference|^2 + 1e-7) / (|reference - estimate|^2 + 1e-7), over all samples of both channels. Equal lengths.
double whole_sdr_db(std::span<const float> reference, std::span<const float> estimate);

// What the mixture gives to each source by ideal ratio masks: |S_j| / sum over k of |S_k| of each channel's short-time
// spectra (Hann window of 2048, hop of 512), times the mixture's, and back by overlap-add. Where no source has anything
// the mask is 0. A source that is empty gets nothing and stays empty. The result does not depend on the threads.
std::vector<std::vector<float>> ideal_ratio_masks(std::span<const float> mixture,
                                                  const std::vector<std::vector<float>>& sources,
                                                  runtime::ThreadPool& pool);

// One way to estimate all sources.
struct Estimates {
  std::vector<std::vector<float>> storage;
  std::vector<std::span<const float>> signals;  // one a source, into `storage` or elsewhere; empty = there is none
  std::vector<std::string> remarks{};           // go to left_out
};
// Of signals of their own.
Estimates make_estimates(std::vector<std::vector<float>> signals);

struct SdrRow {
  std::string id;                       // such as "estimate"; its key in JSON
  std::function<Estimates()> estimate;  // called once, when its turn comes: memory holds one row at a time
};

// Rows that need no estimates of anybody: "mixture" (as the estimate of each source), "silence", "ideal_ratio_mask".
// `track` must outlive them.
std::vector<SdrRow> trivial_rows(const Track& track, runtime::ThreadPool& pool);

struct SdrOptions {
  bool bss = true;                            // without: SI-SDR and plain ratios only, which takes seconds
  bool skip_silent_sources = false;           // a source that is silent throughout counts as not there
  std::function<void(double)> on_progress{};  // share of the track done
};

// Everything about one track:
//   {track, sample_rate_hz, num_frames, num_windows, rows: {<id>: {sources: {<source>: SCORES}, mixture: SCORES}}, left_out}
// where SCORES has per window of 1 s lists "sdr", "isr", "sir", "sar" (BSSEval v4, where it is defined) and "windowed_sdr"
// (plain, of windows whose reference has at least -50 dBFS), and numbers "si_sdr" and "whole_sdr". "mixture", in rows that
// estimate every source there is and are not trivial, is the sum of the estimates against the mixture, without BSSEval.
// NaN is null, and an
// infinity "inf" or "-inf".
//
// As museval does: windows with a silent reference or estimate are NaN for all sources, and a track with a source that is
// silent throughout has no BSSEval at all. `left_out` ([{track, source?, window?, why}]) says what is missing for which
// reason. Sources without a stem take no part. A track in which all signals have two equal channels is taken as mono.
// Estimates of another length than the track are cut, or padded with silence, as museval does.
Json score_track(const Track& track, const std::vector<std::string>& sources, const std::vector<SdrRow>& rows,
                 const SdrOptions& options, runtime::ThreadPool& pool);

// museval's JSON of a track (its TrackStore.json, the same to the byte but for rounding): frames of 1 s with SDR, SIR, SAR
// and ISR, rounded to 5 decimals, NaN for NaN and for infinities. Empty if the row has no BSSEval.
std::string museval_json(const Json& scored_track, const std::vector<std::string>& sources, const std::string& row);

// Medians over windows, then over tracks, of tracks as score_track() gives them:
//   {rows: [{id, sources: {<source>: {<metric>, num_tracks: {<metric>}}}, average: {<metric>}, mixture: {<metric>}}],
//    tracks: [{track, seconds, num_windows, rows: {<id>: {sources: {<source>: {<metric>, num_windows}}, mixture}}}], left_out}
// Metrics: sdr, isr, sir, sar, si_sdr, whole_sdr, windowed_sdr, and over tracks whole_sdr_mean, which the challenges rank
// by. Numbers that are not there are null and take no part in medians; "average" is the mean over the sources, and null
// where a source has no number.
Json summarize(const std::vector<Json>& scored_tracks, const std::vector<std::string>& sources);

// Published results to stand beside: [{name, data, sources: {<source>}, average}], BSSEval v4 SDR.
Json published_rows();

// The summary as tables for people, one a metric; `name` stands for the row "estimate".
std::string sdr_tables(const Json& summary, const std::vector<std::string>& sources, const std::string& name);

}  // namespace vqcodec::eval
