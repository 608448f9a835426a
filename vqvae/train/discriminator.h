// What learns to tell decoded music from true music, so that the decoder can learn to be taken for true: SDR alone
// favours dull sound. After the multi-scale STFT discriminator of EnCodec (A. Defossez et al., "High Fidelity Neural
// Audio Compression", 2022), with losses as DAC (R. Kumar et al., "High-Fidelity Audio Compression with Improved
// RVQGAN", 2023) and Vocos (H. Siuzdak, "Vocos", 2023) use them. Narrower and with larger strides than theirs, to train
// on a CPU.
#pragma once

#include <vector>

#include "vqvae/train/torch.h"

namespace vqcodec::vqvae::train {

using torch::Tensor;

// What the discriminator makes of one waveform.
struct Judgement {
  std::vector<Tensor> logits;    // one a resolution, [B, 1, frames, bins]: above 0 = taken for true
  std::vector<Tensor> features;  // of every hidden layer of every resolution, [B, width, frames, bins]
};

// One resolution: convolutions over frames and bins with weight norm, which keeps the scale of the weights, and so that
// of the features, from running away; it costs next to nothing beside the convolutions.
struct StftJudgeImpl : torch::nn::Module {
  StftJudgeImpl(int64_t window_samples, int64_t width);
  // [B, 2, samples], at least a window -> appends to `result`.
  void judge(const Tensor& samples, Judgement& result);

 private:
  Tensor input(const Tensor& samples) const;
  struct Layer {
    Tensor direction, gain, bias;  // weight [out, in, 3, kernel] = gain [out, 1, 1, 1] times direction of norm 1 each
    int64_t bin_stride, frame_dilation;
  };
  void add_layer(int64_t in, int64_t out, int64_t kernel_bins, int64_t bin_stride, int64_t frame_dilation);
  const int64_t window_samples_;
  std::vector<Layer> layers_;
};
TORCH_MODULE(StftJudge);

inline constexpr int64_t kJudgeWindows[] = {2048, 1024, 512};  // samples, hop a quarter

struct DiscriminatorImpl : torch::nn::Module {
  explicit DiscriminatorImpl(int64_t width);  // channels of every hidden layer
  // samples: [B, 2, samples] float32, at least 2048, of a level of about 0.1.
  Judgement judge(const Tensor& samples);
  bool autocast = false;  // convolutions in bfloat16

 private:
  torch::nn::ModuleList judges_;
};
TORCH_MODULE(Discriminator);

// Hinge losses, means over places and resolutions: of the discriminator max(0, 1 - logits of the true) + max(0, 1 +
// logits of the decoded), and of the decoder max(0, 1 - logits of the decoded).
Tensor discriminator_hinge(const Judgement& decoded, const Judgement& target);
Tensor decoder_hinge(const Judgement& decoded);
// Mean over layers of the mean absolute difference of features over the mean absolute feature of the target. The
// target's features are constants.
Tensor feature_matching(const Judgement& decoded, const Judgement& target);
// The share of places that are judged rightly, half of it of each side: 0.5 is chance.
double discriminator_accuracy(const Judgement& decoded, const Judgement& target);

}  // namespace vqcodec::vqvae::train
