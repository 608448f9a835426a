#include <nlohmann/json.hpp>

#include "vqvae/train/checkpoint.h"
#include "vqvae/train/network.h"
#include "vqvae/train/trainer.h"

namespace vqcodec::vqvae::train {

namespace {

// Puts the entries of every residual codebook in order of use, most used first. Stages are looked up one by one, so the
// order within a codebook is free.
void sort_codebooks(NetworkImpl& network) {
  for (int64_t s = 0; s < network.codebooks.size(0); ++s) {
    for (int64_t h = 0; h < network.codebooks.size(1); ++h) {
      const Tensor order = torch::argsort(network.code_counts[s][h], /*stable=*/true, 0, /*descending=*/true);
      network.codebooks[s][h].copy_(network.codebooks[s][h].index_select(0, order));
      if (!network.code_costs.defined()) continue;
      network.code_costs[s][h].copy_(network.code_costs[s][h].index_select(0, order));
    }
  }
}

}  // namespace

void export_network(NetworkImpl& network, const std::string& name, const std::string& facts,
                    const std::string& model_path, const ExportOptions& options) {
  torch::NoGradGuard no_grad;
  auto tensors = network.named_parameters().pairs();
  if (network.config.quantizer_kind == QuantizerKind::kResidual) {
    sort_codebooks(network);
    const ModelConfig& config = network.config;
    if (config.envelope_codebook >= 0) {
      const int64_t own = config.code_dim - config.envelope_dim, at = config.envelope_codebook;
      const Tensor others = torch::cat({network.codebooks.narrow(1, 0, at),
                                        network.codebooks.narrow(1, at + 1, config.num_codebooks - 1 - at)},
                                       1);
      tensors.emplace_back("codebooks", others.narrow(3, 0, own).contiguous());
      tensors.emplace_back("envelope_entries",
                           network.codebooks.select(1, at).narrow(2, own, config.envelope_dim).contiguous());
    } else {
      tensors.emplace_back("codebooks", network.codebooks);
    }
    if (network.code_costs.defined()) tensors.emplace_back("code_costs", network.code_costs);
  }
  write_model(
      model_path, tensors,
      {{"format", kFormatName}, {"config", to_json(network.config).dump()}, {"name", name}, {"training", facts}},
      options);
}

void export_checkpoint(const std::string& checkpoint_path, const std::string& model_path,
                       const ExportOptions& options) {
  const Recipe recipe = checkpoint_recipe(checkpoint_path);
  Network network(recipe.model);
  Tensor step;
  read_checkpoint(checkpoint_path, torch::kCPU, *network, nullptr, {{"step", &step}});
  const nlohmann::json facts = {{"recipe", to_json(recipe)}, {"steps", step.item<int64_t>()}};
  export_network(*network, recipe.name, facts.dump(), model_path, options);
}

}  // namespace vqcodec::vqvae::train
