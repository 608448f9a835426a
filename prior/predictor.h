// How likely every code is, by a prior: of whole segments whose codes are known (for encoding), and frame by frame
// while codes are being found (for decoding and for composing). Both give the same bits for the same codes, whatever
// the path, the number of threads and what else is in the batch.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "prior/network.h"

namespace vqcodec::prior {

struct Segment {
  int source = 0;
  int num_codebooks = 0;            // kept, 1..config.num_codebooks
  std::span<const uint16_t> codes;  // [frames, num_codebooks], frame-major; owned by the caller
  std::vector<Context> context;     // other sources of the same segment, if they are to help; each at most once
};

// Called with the logits of every code of a segment, [codebook_size] float32, which it may overwrite. Called from
// several threads at once, for one frame of one segment in ascending order of codebooks.
using VisitLogits = std::function<void(size_t segment, int64_t frame, int codebook, std::span<float> logits)>;

// Segments are spread over the pool, and the work of a segment where there are fewer than threads. Besides the model a
// thread needs some MiB, however long a segment is. Throws Error(kInternal) as check_sequence() does.
void evaluate(const Model& model, std::span<const Segment> segments, const VisitLogits& visit,
              runtime::ThreadPool& pool);

struct CodeCounts {
  uint32_t cum = 0;
  uint32_t freq = 0;
  bool operator==(const CodeCounts&) const = default;
};

// Per segment the counts of its codes, [frames, num_codebooks], of 2^total_bits by the rule of codec/cdf.h. Throws
// Error(kInternal) as evaluate() does, and if total_bits is outside that rule's limits.
std::vector<std::vector<CodeCounts>> count_codes(const Model& model, std::span<const Segment> segments,
                                                 uint32_t total_bits, runtime::ThreadPool& pool);

// Logits to weights for codec/cdf.h, in place: exp(logit - greatest logit). Whatever the logits are, NaN and infinities
// too, that rule makes valid counts of them.
void to_weights(std::span<float> logits);

// Many segments side by side, one frame of each a step.
class Stepper {
 public:
  struct Row {
    int source = 0;
    int num_codebooks = 0;   // kept, 1..config.num_codebooks
    int64_t num_frames = 0;  // 0 or more, num_frames x num_codebooks <= codec::kMaxCodesPerStream
    std::vector<Context> context;
  };

  // A row takes cache_bytes_per_row(model) until it ends. `pool` is used by step() and has to outlive the object.
  // group_rows: rows side by side that get the same codes, whatever context each is given. Throws Error(kInternal) as
  // check_sequence() does, and if a length is outside its limits or the rows of a group differ in more than context.
  Stepper(std::shared_ptr<const Model> model, std::vector<Row> rows, runtime::ThreadPool& pool, int64_t group_rows = 1);

  static int64_t cache_bytes_per_row(const Model& model);

  // Asks `choose` for the codes of the next frame of every row that has not ended; rows are numbered as they were
  // given, a group by its first row. False, without a call, once all have ended. An exception of `choose` comes out
  // here and leaves the object unusable; a code that is not below codebook_size is Error(kInternal).
  // max_frames, 1 or more: so many frames at once, or as many as every row still has; threads then wait for each other
  // less often, and rows are at different frames while `choose` is asked.
  bool step(const ChooseCode& choose, int64_t max_frames = 1);

  // From within `choose`, for its row, when frames are stepped one by one: the row, with its group, ends with this frame.
  void end_row(size_t row) {
    for (size_t i = row; i < row + static_cast<size_t>(group_rows_); ++i) states_[i].row.num_frames = 0;
  }

  // Between steps: row `to`, with its group, goes on from where row `from` with its own stands, as if it had been given
  // that one's codes. Both are first rows of groups that have not ended, of one source and with as many codebooks and
  // frames; contexts are to be the same. Throws Error(kInternal) otherwise.
  void branch(size_t from, size_t to);

  int64_t num_frames_done() const { return frame_; }
  // [frames done, num_codebooks]
  std::span<const uint16_t> codes(size_t row) const { return states_[row].codes; }

 private:
  struct State {
    Row row;
    std::unique_ptr<Sequence> sequence;  // null once the row has ended
    std::vector<uint16_t> codes;
  };
  std::shared_ptr<const Model> model_;
  runtime::ThreadPool& pool_;
  runtime::ThreadPool alone_{1};  // starts no thread
  int64_t group_rows_;
  std::vector<State> states_;      // as given
  std::vector<size_t> active_;     // rows that have not ended, by source
  std::vector<Network> networks_;  // one a thread
  int64_t frame_ = 0;
};

}  // namespace vqcodec::prior
