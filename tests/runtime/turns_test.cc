#include "runtime/turns.h"

#include <cmath>
#include <numbers>

#include <gtest/gtest.h>

namespace vqcodec::runtime {
namespace {

TEST(Turns, SineAndCosineAreThoseOfTheAngle) {
  uint64_t turns = 0;
  for (int i = 0; i < 10000; ++i, turns += 0x9E3779B97F4A7C15) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(turns) * 0x1p-64;
    const SineCosine value = sine_cosine(turns);
    ASSERT_NEAR(value.sine, std::sin(angle), 2e-15) << turns;
    ASSERT_NEAR(value.cosine, std::cos(angle), 2e-15) << turns;
  }
}

TEST(Turns, QuartersAreExact) {
  const double sines[] = {0, 1, 0, -1}, cosines[] = {1, 0, -1, 0};
  for (uint64_t quarter = 0; quarter < 4; ++quarter) {
    EXPECT_EQ(sine_cosine(quarter << 62).sine, sines[quarter]);
    EXPECT_EQ(sine_cosine(quarter << 62).cosine, cosines[quarter]);
  }
}

}  // namespace
}  // namespace vqcodec::runtime
