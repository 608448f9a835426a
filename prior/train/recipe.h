// How a prior is trained: configs/prior.json. No LibTorch here.
#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "prior/config.h"
#include "prior/train/code_set.h"

namespace vqcodec::prior::train {

struct TrainConfig {
  uint64_t seed = 1;
  int64_t steps = 4000;
  int batch_size = 8;     // stretches of each source a step, 1..1024
  int crop_frames = 256;  // frames a stretch, 8..65536; all of one segment, whose position 0 its first frame takes
  double learning_rate = 2e-3;              // AdamW, peak
  double final_learning_rate_ratio = 0.05;  // at the end / peak (cosine); 1 = constant
  int warmup_steps = 50;                    // linear
  double weight_decay = 0.05;               // of matrices, but for tables
  double gradient_clip = 1;                 // largest norm of the gradient; 0 = off
  double dropout = 0;                       // of the Transformer's input and of what its layers add
  double quality_dropout = 0.25;     // probability that stretches keep only the first h codebooks, h uniform in 1..H
  double context_probability = 0.5;  // that stretches see other sources,
  double context_source_probability = 0.5;  // each with this probability
  int64_t log_every = 20;
  int64_t validate_every = 500;
  int64_t checkpoint_every = 200;
};

struct Recipe {
  std::string name;      // of the file, without folder and extension
  nlohmann::json prior;  // sizes of the network, keys of prior/config.h; the codes say the rest
  TrainConfig training;
};

// Throws Error(kIo) or Error(kBadFile).
Recipe load_recipe(const std::string& path);
Recipe parse_recipe(const nlohmann::json& json, const std::string& name, const std::string& where);
nlohmann::json to_json(const Recipe& recipe);

// The network of a recipe for these codes. Throws Error(kBadFile) for sizes outside their limits.
Config config_for(const Recipe& recipe, const CodeSetInfo& codes);

}  // namespace vqcodec::prior::train
