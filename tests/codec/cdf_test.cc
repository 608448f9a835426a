#include "codec/cdf.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "codec/crc32c.h"
#include "codec/little_endian.h"

namespace vqcodec::codec {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<uint32_t> counts(const std::vector<float>& weights, uint32_t total_bits = 20) {
  std::vector<uint32_t> cum(weights.size() + 1);
  EXPECT_TRUE(build_cdf(weights, total_bits, cum));
  EXPECT_EQ(cum.front(), 0U);
  EXPECT_EQ(cum.back(), 1U << total_bits);
  std::vector<uint32_t> result;
  for (size_t i = 0; i < weights.size(); ++i) {
    EXPECT_GT(cum[i + 1], cum[i]);
    result.push_back(cum[i + 1] - cum[i]);
  }
  return result;
}

TEST(Cdf, OneSymbolHasEverything) {
  EXPECT_EQ(counts({0.3F}), std::vector<uint32_t>{1U << 20});
  EXPECT_EQ(counts({kNan}), std::vector<uint32_t>{1U << 20});
}

TEST(Cdf, TwoSymbols) {
  EXPECT_EQ(counts({1.0F, 1.0F}), (std::vector<uint32_t>{1U << 19, 1U << 19}));
  EXPECT_EQ(counts({1.0F, 0.0F}), (std::vector<uint32_t>{(1U << 20) - 1, 1}));
  EXPECT_EQ(counts({0.0F, 1e-30F}), (std::vector<uint32_t>{1, (1U << 20) - 1}));
}

TEST(Cdf, CountsFollowProbabilities) {
  std::mt19937 random(1);
  std::exponential_distribution<float> draw;
  std::vector<float> weights(1000);
  double sum = 0.0;
  for (float& weight : weights) sum += weight = draw(random) * draw(random);
  for (const uint32_t total_bits : {20U, 24U}) {
    const auto result = counts(weights, total_bits);
    double divergence_bits = 0.0;
    for (size_t i = 0; i < weights.size(); ++i) {
      const double p = weights[i] / sum;
      if (p > 0) divergence_bits += p * std::log2(p * std::exp2(total_bits) / result[i]);
    }
    EXPECT_LT(divergence_bits, 0.002);
    EXPECT_GE(divergence_bits, 0.0);
  }
}

TEST(Cdf, MostSymbolsSmallestTotal) {
  std::vector<float> weights(65536, 0.0F);
  weights[40000] = 1.0F;
  const auto result = counts(weights);
  EXPECT_EQ(result[40000], (1U << 20) - 65535);
  EXPECT_EQ(result[0], 1U);
  EXPECT_EQ(counts(std::vector<float>(65536, 2.5F)), std::vector<uint32_t>(65536, 16));
}

TEST(Cdf, NanAndNegativeWeighNothing) {
  EXPECT_EQ(counts({kNan, 1.0F, -3.0F, -kInfinity}), counts({0.0F, 1.0F, 0.0F, 0.0F}));
}

TEST(Cdf, InfinitiesShareEverything) {
  EXPECT_EQ(counts({kInfinity, 3e38F, kInfinity, kNan}), counts({1.0F, 0.0F, 1.0F, 0.0F}));
}

TEST(Cdf, NothingLeftIsUniform) { EXPECT_EQ(counts({0.0F, -1.0F, kNan, -0.0F}), std::vector<uint32_t>(4, 1U << 18)); }

TEST(Cdf, ScaleDoesNotMatter) {
  EXPECT_EQ(counts({1e-40F, 3e-40F}), counts({1e-40F, 3e-40F}));
  EXPECT_EQ(counts({0.25F, 0.5F, 0.125F}), counts({2.0F, 4.0F, 1.0F}));
}

// The rule is part of files to come: what it gives must never change.
TEST(Cdf, CountsAreFrozen) {
  std::vector<float> weights;
  for (int i = 1; i <= 1024; ++i) weights.push_back(static_cast<float>((i * 7919) % 1031) / 1031.0F);
  std::vector<uint32_t> cum(weights.size() + 1);
  ASSERT_TRUE(build_cdf(weights, 22, cum));
  std::vector<uint8_t> bytes;
  for (const uint32_t value : cum) append_le(bytes, value);
  EXPECT_EQ(cum[1], 5585U);
  EXPECT_EQ(crc32c(bytes), 12592467U);
}

TEST(Cdf, ImpossibleTablesAreBadArguments) {
  std::vector<uint32_t> cum(3);
  const std::vector<float> two(2, 1.0F);
  for (const uint32_t total_bits : {0U, 19U, 25U}) {
    const auto r = build_cdf(two, total_bits, cum);
    ASSERT_FALSE(r.ok());
    EXPECT_EQ(r.error().code, Errc::kBadArgument);
  }
  EXPECT_FALSE(build_cdf({}, 20, {cum.data(), 1}).ok());
  EXPECT_FALSE(build_cdf(two, 20, {cum.data(), 2}).ok());
  cum.resize(65538);
  EXPECT_FALSE(build_cdf(std::vector<float>(65537, 1.0F), 24, cum).ok());
}

TEST(Cdf, EveryCountFindsItsSymbol) {
  std::vector<uint32_t> cum(4);
  ASSERT_TRUE(build_cdf(std::vector<float>{1.0F, 0.0F, 5.0F}, 20, cum));
  for (uint32_t symbol = 0; symbol < 3; ++symbol) {
    EXPECT_EQ(find_symbol(cum, cum[symbol]), symbol);
    EXPECT_EQ(find_symbol(cum, cum[symbol + 1] - 1), symbol);
  }
}

// Weights of every kind that the rule tells apart, at sizes around the loops' steps.
std::vector<std::vector<float>> weights_of_all_kinds() {
  std::mt19937 random(2);
  std::exponential_distribution<float> draw;
  std::vector<std::vector<float>> all = {{1.0F, 0.0F, 5.0F}, {kNan}, {kInfinity, 1.0F}, {1e-40F, 3e-40F, 0.0F}};
  for (const size_t n : {1U, 2U, 15U, 16U, 17U, 63U, 64U, 65U, 129U, 1000U, 65536U}) {
    std::vector<float> weights(n);
    for (float& weight : weights) weight = std::pow(draw(random), 8.0F);
    all.push_back(weights);
    float largest = 0.0F;
    for (const float weight : weights) largest = std::max(largest, weight);
    for (float& weight : weights) weight /= largest;
    all.push_back(weights);  // the largest is 1
    for (size_t i = 0; i < n; i += 3) weights[i] = i % 2 == 0 ? kNan : -1.0F;
    all.push_back(weights);
    weights[n / 2] = kInfinity;
    all.push_back(weights);
    all.emplace_back(n, 0.0F);
    all.emplace_back(n, kNan);
  }
  return all;
}

TEST(Cdf, OneSymbolsCountsAreThoseOfTheTable) {
  for (const auto& weights : weights_of_all_kinds()) {
    for (const uint32_t total_bits : {20U, 24U}) {
      std::vector<uint32_t> cum(weights.size() + 1);
      ASSERT_TRUE(build_cdf(weights, total_bits, cum));
      const size_t step = weights.size() > 1000 ? 997 : 1;
      for (size_t symbol = 0; symbol < weights.size(); symbol += step) {
        const SymbolCounts wanted = {static_cast<uint32_t>(symbol), cum[symbol], cum[symbol + 1] - cum[symbol]};
        const auto counts = counts_of_symbol(weights, total_bits, wanted.symbol);
        ASSERT_TRUE(counts.ok());
        ASSERT_EQ(*counts, wanted) << weights.size();
        for (const uint32_t target : {wanted.cum, wanted.cum + wanted.freq - 1}) {
          const auto found = symbol_at(weights, total_bits, target);
          ASSERT_TRUE(found.ok());
          ASSERT_EQ(*found, wanted) << weights.size() << " weights, target " << target;
        }
      }
    }
  }
}

TEST(Cdf, SymbolsAndTargetsBeyondTheEndAreBadArguments) {
  const std::vector<float> two(2, 1.0F);
  EXPECT_FALSE(counts_of_symbol(two, 20, 2).ok());
  EXPECT_FALSE(counts_of_symbol({}, 20, 0).ok());
  EXPECT_FALSE(counts_of_symbol(two, 19, 0).ok());
  EXPECT_FALSE(symbol_at(two, 20, 1U << 20).ok());
  EXPECT_FALSE(symbol_at(two, 25, 0).ok());
  EXPECT_FALSE(symbol_at({}, 20, 0).ok());
  ASSERT_FALSE(symbol_at(two, 20, 1U << 20).ok());
  EXPECT_EQ(symbol_at(two, 20, 1U << 20).error().code, Errc::kBadArgument);
}

}  // namespace
}  // namespace vqcodec::codec
