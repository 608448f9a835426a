#include "runtime/nearest.h"

#include <gtest/gtest.h>

#include "tests/base/expect_error.h"
#include "tests/runtime/runtime_test_util.h"

namespace vqcodec::runtime {
namespace {

using ::testing::HasSubstr;

class NearestOnPath : public EveryPath {};

// The documented scores, by the standard library.
uint16_t least_score(const std::vector<float>& entries, int64_t size, int64_t dim, const float* x) {
  float best = kInfinity;
  int64_t place = 0;
  for (int64_t j = 0; j < size; ++j) {
    const float* c = entries.data() + j * dim;
    float norm = 0.0f;
    for (int64_t d = 0; d < dim; ++d) norm = std::fma(c[d], c[d], norm);
    float score = norm * 0.5f;
    for (int64_t d = 0; d < dim; ++d) score = std::fma(x[d], -c[d], score);
    if (score < best) {
      best = score;
      place = j;
    }
  }
  return static_cast<uint16_t>(place);
}

TEST_P(NearestOnPath, FindsTheEntryWithTheLeastDocumentedScore) {
  ThreadPool pool(1);
  Noise noise(1);
  for (int64_t size : {1, 2, 15, 16, 17, 33, 100, 1024}) {
    for (int64_t dim : {1, 8, 19}) {
      const std::vector<float> entries = noise.values(size * dim);
      const Codebook codebook(size, dim, entries);
      constexpr int64_t kRows = 53;
      const std::vector<float> x = noise.values(kRows * dim);
      std::vector<uint16_t> index(kRows * 3, 7777);
      codebook.nearest(x.data(), dim, kRows, index.data(), 3, pool);
      for (int64_t r = 0; r < kRows; ++r) {
        ASSERT_EQ(index[static_cast<std::size_t>(r * 3)], least_score(entries, size, dim, x.data() + r * dim))
            << size << " entries of " << dim << ", row " << r;
        ASSERT_EQ(index[static_cast<std::size_t>(r * 3 + 1)], 7777);
      }
    }
  }
}

// No entry is nearer in double than the one found by more than the rounding of the scores allows.
TEST_P(NearestOnPath, IsNearestInDouble) {
  ThreadPool pool(1);
  Noise noise(2);
  constexpr int64_t kSize = 1024, kDim = 64, kRows = 40;
  const std::vector<float> entries = noise.values(kSize * kDim);
  const std::vector<float> x = noise.values(kRows * kDim);
  std::vector<uint16_t> index(kRows);
  Codebook(kSize, kDim, entries).nearest(x.data(), kDim, kRows, index.data(), 1, pool);
  for (int64_t r = 0; r < kRows; ++r) {
    const auto distance = [&](int64_t j) {
      double sum = 0;
      for (int64_t d = 0; d < kDim; ++d) {
        const double difference = static_cast<double>(x[static_cast<std::size_t>(r * kDim + d)]) -
                                  static_cast<double>(entries[static_cast<std::size_t>(j * kDim + d)]);
        sum += difference * difference;
      }
      return sum;
    };
    double least = distance(0);
    for (int64_t j = 1; j < kSize; ++j) least = std::min(least, distance(j));
    EXPECT_LE(distance(index[static_cast<std::size_t>(r)]), least + 1e-4);
  }
}

TEST_P(NearestOnPath, CostsAreAddedToHalfTheSquaredDistance) {
  ThreadPool pool(1);
  const std::vector<float> entries = {0.0f, 1.0f, 2.0f};
  // At 1 the middle entry is nearest, and the others are half a squared distance of 0.5 away.
  const std::vector<float> x = {1.0f, 0.0f, 2.0f};
  std::vector<uint16_t> index(3, 9);
  const auto with_costs = [&](const std::vector<float>& costs) {
    Codebook(3, 1, entries, costs).nearest(x.data(), 1, 3, index.data(), 1, pool);
    return index;
  };
  EXPECT_EQ(with_costs({5, 5, 5}), (std::vector<uint16_t>{1, 0, 2}));
  EXPECT_EQ(with_costs({0, 0.49f, 0}), (std::vector<uint16_t>{1, 0, 2}));
  EXPECT_EQ(with_costs({0.1f, 0.61f, 0}), (std::vector<uint16_t>{2, 0, 2}));
  EXPECT_EQ(with_costs({0, 9, 9}), (std::vector<uint16_t>{0, 0, 0}));
}

TEST_P(NearestOnPath, OfEqualsTheLowestIsTaken) {
  ThreadPool pool(1);
  for (int64_t size : kAwkwardSizes) {
    const std::vector<float> entries(static_cast<std::size_t>(size * 2), 0.5f);
    const float x[] = {0.25f, -1.0f};
    uint16_t index = 9;
    Codebook(size, 2, entries).nearest(x, 2, 1, &index, 1, pool);
    EXPECT_EQ(index, 0);
  }
  // Entries 5 and 40 are the same and nearest.
  std::vector<float> entries(50, 10.0f);
  entries[5] = entries[40] = 1.0f;
  const float x = 1.0f;
  uint16_t index = 9;
  Codebook(50, 1, entries).nearest(&x, 1, 1, &index, 1, pool);
  EXPECT_EQ(index, 5);
}

TEST_P(NearestOnPath, LargestCodebookHasAllItsIndices) {
  ThreadPool pool(2);
  std::vector<float> entries(65536, 0.0f);
  entries[40000] = -3.0f;
  entries[65535] = 3.0f;
  const std::vector<float> x = {3.0f, 0.0f, -3.0f, 1e9f};
  std::vector<uint16_t> index(4);
  Codebook(65536, 1, entries).nearest(x.data(), 1, 4, index.data(), 1, pool);
  EXPECT_EQ(index, (std::vector<uint16_t>{65535, 0, 40000, 65535}));
}

TEST_P(NearestOnPath, RowWithNanGivesZero) {
  ThreadPool pool(1);
  const std::vector<float> entries = {3.0f, 1.0f, 2.0f};
  const std::vector<float> x = {kNan, 1.0f, kNan};
  std::vector<uint16_t> index(3, 9);
  Codebook(3, 1, entries).nearest(x.data(), 1, 3, index.data(), 1, pool);
  EXPECT_EQ(index, (std::vector<uint16_t>{0, 1, 0}));
}

TEST_P(NearestOnPath, DoesNotDependOnThreadsOrRows) {
  Noise noise(5);
  const Codebook codebook(300, 20, noise.values(300 * 20));
  constexpr int64_t kRows = 201;
  const std::vector<float> x = noise.values(kRows * 20);
  std::vector<uint16_t> one_by_one(kRows);
  ThreadPool alone(1);
  for (int64_t r = 0; r < kRows; ++r)
    codebook.nearest(x.data() + r * 20, 20, 1, &one_by_one[static_cast<std::size_t>(r)], 1, alone);
  for (int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    std::vector<uint16_t> index(kRows);
    codebook.nearest(x.data(), 20, kRows, index.data(), 1, pool);
    EXPECT_EQ(index, one_by_one) << threads << " threads";
  }
}

TEST_P(NearestOnPath, ArgmaxIsTheFirstGreatest) {
  Noise noise(6);
  for (int64_t width : kAwkwardSizes) {
    constexpr int64_t kRows = 20;
    std::vector<float> x = noise.anything(kRows * width);
    for (float& v : x) v = noise.bits() % 2 == 0 ? static_cast<float>(noise.bits() % 4) : v;  // with equals
    std::vector<uint16_t> index(kRows);
    argmax(x.data(), width, kRows, width, index.data(), 1);
    for (int64_t r = 0; r < kRows; ++r) {
      int64_t wanted = 0;
      float best = -kInfinity;
      for (int64_t i = 0; i < width; ++i) {
        const float v = x[static_cast<std::size_t>(r * width + i)];
        if (v > best) {
          best = v;
          wanted = i;
        }
      }
      ASSERT_EQ(index[static_cast<std::size_t>(r)], wanted) << "width " << width << ", row " << r;
    }
  }
}

TEST_P(NearestOnPath, ArgmaxOfNothingAboveMinusInfinityIsZero) {
  const std::vector<float> x(40, -kInfinity), nan(40, kNan);
  uint16_t index = 9;
  argmax(x.data(), 40, 1, 40, &index, 1);
  EXPECT_EQ(index, 0);
  argmax(nan.data(), 40, 1, 40, &index, 1);
  EXPECT_EQ(index, 0);
}

VQCODEC_ON_EVERY_PATH(NearestOnPath);

TEST(Codebook, KeepsItsEntries) {
  const std::vector<float> entries = {1, 2, 3, 4, 5, 6};
  const Codebook codebook(3, 2, entries);
  EXPECT_EQ(codebook.size(), 3);
  EXPECT_EQ(codebook.dim(), 2);
  EXPECT_EQ(codebook.entry(2)[1], 6.0f);
}

TEST(Codebook, SizesThatDoNotFitAreRefused) {
  const std::vector<float> six(6);
  EXPECT_ERROR(Codebook(2, 2, six), ExitCode::kInternal, HasSubstr("2 entries of dimension 2 given 6 values"));
  EXPECT_ERROR(Codebook(0, 2, {}), ExitCode::kInternal, HasSubstr("0 entries"));
  EXPECT_ERROR(Codebook(65537, 1, six), ExitCode::kInternal, HasSubstr("65537 entries"));
  EXPECT_ERROR(Codebook(1, 0, {}), ExitCode::kInternal, HasSubstr("dimension 0"));
  EXPECT_ERROR(Codebook(3, 2, six, {six.data(), 2}), ExitCode::kInternal, HasSubstr("3 entries given 2 costs"));
}

}  // namespace
}  // namespace vqcodec::runtime
