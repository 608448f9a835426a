// The prior's forward pass, for any mix of frames of any sequences at once: predictor.h runs whole segments and single
// steps through the same code, which is why both give the same bits.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "prior/model.h"
#include "runtime/attention.h"
#include "runtime/rotary.h"
#include "runtime/thread_pool.h"

namespace vqcodec::prior {

// Codes of another source of the same frames, which are known beforehand.
struct Context {
  int source = 0;
  int num_codebooks = 0;            // kept, 1..config.num_codebooks
  std::span<const uint16_t> codes;  // [frames, num_codebooks], frame-major; owned by the caller
  // [frames] of 0 and 1, owned by the caller: in frames with 0 the source is as if it were not given. Empty: it is in
  // all.
  std::span<const uint8_t> given{};
  int64_t num_frames() const { return static_cast<int64_t>(codes.size()) / num_codebooks; }
  bool is_given(int64_t frame) const {
    return given.empty() || (frame < static_cast<int64_t>(given.size()) && given[static_cast<size_t>(frame)] != 0);
  }
};

// Called with the logits of one code, [codebook_size] float32, which it may overwrite; gives the code that stands
// there. `row` is the index in the rows that were given. Called from several threads for different rows at once; for
// one row in ascending order of codebooks. With groups of rows (Network::run_codes) the rows of a group get the same
// code: called once a group with its first row and the logits of all its rows, [rows of a group, codebook_size].
using ChooseCode = std::function<uint16_t(int64_t row, int codebook, std::span<float> logits)>;

// One segment of one source as far as the network has seen it.
class Sequence {
 public:
  // The arguments have been checked by check_sequence(). max_block_frames: the most frames at once.
  Sequence(const Model& model, int source, int num_codebooks, std::vector<Context> context, int64_t max_block_frames);

  int source() const { return source_; }
  int num_codebooks() const { return num_codebooks_; }

  // Takes over what `other`, of the same source, codebooks and context, has seen.
  void copy_frames(const Sequence& other) { layers_ = other.layers_; }

 private:
  friend class Network;
  int source_;
  int num_codebooks_;
  std::vector<Context> context_;  // ascending sources
  std::vector<runtime::AttentionCache> layers_;
};

// Throws Error(kInternal) if the source is not in [0, num_sources), num_codebooks not in 1..config.num_codebooks, a
// context's source is the sequence's own or given twice, a context's length is no multiple of its codebooks, one of its
// codes is not below codebook_size, or `given` has another number of frames.
void check_sequence(const Model& model, int source, int num_codebooks, const std::vector<Context>& context);
// Throws Error(kInternal) if a code is not below codebook_size or the length is no multiple of num_codebooks.
void check_codes(const Model& model, int num_codebooks, std::span<const uint16_t> codes);

// One thread's workspace over a model that outlives it.
class Network {
 public:
  explicit Network(const Model& model);

  // A frame whose codes are to be predicted.
  struct Row {
    Sequence* sequence;
    const uint16_t* previous;  // codes of the frame before, [num_codebooks]; null for frame 0
  };

  // Takes rows into their sequences' caches. Rows of one sequence are consecutive frames and stand side by side, at
  // most max_block_frames of them; the first follows the frames that the sequence has seen.
  void run_frames(std::span<const Row> rows, runtime::ThreadPool& pool);

  // Asks `choose` for all codes of those rows. group_rows: rows side by side that get the same codes, of one source
  // and with as many codebooks; the number of rows is a multiple of it.
  void run_codes(const ChooseCode& choose, runtime::ThreadPool& pool, int64_t group_rows = 1);

 private:
  void add_context(runtime::ThreadPool& pool);
  void run_layer(size_t layer, runtime::ThreadPool& pool);

  const Model& model_;
  runtime::Rotary rotary_;
  std::vector<Row> rows_;
  struct Run {  // rows of one sequence with the same sources given
    int64_t begin, end;
    int64_t first_frame;
  };
  std::vector<Run> runs_;
  // [rows, ...] each, or more
  runtime::AlignedFloats x_, normed_, wide_, attended_, cos_, sin_, latents_;
  runtime::AlignedFloats before_, hidden_, query_, logits_;
};

}  // namespace vqcodec::prior
