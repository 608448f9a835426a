#include "vqvae/train/trainer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <future>
#include <numeric>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/stopwatch.h"
#include "runtime/safetensors.h"
#include "vqvae/model.h"
#include "vqvae/train/checkpoint.h"
#include "vqvae/train/device_mixer.h"
#include "vqvae/train/discriminator.h"
#include "vqvae/train/equalizer.h"
#include "vqvae/train/fit.h"
#include "vqvae/train/losses.h"
#include "vqvae/train/network.h"
#include "vqvae/train/schedule.h"
#include "vqvae/train/sound.h"

namespace vqcodec::vqvae::train {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// Streams of the counter-based generator beside those of the training steps.
constexpr uint64_t kFitStream = uint64_t{1} << 40;
constexpr uint64_t kStepStream = uint64_t{1} << 41;
constexpr uint64_t kSoundStream = uint64_t{1} << 42;
constexpr int64_t kChunkFrames = 430;  // of validation songs, about 10 s
// In the sound phase: the level that waveforms are judged at, and that under which they are not brought up to it and the
// mixture is judged instead.
constexpr double kJudgedLevel = 0.1, kLeastJudgedLevel = 1e-3;
constexpr double kMelFloor = 1e-4;  // 60 dB under it
// Shares of the items of which the mixture is judged, and of the rest, of which a single source is. In sums alone the noise
// of one source can stand in for that of another.
constexpr double kMixtureShare = 0.35, kSingleShare = 0.5;
// Frames of a song in which noise begins at random, 100 minutes of the default model.
constexpr uint64_t kNoiseFrames = uint64_t{1} << 18;
constexpr double kSoundingRms = 0.00316;  // windows under -50 dBFS are left out of the SDR

double median(std::vector<double> values) {
  if (values.empty()) return std::nan("");
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double perplexity(const Tensor& codes, int size) {
  const Tensor counts = torch::bincount(codes.flatten().cpu(), {}, size).to(torch::kFloat64);
  const Tensor p = counts / counts.sum();
  return torch::exp(-(p * torch::log(p + 1e-12)).sum()).item<double>();
}

}  // namespace

struct Trainer::State {
  Recipe recipe;
  TrainOptions options;
  const std::vector<dataset::Song>& validation;
  torch::Device device;
  dataset::Mixer mixer;
  std::unique_ptr<DeviceMixer> device_mixer;  // null = mixed on the CPU
  LappedTransform transform;
  Network network;
  std::unique_ptr<torch::optim::Adam> optimizer;
  // Of the sound phase; null without it, the discriminator also where nothing depends on it.
  Discriminator discriminator{nullptr};
  std::unique_ptr<torch::optim::Adam> discriminator_optimizer;
  std::unique_ptr<MelDistance> mel_distance;
  std::vector<Tensor> decoder_parameters;
  std::unique_ptr<EventWriter> events;
  int64_t step = 0;
  bool fitted = false;     // analysis and codebooks have been set from data
  std::vector<bool> kept;  // codebooks [H] of the model that the run began with, when it had fewer; else empty
  std::future<Tensor> next_batch;
  int64_t next_batch_step = -1;
  // Since the last log line, each with the number of steps that had it.
  struct Sum {
    std::string name;
    double sum;
    int64_t count;
  };
  std::vector<Sum> sums;
  int64_t num_summed = 0;
  double draw_wait_seconds = 0;

  State(const Recipe& r, const std::vector<dataset::WeightedSongs>& training, const std::vector<dataset::Song>& valid,
        TrainOptions o)
      : recipe(r),
        options(std::move(o)),
        validation(valid),
        device(options.use_cuda ? torch::kCUDA : torch::kCPU),
        mixer(training, r.model.num_sources(), r.training.seed, r.training.mix),
        transform(r.model.hop_samples, device),
        network(nullptr) {
    torch::manual_seed(r.training.seed);
    network = Network(r.model);
    network->to(device);
    network->autocast = options.precision == Precision::kBfloat16;
    // In the order of learning_rate_ratios().
    std::vector<Tensor> others, bases, separator, decoder, decoder_bases;
    for (const auto& item : network->named_parameters()) {
      const bool separates = r.model.encoder_kind == EncoderKind::kMasks && item.key().starts_with("encoder.");
      const bool is_basis = item.key().ends_with("_basis");
      (separates                   ? separator
       : is_of_decoder(item.key()) ? (is_basis ? decoder_bases : decoder)
       : is_basis                  ? bases
                                   : others)
          .push_back(item.value());
    }
    std::vector<torch::optim::OptimizerParamGroup> groups;
    for (auto& parameters : {others, bases, separator, decoder, decoder_bases}) {
      groups.emplace_back(parameters, std::make_unique<torch::optim::AdamOptions>(r.training.learning_rate));
    }
    optimizer = std::make_unique<torch::optim::Adam>(groups, torch::optim::AdamOptions(r.training.learning_rate));
    if (r.training.sound_steps > 0) make_sound_phase();
  }

  static bool is_of_decoder(const std::string& parameter) {
    return parameter.starts_with("synthesis") || parameter.starts_with("noise");
  }

  std::array<double, 5> learning_rate_ratios() const {
    const TrainConfig& t = training();
    const double separator = step < t.separation_steps ? 1 : t.separator_learning_rate_ratio;
    const double decoder = step < noise_end() ? t.decoder_learning_rate_ratio : 1;
    return {1, t.basis_learning_rate_ratio, separator, decoder, decoder * t.basis_learning_rate_ratio};
  }

  void make_sound_phase() {
    const TrainConfig& t = training();
    for (const auto& item : network->named_parameters()) {
      if (is_of_decoder(item.key())) decoder_parameters.push_back(item.value());
    }
    if (t.loss.mel > 0) mel_distance = std::make_unique<MelDistance>(model().sample_rate_hz, kMelFloor, device);
    if (t.loss.adversarial <= 0 && t.loss.feature_matching <= 0) return;
    discriminator = Discriminator(t.discriminator_width);
    discriminator->to(device);
    discriminator->autocast = network->autocast;
    discriminator_optimizer = std::make_unique<torch::optim::Adam>(
        discriminator->parameters(), torch::optim::AdamOptions(t.discriminator_learning_rate).betas({0.5, 0.9}));
  }

  SecondNetwork second_network() {
    if (!discriminator) return {};
    return {.network = discriminator.get(), .optimizer = discriminator_optimizer.get()};
  }

  const ModelConfig& model() const { return recipe.model; }
  const TrainConfig& training() const { return recipe.training; }
  int64_t total_steps() const { return noise_end() + training().sound_steps; }
  int64_t noise_end() const { return joint_end() + training().noise_steps; }
  int64_t joint_end() const {
    return training().separation_steps + training().unquantized_steps + training().joint_steps;
  }
  int64_t crop_samples() const { return static_cast<int64_t>(training().crop_frames + 1) * model().hop_samples; }

  void make_device_mixer() {
    if (options.mix == MixPlace::kHost || (options.mix == MixPlace::kAuto && !options.use_cuda)) return;
    const int64_t num_bytes = device_audio_bytes(mixer.sets(), model().num_sources());
    if (options.mix == MixPlace::kAuto) {
      const auto num_free = static_cast<int64_t>(at::accelerator::getMemoryInfo(0).first);
      if (num_bytes > num_free / 2) return;
    }
    log("copying " + std::to_string(num_bytes / 1000000) + " MB of songs to the device, where they are mixed");
    device_mixer = std::make_unique<DeviceMixer>(mixer, device, options.num_threads);
  }

  // [B, S, 2, samples], on the device if it is mixed there.
  Tensor draw_batch(uint64_t stream) const {
    if (device_mixer) return device_mixer->draw(stream, training().batch_size, crop_samples());
    const int64_t item_size = model().num_sources() * 2 * crop_samples();
    Tensor batch = torch::empty({training().batch_size, model().num_sources(), 2, crop_samples()});
    float* data = batch.data_ptr<float>();
    for (int64_t item = 0; item < training().batch_size; ++item) {
      mixer.draw(stream, static_cast<uint64_t>(item), crop_samples(),
                 {data + item * item_size, static_cast<size_t>(item_size)});
    }
    return batch;
  }

  Tensor take_batch() {
    const Stopwatch waited;
    Tensor batch =
        next_batch.valid() && next_batch_step == step ? next_batch.get() : draw_batch(static_cast<uint64_t>(step));
    draw_wait_seconds += waited.seconds();
    if (device_mixer) return batch;
    next_batch_step = step + 1;
    next_batch =
        std::async(std::launch::async, [this, at = step + 1] { return draw_batch(static_cast<uint64_t>(at)); });
    return batch.to(device);
  }

  // equalizers: [B, S, N] factors for the sources' coefficients, or none.
  Spectra spectra(const Tensor& batch, const Tensor& equalizers = {}) const {
    torch::NoGradGuard no_grad;
    Spectra result;
    Tensor sources = transform.mdct(batch);  // [B, S, 2, T, N]
    if (equalizers.defined()) {
      const Tensor factors = equalizers.unsqueeze(2).unsqueeze(2);
      sources = sources * factors;
      result.mdst = (transform.mdst(batch) * factors).sum(1);
    } else {
      result.mdst = transform.mdst(batch.sum(1));
    }
    result.sources = sources.transpose(2, 3).contiguous();
    result.mdct = sources.sum(1);
    result.mixture_energy = result.mdct.square().sum({1, 3});
    return result;
  }

  Tensor draw_equalizers() const {
    const TrainConfig& t = training();
    if (t.equalizer_deviation_db <= 0) return {};
    return equalizer_factors(model(), t.batch_size, t.equalizer_deviation_db, t.seed, step).to(device);
  }

  int64_t window_frames() const { return std::max<int64_t>(1, model().sample_rate_hz / model().hop_samples); }

  double learning_rate() const {
    const TrainConfig& t = training();
    struct Phase {
      int64_t begin, end;
      double peak;
    };
    const Phase phase = step < t.separation_steps ? Phase{0, t.separation_steps, t.separation_learning_rate}
                        : step < joint_end()      ? Phase{t.separation_steps, joint_end(), t.learning_rate}
                        : step < noise_end()      ? Phase{joint_end(), noise_end(), t.noise_learning_rate}
                                                  : Phase{noise_end(), total_steps(), t.sound_learning_rate};
    return scheduled_learning_rate(step - phase.begin, phase.end - phase.begin, phase.peak, t.warmup_steps,
                                   t.final_learning_rate_ratio);
  }

  void add_term(Tensor& total, const char* name, double weight, const Tensor& term) {
    total = total.defined() ? total + weight * term : weight * term;
    add_sum(name, term.item<double>());
  }

  void add_sum(const char* name, double value) {
    for (Sum& sum : sums) {
      if (sum.name == name) {
        sum.sum += value;
        ++sum.count;
        return;
      }
    }
    sums.push_back({name, value, 1});
  }

  double train_step() {
    const TrainConfig& t = training();
    // What a model lacks is fitted at once: a checkpoint would not tell what it came with.
    if (!fitted && (step >= t.separation_steps || !kept.empty())) fit();
    const auto mixed_seed = dataset::CounterRandom(t.seed, kStepStream, static_cast<uint64_t>(step)).next();
    torch::manual_seed(mixed_seed);
    network->train();
    const Spectra spectra = this->spectra(take_batch(), draw_equalizers());
    const double rate = learning_rate();
    const auto ratios = learning_rate_ratios();
    for (size_t i = 0; i < ratios.size(); ++i) {
      static_cast<torch::optim::AdamOptions&>(optimizer->param_groups()[i].options()).lr(rate * ratios[i]);
    }
    optimizer->zero_grad();
    Tensor loss, discriminator_loss;
    const LossWeights& weight = t.loss;
    if (step < t.separation_steps) {
      const Tensor estimates = network->separate(spectra.mdct, spectra.mdst);
      add_term(loss, "separation", 1,
               normalised_error((estimates - spectra.sources) * error_weights(spectra), spectra.sources,
                                spectra.mixture_energy, window_frames()));
    } else if (step < joint_end()) {
      loss = joint_loss(spectra, weight);
    } else if (step < noise_end()) {
      loss = noise_loss(spectra);
    } else {
      loss = sound_loss(spectra, discriminator_loss);
    }
    // What the discriminator made of the waveforms serves both sides, each of which takes the gradient of its own loss.
    const bool both = discriminator_loss.defined();
    both ? loss.backward({}, /*retain_graph=*/true, false, decoder_parameters) : loss.backward();
    if (both) improve_discriminator(discriminator_loss);
    if (t.gradient_clip > 0) {
      add_sum("gradient_norm", torch::nn::utils::clip_grad_norm_(network->parameters(), t.gradient_clip));
    }
    optimizer->step();
    const double value = loss.item<double>();
    check_loss(step, value);
    add_sum("loss", value);
    add_sum("learning_rate", rate);
    ++num_summed;
    ++step;
    return value;
  }

  // What errors are multiplied with, so that their energies weigh by LossWeights::source_weights.
  Tensor error_weights(const Spectra& spectra) const {
    const std::vector<double>& weights = training().loss.source_weights;
    if (std::all_of(weights.begin(), weights.end(), [](double weight) { return weight == 1; })) {
      return torch::ones({}, spectra.sources.options());
    }
    return weights_of_bins(spectra.sources, torch::tensor(weights, spectra.sources.options())).sqrt();
  }

  // Of the items of this step: how many codebooks are kept [B], and which sources are chosen [B, S], 1 or 0.
  std::pair<Tensor, Tensor> draw_kept() const {
    const TrainConfig& t = training();
    Tensor kept = torch::full({t.batch_size}, model().num_codebooks, torch::kInt64);
    Tensor subset = torch::empty({t.batch_size, model().num_sources()});
    for (int64_t item = 0; item < t.batch_size; ++item) {
      dataset::CounterRandom random(t.seed, kStepStream + static_cast<uint64_t>(step) + 1, static_cast<uint64_t>(item));
      if (random.chance(t.nested_dropout)) {
        kept[item] = static_cast<int64_t>(1 + random.below(static_cast<uint64_t>(model().num_codebooks)));
      }
      for (int64_t s = 0; s < model().num_sources(); ++s) {
        subset[item][s] = random.chance(t.subset_probability) ? 1.0f : 0.0f;
      }
    }
    return {kept.to(device), subset.to(device)};
  }

  Tensor noise_loss(const Spectra& spectra) {
    Tensor values, scale, decoded;
    {
      torch::NoGradGuard no_grad;
      const Analysis analysis = network->encode(spectra.mdct, spectra.mdst);
      values = network->quantize(analysis.latents, {.num_kept = draw_kept().first}).values;
      scale = analysis.scale;
      decoded = swap_mid_side(network->decode(values, scale));
    }
    const NoiseTerms terms =
        noise_terms(decoded, swap_mid_side(spectra.sources), network->noise_amplitudes(values, scale),
                    model().noise_band_edges(), spectra.mixture_energy, window_frames());
    Tensor loss;
    add_term(loss, "noise_envelope_db", 1, terms.envelope);
    add_term(loss, "noise_sdr_loss_db", training().noise_cost, terms.sdr_loss);
    return loss;
  }

  // [B, S] for products with [B, S, T, 2, N].
  static Tensor as_factors(const Tensor& x) { return x.view({x.size(0), x.size(1), 1, 1, 1}); }

  // The terms that hold the SDR, of the error of each decoded source [B, S, T, 2, N]; subset: [B, S], 1 or 0.
  void add_reconstruction(Tensor& loss, const Tensor& error, const Spectra& spectra, const Tensor& subset) {
    const LossWeights& weight = training().loss;
    if (weight.decoded_sources > 0) {
      add_term(loss, "decoded_sources", weight.decoded_sources,
               normalised_error(error * error_weights(spectra), spectra.sources, spectra.mixture_energy,
                                window_frames()));
    }
    if (weight.decoded_mixture > 0) {
      add_term(loss, "decoded_mixture", weight.decoded_mixture,
               relative_error(error.sum(1, true), spectra.sources.sum(1, true), spectra.mixture_energy,
                              window_frames()));
    }
    const auto add_waveform = [&](const char* name, const char* stft_name, double waveform_weight, double stft_weight,
                                  const Tensor& chosen) {
      if (waveform_weight <= 0 && stft_weight <= 0) return;
      const WaveformTerms terms = waveform_terms(transform, (error * as_factors(chosen)).sum(1), stft_weight > 0);
      if (waveform_weight > 0) add_term(loss, name, waveform_weight, terms.waveform);
      if (stft_weight > 0) add_term(loss, stft_name, stft_weight, terms.stft);
    };
    add_waveform("select", "select_stft", weight.select, weight.select_stft, subset);
    add_waveform("complement", "complement_stft", weight.complement, weight.complement_stft, 1 - subset);
  }

  // What sounds right: decoded as vqvae/decoder.cc does, with noise. Of all that learns only the decoder is asked.
  // discriminator_loss: what the discriminator is to lessen, if there is one.
  Tensor sound_loss(const Spectra& spectra, Tensor& discriminator_loss) {
    const LossWeights& weight = training().loss;
    const int64_t batch = spectra.sources.size(0);
    auto [kept, subset] = draw_kept();
    Tensor values, scale;
    {
      torch::NoGradGuard no_grad;
      const Analysis analysis = network->encode(spectra.mdct, spectra.mdst);
      values = network->quantize(analysis.latents, {.num_kept = kept}).values;
      scale = analysis.scale;
    }
    // Any frame of a song, so that the decoder does not learn certain signs.
    Tensor judged = subset.clone();
    std::vector<int64_t> first_frames;
    for (int64_t item = 0; item < batch; ++item) {
      dataset::CounterRandom random(training().seed, kSoundStream + static_cast<uint64_t>(step),
                                    static_cast<uint64_t>(item));
      first_frames.push_back(static_cast<int64_t>(random.below(kNoiseFrames)));
      if (random.chance(kMixtureShare)) {
        judged[item].fill_(1);
      } else if (random.chance(kSingleShare)) {
        judged[item].fill_(0);
        judged[item][static_cast<int64_t>(random.below(static_cast<uint64_t>(model().num_sources())))] = 1.0F;
      }
    }
    Tensor loss;
    Tensor decoded = network->decode(values, scale);
    if (model().noise) {
      const Tensor amplitudes = network->noise_amplitudes(values, scale);
      if (weight.envelope > 0) {
        add_term(loss, "noise_envelope_db", weight.envelope,
                 noise_terms(swap_mid_side(decoded), swap_mid_side(spectra.sources), amplitudes,
                             model().noise_band_edges(), spectra.mixture_energy, window_frames())
                     .envelope);
      }
      decoded = decoded + swap_mid_side(fill_noise(amplitudes, model().noise_band_edges(), first_frames));
    }
    add_reconstruction(loss, decoded - spectra.sources, spectra, subset);
    if (!discriminator && !mel_distance) return checked(loss);

    const auto [decoded_wave, target_wave] = judged_waveforms(decoded, spectra.sources, judged);
    if (mel_distance) add_term(loss, "mel", weight.mel, (*mel_distance)(decoded_wave, target_wave));
    if (!discriminator) return loss;
    const Judgement found = discriminator->judge(decoded_wave), expected = discriminator->judge(target_wave);
    if (weight.adversarial > 0) add_term(loss, "adversarial", weight.adversarial, decoder_hinge(found));
    if (weight.feature_matching > 0) {
      add_term(loss, "feature_matching", weight.feature_matching, feature_matching(found, expected));
    }
    discriminator_loss = discriminator_hinge(found, expected);
    add_sum("discriminator", discriminator_loss.item<double>());
    add_sum("discriminator_accuracy", discriminator_accuracy(found, expected));
    return loss;
  }

  // The sums of the judged sources [B, S] as decoded and as they are, [B, 2, samples], from the same frames and at a
  // level at which all items count.
  std::pair<Tensor, Tensor> judged_waveforms(const Tensor& decoded, const Tensor& sources, Tensor judged) const {
    const int64_t crop = training().crop_frames;
    const int64_t frames = training().judged_frames == 0 ? crop : training().judged_frames;
    dataset::CounterRandom random(training().seed, kSoundStream + static_cast<uint64_t>(step), kSoundStream);
    const auto start = static_cast<int64_t>(random.below(static_cast<uint64_t>(crop - frames + 1)));
    const auto levels = [](const Tensor& x) { return x.square().flatten(1).mean(1).sqrt(); };  // [B]
    const Tensor there = sources.narrow(2, start, frames);
    Tensor target, gain;
    {
      torch::NoGradGuard no_grad;
      const Tensor silent = levels((there * as_factors(judged)).sum(1)) < kLeastJudgedLevel;
      judged = torch::maximum(judged, silent.to(torch::kFloat32).unsqueeze(1));
      target = (there * as_factors(judged)).sum(1);
      gain = (kJudgedLevel / levels(target).clamp_min(kLeastJudgedLevel)).view({-1, 1, 1, 1});
    }
    const auto waveform = [&](const Tensor& x) { return transform.inverse((x * gain).transpose(1, 2)); };
    return {waveform((decoded.narrow(2, start, frames) * as_factors(judged)).sum(1)), waveform(target)};
  }

  void improve_discriminator(const Tensor& loss) {
    discriminator_optimizer->zero_grad();
    loss.backward({}, std::nullopt, false, discriminator->parameters());
    const TrainConfig& t = training();
    const double rate = scheduled_learning_rate(step - noise_end(), t.sound_steps, t.discriminator_learning_rate, 0,
                                                t.final_learning_rate_ratio);
    static_cast<torch::optim::AdamOptions&>(discriminator_optimizer->param_groups()[0].options()).lr(rate);
    discriminator_optimizer->step();
  }

  static const Tensor& checked(const Tensor& loss) {
    if (!loss.defined()) throw Error(ExitCode::kBadFile, "training.loss: every weight is 0, expected one above 0");
    return loss;
  }

  Tensor joint_loss(const Spectra& spectra, const LossWeights& weight) {
    const TrainConfig& t = training();
    Tensor loss;
    const bool masks = model().encoder_kind == EncoderKind::kMasks;
    const bool separates = !masks || t.separator_learning_rate_ratio > 0;
    Analysis analysis;
    if (separates) {
      analysis = network->encode(spectra.mdct, spectra.mdst);
    } else {
      Tensor estimates;
      {
        torch::NoGradGuard no_grad;
        estimates = network->separate(spectra.mdct, spectra.mdst);
      }
      analysis = network->analyse(estimates);
    }
    if (weight.separation > 0 && masks && separates) {
      add_term(loss, "separation", weight.separation,
               normalised_error((analysis.estimates - spectra.sources) * error_weights(spectra), spectra.sources,
                                spectra.mixture_energy, window_frames()));
    }
    QuantizeOptions quantize{.quantize = step >= t.separation_steps + t.unquantized_steps,
                             .update_codebooks = true,
                             .temperature = temperature(),
                             .decay = t.codebook_decay,
                             .dead_entry_share = t.dead_entry_share,
                             .rate_weight = t.rate_weight,
                             .envelope_rate_weight = t.envelope_rate_weight};
    const auto [kept, subset] = draw_kept();
    quantize.num_kept = kept;
    const Quantized quantized = network->quantize(analysis.latents, quantize);
    const Tensor decoded = network->decode(quantized.values, analysis.scale);
    add_reconstruction(loss, decoded - spectra.sources, spectra, subset);
    if (weight.commitment > 0 && quantized.commitment.defined()) {
      add_term(loss, "commitment", weight.commitment, quantized.commitment);
    }
    if (weight.envelope > 0) {
      const NoiseTerms terms = noise_terms(swap_mid_side(decoded), swap_mid_side(spectra.sources),
                                           network->noise_amplitudes(quantized.values, analysis.scale),
                                           model().noise_band_edges(), spectra.mixture_energy, window_frames());
      add_term(loss, "noise_envelope_db", weight.envelope, terms.envelope);
      add_term(loss, "noise_sdr_loss_db", weight.envelope * t.noise_cost, terms.sdr_loss);
    }
    checked(loss);
    if ((step + 1) % t.log_every == 0 && quantize.quantize) {
      const Tensor codes = quantized.codes;
      add_sum("perplexity_first", perplexity(codes.select(-1, 0), model().codebook_size));
      add_sum("perplexity_last", perplexity(codes.select(-1, model().num_codebooks - 1), model().codebook_size));
    }
    return loss;
  }

  double temperature() const {
    const TrainConfig& t = training();
    const double done = static_cast<double>(step - t.separation_steps - t.unquantized_steps) /
                        static_cast<double>(std::max<int64_t>(1, t.joint_steps));
    return t.temperature_start * std::pow(t.temperature_end / t.temperature_start, std::clamp(done, 0.0, 1.0));
  }

  void fit() {
    fitted = true;
    const FitInput input{[&](int64_t index) {
                           return spectra(draw_batch(kFitStream + static_cast<uint64_t>(index)).to(device));
                         },
                         (training().fit_items + training().batch_size - 1) / training().batch_size,
                         [&](const std::string& text) { log(text); }};
    torch::manual_seed(training().seed);
    if (model().quantizer_kind == QuantizerKind::kResidual) {
      fit_residual(*network, training(), input, kept);
    } else if (model().encoder_kind == EncoderKind::kDirect) {
      fit_gumbel(*network, training(), input);
    }
  }

  void log(const std::string& text) {
    if (options.on_log) options.on_log(step, total_steps(), text);
  }

  // Median SDR over windows of 1 s in which the target sounds: of each source as masked ("masks_vocals") and as decoded
  // from its codes ("vocals"), their averages, and of the sum of all decoded sources ("mixture").
  Scalars validate() {
    Scalars result;
    if (validation.empty()) return result;
    torch::NoGradGuard no_grad;
    network->eval();
    const int64_t hop = model().hop_samples, num_sources = model().num_sources(), window = window_frames();
    const auto names = model().sources.size();
    std::vector<std::vector<double>> masked(names), decoded(names);
    std::vector<double> mixture;
    const auto collect = [&](std::vector<double>& sdr, const Tensor& estimate, const Tensor& target) {
      // [T, 2, N]; MDCT energies are those of the samples but at the ends of a window.
      for (int64_t at = 0; at + window <= target.size(0); at += window) {
        const Tensor t = target.narrow(0, at, window);
        const double energy = t.square().sum().item<double>();
        if (energy < kSoundingRms * kSoundingRms * 2.0 * static_cast<double>(hop * window)) continue;
        const double error = (estimate.narrow(0, at, window) - t).square().sum().item<double>();
        sdr.push_back(10 * std::log10(energy / std::max(error, 1e-12)));
      }
    };
    for (const dataset::Song& song : validation) {
      const int64_t max_frames = std::min<int64_t>(song.num_frames, static_cast<int64_t>(training().validation_seconds *
                                                                                         model().sample_rate_hz));
      for (int64_t start = 0; start + (window + 1) * hop <= max_frames; start += kChunkFrames * hop) {
        const int64_t frames = std::min<int64_t>(kChunkFrames, (max_frames - start) / hop - 1);
        if (frames < window) break;
        Tensor samples = torch::zeros({1, num_sources, 2, (frames + 1) * hop});
        for (int64_t s = 0; s < num_sources; ++s) {
          if (!song.has(static_cast<size_t>(s))) continue;
          const Tensor packed = torch::empty({(frames + 1) * hop, 2}, torch::kInt16);
          song.read(static_cast<size_t>(s), start,
                    {packed.data_ptr<int16_t>(), 2 * static_cast<size_t>((frames + 1) * hop)});
          samples[0][s].copy_(packed.to(torch::kFloat32).t() / 32768.0);
        }
        const Spectra spectra = this->spectra(samples.to(device));
        const Analysis analysis = network->encode(spectra.mdct, spectra.mdst);
        Tensor codes_out;
        if (step >= training().separation_steps && fitted) {
          const Quantized quantized = network->quantize(analysis.latents, {});
          codes_out = network->decode(quantized.values, analysis.scale);
          collect(mixture, codes_out.sum(1)[0], spectra.sources.sum(1)[0]);
        }
        for (size_t s = 0; s < names; ++s) {
          const auto source = static_cast<int64_t>(s);
          if (analysis.estimates.defined())
            collect(masked[s], analysis.estimates[0][source], spectra.sources[0][source]);
          if (codes_out.defined()) collect(decoded[s], codes_out[0][source], spectra.sources[0][source]);
        }
      }
    }
    const auto report = [&](const std::string& prefix, const std::vector<std::vector<double>>& all) {
      double sum = 0;
      int count = 0;
      for (size_t s = 0; s < names; ++s) {
        if (all[s].empty()) continue;
        result.emplace_back(prefix + model().sources[s], median(all[s]));
        sum += result.back().second;
        ++count;
      }
      if (count > 0) result.emplace_back(prefix + "average", sum / count);
    };
    report("masks_", masked);
    report("", decoded);
    if (!mixture.empty()) result.emplace_back("mixture", median(mixture));
    return result;
  }

  // A model that is like this one but for fewer codebooks or no envelope.
  bool lacks_codebooks(const ModelConfig& from) const {
    const bool alike = from.quantizer_kind == QuantizerKind::kResidual &&
                       model().quantizer_kind == QuantizerKind::kResidual &&
                       (from.envelope_dim == 0 || from.envelope_codebook == model().envelope_codebook) &&
                       from.code_dim - from.envelope_dim == model().code_dim - model().envelope_dim;
    return alike && (from.num_codebooks < model().num_codebooks || from.code_dim < model().code_dim) &&
           from.num_codebooks <= model().num_codebooks && from.code_dim <= model().code_dim;
  }

  enum class Part { kAll, kSeparator, kAllButSeparator };

  // Begins with the weights of a model, or of a part of it, fitted as they are. The model may have no noise, no envelope or
  // fewer codebooks: what it lacks is fitted before the first step.
  void load_model(const std::string& path, Part part) {
    if (!fs::exists(path)) throw Error(ExitCode::kModel, path + ": there is no such model");
    auto file = runtime::Safetensors::open(path);
    torch::NoGradGuard no_grad;
    const ModelConfig from = config_of(file);
    const bool separator_only = part == Part::kSeparator;
    const bool grows = !separator_only && lacks_codebooks(from);
    const auto read = [&](const std::string& name, Tensor& target) {
      auto shape = target.sizes().vec();
      if (grows && file.contains(name) && file.shape(name).size() == shape.size()) {
        for (size_t i = 0; i < shape.size(); ++i) {
          const int64_t found = file.shape(name)[i];
          const bool is_smaller = (shape[i] == model().code_dim && found == from.code_dim) ||
                                  (name == "code_costs" && i == 1 && found == from.num_codebooks);
          if (is_smaller) shape[i] = found;
        }
      }
      const Tensor values = torch::tensor(file.floats(name, shape)).view(shape);
      Tensor corner = target.zero_();
      for (size_t i = 0; i < shape.size(); ++i) corner = corner.narrow(static_cast<int64_t>(i), 0, shape[i]);
      corner.copy_(values);
    };
    for (auto& item : network->named_parameters()) {
      const bool separates = item.key().starts_with("encoder.");
      if (separates ? part == Part::kAllButSeparator : separator_only) continue;
      const bool of_noise = item.key().starts_with("noise") || item.key().starts_with("envelope");
      if (of_noise && !file.contains(item.key())) continue;
      read(item.key(), item.value());
    }
    if (separator_only) return;
    if (!grows && (from.num_codebooks != model().num_codebooks || from.codebook_size != model().codebook_size ||
                   from.envelope_codebook != model().envelope_codebook)) {
      throw Error(ExitCode::kModel,
                  path + ": has " + std::to_string(from.num_codebooks) + " codebooks of " +
                      std::to_string(from.codebook_size) + " entries, which do not fit the recipe's " +
                      std::to_string(model().num_codebooks) + " of " + std::to_string(model().codebook_size));
    }
    if (model().quantizer_kind == QuantizerKind::kResidual) {
      const Tensor codebooks =
          torch::tensor(read_codebooks(file, from))
              .view({model().num_sources(), from.num_codebooks, model().codebook_size, from.code_dim});
      network->codebooks.zero_().narrow(1, 0, from.num_codebooks).narrow(3, 0, from.code_dim).copy_(codebooks);
      if (network->code_costs.defined() && from.code_costs) read("code_costs", network->code_costs);
      network->code_counts.fill_(1);
      network->code_sums.copy_(network->codebooks);
    }
    if (part == Part::kAllButSeparator) {
      for (const std::string& name : file.tensor_names()) {
        if (name.starts_with("encoder.")) file.floats(name, file.shape(name));  // left aside on purpose
      }
    }
    file.check_all_used();
    fitted = !grows;
    if (grows) make_room(from);
  }

  // The codebooks of a smaller model are the first ones; the envelope's gets its place.
  void make_room(const ModelConfig& from) {
    kept.assign(static_cast<size_t>(model().num_codebooks), false);
    std::vector<int64_t> order;  // where each codebook comes from
    int64_t next = 0;
    for (int64_t h = 0; h < model().num_codebooks; ++h) {
      const bool is_new = (h == model().envelope_codebook && from.envelope_codebook < 0) || next >= from.num_codebooks;
      kept[static_cast<size_t>(h)] = !is_new;
      order.push_back(is_new ? h : next++);
    }
    const Tensor index = torch::tensor(order).to(device);
    network->codebooks.copy_(network->codebooks.index_select(1, index));
    if (network->code_costs.defined()) network->code_costs.copy_(network->code_costs.index_select(1, index));
  }

  void save_checkpoint() {
    write_checkpoint(options.checkpoint_path(), *network, *optimizer,
                     {{"step", torch::tensor(step)}, {"fitted", torch::tensor(fitted)}},
                     {{"recipe", to_json(recipe).dump()}, {"name", recipe.name}}, second_network());
  }

  void load_checkpoint() {
    const Recipe saved = checkpoint_recipe(options.checkpoint_path());
    if (to_json(saved) != to_json(recipe)) {
      throw Error(ExitCode::kBadFile,
                  options.checkpoint_path() + ": is of another recipe (" + saved.name +
                      "); resume with the same config, or choose another --out folder. Differences: " +
                      json::diff(to_json(saved), to_json(recipe)).dump().substr(0, 300));
    }
    Tensor saved_step, saved_fitted;
    read_checkpoint(options.checkpoint_path(), device, *network, optimizer.get(),
                    {{"step", &saved_step}, {"fitted", &saved_fitted}}, second_network());
    step = saved_step.item<int64_t>();
    fitted = saved_fitted.item<bool>();
  }
};

Trainer::Trainer(const Recipe& recipe, const std::vector<dataset::WeightedSongs>& training,
                 const std::vector<dataset::Song>& validation, TrainOptions options) {
  begin_run(options);
  state_ = std::make_unique<State>(recipe, training, validation, std::move(options));
  if (fs::exists(state_->options.checkpoint_path())) {
    state_->load_checkpoint();
  } else {
    const TrainOptions& from = state_->options;
    using Part = State::Part;
    const bool both = !from.init_separator.empty() && recipe.model.encoder_kind == EncoderKind::kMasks;
    if (!from.init_model.empty()) state_->load_model(from.init_model, both ? Part::kAllButSeparator : Part::kAll);
    if (!from.init_separator.empty()) state_->load_model(from.init_separator, Part::kSeparator);
  }
  state_->make_device_mixer();
  state_->events = std::make_unique<EventWriter>(state_->options.out_folder);
}

Trainer::~Trainer() {
  if (state_ && state_->next_batch.valid()) state_->next_batch.wait();
}

double Trainer::step() { return state_->train_step(); }
int64_t Trainer::current_step() const { return state_->step; }
int64_t Trainer::total_steps() const { return state_->total_steps(); }
void Trainer::save_checkpoint() { state_->save_checkpoint(); }
Scalars Trainer::validate() { return state_->validate(); }

int64_t Trainer::run() {
  State& s = *state_;
  const TrainConfig& t = s.training();
  const Stopwatch running;
  Stopwatch since_log;
  const auto validate = [&] {
    const Scalars scalars = s.validate();
    if (scalars.empty()) return;
    s.events->write(s.step, "validation", scalars);
    s.log("validation: " + to_text(scalars));
  };
  bool interrupted = false;
  while (s.step < s.total_steps()) {
    s.train_step();
    if (s.step % t.log_every == 0) {
      const double seconds = since_log.restart();
      Scalars scalars;
      for (const auto& [name, sum, count] : s.sums) scalars.emplace_back(name, sum / static_cast<double>(count));
      const double audio_seconds = static_cast<double>(s.num_summed * t.batch_size * t.crop_frames) *
                                   s.model().hop_samples / s.model().sample_rate_hz;
      scalars.emplace_back("audio_seconds_per_second", audio_seconds / seconds);
      scalars.emplace_back("draw_wait_share", s.draw_wait_seconds / seconds);
      s.events->write(s.step, "training", scalars);
      s.log(to_text(scalars));
      s.sums.clear();
      s.num_summed = 0;
      s.draw_wait_seconds = 0;
    }
    const bool at_end = s.step == s.total_steps();
    if (s.step % t.validate_every == 0 || at_end || s.step == t.separation_steps) validate();
    interrupted = s.options.has_to_stop(running.seconds());
    if (s.step % t.checkpoint_every == 0 || at_end || interrupted) s.save_checkpoint();
    if (interrupted) break;
  }
  return s.step;
}

Recipe checkpoint_recipe(const std::string& path) {
  const json facts = checkpoint_facts(path, {"recipe"}, "vqtrain");
  return parse_recipe(facts["recipe"], facts["name"], path);
}

}  // namespace vqcodec::vqvae::train
