#include "base/counter_random.h"

#include <map>
#include <vector>

#include <gtest/gtest.h>

namespace vqcodec {
namespace {

TEST(CounterRandom, SameKeySameDrawsOtherKeyOtherDraws) {
  std::map<uint64_t, int> first;
  for (uint64_t seed = 0; seed < 3; ++seed) {
    for (uint64_t stream = 0; stream < 20; ++stream) {
      for (uint64_t item = 0; item < 20; ++item) ++first[CounterRandom(seed, stream, item).next()];
    }
  }
  EXPECT_EQ(first.size(), 1200U);
  CounterRandom a(1, 2, 3), b(1, 2, 3);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(a.next(), b.next());
}

TEST(CounterRandom, DistributionsHaveTheirMoments) {
  CounterRandom random(1, 0, 0);
  constexpr int kDraws = 100000;
  double mean = 0, square = 0, uniform_mean = 0;
  std::vector<int> counts(7);
  for (int i = 0; i < kDraws; ++i) {
    const double normal = random.normal(), uniform = random.uniform();
    ASSERT_GE(uniform, 0);
    ASSERT_LT(uniform, 1);
    mean += normal;
    square += normal * normal;
    uniform_mean += uniform;
    ++counts.at(random.below(7));
  }
  EXPECT_NEAR(mean / kDraws, 0, 0.015);
  EXPECT_NEAR(square / kDraws, 1, 0.03);
  EXPECT_NEAR(uniform_mean / kDraws, 0.5, 0.005);
  for (const int count : counts) EXPECT_NEAR(count, kDraws / 7, 500);
}

// Seeds that people have noted give the same draws for ever.
TEST(CounterRandom, DrawsAreThoseWrittenDown) { EXPECT_EQ(CounterRandom(1, 2, 3).next(), 0xD26DEDB165D43527ULL); }

}  // namespace
}  // namespace vqcodec
