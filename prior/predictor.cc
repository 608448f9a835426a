#include "prior/predictor.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "codec/cdf.h"
#include "codec/code_grid.h"
#include "codec/range_coder.h"
#include "runtime/ops.h"

namespace vqcodec::prior {

using runtime::ThreadPool;

namespace {

// Frames of a segment at once: weights are used often while they are in the cache, and memory stays small.
constexpr int64_t kBlockFrames = 96;
// Fewer rows are not worth a thread.
constexpr int64_t kMinRowsPerThread = 4;
// But groups are: what chooses for several rows together has more to do than to read a symbol.
constexpr int64_t kMinGroupsPerThread = 1;
// Of fewer rows one thread is done with a layer or a head before another is awake.
constexpr int64_t kMinRowsToShare = 8;

[[noreturn]] void fail(const std::string& what) { throw Error(ExitCode::kInternal, "prior: " + what); }

void evaluate_segment(const Model& model, const Segment& segment, size_t index, const VisitLogits& visit,
                      ThreadPool& pool) {
  const int kept = segment.num_codebooks;
  const auto num_frames = static_cast<int64_t>(segment.codes.size()) / kept;
  Sequence sequence(model, segment.source, kept, segment.context, kBlockFrames);
  Network network(model);
  std::vector<Network::Row> rows;
  for (int64_t begin = 0; begin < num_frames; begin += kBlockFrames) {
    rows.clear();
    for (int64_t frame = begin; frame < std::min(begin + kBlockFrames, num_frames); ++frame)
      rows.push_back({&sequence, frame == 0 ? nullptr : segment.codes.data() + (frame - 1) * kept});
    network.run_frames(rows, pool);
    network.run_codes(
        [&](int64_t row, int codebook, std::span<float> logits) {
          visit(index, begin + row, codebook, logits);
          return segment.codes[static_cast<size_t>((begin + row) * kept + codebook)];
        },
        pool);
  }
}

}  // namespace

void evaluate(const Model& model, std::span<const Segment> segments, const VisitLogits& visit, ThreadPool& pool) {
  for (const Segment& segment : segments) {
    check_sequence(model, segment.source, segment.num_codebooks, segment.context);
    check_codes(model, segment.num_codebooks, segment.codes);
  }
  const auto count = static_cast<int64_t>(segments.size());
  // A grain of all of them leaves the threads to the work within.
  pool.parallel_for(count, count < pool.size() ? count : 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      evaluate_segment(model, segments[static_cast<size_t>(i)], static_cast<size_t>(i), visit, pool);
  });
}

std::vector<std::vector<CodeCounts>> count_codes(const Model& model, std::span<const Segment> segments,
                                                 uint32_t total_bits, ThreadPool& pool) {
  if (total_bits < codec::kMinCdfTotalBits || total_bits > codec::kMaxTotalBits)
    fail("counts of 2^" + std::to_string(total_bits) + ", expected 2^20..2^24");
  std::vector<std::vector<CodeCounts>> counts;
  for (const Segment& segment : segments) counts.emplace_back(segment.codes.size());
  evaluate(
      model, segments,
      [&](size_t index, int64_t frame, int codebook, std::span<float> logits) {
        const Segment& segment = segments[index];
        const auto at = static_cast<size_t>(frame * segment.num_codebooks + codebook);
        to_weights(logits);
        const auto found = codec::counts_of_symbol(logits, total_bits, segment.codes[at]);
        if (!found.ok()) fail(found.error().message);
        counts[index][at] = {found->cum, found->freq};
      },
      pool);
  return counts;
}

void to_weights(std::span<float> logits) {
  runtime::softmax_weights(logits.data(), static_cast<int64_t>(logits.size()), logits.data());
}

Stepper::Stepper(std::shared_ptr<const Model> model, std::vector<Row> rows, ThreadPool& pool, int64_t group_rows)
    : model_(std::move(model)), pool_(pool), group_rows_(group_rows) {
  if (group_rows < 1 || rows.size() % static_cast<size_t>(group_rows) != 0) {
    fail(std::to_string(rows.size()) + " rows in groups of " + std::to_string(group_rows));
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    const Row& first = rows[i - i % static_cast<size_t>(group_rows)];
    if (rows[i].source != first.source || rows[i].num_codebooks != first.num_codebooks ||
        rows[i].num_frames != first.num_frames) {
      fail("the rows of a group differ in source, codebooks or frames");
    }
  }
  for (Row& row : rows) {
    check_sequence(*model_, row.source, row.num_codebooks, row.context);
    if (row.num_frames < 0 || row.num_frames > int64_t{codec::kMaxCodesPerStream} / row.num_codebooks) {
      fail(std::to_string(row.num_frames) + " frames of " + std::to_string(row.num_codebooks) +
           " codes, expected at most " + std::to_string(codec::kMaxCodesPerStream) + " codes");
    }
    State state;
    if (row.num_frames > 0) {
      state.sequence = std::make_unique<Sequence>(*model_, row.source, row.num_codebooks, row.context, 1);
      state.codes.reserve(static_cast<size_t>(row.num_frames * row.num_codebooks));
      active_.push_back(states_.size());
    }
    state.row = std::move(row);
    states_.push_back(std::move(state));
  }
  std::ranges::stable_sort(active_, {},
                           [&](size_t i) { return std::pair(states_[i].row.source, -states_[i].row.num_codebooks); });
  for (int i = 0; i < pool.size(); ++i) networks_.emplace_back(*model_);
}

int64_t Stepper::cache_bytes_per_row(const Model& model) {
  const Config& config = model.config();
  return int64_t{config.num_layers} * static_cast<int64_t>(sizeof(float)) *
         runtime::AttentionCache::num_floats(config.num_heads, config.head_dim(), config.window_frames, 1);
}

bool Stepper::step(const ChooseCode& choose, int64_t max_frames) {
  if (active_.empty()) return false;
  const auto count = static_cast<int64_t>(active_.size());
  int64_t num_frames = max_frames;
  for (const size_t i : active_) num_frames = std::min(num_frames, states_[i].row.num_frames - frame_);
  // Groups are not cut.
  const int64_t num_groups = count / group_rows_;
  const int64_t least = group_rows_ > 1 ? kMinGroupsPerThread : kMinRowsPerThread;
  const int64_t num_parts = std::clamp<int64_t>(num_groups / least, 1, pool_.size());
  ThreadPool& within = count < kMinRowsToShare ? alone_ : pool_;
  // Each thread takes its rows through the frames.
  pool_.parallel_for(num_parts, 1, [&](int64_t first, int64_t last) {
    for (int64_t part = first; part < last; ++part) {
      const std::span<const size_t> mine(active_.begin() + part * num_groups / num_parts * group_rows_,
                                         active_.begin() + (part + 1) * num_groups / num_parts * group_rows_);
      Network& network = networks_[static_cast<size_t>(part)];
      for (int64_t frame = frame_; frame < frame_ + num_frames; ++frame) {
        std::vector<Network::Row> rows;
        for (const size_t i : mine) {
          const State& state = states_[i];
          const auto kept = static_cast<size_t>(state.row.num_codebooks);
          rows.push_back({state.sequence.get(), frame == 0 ? nullptr : state.codes.data() + state.codes.size() - kept});
        }
        network.run_frames(rows, within);
        network.run_codes(
            [&](int64_t row, int codebook, std::span<float> logits) {
              const size_t i = mine[static_cast<size_t>(row)];
              const uint16_t code = choose(static_cast<int64_t>(i), codebook, logits);
              for (size_t j = i; j < i + static_cast<size_t>(group_rows_); ++j) states_[j].codes.push_back(code);
              return code;
            },
            within, group_rows_);
      }
    }
  });
  frame_ += num_frames;
  std::erase_if(active_, [&](size_t i) {
    if (states_[i].row.num_frames > frame_) return false;
    states_[i].sequence.reset();
    return true;
  });
  return true;
}

void Stepper::branch(size_t from, size_t to) {
  const auto group = static_cast<size_t>(group_rows_);
  const auto fits = [&](size_t row) {
    return row % group == 0 && row < states_.size() && states_[row].sequence != nullptr;
  };
  if (!fits(from) || !fits(to)) fail("a branch between rows that have ended or are not first in their groups");
  for (size_t i = 0; i < group; ++i) {
    const State& source = states_[from + i];
    State& target = states_[to + i];
    if (source.row.source != target.row.source || source.row.num_codebooks != target.row.num_codebooks ||
        source.row.num_frames != target.row.num_frames) {
      fail("a branch between rows that differ in source, codebooks or frames");
    }
    target.sequence->copy_frames(*source.sequence);
    target.codes = source.codes;
  }
}

}  // namespace vqcodec::prior
