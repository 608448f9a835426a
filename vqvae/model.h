// A trained model as the codec uses it: immutable weights on the exact runtime, read from a safetensors file whose
// metadata holds the config.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/nearest.h"
#include "vqvae/config.h"
#include "vqvae/stack.h"
#include "vqvae/unet.h"

namespace vqcodec::vqvae {

// Of a model's file. Throws Error(kModel) when it is no model that this version reads, Error(kBadFile) when a value of the
// config is not allowed.
ModelConfig config_of(const runtime::Safetensors& file);

// The tensor "codebooks" of a model's file as [S, H, m, D]. With envelope_codebook it holds the other codebooks without the
// envelope's dimensions, [S, H - 1, m, D - E], and "envelope_entries", [S, m, E], the rest of what is not zero.
// Throws Error(kModel) as Safetensors::floats.
std::vector<float> read_codebooks(runtime::Safetensors& file, const ModelConfig& config);

class Model {
 public:
  // Throws Error(kModel) when the file is missing or is not a model that this version reads.
  static std::shared_ptr<const Model> load(const std::string& path);
  static std::shared_ptr<const Model> from_file(runtime::Safetensors file);

  const ModelConfig& config() const { return config_; }
  // SHA-256 of the model's file.
  const std::array<uint8_t, 32>& id() const { return id_; }
  // name, licence, training facts as text; never empty for exported models.
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

  // For encoder.cc and decoder.cc.
  struct SourceWeights {
    runtime::Linear analysis_basis;            // 2N -> code_dim; empty without a linear path
    runtime::Linear synthesis_basis;           // quantizer_out -> 2N
    runtime::Linear envelope_basis;            // levels of 2 * noise bands -> code_dim; empty without
    runtime::Linear noise_basis;               // quantizer_out -> 2 * noise bands; empty without
    std::vector<runtime::Codebook> codebooks;  // [H] (residual)
    std::vector<std::vector<float>> entries;   // [H][m * D]
  };
  const Stack& encoder() const { return *encoder_; }  // without config().unet
  const UNet& unet() const { return *unet_; }
  const Stack& analysis() const { return *analysis_; }  // masks only
  const Stack& synthesis() const { return *synthesis_; }
  const Stack& noise() const { return *noise_; }  // only with config().noise
  const SourceWeights& source(size_t i) const { return sources_[i]; }

  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

 private:
  Model() = default;
  ModelConfig config_;
  std::array<uint8_t, 32> id_{};
  std::map<std::string, std::string> metadata_;
  std::optional<UNet> unet_;
  std::optional<Stack> encoder_, analysis_, synthesis_, noise_;
  std::vector<SourceWeights> sources_;
};

}  // namespace vqcodec::vqvae
