#include "dataset/effects.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numbers>
#include <string>

#include "base/error.h"

namespace vqcodec::dataset {

namespace {

constexpr double kRateHz = kEffectSampleRateHz;
constexpr double kPi = std::numbers::pi;
constexpr float kLargestSample = 1000.0f;
constexpr float kTiny = 1e-15f;       // states below it are set to 0
constexpr size_t kBlockFrames = 256;  // of what works in blocks of its own
constexpr int kStepFrames = 16;       // of the compressor

// Returns the value.
double in_range(const char* what, double value, double minimum, double maximum) {
  if (!(value >= minimum && value <= maximum)) {
    char text[160];
    std::snprintf(text, sizeof text, "%s is %g, expected %g to %g", what, value, minimum, maximum);
    throw Error(ExitCode::kUsage, text);
  }
  return value;
}

double from_db(double db) { return std::pow(10.0, db / 20); }

size_t to_frames(double seconds) { return static_cast<size_t>(std::lround(seconds * kRateHz)); }

void clean(std::span<float> samples) {
  for (float& x : samples) x = std::abs(x) <= kLargestSample ? x : 0.0f;
}

float without_tiny(float x) { return std::abs(x) < kTiny ? 0.0f : x; }

}  // namespace

void Effect::process(std::span<float> left, std::span<float> right) {
  if (left.size() != right.size()) throw Error(ExitCode::kInternal, "an effect's channels are of unlike lengths");
  clean(left);
  clean(right);
  run(left, right);
}

void EffectChain::process(std::span<float> left, std::span<float> right) {
  // In blocks that stay in the nearest cache from effect to effect.
  constexpr size_t kFrames = 2048;
  for (size_t i = 0; i < left.size(); i += kFrames) {
    const size_t count = std::min(kFrames, left.size() - i);
    for (const auto& effect : effects_) effect->process(left.subspan(i, count), right.subspan(i, count));
  }
}

BiquadCoefficients design_biquad(const Biquad& biquad) {
  const double w = 2 * kPi * in_range("a filter's frequency_hz", biquad.frequency_hz, 5, 21000) / kRateHz;
  const double a = std::pow(10.0, in_range("a filter's gain_db", biquad.gain_db, -40, 40) / 40);
  const double alpha = std::sin(w) / (2 * in_range("a filter's q", biquad.q, 0.1, 30));
  const double c = std::cos(w);
  const double slope = 2 * std::sqrt(a) * alpha;
  double b0 = 1, b1 = 0, b2 = 0, a0 = 1, a1 = 0, a2 = 0;
  switch (biquad.kind) {
    case Biquad::Kind::kLowShelf:
      b0 = a * (a + 1 - (a - 1) * c + slope);
      b1 = 2 * a * (a - 1 - (a + 1) * c);
      b2 = a * (a + 1 - (a - 1) * c - slope);
      a0 = a + 1 + (a - 1) * c + slope;
      a1 = -2 * (a - 1 + (a + 1) * c);
      a2 = a + 1 + (a - 1) * c - slope;
      break;
    case Biquad::Kind::kHighShelf:
      b0 = a * (a + 1 + (a - 1) * c + slope);
      b1 = -2 * a * (a - 1 + (a + 1) * c);
      b2 = a * (a + 1 + (a - 1) * c - slope);
      a0 = a + 1 - (a - 1) * c + slope;
      a1 = 2 * (a - 1 - (a + 1) * c);
      a2 = a + 1 - (a - 1) * c - slope;
      break;
    case Biquad::Kind::kPeak:
      b0 = 1 + alpha * a;
      b1 = a1 = -2 * c;
      b2 = 1 - alpha * a;
      a0 = 1 + alpha / a;
      a2 = 1 - alpha / a;
      break;
    case Biquad::Kind::kLowPass:
    case Biquad::Kind::kHighPass:
    case Biquad::Kind::kBandPass:
      a0 = 1 + alpha;
      a1 = -2 * c;
      a2 = 1 - alpha;
      if (biquad.kind == Biquad::Kind::kBandPass) {
        b0 = alpha;  // 0 dB at its peak
        b2 = -alpha;
      } else {
        const double sign = biquad.kind == Biquad::Kind::kLowPass ? -1 : 1;
        b0 = b2 = (1 + sign * c) / 2;
        b1 = -sign * (1 + sign * c);
      }
      break;
  }
  return {b0 / a0, b1 / a0, b2 / a0, a1 / a0, a2 / a0};
}

double magnitude_db(const BiquadCoefficients& c, double frequency_hz) {
  const double w = 2 * kPi * frequency_hz / kRateHz;
  const auto power = [w](double x0, double x1, double x2) {
    return x0 * x0 + x1 * x1 + x2 * x2 + 2 * (x0 * x1 + x1 * x2) * std::cos(w) + 2 * x0 * x2 * std::cos(2 * w);
  };
  return 10 * std::log10(std::max(1e-30, power(c.b0, c.b1, c.b2)) / std::max(1e-30, power(1, c.a1, c.a2)));
}

Equalizer::Equalizer(std::span<const Biquad> biquads) {
  for (const Biquad& biquad : biquads) stages_.push_back({design_biquad(biquad), {}});
}

// Both channels are one vector, and each stage is a sample behind the one before it: a filter waits for its own last
// sample, and meanwhile the others' are worked on. What comes out is as if they ran one after another.
template <size_t kCount>
void Equalizer::run_stages(Stage* stages, std::span<float> left, std::span<float> right) {
  using Pair = double __attribute__((vector_size(16)));
  struct Filter {
    Pair b0, b1, b2, a1, a2, first, second;
    Pair step(Pair x) {
      const Pair y = b0 * x + first;
      first = (b1 * x + second) - a1 * y;
      second = b2 * x - a2 * y;
      return y;
    }
  };
  std::array<Filter, kCount> filters;
  const auto pair = [](double x) { return Pair{x, x}; };
  for (size_t s = 0; s < kCount; ++s) {
    const auto& [c, state] = stages[s];
    filters[s] = {pair(c.b0),
                  pair(c.b1),
                  pair(c.b2),
                  pair(c.a1),
                  pair(c.a2),
                  Pair{state[0][0], state[0][1]},
                  Pair{state[1][0], state[1][1]}};
  }
  const size_t num_frames = left.size();
  std::array<Pair, kCount> made{};  // what each stage made of its last sample
  const auto step = [&](size_t t, size_t from, size_t to) {
    // The last stage first: it takes what the one before it made in the step before.
    for (size_t s = to; s-- > from;) {
      made[s] = filters[s].step(s == 0 ? Pair{left[t], right[t]} : made[s == 0 ? 0 : s - 1]);
    }
    if (to == kCount) {
      left[t + 1 - kCount] = static_cast<float>(made[kCount - 1][0]);
      right[t + 1 - kCount] = static_cast<float>(made[kCount - 1][1]);
    }
  };
  size_t t = 0;
  for (; t < std::min(num_frames, kCount - 1); ++t) step(t, 0, t + 1);
  for (; t < num_frames; ++t) step(t, 0, kCount);
  // Stages that have no more samples rest.
  for (; t < num_frames + kCount - 1; ++t) step(t, t + 1 - num_frames, std::min(kCount, t + 1));
  for (size_t s = 0; s < kCount; ++s) {
    const Filter& filter = filters[s];
    stages[s].state = {{{filter.first[0], filter.first[1]}, {filter.second[0], filter.second[1]}}};
    for (auto& state : stages[s].state) {
      for (double& value : state) value = std::abs(value) < kTiny ? 0 : value;
    }
  }
}

void Equalizer::run(std::span<float> left, std::span<float> right) {
  if (left.empty()) return;
  size_t i = 0;
  for (; i + 4 <= stages_.size(); i += 4) run_stages<4>(&stages_[i], left, right);
  switch (stages_.size() - i) {
    case 3: run_stages<3>(&stages_[i], left, right); break;
    case 2: run_stages<2>(&stages_[i], left, right); break;
    case 1: run_stages<1>(&stages_[i], left, right); break;
    default: break;
  }
}

double compressed_level_db(const CompressorParameters& p, double level_db) {
  const double over = level_db - p.threshold_db;
  if (2 * over <= -p.knee_db) return level_db;
  if (2 * over >= p.knee_db) return p.threshold_db + over / p.ratio;
  const double into = over + p.knee_db / 2;
  return level_db + (1 / p.ratio - 1) * into * into / (2 * p.knee_db);
}

Compressor::Compressor(const CompressorParameters& parameters) : parameters_(parameters) {
  const CompressorParameters& p = parameters_;
  in_range("the compressor's threshold_db", p.threshold_db, -80, 0);
  in_range("the compressor's ratio", p.ratio, 1, 100);
  in_range("the compressor's knee_db", p.knee_db, 0, 40);
  const auto per_step = [](double seconds) { return 1 - std::exp(-kStepFrames / (seconds * kRateHz)); };
  attack_ = per_step(in_range("the compressor's attack_seconds", p.attack_seconds, 0.0005, 1));
  release_ = per_step(in_range("the compressor's release_seconds", p.release_seconds, 0.005, 5));
  from_ = to_ = static_cast<float>(from_db(in_range("the compressor's makeup_db", p.makeup_db, -40, 40)));
}

void Compressor::run(std::span<float> left, std::span<float> right) {
  for (size_t i = 0; i < left.size();) {
    // A step's gain is known when it is over, so the gain lags by one step of 0.36 ms.
    const size_t end = std::min(left.size(), i + static_cast<size_t>(kStepFrames - phase_));
    for (; i < end; ++i, ++phase_) {
      peak_ = std::max({peak_, std::abs(left[i]), std::abs(right[i])});
      const float gain = from_ + (to_ - from_) * (static_cast<float>(phase_ + 1) / kStepFrames);
      left[i] *= gain;
      right[i] *= gain;
    }
    if (phase_ < kStepFrames) return;
    const double level_db = 20 * std::log10(std::max(1e-6, static_cast<double>(peak_)));
    const double wanted_db = compressed_level_db(parameters_, level_db) - level_db;
    gain_db_ += (wanted_db < gain_db_ ? attack_ : release_) * (wanted_db - gain_db_);
    if (std::abs(gain_db_) < 1e-9) gain_db_ = 0;
    from_ = to_;
    to_ = static_cast<float>(from_db(gain_db_ + parameters_.makeup_db));
    peak_ = 0;
    phase_ = 0;
  }
}

HalfBand::HalfBand(int num_side_taps) : taps_(2 * static_cast<size_t>(num_side_taps)) {
  // Kaiser with beta 8: 80 dB. The sinc of half the rate is 0 at all even distances from its middle but for the middle
  // itself; what is left is this branch.
  const auto bessel = [](double x) {
    double sum = 1, term = 1;
    for (int k = 1; k < 40; ++k) sum += term *= x * x / (4.0 * k * k);
    return sum;
  };
  const double half = 2.0 * num_side_taps;
  double sum = 0;
  for (size_t i = 0; i < taps_.size(); ++i) {
    const double distance = 2 * static_cast<double>(i) + 1 - half;
    const double window = bessel(8 * std::sqrt(1 - distance * distance / (half * half))) / bessel(8);
    const double tap = std::sin(kPi * distance / 2) / (kPi * distance / 2) * window;
    taps_[i] = static_cast<float>(tap);
    sum += tap;
  }
  for (float& tap : taps_) tap = static_cast<float>(tap / sum);
  up_.assign(taps_.size() - 1, 0.0f);
  even_.assign(taps_.size() - 1, 0.0f);
  odd_.assign(taps_.size() / 2, 0.0f);
}

// `count` samples of the branch with taps, sixteen at once, which stay in registers from tap to tap.
void HalfBand::filter(std::span<const float> samples, std::span<float> out, size_t count) const {
  constexpr size_t kWidth = 16;
  size_t i = 0;
  for (; i + kWidth <= count; i += kWidth) {
    std::array<float, kWidth> sum{};
    for (size_t t = 0; t < taps_.size(); ++t) {
      const float tap = taps_[t];
      const float* x = &samples[i + t];
      for (size_t lane = 0; lane < kWidth; ++lane) sum[lane] += tap * x[lane];
    }
    for (size_t lane = 0; lane < kWidth; ++lane) out[i + lane] = sum[lane];
  }
  for (; i < count; ++i) {
    float sum = 0;
    for (size_t t = 0; t < taps_.size(); ++t) sum += taps_[t] * samples[i + t];
    out[i] = sum;
  }
}

void HalfBand::up(std::span<const float> in, std::span<float> out) {
  const size_t history = taps_.size() - 1, middle = taps_.size() / 2;
  up_.insert(up_.end(), in.begin(), in.end());
  std::array<float, 2 * kBlockFrames> sum;
  filter(up_, sum, in.size());
  for (size_t i = 0; i < in.size(); ++i) {
    out[2 * i] = sum[i];
    out[2 * i + 1] = up_[i + middle];
  }
  up_.erase(up_.begin(), up_.end() - static_cast<ptrdiff_t>(history));
}

void HalfBand::down(std::span<const float> in, std::span<float> out) {
  const size_t history = taps_.size() - 1;
  for (size_t i = 0; i < out.size(); ++i) {
    even_.push_back(in[2 * i]);
    odd_.push_back(in[2 * i + 1]);
  }
  std::array<float, 2 * kBlockFrames> sum;
  filter(even_, sum, out.size());
  for (size_t i = 0; i < out.size(); ++i) out[i] = 0.5f * (sum[i] + odd_[i]);
  even_.erase(even_.begin(), even_.end() - static_cast<ptrdiff_t>(history));
  odd_.erase(odd_.begin(), odd_.end() - static_cast<ptrdiff_t>(taps_.size() / 2));
}

Saturation::Saturation(const SaturationParameters& p)
    : drive_(static_cast<float>(from_db(in_range("saturation's drive_db", p.drive_db, -20, 60)))),
      bias_(static_cast<float>(in_range("saturation's bias", p.bias, -1, 1))),
      mix_(static_cast<float>(in_range("saturation's mix", p.mix, 0, 1))),
      output_(static_cast<float>(from_db(in_range("saturation's output_db", p.output_db, -60, 40)))),
      offset_(soft_clip(bias_)),
      fourfold_(p.oversampling == 4) {
  if (p.oversampling != 2 && p.oversampling != 4) {
    throw Error(ExitCode::kUsage,
                "saturation's oversampling is " + std::to_string(p.oversampling) + ", expected 2 or 4");
  }
}

void Saturation::run(std::span<float> left, std::span<float> right) {
  run(left, channels_[0]);
  run(right, channels_[1]);
}

void Saturation::run(std::span<float> samples, Channel& channel) const {
  std::array<float, 2 * kBlockFrames> twofold;
  std::array<float, 4 * kBlockFrames> fourfold;
  const auto shape = [this](std::span<float> block) {
    for (float& x : block) x += mix_ * (soft_clip(drive_ * x + bias_) - offset_ - x);
  };
  while (!samples.empty()) {
    const std::span<float> block = samples.first(std::min(kBlockFrames, samples.size()));
    samples = samples.subspan(block.size());
    const std::span<float> two = std::span(twofold).first(2 * block.size());
    channel.first.up(block, two);
    if (fourfold_) {
      const std::span<float> four = std::span(fourfold).first(4 * block.size());
      channel.second.up(two, four);
      shape(four);
      channel.second.down(four, two);
    } else {
      shape(two);
    }
    channel.first.down(two, block);
    if (bias_ == 0) {
      for (float& x : block) x *= output_;
      continue;
    }
    constexpr double kPole = 1 - 2 * kPi * 8 / kRateHz;  // 8 Hz
    for (float& x : block) {
      channel.blocked_out = x - channel.blocked_in + kPole * channel.blocked_out;
      channel.blocked_in = x;
      x = output_ * static_cast<float>(channel.blocked_out);
    }
    if (std::abs(channel.blocked_out) < kTiny) channel.blocked_out = 0;
  }
}

namespace {

std::vector<Biquad> amplifier_input(const AmplifierParameters& p) {
  return {{Biquad::Kind::kHighPass, in_range("the amplifier's low_cut_hz", p.low_cut_hz, 10, 1000), 0, 0.7}};
}

std::vector<Biquad> amplifier_tone(const AmplifierParameters& p) {
  return {{Biquad::Kind::kLowShelf, 120, in_range("the amplifier's bass_db", p.bass_db, -20, 20), 0.7},
          {Biquad::Kind::kPeak, 650, in_range("the amplifier's middle_db", p.middle_db, -20, 20), 0.7},
          {Biquad::Kind::kHighShelf, 2400, in_range("the amplifier's treble_db", p.treble_db, -20, 20), 0.7}};
}

std::vector<Biquad> cabinet_filters(const CabinetParameters& p) {
  const double low_hz = in_range("the cabinet's low_hz", p.low_hz, 20, 400);
  const double high_hz = in_range("the cabinet's high_hz", p.high_hz, 1500, 16000);
  // The two halves of Butterworth filters of fourth order.
  return {{Biquad::Kind::kHighPass, low_hz, 0, 0.5412},
          {Biquad::Kind::kHighPass, low_hz, 0, 1.3066},
          {Biquad::Kind::kLowPass, high_hz, 0, 0.5412},
          {Biquad::Kind::kLowPass, high_hz, 0, 1.3066},
          {Biquad::Kind::kPeak, 1.4 * low_hz, in_range("the cabinet's resonance_db", p.resonance_db, 0, 12), 1.5},
          {Biquad::Kind::kPeak, in_range("the cabinet's presence_hz", p.presence_hz, 800, 6000),
           in_range("the cabinet's presence_db", p.presence_db, -12, 12), 1.2},
          {Biquad::Kind::kPeak, in_range("the cabinet's notch_hz", p.notch_hz, 300, 6000),
           in_range("the cabinet's notch_db", p.notch_db, -24, 0), 3}};
}

}  // namespace

Amplifier::Amplifier(const AmplifierParameters& p)
    : input_(amplifier_input(p)),
      first_({.drive_db = in_range("the amplifier's drive_db", p.drive_db, -20, 50), .bias = 0.3, .oversampling = 4}),
      between_(std::vector<Biquad>{{Biquad::Kind::kHighPass, 30, 0, 0.7}, {Biquad::Kind::kLowPass, 9000, 0, 0.6}}),
      second_({.drive_db = 3,
               .bias = 0.1,
               .output_db = in_range("the amplifier's output_db", p.output_db, -60, 40),
               .oversampling = 2}),
      tone_(amplifier_tone(p)) {}

void Amplifier::run(std::span<float> left, std::span<float> right) {
  input_.process(left, right);
  first_.process(left, right);
  between_.process(left, right);
  second_.process(left, right);
  tone_.process(left, right);
}

Cabinet::Cabinet(const CabinetParameters& parameters) : equalizer_(cabinet_filters(parameters)) {}

Reverb::Reverb(const ReverbParameters& p)
    : input_(
          std::vector<Biquad>{{Biquad::Kind::kHighPass, in_range("the reverb's low_cut_hz", p.low_cut_hz, 10, 1000)}}),
      width_(static_cast<float>(in_range("the reverb's width", p.width, 0, 1))) {
  in_range("the reverb's decay_seconds", p.decay_seconds, 0.1, 20);
  in_range("the reverb's high_decay_ratio", p.high_decay_ratio, 0.1, 1);
  in_range("the reverb's size", p.size, 0.2, 2);
  const size_t pre_delay = to_frames(in_range("the reverb's pre_delay_seconds", p.pre_delay_seconds, 0, 0.25));
  for (Ring& ring : pre_delay_) ring.samples.assign(pre_delay + 1, 0.0f);
  // Lengths without common factors; the channels' diffusers differ, so that the wet signal is wide even from mono.
  constexpr std::array<std::array<size_t, 2>, 2> kDiffusers = {{{225, 556}, {248, 579}}};
  for (size_t channel = 0; channel < 2; ++channel) {
    for (size_t i = 0; i < 2; ++i) diffusers_[channel][i].samples.assign(kDiffusers[channel][i], 0.0f);
  }
  double kept = 0;  // energy of a turn through the lines, mean
  constexpr std::array<double, kNumLines> kLengths = {1301, 1499, 1693, 1873, 2069, 2267, 2477, 2699};
  for (size_t i = 0; i < kNumLines; ++i) {
    const auto length = static_cast<size_t>(std::lround(kLengths[i] * p.size)) | 1;
    lines_[i].samples.assign(length, 0.0f);
    const double log_gain = -3.0 * static_cast<double>(length) / (kRateHz * p.decay_seconds);  // log10
    kept += std::pow(10.0, 2 * log_gain) / kNumLines;
    const double ratio = p.high_decay_ratio;
    const double pole = std::min(0.98, std::numbers::ln10 / 4 * log_gain * (1 - 1 / (ratio * ratio)));
    gains_[i] = static_cast<float>(std::pow(10.0, log_gain) * (1 - pole));
    poles_[i] = static_cast<float>(pole);
  }
  // What comes out of the lines has gone through the gains once more than what went in.
  level_ = static_cast<float>(std::sqrt(0.5 * (1 - kept) / kept));
}

void Reverb::run(std::span<float> left, std::span<float> right) {
  input_.process(left, right);
  const auto delay = [](Ring& ring, float x) {
    ring.samples[ring.at] = x;
    if (++ring.at == ring.samples.size()) ring.at = 0;
    return ring.samples[ring.at];
  };
  const auto diffuse = [](Ring& ring, float x) {
    float& slot = ring.samples[ring.at];
    const float delayed = slot, y = delayed - 0.6f * x;
    slot = without_tiny(x + 0.6f * y);
    if (++ring.at == ring.samples.size()) ring.at = 0;
    return y;
  };
  for (size_t i = 0; i < left.size(); ++i) {
    float l = delay(pre_delay_[0], left[i]), r = delay(pre_delay_[1], right[i]);
    for (size_t k = 0; k < 2; ++k) {
      l = diffuse(diffusers_[0][k], l);
      r = diffuse(diffusers_[1][k], r);
    }
    std::array<float, kNumLines> x;
    for (size_t k = 0; k < kNumLines; ++k) {
      const float out = lines_[k].samples[lines_[k].at];
      states_[k] = without_tiny(gains_[k] * out + poles_[k] * states_[k]);
      x[k] = states_[k];
    }
    const float mid = level_ * (x[0] - x[3] + x[5] - x[6]), side = level_ * (x[1] - x[2] + x[4] - x[7]);
    // The fast Hadamard transform, divided by sqrt(8): orthogonal, so the gains alone set the decay.
    for (size_t step = 1; step < kNumLines; step *= 2) {
      for (size_t k = 0; k < kNumLines; k += 2 * step) {
        for (size_t j = k; j < k + step; ++j) {
          const float a = x[j], b = x[j + step];
          x[j] = a + b;
          x[j + step] = a - b;
        }
      }
    }
    for (size_t k = 0; k < kNumLines; ++k) {
      Ring& line = lines_[k];
      line.samples[line.at] = 0.35355339f * x[k] + (k % 2 == 0 ? l : r) * (k % 4 < 2 ? 0.5f : -0.5f);
      if (++line.at == line.samples.size()) line.at = 0;
    }
    left[i] = mid + width_ * side;
    right[i] = mid - width_ * side;
  }
}

Chorus::Chorus(const ChorusParameters& p) : parameters_(p) {
  in_range("the chorus's rate_hz", p.rate_hz, 0.01, 10);
  in_range("the chorus's delay_seconds", p.delay_seconds, 0.001, 0.05);
  in_range("the chorus's depth_seconds", p.depth_seconds, 0, std::min(0.02, p.delay_seconds - 0.0005));
  in_range("the chorus's mix", p.mix, 0, 1);
  in_range("the chorus's num_voices", p.num_voices, 1, 4);
  for (auto& ring : rings_) ring.assign(4096, 0.0f);  // a power of two over 0.07 s
}

void Chorus::run(std::span<float> left, std::span<float> right) {
  const auto mix = static_cast<float>(parameters_.mix);
  const float wet_gain = mix / std::sqrt(static_cast<float>(parameters_.num_voices));
  const size_t mask = rings_[0].size() - 1;
  const std::array<std::span<float>, 2> channels = {left, right};
  constexpr size_t kControlFrames = 32;  // between them the delay is a line
  for (size_t begin = 0; begin < left.size();) {
    // Steps begin at multiples of kControlFrames of the stream, wherever blocks begin.
    const size_t count = std::min(left.size() - begin, kControlFrames - at_ % kControlFrames);
    const double step = parameters_.rate_hz / kRateHz;
    const double into = static_cast<double>(at_ % kControlFrames);
    for (size_t c = 0; c < 2; ++c) {
      for (size_t i = 0; i < count; ++i) rings_[c][(at_ + i) & mask] = channels[c][begin + i];
      std::array<float, kControlFrames> wet{};
      for (int voice = 0; voice < parameters_.num_voices; ++voice) {
        const double offset = 0.25 * static_cast<double>(c) + static_cast<double>(voice) / parameters_.num_voices;
        const auto delay_at = [&](double phase) {
          return kRateHz *
                 (parameters_.delay_seconds + parameters_.depth_seconds * std::sin(2 * kPi * (phase + offset)));
        };
        const double from = delay_at(phase_),
                     slope = (delay_at(phase_ + kControlFrames * step) - from) / kControlFrames;
        for (size_t i = 0; i < count; ++i) {
          const double delay = from + slope * (into + static_cast<double>(i));
          const auto whole = static_cast<size_t>(delay);
          const auto part = static_cast<float>(delay - static_cast<double>(whole));
          const float a = rings_[c][(at_ + i - whole) & mask], b = rings_[c][(at_ + i - whole - 1) & mask];
          wet[i] += a + part * (b - a);
        }
      }
      for (size_t i = 0; i < count; ++i) {
        channels[c][begin + i] = (1 - 0.5f * mix) * channels[c][begin + i] + wet_gain * wet[i];
      }
    }
    at_ += count;
    begin += count;
    if (at_ % kControlFrames == 0) phase_ = std::fmod(phase_ + kControlFrames * step, 1.0);
  }
}

Delay::Delay(const DelayParameters& p) : parameters_(p) {
  const size_t length = to_frames(in_range("the delay's delay_seconds", p.delay_seconds, 0.001, 2));
  in_range("the delay's feedback", p.feedback, 0, 0.95);
  in_range("the delay's mix", p.mix, 0, 1);
  const double cut_hz = in_range("the delay's high_cut_hz", p.high_cut_hz, 200, 20000);
  coefficient_ = static_cast<float>(1 - std::exp(-2 * kPi * cut_hz / kRateHz));
  for (auto& ring : rings_) ring.assign(length, 0.0f);
}

void Delay::run(std::span<float> left, std::span<float> right) {
  const auto feedback = static_cast<float>(parameters_.feedback), mix = static_cast<float>(parameters_.mix);
  for (size_t i = 0; i < left.size(); ++i) {
    std::array<float, 2> out = {rings_[0][at_], rings_[1][at_]};
    for (size_t c = 0; c < 2; ++c) states_[c] = without_tiny(states_[c] + coefficient_ * (out[c] - states_[c]));
    const bool crosses = parameters_.ping_pong;
    // Ping-pong begins on the left with both channels.
    rings_[0][at_] = (crosses ? 0.5f * (left[i] + right[i]) : left[i]) + feedback * states_[crosses ? 1 : 0];
    rings_[1][at_] = crosses ? feedback * states_[0] : right[i] + feedback * states_[1];
    if (++at_ == rings_[0].size()) at_ = 0;
    left[i] += mix * states_[0];
    right[i] += mix * states_[1];
  }
}

Stereo::Stereo(const StereoParameters& p) : width_(static_cast<float>(in_range("the width", p.width, 0, 2))) {
  const double angle = (in_range("the place", p.place, -1, 1) + 1) * kPi / 4;
  const double gain = from_db(in_range("the place's gain_db", p.gain_db, -80, 40)) * std::numbers::sqrt2;
  left_ = static_cast<float>(gain * std::cos(angle));
  right_ = static_cast<float>(gain * std::sin(angle));
}

void Stereo::run(std::span<float> left, std::span<float> right) {
  for (size_t i = 0; i < left.size(); ++i) {
    const float mid = 0.5f * (left[i] + right[i]), side = 0.5f * width_ * (left[i] - right[i]);
    left[i] = left_ * (mid + side);
    right[i] = right_ * (mid - side);
  }
}

}  // namespace vqcodec::dataset
