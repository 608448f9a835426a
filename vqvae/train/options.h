// How a run of training goes on its machine, and how its network is exported: alike for all networks. No LibTorch here.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

namespace vqcodec::vqvae::train {

enum class Precision { kFloat32, kBfloat16 };

struct RunOptions {
  std::string out_folder{};
  bool use_cuda = false;
  Precision precision = Precision::kFloat32;  // of products while training
  int num_threads = 0;                        // 0 = all cores
  double max_minutes = 0;                     // stop with a checkpoint after this; 0 = no limit
  const std::atomic<bool>* stop = nullptr;    // set from a signal handler: checkpoint and return
  // Called with (step, all steps, line of text) every log_every steps and after each validation.
  std::function<void(int64_t, int64_t, const std::string&)> on_log{};

  std::string checkpoint_path() const { return out_folder + "/checkpoint.pt"; }
  // Whether a run that has taken `seconds` has to end.
  bool has_to_stop(double seconds) const {
    return (stop != nullptr && stop->load()) || (max_minutes > 0 && seconds > 60 * max_minutes);
  }
};

struct ExportOptions {
  bool half = true;  // float16 tensors
  std::string licence = "Apache-2.0";
  std::string description{};
  bool force = false;
};

}  // namespace vqcodec::vqvae::train
