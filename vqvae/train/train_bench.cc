// Where the time of a training step goes, and how far it is from what the machine can do: one joint step of the default shape
// (or of a recipe) on random audio, part by part, in float32 and in bfloat16, beside products of two matrices of 1024 x 1024.
// On the CPU, in wall-clock time; give it an idle machine.
//   vqvae_train_bench [recipe.json] [threads = 1] [steps = 5]
#include "vqvae/train/torch.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>

#include "base/error.h"
#include "base/main_guard.h"
#include "vqvae/train/fit.h"
#include "vqvae/train/losses.h"
#include "vqvae/train/network.h"
#include "vqvae/train/train_config.h"

namespace {

using namespace vqcodec;
using namespace vqcodec::vqvae;
using namespace vqcodec::vqvae::train;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Multiply-adds a frame of the stack's products and convolutions, and of them those of the products.
struct Macs {
  double all = 0, products = 0;
};
Macs macs_of(const StackConfig& stack, double in, double out) {
  const double width = stack.width, blocks = static_cast<double>(stack.dilations.size());
  const double products = in * width + blocks * 2 * width * width * stack.expansion + width * out;
  return {products + blocks * width * stack.kernel_frames, products};
}

// Of the whole of vqvae/unet.h.
double macs_of_unet(const ModelConfig& config) {
  const UNetConfig& unet = *config.unet;
  const double outputs = 2 * config.num_sources(), bands = config.num_bands();
  double macs =
      3.0 * (unet.strides[0] + 2) * 4 * unet.channels[0] * config.unet_bands(0) + unet.channels[0] * bands * outputs;
  for (int level = 0; level < unet.num_levels(); ++level) {
    const bool is_last = level + 1 == unet.num_levels();
    const double channels = unet.channels[static_cast<size_t>(level)], here = config.unet_bands(level);
    macs += 2 * 9 * channels * channels * here * unet.blocks * (is_last ? 1 : 2);
    if (is_last) return macs + macs_of(config.encoder, here * channels, here * channels).all;
    macs += 2 * channels * here * unet.channels[static_cast<size_t>(level) + 1];
  }
  return macs;
}

// Products of matrices as large as those of the networks.
double peak_gflops(torch::ScalarType type) {
  const auto a = torch::randn({1024, 1024}).to(type), b = torch::randn({1024, 1024}).to(type);
  double best = 1e9;
  for (int i = 0; i < 20; ++i) {
    const double begin = now();
    const auto product = torch::matmul(a, b);
    best = std::min(best, now() - begin);
  }
  return 2.0 * 1024 * 1024 * 1024 / best * 1e-9;
}

class Clock {
 public:
  void lap(const std::string& name) {
    const double at = now();
    if (!seconds_.contains(name)) order_.push_back(name);
    seconds_[name] += at - last_;
    last_ = at;
  }
  void start() { last_ = now(); }
  const std::vector<std::string>& order() const { return order_; }
  double seconds(const std::string& name) const { return seconds_.contains(name) ? seconds_.at(name) : 0; }

 private:
  double last_ = 0;
  std::vector<std::string> order_;
  std::map<std::string, double> seconds_;
};

void bench(const Recipe& recipe, bool bfloat16, int steps) {
  const ModelConfig& model = recipe.model;
  const TrainConfig& t = recipe.training;
  const int64_t num_sources = model.num_sources();
  torch::manual_seed(1);
  Network network(model);
  network->autocast = bfloat16;
  network->train();
  torch::optim::Adam optimizer(network->parameters(), torch::optim::AdamOptions(1e-5));
  const LappedTransform transform(model.hop_samples, torch::kCPU);
  const int64_t samples = static_cast<int64_t>(t.crop_frames + 1) * model.hop_samples;
  const torch::Tensor batch = torch::randn({t.batch_size, num_sources, 2, samples}) * 0.1;
  const int64_t window = std::max(1, model.sample_rate_hz / model.hop_samples);

  Clock clock;
  for (int step = -1; step < steps; ++step) {
    if (step == 0) clock = Clock();  // the first step is for caches and allocators
    clock.start();
    Spectra spectra;
    {
      torch::NoGradGuard no_grad;
      const torch::Tensor sources = transform.mdct(batch);
      spectra.sources = sources.transpose(2, 3).contiguous();
      spectra.mdct = sources.sum(1);
      spectra.mdst = transform.mdst(batch.sum(1));
      spectra.mixture_energy = spectra.mdct.square().sum({1, 3});
    }
    clock.lap("transforms");
    optimizer.zero_grad();
    Analysis analysis;
    if (model.encoder_kind == EncoderKind::kMasks) {
      const torch::Tensor estimates = network->separate(spectra.mdct, spectra.mdst);
      clock.lap("masks, forward");
      analysis = network->analyse(estimates);
      clock.lap("analysis, forward");
    } else {
      analysis = network->encode(spectra.mdct, spectra.mdst);
      clock.lap("encoder, forward");
    }
    const Quantized quantized = network->quantize(analysis.latents, {.update_codebooks = true});
    clock.lap("quantizer");
    const torch::Tensor decoded = network->decode(quantized.values, analysis.scale);
    clock.lap("synthesis, forward");
    const torch::Tensor error = decoded - spectra.sources;
    torch::Tensor loss = normalised_error(error, spectra.sources, spectra.mixture_energy, window);
    for (const torch::Tensor& part : {error.sum(1), error.select(1, 0)}) {
      const WaveformTerms terms = waveform_terms(transform, part, true);
      loss = loss + terms.waveform + terms.stft;
    }
    if (model.noise) {
      const NoiseTerms terms = noise_terms(swap_mid_side(decoded), swap_mid_side(spectra.sources),
                                           network->noise_amplitudes(quantized.values, analysis.scale),
                                           model.noise_band_edges(), spectra.mixture_energy, window);
      loss = loss + terms.envelope + terms.sdr_loss;
    }
    clock.lap("losses (and noise), forward");
    loss.backward();
    clock.lap("all, backward");
    torch::nn::utils::clip_grad_norm_(network->parameters(), 1);
    optimizer.step();
    clock.lap("clipping, Adam");
  }

  const double hop = model.hop_samples, sources = static_cast<double>(num_sources);
  const bool masks = model.encoder_kind == EncoderKind::kMasks;
  std::map<std::string, double> macs;  // a frame
  macs[masks ? "masks, forward" : "encoder, forward"] =
      model.unet ? macs_of_unet(model) : macs_of(model.encoder, model.encoder_in(), model.encoder_out()).all;
  if (masks) {
    macs["analysis, forward"] =
        sources * (macs_of(model.analysis, 2 * model.num_code_bins, model.quantizer_in()).all +
                   2 * hop * (model.quantizer_kind == QuantizerKind::kResidual ? model.code_dim : 0));
  }
  macs["synthesis, forward"] = sources * (macs_of(model.synthesis, model.quantizer_out(), 2 * model.num_code_bins).all +
                                          2 * hop * model.quantizer_out());
  if (model.noise) {
    macs["losses (and noise), forward"] =
        sources * macs_of(*model.noise, model.quantizer_out(), 2 * model.num_noise_bands()).all;
  }
  double forward = 0, total = 0;
  for (const auto& [name, count] : macs) forward += count;
  macs["all, backward"] = 2 * forward;
  for (const std::string& name : clock.order()) total += clock.seconds(name);
  const double frames = static_cast<double>(t.batch_size) * t.crop_frames * steps;
  const double peak = peak_gflops(bfloat16 ? torch::kBFloat16 : torch::kFloat32);
  std::printf("\n%s: products of 1024 x 1024 reach %.0f GFLOP/s; %.1f s of audio a second\n",
              bfloat16 ? "bfloat16" : "float32", peak, frames * hop / model.sample_rate_hz / total);
  std::printf("%-28s %9s %8s %9s %8s\n", "part", "ms", "of time", "GFLOP/s", "of peak");
  for (const std::string& name : clock.order()) {
    const double seconds = clock.seconds(name);
    std::printf("%-28s %9.1f %7.1f%%", name.c_str(), seconds / steps * 1e3, 100 * seconds / total);
    if (macs.contains(name)) {
      const double gflops = 2 * macs[name] * frames / seconds * 1e-9;
      std::printf(" %9.1f %7.1f%%", gflops, 100 * gflops / peak);
    }
    std::printf("\n");
  }
  const double gflops = 2 * 3 * forward * frames / total * 1e-9;
  std::printf("%-28s %9.1f %7.1f%% %9.1f %7.1f%%\n", "a step", total / steps * 1e3, 100.0, gflops, 100 * gflops / peak);
}

}  // namespace

int main(int argc, char** argv) {
  return guarded_main("vqvae_train_bench", [&] {
    const int threads = argc > 2 ? std::atoi(argv[2]) : 1, steps = argc > 3 ? std::atoi(argv[3]) : 5;
    if (argc > 4 || threads < 1 || threads > 1024 || steps < 1 || steps > 1000) {
      throw Error(ExitCode::kUsage, "expected [recipe.json] [threads 1..1024] [steps 1..1000]");
    }
    const Recipe recipe = load_recipe(argc > 1 ? argv[1] : "configs/default.json");
    torch::set_num_threads(threads);
    std::printf("%s, %d thread(s), %d items of %d frames, %d steps\n", recipe.name.c_str(), threads,
                recipe.training.batch_size, recipe.training.crop_frames, steps);
    for (const bool bfloat16 : {false, true}) bench(recipe, bfloat16, steps);
    return 0;
  });
}
