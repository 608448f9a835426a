#include "runtime/attention.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "runtime/ops.h"
#include "tests/base/expect_error.h"
#include "tests/runtime/runtime_test_util.h"

namespace vqcodec::runtime {
namespace {

using ::testing::HasSubstr;

// Queries, keys and values side by side, as a layer's product gives them.
struct Frames {
  Frames(int64_t heads, int64_t dim, int64_t count, uint32_t seed, float scale = 2.0f)
      : num_heads(heads),
        head_dim(dim),
        width(heads * dim),
        num_frames(count),
        x(Noise(seed).values(count * 3 * width, scale)) {}
  const float* query(int64_t frame) const { return x.data() + frame * 3 * width; }
  const float* key(int64_t frame) const { return query(frame) + width; }
  const float* value(int64_t frame) const { return query(frame) + 2 * width; }

  int64_t num_heads, head_dim, width, num_frames;
  std::vector<float> x;
};

// The documented order, by the standard library and ops.h.
std::vector<float> expected(const Frames& frames, int64_t window) {
  std::vector<float> y;
  for (int64_t t = 0; t < frames.num_frames; ++t) {
    const int64_t oldest = std::max<int64_t>(0, t - window + 1);
    for (int64_t head = 0; head < frames.num_heads; ++head) {
      std::vector<float> weights;
      for (int64_t s = oldest; s <= t; ++s) {
        float score = 0.0f;
        for (int64_t d = head * frames.head_dim; d < (head + 1) * frames.head_dim; ++d)
          score = std::fma(frames.query(t)[d], frames.key(s)[d], score);
        weights.push_back(score);
      }
      const auto seen = static_cast<int64_t>(weights.size());
      softmax(weights.data(), seen, 1, seen, weights.data(), seen);
      for (int64_t d = head * frames.head_dim; d < (head + 1) * frames.head_dim; ++d) {
        float sum = 0.0f;
        for (int64_t s = oldest; s <= t; ++s)
          sum = std::fma(weights[static_cast<std::size_t>(s - oldest)], frames.value(s)[d], sum);
        y.push_back(sum);
      }
    }
  }
  return y;
}

// In blocks of the given sizes, over and over.
std::vector<float> run(const Frames& frames, int64_t window, const std::vector<int64_t>& blocks, int threads) {
  ThreadPool pool(threads);
  AttentionCache cache(frames.num_heads, frames.head_dim, window, *std::ranges::max_element(blocks));
  const int64_t y_stride = frames.width + 3;
  std::vector<float> y(static_cast<std::size_t>(frames.num_frames * y_stride), 42.0f);
  for (int64_t t = 0, i = 0; t < frames.num_frames; ++i) {
    const int64_t count = std::min(blocks[static_cast<std::size_t>(i) % blocks.size()], frames.num_frames - t);
    cache.append(frames.key(t), frames.value(t), 3 * frames.width, count);
    EXPECT_EQ(cache.num_frames(), t + count);
    cache.attend(frames.query(t), 3 * frames.width, count, y.data() + t * y_stride, y_stride, pool);
    t += count;
  }
  std::vector<float> packed;
  for (int64_t t = 0; t < frames.num_frames; ++t) {
    const float* const row = y.data() + t * y_stride;
    packed.insert(packed.end(), row, row + frames.width);
    for (int64_t i = frames.width; i < y_stride; ++i) EXPECT_EQ(row[i], 42.0f);
  }
  return packed;
}

class AttentionOnPath : public EveryPath {};

TEST_P(AttentionOnPath, IsTheDocumentedOrder) {
  for (const int64_t head_dim : {2, 10, 32, 33, 64, 70}) {
    for (const int64_t window : {1, 5, 31, 32, 33, 100}) {
      const Frames frames(3, head_dim, 150, static_cast<uint32_t>(head_dim * 1000 + window));
      const std::vector<float> wanted = expected(frames, window);
      for (const std::vector<int64_t>& blocks :
           std::vector<std::vector<int64_t>>{{1}, {2, 3}, {24}, {25, 1, 48}, {96}, {150}})
        ASSERT_TRUE(same_bits(run(frames, window, blocks, 1), wanted))
            << "dimension " << head_dim << ", window " << window << ", blocks of " << blocks[0];
      ASSERT_TRUE(same_bits(run(frames, window, {40, 7}, 4), wanted));
    }
  }
}

TEST_P(AttentionOnPath, LargeScoresAndValuesThatAreNotFiniteStayWhereTheyAreSeen) {
  const int64_t window = 6;
  Frames frames(2, 8, 70, 9, 1e20f);  // scores overflow
  for (const int64_t t : {10, 20, 21, 40}) {
    frames.x[static_cast<std::size_t>(t * 3 * frames.width + 2 * frames.width + 3)] = kInfinity;
    frames.x[static_cast<std::size_t>(t * 3 * frames.width + 2 * frames.width + 12)] = kNan;
  }
  const std::vector<float> steps = run(frames, window, {1}, 1);
  for (const int64_t block : {7, 24, 70}) EXPECT_TRUE(same_bits(run(frames, window, {block}, 1), steps)) << block;
  // As if the values had been 0.
  Frames tame(2, 8, 70, 9);
  Frames zeroed = tame;
  for (const int64_t t : {10, 20}) {
    const auto at = static_cast<std::size_t>(t * 3 * tame.width + 2 * tame.width + 5);
    tame.x[at] = t == 10 ? -kInfinity : kNan;
    zeroed.x[at] = 0.0f;
  }
  EXPECT_TRUE(same_bits(run(tame, window, {24}, 1), expected(zeroed, window)));
}

VQCODEC_ON_EVERY_PATH(AttentionOnPath);

TEST(Attention, SizesThatCannotBeAreRefused) {
  EXPECT_NO_THROW(AttentionCache(1, 1, 1, 1));
  EXPECT_ERROR(AttentionCache(0, 8, 4, 1), ExitCode::kInternal, HasSubstr("0 heads of 8 dimensions"));
  EXPECT_ERROR(AttentionCache(1, 8, 0, 1), ExitCode::kInternal, HasSubstr("over 0 frames"));
  EXPECT_ERROR(AttentionCache(1, 8, 4, -1), ExitCode::kInternal, HasSubstr("-1 at once"));
  EXPECT_ERROR(AttentionCache(65536, 65536, 65536, 1), ExitCode::kInternal, HasSubstr("65536 heads"));
  EXPECT_ERROR(AttentionCache(256, 256, 65536, 1), ExitCode::kInternal, HasSubstr("256 heads"));
  const std::vector<float> x(3 * 4);
  EXPECT_ERROR(AttentionCache(1, 4, 8, 2).append(x.data(), x.data(), 4, 3), ExitCode::kInternal,
               HasSubstr("3 frames at once, expected at most 2"));
}

}  // namespace
}  // namespace vqcodec::runtime
