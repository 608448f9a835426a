// Causal attention over a window of frames, with a cache of keys and values.
#pragma once

#include <cstdint>

#include "runtime/aligned.h"
#include "runtime/thread_pool.h"

namespace vqcodec::runtime {

// The keys and values of the last frames of one sequence, laid out as the matrix product takes them (kernels.h).
//
// A frame sees itself and the window_frames - 1 frames before it. Its result for a head is, with fixed order throughout:
// scores by ascending dimension, softmax over the frames it sees from the oldest on (ops.h), then the sum of
// values by ascending frame. It depends neither on how many frames are asked for at once nor on how they were appended.
// Values that are not finite, which only absurd weights give, count as 0.
class AttentionCache {
 public:
  AttentionCache() = default;
  // All sizes >= 1. max_block_frames: the most frames that append() and attend() get at once.
  // Throws Error(kInternal) if a size is below 1 or the cache would have more than 2^31 floats.
  AttentionCache(int64_t num_heads, int64_t head_dim, int64_t window_frames, int64_t max_block_frames);

  int64_t num_frames() const { return num_frames_; }  // appended so far
  static int64_t num_floats(int64_t num_heads, int64_t head_dim, int64_t window_frames, int64_t max_block_frames);

  // keys, values: [frames, num_heads * head_dim] float32, rows `stride` floats apart, 1 <= frames <= max_block_frames.
  // Throws Error(kInternal) if there are more.
  void append(const float* keys, const float* values, int64_t stride, int64_t frames);

  // For the last `frames` frames appended: queries and y: [frames, num_heads * head_dim], scores are the plain products
  // of queries and keys. y and queries must not overlap. Heads are spread over the pool.
  void attend(const float* queries, int64_t stride, int64_t frames, float* y, int64_t y_stride, ThreadPool& pool) const;

 private:
  void attend_head(int64_t head, const float* queries, int64_t stride, int64_t first, int64_t frames, float* y,
                   int64_t y_stride) const;

  int64_t num_heads_ = 0;
  int64_t head_dim_ = 0;
  int64_t window_frames_ = 0;
  int64_t max_block_frames_ = 0;
  int64_t num_panels_ = 0;         // of the ring: panels of 32 frames
  int64_t num_value_columns_ = 0;  // ceil(head_dim / 32)
  int64_t num_frames_ = 0;
  AlignedFloats keys_;    // [num_heads, num_panels, head_dim, 32]: 32 frames side by side
  AlignedFloats values_;  // [num_heads, num_value_columns, num_panels * 32, 32]
  AlignedFloats zeros_;   // [32 * max(num_panels, num_value_columns)]
};

}  // namespace vqcodec::runtime
