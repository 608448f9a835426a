// The training loop of the VQ-VAE: phases, validation, logs, checkpoints. Every random draw of a step depends on the
// seed and the step alone, so that a run resumed from a checkpoint goes on with the same losses (bit for bit with one
// CPU thread).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dataset/stems.h"
#include "vqvae/train/event_writer.h"
#include "vqvae/train/options.h"
#include "vqvae/train/train_config.h"

namespace vqcodec::vqvae::train {

// Where training items are mixed: from songs in the device's memory (vqvae/train/device_mixer.h), on the CPU, or kAuto: on
// a CUDA device when the songs take at most half of its free memory, else on the CPU.
enum class MixPlace { kAuto, kHost, kDevice };

struct TrainOptions : RunOptions {
  MixPlace mix = MixPlace::kAuto;
  std::string init_model{};      // model whose weights a new run begins with; "" = none
  std::string init_separator{};  // model whose masks it begins with, also instead of init_model's; "" = none
};

class Trainer {
 public:
  // Starts anew, or goes on from <out_folder>/checkpoint.pt when that exists. Throws Error(kBadFile) when the checkpoint
  // is of another recipe, Error(kModel) when the model to begin with is another network's (it may lack noise, the
  // envelope and last codebooks), Error(kIo), and Error(kUsage) when CUDA is asked for and absent.
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
void export_checkpoint(const std::string& checkpoint_path, const std::string& model_path, const ExportOptions& options);

}  // namespace vqcodec::vqvae::train
