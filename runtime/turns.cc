#include "runtime/turns.h"

#include <cfloat>

namespace vqcodec::runtime {
namespace {

static_assert(FLT_EVAL_METHOD == 0, "float and double have to be computed as they are");

constexpr double kTwoPi = 6.283185307179586476925;

// Of 2 pi t for |t| <= 1/8.
double sine_of_turns(double t) {
  const double x = t * kTwoPi;
  double sum = 1;
  for (int k = 16; k >= 2; k -= 2) sum = 1 - x * x / (k * (k + 1)) * sum;
  return x * sum;
}

double cosine_of_turns(double t) {
  const double x = t * kTwoPi;
  double sum = 1;
  for (int k = 17; k >= 1; k -= 2) sum = 1 - x * x / (k * (k + 1)) * sum;
  return sum;
}

}  // namespace

SineCosine sine_cosine(uint64_t turns) {
  const uint64_t eighth = uint64_t{1} << 61;
  const auto quarter = static_cast<int>((turns + eighth) >> 62);  // the nearest quarter turn
  const auto rest = static_cast<int64_t>(turns - (static_cast<uint64_t>(quarter) << 62));
  const double t = static_cast<double>(rest) * 0x1p-64;
  const double s = sine_of_turns(t), c = cosine_of_turns(t);
  switch (quarter) {
    case 0: return {s, c};
    case 1: return {c, -s};
    case 2: return {-s, -c};
    default: return {-c, s};
  }
}

}  // namespace vqcodec::runtime
