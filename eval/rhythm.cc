#include "eval/rhythm.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <kissfft.hh>
#include <numbers>
#include <numeric>

#include "eval/distances.h"
#include "eval/pitch.h"

namespace vqcodec::eval {

namespace {

constexpr int kOnsetWindow = 1024;
constexpr int kOnsetHop = 256;
constexpr int kNumBands = 40;
constexpr float kSilentMagnitude = 1e-3F;
constexpr double kSilentLevel = 1e-4;
constexpr double kMeanSeconds = 0.4;
constexpr double kOnsetThreshold = 0.15;
constexpr double kOnsetDistanceSeconds = 0.05;
constexpr double kTightness = 100;  // of beats to the tempo

constexpr int kChromaWindow = 4096;  // 0.37 s at a quarter of 44.1 kHz
constexpr int kChromaHop = 1024;
constexpr double kChromaLowHz = 55, kChromaHighHz = 1760;

// Magnitudes of periodic Hann windows, zeros outside of the signal.
class Spectra {
 public:
  explicit Spectra(int window_samples)
      : fft_(static_cast<size_t>(window_samples / 2), false),
        out_(static_cast<size_t>(window_samples / 2)),
        in_(static_cast<size_t>(window_samples)),
        magnitudes_(in_.size() / 2 + 1) {
    for (size_t i = 0; i < in_.size(); ++i) {
      shape_.push_back(static_cast<float>(
          0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(in_.size()))));
    }
  }

  // Centred at sample `middle`; valid until the next call.
  const std::vector<float>& at(std::span<const float> samples, int64_t middle) {
    const int64_t begin = middle - static_cast<int64_t>(in_.size() / 2), count = static_cast<int64_t>(samples.size());
    const auto size = static_cast<int64_t>(in_.size());
    const int64_t first = std::clamp<int64_t>(-begin, 0, size), last = std::clamp<int64_t>(count - begin, first, size);
    std::fill(in_.begin(), in_.begin() + first, 0.0F);
    const float* from = samples.data() + begin;
    for (int64_t i = first; i < last; ++i) in_[static_cast<size_t>(i)] = from[i] * shape_[static_cast<size_t>(i)];
    std::fill(in_.begin() + last, in_.end(), 0.0F);
    fft_.transform_real(in_.data(), out_.data());
    // The first has bins 0 and size / 2 as its parts.
    magnitudes_.front() = std::abs(out_[0].real());
    magnitudes_.back() = std::abs(out_[0].imag());
    for (size_t k = 1; k < out_.size(); ++k) magnitudes_[k] = std::sqrt(std::norm(out_[k]));
    return magnitudes_;
  }

 private:
  kissfft<float> fft_;
  std::vector<std::complex<float>> out_;
  std::vector<float> in_, shape_, magnitudes_;
};

// The curve of a flux: less its local mean, in units of the strongest onsets.
void finish_curve(OnsetCurve& curve, const std::vector<double>& flux) {
  const size_t count = flux.size();
  curve.strength.assign(count, 0.0);
  std::vector<double> sums(count + 1);
  for (size_t t = 0; t < count; ++t) sums[t + 1] = sums[t] + flux[t];
  const auto half = static_cast<size_t>(kMeanSeconds / 2 / curve.hop_seconds);
  for (size_t t = 0; t < count; ++t) {
    const size_t first = t > half ? t - half : 0, last = std::min(count, t + half + 1);
    curve.strength[t] = std::max(0.0, flux[t] - (sums[last] - sums[first]) / static_cast<double>(last - first));
  }
  std::vector<double> peaks;
  for (size_t t = 1; t + 1 < count; ++t) {
    if (curve.strength[t] > curve.strength[t - 1] && curve.strength[t] >= curve.strength[t + 1])
      peaks.push_back(curve.strength[t]);
  }
  if (peaks.empty()) return;
  std::ranges::sort(peaks, std::greater<>());
  // The upper tenth of what counts at all.
  const auto heard = std::ranges::count_if(peaks, [&](double peak) { return peak > 0.1 * peaks[0]; });
  const auto top = static_cast<size_t>(std::max<long>(1, heard / 10));
  const double unit =
      std::accumulate(peaks.begin(), peaks.begin() + static_cast<long>(top), 0.0) / static_cast<double>(top);
  for (double& strength : curve.strength) strength /= unit;
}

}  // namespace

OnsetCurve onset_curve(std::span<const float> samples, int sample_rate_hz) {
  OnsetCurve curve;
  curve.hop_seconds = static_cast<double>(kOnsetHop) / sample_rate_hz;
  Spectra spectra(kOnsetWindow);
  const std::vector<MelBand> bands = mel_bands(sample_rate_hz, kOnsetWindow, kNumBands);
  std::vector<std::array<float, kNumBands>> levels;
  float greatest = 0;
  for (int64_t at = 0; at < static_cast<int64_t>(samples.size()); at += kOnsetHop) {
    const std::vector<float>& magnitudes = spectra.at(samples, at);
    levels.emplace_back();
    for (size_t b = 0; b < bands.size(); ++b) {
      float sum = 0;
      for (size_t i = 0; i < bands[b].weights.size(); ++i)
        sum += magnitudes[static_cast<size_t>(bands[b].first_bin) + i] * bands[b].weights[i];
      levels.back()[b] = sum;
      greatest = std::max(greatest, sum);
    }
  }
  const size_t count = levels.size();
  curve.strength.assign(count, 0.0);
  if (!(greatest > kSilentMagnitude)) return curve;
  for (auto& frame : levels) {
    for (float& level : frame) level = std::log1p(1000 * level / greatest);
  }
  constexpr size_t kLag = 2;
  std::vector<double> flux(count);
  for (size_t t = kLag; t < count; ++t) {
    for (size_t b = 0; b < kNumBands; ++b) {
      // Against the loudest of three bands, so that vibrato is no onset (S. Böck and G. Widmer, DAFx 2013).
      float before = levels[t - kLag][b];
      if (b > 0) before = std::max(before, levels[t - kLag][b - 1]);
      if (b + 1 < kNumBands) before = std::max(before, levels[t - kLag][b + 1]);
      flux[t - kLag / 2] += std::max(0.0F, levels[t][b] - before);
    }
  }
  finish_curve(curve, flux);
  return curve;
}

OnsetCurve accent_curve(std::span<const float> samples, int sample_rate_hz) {
  OnsetCurve curve;
  curve.hop_seconds = static_cast<double>(kOnsetHop) / sample_rate_hz;
  std::vector<double> sums = {0}, levels;
  for (const float value : samples) sums.push_back(sums.back() + double{value} * value);
  const auto total = static_cast<int64_t>(samples.size());
  double greatest = 0;
  for (int64_t at = 0; at < total; at += kOnsetHop) {
    const int64_t first = std::max<int64_t>(0, at - kOnsetWindow / 2), last = std::min(total, at + kOnsetWindow / 2);
    levels.push_back(std::sqrt((sums[static_cast<size_t>(last)] - sums[static_cast<size_t>(first)]) / kOnsetWindow));
    greatest = std::max(greatest, levels.back());
  }
  std::vector<double> flux(levels.size());
  constexpr size_t kLag = 2;
  for (size_t t = kLag; t < levels.size(); ++t) flux[t - kLag / 2] = std::max(0.0, levels[t] - levels[t - kLag]);
  curve.strength.assign(levels.size(), 0.0);
  if (greatest > kSilentLevel) finish_curve(curve, flux);
  return curve;
}

std::vector<Onset> find_onsets(const OnsetCurve& curve) {
  std::vector<Onset> onsets;
  const auto& s = curve.strength;
  for (size_t t = 1; t + 1 < s.size(); ++t) {
    if (s[t] < kOnsetThreshold || !(s[t] > s[t - 1] && s[t] >= s[t + 1])) continue;
    const Onset onset = {static_cast<double>(t) * curve.hop_seconds, s[t]};
    if (onsets.empty() || onset.seconds - onsets.back().seconds >= kOnsetDistanceSeconds) {
      onsets.push_back(onset);
    } else if (onset.strength > onsets.back().strength) {
      onsets.back() = onset;
    }
  }
  return onsets;
}

std::vector<double> track_beats(const OnsetCurve& curve, double* seconds_a_beat) {
  const std::vector<double>& raw = curve.strength;
  const auto count = static_cast<int64_t>(raw.size());
  double square = 0;
  for (const double value : raw) square += value * value;
  if (static_cast<double>(count) * curve.hop_seconds < 2 || square == 0) return {};
  std::vector<double> s = raw;
  const double deviation = std::sqrt(square / static_cast<double>(count));
  for (double& value : s) value /= deviation;

  const auto lag_of = [&](double seconds) { return std::max<int64_t>(1, std::llround(seconds / curve.hop_seconds)); };
  double best = -1;
  int64_t period = lag_of(0.5);
  std::vector<double> correlation(static_cast<size_t>(2 * lag_of(1.5) + 2));
  for (size_t lag = 1; lag < correlation.size(); ++lag) {
    for (int64_t t = static_cast<int64_t>(lag); t < count; ++t)
      correlation[lag] += s[static_cast<size_t>(t)] * s[static_cast<size_t>(t) - lag];
  }
  for (int64_t lag = lag_of(0.25); lag <= lag_of(1.5); ++lag) {
    const auto at = static_cast<size_t>(lag);
    const double octaves = std::log2(static_cast<double>(lag) * curve.hop_seconds / 0.5) / 0.9;
    // Twice the lag tells a beat from what lies between.
    const double twice = std::max({correlation[2 * at - 1], correlation[2 * at], correlation[2 * at + 1]});
    const double score = (correlation[at] + 0.5 * twice) * std::exp(-0.5 * octaves * octaves);
    if (score > best) {
      best = score;
      period = lag;
    }
  }
  if (seconds_a_beat != nullptr) *seconds_a_beat = static_cast<double>(period) * curve.hop_seconds;

  std::vector<double> scores(static_cast<size_t>(count));
  std::vector<int64_t> before(static_cast<size_t>(count), -1);
  for (int64_t t = 0; t < count; ++t) {
    double most = 0;  // a beat may be the first
    for (int64_t u = std::max<int64_t>(0, t - 2 * period); u <= t - period / 2; ++u) {
      const double ratio = std::log(static_cast<double>(t - u) / static_cast<double>(period));
      const double score = scores[static_cast<size_t>(u)] - kTightness * ratio * ratio;
      if (score > most) {
        most = score;
        before[static_cast<size_t>(t)] = u;
      }
    }
    scores[static_cast<size_t>(t)] = s[static_cast<size_t>(t)] + most;
  }
  int64_t last = count - 1;
  for (int64_t t = std::max<int64_t>(0, count - period); t < count; ++t) {
    if (scores[static_cast<size_t>(t)] > scores[static_cast<size_t>(last)]) last = t;
  }
  std::vector<double> beats;
  for (int64_t t = last; t >= 0; t = before[static_cast<size_t>(t)])
    beats.push_back(static_cast<double>(t) * curve.hop_seconds);
  std::ranges::reverse(beats);
  return beats;
}

Harmony find_harmony(std::span<const float> samples, int sample_rate_hz, std::span<const double> edges) {
  Harmony harmony;
  const size_t num_stretches = edges.size() < 2 ? 0 : edges.size() - 1;
  harmony.chroma.resize(num_stretches);
  harmony.chord.resize(num_stretches);
  const int factor = std::max(1, sample_rate_hz / kHarmonyRateHz);
  const std::vector<float> x = decimate(samples, factor);
  const double rate_hz = static_cast<double>(sample_rate_hz) / factor;
  Spectra spectra(kChromaWindow);
  struct Peak {
    double semitones, weight;  // above A = 440 Hz
  };
  std::vector<std::vector<Peak>> frames;
  std::complex<double> deviation = 0;
  for (int64_t at = 0; at < static_cast<int64_t>(x.size()); at += kChromaHop) {
    const std::vector<float>& m = spectra.at(x, at);
    frames.emplace_back();
    const auto bin_of = [&](double hz) { return static_cast<size_t>(hz * kChromaWindow / rate_hz); };
    for (size_t k = std::max<size_t>(2, bin_of(kChromaLowHz)); k <= bin_of(kChromaHighHz) && k + 2 < m.size(); ++k) {
      if (!(m[k] > m[k - 1] && m[k] >= m[k + 1]) || m[k] < kSilentMagnitude) continue;
      // A parabola through the logarithms.
      const double a = std::log(m[k - 1] + 1e-12), b = std::log(m[k] + 1e-12), c = std::log(m[k + 1] + 1e-12);
      const double curve = a - 2 * b + c;
      const double bin = static_cast<double>(k) + (curve < 0 ? std::clamp(0.5 * (a - c) / curve, -0.5, 0.5) : 0);
      const double semitones = 12 * std::log2(bin * rate_hz / kChromaWindow / 440);
      frames.back().push_back({semitones, m[k]});
      deviation += std::polar(double{m[k]}, 2 * std::numbers::pi * semitones);
    }
  }
  harmony.tuning_cents = std::abs(deviation) > 0 ? 100 * std::arg(deviation) / (2 * std::numbers::pi) : 0;

  std::vector<std::array<double, 12>> raw(num_stretches);
  const double hop_seconds = kChromaHop / rate_hz;
  size_t stretch = 0;
  for (size_t t = 0; t < frames.size() && num_stretches > 0; ++t) {
    const double seconds = static_cast<double>(t) * hop_seconds;
    while (stretch + 1 < num_stretches && seconds >= edges[stretch + 1]) ++stretch;
    if (seconds < edges[stretch] || seconds >= edges[stretch + 1]) continue;
    for (const Peak& peak : frames[t]) {
      const double note = peak.semitones - harmony.tuning_cents / 100;
      const long nearest = std::lround(note);
      const double off = std::abs(note - static_cast<double>(nearest));
      if (off > 0.35) continue;  // between two notes
      raw[stretch][static_cast<size_t>(((nearest + 9) % 12 + 12) % 12)] += peak.weight;
    }
  }
  static constexpr int kTriads[2][3] = {{0, 4, 7}, {0, 3, 7}};
  for (size_t k = 0; k < num_stretches; ++k) {
    std::array<double, 12> sum = raw[k];
    for (size_t i = 0; i < 12; ++i) {
      if (k > 0) sum[i] += 0.25 * raw[k - 1][i];
      if (k + 1 < num_stretches) sum[i] += 0.25 * raw[k + 1][i];
    }
    const double total = std::accumulate(sum.begin(), sum.end(), 0.0);
    if (!(total > 0)) continue;
    for (double& value : sum) value /= total;
    harmony.chroma[k] = sum;
    double best = -1;
    for (size_t root = 0; root < 12; ++root) {
      for (const auto& triad : kTriads) {
        double score = 0;
        for (const int tone : triad) score += sum[(root + static_cast<size_t>(tone)) % 12];
        if (score <= best) continue;
        best = score;
        harmony.chord[k] = {};
        for (const int tone : triad) harmony.chord[k][(root + static_cast<size_t>(tone)) % 12] = true;
      }
    }
  }
  return harmony;
}

}  // namespace vqcodec::eval
