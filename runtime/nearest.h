// Nearest codeword, and the greatest logit.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/linear.h"

namespace vqcodec::runtime {

class Codebook {
 public:
  Codebook() = default;  // size() = 0
  // entries: [size, dim] float32, 1 <= size <= 65536, dim >= 1; costs: [size] or none for 0 each. Throws Error(kInternal)
  // if the sizes do not fit.
  Codebook(int64_t size, int64_t dim, std::span<const float> entries, std::span<const float> costs = {});

  int64_t size() const { return size_; }
  int64_t dim() const { return dim_; }

  // index[r * index_stride] = the j for which |c_j|^2 / 2 + cost_j - x[r].c_j is least, which is without costs the nearest
  // entry; of equals the lowest. The score is one chain of fma in ascending dim from |c_j|^2 / 2 (itself such a chain,
  // halved) plus the cost.
  // x: [rows, dim] float32. A row with NaN gives 0.
  void nearest(const float* x, int64_t x_stride, int64_t rows, uint16_t* index, int64_t index_stride,
               ThreadPool& pool) const;

  // [dim], j in [0, size).
  const float* entry(int64_t j) const { return entries_.data() + j * dim_; }

 private:
  int64_t size_ = 0;
  int64_t dim_ = 0;
  AlignedFloats entries_;  // [size, dim]
  Linear scores_;          // weight -c_j, bias |c_j|^2 / 2 + cost_j
};

// index[r * index_stride] = the column of the greatest value of row r, of equals the lowest. x: [rows, width],
// 1 <= width <= 65536. NaN is never chosen, unless the row has nothing above -inf: then 0.
void argmax(const float* x, int64_t x_stride, int64_t rows, int64_t width, uint16_t* index, int64_t index_stride);

}  // namespace vqcodec::runtime
