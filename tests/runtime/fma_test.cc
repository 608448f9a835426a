// The fused multiply-add of every path, above all the one that the portable path computes by double, against the
// standard library's. A depthwise convolution with one tap is fma(x, w, bias) for every channel.
#include <gtest/gtest.h>

#include "runtime/ops.h"
#include "tests/runtime/runtime_test_util.h"

namespace vqcodec::runtime {
namespace {

class Fma : public EveryPath {
 protected:
  void add(float a, float b, float c) {
    a_.push_back(a);
    b_.push_back(b);
    c_.push_back(c);
  }

  // All signs of a case.
  void add_signs(float a, float b, float c) {
    for (int signs = 0; signs < 8; ++signs) add(signs & 1 ? -a : a, signs & 2 ? -b : b, signs & 4 ? -c : c);
  }

  void check() {
    const auto count = static_cast<int64_t>(a_.size());
    std::vector<float> y(a_.size());
    depthwise_conv1d(a_.data(), count, 1, count, 1, 1, b_.data(), c_.data(), y.data(), count);
    int num_wrong = 0;
    for (std::size_t i = 0; i < y.size() && num_wrong < 10; ++i) {
      const float expected = std::fma(a_[i], b_[i], c_[i]);
      if (same_bits(y[i], expected)) continue;
      ++num_wrong;
      ADD_FAILURE() << std::hexfloat << "fma(" << a_[i] << ", " << b_[i] << ", " << c_[i] << ") gave " << y[i]
                    << ", expected " << expected;
    }
  }

  std::vector<float> a_, b_, c_;
};

TEST_P(Fma, RandomBitPatternsAgree) {
  Noise noise(1);
  for (int i = 0; i < 1000000; ++i) add(noise.any(), noise.any(), noise.any());
  check();
}

TEST_P(Fma, ProductAndAddendOfLikeSizeAgree) {
  Noise noise(2);
  for (int i = 0; i < 1000000; ++i) {
    const float a = noise.value();
    const float b = noise.value();
    // Near the negative product, so that most of it cancels; or shifted against it by up to 60 places.
    const float c = i % 2 == 0 ? -a * b : std::ldexp(noise.value(), static_cast<int>(noise.bits() % 121) - 60);
    add(a, b, c);
  }
  check();
}

// The exact sum lies halfway between two floats, or one unit of the last place of double (or much less) beside the
// middle: rounding to double and then to float goes wrong here.
TEST_P(Fma, HalfwayCasesAgree) {
  Noise noise(3);
  for (int i = 0; i < 50000; ++i) {
    const int exponent = static_cast<int>(noise.bits() % 60) - 30;
    const float c = std::ldexp(1.0f + static_cast<float>(noise.bits() & 0x7fffff) * 0x1p-23f, exponent);
    // a * b is half a unit of c's last place, exactly or with a tiny excess or deficit: (1 + e)(1 - e) = 1 - e^2.
    const float e = std::ldexp(1.0f, -1 - static_cast<int>(noise.bits() % 23));
    const float half_unit = std::ldexp(1.0f, exponent - 24);
    add_signs(half_unit, 1.0f, c);
    add_signs((1.0f + e) * half_unit, 1.0f - e, c);
    add_signs((1.0f + e) * half_unit, 1.0f + e, c);
    add_signs((1.0f - e) * half_unit, 1.0f - e, c);
  }
  // Addends so small that the double drops them: the product alone is halfway.
  for (int i = 0; i < 50000; ++i) {
    const float a = 1.0f + static_cast<float>(noise.bits() & 0xfff) * 0x1p-12f;  // 13 bits times 12 bits is 25 bits
    const float b = 1.0f + static_cast<float>(noise.bits() & 0x7ff) * 0x1p-11f;
    add_signs(a, b, std::ldexp(1.0f, -25 - static_cast<int>(noise.bits() % 124)));
    add_signs(a, b, 0x1p-149f);
  }
  check();
}

TEST_P(Fma, SubnormalResultsAgree) {
  Noise noise(4);
  for (int i = 0; i < 300000; ++i) {
    const float a = std::ldexp(noise.value(), -static_cast<int>(noise.bits() % 75) - 40);
    const float b = std::ldexp(noise.value(), -static_cast<int>(noise.bits() % 40) - 40);
    const float c = std::bit_cast<float>(noise.bits() & 0x81ffffff);  // subnormal or just above
    add(a, b, c);
    add(a, b, 0.0f);
    add(a, b, -0.0f);
  }
  // Halfway between subnormals, exactly and by a hair.
  for (uint32_t n = 0; n < 200; ++n) {
    const float c = std::bit_cast<float>(n);
    add_signs(0x1p-75f, 0x1p-75f, c);
    add_signs(0x1.000002p-75f, 0x1p-75f, c);
    add_signs(0x1.fffffep-76f, 0x1p-75f, c);
    add_signs(0x1.fffffep-76f, 0x1.000002p-75f, c);
  }
  check();
}

TEST_P(Fma, OverflowAgrees) {
  constexpr float kMax = std::numeric_limits<float>::max();
  Noise noise(5);
  for (float c : {0.0f, 0x1p103f, 0x1.fffffep102f, 0x1p102f, 0x1.000002p103f, 0x1p104f, 1.0f, 0x1p-149f, kMax})
    for (float a : {kMax, 0x1.fffffcp127f, 0x1p127f, 0x1p64f, 0x1.fffffep63f})
      for (float b : {1.0f, 2.0f, 0x1.000002p0f, 0x1.fffffep-1f, 0x1p64f, 0x1.fffffep63f, kMax}) add_signs(a, b, c);
  for (int i = 0; i < 100000; ++i)
    add(std::ldexp(noise.value(), 64), std::ldexp(noise.value(), 64), std::ldexp(noise.value(), 128));
  check();
}

TEST_P(Fma, SpecialValuesAgree) {
  const float specials[] = {0.0f,      -0.0f,      1.0f,      -1.0f,    kInfinity,       -kInfinity,      kNan,
                            0x1p-149f, -0x1p-149f, 0x1p-126f, 0x1p127f, 0x1.fffffep127f, -0x1.fffffep127f};
  for (float a : specials)
    for (float b : specials)
      for (float c : specials) add(a, b, c);
  check();
}

VQCODEC_ON_EVERY_PATH(Fma);

}  // namespace
}  // namespace vqcodec::runtime
