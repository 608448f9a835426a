// Inputs that are the same on every machine, comparison of bits, and tests that run on every path.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "runtime/cpu.h"

namespace vqcodec::runtime {

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Around the widths of registers, panels and tiles.
inline const std::vector<int64_t> kAwkwardSizes = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 97};

inline bool same_bits(float a, float b) {
  return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) || (std::isnan(a) && std::isnan(b));
}

inline ::testing::AssertionResult same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return ::testing::AssertionFailure() << a.size() << " and " << b.size() << " values";
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!same_bits(a[i], b[i])) {
      return ::testing::AssertionFailure()
             << "element " << i << " of " << a.size() << ": " << std::hexfloat << a[i] << " and " << b[i];
    }
  }
  return ::testing::AssertionSuccess();
}

// std::mt19937 is the same everywhere, the standard's distributions are not.
class Noise {
 public:
  explicit Noise(uint32_t seed) : generator_(seed) {}

  uint32_t bits() { return static_cast<uint32_t>(generator_()); }

  // In [-scale, scale), with 24 bits.
  float value(float scale = 1.0f) { return (static_cast<float>(bits() >> 8) - 8388608.0f) * 0x1p-23f * scale; }

  std::vector<float> values(int64_t count, float scale = 1.0f) {
    std::vector<float> result(static_cast<std::size_t>(count));
    for (float& v : result) v = value(scale);
    return result;
  }

  // Any float32: of any exponent, and now and then zero, infinite or NaN.
  float any() {
    static constexpr float kSpecial[] = {
        0.0f,      -0.0f,      kInfinity, -kInfinity,       kNan,           1.0f, -1.0f,
        0x1p-149f, -0x1p-149f, 0x1p-126f, 0x1.fffffcp-127f, 0x1.fffffep127f};
    const uint32_t choice = bits();
    if (choice % 32 == 0) return kSpecial[choice / 32 % std::size(kSpecial)];
    return std::bit_cast<float>(bits());
  }

  std::vector<float> anything(int64_t count) {
    std::vector<float> result(static_cast<std::size_t>(count));
    for (float& v : result) v = any();
    return result;
  }

 private:
  std::mt19937 generator_;
};

// A test that runs once on every path; on a machine without the path it is skipped, visibly.
class EveryPath : public ::testing::TestWithParam<Path> {
 protected:
  void SetUp() override {
    if (!can_run(GetParam())) GTEST_SKIP() << "this machine cannot run the path " << path_name(GetParam());
    set_path(GetParam());
  }
  void TearDown() override { set_path(before_); }

 private:
  const Path before_ = current_path();
};

inline std::string name_of_path(const ::testing::TestParamInfo<Path>& info) { return path_name(info.param); }

#define VQCODEC_ON_EVERY_PATH(suite) \
  INSTANTIATE_TEST_SUITE_P(Path, suite, ::testing::ValuesIn(kBuiltPaths), name_of_path)

}  // namespace vqcodec::runtime
