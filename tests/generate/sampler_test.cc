#include "generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/counter_random.h"
#include "tests/base/expect_error.h"
#include "tests/runtime/runtime_test_util.h"

namespace vqcodec::generate {
namespace {

using testing::HasSubstr;

// How often each code is drawn, of `count` draws.
std::vector<int> draws(const std::vector<float>& logits, const SamplingOptions& options, int count) {
  Sampler sampler;
  std::vector<int> counts(logits.size());
  for (int i = 0; i < count; ++i) {
    std::vector<float> copy = logits;
    ++counts.at(sampler.draw(copy, options, CounterRandom(1, 0, static_cast<uint64_t>(i)).next()));
  }
  return counts;
}

const std::vector<float> kFour = {std::log(0.1f), std::log(0.4f), std::log(0.2f), std::log(0.3f)};

TEST(Sampler, DrawsAsTheLogitsSay) {
  const auto counts = draws(kFour, {}, 40000);
  const double wanted[] = {0.1, 0.4, 0.2, 0.3};
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(counts[i], 40000 * wanted[i], 500) << i;
}

TEST(Sampler, TemperatureSharpensAndFlattens) {
  // Probabilities to the power of 1 / temperature.
  const auto sharp = draws(kFour, {.temperature = 0.5}, 40000);
  const double sum = 0.01 + 0.16 + 0.04 + 0.09;
  EXPECT_NEAR(sharp[1], 40000 * 0.16 / sum, 500);
  EXPECT_NEAR(sharp[0], 40000 * 0.01 / sum, 250);
  for (const int count : draws(kFour, {.temperature = kMaxTemperature}, 40000)) EXPECT_NEAR(count, 10000, 400);
  for (const double cold : {0.0, 1e-300, 1e-40, 1e-6}) {
    EXPECT_EQ(draws(kFour, {.temperature = cold}, 200), (std::vector<int>{0, 200, 0, 0})) << cold;
  }
  // Of equally likely codes the first.
  EXPECT_EQ(draws({1, 3, 3}, {.temperature = 0}, 10), (std::vector<int>{0, 10, 0}));
}

TEST(Sampler, TopKAndTopPLeaveTheLikeliest) {
  auto counts = draws(kFour, {.top_k = 2}, 14000);
  EXPECT_EQ(counts[0] + counts[2], 0);
  EXPECT_NEAR(counts[1], 8000, 300);
  EXPECT_EQ(draws(kFour, {.top_k = 1}, 100), (std::vector<int>{0, 100, 0, 0}));
  EXPECT_EQ(draws(kFour, {.top_k = 9}, 1000), draws(kFour, {}, 1000));
  counts = draws(kFour, {.top_p = 0.65}, 14000);  // 0.4 + 0.3 reach it
  EXPECT_EQ(counts[0] + counts[2], 0);
  EXPECT_NEAR(counts[3], 6000, 300);
  counts = draws(kFour, {.top_p = 0.75}, 9000);  // 0.2 more
  EXPECT_EQ(counts[0], 0);
  EXPECT_NEAR(counts[2], 2000, 250);
  EXPECT_EQ(draws(kFour, {.top_p = 1e-9}, 100), (std::vector<int>{0, 100, 0, 0}));
  counts = draws(kFour, {.top_k = 3, .top_p = 0.7}, 7000);  // of 0.9: 0.63 are wanted
  EXPECT_EQ(counts[0] + counts[2], 0);
  // Ties at the border: the lower codes.
  counts = draws({0, 0, 0, 0}, {.top_k = 2}, 1000);
  EXPECT_EQ(counts[2] + counts[3], 0);
  EXPECT_GT(std::min(counts[0], counts[1]), 400);
}

TEST(Sampler, EveryLogitIsSurvived) {
  runtime::Noise noise(3);
  Sampler sampler;
  for (int i = 0; i < 3000; ++i) {
    const auto size = static_cast<int64_t>(1 + noise.bits() % 100);
    const std::vector<float> logits = noise.anything(size);
    for (const SamplingOptions& options :
         {SamplingOptions{}, SamplingOptions{.temperature = 0}, SamplingOptions{.temperature = 1e-45},
          SamplingOptions{.temperature = kMaxTemperature, .top_k = 3, .top_p = 0.5},
          SamplingOptions{.top_p = 1e-300}}) {
      std::vector<float> copy = logits;
      const uint16_t code = sampler.draw(copy, options, noise.bits() * uint64_t{0x100000001});
      ASSERT_LT(code, size);
      copy = logits;
      const double bits = sampler.cost_bits(copy, code);
      ASSERT_GE(bits, 0);
      ASSERT_LE(bits, 57);
    }
    std::vector<float> copy = logits;
    guide(copy, noise.anything(size), 3);
    ASSERT_LT(sampler.draw(copy, {}, ~uint64_t{0}), size);
  }
  EXPECT_EQ(draws({runtime::kNan, 1, runtime::kNan}, {}, 50), (std::vector<int>{0, 50, 0}));
  EXPECT_EQ(draws({1, runtime::kInfinity, -runtime::kInfinity}, {}, 50), (std::vector<int>{0, 50, 0}));
  const auto counts = draws({runtime::kNan, runtime::kNan}, {}, 1000);
  EXPECT_GT(std::min(counts[0], counts[1]), 400);
}

TEST(Sampler, CostIsThatOfTheProbability) {
  Sampler sampler;
  double sum = 0;
  for (uint16_t code = 0; code < 4; ++code) {
    std::vector<float> logits = kFour;
    const double bits = sampler.cost_bits(logits, code);
    EXPECT_NEAR(bits, -std::log2(std::exp(kFour[code])), 1e-5);
    sum += std::exp2(-bits);
  }
  EXPECT_NEAR(sum, 1, 1e-5);
  std::vector<float> unlikely = {0, -1000};
  EXPECT_NEAR(sampler.cost_bits(unlikely, 1), 40, 1e-5);
}

TEST(Guide, GoesOnFromWithoutToWith) {
  const std::vector<float> without = {1, 2, -1};
  std::vector<float> logits = {2, 2, -3};
  guide(logits, without, 2);
  EXPECT_EQ(logits, (std::vector<float>{3, 2, -5}));
  guide(logits, without, 0);
  EXPECT_EQ(logits, without);
  guide(logits, {std::vector<float>{0, 0, 0}}, 1);
  EXPECT_EQ(logits, without);
}

TEST(SamplingOptionsCheck, RefusesWhatIsOutside) {
  for (const auto& [options, says] :
       std::vector<std::pair<SamplingOptions, const char*>>{{{.temperature = -1}, "temperature -1"},
                                                            {{.temperature = 1.1e9}, "temperature"},
                                                            {{.temperature = std::nan("")}, "temperature nan"},
                                                            {{.top_k = -1}, "top-k -1"},
                                                            {{.top_p = 0}, "top-p 0"},
                                                            {{.top_p = 1.01}, "top-p 1.01"},
                                                            {{.top_p = std::nan("")}, "top-p nan"}}) {
    EXPECT_ERROR(check(options), ExitCode::kUsage, HasSubstr(says));
  }
  check({});
  check({.temperature = 0, .top_k = 65536});
  check({.temperature = kMaxTemperature});
}

// What the guard takes from each code's logit.
std::map<int, float> losses(const RepetitionGuard& guard, int num_codes) {
  std::vector<float> logits(static_cast<size_t>(num_codes));
  guard.penalize(logits, 1);
  std::map<int, float> found;
  for (int i = 0; i < num_codes; ++i) {
    if (logits[static_cast<size_t>(i)] != 0) found[i] = logits[static_cast<size_t>(i)];
  }
  return found;
}

TEST(RepetitionGuard, SpeaksAgainstCopiesOfWholeUnits) {
  RepetitionGuard guard(4, 12);
  const uint16_t figure[] = {1, 5, 2, 7, 3, 6};
  for (int i = 0; i < 6; ++i) guard.append(figure[i]);
  EXPECT_TRUE(losses(guard, 10).empty());
  for (int i = 0; i < 3; ++i) guard.append(figure[i]);
  EXPECT_TRUE(losses(guard, 10).empty());  // three frames are no unit
  guard.append(figure[3]);
  EXPECT_EQ(losses(guard, 10), (std::map<int, float>{{3, -1.0f}}));
  for (int i = 4; i < 6; ++i) guard.append(figure[i]);
  EXPECT_EQ(losses(guard, 10), (std::map<int, float>{{1, -1.0f}}));
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 6; ++i) guard.append(figure[i]);
  }
  EXPECT_EQ(losses(guard, 10), (std::map<int, float>{{1, -4.0f}}));  // and no more
  guard.append(9);
  EXPECT_TRUE(losses(guard, 10).empty());
}

TEST(RepetitionGuard, SpeaksAgainstACodeThatStaysAndNotBeyondItsLag) {
  RepetitionGuard guard(4, 12);
  for (int i = 0; i < 4; ++i) guard.append(8);
  EXPECT_TRUE(losses(guard, 10).empty());
  guard.append(8);
  EXPECT_EQ(losses(guard, 10), (std::map<int, float>{{8, -1.0f}}));
  RepetitionGuard far(2, 3);
  for (int round = 0; round < 9; ++round) {
    for (uint16_t i = 0; i < 4; ++i) far.append(i);
  }
  EXPECT_TRUE(losses(far, 10).empty());
}

}  // namespace
}  // namespace vqcodec::generate
