// New lines for a source of a song: codes drawn from a prior that listens to the song's other sources.
//
// The same seed gives the same codes on every machine, whatever path, threads and batches: logits come from the exact
// runtime, draws from a counter-based generator by (seed, line, candidate, try, frame, codebook), and what is computed
// from logits is in generate/sampler.h.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "codec/code_grid.h"
#include "generate/sampler.h"
#include "generate/tones.h"
#include "prior/model.h"
#include "runtime/thread_pool.h"

namespace vqcodec::generate {

inline constexpr int kMaxLines = 256;
inline constexpr int kMaxCandidates = 64;
inline constexpr int kMaxTries = 16;
inline constexpr double kMaxToneStrength = 100;

// A song as codes, as codec::VqcReader or vqvae::Encoder give it.
struct Song {
  codec::StreamInfo info;  // num_frames is not looked at
  // [segment][source of info.sources]: all of a segment as long as each other, info.segment_frames but in the last.
  std::vector<std::vector<codec::SourceSegment>> segments;

  int64_t num_frames() const;
};

// A song of `num_frames` frames in which every source is silent.
Song silent_song(const codec::StreamInfo& info, int64_t num_frames);

// Frames that are to be written anew, [from, to); what the line has before and after them is kept, and given to the
// prior.
struct Passage {
  int64_t from_frame = 0, to_frame = 0;
};

// A line that grows stretch by stretch: each is given a pitch, and of each several are drawn side by side, and all go
// on from the one that a judge likes best. Sequential Monte Carlo with as many particles, of which the best takes all.
struct Steering {
  // Frames at which stretches end, ascending; what is outside of the passage is left aside.
  std::vector<int64_t> ends{};

  // Codes that go on with a tone of the stretch's pitch get credit (tones.h); null = none do.
  std::shared_ptr<const Tones> tones{};
  double tone_strength = 0;  // nats, 0..kMaxToneStrength; 0 = none do
  // Which of the pitches of `tones` the frames [from, to) are to have, or -1 for none in particular. previous: that of
  // the frames before; attempt: number of the try; random: 64 random bits of its own.
  std::function<int(int64_t from, int64_t to, int previous, int attempt, uint64_t random)> choose_pitch{};

  int num_tries = 1;  // 1..kMaxTries; 1 = none is chosen
  // How good the frames [from, to) are; more is better, of equal ones the first stays. codes: [.., num_codebooks] of
  // the frames [first_frame, to). Called from several threads at once. The line is as much the same everywhere as this
  // is.
  std::function<double(std::span<const uint16_t> codes, int64_t first_frame, int64_t from, int64_t to)> judge{};
};

struct LineOptions {
  SamplingOptions sampling{};
  // 0..kMaxGuidance: 1 = none; more, and the song counts for more than the prior says; 0 = it is not heard.
  double guidance = 1.5;
  double repetition_penalty = 1;  // nats a second of repetition (sampler.h), 0 = none
  uint64_t seed = 1;
  int num_lines = 1;  // variations, 1..kMaxLines; line i is the same whatever their number
  // 1..kMaxCandidates; where codes are kept after the passage, each line is the best of so many.
  int num_candidates = 8;
  Steering steering{};
  std::vector<double> temperatures{};  // of every codebook, in place of sampling.temperature; empty = that for all
  std::vector<int> listen_to{};        // sources (indices into info.sources) that the prior hears; empty = all others
  int max_rows = 64;                   // of the prior's batch; does not change the codes
  std::function<void(double share)> on_progress{};
};

// Throws Error(kUsage) that names an option outside its limits.
void check(const LineOptions& options);

struct Line {
  std::vector<codec::SourceSegment> segments;  // of the whole song
  // By the prior, hearing the context, without guidance and temperature.
  double new_bits_per_code = 0;   // of the codes drawn
  double kept_bits_per_code = 0;  // of the codes kept after the passage, as far as they were looked at; 0 if none
  int candidate = 0;              // which of the candidates it was
};

struct Lines {
  std::vector<Line> lines;
  Passage passage;           // as it was written: see below
  int num_candidates = 1;    // of each line
  std::vector<int> context;  // sources that the prior heard
};

// Draws lines for `source`, an index into song.info.sources.
//
// Past: up to two windows of the prior's attention before the passage, but nothing before a silent segment of the
// line. After: a second of kept codes. No network sees them when it draws, so candidates are drawn side by side, each
// goes on through the kept codes, and the one under which these are likeliest stays (importance re-ranking: of samples
// of the past, weighed by how likely they make the future, the heaviest).
//
// Codes of a silent segment are no codes: a passage that begins or ends in a segment in which the line was silent is
// widened to that segment's begin or end. Sources are not heard where they are silent.
//
// Level (one a segment and source): the line's own where it sounds (above -60 dB) or where codes of the segment are
// kept; else that of the other sources together, plus what the line's own has beside theirs elsewhere in the song (the
// median), or if it is nowhere, usual_level_steps(); where the other sources are silent too, the line is. Files whose
// levels are all 0 dB keep that. Where nothing in the song sounds and it is told to make a line all the same
// (silent_song()), the level is `plain_gain`.
//
// Throws Error(kModel) when the prior is for codes of another model, Error(kBadFile) when `song.info` contradicts that
// model, Error(kUsage) for options outside their limits, a passage that is empty or outside the song or longer than
// what the prior can take at once, and where everything but the line is silent in the passage and the line too (unless
// plain_gain > 0).
Lines make_lines(const std::shared_ptr<const prior::Model>& model, const Song& song, int source, const Passage& passage,
                 const LineOptions& options, int plain_gain, runtime::ThreadPool& pool);

// Level of a line beside the other sources together, where a song tells none, in steps of 1.5 dB.
int usual_level_steps(const std::string& source);

}  // namespace vqcodec::generate
