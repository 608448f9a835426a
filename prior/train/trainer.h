// The training loop of the prior: next-code cross-entropy on code sets. Every random draw of a step depends on the seed and
// the step alone, so that a run resumed from a checkpoint goes on with the same losses (bit for bit with one CPU thread).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "prior/train/code_set.h"
#include "prior/train/recipe.h"
#include "vqvae/model.h"
#include "vqvae/train/event_writer.h"
#include "vqvae/train/options.h"

namespace vqcodec::prior::train {

struct WeightedCodes {
  CodeSet set;
  double weight = 1;  // relative share of the stretches
};

struct TrainOptions : vqvae::train::RunOptions {
  // The codes' VQ-VAE, whose entries the tables begin with, if embedding_dim is at most its code_dim.
  std::shared_ptr<const vqvae::Model> model{};
  // A prior of the same shape whose weights a new run begins with; empty = none. It may be for another model: if its codes
  // mean the same (vqvae/train/train_config.h, codebook_decay 1), most of what it knows is still true.
  std::string init_prior{};
};

// Bits that codes cost: means over all segments that are not silent.
struct CodeCost {
  int64_t num_frames = 0;
  std::vector<double> prior_bits;     // of each codebook, a frame
  std::vector<double> adaptive_bits;  // the same by codec::AdaptiveModel
};

class Trainer {
 public:
  // Starts anew, or goes on from <out_folder>/checkpoint.pt when that exists. Throws Error(kBadFile) when sets are of unlike
  // models, when a source has no stretch of crop_frames, or when the checkpoint is of another recipe, Error(kModel) when the codes
  // are of another model or init_prior is of another shape, Error(kIo), and Error(kUsage) when CUDA is asked for and absent.
  Trainer(const Recipe& recipe, std::vector<WeightedCodes> training, std::vector<CodeSet> validation,
          TrainOptions options);
  ~Trainer();

  // Trains to the last step, `max_minutes` or `stop`, whichever comes first. Returns the step reached.
  int64_t run();
  double step();  // one step; returns the loss, bits a code. For tests.
  int64_t current_step() const;
  int64_t total_steps() const;
  void save_checkpoint();
  // Per source, over the validation sets, without context or given all other sources.
  std::vector<CodeCost> validate(bool with_context);
  vqvae::train::Scalars scalars(const std::vector<CodeCost>& costs, const std::string& prefix) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Whether a checkpoint is of a prior, not of a VQ-VAE. Throws Error(kIo) or Error(kBadFile).
bool is_prior_checkpoint(const std::string& path);
// Writes the prior of a checkpoint as safetensors. Throws Error(kIo), Error(kBadFile), Error(kUsage) when the file exists
// and not `force`.
void export_checkpoint(const std::string& checkpoint_path, const std::string& prior_path,
                       const vqvae::train::ExportOptions& options);

}  // namespace vqcodec::prior::train
