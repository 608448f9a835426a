// A small prior and random codes, without GoogleTest: the same on every machine.
#pragma once

#include <memory>
#include <vector>

#include "prior/model.h"
#include "prior/random_prior.h"

namespace vqcodec::prior {

inline Config small_config() {
  Config config;
  config.sources = {"bass", "drums", "other"};
  config.num_codebooks = 3;
  config.codebook_size = 21;
  config.embedding_dim = 10;
  config.width = 24;
  config.num_heads = 2;
  config.num_layers = 2;
  config.mlp_ratio = 2;
  config.window_frames = 9;
  config.frame_width = 14;
  config.lookahead_frames = 3;
  config.model_id.assign(64, 'a');
  return config;
}

inline std::shared_ptr<const Model> load_prior(const std::vector<std::byte>& bytes) {
  return Model::from_file(runtime::Safetensors::open_memory(bytes, "prior.safetensors"));
}

inline std::shared_ptr<const Model> random_prior(const Config& config, uint64_t seed = 1, bool half = true) {
  return load_prior(make_random_prior(config, seed, half).bytes());
}

inline std::vector<uint16_t> random_codes(const Config& config, int64_t num_frames, int num_codebooks, uint64_t seed) {
  SplitMix64 random(seed);
  std::vector<uint16_t> codes(static_cast<size_t>(num_frames * num_codebooks));
  for (uint16_t& code : codes) code = static_cast<uint16_t>(random.below(static_cast<uint32_t>(config.codebook_size)));
  return codes;
}

}  // namespace vqcodec::prior
