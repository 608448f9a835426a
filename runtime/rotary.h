// Rotary position embedding (Su et al. 2021, "RoFormer"), with angles that are the same bits on every machine.
#pragma once

#include <cstdint>
#include <vector>

namespace vqcodec::runtime {

// Pair i of a head, (x[i], x[i + head_dim / 2]), is turned by the angle position * 10000^(-2 i / head_dim).
//
// No function of the C library takes part. The frequency in turns a position is a fixed-point fraction of 64 bits, so
// that position * frequency modulo one turn is exact in integers; the power of 10000, sine and cosine are Taylor sums in
// double, a fixed sequence of IEEE +, *, / each, rounded to float32 at the end. Against exact angles the error of sine
// and cosine is below 1e-7 for positions up to 2^20.
class Rotary {
 public:
  // head_dim: even, 2..4096. Throws Error(kInternal) otherwise.
  explicit Rotary(int64_t head_dim);

  int64_t head_dim() const { return head_dim_; }

  // cos, sin: [head_dim / 2] float32 of `position` >= 0.
  void angles(int64_t position, float* cos, float* sin) const;

  // Turns num_heads heads that lie one after another, x: [num_heads, head_dim] float32, in place, by cos and sin:
  // x[i] = x[i] cos - x[j] sin, x[j] = x[j] cos + x[i] sin with j = i + head_dim / 2, each product and sum rounded.
  void rotate(float* x, int64_t num_heads, const float* cos, const float* sin) const;

 private:
  int64_t head_dim_;
  std::vector<uint64_t> turns_;  // [head_dim / 2]: turns a position, times 2^64
};

}  // namespace vqcodec::runtime
