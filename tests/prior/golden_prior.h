// The prior of the golden files tests/data/golden/prior*.vqc, and what they hold.
#pragma once

#include <string>
#include <vector>

#include "codec/code_grid.h"
#include "prior/config.h"
#include "prior/random_prior.h"
#include "runtime/sha256.h"
#include "tests/vqvae/tiny_model.h"

namespace vqcodec::prior {

constexpr uint64_t kGoldenPriorSeed = 11;

// For codes of tiny models, without the id of one.
inline Config golden_sizes() {
  Config config;
  config.num_codebooks = 3;
  config.codebook_size = 32;
  config.embedding_dim = 8;
  config.width = 16;
  config.num_heads = 2;
  config.num_layers = 2;
  config.mlp_ratio = 2;
  config.window_frames = 9;
  config.frame_width = 12;
  config.lookahead_frames = 3;
  return config;
}

// For codes of the tiny model of seed 1.
inline Config golden_config() {
  Config config = golden_sizes();
  config.model_id = runtime::to_hex(runtime::sha256(vqvae::make_model(vqvae::tiny_config(), 1).bytes()));
  return config;
}

// As vqcodec encode has it for the tiny model, but for short segments.
inline codec::StreamInfo golden_info() {
  const vqvae::ModelConfig model = vqvae::tiny_config();
  codec::StreamInfo info;
  info.sample_rate_hz = static_cast<uint32_t>(model.sample_rate_hz);
  info.num_channels = 2;
  info.hop_samples = static_cast<uint32_t>(model.hop_samples);
  info.sources = model.sources;
  info.num_codebooks = static_cast<uint32_t>(model.num_codebooks);
  info.codebook_size = static_cast<uint32_t>(model.codebook_size);
  info.segment_frames = 64;
  info.model_id = runtime::sha256(vqvae::make_model(model, 1).bytes());
  return info;
}

struct GoldenFile {
  const char* name;
  uint32_t num_codebooks;
  std::vector<uint32_t> order;
};
inline const GoldenFile kGoldenFiles[] = {{"prior", 3, {}}, {"prior_joint", 3, {2, 1, 3, 0}}, {"prior_low", 2, {}}};

}  // namespace vqcodec::prior
