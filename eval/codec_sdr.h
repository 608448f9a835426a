// Plain SDR of what comes back from the codes alone: the song's mixture is encoded, every source is decoded from its own
// codes, and each is compared with its stem.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataset/stems.h"
#include "runtime/thread_pool.h"
#include "vqvae/model.h"

namespace vqcodec::eval {

// 10 log10 of the energy of the reference over that of the difference, a value for each window of `window_samples`
// samples per channel (a shorter last one is left out), NaN where the reference's root mean square is under -50 dBFS.
// reference, estimate: interleaved stereo of the same length.
std::vector<double> windowed_sdr(std::span<const float> reference, std::span<const float> estimate,
                                 int64_t window_samples);

// Median of the values that are not NaN; NaN if there is none.
double median_of_numbers(std::vector<double> values);

struct SongSdr {
  std::string song;
  std::vector<double> source_db;    // per source of the model, median over windows of 1 s in which it sounds
  std::vector<int> source_windows;  // how many windows that is
  double mixture_db = 0;            // of the sum of all decoded sources
  double average_db = 0;            // over the sources that sound
};

struct CodecSdrOptions {
  int num_codebooks = 0;                      // 0 = all
  double max_seconds = 0;                     // 0 = the whole song
  std::function<void(double)> on_progress{};  // share of the song done
};

SongSdr codec_sdr(const std::shared_ptr<const vqvae::Model>& model, const dataset::Song& song,
                  const CodecSdrOptions& options, runtime::ThreadPool& pool);

}  // namespace vqcodec::eval
