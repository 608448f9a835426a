#include "runtime/nearest.h"

#include <cmath>
#include <string>

#include "base/error.h"
#include "runtime/kernels.h"

namespace vqcodec::runtime {
namespace {

constexpr int64_t kRowBlock = 48;

}  // namespace

Codebook::Codebook(int64_t size, int64_t dim, std::span<const float> entries, std::span<const float> costs)
    : size_(size), dim_(dim) {
  if (size < 1 || size > 65536 || dim < 1 || dim > 65536 || static_cast<int64_t>(entries.size()) != size * dim)
    throw Error(ExitCode::kInternal, "codebook of " + std::to_string(size) + " entries of dimension " +
                                         std::to_string(dim) + " given " + std::to_string(entries.size()) + " values");
  if (!costs.empty() && static_cast<int64_t>(costs.size()) != size)
    throw Error(ExitCode::kInternal,
                "codebook of " + std::to_string(size) + " entries given " + std::to_string(costs.size()) + " costs");
  entries_.assign(entries.begin(), entries.end());
  std::vector<float> negative(entries.size());
  std::vector<float> half_norm(static_cast<std::size_t>(size));
  for (std::size_t i = 0; i < entries.size(); ++i) negative[i] = -entries[i];
  for (int64_t j = 0; j < size; ++j) {
    float sum = 0;
    for (int64_t d = 0; d < dim; ++d) sum = std::fma(entry(j)[d], entry(j)[d], sum);
    const auto at = static_cast<std::size_t>(j);
    half_norm[at] = sum * 0.5f;
    if (!costs.empty()) half_norm[at] += costs[at];
  }
  scores_ = Linear(dim, size, negative, half_norm);
}

void Codebook::nearest(const float* x, int64_t x_stride, int64_t rows, uint16_t* index, int64_t index_stride,
                       ThreadPool& pool) const {
  if (size_ == 0) return;
  pool.parallel_for(rows, kRowBlock, [&](int64_t begin, int64_t end) {
    thread_local AlignedFloats scores;  // [kRowBlock, size]
    scores.resize(static_cast<std::size_t>(kRowBlock * size_));
    scores_.forward(x + begin * x_stride, x_stride, end - begin, scores.data(), size_, pool);
    kernels().argmin(scores.data(), size_, end - begin, size_, index + begin * index_stride, index_stride);
  });
}

void argmax(const float* x, int64_t x_stride, int64_t rows, int64_t width, uint16_t* index, int64_t index_stride) {
  kernels().argmax(x, x_stride, rows, width, index, index_stride);
}

}  // namespace vqcodec::runtime
