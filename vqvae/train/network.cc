#include "vqvae/train/network.h"

#include <cmath>
#include <numbers>

#include "runtime/nearest.h"
#include "runtime/thread_pool.h"
#include "vqvae/noise.h"
#include "vqvae/train/autocast.h"

namespace vqcodec::vqvae::train {

namespace F = torch::nn::functional;
using torch::indexing::Slice;

namespace {

constexpr double kLogFloor = 1e-8;  // power under which features are flat, see vqvae/encoder.cc
constexpr double kCompressionFloor = 1e-4;
constexpr double kFirstNoiseLog = -5;

runtime::ThreadPool& shared_pool() {
  static runtime::ThreadPool pool(torch::get_num_threads());
  return pool;
}

}  // namespace

LappedTransform::LappedTransform(int hop_samples, torch::Device device) : hop_(hop_samples) {
  const auto real = torch::TensorOptions().dtype(torch::kFloat64);
  const double n = static_cast<double>(hop_);
  const double pi = std::numbers::pi;
  window_ = torch::sin((torch::arange(2 * hop_, real) + 0.5) * (pi / (2 * n))).to(torch::kFloat32).to(device);
  const Tensor angle = (torch::arange(hop_ / 2, real) + 0.125) * (-pi / n);  // see runtime/fft.cc
  twiddle_ = torch::polar(torch::ones_like(angle), angle).to(torch::kComplexFloat).to(device);
  alternating_ = (1 - 2 * torch::arange(hop_, real).remainder(2)).to(torch::kFloat32).to(device);
}

Tensor LappedTransform::frames(const Tensor& samples) const { return samples.unfold(-1, 2 * hop_, hop_) * window_; }

// DCT-IV of length N by a complex FFT of length N / 2.
Tensor LappedTransform::dct4(const Tensor& x) const {
  const Tensor even = x.index({torch::indexing::Ellipsis, Slice(0, torch::indexing::None, 2)});
  const Tensor odd = x.flip(-1).index({torch::indexing::Ellipsis, Slice(0, torch::indexing::None, 2)});
  const Tensor y = torch::fft::fft(torch::complex(even.contiguous(), odd.contiguous()) * twiddle_) * twiddle_;
  // X[2k] = Re y[k], X[N - 1 - 2k] = -Im y[k].
  const double scale = std::sqrt(2.0 / static_cast<double>(hop_));
  return torch::stack({torch::real(y), -torch::imag(y).flip(-1)}, -1).flatten(-2) * scale;
}

Tensor LappedTransform::mdct(const Tensor& samples) const {
  const auto part = frames(samples).chunk(4, -1);
  return dct4(torch::cat({-part[2].flip(-1) - part[3], part[0] - part[1].flip(-1)}, -1));
}

Tensor LappedTransform::mdst(const Tensor& samples) const {
  // DST-IV(x)[k] = (-1)^k DCT-IV(reversed x)[k].
  const auto part = frames(samples).chunk(4, -1);
  return dct4(torch::cat({part[2].flip(-1) - part[3], part[0] + part[1].flip(-1)}, -1).flip(-1)) * alternating_;
}

Tensor LappedTransform::inverse(const Tensor& coefficients) const {
  const auto half = dct4(coefficients).chunk(2, -1);
  const Tensor first = torch::cat({half[1], -half[1].flip(-1)}, -1) * window_.index({Slice(0, hop_)});
  const Tensor second = torch::cat({-half[0].flip(-1), -half[0]}, -1) * window_.index({Slice(hop_)});
  const int64_t frames = coefficients.size(-2);
  return (first.narrow(-2, 1, frames - 1) + second.narrow(-2, 0, frames - 1)).flatten(-2);
}

BlockImpl::BlockImpl(const StackConfig& config, int dilation) : dilation_(dilation) {
  const int64_t inner = static_cast<int64_t>(config.width) * config.expansion;
  const double bound = 1 / std::sqrt(static_cast<double>(config.kernel_frames));
  depthwise_weight = register_parameter("depthwise_weight",
                                        torch::empty({config.width, config.kernel_frames}).uniform_(-bound, bound));
  depthwise_bias = register_parameter("depthwise_bias", torch::zeros({config.width}));
  norm = register_module("norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({config.width})));
  up = register_module("up", torch::nn::Linear(config.width, inner));
  down = register_module("down", torch::nn::Linear(inner, config.width));
}

Tensor BlockImpl::forward(const Tensor& x) {
  const int64_t width = depthwise_weight.size(0), kernel = depthwise_weight.size(1);
  // As a 2-d convolution of height 1: several times faster on a CPU than the 1-d one.
  const Tensor mixed = torch::conv2d(x.transpose(1, 2).unsqueeze(2), depthwise_weight.view({width, 1, 1, kernel}),
                                     depthwise_bias, at::IntArrayRef{1, 1},
                                     at::IntArrayRef{0, dilation_ * (kernel / 2)}, at::IntArrayRef{1, dilation_}, width)
                           .squeeze(2)
                           .transpose(1, 2);
  return x + down(F::gelu(up(norm(mixed))));
}

StackImpl::StackImpl(const StackConfig& config, int in, int out, int num_sources, bool zero_head) {
  // Not "in": the checkpoint is a TorchScript archive, whose names may not be words of Python.
  in_layer = register_module("in_layer", torch::nn::Linear(in, config.width));
  if (num_sources > 0) {
    source_embedding = register_parameter("source_embedding", torch::randn({num_sources, config.width}) * 0.1);
  }
  blocks = register_module("blocks", torch::nn::ModuleList());
  for (int dilation : config.dilations) blocks->push_back(Block(config, dilation));
  norm = register_module("norm", torch::nn::LayerNorm(torch::nn::LayerNormOptions({config.width})));
  head = register_module("head", torch::nn::Linear(config.width, out));
  if (zero_head) {
    torch::NoGradGuard no_grad;
    head->weight.zero_();
    head->bias.zero_();
  }
}

Tensor StackImpl::forward(const Tensor& x) {
  Tensor h = in_layer(x);
  if (source_embedding.defined()) h = h + source_embedding.unsqueeze(1);
  const auto shape = h.sizes().vec();
  h = h.flatten(0, -3);
  for (const auto& block : *blocks) h = block->as<Block>()->forward(h);
  h = head(norm(h)).to(torch::kFloat32);
  auto out_shape = shape;
  out_shape.back() = h.size(-1);
  return h.view(out_shape);
}

ResidualImpl::ResidualImpl(int64_t channels) {
  const auto options = torch::nn::Conv2dOptions(channels, channels, 3).padding(1);
  first = register_module("first", torch::nn::Conv2d(options));
  second = register_module("second", torch::nn::Conv2d(options));
  torch::NoGradGuard no_grad;
  second->weight.mul_(0.3);  // begins near the identity
  second->bias.zero_();
}

Tensor ResidualImpl::forward(const Tensor& x) { return x + second(torch::relu(first(x))); }

UNetImpl::UNetImpl(const ModelConfig& model) : config(model) {
  const UNetConfig& unet = *config.unet;
  const int64_t outputs = 2 * config.num_sources(), bands = config.num_bands();
  const int64_t first = unet.channels[0], stride = unet.strides[0];
  in_conv =
      register_module("in_conv",
                      torch::nn::Conv2d(
                          torch::nn::Conv2dOptions(4, first, {3, stride + 2}).stride({1, stride}).padding({1, 1})));
  band_embedding = register_parameter("band_embedding", torch::randn({bands / stride, first}) * 0.02);
  down = register_module("down", torch::nn::ModuleList());
  up = register_module("up", torch::nn::ModuleList());
  narrow = register_module("narrow", torch::nn::ModuleList());
  widen = register_module("widen", torch::nn::ModuleList());
  const auto blocks_of = [&](int64_t channels) {
    torch::nn::Sequential blocks;
    for (int i = 0; i < unet.blocks; ++i) blocks->push_back(Residual(channels));
    return blocks;
  };
  for (int level = 0; level < unet.num_levels(); ++level) {
    const int64_t channels = unet.channels[static_cast<size_t>(level)];
    down->push_back(blocks_of(channels));
    if (level + 1 == unet.num_levels()) {
      const int size = config.unet_bands(level) * static_cast<int>(channels);
      stack = register_module("stack", Stack(config.encoder, size, size, 0, /*zero_head=*/false));
      break;
    }
    const int64_t below = unet.channels[static_cast<size_t>(level) + 1];
    const int64_t joined = unet.strides[static_cast<size_t>(level) + 1] * channels;
    narrow->push_back(torch::nn::Linear(joined, below));
    widen->push_back(torch::nn::Linear(below, joined));
    up->push_back(blocks_of(channels));
  }
  head = register_module("head", torch::nn::Linear(first, stride * outputs));
  band_bias = register_parameter("band_bias", torch::zeros({bands, outputs}));
  torch::NoGradGuard no_grad;
  head->weight.zero_();
  head->bias.zero_();
}

Tensor UNetImpl::forward(const Tensor& features) {
  const UNetConfig& unet = *config.unet;
  const int64_t batch = features.size(0), frames = features.size(1), bands = config.num_bands();
  // Channels-last in memory, so that the linear maps see neighbouring bands side by side.
  const auto rows = [](const Tensor& x) { return x.permute({0, 2, 3, 1}); };    // [B, C, T, F] -> [B, T, F, C]
  const auto planes = [](const Tensor& x) { return x.permute({0, 3, 1, 2}); };  // and back
  const auto as = [](const torch::nn::ModuleList& list, int level) { return list->ptr(static_cast<size_t>(level)); };
  const auto linear = [&](const torch::nn::ModuleList& list, int level, const Tensor& x, int64_t channels) {
    return planes(as(list, level)->as<torch::nn::Linear>()->forward(rows(x).reshape({batch, frames, -1, channels})));
  };
  Tensor x = in_conv(planes(features.view({batch, frames, 4, bands}).transpose(2, 3).contiguous()));
  // In the convolution's type: a sum of both would be float32, which takes twice the time all the way.
  x = x + planes(band_embedding.unsqueeze(0).unsqueeze(0)).to(x.scalar_type());
  std::vector<Tensor> skipped;
  for (int level = 0; level < unet.num_levels(); ++level) {
    x = as(down, level)->as<torch::nn::Sequential>()->forward(x);
    if (level + 1 == unet.num_levels()) break;
    skipped.push_back(x);
    x = linear(narrow, level, x,
               int64_t{unet.strides[static_cast<size_t>(level) + 1]} * unet.channels[static_cast<size_t>(level)]);
  }
  const Tensor bottom = stack(rows(x).reshape({batch, frames, -1}));
  x = x + planes(bottom.view({batch, frames, -1, unet.channels.back()})).to(x.scalar_type());
  for (int level = unet.num_levels() - 2; level >= 0; --level) {
    const int64_t channels = unet.channels[static_cast<size_t>(level)];
    const Tensor widened = as(widen, level)->as<torch::nn::Linear>()->forward(rows(x));
    x = skipped[static_cast<size_t>(level)] + planes(widened.reshape({batch, frames, -1, channels}));
    x = as(up, level)->as<torch::nn::Sequential>()->forward(x);
  }
  const Tensor logits = head(rows(torch::relu(x))).to(torch::kFloat32).reshape({batch, frames, bands, -1}) + band_bias;
  return logits.transpose(2, 3).flatten(2);
}

NetworkImpl::NetworkImpl(const ModelConfig& model) : config(model) {
  const int64_t num_sources = config.num_sources(), hop = config.hop_samples;
  const bool masks = config.encoder_kind == EncoderKind::kMasks;
  const bool residual = config.quantizer_kind == QuantizerKind::kResidual;
  if (config.unet) {
    unet = register_module("encoder", UNet(config));
  } else {
    encoder = register_module("encoder", Stack(config.encoder, config.encoder_in(), config.encoder_out(), 0, masks));
  }
  if (masks) {
    // With a linear path beside it the network starts at zero.
    analysis = register_module("analysis", Stack(config.analysis, 2 * config.num_code_bins, config.quantizer_in(),
                                                 static_cast<int>(num_sources), residual));
    if (residual) {
      analysis_basis = register_parameter("analysis_basis", torch::randn({num_sources, config.code_dim, 2 * hop}) /
                                                                std::sqrt(2.0 * static_cast<double>(hop)));
    }
  }
  synthesis = register_module("synthesis", Stack(config.synthesis, config.quantizer_out(), 2 * config.num_code_bins,
                                                 static_cast<int>(num_sources), true));
  if (config.noise) {
    noise = register_module("noise", Stack(*config.noise, config.quantizer_out(), 2 * config.num_noise_bands(),
                                           static_cast<int>(num_sources), true));
    torch::NoGradGuard no_grad;
    if (config.envelope_dim == 0) noise->head->bias.fill_(kFirstNoiseLog);
  }
  if (config.envelope_dim > 0) {
    const int64_t levels = 2 * config.num_noise_bands(), dim = config.code_dim;
    envelope_basis = register_parameter("envelope_basis", torch::zeros({num_sources, dim, levels}));
    envelope_bias = register_parameter("envelope_bias", torch::zeros({num_sources, dim}));
    noise_basis = register_parameter("noise_basis", torch::zeros({num_sources, levels, dim}));
    noise_bias = register_parameter("noise_bias", torch::full({num_sources, levels}, kFirstNoiseLog));
  }
  synthesis_basis = register_parameter("synthesis_basis", torch::randn({num_sources, 2 * hop, config.quantizer_out()}) *
                                                              (residual ? 0.02 : 0.1));
  const Tensor entries = torch::randn({num_sources, config.num_codebooks, config.codebook_size, config.code_dim});
  if (residual) {
    codebooks = register_buffer("codebooks", entries);
    code_counts =
        register_buffer("code_counts", torch::ones({num_sources, config.num_codebooks, config.codebook_size}));
    code_sums = register_buffer("code_sums", entries.clone());
    if (config.code_costs) {
      code_costs = register_buffer("code_costs", torch::zeros_like(code_counts));
      distortion = register_buffer("distortion", torch::zeros({num_sources, 2}));
    }
  } else {
    codebooks = register_parameter("codebooks", entries);
  }
}

std::vector<int64_t> band_widths(const std::vector<int>& edges) {
  std::vector<int64_t> widths;
  for (size_t i = 0; i + 1 < edges.size(); ++i) widths.push_back(edges[i + 1] - edges[i]);
  return widths;
}

Tensor band_energies(const Tensor& x, const std::vector<int>& edges) {
  std::vector<Tensor> bands;
  const Tensor squares = x.narrow(-1, edges.front(), edges.back() - edges.front()).square();
  for (const Tensor& band : squares.split_with_sizes(band_widths(edges), -1)) bands.push_back(band.sum(-1));
  return torch::stack(bands, -1);
}

Tensor swap_mid_side(const Tensor& x) {
  const Tensor a = x.select(-2, 0), b = x.select(-2, 1);
  return torch::stack({a + b, a - b}, -2) * std::sqrt(0.5);
}

Tensor NetworkImpl::mixture_features(const Tensor& mdct, const Tensor& mdst) const {
  const auto power = [](const Tensor& c, const Tensor& s) { return c.square() + s.square(); };
  const Tensor left_c = mdct.select(1, 0), right_c = mdct.select(1, 1);
  const Tensor left_s = mdst.select(1, 0), right_s = mdst.select(1, 1);
  const Tensor all =
      torch::stack({power(left_c, left_s), power(right_c, right_s), power(left_c + right_c, left_s + right_s) * 0.5,
                    power(left_c - right_c, left_s - right_s) * 0.5},
                   2);  // [B, T, 4, N]
  const int64_t fine = config.num_fine_bins, hop = config.hop_samples;
  Tensor bands = all.narrow(-1, 0, fine);
  if (fine < hop) {
    bands = torch::cat({bands, all.narrow(-1, fine, hop - fine).unflatten(-1, {-1, config.coarse_bins}).mean(-1)}, -1);
  }
  return (torch::log10(bands + kLogFloor) * 0.5 + 2.0).flatten(-2);
}

Tensor NetworkImpl::encoder_features(const Tensor& mdct, const Tensor& mdst) const {
  const Tensor powers = mixture_features(mdct, mdst);
  if (config.encoder_kind == EncoderKind::kMasks) return powers;
  return torch::cat({powers, analysis_features(swap_mid_side(mdct.transpose(1, 2)))}, -1);
}

Tensor NetworkImpl::separate(const Tensor& mdct, const Tensor& mdst) {
  const int64_t num_sources = config.num_sources(), fine = config.num_fine_bins;
  Tensor logits;
  {
    const Tensor features = encoder_features(mdct, mdst);
    AutocastRegion region(autocast, features.device());
    logits = unet ? unet(features) : encoder(features);
  }
  const Tensor masks = torch::softmax(logits.unflatten(-1, {num_sources, 2, config.num_bands()}), 2);
  Tensor full = masks.narrow(-1, 0, fine);
  if (fine < config.hop_samples) {
    full =
        torch::cat({full, masks.narrow(-1, fine, config.num_bands() - fine).repeat_interleave(config.coarse_bins, -1)},
                   -1);
  }
  // [B, T, S, 2, N] -> [B, S, T, 2, N]
  return (full * mdct.transpose(1, 2).unsqueeze(2)).transpose(1, 2);
}

Tensor NetworkImpl::analysis_features(const Tensor& x) const {
  const Tensor low = x.narrow(-1, 0, config.num_code_bins);
  return (low / torch::sqrt(torch::sqrt(low.square() + kCompressionFloor))).flatten(-2);
}

Analysis NetworkImpl::analyse(const Tensor& estimates) {
  Analysis result;
  result.estimates = estimates;
  {
    torch::NoGradGuard no_grad;
    const Tensor level = estimates.square().mean({2, 3, 4}).sqrt();
    const Tensor index = torch::round((20 * torch::log10(level + 1e-12) + 97.5) / 1.5).clamp(0, kNumGains - 1);
    result.scale = torch::where(index > 0, torch::pow(10.0, (index * 1.5 - 97.5) / 20), torch::zeros_like(index));
  }
  const Tensor inverse = torch::where(result.scale > 0, 1 / result.scale, torch::zeros_like(result.scale));
  const Tensor normalised = swap_mid_side(estimates * inverse.view({inverse.size(0), inverse.size(1), 1, 1, 1}));
  const Tensor features = analysis_features(normalised);
  AutocastRegion region(autocast, features.device());
  result.latents = analysis(features);
  if (analysis_basis.defined()) {
    result.latents = result.latents + torch::matmul(normalised.flatten(-2), analysis_basis.transpose(1, 2));
  }
  if (envelope_basis.defined()) {
    const Tensor told =
        torch::matmul(band_levels(normalised), envelope_basis.transpose(1, 2)) + envelope_bias.unsqueeze(1);
    result.latents = result.latents + told * (result.scale > 0).to(torch::kFloat32).view({-1, inverse.size(1), 1, 1});
  }
  result.latents = result.latents.to(torch::kFloat32);
  return result;
}

Analysis NetworkImpl::encode(const Tensor& mdct, const Tensor& mdst) {
  if (config.encoder_kind == EncoderKind::kMasks) return analyse(separate(mdct, mdst));
  Analysis result;
  const Tensor features = encoder_features(mdct, mdst);
  AutocastRegion region(autocast, features.device());
  result.latents = encoder(features).unflatten(-1, {config.num_sources(), config.quantizer_in()}).transpose(1, 2);
  result.scale = torch::ones({mdct.size(0), config.num_sources()}, mdct.options());
  return result;
}

Tensor nearest_entries(const Tensor& x, const Tensor& codebook, const Tensor& costs) {
  torch::NoGradGuard no_grad;
  if (!x.is_cpu()) {
    Tensor bias = codebook.square().sum(1) * 0.5;
    if (costs.defined()) bias = bias + costs;
    return torch::argmin(torch::addmm(bias, x, codebook.t(), 1, -1), 1);
  }
  const Tensor rows = x.contiguous(), entries = codebook.contiguous();
  const auto size = static_cast<size_t>(entries.numel());
  std::span<const float> cost_values;
  const Tensor cost_row = costs.defined() ? costs.contiguous() : costs;
  if (costs.defined()) cost_values = {cost_row.data_ptr<float>(), static_cast<size_t>(cost_row.numel())};
  const runtime::Codebook table(entries.size(0), entries.size(1), {entries.data_ptr<float>(), size}, cost_values);
  std::vector<uint16_t> index(static_cast<size_t>(rows.size(0)));
  table.nearest(rows.data_ptr<float>(), rows.size(1), rows.size(0), index.data(), 1, shared_pool());
  Tensor result = torch::empty({rows.size(0)}, torch::kInt64);
  std::copy(index.begin(), index.end(), result.data_ptr<int64_t>());
  return result;
}

Quantized NetworkImpl::quantize(const Tensor& latents, const QuantizeOptions& options) {
  return config.quantizer_kind == QuantizerKind::kResidual ? quantize_residual(latents, options)
                                                           : quantize_gumbel(latents, options);
}

Tensor NetworkImpl::dims_of_codebook(int64_t h) const {
  if (config.envelope_codebook < 0) return {};
  const bool envelope = h == config.envelope_codebook;
  Tensor dims = torch::full({config.code_dim}, envelope ? 0.0 : 1.0, codebooks.options());
  dims.narrow(0, config.code_dim - config.envelope_dim, config.envelope_dim).fill_(envelope ? 1.0 : 0.0);
  return dims;
}

// rest: what all codebooks have left of the frames in which the source sounds, [R, D].
void NetworkImpl::update_code_costs(int64_t source, const Tensor& rest, const QuantizeOptions& options) {
  constexpr double kMaxBits = 16;
  if (rest.size(0) == 0) return;
  const int64_t own = config.envelope_codebook < 0 ? config.code_dim : config.code_dim - config.envelope_dim;
  const Tensor energies = rest.square().mean(0);
  distortion[source][0].mul_(options.decay).add_(energies.narrow(0, 0, own).sum(), 1 - options.decay);
  distortion[source][1]
      .mul_(options.decay)
      .add_(energies.narrow(0, own, config.code_dim - own).sum(), 1 - options.decay);
  const Tensor counts = code_counts[source];
  const Tensor bits = -torch::log2(counts / counts.sum(1, true)).clamp_max(kMaxBits);
  for (int64_t h = 0; h < config.num_codebooks; ++h) {
    const bool envelope = h == config.envelope_codebook;
    const double weight = envelope ? options.envelope_rate_weight : options.rate_weight;
    if (weight <= 0) continue;  // costs that a model came with stay
    code_costs[source][h].copy_(bits[h] * distortion[source][envelope ? 1 : 0] * (0.5 * weight));
  }
}

Quantized NetworkImpl::quantize_residual(const Tensor& latents, const QuantizeOptions& options) {
  Quantized result;
  if (!options.quantize) {
    result.values = latents;
    result.codes = torch::zeros({latents.size(0), latents.size(1), latents.size(2), config.num_codebooks},
                                latents.options().dtype(torch::kInt64));
    result.commitment = torch::zeros({}, latents.options());
    return result;
  }
  const int64_t batch = latents.size(0), num_sources = latents.size(1), frames = latents.size(2);
  const int64_t size = config.codebook_size;
  const bool updates = options.update_codebooks && options.decay < 1;
  std::vector<Tensor> kept_values, all_values, codes;
  {
    torch::NoGradGuard no_grad;
    for (int64_t s = 0; s < num_sources; ++s) {
      Tensor rest = latents.detach().select(1, s).reshape({batch * frames, config.code_dim});
      Tensor kept = torch::zeros_like(rest), all = torch::zeros_like(rest);
      std::vector<Tensor> source_codes;
      for (int64_t h = 0; h < config.num_codebooks; ++h) {
        Tensor entries = codebooks[s][h];
        const Tensor index = nearest_entries(rest, entries, code_costs.defined() ? code_costs[s][h] : Tensor());
        const Tensor chosen = entries.index_select(0, index);
        if (updates) {
          // Frames whose source is silent have latents of zero and would pull entries to it.
          const Tensor sounds = (rest.square().sum(1) > 0).to(torch::kFloat32);
          Tensor counts = code_counts[s][h], sums = code_sums[s][h];
          counts.mul_(options.decay).index_add_(0, index, sounds * (1 - options.decay));
          sums.mul_(options.decay).index_add_(0, index, rest * (1 - options.decay));
          const Tensor dead = counts < options.dead_entry_share * counts.mean();
          const Tensor drawn = torch::randint(rest.size(0), {size}, rest.options().dtype(torch::kInt64));
          const Tensor fresh = rest.index_select(0, drawn);
          const Tensor mean_count = counts.mean().clamp_min(1e-6);
          counts.copy_(torch::where(dead, mean_count, counts));
          sums.copy_(torch::where(dead.unsqueeze(1), fresh * mean_count, sums));
          const Tensor dims = dims_of_codebook(h);
          entries.copy_(sums / counts.unsqueeze(1) * (dims.defined() ? dims : torch::ones({}, sums.options())));
        }
        all = all + chosen;
        if (options.num_kept.defined()) {
          const Tensor keep = (options.num_kept > h).to(torch::kFloat32).repeat_interleave(frames).unsqueeze(1);
          kept = kept + chosen * keep;
        }
        rest = rest - chosen;
        source_codes.push_back(index.view({batch, frames}));
      }
      if (updates && code_costs.defined()) {
        const Tensor sounds = latents.detach().select(1, s).square().sum(-1).flatten() > 0;
        update_code_costs(s, rest.index({sounds}), options);
      }
      all_values.push_back(all.view({batch, frames, -1}));
      kept_values.push_back((options.num_kept.defined() ? kept : all).view({batch, frames, -1}));
      codes.push_back(torch::stack(source_codes, -1));
    }
  }
  const Tensor all = torch::stack(all_values, 1);
  result.values = latents + (torch::stack(kept_values, 1) - latents).detach();
  result.codes = torch::stack(codes, 1);
  result.commitment = (latents - all).square().sum(-1).mean() / (2.0 * config.hop_samples);
  return result;
}

Quantized NetworkImpl::quantize_gumbel(const Tensor& flat_logits, const QuantizeOptions& options) {
  Quantized result;
  const Tensor logits = flat_logits.unflatten(-1, {config.num_codebooks, config.codebook_size});  // [B, S, T, H, m]
  result.codes = torch::argmax(logits.detach(), -1);
  Tensor values;  // [B, S, T, H, D]
  if (options.update_codebooks) {
    const Tensor uniform = torch::rand_like(logits).clamp(1e-9, 1 - 1e-7);
    const Tensor noise = -torch::log(-torch::log(uniform));
    const Tensor weights = torch::softmax((logits + noise) / options.temperature, -1);
    values = torch::einsum("bsthm,shmd->bsthd", {weights, codebooks});
  } else {
    const Tensor one_hot = torch::one_hot(result.codes, config.codebook_size).to(logits.dtype());
    values = torch::einsum("bsthm,shmd->bsthd", {one_hot, codebooks});
  }
  if (options.num_kept.defined()) {
    const Tensor level = torch::arange(config.num_codebooks, options.num_kept.options());
    const Tensor keep = (options.num_kept.unsqueeze(1) > level).to(values.dtype());  // [B, H]
    values = values * keep.view({keep.size(0), 1, 1, keep.size(1), 1});
  }
  result.values = values.flatten(-2);
  return result;
}

Tensor NetworkImpl::decode(const Tensor& values, const Tensor& scale) {
  const int64_t hop = config.hop_samples;
  Tensor spectrum, detail;
  {
    AutocastRegion region(autocast, values.device());
    spectrum = torch::matmul(values, synthesis_basis.transpose(1, 2)).to(torch::kFloat32);
    detail = synthesis(values);
  }
  spectrum = spectrum.unflatten(-1, {2, hop});
  detail = F::pad(detail.unflatten(-1, {2, config.num_code_bins}), F::PadFuncOptions({0, hop - config.num_code_bins}));
  const Tensor mid_side = (spectrum + detail) * scale.view({scale.size(0), scale.size(1), 1, 1, 1});
  return swap_mid_side(mid_side);
}

Tensor NetworkImpl::band_levels(const Tensor& x) const {
  const std::vector<int> edges = config.noise_band_edges();
  const Tensor means = band_energies(x, edges) / torch::tensor(band_widths(edges), x.options());
  return (torch::log(means + kLevelFloor) * 0.5).flatten(-2);
}

Tensor NetworkImpl::noise_amplitudes(const Tensor& values, const Tensor& scale) {
  Tensor logs;
  {
    AutocastRegion region(autocast, values.device());
    logs = noise(values);
  }
  if (noise_basis.defined()) {
    logs = logs + torch::matmul(values, noise_basis.transpose(1, 2)) + noise_bias.unsqueeze(1);
  }
  logs = logs.unflatten(-1, {2, config.num_noise_bands()});
  return logs.clamp(kMinNoiseLog, kMaxNoiseLog).exp() * scale.view({scale.size(0), scale.size(1), 1, 1, 1});
}

}  // namespace vqcodec::vqvae::train
