#include "runtime/rotary.h"

#include <cfloat>
#include <cmath>
#include <string>

#include "base/error.h"
#include "runtime/turns.h"

namespace vqcodec::runtime {
namespace {

static_assert(FLT_EVAL_METHOD == 0, "float and double have to be computed as they are");

constexpr double kTwoPi = 6.283185307179586476925;
constexpr double kLogOf10000 = 9.210340371976182736072;
constexpr double kLogOf2 = 0.6931471805599453094172;

// e^-y for 0 <= y < 16, to a few units of the last place.
double exp_of_minus(double y) {
  double scale = 1;
  double rest = y;
  while (rest > kLogOf2) {
    rest -= kLogOf2;
    scale *= 0.5;
  }
  double sum = 1;
  for (int k = 20; k >= 1; --k) sum = 1 - rest / k * sum;
  return scale * sum;
}

}  // namespace

Rotary::Rotary(int64_t head_dim) : head_dim_(head_dim) {
  if (head_dim < 2 || head_dim > 4096 || head_dim % 2 != 0)
    throw Error(ExitCode::kInternal, "rotary embedding of heads of " + std::to_string(head_dim) + " dimensions");
  for (int64_t i = 0; i < head_dim / 2; ++i) {
    const double frequency = exp_of_minus(kLogOf10000 * static_cast<double>(2 * i) / static_cast<double>(head_dim));
    turns_.push_back(static_cast<uint64_t>(frequency / kTwoPi * 0x1p64));
  }
}

void Rotary::angles(int64_t position, float* cos, float* sin) const {
  for (std::size_t i = 0; i < turns_.size(); ++i) {
    const uint64_t turns = static_cast<uint64_t>(position) * turns_[i];  // modulo one turn
    const SineCosine value = sine_cosine(turns);
    cos[i] = static_cast<float>(value.cosine);
    sin[i] = static_cast<float>(value.sine);
  }
}

void Rotary::rotate(float* x, int64_t num_heads, const float* cos, const float* sin) const {
  const int64_t half = head_dim_ / 2;
  for (int64_t head = 0; head < num_heads; ++head) {
    float* const a = x + head * head_dim_;
    float* const b = a + half;
    for (int64_t i = 0; i < half; ++i) {
      const float a_cos = a[i] * cos[i], a_sin = a[i] * sin[i];
      const float b_cos = b[i] * cos[i], b_sin = b[i] * sin[i];
      a[i] = a_cos - b_sin;
      b[i] = b_cos + a_sin;
    }
  }
}

}  // namespace vqcodec::runtime
