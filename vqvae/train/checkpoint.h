// What the training runs of all networks share: how they begin, their checkpoints, and the way to a model file.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "vqvae/train/options.h"
#include "vqvae/train/torch.h"

namespace vqcodec::vqvae::train {

using torch::Tensor;

// Makes the folder of a run and sets the CPU threads. Throws Error(kUsage) when CUDA is asked for and absent, Error(kIo).
void begin_run(const RunOptions& options);

// Throws Error(kInternal) when the loss of a step is not finite.
void check_loss(int64_t step, double loss);

// A second network of a checkpoint, such as a discriminator, and what trains it; null = there is none.
struct SecondNetwork {
  torch::nn::Module* network = nullptr;
  torch::optim::Optimizer* optimizer = nullptr;
};

// Writes a checkpoint, whole or not at all. Throws Error(kIo).
void write_checkpoint(const std::string& path, const torch::nn::Module& network,
                      const torch::optim::Optimizer& optimizer,
                      std::initializer_list<std::pair<const char*, Tensor>> tensors,
                      std::initializer_list<std::pair<const char*, std::string>> texts,
                      const SecondNetwork& second = {});

// Reads from a checkpoint what is named here; `optimizer` may be null. Throws Error(kBadFile).
void read_checkpoint(const std::string& path, torch::Device device, torch::nn::Module& network,
                     torch::optim::Optimizer* optimizer, std::initializer_list<std::pair<const char*, Tensor*>> tensors,
                     const SecondNetwork& second = {});

// Whether a checkpoint has the text `key`. Throws Error(kIo) when there is no such file, Error(kBadFile).
bool checkpoint_has(const std::string& path, const char* key);

// An object of a checkpoint's texts: of `keys`, which are JSON, and of "name". Throws Error(kIo) when there is no such file,
// Error(kBadFile) when one of the texts is missing, and then says that `program` made no such checkpoint.
nlohmann::json checkpoint_facts(const std::string& path, std::initializer_list<const char*> keys,
                                const std::string& program);

// Writes tensors as safetensors with these metadata and those of the options. Throws Error(kIo), Error(kUsage) when the
// file exists and not `force`.
void write_model(const std::string& path, const std::vector<std::pair<std::string, Tensor>>& tensors,
                 std::initializer_list<std::pair<const char*, std::string>> metadata, const ExportOptions& options);

}  // namespace vqcodec::vqvae::train
