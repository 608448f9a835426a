// Songs of random codes, and lines for them that every machine must draw; without GoogleTest.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "generate/line.h"
#include "runtime/sha256.h"
#include "tests/prior/small_prior.h"

namespace vqcodec::generate {

inline constexpr int64_t kSegmentFrames = 40;
inline constexpr int kBass = 0, kDrums = 1, kOther = 2;

inline codec::StreamInfo make_info() {
  const prior::Config config = prior::small_config();
  codec::StreamInfo info;
  info.sample_rate_hz = 10240;
  info.num_channels = 2;
  info.hop_samples = 1024;  // ten frames a second
  info.sources = config.sources;
  info.num_codebooks = 3;
  info.codebook_size = static_cast<uint32_t>(config.codebook_size);
  info.segment_frames = kSegmentFrames;
  info.model_id.fill(0xaa);
  return info;
}

// gains[segment][source]; the last segment is half as long.
inline Song make_song(const std::vector<std::vector<int>>& gains) {
  Song song{make_info(), {}};
  for (size_t k = 0; k < gains.size(); ++k) {
    std::vector<codec::SourceSegment> segment;
    const int64_t frames = k + 1 == gains.size() ? kSegmentFrames / 2 : kSegmentFrames;
    for (size_t s = 0; s < 3; ++s) {
      std::vector<uint16_t> codes(static_cast<size_t>(frames * 3));
      if (gains[k][s] > 0) codes = prior::random_codes(prior::small_config(), frames, 3, 100 * k + s);
      segment.push_back({static_cast<uint16_t>(gains[k][s]), codes});
    }
    song.segments.push_back(segment);
  }
  return song;
}

inline Song sounding_song() { return make_song({{40, 50, 55}, {41, 51, 55}, {42, 52, 55}, {43, 53, 55}}); }

inline std::string digest(const Lines& lines) {
  std::vector<uint16_t> all;
  for (const Line& line : lines.lines) {
    for (const codec::SourceSegment& segment : line.segments) {
      all.push_back(segment.gain);
      all.insert(all.end(), segment.codes.begin(), segment.codes.end());
    }
  }
  return runtime::to_hex(runtime::sha256(std::as_bytes(std::span(all))));
}

// Of three whole lines and three passages, with every step of sampling in use.
inline std::string golden_lines_digest() {
  const Song song = sounding_song();
  const LineOptions options{.sampling = {.temperature = 0.9, .top_k = 15, .top_p = 0.95},
                            .guidance = 2,
                            .seed = 5,
                            .num_lines = 3,
                            .num_candidates = 3};
  runtime::ThreadPool pool(1);
  std::string both;
  for (const Passage passage : {Passage{0, song.num_frames()}, Passage{50, 90}})
    both += digest(make_lines(prior::random_prior(prior::small_config()), song, kBass, passage, options, 0, pool));
  return runtime::to_hex(runtime::sha256(std::as_bytes(std::span(both))));
}
inline constexpr const char* kGoldenLines = "3043b10c1380e833156d8ba62484e404e1195e9f00bc7e33c001b2ffc53857b4";

}  // namespace vqcodec::generate
