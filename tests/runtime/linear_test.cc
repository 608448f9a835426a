#include "runtime/linear.h"

#include <gtest/gtest.h>

#include "runtime/ops.h"
#include "tests/base/expect_error.h"
#include "tests/runtime/runtime_test_util.h"

namespace vqcodec::runtime {
namespace {

using ::testing::HasSubstr;

struct Layer {
  Layer(int64_t in_size, int64_t out_size, bool has_bias, uint32_t seed) : in(in_size), out(out_size) {
    Noise noise(seed);
    weight = noise.values(in * out);
    if (has_bias) bias = noise.values(out);
  }
  Linear linear() const { return Linear(in, out, weight, bias); }

  int64_t in, out;
  std::vector<float> weight, bias;
};

// The documented chain, by the standard library.
std::vector<float> expected(const Layer& layer, const std::vector<float>& x, int64_t rows,
                            const std::vector<float>* y) {
  std::vector<float> result(static_cast<std::size_t>(rows * layer.out));
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t n = 0; n < layer.out; ++n) {
      float sum = layer.bias.empty() ? 0.0f : layer.bias[static_cast<std::size_t>(n)];
      if (y != nullptr) sum = (*y)[static_cast<std::size_t>(r * layer.out + n)] + sum;
      for (int64_t k = 0; k < layer.in; ++k)
        sum = std::fma(x[static_cast<std::size_t>(r * layer.in + k)],
                       layer.weight[static_cast<std::size_t>(n * layer.in + k)], sum);
      result[static_cast<std::size_t>(r * layer.out + n)] = sum;
    }
  }
  return result;
}

class LinearOnPath : public EveryPath {};

TEST_P(LinearOnPath, IsTheChainInAscendingOrder) {
  ThreadPool pool(1);
  uint32_t seed = 10;
  for (int64_t rows : {1, 2, 5, 13, 48, 49}) {
    for (int64_t in : {1, 3, 16, 33}) {
      for (int64_t out : kAwkwardSizes) {
        const Layer layer(in, out, out % 2 == 1, ++seed);
        const Linear linear = layer.linear();
        const std::vector<float> x = Noise(++seed).values(rows * in);
        std::vector<float> y(static_cast<std::size_t>(rows * out), kNan);
        linear.forward(x.data(), in, rows, y.data(), out, pool);
        ASSERT_TRUE(same_bits(y, expected(layer, x, rows, nullptr))) << rows << " x " << in << " -> " << out;
        const std::vector<float> before = Noise(++seed).values(rows * out);
        y = before;
        linear.forward_add(x.data(), in, rows, y.data(), out, pool);
        ASSERT_TRUE(same_bits(y, expected(layer, x, rows, &before))) << rows << " x " << in << " += " << out;
      }
    }
  }
}

// Deeper than one block of k, with sums that go through y in between.
TEST_P(LinearOnPath, IsTheChainWhenDeep) {
  ThreadPool pool(1);
  for (int64_t in : {511, 512, 513, 1100}) {
    const Layer layer(in, 50, true, static_cast<uint32_t>(in));
    const Linear linear = layer.linear();
    const std::vector<float> x = Noise(7).values(14 * in);
    std::vector<float> y(14 * 50);
    linear.forward(x.data(), in, 14, y.data(), 50, pool);
    ASSERT_TRUE(same_bits(y, expected(layer, x, 14, nullptr))) << in;
    const std::vector<float> before = Noise(8).values(14 * 50);
    y = before;
    linear.forward_add(x.data(), in, 14, y.data(), 50, pool);
    ASSERT_TRUE(same_bits(y, expected(layer, x, 14, &before))) << in;
  }
}

// |error| <= (in + 1) 2^-24 sum of |terms|, the bound of a chain of in roundings.
TEST_P(LinearOnPath, IsCloseToDouble) {
  ThreadPool pool(1);
  const Layer layer(777, 41, true, 3);
  const std::vector<float> x = Noise(4).values(9 * 777);
  std::vector<float> y(9 * 41);
  layer.linear().forward(x.data(), 777, 9, y.data(), 41, pool);
  for (std::size_t r = 0; r < 9; ++r) {
    for (std::size_t n = 0; n < 41; ++n) {
      double sum = layer.bias[n];
      double terms = std::abs(sum);
      for (std::size_t k = 0; k < 777; ++k) {
        const double term = static_cast<double>(x[r * 777 + k]) * static_cast<double>(layer.weight[n * 777 + k]);
        sum += term;
        terms += std::abs(term);
      }
      EXPECT_NEAR(y[r * 41 + n], sum, 778 * 0x1p-24 * terms);
    }
  }
}

TEST_P(LinearOnPath, BitsDoNotDependOnThreadsOrRows) {
  const Layer layer(300, 200, true, 5);
  const Linear linear = layer.linear();
  constexpr int64_t kRows = 101;
  const std::vector<float> x = Noise(6).values(kRows * 300);
  std::vector<float> one_by_one(kRows * 200);
  ThreadPool alone(1);
  for (int64_t r = 0; r < kRows; ++r)
    linear.forward(x.data() + r * 300, 300, 1, one_by_one.data() + r * 200, 200, alone);
  for (int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    for (int64_t batch : {kRows, int64_t{48}, int64_t{7}}) {
      std::vector<float> y(kRows * 200);
      for (int64_t r = 0; r < kRows; r += batch)
        linear.forward(x.data() + r * 300, 300, std::min(batch, kRows - r), y.data() + r * 200, 200, pool);
      EXPECT_TRUE(same_bits(y, one_by_one)) << threads << " threads, " << batch << " rows at once";
    }
  }
}

TEST_P(LinearOnPath, KeepsWithinItsStrides) {
  ThreadPool pool(1);
  const Layer layer(5, 19, true, 9);
  const std::vector<float> x = Noise(1).values(7 * 11);
  std::vector<float> y(7 * 23, 42.0f);
  layer.linear().forward(x.data(), 11, 7, y.data(), 23, pool);
  for (std::size_t r = 0; r < 7; ++r)
    for (std::size_t n = 19; n < 23; ++n) EXPECT_EQ(y[r * 23 + n], 42.0f);
  std::vector<float> packed;
  for (std::size_t r = 0; r < 7; ++r)
    packed.insert(packed.end(), x.begin() + static_cast<int>(r * 11), x.begin() + static_cast<int>(r * 11 + 5));
  const std::vector<float> wanted = expected(layer, packed, 7, nullptr);
  for (std::size_t r = 0; r < 7; ++r)
    for (std::size_t n = 0; n < 19; ++n) EXPECT_TRUE(same_bits(y[r * 23 + n], wanted[r * 19 + n]));
}

TEST_P(LinearOnPath, CarriesSpecialValues) {
  ThreadPool pool(1);
  Noise noise(77);
  for (int64_t out : {1, 17, 40}) {
    Layer layer(3, out, true, 1);
    layer.weight = noise.anything(3 * out);
    layer.bias = noise.anything(out);
    const std::vector<float> x = noise.anything(15 * 3);
    std::vector<float> y(static_cast<std::size_t>(15 * out));
    layer.linear().forward(x.data(), 3, 15, y.data(), out, pool);
    EXPECT_TRUE(same_bits(y, expected(layer, x, 15, nullptr)));
  }
}

VQCODEC_ON_EVERY_PATH(LinearOnPath);

TEST(Linear, NoRowsTouchNothing) {
  ThreadPool pool(1);
  const Layer layer(4, 4, true, 1);
  layer.linear().forward(nullptr, 4, 0, nullptr, 4, pool);
  Linear().forward(nullptr, 0, 3, nullptr, 0, pool);
}

TEST(Linear, SizesThatDoNotFitAreRefused) {
  const std::vector<float> six(6), two(2);
  EXPECT_NO_THROW(Linear(3, 2, six, two));
  EXPECT_ERROR(Linear(2, 2, six, two), ExitCode::kInternal, HasSubstr("2 inputs and 2 outputs given 6 weights"));
  EXPECT_ERROR(Linear(3, 2, six, six), ExitCode::kInternal, HasSubstr("6 biases"));
  EXPECT_ERROR(Linear(0, 2, {}, two), ExitCode::kInternal, HasSubstr("0 inputs"));
  EXPECT_ERROR(Linear(-3, -2, six, {}), ExitCode::kInternal, HasSubstr("-3 inputs"));
  EXPECT_ERROR(Linear(int64_t{1} << 62, 4, {}, {}), ExitCode::kInternal, HasSubstr("given 0 weights"));
}

class DepthwiseOnPath : public EveryPath {};

TEST_P(DepthwiseOnPath, IsTheChainInAscendingOrder) {
  Noise noise(20);
  for (int64_t channels : kAwkwardSizes) {
    for (int64_t kernel : {1, 3, 7}) {
      for (int64_t dilation : {1, 2, 5}) {
        for (bool has_bias : {true, false}) {
          constexpr int64_t kFrames = 4;
          const int64_t in_frames = kFrames + (kernel - 1) * dilation;
          const std::vector<float> x = noise.values(in_frames * channels);
          const std::vector<float> w = noise.values(kernel * channels);
          const std::vector<float> bias = noise.values(channels);
          std::vector<float> y(static_cast<std::size_t>(kFrames * channels), kNan);
          depthwise_conv1d(x.data(), channels, kFrames, channels, kernel, dilation, w.data(),
                           has_bias ? bias.data() : nullptr, y.data(), channels);
          std::vector<float> wanted(y.size());
          for (int64_t t = 0; t < kFrames; ++t) {
            for (int64_t c = 0; c < channels; ++c) {
              float sum = has_bias ? bias[static_cast<std::size_t>(c)] : 0.0f;
              for (int64_t k = 0; k < kernel; ++k)
                sum = std::fma(x[static_cast<std::size_t>((t + k * dilation) * channels + c)],
                               w[static_cast<std::size_t>(k * channels + c)], sum);
              wanted[static_cast<std::size_t>(t * channels + c)] = sum;
            }
          }
          ASSERT_TRUE(same_bits(y, wanted)) << channels << " channels, kernel " << kernel << ", dilation " << dilation;
        }
      }
    }
  }
}

VQCODEC_ON_EVERY_PATH(DepthwiseOnPath);

}  // namespace
}  // namespace vqcodec::runtime
