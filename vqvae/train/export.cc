#include <algorithm>
#include <filesystem>
#include <numeric>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "runtime/safetensors.h"
#include "vqvae/train/network.h"
#include "vqvae/train/trainer.h"

namespace vqcodec::vqvae::train {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// Puts the entries of every residual codebook in order of use, most used first. Stages are looked up one by one, so the
// order within a codebook is free.
void sort_codebooks(NetworkImpl& network) {
  for (int64_t s = 0; s < network.codebooks.size(0); ++s) {
    for (int64_t h = 0; h < network.codebooks.size(1); ++h) {
      const Tensor order = torch::argsort(network.code_counts[s][h], /*stable=*/true, 0, /*descending=*/true);
      network.codebooks[s][h].copy_(network.codebooks[s][h].index_select(0, order));
    }
  }
}

}  // namespace

void export_network(NetworkImpl& network, const std::string& name, const std::string& facts,
                    const std::string& model_path, const ExportOptions& options) {
  torch::NoGradGuard no_grad;
  if (fs::exists(model_path) && !options.force) {
    throw Error(ExitCode::kUsage, model_path + ": exists already; use --force to overwrite it");
  }
  if (network.config.quantizer_kind == QuantizerKind::kResidual) sort_codebooks(network);
  runtime::SafetensorsWriter writer;
  writer.set_metadata("format", kFormatName);
  writer.set_metadata("config", to_json(network.config).dump());
  writer.set_metadata("name", name);
  writer.set_metadata("licence", options.licence);
  writer.set_metadata("training", facts);
  if (!options.description.empty()) writer.set_metadata("description", options.description);
  const auto add = [&](const std::string& key, const Tensor& value) {
    const Tensor flat = value.detach().to(torch::kCPU, torch::kFloat32).contiguous();
    const runtime::Shape shape(flat.sizes().begin(), flat.sizes().end());
    const std::span<const float> values(flat.data_ptr<float>(), static_cast<size_t>(flat.numel()));
    options.half ? writer.add_f16(key, shape, values) : writer.add_f32(key, shape, values);
  };
  for (const auto& item : network.named_parameters()) add(item.key(), item.value());
  if (network.config.quantizer_kind == QuantizerKind::kResidual) add("codebooks", network.codebooks);
  writer.write(model_path);
}

void export_checkpoint(const std::string& checkpoint_path, const std::string& model_path,
                       const ExportOptions& options) {
  const Recipe recipe = checkpoint_recipe(checkpoint_path);
  Network network(recipe.model);
  Tensor step;
  try {
    torch::serialize::InputArchive archive, network_archive;
    archive.load_from(checkpoint_path, torch::kCPU);
    archive.read("network", network_archive);
    network->load(network_archive);
    archive.read("step", step);
  } catch (const std::exception& error) {
    throw Error(ExitCode::kBadFile, checkpoint_path + ": not a whole checkpoint: " + first_line(error));
  }
  const json facts = {{"recipe", to_json(recipe)}, {"steps", step.item<int64_t>()}};
  export_network(*network, recipe.name, facts.dump(), model_path, options);
}

}  // namespace vqcodec::vqvae::train
