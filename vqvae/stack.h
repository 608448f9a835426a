// A stack of ConvNeXt blocks on the exact runtime, run as a stream: frames go in as they come, and every output is the
// same, bit for bit, as if the whole song had been given at once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/linear.h"
#include "runtime/safetensors.h"
#include "runtime/thread_pool.h"
#include "vqvae/config.h"

namespace vqcodec::vqvae {

// Immutable weights; see StackImpl in vqvae/train/network.h for the same in LibTorch.
class Stack {
 public:
  // Reads the tensors "<prefix>.in_layer.weight", "<prefix>.blocks.0.up.weight", ... Throws Error(kModel) when one is missing
  // or has another shape.
  Stack(runtime::Safetensors& file, const std::string& prefix, const StackConfig& config, int in, int out,
        int num_sources);

  int in() const { return static_cast<int>(in_.in()); }
  int out() const { return static_cast<int>(head_.out()); }

 private:
  friend class StackStream;
  struct Block {
    std::vector<float> depthwise_weight;  // [kernel, width]
    std::vector<float> depthwise_bias;    // [width]
    std::vector<float> norm_weight, norm_bias;
    runtime::Linear up, down;
    int dilation;
  };
  StackConfig config_;
  runtime::Linear in_, head_;
  std::vector<float> source_embedding_;  // [num_sources, width] or empty
  std::vector<float> norm_weight_, norm_bias_;
  std::vector<Block> blocks_;
};

// One pass over one stream of frames. Output row i belongs to input row i; it comes config.context_frames() rows late.
class StackStream {
 public:
  // `source` chooses the source vector, if the stack has them. `stack` must outlive the stream.
  StackStream(const Stack& stack, int source);

  // rows: [num_rows, in]. Appends the outputs that are complete, [any, out], to `output`.
  void push(const float* rows, int64_t num_rows, runtime::ThreadPool& pool, std::vector<float>& output);
  // Appends the outputs that are still held back. Before the first and after the last frame every block sees zeros.
  void finish(runtime::ThreadPool& pool, std::vector<float>& output);

 private:
  void run(std::vector<float> rows, bool flush, runtime::ThreadPool& pool, std::vector<float>& output);
  const Stack* stack_;
  int source_;
  std::vector<std::vector<float>> held_;  // per block, the last rows of its input that later outputs need
};

}  // namespace vqcodec::vqvae
