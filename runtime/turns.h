// Sine and cosine of angles in turns, the same bits on every machine.
#pragma once

#include <cstdint>

namespace vqcodec::runtime {

struct SineCosine {
  double sine = 0, cosine = 0;
};

// Of 2 pi turns / 2^64. No function of the C library takes part: Taylor sums in double, a fixed sequence of IEEE +, *, / each;
// error below 2e-16.
SineCosine sine_cosine(uint64_t turns);

}  // namespace vqcodec::runtime
