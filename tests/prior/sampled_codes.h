// Codes drawn from a prior's own probabilities, which that prior therefore codes best: with random weights no others are.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "codec/cdf.h"
#include "codec/code_grid.h"
#include "codec/stream_coder.h"
#include "prior/coder.h"
#include "prior/random_prior.h"

namespace vqcodec::prior {

// [segment][source] of num_frames frames in all, as a file of `info` has them. With `order` each source is drawn given
// those before it. Gains are 20 and more.
inline std::vector<std::vector<codec::SourceSegment>> sample_segments(codec::CodePredictor& coder,
                                                                      const codec::StreamInfo& info,
                                                                      uint64_t num_frames,
                                                                      const std::vector<uint32_t>& order,
                                                                      uint64_t seed) {
  const auto num_sources = static_cast<uint32_t>(info.sources.size());
  std::vector<std::vector<codec::SourceSegment>> segments;
  for (uint64_t begin = 0; begin < num_frames; begin += info.segment_frames) {
    const uint64_t frames = std::min<uint64_t>(info.segment_frames, num_frames - begin);
    std::vector<codec::SourceSegment> sources;
    for (uint32_t s = 0; s < num_sources; ++s) {
      sources.push_back({static_cast<uint16_t>(20 + s), std::vector<uint16_t>(frames * info.num_codebooks)});
    }
    segments.push_back(std::move(sources));
  }
  std::vector<std::vector<uint32_t>> waves;
  if (order.empty()) {
    waves.emplace_back();
    for (uint32_t s = 0; s < num_sources; ++s) waves[0].push_back(s);
  }
  for (const uint32_t s : order) waves.push_back({s});
  std::vector<uint32_t> done;
  for (const auto& wave : waves) {
    std::vector<codec::CodePredictor::Sequence> sequences;
    std::vector<SplitMix64> random;
    std::vector<std::vector<uint16_t>*> codes;
    for (auto& segment : segments) {
      for (const uint32_t s : wave) {
        codes.push_back(&segment[s].codes);
        sequences.push_back({s, static_cast<uint32_t>(codes.back()->size() / info.num_codebooks), {}});
        if (!order.empty())
          for (const uint32_t other : done) sequences.back().given.push_back({other, segment[other].codes});
        random.emplace_back(seed + 1000 * codes.size() + s);
      }
    }
    coder.generate(sequences, [&](size_t i, size_t place, std::span<const float> weights) -> std::optional<uint16_t> {
      const uint32_t target = random[i].below(1U << codec::kPriorTotalBits);
      const auto code = static_cast<uint16_t>(codec::symbol_at(weights, codec::kPriorTotalBits, target)->symbol);
      (*codes[i])[place] = code;
      return code;
    });
    done.insert(done.end(), wave.begin(), wave.end());
    std::sort(done.begin(), done.end());
  }
  return segments;
}

}  // namespace vqcodec::prior
