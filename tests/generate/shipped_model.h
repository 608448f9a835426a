// The default model, and what codes of its bass sound like, for tests of what lines are made of.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "codec/code_grid.h"
#include "runtime/thread_pool.h"
#include "vqvae/decoder.h"
#include "vqvae/model.h"

namespace vqcodec::generate {

inline constexpr int kBassSlot = 1;

inline std::shared_ptr<const vqvae::Model> shipped() {
  static const auto model =
      vqvae::Model::load(std::string(std::getenv("VQCODEC_SOURCE_DIR")) + "/models/default.safetensors");
  return model;
}

// Mono, without noise; codes: [frames, num_codebooks].
inline std::vector<float> decode_bass(const std::vector<uint16_t>& codes, int num_codebooks) {
  std::vector<float> mono;
  runtime::ThreadPool pool(1);
  vqvae::Decoder decoder(shipped(), {.sources = {kBassSlot}, .num_codebooks = num_codebooks, .fill_noise = false}, pool,
                         [&](int, std::span<const float> block) {
                           for (size_t i = 0; i < block.size(); i += 2) mono.push_back((block[i] + block[i + 1]) / 2);
                         });
  const codec::SourceSegment segment{vqvae::kUnitGain, codes};
  decoder.push(std::span(&segment, 1));
  decoder.finish();
  return mono;
}

}  // namespace vqcodec::generate
