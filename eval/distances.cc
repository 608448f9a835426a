#include "eval/distances.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <kissfft.hh>
#include <limits>
#include <numbers>
#include <numeric>

#include "base/error.h"

namespace vqcodec::eval {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr float kMelClamp = 1e-5F;
constexpr double kFloorDb = -100;
constexpr int kLogSpectralWindow = 2048;
constexpr int64_t kGroupSamples = 1 << 16;  // of one channel, whose frames one thread sums up

// One kind of mel distance at one window.
struct Bank {
  std::vector<MelBand> bands;
  int kind;  // index into Sums
};

constexpr int kNumKinds = 2;
struct Sums {
  std::array<double, kNumKinds> log2_mel{}, mel{};  // of absolute differences
  double log_spectral_db = 0;                       // of frames
};

// The frames of one window size.
class Scale {
 public:
  Scale(int window_samples, std::vector<Bank> banks);
  int hop_samples() const { return window_ / 4; }
  const std::vector<Bank>& banks() const { return banks_; }
  // Over the frames [first, last) and both channels.
  Sums compare(std::span<const float> reference, std::span<const float> estimate, int64_t first, int64_t last) const;

 private:
  using Complex = std::complex<float>;
  size_t num_bins() const { return static_cast<size_t>(window_ / 2 + 1); }
  // in, transformed: [window]; out: [2, num_bins()], magnitudes of left and right.
  void magnitudes(std::span<const float> signal, int64_t frame, const kissfft<float>& fft, Complex* in,
                  Complex* transformed, float* out) const;
  static void project(const Bank& bank, const float* magnitudes, float* out);

  int window_;
  std::vector<Bank> banks_;
  std::vector<float> shape_;  // the window
};

Scale::Scale(int window_samples, std::vector<Bank> banks) : window_(window_samples), banks_(std::move(banks)) {
  for (int i = 0; i < window_; ++i) {
    shape_.push_back(static_cast<float>(0.5 - 0.5 * std::cos(2 * std::numbers::pi * i / window_)));
  }
}

// Left is the real part and right the imaginary part of one complex signal, whose transform's even and odd parts are
// their transforms.
void Scale::magnitudes(std::span<const float> signal, int64_t frame, const kissfft<float>& fft, Complex* in,
                       Complex* transformed, float* out) const {
  const auto num_samples = static_cast<int64_t>(signal.size() / 2);
  const int64_t begin = frame * hop_samples() - window_ / 2;
  const bool inside = begin >= 0 && begin + window_ <= num_samples;
  for (int i = 0; i < window_; ++i) {
    int64_t at = begin + i;
    if (!inside) {
      if (at < 0) at = -at;
      if (at >= num_samples) at = 2 * num_samples - 2 - at;
    }
    const auto from = 2 * static_cast<size_t>(at);
    in[i] = Complex(signal[from], signal[from + 1]) * shape_[static_cast<size_t>(i)];
  }
  fft.transform(in, transformed);
  const auto n = static_cast<size_t>(window_);
  for (size_t k = 0; k < num_bins(); ++k) {
    const Complex a = transformed[k], b = std::conj(transformed[(n - k) & (n - 1)]);
    out[k] = std::sqrt(std::norm(a + b)) / 2;
    out[num_bins() + k] = std::sqrt(std::norm(a - b)) / 2;
  }
}

void Scale::project(const Bank& bank, const float* magnitudes, float* out) {
  for (size_t b = 0; b < bank.bands.size(); ++b) {
    const MelBand& band = bank.bands[b];
    out[b] = std::inner_product(band.weights.begin(), band.weights.end(), magnitudes + band.first_bin, 0.0F);
  }
}

Sums Scale::compare(std::span<const float> reference, std::span<const float> estimate, int64_t first,
                    int64_t last) const {
  const kissfft<float> fft(static_cast<size_t>(window_), false);
  std::vector<Complex> in(static_cast<size_t>(window_)), transformed(in.size());
  std::vector<float> expected(2 * num_bins()), found(2 * num_bins()), expected_mels(512), found_mels(512);
  const float floor = static_cast<float>(std::pow(10, kFloorDb / 20)) * static_cast<float>(window_) / 4;
  Sums sums;
  for (int64_t frame = first; frame < last; ++frame) {
    magnitudes(reference, frame, fft, in.data(), transformed.data(), expected.data());
    magnitudes(estimate, frame, fft, in.data(), transformed.data(), found.data());
    for (size_t channel = 0; channel < 2; ++channel) {
      for (const Bank& bank : banks_) {
        project(bank, &expected[channel * num_bins()], expected_mels.data());
        project(bank, &found[channel * num_bins()], found_mels.data());
        const auto kind = static_cast<size_t>(bank.kind);
        float log_sum = 0, sum = 0;
        for (size_t b = 0; b < bank.bands.size(); ++b) {
          const float x = expected_mels[b], y = found_mels[b];
          log_sum += std::abs(std::log2(std::max(x, kMelClamp) / std::max(y, kMelClamp)));
          sum += std::abs(x - y);
        }
        sums.log2_mel[kind] += log_sum;
        sums.mel[kind] += sum;
      }
      if (window_ != kLogSpectralWindow) continue;
      float squares = 0;
      for (size_t k = channel * num_bins(); k < (channel + 1) * num_bins(); ++k) {
        const float log_ratio = std::log2(std::max(expected[k], floor) / std::max(found[k], floor));
        squares += log_ratio * log_ratio;
      }
      sums.log_spectral_db +=
          20 * std::numbers::ln2 / std::numbers::ln10 * std::sqrt(squares / static_cast<float>(num_bins()));
    }
  }
  return sums;
}

void check_lengths(std::span<const float> reference, std::span<const float> estimate) {
  if (reference.size() == estimate.size()) return;
  throw Error(ExitCode::kInternal, "reference and estimate have " + std::to_string(reference.size()) + " and " +
                                       std::to_string(estimate.size()) + " values");
}

// Slaney's scale: linear up to 1000 Hz, 200 / 3 Hz a mel, then 27 steps for a factor of 6.4.
double mel_to_hz(double mel) {
  constexpr double kHzPerMel = 200.0 / 3, kLogBeginHz = 1000, kLogBeginMel = kLogBeginHz / kHzPerMel;
  if (mel < kLogBeginMel) return mel * kHzPerMel;
  return kLogBeginHz * std::exp((mel - kLogBeginMel) * std::log(6.4) / 27);
}
double hz_to_mel(double hz) {
  constexpr double kHzPerMel = 200.0 / 3, kLogBeginHz = 1000, kLogBeginMel = kLogBeginHz / kHzPerMel;
  if (hz < kLogBeginHz) return hz / kHzPerMel;
  return kLogBeginMel + std::log(hz / kLogBeginHz) * 27 / std::log(6.4);
}

}  // namespace

std::vector<MelBand> mel_bands(int sample_rate_hz, int window_samples, int num_bands) {
  const double top_mel = hz_to_mel(sample_rate_hz / 2.0);
  const auto edge_hz = [&](int i) { return mel_to_hz(top_mel * i / (num_bands + 1)); };
  std::vector<MelBand> bands(static_cast<size_t>(num_bands));
  for (int b = 0; b < num_bands; ++b) {
    const double low = edge_hz(b), peak = edge_hz(b + 1), high = edge_hz(b + 2);
    MelBand& band = bands[static_cast<size_t>(b)];
    for (int k = 0; k <= window_samples / 2; ++k) {
      const double hz = static_cast<double>(k) * sample_rate_hz / window_samples;
      const double weight = std::min((hz - low) / (peak - low), (high - hz) / (high - peak)) * 2 / (high - low);
      if (weight <= 1e-12) continue;  // what rounding leaves of 0 is no weight
      if (band.weights.empty()) band.first_bin = k;
      band.weights.push_back(static_cast<float>(weight));
    }
  }
  return bands;
}

double si_sdr_db(std::span<const float> reference, std::span<const float> estimate) {
  check_lengths(reference, estimate);
  double reference_energy = 0, estimate_energy = 0, product = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const double r = reference[i], e = estimate[i];
    reference_energy += r * r;
    estimate_energy += e * e;
    product += r * e;
  }
  if (reference_energy == 0) return kNan;
  const double target = product * product / reference_energy;
  if (target == 0) return -std::numeric_limits<double>::infinity();
  // The difference of the energies would lose what is small: sum the residual itself.
  const double scale = product / reference_energy;
  double residual = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const double d = static_cast<double>(estimate[i]) - scale * static_cast<double>(reference[i]);
    residual += d * d;
  }
  // What is left of an exact multiple is the rounding of `scale`.
  if (residual <= 1e-30 * estimate_energy) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(target / residual);
}

Distances distances(std::span<const float> reference, std::span<const float> estimate, int sample_rate_hz,
                    runtime::ThreadPool& pool) {
  check_lengths(reference, estimate);
  Distances result{kNan, kNan, kNan, si_sdr_db(reference, estimate)};
  const auto num_samples = static_cast<int64_t>(reference.size() / 2);
  if (num_samples <= kLogSpectralWindow / 2) return result;
  constexpr int kPaper = 0, kTwoScales = 1;
  result = {0, 0, 0, result.si_sdr_db};
  for (int window = 32, num_bands = 5; window <= 2048; window *= 2, num_bands *= 2) {
    std::vector<Bank> banks;
    banks.push_back({mel_bands(sample_rate_hz, window, num_bands), kPaper});
    if (window == 2048) banks.push_back({mel_bands(sample_rate_hz, window, 150), kTwoScales});
    if (window == 512) banks.push_back({mel_bands(sample_rate_hz, window, 80), kTwoScales});
    const Scale scale(window, std::move(banks));
    const int64_t num_frames = num_samples / scale.hop_samples() + 1;
    const int64_t group_frames = kGroupSamples / scale.hop_samples();
    const int64_t num_groups = (num_frames + group_frames - 1) / group_frames;
    std::vector<Sums> groups(static_cast<size_t>(num_groups));
    pool.parallel_for(num_groups, 1, [&](int64_t begin, int64_t end) {
      for (int64_t g = begin; g < end; ++g) {
        groups[static_cast<size_t>(g)] =
            scale.compare(reference, estimate, g * group_frames, std::min(num_frames, (g + 1) * group_frames));
      }
    });
    Sums sums;
    for (const Sums& group : groups) {
      for (size_t kind = 0; kind < kNumKinds; ++kind) {
        sums.log2_mel[kind] += group.log2_mel[kind];
        sums.mel[kind] += group.mel[kind];
      }
      sums.log_spectral_db += group.log_spectral_db;
    }
    const double num_channel_frames = 2 * static_cast<double>(num_frames);
    const double log10_of_2 = std::numbers::ln2 / std::numbers::ln10;
    for (const Bank& bank : scale.banks()) {
      const double count = num_channel_frames * static_cast<double>(bank.bands.size());
      const auto kind = static_cast<size_t>(bank.kind);
      if (bank.kind == kPaper) {
        result.mel += log10_of_2 * sums.log2_mel[kind] / count;
      } else {
        result.mel_two_scales += (2 * log10_of_2 * sums.log2_mel[kind] + sums.mel[kind]) / count;
      }
    }
    if (window == kLogSpectralWindow) result.log_spectral_db = sums.log_spectral_db / num_channel_frames;
  }
  return result;
}

}  // namespace vqcodec::eval
