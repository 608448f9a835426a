// The runtime against LibTorch, layer by layer and whole, and the terms of the loss against their definitions.
#include "vqvae/train/torch.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/fft.h"
#include "runtime/linear.h"
#include "runtime/nearest.h"
#include "runtime/ops.h"
#include "tests/base/temp_dir.h"
#include "tests/vqvae/codec_test_util.h"
#include "vqvae/train/losses.h"
#include "vqvae/train/network.h"
#include "vqvae/train/sound.h"
#include "vqvae/train/trainer.h"

namespace vqcodec::vqvae::train {
namespace {

std::span<const float> values_of(const Tensor& tensor) {
  EXPECT_TRUE(tensor.is_contiguous());
  return {tensor.data_ptr<float>(), static_cast<size_t>(tensor.numel())};
}

Tensor tensor_of(const std::vector<float>& values, at::IntArrayRef shape) {
  return torch::from_blob(const_cast<float*>(values.data()), shape, torch::kFloat32).clone();
}

double level_of(const Tensor& tensor) { return tensor.to(torch::kFloat64).square().mean().sqrt().item<double>(); }

// Greatest difference, relative to the level of `expected`.
double relative_difference(const Tensor& actual, const Tensor& expected) {
  EXPECT_EQ(actual.sizes(), expected.sizes());
  return (actual - expected).abs().max().item<double>() / std::max(level_of(expected), 1e-30);
}

// A network whose every parameter matters (a new one has heads of zero) and the same as a model of the runtime.
struct Pair {
  Network network{nullptr};
  std::shared_ptr<const Model> model;

  explicit Pair(const ModelConfig& config, bool half = false, int64_t seed = 5) {
    torch::manual_seed(seed);
    torch::NoGradGuard no_grad;
    network = Network(config);
    for (auto& item : network->named_parameters()) {
      Tensor value = item.value();
      if (item.key().ends_with("head.weight")) value.normal_(0, 1 / std::sqrt(static_cast<double>(value.size(1))));
      if (item.key().ends_with("bias")) value.normal_(0, 0.1);
      if (item.key().ends_with("norm.weight")) value.normal_(1, 0.2);
      if (item.key() == "synthesis_basis") value.normal_(0, 0.2);
    }
    if (config.quantizer_kind == QuantizerKind::kResidual) {
      for (int64_t h = 0; h < config.num_codebooks; ++h) {
        network->codebooks.select(1, h).mul_(std::pow(0.7, h));
        if (const Tensor dims = network->dims_of_codebook(h); dims.defined())
          network->codebooks.select(1, h).mul_(dims);
      }
      if (config.code_costs) network->code_costs.uniform_(0, 3);
    }
    network->eval();
    TempDir folder;
    ExportOptions options;
    options.half = half;
    export_network(*network, "pair", "{}", folder / "m.safetensors", options);
    model = Model::load(folder / "m.safetensors");
  }
};

class TrainTest : public testing::Test {
 protected:
  TrainTest() { torch::set_num_threads(1); }
  runtime::ThreadPool pool_{1};
};

class Layers : public TrainTest {};

TEST_F(Layers, LinearAndActivationsAgree) {
  torch::manual_seed(1);
  const Tensor x = torch::randn({37, 90}), weight = torch::randn({45, 90}), bias = torch::randn({45});
  const runtime::Linear linear(90, 45, values_of(weight), values_of(bias));
  Tensor y = torch::empty({37, 45});
  linear.forward(x.data_ptr<float>(), 90, 37, y.data_ptr<float>(), 45, pool_);
  EXPECT_LT(relative_difference(y, torch::linear(x, weight, bias)), 2e-6);
  const Tensor start = torch::randn({37, 45});
  y.copy_(start);
  linear.forward_add(x.data_ptr<float>(), 90, 37, y.data_ptr<float>(), 45, pool_);
  EXPECT_LT(relative_difference(y, start + torch::linear(x, weight, bias)), 2e-6);

  const Tensor wide = torch::linspace(-12, 12, 20001);
  Tensor out = torch::empty_like(wide);
  runtime::gelu(wide.data_ptr<float>(), wide.numel(), out.data_ptr<float>());
  EXPECT_LT((out - torch::gelu(wide)).abs().max().item<double>(), 4e-6);
  EXPECT_EQ(out[0].item<float>(), 0.0F);

  runtime::layer_norm(x.data_ptr<float>(), 90, 37, 90, weight[0].data_ptr<float>(), weight[1].data_ptr<float>(), 1e-5F,
                      y.resize_({37, 90}).data_ptr<float>(), 90);
  EXPECT_LT(relative_difference(y, torch::layer_norm(x, {90}, weight[0], weight[1], 1e-5)), 2e-6);
}

TEST_F(Layers, DepthwiseConvolutionAgrees) {
  torch::manual_seed(2);
  for (const int64_t dilation : {1, 3}) {
    const int64_t kernel = 5, channels = 19, frames = 40, pad = dilation * 2;
    const Tensor x = torch::randn({frames, channels});
    const Tensor weight = torch::randn({channels, kernel}), bias = torch::randn({channels});
    const Tensor padded = torch::constant_pad_nd(x, {0, 0, pad, pad}), turned = weight.t().contiguous();
    Tensor y = torch::empty({frames, channels});
    runtime::depthwise_conv1d(padded.data_ptr<float>(), channels, frames, channels, kernel, dilation,
                              turned.data_ptr<float>(), bias.data_ptr<float>(), y.data_ptr<float>(), channels);
    const Tensor expected = torch::conv1d(x.t().unsqueeze(0), weight.unsqueeze(1), bias, at::IntArrayRef{1},
                                          at::IntArrayRef{pad}, at::IntArrayRef{dilation}, channels);
    EXPECT_LT(relative_difference(y, expected[0].t()), 2e-6) << "dilation " << dilation;
  }
}

TEST_F(Layers, StacksAgree) {
  torch::NoGradGuard no_grad;
  Pair pair(tiny_config());
  const auto run = [&](const vqvae::Stack& stack, int source, const Tensor& rows) {
    StackStream stream(stack, source);
    std::vector<float> output;
    stream.push(rows.data_ptr<float>(), 20, pool_, output);
    stream.push(rows.data_ptr<float>() + 20 * rows.size(1), rows.size(0) - 20, pool_, output);
    stream.finish(pool_, output);
    return tensor_of(output, {rows.size(0), stack.out()});
  };
  const Tensor features = torch::randn({50, pair.model->encoder().in()});
  EXPECT_LT(relative_difference(run(pair.model->encoder(), 0, features),
                                pair.network->encoder(features.unsqueeze(0))[0]),
            1e-5);
  const Tensor rows = torch::randn({4, 50, pair.model->analysis().in()});
  const Tensor codes = torch::randn({4, 50, pair.model->synthesis().in()});
  const Tensor analysed = pair.network->analysis(rows.unsqueeze(0))[0];
  const Tensor synthesised = pair.network->synthesis(codes.unsqueeze(0))[0];
  for (int s = 0; s < 4; ++s) {
    EXPECT_LT(relative_difference(run(pair.model->analysis(), s, rows[s]), analysed[s]), 1e-5) << "source " << s;
    EXPECT_LT(relative_difference(run(pair.model->synthesis(), s, codes[s]), synthesised[s]), 1e-5) << "source " << s;
  }
  EXPECT_GT(relative_difference(run(pair.model->analysis(), 0, rows[0]), run(pair.model->analysis(), 1, rows[0])),
            1e-2);
}

TEST_F(Layers, UNetsAgree) {
  torch::NoGradGuard no_grad;
  for (const UNetConfig& unet :
       {UNetConfig{.channels = {6, 10, 9}, .strides = {2, 1, 2}, .blocks = 2},
        UNetConfig{.channels = {5}, .strides = {1}}, UNetConfig{.channels = {7}, .strides = {4}}}) {
    ModelConfig config = tiny_config();
    config.unet = unet;
    Pair pair(config);
    const int64_t width = config.encoder_out();
    for (const int64_t frames : {1, 2, 50}) {
      const Tensor features = torch::randn({frames, config.encoder_in()});
      UNetStream stream(pair.model->unet());
      std::vector<float> output;
      const int64_t first = frames / 3;
      stream.push(features.data_ptr<float>(), first, pool_, output);
      stream.push(features.data_ptr<float>() + first * features.size(1), frames - first, pool_, output);
      stream.finish(pool_, output);
      ASSERT_EQ(static_cast<int64_t>(output.size()), frames * width);
      const Tensor expected = pair.network->unet(features.unsqueeze(0))[0];
      EXPECT_GT(expected.std().item<double>(), 1e-2);
      EXPECT_LT(relative_difference(tensor_of(output, {frames, width}), expected), 1e-5)
          << unet.channels.size() << " levels, " << frames << " frames";
    }
  }
}

TEST_F(Layers, TransformsAreTheirDefinitionAndAgree) {
  torch::manual_seed(3);
  for (const int hop : {64, 256, 2048}) {
    const int64_t frames = 5;
    const Tensor samples = torch::randn({2, (frames + 1) * hop});
    const LappedTransform transform(hop, torch::kCPU);
    const Tensor mdct = transform.mdct(samples), mdst = transform.mdst(samples);
    ASSERT_EQ(mdct.sizes(), (std::vector<int64_t>{2, frames, hop}));
    runtime::Mclt mclt(hop);
    Tensor c = torch::empty({hop}), s = torch::empty({hop});
    for (int64_t row = 0; row < 2; ++row) {
      for (int64_t t = 0; t < frames; ++t) {
        const Tensor frame = samples[row].narrow(0, t * hop, 2 * hop).contiguous();
        mclt.forward(frame.data_ptr<float>(), c.data_ptr<float>(), s.data_ptr<float>());
        EXPECT_LT(relative_difference(mdct[row][t], c), 1e-5) << "hop " << hop;
        EXPECT_LT(relative_difference(mdst[row][t], s), 1e-5) << "hop " << hop;
      }
    }
    if (hop == 64) {  // the sum of runtime/fft.h, in double
      const auto n = torch::arange(2 * hop, torch::kFloat64), k = torch::arange(hop, torch::kFloat64);
      const double pi = std::numbers::pi;
      const Tensor window = torch::sin((n + 0.5) * (pi / (2 * hop)));
      const Tensor angle = torch::outer(k + 0.5, n + 0.5 + hop / 2.0) * (pi / hop);
      const Tensor frame = samples[1].narrow(0, 2 * hop, 2 * hop).to(torch::kFloat64) * window * std::sqrt(2.0 / hop);
      EXPECT_LT(relative_difference(mdct[1][2].to(torch::kFloat64), torch::mv(torch::cos(angle), frame)), 1e-5);
      EXPECT_LT(relative_difference(mdst[1][2].to(torch::kFloat64), torch::mv(torch::sin(angle), frame)), 1e-5);
    }
    EXPECT_LT(relative_difference(transform.inverse(mdct), samples.narrow(1, hop, (frames - 1) * hop)), 1e-5) << hop;
  }
}

TEST_F(Layers, MixtureFeaturesAreLogPowersOfBands) {
  torch::NoGradGuard no_grad;
  const ModelConfig config = tiny_config();
  Pair pair(config);
  const Tensor mdct = torch::randn({1, 2, 3, 256}) * 0.1, mdst = torch::randn({1, 2, 3, 256}) * 0.1;
  const Tensor features = pair.network->mixture_features(mdct, mdst);
  ASSERT_EQ(features.sizes(), (std::vector<int64_t>{1, 3, 4 * config.num_bands()}));
  const auto at = [&](const Tensor& x, int channel, int t, int k) { return x[0][channel][t][k].item<double>(); };
  const auto power = [&](int kind, int t, int k) {
    std::complex<double> left(at(mdct, 0, t, k), at(mdst, 0, t, k)), right(at(mdct, 1, t, k), at(mdst, 1, t, k));
    if (kind == 2) return std::norm((left + right) / std::numbers::sqrt2);
    if (kind == 3) return std::norm((left - right) / std::numbers::sqrt2);
    return std::norm(kind == 0 ? left : right);
  };
  for (int kind = 0; kind < 4; ++kind) {
    for (const int band : {0, 1, 63, 64, 75}) {
      double mean = 0;
      const int begin = band < 64 ? band : 64 + (band - 64) * 16, count = band < 64 ? 1 : 16;
      for (int k = begin; k < begin + count; ++k) mean += power(kind, 1, k) / count;
      EXPECT_NEAR(features[0][1][kind * config.num_bands() + band].item<double>(), 0.5 * std::log10(mean + 1e-8) + 2,
                  1e-5)
          << "kind " << kind << " band " << band;
    }
  }
}

TEST_F(Layers, NearestEntriesAreNearest) {
  torch::manual_seed(4);
  const Tensor rows = torch::randn({500, 8}), entries = torch::randn({64, 8});
  const Tensor index = nearest_entries(rows, entries);
  const Tensor distance = (rows.unsqueeze(1) - entries.unsqueeze(0)).to(torch::kFloat64).square().sum(-1);
  const Tensor chosen = distance.gather(1, index.unsqueeze(1)).squeeze(1), least = std::get<0>(distance.min(1));
  EXPECT_LT((chosen - least).max().item<double>(), 1e-5);
  EXPECT_GT((index == std::get<1>(distance.min(1))).to(torch::kFloat32).mean().item<double>(), 0.99);
}

// Samples of a song as the network takes them: one hop of silence before it, whole frames after it.
Tensor framed(const std::vector<float>& song, int64_t hop, int64_t frames) {
  Tensor samples = torch::zeros({2, (frames + 1) * hop});
  const auto count = static_cast<int64_t>(song.size() / 2);
  samples.narrow(1, hop, count).copy_(tensor_of(song, {count, 2}).t());
  return samples;
}

class Whole : public TrainTest, public testing::WithParamInterface<KindOfModel> {};

TEST_P(Whole, EncodersGiveTheSameCodesButForNearTies) {
  torch::NoGradGuard no_grad;
  const ModelConfig config = GetParam().config();
  const bool residual = config.quantizer_kind == QuantizerKind::kResidual;
  Pair pair(config);
  const int64_t frames = 301, num_codebooks = config.num_codebooks;
  const std::vector<float> song = synthetic_song(300 * 256);
  const Segments segments = encode(pair.model, song, {.segment_frames = 512}, pool_);
  ASSERT_EQ(segments.size(), 1U);

  const LappedTransform transform(256, torch::kCPU);
  const Tensor samples = framed(song, 256, frames);
  const Analysis analysis =
      pair.network->encode(transform.mdct(samples).unsqueeze(0), transform.mdst(samples).unsqueeze(0));
  const Quantized quantized = pair.network->quantize(analysis.latents, {});
  int64_t num_different = 0;
  for (int64_t s = 0; s < 4; ++s) {
    const codec::SourceSegment& source = segments[0][static_cast<size_t>(s)];
    EXPECT_NEAR(gain_scale(source.gain), analysis.scale[0][s].item<double>(), 1e-6 * gain_scale(source.gain));
    ASSERT_EQ(static_cast<int64_t>(source.codes.size()), frames * num_codebooks);
    for (int64_t t = 0; t < frames; ++t) {
      Tensor rest = analysis.latents[0][s][t].to(torch::kFloat64);
      for (int64_t h = 0; h < num_codebooks; ++h) {
        const int64_t theirs = quantized.codes[0][s][t][h].item<int64_t>();
        const int64_t ours = source.codes[static_cast<size_t>(t * num_codebooks + h)];
        const Tensor entries = pair.network->codebooks[s][h].to(torch::kFloat64);
        if (ours != theirs) {
          ++num_different;
          Tensor score = residual ? (entries - rest).square().sum(1)
                                  : -rest.narrow(0, h * config.codebook_size, config.codebook_size);
          if (config.code_costs) score = score + 2 * pair.network->code_costs[s][h];
          EXPECT_NEAR(score[ours].item<double>(), score[theirs].item<double>(), 1e-3)
              << "source " << s << " frame " << t << " codebook " << h << ": no near tie";
          if (residual) break;  // what follows is of another rest
        }
        if (residual) rest = rest - entries[theirs];
      }
    }
  }
  EXPECT_LE(num_different, 4 * frames / 100) << "of " << 4 * frames << " frames";
}

TEST_P(Whole, DecodersGiveTheSameSamples) {
  torch::NoGradGuard no_grad;
  const ModelConfig config = GetParam().config();
  const bool residual = config.quantizer_kind == QuantizerKind::kResidual;
  Pair pair(config);
  const std::vector<float> song = synthetic_song(300 * 256);
  const Segments segments = encode(pair.model, song, {.segment_frames = 512}, pool_);
  constexpr int64_t kFirstFrame = 1234;  // noise depends on it
  const auto outputs = decode(pair.model, segments, {.separate = true, .first_frame = kFirstFrame}, pool_);

  const int64_t frames = 301, num_codebooks = config.num_codebooks;
  std::vector<Tensor> values;
  Tensor scale = torch::empty({1, 4});
  for (int64_t s = 0; s < 4; ++s) {
    const codec::SourceSegment& source = segments[0][static_cast<size_t>(s)];
    scale[0][s] = gain_scale(source.gain);
    std::vector<int64_t> codes(source.codes.begin(), source.codes.end());
    const Tensor index = torch::tensor(codes).view({frames, num_codebooks});
    std::vector<Tensor> entries;
    for (int64_t h = 0; h < num_codebooks; ++h) {
      entries.push_back(pair.network->codebooks[s][h].index_select(0, index.select(1, h)));
    }
    values.push_back(residual ? torch::stack(entries).sum(0) : torch::cat(entries, 1));
  }
  const Tensor all_values = torch::stack(values).unsqueeze(0);
  Tensor decoded = pair.network->decode(all_values, scale);  // [1, S, T, 2, N]
  if (config.noise) {
    const Tensor amplitudes = pair.network->noise_amplitudes(all_values, scale);
    decoded = decoded + swap_mid_side(fill_noise(amplitudes, config.noise_band_edges(), {kFirstFrame}));
  }
  const LappedTransform transform(256, torch::kCPU);
  const Tensor samples = transform.inverse(decoded[0].transpose(1, 2));  // [S, 2, samples]
  for (int64_t s = 0; s < 4; ++s) {
    const Tensor ours = tensor_of(outputs[static_cast<size_t>(s)], {300 * 256, 2}).t();
    EXPECT_GT(level_of(ours), 1e-4);
    EXPECT_LT(relative_difference(ours, samples[s]), 3e-5) << "source " << s;
  }
}

TEST_P(Whole, HalfPrecisionIsNearFullPrecision) {
  torch::NoGradGuard no_grad;
  Pair full(GetParam().config(), false), half(GetParam().config(), true);
  const Segments segments = encode(full.model, synthetic_song(60 * 256), {}, pool_);
  const auto a = decode(full.model, segments, {}, pool_)[0], b = decode(half.model, segments, {}, pool_)[0];
  const auto count = static_cast<int64_t>(a.size());
  const double difference = level_of(tensor_of(b, {count}) - tensor_of(a, {count})) / level_of(tensor_of(a, {count}));
  EXPECT_GT(difference, 0);
  EXPECT_LT(difference, 5e-3);
}

INSTANTIATE_TEST_SUITE_P(Kinds, Whole, testing::ValuesIn(kKinds),
                         [](const auto& kind) { return std::string(kind.param.name); });

// The derivative of f along random directions, by autograd and by central differences.
void expect_gradient(const std::function<Tensor(const Tensor&)>& f, const Tensor& x, double tolerance) {
  const Tensor input = x.detach().clone().requires_grad_(true);
  f(input).backward();
  torch::NoGradGuard no_grad;
  for (int i = 0; i < 5; ++i) {
    const Tensor direction = torch::randn_like(x);
    const double step = 1e-6;
    const double numeric = (f(x + step * direction) - f(x - step * direction)).item<double>() / (2 * step);
    const double analytic = (input.grad() * direction).sum().item<double>();
    EXPECT_NEAR(analytic, numeric, tolerance * std::max(std::abs(numeric), 1e-3)) << "direction " << i;
    EXPECT_NE(analytic, 0);
  }
}

class Losses : public TrainTest {};

TEST_F(Losses, RelativeErrorIsLog10OfErrorOverTarget) {
  torch::manual_seed(6);
  const Tensor target = torch::randn({2, 3, 8, 2, 64}, torch::kFloat64);
  const Tensor error = target * std::sqrt(0.1) + 0;
  const Tensor energy = target.square().sum({1, 3, 4}) * 1e-6;  // a floor of next to nothing
  EXPECT_NEAR(relative_error(error, target, energy, 4).item<double>(), -1, 1e-3);
  // The floor, 20 dB below the mixture: a silent target with a silent estimate costs nothing, error raises it.
  const Tensor silent = torch::zeros({1, 1, 8, 2, 64}, torch::kFloat64);
  const Tensor mixture = torch::full({1, 8}, 100.0, torch::kFloat64);
  EXPECT_NEAR(relative_error(silent, silent, mixture, 8).item<double>(), 0, 1e-12);
  const Tensor some = torch::full_like(silent, std::sqrt(9 * 8.0 / (8 * 2 * 64)));  // energy 72 = 9 floors of 8
  EXPECT_NEAR(relative_error(some, silent, mixture, 8).item<double>(), 1, 1e-3);
  // Windows count alike: one good, one bad.
  Tensor half = target.narrow(0, 0, 1).narrow(1, 0, 1).clone();
  const Tensor whole = half.clone();
  half.narrow(2, 4, 4).mul_(0.1);
  EXPECT_NEAR(relative_error(half, whole, energy.narrow(0, 0, 1) * 0, 4).item<double>(), (0 - 2) / 2.0, 1e-2);
}

TEST_F(Losses, RelativeErrorHasTheRightGradient) {
  torch::manual_seed(7);
  const Tensor target = torch::randn({2, 2, 6, 2, 16}, torch::kFloat64);
  const Tensor energy = target.sum(1).square().sum({2, 3});
  expect_gradient([&](const Tensor& error) { return relative_error(error, target, energy, 3); },
                  torch::randn_like(target), 1e-6);
}

TEST_F(Losses, NormalisedErrorCountsASourceByItsShareOfTheMixture) {
  torch::manual_seed(10);
  const auto noise = [](double energy) {
    const Tensor x = torch::randn({1, 1, 8, 2, 64}, torch::kFloat64);
    return x * torch::sqrt(energy / x.square().sum());
  };
  const Tensor mixture = torch::full({1, 8}, 100.0, torch::kFloat64);  // 800 in the window
  EXPECT_NEAR(normalised_error(noise(80), noise(0), mixture, 8).item<double>(), 80.0 / (3 * 800), 1e-6);
  EXPECT_NEAR(normalised_error(noise(80), noise(800), mixture, 8).item<double>(), 80.0 / (3 * 800 + 800), 1e-6);
  expect_gradient([&](const Tensor& error) { return normalised_error(error, noise(0) + 1, mixture, 4); }, noise(80),
                  1e-6);
}

TEST_F(Losses, BinsWeighByWhoseEnergyTheyHold) {
  // Two sources, [1, 2, 1, 1, 4]: of the first alone, of the second alone, of both, of none.
  const Tensor sources = torch::tensor({3.0, 0.0, 1.0, 0.0, 0.0, 2.0, 1.0, 0.0}).view({1, 2, 1, 1, 4});
  const Tensor weights = weights_of_bins(sources, torch::tensor({5.0, 1.0}));
  ASSERT_EQ(weights.sizes(), (std::vector<int64_t>{1, 1, 1, 1, 4}));
  EXPECT_LT((weights.flatten() - torch::tensor({5.0, 1.0, 3.0, 3.0})).abs().max().item<double>(), 1e-5);
  // A mask for a bin that is the first source's or the second's with even chances: the weighted best is its weight's
  // share, not one half.
  const Tensor first = torch::tensor({1.0, 0.0}).view({1, 2, 1, 1, 1}), second = first.flip(1);
  const auto cost = [&](double mask) {
    const Tensor estimate = torch::tensor({mask, 1 - mask}).view({1, 2, 1, 1, 1});
    double sum = 0;
    for (const Tensor& truth : {first, second}) {
      const Tensor weight = weights_of_bins(truth, torch::tensor({4.0, 1.0}));
      sum += normalised_error((estimate - truth) * weight.sqrt(), truth, torch::ones({1, 1}), 1).item<double>();
    }
    return sum;
  };
  for (const double mask : {0.5, 0.75, 0.85, 0.95}) EXPECT_GT(cost(mask), cost(0.8)) << mask;
}

TEST_F(Losses, WaveformTermsAreL1OfSamplesAndOfTheStft) {
  torch::manual_seed(8);
  const LappedTransform transform(256, torch::kCPU);
  const Tensor error = torch::randn({2, 20, 2, 256}) * 0.1;
  const WaveformTerms terms = waveform_terms(transform, error, true);
  const Tensor samples = transform.inverse(error.transpose(1, 2));
  EXPECT_NEAR(terms.waveform.item<double>(), samples.abs().mean().item<double>(), 1e-7);
  const Tensor stft = torch::stft(samples.flatten(0, 1), /*n_fft=*/2048, /*hop_length=*/512, /*win_length=*/2048,
                                  /*window=*/torch::hann_window(2048), /*center=*/false, /*pad_mode=*/"reflect",
                                  /*normalized=*/false, /*onesided=*/true, /*return_complex=*/true);
  EXPECT_NEAR(terms.stft.item<double>(), stft.abs().mean().item<double>(), 1e-4);
  EXPECT_FALSE(waveform_terms(transform, error, false).stft.defined());
}

TEST_F(Losses, WaveformTermsHaveTheRightGradients) {
  torch::manual_seed(9);
  const LappedTransform transform(256, torch::kCPU);
  const Tensor error = torch::randn({1, 12, 2, 256}, torch::kFloat64);
  expect_gradient([&](const Tensor& x) { return waveform_terms(transform, x, false).waveform; }, error, 1e-4);
  expect_gradient([&](const Tensor& x) { return waveform_terms(transform, x, true).stft; }, error, 1e-4);
}

class Quantizers : public TrainTest {};

TEST_F(Quantizers, ResidualPassesTheGradientAndPullsTheLatentsToTheCodes) {
  const ModelConfig config = tiny_config();
  Pair pair(config);
  const Tensor latents = torch::randn({2, 4, 5, 8}).requires_grad_(true);
  const Quantized quantized = pair.network->quantize(latents, {});
  const Tensor upstream = torch::randn_like(latents);
  (quantized.values * upstream).sum().backward(/*gradient=*/{}, /*retain_graph=*/true);
  EXPECT_TRUE(torch::equal(latents.grad(), upstream));
  latents.mutable_grad().zero_();
  quantized.commitment.backward();
  const Tensor expected = 2 * (latents - quantized.values).detach() / (2.0 * 4 * 5 * 2 * 256);
  EXPECT_LT(relative_difference(latents.grad(), expected), 1e-4);
  EXPECT_NEAR(quantized.commitment.item<double>(),
              (latents - quantized.values).square().sum(-1).mean().item<double>() / 512, 1e-6);
}

TEST_F(Quantizers, NestedDropoutKeepsTheFirstCodebooks) {
  torch::NoGradGuard no_grad;
  for (const KindOfModel& kind : {kKinds[0], kKinds[1]}) {
    SCOPED_TRACE(kind.name);
    const ModelConfig config = kind.config();
    const bool residual = config.quantizer_kind == QuantizerKind::kResidual;
    Pair pair(config);
    const Tensor latents = torch::randn({3, 4, 5, config.quantizer_in()});
    const Quantized all = pair.network->quantize(latents, {});
    QuantizeOptions options;
    options.num_kept = torch::tensor({1, 2, 3}, torch::kInt64);
    const Quantized kept = pair.network->quantize(latents, options);
    EXPECT_TRUE(torch::equal(kept.codes, all.codes));
    for (int64_t item = 0; item < 3; ++item) {
      Tensor expected = torch::zeros({4, 5, config.quantizer_out()});
      for (int64_t s = 0; s < 4; ++s) {
        for (int64_t h = 0; h <= item; ++h) {
          const Tensor index = all.codes[item][s].select(1, h);
          const Tensor entries = pair.network->codebooks[s][h].index_select(0, index);
          if (residual) {
            expected[s].add_(entries);
          } else {
            expected[s].narrow(1, h * config.code_dim, config.code_dim).copy_(entries);
          }
        }
      }
      EXPECT_LT(relative_difference(kept.values[item], expected), 1e-5) << "item " << item;
    }
    EXPECT_LT(relative_difference(kept.values[2], all.values[2]), 1e-6);
    EXPECT_GT(relative_difference(kept.values[0], all.values[0]), 0.1);
  }
}

TEST_F(Quantizers, GumbelTemperatureGoesFromSoftToHard) {
  torch::NoGradGuard no_grad;
  const ModelConfig config = tiny_config_of(EncoderKind::kDirect, QuantizerKind::kGumbel);
  Pair pair(config);
  const Tensor logits = torch::randn({1, 4, 50, config.quantizer_in()}) * 3;
  QuantizeOptions options;
  options.update_codebooks = true;
  const auto values_at = [&](double temperature) {
    torch::manual_seed(1);
    options.temperature = temperature;
    return pair.network->quantize(logits, options).values;
  };
  // Hot: the mean of all entries. Cold: one entry, that of the greatest of logits and noise.
  const Tensor mean = pair.network->codebooks.mean(2).flatten(1).unsqueeze(0).unsqueeze(2);
  EXPECT_LT(relative_difference(values_at(1e5), mean.expand({1, 4, 50, -1})), 1e-2);
  torch::manual_seed(1);
  const Tensor uniform = torch::rand({1, 4, 50, 3, 32}).clamp(1e-9, 1 - 1e-7);
  const Tensor noisy = logits.unflatten(-1, {3, 32}) - torch::log(-torch::log(uniform));
  const Tensor one_hot = torch::one_hot(noisy.argmax(-1), 32).to(torch::kFloat32);
  const Tensor cold = torch::einsum("bsthm,shmd->bsthd", {one_hot, pair.network->codebooks}).flatten(-2);
  EXPECT_LT(level_of(values_at(1e-4) - cold), 0.05 * level_of(cold));
}

TEST_F(Quantizers, CodebooksFollowTheirLatentsAndDeadEntriesRestart) {
  torch::NoGradGuard no_grad;
  ModelConfig config = tiny_config();
  config.num_codebooks = 1;
  Pair pair(config);
  // Entry 0 is near every latent, the others are far away and never used.
  pair.network->codebooks.fill_(100);
  pair.network->codebooks.select(2, 0).fill_(0.5);
  pair.network->code_counts.fill_(1);
  pair.network->code_sums.copy_(pair.network->codebooks);
  const Tensor latents = torch::randn({2, 4, 50, 8}) * 0.01 + 1;
  QuantizeOptions options;
  options.update_codebooks = true;
  options.decay = 0.5;
  for (int i = 0; i < 20; ++i) pair.network->quantize(latents, options);
  // All entries have come to the latents: those that were used by averages, those that were not by restarts.
  EXPECT_LT((pair.network->codebooks - 1).abs().max().item<double>(), 0.1);
  const Quantized quantized = pair.network->quantize(latents, {});
  EXPECT_GT(std::get<0>(torch::_unique(quantized.codes.select(1, 0).flatten())).size(0), 4);
  // Without the flag nothing moves.
  const Tensor before = pair.network->codebooks.clone();
  pair.network->quantize(latents * 3, {});
  EXPECT_TRUE(torch::equal(pair.network->codebooks, before));
}

TEST_F(Quantizers, TheEnvelopeKeepsToItsOwnCodebook) {
  torch::NoGradGuard no_grad;
  const ModelConfig config = kKinds[6].config();
  ASSERT_EQ(config.envelope_codebook, 1);
  Pair pair(config);
  QuantizeOptions options;
  options.update_codebooks = true;
  options.dead_entry_share = 0.5;  // restarts, too
  for (int i = 0; i < 5; ++i) pair.network->quantize(torch::randn({2, 4, 50, 8}), options);
  for (int64_t h = 0; h < 3; ++h) {
    const Tensor spectrum = pair.network->codebooks.select(1, h).narrow(2, 0, 5);
    const Tensor envelope = pair.network->codebooks.select(1, h).narrow(2, 5, 3);
    EXPECT_EQ(spectrum.abs().max().item<double>() > 0, h != 1) << "codebook " << h;
    EXPECT_EQ(envelope.abs().max().item<double>() > 0, h == 1) << "codebook " << h;
  }
}

TEST_F(Quantizers, CostsMakeCodesThatAreCheaperToTell) {
  torch::NoGradGuard no_grad;
  const ModelConfig config = kKinds[6].config();
  // Of each source, entropy of the codes of all codebooks in bits, and energy left.
  const auto run = [&](double weight, double envelope_weight) {
    Pair pair(config);
    pair.network->code_costs.zero_();
    torch::manual_seed(3);
    QuantizeOptions options;
    options.update_codebooks = true;
    options.decay = 0.9;
    options.dead_entry_share = 0;
    options.rate_weight = weight;
    options.envelope_rate_weight = envelope_weight;
    Tensor latents;
    for (int i = 0; i < 60; ++i) {
      // Frames are loud or quiet, as music's are.
      latents = torch::randn({2, 4, 400, 8}) * torch::where(torch::rand({2, 4, 400, 1}) < 0.5, 0.2, 2.0);
      pair.network->quantize(latents, options);
    }
    const Quantized quantized = pair.network->quantize(latents, {});
    double bits[2] = {0, 0};  // of the envelope's codebook, of the others
    for (int64_t h = 0; h < 3; ++h) {
      const Tensor counts = torch::bincount(quantized.codes.select(1, 0).select(2, h).flatten(), {}, 32);
      const Tensor p = counts / counts.sum().to(torch::kFloat32);
      bits[h == 1 ? 0 : 1] -= (p * torch::log2(p + 1e-9)).sum().item<double>();
    }
    return std::tuple{bits[0], bits[1], (latents - quantized.values).square().mean().item<double>()};
  };
  const auto [plain_envelope, plain_bits, plain_rest] = run(0, 0);
  const auto [other_envelope, cheap_bits, cheap_rest] = run(0.1, 0);
  EXPECT_LT(cheap_bits, 0.9 * plain_bits);
  EXPECT_NEAR(other_envelope, plain_envelope, 0.1);
  EXPECT_LT(cheap_rest, 1.25 * plain_rest);
  EXPECT_LT(std::get<0>(run(0, 0.3)), plain_envelope - 0.3);
}

TEST_F(Quantizers, ExportPutsTheMostUsedEntriesFirst) {
  torch::NoGradGuard no_grad;
  for (const KindOfModel& kind : {kKinds[0], kKinds[6]}) {
    SCOPED_TRACE(kind.name);
    Pair pair(kind.config());
    const Tensor before = pair.network->codebooks.clone();
    const Tensor costs = pair.network->code_costs.defined() ? pair.network->code_costs.clone() : Tensor();
    pair.network->code_counts.copy_(torch::arange(32).expand({4, 3, 32}));
    TempDir folder;
    ExportOptions options;
    options.half = false;
    export_network(*pair.network, "sorted", "{}", folder / "m.safetensors", options);
    const auto model = Model::load(folder / "m.safetensors");
    EXPECT_EQ(model->metadata().at("name"), "sorted");
    for (size_t s = 0; s < 4; ++s) {
      for (size_t h = 0; h < 3; ++h) {
        const Tensor expected = before[static_cast<int64_t>(s)][static_cast<int64_t>(h)].flip(0).contiguous();
        const auto span = values_of(expected);
        EXPECT_EQ(model->source(s).entries[h], std::vector<float>(span.begin(), span.end()));
      }
    }
    if (costs.defined()) {
      auto file = runtime::Safetensors::open(folder / "m.safetensors");
      const Tensor expected = costs.flip(2).contiguous();
      const auto span = values_of(expected);
      EXPECT_EQ(file.floats("code_costs", {4, 3, 32}), std::vector<float>(span.begin(), span.end()));
    }
  }
}

TEST_F(Quantizers, SilentSourcesStaySilentAndFinite) {
  const ModelConfig config = tiny_config();
  Pair pair(config);
  const LappedTransform transform(256, torch::kCPU);
  const Tensor samples = torch::zeros({1, 2, 17 * 256});
  const Analysis analysis = pair.network->encode(transform.mdct(samples), transform.mdst(samples));
  EXPECT_EQ(analysis.scale.abs().max().item<float>(), 0);
  const Quantized quantized = pair.network->quantize(analysis.latents, {});
  const Tensor decoded = pair.network->decode(quantized.values, analysis.scale);
  EXPECT_EQ(decoded.abs().max().item<float>(), 0);
  (decoded.sum() + quantized.commitment).backward();
  for (const auto& item : pair.network->named_parameters()) {
    if (item.value().grad().defined()) {
      EXPECT_TRUE(item.value().grad().isfinite().all().item<bool>()) << item.key();
    }
  }
}

}  // namespace
}  // namespace vqcodec::vqvae::train
