// A prior as codec/ wants it: for writing and reading the streams of .vqc files.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "codec/code_grid.h"
#include "codec/code_predictor.h"
#include "prior/predictor.h"
#include "runtime/thread_pool.h"

namespace vqcodec::prior {

// Limits of how many sequences are decoded side by side. They do not change the codes.
struct CoderOptions {
  int max_rows = 64;
  int64_t max_cache_bytes = int64_t{96} << 20;  // one sequence is always allowed
};

class Coder final : public codec::CodePredictor {
 public:
  // For files of `info`; `pool` must outlive the coder. Throws Error(kModel) when these are not codes of the model that the
  // prior was made for, and Error(kBadFile) when `info` contradicts that model: other sources, more codebooks, another
  // size. `info` may tell of any prior.
  Coder(std::shared_ptr<const Model> model, const codec::StreamInfo& info, runtime::ThreadPool& pool,
        const CoderOptions& options = {});

  const std::array<uint8_t, 32>& prior_id() const override { return model_->id(); }
  uint32_t numerics_id() const override { return kNumericsId; }
  // Throw as evaluate() and Stepper do.
  void predict(std::span<const Sequence> sequences, std::span<const std::span<const uint16_t>> codes,
               const Visit& visit) override;
  void generate(std::span<const Sequence> sequences, const Choose& choose) override;

 private:
  std::vector<Context> contexts(const Sequence& sequence) const;

  std::shared_ptr<const Model> model_;
  runtime::ThreadPool& pool_;
  int num_codebooks_;
  std::vector<int> sources_;  // the prior's index of each source of the file
  size_t max_rows_;
};

// How the sources are ordered for joint coding: as the prior's metadata says in "joint_order" (a JSON array of names), then
// drums, bass, other and vocals, then the others as in `sources`. Gives indices into `sources`.
std::vector<uint32_t> joint_order(const Model& model, const std::vector<std::string>& sources);

// Codes random codes of every source by whole segments and decodes them in steps. Gives what went wrong, or nothing.
std::string check_coding(const std::shared_ptr<const Model>& model, runtime::ThreadPool& pool);

}  // namespace vqcodec::prior
