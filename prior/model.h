// A trained prior: immutable weights on the exact runtime, read from a safetensors file whose metadata holds the config.
// docs/PRIOR.md describes the network and the names of its tensors.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "prior/config.h"
#include "runtime/linear.h"
#include "runtime/safetensors.h"

namespace vqcodec::prior {

// The arithmetic of the probabilities, as a file's header names it: two programs of the same number get the same counts
// from the same prior and the same codes. To be raised with every change of docs/PRIOR.md, "What the numerics id covers".
inline constexpr uint32_t kNumericsId = 1;

// The config in a prior's file. Throws Error(kModel) when the file is no prior, Error(kBadFile) when its config is not valid.
Config config_of(const runtime::Safetensors& file);

class Model {
 public:
  // Throws Error(kModel) when the file is missing, is no prior, lacks a tensor, or has one of another shape or dtype,
  // one that is not known, or one with NaN or infinity; Error(kBadFile) when it is damaged or its config is not valid;
  // Error(kIo) when it cannot be read.
  static std::shared_ptr<const Model> load(const std::string& path);
  static std::shared_ptr<const Model> from_file(runtime::Safetensors file);

  const Config& config() const { return config_; }
  // SHA-256 of the prior's file.
  const std::array<uint8_t, 32>& id() const { return id_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  // For network.cc. Shapes in the order of the config's names; Linear(in, out).
  struct Layer {
    std::vector<float> norm1_weight, norm1_bias, norm2_weight, norm2_bias;  // [width]
    runtime::Linear qkv;                                                    // (width, 3 width)
    runtime::Linear proj;                                                   // (width, width)
    runtime::Linear fc1, fc2;                                               // (width, hidden), (hidden, width)
  };
  struct CodeHead {
    runtime::Linear from_frame;  // (width, frame_width), with fc1's bias: its columns for z
    runtime::Linear from_codes;  // (D, frame_width): its columns for the sum of the codes before
    runtime::Linear fc2;         // (frame_width, D)
  };
  struct Weights {
    std::vector<float> embedding;          // [S, H, K, D]
    std::vector<runtime::Linear> logits;   // [S * H], each (D, K) with the code's bias
    std::vector<float> start, source;      // [S, width]
    std::vector<float> quality;            // [H, width]
    runtime::Linear input;                 // (H * D, width), no bias
    std::vector<runtime::Linear> context;  // [S], each (lookahead * D, width) with context_present as bias
    std::vector<Layer> layers;
    std::vector<float> norm_weight, norm_bias;  // [width]
    std::vector<CodeHead> codes;                // [H]
  };
  const Weights& weights() const { return weights_; }
  // [D]
  const float* embedding(int source, int codebook, int code) const {
    const int64_t row = (int64_t{source} * config_.num_codebooks + codebook) * config_.codebook_size + code;
    return weights_.embedding.data() + row * config_.embedding_dim;
  }

  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

 private:
  Model() = default;
  Config config_;
  std::array<uint8_t, 32> id_{};
  std::map<std::string, std::string> metadata_;
  Weights weights_;
};

}  // namespace vqcodec::prior
