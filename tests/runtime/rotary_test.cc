#include "runtime/rotary.h"

#include <gtest/gtest.h>

#include "tests/base/expect_error.h"
#include "tests/runtime/runtime_test_util.h"

namespace vqcodec::runtime {
namespace {

TEST(Rotary, AnglesAreCloseToDouble) {
  for (const int64_t head_dim : {2, 6, 32, 64, 256, 4096}) {
    const Rotary rotary(head_dim);
    const auto half = static_cast<std::size_t>(head_dim / 2);
    std::vector<float> cos(half), sin(half);
    std::vector<int64_t> positions;
    for (int64_t position = 0; position < 2000; ++position) positions.push_back(position);
    for (int64_t position = 2000; position <= 1 << 20; position += 9973) positions.push_back(position);
    positions.push_back(1 << 20);
    for (const int64_t position : positions) {
      rotary.angles(position, cos.data(), sin.data());
      for (std::size_t i = 0; i<half; i += head_dim> 64 ? 37 : 1) {
        const long double exponent = -2.0L * static_cast<long double>(i) / static_cast<long double>(head_dim);
        const long double angle = static_cast<long double>(position) * std::pow(10000.0L, exponent);
        ASSERT_NEAR(cos[i], static_cast<double>(std::cos(angle)), 1e-7) << head_dim << ", " << position << ", " << i;
        ASSERT_NEAR(sin[i], static_cast<double>(std::sin(angle)), 1e-7) << head_dim << ", " << position << ", " << i;
      }
    }
  }
}

TEST(Rotary, PositionZeroTurnsNothing) {
  const Rotary rotary(10);
  std::vector<float> cos(5), sin(5);
  rotary.angles(0, cos.data(), sin.data());
  EXPECT_EQ(cos, std::vector<float>(5, 1.0f));
  EXPECT_EQ(sin, std::vector<float>(5, 0.0f));
  const std::vector<float> x = Noise(1).values(30);
  std::vector<float> y = x;
  rotary.rotate(y.data(), 3, cos.data(), sin.data());
  EXPECT_EQ(x, y);
}

TEST(Rotary, TurnsEveryPairByItsAngle) {
  const Rotary rotary(4);
  std::vector<float> cos(2), sin(2), x = Noise(2).values(8);
  const std::vector<float> before = x;
  rotary.angles(3, cos.data(), sin.data());
  rotary.rotate(x.data(), 2, cos.data(), sin.data());
  for (std::size_t head = 0; head < 8; head += 4) {
    for (std::size_t i = 0; i < 2; ++i) {
      const double angle = 3 * (i == 0 ? 1.0 : 0.01);
      const auto a = static_cast<double>(before[head + i]), b = static_cast<double>(before[head + i + 2]);
      EXPECT_NEAR(x[head + i], a * std::cos(angle) - b * std::sin(angle), 3e-7);
      EXPECT_NEAR(x[head + i + 2], a * std::sin(angle) + b * std::cos(angle), 3e-7);
    }
  }
}

TEST(Rotary, OddAndEmptyHeadsAreRefused) {
  for (const int64_t head_dim : {-2, 0, 1, 7, 4098})
    EXPECT_ERROR(Rotary{head_dim}, ExitCode::kInternal, ::testing::HasSubstr(std::to_string(head_dim)));
}

}  // namespace
}  // namespace vqcodec::runtime
