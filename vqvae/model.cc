#include "vqvae/model.h"

#include <algorithm>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "runtime/safetensors.h"

namespace vqcodec::vqvae {

ModelConfig config_of(const runtime::Safetensors& file) {
  file.check_format(kFormatName);
  try {
    return parse_model_config(nlohmann::json::parse(file.metadata("config")), file.name() + ": config");
  } catch (const nlohmann::json::exception& error) {
    throw Error(ExitCode::kModel, file.name() + ": config is not JSON: " + error.what());
  }
}

std::vector<float> read_codebooks(runtime::Safetensors& file, const ModelConfig& config) {
  const int64_t num_sources = config.num_sources(), num_codebooks = config.num_codebooks, size = config.codebook_size;
  if (config.envelope_codebook < 0) {
    return file.floats("codebooks", {num_sources, num_codebooks, size, config.code_dim});
  }
  const int64_t envelope_dim = config.envelope_dim, own = config.code_dim - envelope_dim;
  const std::vector<float> others = file.floats("codebooks", {num_sources, num_codebooks - 1, size, own});
  const std::vector<float> envelope = file.floats("envelope_entries", {num_sources, size, envelope_dim});
  std::vector<float> all(static_cast<size_t>(num_sources * num_codebooks * size * config.code_dim));
  float* to = all.data();
  const float *next = others.data(), *next_envelope = envelope.data();
  for (int64_t table = 0; table < num_sources * num_codebooks; ++table) {
    const bool is_envelope = table % num_codebooks == config.envelope_codebook;
    for (int64_t entry = 0; entry < size; ++entry, to += config.code_dim) {
      if (is_envelope) {
        std::copy_n(next_envelope, envelope_dim, to + own);
        next_envelope += envelope_dim;
      } else {
        std::copy_n(next, own, to);
        next += own;
      }
    }
  }
  return all;
}

std::shared_ptr<const Model> Model::load(const std::string& path) {
  if (!std::filesystem::exists(path)) {
    throw Error(ExitCode::kModel, path + ": there is no such model; give one with --model, or train one (vqtrain)");
  }
  return from_file(runtime::Safetensors::open(path));
}

std::shared_ptr<const Model> Model::from_file(runtime::Safetensors file) {
  std::shared_ptr<Model> model(new Model);
  model->id_ = file.sha256();
  model->metadata_ = file.metadata();
  model->config_ = config_of(file);
  const ModelConfig& config = model->config_;
  const int num_sources = config.num_sources();
  const int64_t size = 2 * config.hop_samples, dim = config.code_dim, out = config.quantizer_out();
  const bool masks = config.encoder_kind == EncoderKind::kMasks;
  const bool residual = config.quantizer_kind == QuantizerKind::kResidual;
  if (config.unet) {
    model->unet_.emplace(file, "encoder", config);
  } else {
    model->encoder_.emplace(file, "encoder", config.encoder, config.encoder_in(), config.encoder_out(), 0);
  }
  std::vector<float> analysis_basis;
  if (masks) {
    model->analysis_.emplace(file, "analysis", config.analysis, 2 * config.num_code_bins, config.quantizer_in(),
                             num_sources);
    if (residual) analysis_basis = file.floats("analysis_basis", {num_sources, dim, size});
  }
  model->synthesis_.emplace(file, "synthesis", config.synthesis, static_cast<int>(out), 2 * config.num_code_bins,
                            num_sources);
  if (config.noise) {
    model->noise_.emplace(file, "noise", *config.noise, static_cast<int>(out), 2 * config.num_noise_bands(),
                          num_sources);
  }
  const std::vector<float> synthesis_basis = file.floats("synthesis_basis", {num_sources, size, out});
  const int64_t num_codebooks = config.num_codebooks, entries = config.codebook_size * dim;
  const std::vector<float> codebooks = read_codebooks(file, config);
  std::vector<float> code_costs;
  if (config.code_costs) code_costs = file.floats("code_costs", {num_sources, num_codebooks, config.codebook_size});
  const auto part = [](const std::vector<float>& all, int64_t index, int64_t length) {
    return std::span<const float>(all).subspan(static_cast<size_t>(index * length), static_cast<size_t>(length));
  };
  const int64_t num_levels = 2 * config.num_noise_bands();
  std::vector<float> envelope_basis, envelope_bias, noise_basis, noise_bias;
  if (config.envelope_dim > 0) {
    envelope_basis = file.floats("envelope_basis", {num_sources, dim, num_levels});
    envelope_bias = file.floats("envelope_bias", {num_sources, dim});
    noise_basis = file.floats("noise_basis", {num_sources, num_levels, out});
    noise_bias = file.floats("noise_bias", {num_sources, num_levels});
  }
  for (int64_t s = 0; s < num_sources; ++s) {
    SourceWeights weights;
    if (!envelope_basis.empty()) {
      weights.envelope_basis =
          runtime::Linear(num_levels, dim, part(envelope_basis, s, dim * num_levels), part(envelope_bias, s, dim));
      weights.noise_basis =
          runtime::Linear(out, num_levels, part(noise_basis, s, num_levels * out), part(noise_bias, s, num_levels));
    }
    if (!analysis_basis.empty()) {
      weights.analysis_basis = runtime::Linear(size, dim, part(analysis_basis, s, dim * size), {});
    }
    weights.synthesis_basis = runtime::Linear(out, size, part(synthesis_basis, s, size * out), {});
    for (int64_t h = 0; h < num_codebooks; ++h) {
      const auto table = part(codebooks, s * num_codebooks + h, entries);
      weights.entries.emplace_back(table.begin(), table.end());
      if (!residual) continue;
      std::span<const float> costs;
      if (!code_costs.empty()) costs = part(code_costs, s * num_codebooks + h, config.codebook_size);
      weights.codebooks.emplace_back(config.codebook_size, dim, table, costs);
    }
    model->sources_.push_back(std::move(weights));
  }
  file.check_all_used();
  return model;
}

}  // namespace vqcodec::vqvae
