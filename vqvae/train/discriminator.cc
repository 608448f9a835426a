#include "vqvae/train/discriminator.h"

#include <cmath>

#include "vqvae/train/autocast.h"

namespace vqcodec::vqvae::train {

namespace F = torch::nn::functional;

namespace {

// Power of a coefficient under which compression ends, 50 dB under the level of what is judged.
constexpr double kCompressionFloor = 1e-7;
constexpr double kSlope = 0.1;  // of leaky ReLU

Tensor mean_of(const std::vector<Tensor>& terms) { return torch::stack(terms).mean(); }

}  // namespace

StftJudgeImpl::StftJudgeImpl(int64_t window_samples, int64_t width) : window_samples_(window_samples) {
  add_layer(5, width, 9, 2, 1);
  add_layer(width, width, 9, 2, 1);
  add_layer(width, width, 9, 2, 2);
  add_layer(width, width, 3, 1, 4);
  add_layer(width, 1, 3, 1, 1);
}

void StftJudgeImpl::add_layer(int64_t in, int64_t out, int64_t kernel_bins, int64_t bin_stride,
                              int64_t frame_dilation) {
  const std::string name = "layer" + std::to_string(layers_.size());
  const double deviation = std::sqrt(2.0 / static_cast<double>(in * 3 * kernel_bins));
  const Tensor weight = torch::randn({out, in, 3, kernel_bins}) * deviation;
  layers_.push_back({register_parameter(name + "_direction", weight),
                     register_parameter(name + "_gain", weight.detach().norm(2, {1, 2, 3}, true)),
                     register_parameter(name + "_bias", torch::zeros({out})), bin_stride, frame_dilation});
}

// [B, 2, samples] -> [B, 5, frames, bins]: real and imaginary parts of mid and side with the root of their magnitudes,
// so that what is 40 dB quieter is not lost beside the loudest, and the frequency, since a convolution does not know
// where it is (R. Liu et al., "CoordConv", 2018).
Tensor StftJudgeImpl::input(const Tensor& samples) const {
  const Tensor window = torch::hann_window(window_samples_, samples.options());
  const Tensor left = samples.select(1, 0), right = samples.select(1, 1);
  const Tensor mid_side = torch::stack({left + right, left - right}, 1) * std::sqrt(0.5);
  const double scale = 1 / std::sqrt(0.375 * static_cast<double>(window_samples_));  // the window's energy
  const Tensor parts =
      torch::view_as_real(torch::fft::rfft(mid_side.unfold(-1, window_samples_, window_samples_ / 4) * window) * scale);
  const Tensor compressed = parts * (parts.square().sum(-1, true) + kCompressionFloor).sqrt().rsqrt();
  const auto frames = parts.size(2), bins = parts.size(3);
  const Tensor place = torch::linspace(-1, 1, bins, samples.options()).expand({samples.size(0), 1, frames, bins});
  return torch::cat({compressed.permute({0, 1, 4, 2, 3}).reshape({samples.size(0), 4, frames, bins}), place}, 1);
}

void StftJudgeImpl::judge(const Tensor& samples, Judgement& result) {
  Tensor h = input(samples).contiguous(torch::MemoryFormat::ChannelsLast);
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    const Tensor weight = at::_weight_norm(layer.direction, layer.gain, 0);
    h = torch::conv2d(h, weight, layer.bias, at::IntArrayRef{1, layer.bin_stride},
                      at::IntArrayRef{layer.frame_dilation, weight.size(3) / 2},
                      at::IntArrayRef{layer.frame_dilation, 1});
    if (i + 1 == layers_.size()) break;
    h = torch::leaky_relu(h, kSlope);
    result.features.push_back(h);
  }
  result.logits.push_back(h.to(torch::kFloat32));
}

DiscriminatorImpl::DiscriminatorImpl(int64_t width) {
  judges_ = register_module("judges", torch::nn::ModuleList());
  for (const int64_t window : kJudgeWindows) judges_->push_back(StftJudge(window, width));
}

Judgement DiscriminatorImpl::judge(const Tensor& samples) {
  AutocastRegion region(autocast, samples.device());
  Judgement result;
  for (const auto& judge : *judges_) judge->as<StftJudge>()->judge(samples, result);
  return result;
}

Tensor discriminator_hinge(const Judgement& decoded, const Judgement& target) {
  std::vector<Tensor> terms;
  for (const Tensor& logits : decoded.logits) terms.push_back(torch::relu(1 + logits).mean());
  for (const Tensor& logits : target.logits) terms.push_back(torch::relu(1 - logits).mean());
  return 2 * mean_of(terms);
}

Tensor decoder_hinge(const Judgement& decoded) {
  std::vector<Tensor> terms;
  for (const Tensor& logits : decoded.logits) terms.push_back(torch::relu(1 - logits).mean());
  return mean_of(terms);
}

Tensor feature_matching(const Judgement& decoded, const Judgement& target) {
  std::vector<Tensor> terms;
  for (size_t i = 0; i < decoded.features.size(); ++i) {
    // In bfloat16 as they come: features are most of what a step reads and writes.
    const Tensor expected = target.features[i].detach();
    terms.push_back((decoded.features[i] - expected).abs().mean(torch::kFloat32) /
                    expected.abs().mean(torch::kFloat32).clamp_min(1e-8));
  }
  return mean_of(terms);
}

double discriminator_accuracy(const Judgement& decoded, const Judgement& target) {
  torch::NoGradGuard no_grad;
  std::vector<Tensor> shares;
  for (const Tensor& logits : decoded.logits) shares.push_back((logits < 0).to(torch::kFloat32).mean());
  for (const Tensor& logits : target.logits) shares.push_back((logits > 0).to(torch::kFloat32).mean());
  return mean_of(shares).item<double>();
}

}  // namespace vqcodec::vqvae::train
