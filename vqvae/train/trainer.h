// The training loop of the VQ-VAE: phases, validation, logs, checkpoints. Every random draw of a step depends on the
// seed and the step alone, so that a run resumed from a checkpoint goes on with the same losses (bit for bit with one
// CPU thread).
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dataset/stems.h"
#include "vqvae/train/event_writer.h"
#include "vqvae/train/train_config.h"

namespace vqcodec::vqvae::train {

enum class Precision { kFloat32, kBfloat16 };

// Where training items are mixed: from songs in the device's memory (vqvae/train/device_mixer.h), on the CPU, or kAuto: on
// a CUDA device when the songs take at most half of its free memory, else on the CPU.
enum class MixPlace { kAuto, kHost, kDevice };

struct TrainOptions {
  std::string out_folder;
  bool use_cuda = false;
  Precision precision = Precision::kFloat32;
  MixPlace mix = MixPlace::kAuto;
  int num_threads = 0;                      // 0 = all cores
  std::string init_model{};                 // model whose weights a new run begins with; "" = none
  std::string init_separator{};             // model whose masks it begins with, and nothing else; "" = none
  double max_minutes = 0;                   // stop with a checkpoint after this; 0 = no limit
  const std::atomic<bool>* stop = nullptr;  // set from a signal handler: checkpoint and return
  // Called with (step, all steps, line of text) every log_every steps and after each validation.
  std::function<void(int64_t, int64_t, const std::string&)> on_log;
};

class Trainer {
 public:
  // Starts anew, or goes on from <out_folder>/checkpoint.pt when that exists. Throws Error(kBadFile) when the checkpoint
  // is of another recipe, Error(kModel) when the model to begin with is another network's (only what makes noise may be
  // missing in it), Error(kIo), and Error(kUsage) when CUDA is asked for and absent.
  Trainer(const Recipe& recipe, const std::vector<dataset::WeightedSongs>& training,
          const std::vector<dataset::Song>& validation, TrainOptions options);
  ~Trainer();

  // Trains to the last step, `max_minutes` or `stop`, whichever comes first. Returns the step reached.
  int64_t run();
  // One step; returns the loss. For tests.
  double step();
  int64_t current_step() const;
  int64_t total_steps() const;
  void save_checkpoint();
  // SDR of masks and of codes on the validation songs, see trainer.cc.
  Scalars validate();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The recipe that a checkpoint was made with. Throws Error(kIo) or Error(kBadFile).
Recipe checkpoint_recipe(const std::string& path);

// Writes the model of a checkpoint as safetensors with its config, training facts and licence as metadata. Residual
// codebooks are put in order of use, most used entry first, which the entropy coder profits from.
// Throws Error(kIo), Error(kBadFile), Error(kUsage) when the file exists and not `force`.
struct ExportOptions {
  bool half = true;  // float16 tensors
  std::string licence = "Apache-2.0";
  std::string description{};
  bool force = false;
};
void export_checkpoint(const std::string& checkpoint_path, const std::string& model_path, const ExportOptions& options);

}  // namespace vqcodec::vqvae::train
