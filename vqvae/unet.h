// A U-Net over frames and bands on the exact runtime, run as a stream: what UNetImpl in vqvae/train/network.h computes,
// frame by frame as they come, and the same bits as if the whole song had been given at once.
//
// Shapes: C_l channels and F_l bands of level l, s_l its stride, F_-1 = bands of the spectrum. Frames are channels-last,
// [F_l, C_l]. On the way down: a convolution of 3 frames and s_0 + 2 bands to level 0, plus a vector for each band; in
// every level residual blocks, x + conv3x3(relu(conv3x3(x))); to the next level a linear map of s bands to one. At the bottom
// a stack (vqvae/stack.h) over all bands is added. On the way up linear maps of one band to s, added to what the way down
// left at that level, and blocks again. Then relu, a linear map of one band to s_0, and a bias for each band.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/linear.h"
#include "runtime/safetensors.h"
#include "runtime/thread_pool.h"
#include "vqvae/config.h"
#include "vqvae/stack.h"

namespace vqcodec::vqvae {

// Immutable weights.
class UNet {
 public:
  static constexpr int kNumInputs = 4;  // log powers of left, right, mid, side

  // Of a model of `config`, which has a U-Net. Reads the tensors "<prefix>.in_conv.weight", "<prefix>.down.0.0.first.weight", ...
  // Throws Error(kModel) when one is missing or has another shape.
  UNet(runtime::Safetensors& file, const std::string& prefix, const ModelConfig& config);

 private:
  friend class UNetStream;
  // A convolution of 3 frames and stride + 2 bands, one band of zeros on either side.
  struct Convolution {
    runtime::Linear of_frame[3];  // [(stride + 2) * in -> out] of the frame before, the frame and the one after
    int in = 0, out = 0, stride = 1, num_bands = 0;  // num_bands: of the input
    // Bands that a frame takes with its zeros, a multiple of the stride.
    int padded_bands() const { return (num_bands + 1 + stride) / stride * stride; }
  };
  struct Residual {
    Convolution first, second;
  };
  static Convolution load_convolution(runtime::Safetensors& file, const std::string& name, int in, int out, int stride,
                                      int num_bands);
  static std::vector<Residual> load_blocks(runtime::Safetensors& file, const std::string& name, int channels,
                                           int num_bands, int count);

  ModelConfig config_;
  Convolution in_conv_;
  std::vector<float> band_embedding_;        // [F_0, C_0]
  std::vector<std::vector<Residual>> down_;  // [levels]
  std::vector<runtime::Linear> narrow_;      // [levels - 1]: s_l+1 * C_l -> C_l+1
  std::vector<Stack> stack_;                 // one: F_L * C_L -> the same
  std::vector<runtime::Linear> widen_;       // [levels - 1]: C_l+1 -> s_l+1 * C_l
  std::vector<std::vector<Residual>> up_;    // [levels - 1]
  std::vector<runtime::Linear> head_;        // one: C_0 -> s_0 * outputs
  std::vector<float> band_bias_;             // [bands, outputs]
};

// One pass over one stream of frames. Outputs come in order and late, by a number of frames that the network sets.
class UNetStream {
 public:
  // `net` must outlive the stream.
  explicit UNetStream(const UNet& net);

  // rows: [num_rows, 4, bands]. Appends the outputs that are complete, [any, sources, 2, bands], to `output`.
  void push(const float* rows, int64_t num_rows, runtime::ThreadPool& pool, std::vector<float>& output);
  // Appends the outputs that are still held back. Before the first and after the last frame every layer sees zeros.
  void finish(runtime::ThreadPool& pool, std::vector<float>& output);

 private:
  using Frames = std::vector<float>;
  struct Held {
    Frames first, second;  // padded frames that the next outputs need
    Frames sum;            // inputs of the block whose outputs have not come yet
  };
  void run(Frames frames, bool flush, runtime::ThreadPool& pool, std::vector<float>& output);
  static Frames convolve(const UNet::Convolution& layer, Frames& held, const Frames& frames, bool flush,
                         runtime::ThreadPool& pool);
  static Frames pass(const std::vector<UNet::Residual>& blocks, std::vector<Held>& held, Frames frames, bool flush,
                     runtime::ThreadPool& pool);

  const UNet* net_;
  Frames held_in_;
  std::vector<std::vector<Held>> held_down_, held_up_;  // [levels][blocks]
  std::vector<Frames> skipped_;                         // [levels]: what the way up, or the stack, has not come to yet
  StackStream stack_;
};

}  // namespace vqcodec::vqvae
