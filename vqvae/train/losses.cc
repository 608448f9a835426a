#include "vqvae/train/losses.h"

namespace vqcodec::vqvae::train {

namespace {

constexpr double kMixtureFloor = 1e-2;  // -20 dB: a lower one makes silence the best answer for quiet sources
constexpr double kNormalisingFloor = 3;
constexpr double kSilenceFloor = 1e-3;  // energy of a second of stereo noise at -80 dBFS
constexpr int64_t kStftSize = 2048, kStftHop = 512;

Tensor window_sums(const Tensor& per_frame, int64_t window_frames) {
  const int64_t window = std::min(window_frames, per_frame.size(-1));
  const int64_t count = per_frame.size(-1) / window;
  return per_frame.narrow(-1, 0, count * window).unflatten(-1, {count, window}).sum(-1);
}

}  // namespace

Tensor normalised_error(const Tensor& error, const Tensor& target, const Tensor& mixture_energy,
                        int64_t window_frames) {
  Tensor scale;
  {
    torch::NoGradGuard no_grad;
    scale = window_sums(target.square().sum({-1, -2}), window_frames) +
            window_sums(mixture_energy, window_frames).unsqueeze(1) * kNormalisingFloor + kSilenceFloor;
  }
  return (window_sums(error.square().sum({-1, -2}), window_frames) / scale).mean();
}

Tensor relative_error(const Tensor& error, const Tensor& target, const Tensor& mixture_energy, int64_t window_frames) {
  Tensor target_energy, floor;
  {
    torch::NoGradGuard no_grad;
    target_energy = window_sums(target.square().sum({-1, -2}), window_frames);
    floor = window_sums(mixture_energy, window_frames).unsqueeze(1) * kMixtureFloor + kSilenceFloor;
  }
  const Tensor error_energy = window_sums(error.square().sum({-1, -2}), window_frames);
  return torch::log10((error_energy + floor) / (target_energy + floor)).mean();
}

Tensor weights_of_bins(const Tensor& sources, const Tensor& weights) {
  torch::NoGradGuard no_grad;
  const Tensor energy = sources.square() + 1e-12;
  return (energy * weights.view({-1, 1, 1, 1})).sum(1, true) / energy.sum(1, true);
}

WaveformTerms waveform_terms(const LappedTransform& transform, const Tensor& error, bool with_stft) {
  WaveformTerms terms;
  const Tensor samples = transform.inverse(error.transpose(1, 2));  // [B, 2, samples]
  terms.waveform = samples.abs().mean();
  if (with_stft) {
    const Tensor window = torch::hann_window(kStftSize, samples.options());
    terms.stft = torch::fft::rfft(samples.unfold(-1, kStftSize, kStftHop) * window).abs().mean();
  }
  return terms;
}

NoiseTerms noise_terms(const Tensor& decoded, const Tensor& sources, const Tensor& amplitudes,
                       const std::vector<int>& edges, const Tensor& mixture_energy, int64_t window_frames) {
  constexpr double kFloor = 1e-9;   // of a coefficient's energy: -90 dB
  constexpr double kMasked = 1e-4;  // of the mixture's energy in the band
  constexpr double kDb = 10 / 2.302585092994046;
  const auto energies = [&](const Tensor& x) { return band_energies(x, edges); };
  const Tensor counts = torch::tensor(band_widths(edges), amplitudes.options());
  const Tensor noise = amplitudes.square() * counts;  // [B, S, T, 2, bands]
  const Tensor floor = counts * kFloor + kMasked * energies(sources.sum(1, true));
  const auto compare = [&](const Tensor& mean, const Tensor& target, const Tensor& added) {
    return kDb * (torch::log(energies(mean) + added + floor) - torch::log(energies(target) + floor)).abs();
  };
  const auto lost = [&](const Tensor& mean, const Tensor& target, const Tensor& added) {
    const int64_t windows = std::max<int64_t>(1, target.size(2) / window_frames);
    const int64_t length = target.size(2) / windows;
    const auto sums = [&](const Tensor& x) {
      return x.narrow(2, 0, windows * length).unflatten(2, {windows, length}).sum(3);
    };
    const Tensor error = sums((mean - target).square().sum({3, 4}));
    const Tensor least = sums(mixture_energy.unsqueeze(1)) * 1e-3;
    return kDb * torch::log1p(sums(added.sum({3, 4})) / (error + least + 1e-12));
  };
  const Tensor mean_sum = decoded.sum(1, true), target_sum = sources.sum(1, true), noise_sum = noise.sum(1, true);
  return {.envelope = 0.5 * (compare(decoded, sources, noise).mean() + compare(mean_sum, target_sum, noise_sum).mean()),
          .sdr_loss = 0.5 * (lost(decoded, sources, noise).mean() + lost(mean_sum, target_sum, noise_sum).mean())};
}

}  // namespace vqcodec::vqvae::train
