#include "runtime/attention.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"
#include "runtime/kernels.h"

namespace vqcodec::runtime {
namespace {

// Queries at once: enough to use keys and values from the nearest cache many times, few enough that the frames which
// only some of them see do not count.
constexpr int64_t kQueryBlock = 24;
constexpr int64_t kMaxFloats = int64_t{1} << 31;

int64_t ceil_divide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Panels that any window of window_frames + max_block_frames - 1 frames can touch.
int64_t ring_panels(int64_t window_frames, int64_t max_block_frames) {
  return (window_frames + max_block_frames - 2 + kPanelWidth - 1) / kPanelWidth + 1;
}

}  // namespace

int64_t AttentionCache::num_floats(int64_t num_heads, int64_t head_dim, int64_t window_frames,
                                   int64_t max_block_frames) {
  const int64_t columns = head_dim + ceil_divide(head_dim, kPanelWidth) * kPanelWidth;
  return num_heads * ring_panels(window_frames, max_block_frames) * kPanelWidth * columns;
}

AttentionCache::AttentionCache(int64_t num_heads, int64_t head_dim, int64_t window_frames, int64_t max_block_frames)
    : num_heads_(num_heads), head_dim_(head_dim), window_frames_(window_frames), max_block_frames_(max_block_frames) {
  constexpr int64_t kMaxSize = 1 << 16;
  bool is_sane = true;
  for (int64_t size : {num_heads, head_dim, window_frames, max_block_frames})
    is_sane = is_sane && size >= 1 && size <= kMaxSize;
  is_sane = is_sane && num_heads * head_dim <= kMaxSize &&
            num_floats(num_heads, head_dim, window_frames, max_block_frames) <= kMaxFloats;
  if (!is_sane)
    throw Error(ExitCode::kInternal, "attention of " + std::to_string(num_heads) + " heads of " +
                                         std::to_string(head_dim) + " dimensions over " +
                                         std::to_string(window_frames) + " frames, " +
                                         std::to_string(max_block_frames) + " at once");
  num_panels_ = ring_panels(window_frames, max_block_frames);
  num_value_columns_ = ceil_divide(head_dim, kPanelWidth);
  const int64_t num_slots = num_panels_ * kPanelWidth;
  keys_.resize(static_cast<std::size_t>(num_heads * head_dim * num_slots));
  values_.resize(static_cast<std::size_t>(num_heads * num_value_columns_ * kPanelWidth * num_slots));
  zeros_.resize(static_cast<std::size_t>(kPanelWidth * std::max(num_panels_, num_value_columns_)));
}

void AttentionCache::append(const float* keys, const float* values, int64_t stride, int64_t frames) {
  if (frames > max_block_frames_)
    throw Error(ExitCode::kInternal, "attention given " + std::to_string(frames) +
                                         " frames at once, expected at most " + std::to_string(max_block_frames_));
  const int64_t num_slots = num_panels_ * kPanelWidth;
  for (int64_t f = 0; f < frames; ++f) {
    const int64_t slot = (num_frames_ + f) % num_slots;
    for (int64_t head = 0; head < num_heads_; ++head) {
      const float* const key = keys + f * stride + head * head_dim_;
      const float* const value = values + f * stride + head * head_dim_;
      float* const key_to =
          keys_.data() + (head * num_panels_ + slot / kPanelWidth) * head_dim_ * kPanelWidth + slot % kPanelWidth;
      float* const value_to = values_.data() + (head * num_value_columns_ * num_slots + slot) * kPanelWidth;
      for (int64_t d = 0; d < head_dim_; ++d) {
        key_to[d * kPanelWidth] = key[d];
        // Frames that a query does not see weigh 0, which must leave nothing of them.
        value_to[d / kPanelWidth * num_slots * kPanelWidth + d % kPanelWidth] = std::isfinite(value[d]) ? value[d] : 0;
      }
    }
  }
  num_frames_ += frames;
}

void AttentionCache::attend(const float* queries, int64_t stride, int64_t frames, float* y, int64_t y_stride,
                            ThreadPool& pool) const {
  pool.parallel_for(num_heads_, 1, [&](int64_t begin, int64_t end) {
    for (int64_t head = begin; head < end; ++head) {
      for (int64_t f = 0; f < frames; f += kQueryBlock)
        attend_head(head, queries + f * stride + head * head_dim_, stride, num_frames_ - frames + f,
                    std::min(kQueryBlock, frames - f), y + f * y_stride + head * head_dim_, y_stride);
    }
  });
}

// Queries of the frames first, first + 1, ...
void AttentionCache::attend_head(int64_t head, const float* queries, int64_t stride, int64_t first, int64_t frames,
                                 float* y, int64_t y_stride) const {
  const Kernels& kernel = kernels();
  const int64_t num_slots = num_panels_ * kPanelWidth;
  const int64_t begin = std::max<int64_t>(0, first - window_frames_ + 1);  // the oldest frame that any query sees
  const int64_t end = first + frames;
  const int64_t first_panel = begin / kPanelWidth;
  const int64_t end_panel = ceil_divide(end, kPanelWidth);
  const int64_t width = (end_panel - first_panel) * kPanelWidth;
  const int64_t base = first_panel * kPanelWidth;
  thread_local AlignedFloats scores;  // [frames, width], column c for frame base + c
  if (static_cast<int64_t>(scores.size()) < frames * width) scores.resize(static_cast<std::size_t>(frames * width));

  for (int64_t panel = first_panel; panel < end_panel;) {
    const int64_t at = panel % num_panels_;
    const int64_t count = std::min(end_panel - panel, num_panels_ - at);  // up to the end of the ring
    kernel.gemm(queries, stride, frames, head_dim_, keys_.data() + (head * num_panels_ + at) * head_dim_ * kPanelWidth,
                head_dim_ * kPanelWidth, zeros_.data(), false, scores.data() + (panel - first_panel) * kPanelWidth,
                width, count * kPanelWidth);
    panel += count;
  }
  for (int64_t f = 0; f < frames; ++f) {
    float* const row = scores.data() + f * width;
    const int64_t oldest = std::max<int64_t>(0, first + f - window_frames_ + 1);
    const int64_t seen = first + f + 1 - oldest;
    float* const weights = row + (oldest - base);
    kernel.softmax(weights, width, 1, seen, weights, width);
    std::fill(row + (begin - base), weights, 0.0f);
    std::fill(weights + seen, row + (end - base), 0.0f);
  }
  for (int64_t frame = begin; frame < end;) {
    const int64_t slot = frame % num_slots;
    const int64_t count = std::min(end - frame, num_slots - slot);
    kernel.gemm(scores.data() + (frame - base), width, frames, count,
                values_.data() + (head * num_value_columns_ * num_slots + slot) * kPanelWidth, num_slots * kPanelWidth,
                frame == begin ? zeros_.data() : nullptr, false, y, y_stride, head_dim_);
    frame += count;
  }
}

}  // namespace vqcodec::runtime
