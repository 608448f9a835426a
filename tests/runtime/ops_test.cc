// Every function against double, within the errors that ops.h states.
#include "runtime/ops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "tests/runtime/runtime_test_util.h"

namespace vqcodec::runtime {
namespace {

using Function = void (*)(const float*, int64_t, float*);

class OpsOnPath : public EveryPath {};

// Every 4099th float32 from `from` to `to` (both of one sign, by magnitude), and both ends.
std::vector<float> sweep(float from, float to) {
  std::vector<float> values = {from, to};
  const auto first = std::bit_cast<uint32_t>(from);
  const auto last = std::bit_cast<uint32_t>(to);
  for (uint32_t bits = first; bits < last && last - bits > 4099; bits += 4099)
    values.push_back(std::bit_cast<float>(bits));
  return values;
}

// Both signs of every magnitude up to `to`.
std::vector<float> both_signs(float to) {
  std::vector<float> values = sweep(0.0f, to);
  const std::size_t half = values.size();
  for (std::size_t i = 0; i < half; ++i) values.push_back(-values[i]);
  return values;
}

void expect_close(Function function, const std::vector<float>& x, const std::function<double(double)>& reference,
                  const std::function<double(double x, double y)>& tolerance) {
  std::vector<float> y(x.size());
  function(x.data(), static_cast<int64_t>(x.size()), y.data());
  int num_wrong = 0;
  for (std::size_t i = 0; i < x.size() && num_wrong < 5; ++i) {
    const double exact = reference(static_cast<double>(x[i]));
    const double limit = tolerance(static_cast<double>(x[i]), exact);
    if (std::abs(static_cast<double>(y[i]) - exact) <= limit) continue;
    ++num_wrong;
    ADD_FAILURE() << std::hexfloat << "f(" << x[i] << ") is " << y[i] << ", expected " << exact << " within "
                  << std::defaultfloat << limit;
  }
}

float one(Function function, float x) {
  float y = 0.0f;
  function(&x, 1, &y);
  return y;
}

TEST_P(OpsOnPath, Gelu) {
  expect_close(
      gelu, both_signs(1e30f), [](double x) { return x * std::erfc(-x / std::sqrt(2.0)) / 2; },
      [](double x, double) { return 2e-7 * (1 + std::abs(x)); });
  EXPECT_EQ(one(gelu, kInfinity), kInfinity);
  EXPECT_EQ(one(gelu, -100.0f), 0.0f);
  EXPECT_TRUE(std::isnan(one(gelu, kNan)));
}

TEST_P(OpsOnPath, Erf) {
  expect_close(
      erf, both_signs(1e30f), [](double x) { return std::erf(x); }, [](double, double) { return 4e-7; });
  EXPECT_EQ(one(erf, kInfinity), 1.0f);
  EXPECT_EQ(one(erf, -kInfinity), -1.0f);
  EXPECT_TRUE(std::isnan(one(erf, kNan)));
  std::vector<float> x = both_signs(1e30f);
  std::vector<float> y(x.size());
  erf(x.data(), static_cast<int64_t>(x.size()), y.data());
  for (float v : y) ASSERT_LE(std::abs(v), 1.0f);
}

TEST_P(OpsOnPath, Exp) {
  const double smallest_normal = 0x1p-126;
  expect_close(
      exp, both_signs(88.7f), [](double x) { return std::exp(x); },
      [=](double, double y) { return std::max(2e-7 * y, y < smallest_normal ? 0x1p-148 + 2e-7 * y : 0.0); });
  std::vector<float> subnormal = sweep(87.0f, 104.0f);
  for (float& x : subnormal) x = -x;
  expect_close(
      exp, subnormal, [](double x) { return std::exp(x); }, [](double, double y) { return 2e-7 * y + 0x1p-149; });
  EXPECT_EQ(one(exp, 0.0f), 1.0f);
  EXPECT_EQ(one(exp, -0.0f), 1.0f);
  EXPECT_EQ(one(exp, 88.8f), kInfinity);
  EXPECT_EQ(one(exp, 1e30f), kInfinity);
  EXPECT_EQ(one(exp, kInfinity), kInfinity);
  EXPECT_EQ(one(exp, -104.0f), 0.0f);
  EXPECT_EQ(one(exp, -1e30f), 0.0f);
  EXPECT_EQ(one(exp, -kInfinity), 0.0f);
  EXPECT_TRUE(std::isnan(one(exp, kNan)));
}

TEST_P(OpsOnPath, Sigmoid) {
  expect_close(
      sigmoid, both_signs(87.0f), [](double x) { return 1 / (1 + std::exp(-x)); },
      [](double, double y) { return 4e-7 * y; });
  EXPECT_EQ(one(sigmoid, 0.0f), 0.5f);
  EXPECT_EQ(one(sigmoid, kInfinity), 1.0f);
  EXPECT_EQ(one(sigmoid, -kInfinity), 0.0f);
  EXPECT_EQ(one(sigmoid, -1e30f), 0.0f);
  EXPECT_TRUE(std::isnan(one(sigmoid, kNan)));
}

std::vector<float> positive_values() {
  std::vector<float> x = sweep(0x1p-149f, std::numeric_limits<float>::max());
  // Every float near 1, where the logarithm is near 0.
  for (uint32_t i = 0; i < 20000; ++i) {
    x.push_back(std::bit_cast<float>(std::bit_cast<uint32_t>(1.0f) + i));
    x.push_back(std::bit_cast<float>(std::bit_cast<uint32_t>(1.0f) - i));
  }
  return x;
}

TEST_P(OpsOnPath, Log) {
  expect_close(
      log, positive_values(), [](double x) { return std::log(x); },
      [](double, double y) { return 2e-7 * std::abs(y); });
}

TEST_P(OpsOnPath, Log10) {
  expect_close(
      log10, positive_values(), [](double x) { return std::log10(x); },
      [](double, double y) { return 4e-7 * std::abs(y); });
}

TEST_P(OpsOnPath, LogarithmsOfSpecialValues) {
  for (Function function : {static_cast<Function>(log), static_cast<Function>(log10)}) {
    EXPECT_EQ(one(function, 1.0f), 0.0f);
    EXPECT_EQ(one(function, 0.0f), -kInfinity);
    EXPECT_EQ(one(function, -0.0f), -kInfinity);
    EXPECT_EQ(one(function, kInfinity), kInfinity);
    EXPECT_TRUE(std::isnan(one(function, -1.0f)));
    EXPECT_TRUE(std::isnan(one(function, -0x1p-149f)));
    EXPECT_TRUE(std::isnan(one(function, -kInfinity)));
    EXPECT_TRUE(std::isnan(one(function, kNan)));
  }
}

TEST_P(OpsOnPath, SqrtIsCorrectlyRounded) {
  std::vector<float> x = sweep(0.0f, std::numeric_limits<float>::max());
  x.insert(x.end(), {-0.0f, kInfinity, kNan, -1.0f, -kInfinity});
  std::vector<float> y(x.size());
  sqrt(x.data(), static_cast<int64_t>(x.size()), y.data());
  for (std::size_t i = 0; i < x.size(); ++i) ASSERT_TRUE(same_bits(y[i], std::sqrt(x[i]))) << x[i];
}

TEST_P(OpsOnPath, LayerNormIsCloseToDouble) {
  Noise noise(30);
  for (int64_t width : kAwkwardSizes) {
    constexpr int64_t kRows = 5;
    constexpr float kEps = 1e-5f;
    const int64_t x_stride = width + 3;
    const int64_t y_stride = width + 1;
    std::vector<float> x = noise.values(kRows * x_stride, 3.0f);
    for (float& v : x) v += 1.0f;
    const std::vector<float> gamma = noise.values(width);
    const std::vector<float> beta = noise.values(width);
    std::vector<float> y(static_cast<std::size_t>(kRows * y_stride), 42.0f);
    layer_norm(x.data(), x_stride, kRows, width, gamma.data(), beta.data(), kEps, y.data(), y_stride);
    for (int64_t r = 0; r < kRows; ++r) {
      const float* row = x.data() + r * x_stride;
      double mean = 0;
      for (int64_t i = 0; i < width; ++i) mean += static_cast<double>(row[i]) / static_cast<double>(width);
      double variance = 0;
      for (int64_t i = 0; i < width; ++i)
        variance +=
            (static_cast<double>(row[i]) - mean) * (static_cast<double>(row[i]) - mean) / static_cast<double>(width);
      for (int64_t i = 0; i < width; ++i) {
        const auto at = static_cast<std::size_t>(i);
        const double inverse = 1 / std::sqrt(variance + static_cast<double>(kEps));
        const double exact = (static_cast<double>(row[i]) - mean) * inverse * static_cast<double>(gamma[at]) +
                             static_cast<double>(beta[at]);
        // The mean is right to a few units of 2^-24 of values up to 4; 1 / sqrt(variance + eps) magnifies that.
        ASSERT_NEAR(y[static_cast<std::size_t>(r * y_stride + i)], exact, 4e-6 + 1e-6 * inverse) << "width " << width;
      }
      ASSERT_EQ(y[static_cast<std::size_t>(r * y_stride + width)], 42.0f);
    }
    // In place.
    std::vector<float> in_place = x;
    layer_norm(in_place.data(), x_stride, kRows, width, gamma.data(), beta.data(), kEps, in_place.data(), x_stride);
    for (int64_t r = 0; r < kRows; ++r)
      for (int64_t i = 0; i < width; ++i)
        ASSERT_TRUE(same_bits(in_place[static_cast<std::size_t>(r * x_stride + i)],
                              y[static_cast<std::size_t>(r * y_stride + i)]));
  }
}

TEST_P(OpsOnPath, LayerNormOfEqualValuesIsBeta) {
  const std::vector<float> x(33, 0.5f), gamma(33, 2.0f), beta(33, -1.25f);
  std::vector<float> y(33);
  layer_norm(x.data(), 33, 1, 33, gamma.data(), beta.data(), 1e-5f, y.data(), 33);
  for (float v : y) EXPECT_EQ(v, -1.25f);
}

TEST_P(OpsOnPath, SpecialValuesInOneRowStayInIt) {
  for (float special : {kNan, kInfinity, -kInfinity}) {
    std::vector<float> x(3 * 19, 0.5f), gamma(19, 1.0f), beta(19, 0.0f), y(3 * 19);
    x[19 + 18] = special;
    layer_norm(x.data(), 19, 3, 19, gamma.data(), beta.data(), 1e-5f, y.data(), 19);
    for (std::size_t i = 0; i < 19; ++i) {
      EXPECT_EQ(y[i], 0.0f);
      EXPECT_TRUE(std::isnan(y[19 + i]));
      EXPECT_EQ(y[2 * 19 + i], 0.0f);
    }
  }
}

TEST_P(OpsOnPath, SoftmaxIsCloseToDouble) {
  Noise noise(31);
  for (int64_t width : kAwkwardSizes) {
    constexpr int64_t kRows = 4;
    const std::vector<float> x = noise.values(kRows * width, 20.0f);
    std::vector<float> y(x.size());
    softmax(x.data(), width, kRows, width, y.data(), width);
    for (int64_t r = 0; r < kRows; ++r) {
      const float* row = x.data() + r * width;
      double total = 0;
      for (int64_t i = 0; i < width; ++i) total += std::exp(static_cast<double>(row[i]));
      for (int64_t i = 0; i < width; ++i) {
        const double exact = std::exp(static_cast<double>(row[i])) / total;
        // Differences of up to 40 are rounded to 2^-19 before exp.
        ASSERT_NEAR(y[static_cast<std::size_t>(r * width + i)], exact, 4e-6 * exact) << "width " << width;
      }
    }
    std::vector<float> in_place = x;
    softmax(in_place.data(), width, kRows, width, in_place.data(), width);
    ASSERT_TRUE(same_bits(in_place, y));
  }
}

TEST_P(OpsOnPath, SoftmaxOfHugeValuesDoesNotOverflow) {
  const std::vector<float> x = {1e30f, 1e30f, -1e30f, -kInfinity};
  std::vector<float> y(4);
  softmax(x.data(), 4, 1, 4, y.data(), 4);
  EXPECT_EQ(y, (std::vector<float>{0.5f, 0.5f, 0.0f, 0.0f}));
  softmax_groups(x.data(), 1, 4, 1, y.data());
  EXPECT_EQ(y, (std::vector<float>{0.5f, 0.5f, 0.0f, 0.0f}));
}

TEST_P(OpsOnPath, SoftmaxWeightsAreThoseOfSoftmaxBeforeItsDivision) {
  Noise noise(33);
  for (int64_t count : kAwkwardSizes) {
    const std::vector<float> x = noise.values(count, 20.0f);
    std::vector<float> y(x.size() + 1, 42.0f);
    softmax_weights(x.data(), count, y.data());
    const float greatest = *std::max_element(x.begin(), x.end());
    for (std::size_t i = 0; i < x.size(); ++i) EXPECT_TRUE(same_bits(y[i], one(exp, x[i] - greatest)));
    EXPECT_EQ(y.back(), 42.0f);
    std::vector<float> in_place = x;
    softmax_weights(in_place.data(), count, in_place.data());
    y.pop_back();
    EXPECT_TRUE(same_bits(in_place, y));
  }
  const std::vector<float> special = {1.0f, kNan, -kInfinity, 3.0f};
  std::vector<float> y(4);
  softmax_weights(special.data(), 4, y.data());
  EXPECT_TRUE(std::isnan(y[1]));
  EXPECT_EQ(y[2], 0.0f);
  EXPECT_EQ(y[3], 1.0f);
}

TEST_P(OpsOnPath, NanInSoftmaxGivesNan) {
  std::vector<float> x = {1.0f, kNan, 2.0f};
  std::vector<float> y(3);
  softmax(x.data(), 3, 1, 3, y.data(), 3);
  for (float v : y) EXPECT_TRUE(std::isnan(v));
  softmax_groups(x.data(), 1, 3, 1, y.data());
  for (float v : y) EXPECT_TRUE(std::isnan(v));
}

TEST_P(OpsOnPath, SoftmaxOverGroupsIsCloseToDouble) {
  Noise noise(32);
  for (int64_t count : kAwkwardSizes) {
    for (int64_t groups : {1, 2, 4, 5}) {
      const int64_t stride = count + 2;
      const std::vector<float> x = noise.values(groups * stride, 20.0f);
      std::vector<float> y(x.size(), 42.0f);
      softmax_groups(x.data(), stride, groups, count, y.data());
      for (int64_t i = 0; i < count; ++i) {
        double total = 0;
        for (int64_t g = 0; g < groups; ++g)
          total += std::exp(static_cast<double>(x[static_cast<std::size_t>(g * stride + i)]));
        for (int64_t g = 0; g < groups; ++g) {
          const auto at = static_cast<std::size_t>(g * stride + i);
          const double exact = std::exp(static_cast<double>(x[at])) / total;
          ASSERT_NEAR(y[at], exact, 4e-6 * exact) << count << " values in " << groups << " groups";
        }
      }
      for (int64_t g = 0; g < groups; ++g) ASSERT_EQ(y[static_cast<std::size_t>(g * stride + count)], 42.0f);
    }
  }
}

VQCODEC_ON_EVERY_PATH(OpsOnPath);

}  // namespace
}  // namespace vqcodec::runtime
