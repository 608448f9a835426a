#include "runtime/linear.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "runtime/kernels.h"

namespace vqcodec::runtime {
namespace {

// A multiple of every path's rows per tile; the rows' part of x and y stays in the second cache.
constexpr int64_t kRowBlock = 48;
// k is cut into blocks, so that a panel of this depth (64 KiB) stays in cache while rows pass. Sums go through y from one
// block to the next, which leaves each chain as it is.
constexpr int64_t kDepthBlock = 512;
// Multiply-adds below which waking another thread costs more than it brings.
constexpr int64_t kWorthThreads = int64_t{1} << 19;

int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

Linear::Linear(int64_t in, int64_t out, std::span<const float> weight, std::span<const float> bias)
    : in_(in), out_(out) {
  constexpr int64_t kMaxSize = int64_t{1} << 24;
  const bool is_sane = in > 0 && out > 0 && in <= kMaxSize && out <= kMaxSize;
  if (!is_sane || static_cast<int64_t>(weight.size()) != in * out ||
      (!bias.empty() && static_cast<int64_t>(bias.size()) != out))
    throw Error(ExitCode::kInternal, "linear layer of " + std::to_string(in) + " inputs and " + std::to_string(out) +
                                         " outputs given " + std::to_string(weight.size()) + " weights and " +
                                         std::to_string(bias.size()) + " biases");
  const int64_t num_panels = ceil_divide(out, kPanelWidth);
  panels_.resize(static_cast<std::size_t>(num_panels * in * kPanelWidth));
  bias_.resize(static_cast<std::size_t>(num_panels * kPanelWidth));
  std::copy(bias.begin(), bias.end(), bias_.begin());
  for (int64_t n = 0; n < out; ++n) {
    float* to = panels_.data() + n / kPanelWidth * in * kPanelWidth + n % kPanelWidth;
    const float* from = weight.data() + n * in;
    for (int64_t k = 0; k < in; ++k) to[k * kPanelWidth] = from[k];
  }
}

void Linear::run(const float* x, int64_t x_stride, int64_t rows, float* y, int64_t y_stride, Start start,
                 ThreadPool& pool) const {
  if (rows <= 0 || out_ == 0) return;
  const Kernels& kernel = kernels();
  const int64_t num_panels = ceil_divide(out_, kPanelWidth);
  const int64_t num_row_blocks = ceil_divide(rows, kRowBlock);
  // Columns are split too if there are too few blocks of rows for all threads.
  int64_t panels_a_block = num_panels;
  const bool is_small = rows * in_ * out_ < kWorthThreads;
  if (!is_small && pool.size() > 1) {
    const int64_t wanted = ceil_divide(4 * pool.size(), num_row_blocks);
    panels_a_block = std::max<int64_t>(2, ceil_divide(num_panels, wanted));
  }
  const int64_t num_column_blocks = ceil_divide(num_panels, panels_a_block);
  const int64_t num_tasks = num_row_blocks * num_column_blocks;
  pool.parallel_for(num_tasks, is_small ? num_tasks : 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t row = task / num_column_blocks * kRowBlock;
      const int64_t panel = task % num_column_blocks * panels_a_block;
      const int64_t column = panel * kPanelWidth;
      const int64_t num_rows = std::min(kRowBlock, rows - row);
      const int64_t num_columns = std::min(panels_a_block * kPanelWidth, out_ - column);
      for (int64_t k = 0; k < in_; k += kDepthBlock) {
        kernel.gemm(x + row * x_stride + k, x_stride, num_rows, std::min(kDepthBlock, in_ - k),
                    panels_.data() + (panel * in_ + k) * kPanelWidth, in_ * kPanelWidth,
                    k == 0 ? bias_.data() + column : nullptr, start == Start::kOutput, y + row * y_stride + column,
                    y_stride, num_columns);
      }
    }
  });
}

void Linear::forward(const float* x, int64_t x_stride, int64_t rows, float* y, int64_t y_stride,
                     ThreadPool& pool) const {
  run(x, x_stride, rows, y, y_stride, Start::kBias, pool);
}

void Linear::forward_add(const float* x, int64_t x_stride, int64_t rows, float* y, int64_t y_stride,
                         ThreadPool& pool) const {
  run(x, x_stride, rows, y, y_stride, Start::kOutput, pool);
}

}  // namespace vqcodec::runtime
