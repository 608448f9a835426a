// Matrix products whose every output is one chain of fused multiply-adds in ascending k, so that the bits of a result
// do not depend on SIMD width, tile shape, number of rows or number of threads.
#pragma once

#include <cstdint>
#include <span>

#include "runtime/aligned.h"
#include "runtime/thread_pool.h"

namespace vqcodec::runtime {

// y[r][n] = fma(x[r][in-1], w[n][in-1], ... fma(x[r][1], w[n][1], fma(x[r][0], w[n][0], bias[n]))). Weights are packed once; the object is
// immutable and may be used by many threads.
class Linear {
 public:
  Linear() = default;  // in() = out() = 0
  // weight: [out, in] row-major float32, as LibTorch's Linear has it. bias: [out] float32, or empty for zeros.
  // Throws Error(kInternal) if the sizes do not fit.
  Linear(int64_t in, int64_t out, std::span<const float> weight, std::span<const float> bias);

  int64_t in() const { return in_; }
  int64_t out() const { return out_; }

  // x: [rows, in], y: [rows, out] float32, rows x_stride and y_stride >= out floats apart; rows of x may overlap
  // each other (x_stride < in). x and y must not overlap.
  void forward(const float* x, int64_t x_stride, int64_t rows, float* y, int64_t y_stride, ThreadPool& pool) const;

  // y += x W^T + bias: each chain starts from y[r][n] + bias[n] (+ 0 if there is no bias).
  void forward_add(const float* x, int64_t x_stride, int64_t rows, float* y, int64_t y_stride, ThreadPool& pool) const;

 private:
  enum class Start { kBias, kOutput };
  void run(const float* x, int64_t x_stride, int64_t rows, float* y, int64_t y_stride, Start start,
           ThreadPool& pool) const;
  int64_t in_ = 0;
  int64_t out_ = 0;
  AlignedFloats panels_;  // [ceil(out / 32), in, 32]: 32 outputs side by side, zeros past out_
  AlignedFloats bias_;    // [32 * ceil(out / 32)], zeros past out_, all zeros if there is none
};

}  // namespace vqcodec::runtime
