#include "dataset/render_synth.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <numbers>
#include <vector>

#include "dataset/effects.h"

namespace vqcodec::dataset {

namespace {

constexpr double kRateHz = kEffectSampleRateHz;
constexpr size_t kMaxHarmonics = 48;
constexpr int64_t kStepFrames = 64;  // between them the harmonics' levels are lines
constexpr double kPeak = 0.25;

enum class Shape { kSine, kTriangle, kSquare, kSaw };

struct Patch {
  Shape shape = Shape::kSaw;
  int shift = 0;  // semitones
  double sub_level = 0;
  double cutoff_hz = 200, envelope_octaves = 1, filter_decay = 0.2;
  int num_poles = 2;
  double attack = 0.01, release = 0.1, sustain = 0.5, decay = 0.5;  // seconds, level, seconds
  double gate = 1;                                                  // of a note's length
  double max_seconds = 6;
  double pitch_drop = 0, drop_seconds = 0.01;
  double click_level = 0, click_decay = 0.1, click_hz = 1000, click_slope = 1.5;
  bool click_varies = false;
  bool free_running = false;  // an oscillator that runs on between notes: it begins anywhere
  double drive = 0, detune_cents = 0;
};

double between(CounterRandom& random, double low, double high) { return low + (high - low) * random.uniform(); }

double power_of_ten(CounterRandom& random, double low, double high) {
  return std::pow(10.0, between(random, low, high));
}

template <size_t N>
Shape one_of(CounterRandom& random, const std::array<Shape, N>& shapes) {
  return shapes[random.below(N)];
}

Patch draw_patch(CounterRandom& random, bool pulsed, int middle_key) {
  using enum Shape;
  Patch p;
  const auto shift_to = [&](double low, double high) {
    return 12 * static_cast<int>(std::lround((between(random, low, high) - middle_key) / 12));
  };
  if (pulsed) {
    p.shape = one_of(random, std::array{kSine, kTriangle, kSquare, kSaw, kSaw});
    p.cutoff_hz = 40 * std::exp2(between(random, 0, 3));
    p.envelope_octaves = between(random, 0, 4);
    p.attack = power_of_ten(random, -4, -2);
    p.filter_decay = power_of_ten(random, -2.2, -0.3);
    p.shift = shift_to(22, 44);
    p.max_seconds = between(random, 0.06, 0.35);
    p.release = between(random, 0.03, 0.15);
    p.sustain = between(random, 0.5, 1);
    // Hardly any drop: that is what tells it from a bass drum.
    p.pitch_drop = random.chance(1.0 / 3) ? between(random, 0, 0.6) : 0;
    // Noise at the onset, as of a plucked string or a filter that opens.
    p.click_level = random.chance(0.8) ? power_of_ten(random, -2.25, -0.3) : 0;
    p.click_varies = random.chance(0.6);  // from note to note, as under a modulated filter
    p.free_running = true;
  } else {
    const bool is_sub = random.chance(0.5);  // hardly any harmonics, often short like a drum
    p.shape = is_sub ? one_of(random, std::array{kSine, kSine, kTriangle})
                     : one_of(random, std::array{kTriangle, kSquare, kSaw, kSaw});
    p.cutoff_hz = 100 * std::exp2(between(random, 0, 4.5));
    p.envelope_octaves = between(random, 0, 3);
    p.attack = between(random, 0.002, 0.03);
    p.filter_decay = between(random, 0.05, 0.8);
    // The octave that puts the line's middle nearest to a drawn key: C1 to D2 or E1 to C3.
    p.shift = is_sub ? shift_to(24, 38) : shift_to(28, 46);
    p.max_seconds = random.chance(1.0 / 3) ? between(random, 0.1, 0.4) : 6;
    p.release = between(random, 0.02, 0.25);
    p.sustain = random.uniform();
    p.pitch_drop = random.chance(1.0 / 3) ? random.uniform() : 0;
    p.sub_level = !is_sub && random.chance(1.0 / 3) ? between(random, 0.3, 1) : 0;
  }
  p.decay = between(random, 0.1, 1.5);
  p.gate = between(random, 0.25, 1);
  p.num_poles = random.chance(0.5) ? 2 : 4;
  p.drop_seconds = between(random, 0.005, 0.04);
  p.click_decay = between(random, 0.005, 0.25);
  p.click_hz = 100 * std::exp2(between(random, 0, 6));
  p.click_slope = random.chance(0.5) ? 1.5 : between(random, 1.5, 10);
  p.drive = random.chance(1.0 / 3) ? between(random, 0.5, 3) : 0;
  p.detune_cents = random.chance(1.0 / 3) ? between(random, 2, 12) : 0;
  return p;
}

// Filtered noise of standard deviation `level` at its onset.
std::vector<float> click(const Patch& p, CounterRandom& random, size_t num_frames) {
  double hz = p.click_hz, decay = p.click_decay;
  if (p.click_varies) {
    decay = power_of_ten(random, -2.3, -0.5);
    hz = 100 * std::exp2(between(random, 0, 7));
  }
  const double level = p.click_level * between(random, 0.2, 1);
  num_frames = std::min(num_frames, static_cast<size_t>(7 * decay * kRateHz));
  std::vector<float> burst(num_frames), unused(num_frames);
  for (float& x : burst) x = static_cast<float>(2 * random.uniform() - 1);
  const Biquad band{Biquad::Kind::kBandPass, std::min(hz, 18000.0), 0, std::max(0.5, 0.4 * p.click_slope)};
  Equalizer filter(std::vector<Biquad>(p.click_slope < 4 ? 1 : 2, band));
  filter.process(burst, unused);
  double energy = 1e-12;
  for (const float x : burst) energy += static_cast<double>(x) * x;
  const double gain = level / std::sqrt(energy / static_cast<double>(std::max<size_t>(1, num_frames)));
  for (size_t i = 0; i < num_frames; ++i) {
    burst[i] *= static_cast<float>(gain * std::exp(-static_cast<double>(i) / (decay * kRateHz)));
  }
  return burst;
}

// std::complex's own looks for infinities.
std::complex<double> times(const std::complex<double>& a, const std::complex<double>& b) {
  return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

// Adds the oscillators of one note, without its envelope: [out.size()].
void oscillate(const Patch& p, double pitch_hz, double phase, std::span<float> out) {
  const double top_hz = std::min(15000.0, 8 * p.cutoff_hz * std::exp2(p.envelope_octaves));
  const auto num_harmonics = p.shape == Shape::kSine
                                 ? size_t{1}
                                 : std::clamp<size_t>(static_cast<size_t>(top_hz / pitch_hz), 1, kMaxHarmonics);
  // Each harmonic is a point on a circle that a rotation moves on; a group of eight is one row of vectors.
  struct alignas(32) Row {
    std::array<float, kMaxHarmonics + 8> at{};
  };
  Row sine, cosine, turn_sine, turn_cosine, level, level_step;
  std::array<double, kMaxHarmonics + 8> multiple{}, weight{};
  size_t count = 0;
  for (size_t k = 1; k <= num_harmonics; ++k) {
    if (p.shape != Shape::kSaw && k % 2 == 0) continue;
    const auto number = static_cast<double>(k);
    multiple[count] = number;
    weight[count++] = p.shape == Shape::kTriangle ? (k / 2 % 2 == 0 ? 1 : -1) / (number * number) : 1 / number;
  }
  const size_t first_sub = count;
  if (p.sub_level > 0) {
    multiple[count] = 0.5;
    weight[count++] = p.sub_level;
  }
  const size_t rows = (count + 7) / 8 * 8;
  // Of the fundamental, in periods, with its falling pitch.
  const auto phase_at = [&](double t) {
    return phase + pitch_hz * (t + p.pitch_drop * p.drop_seconds * (1 - std::exp(-t / p.drop_seconds)));
  };
  const auto corner_at = [&](double t) {
    return p.cutoff_hz * std::exp2(p.envelope_octaves * std::exp(-t / p.filter_decay));
  };
  const auto level_at = [&](size_t i, double corner_hz) {
    if (i >= first_sub) return weight[i];
    const double ratio = multiple[i] * pitch_hz / corner_hz, squared = ratio * ratio;
    return weight[i] / std::sqrt(1 + (p.num_poles == 2 ? squared * squared : squared * squared * squared * squared));
  };
  for (size_t i = 0; i < count; ++i) level.at[i] = static_cast<float>(level_at(i, corner_at(0)));
  const auto num_frames = static_cast<int64_t>(out.size());
  for (int64_t begin = 0; begin < num_frames; begin += kStepFrames) {
    const double t = static_cast<double>(begin) / kRateHz, next = static_cast<double>(begin + kStepFrames) / kRateHz;
    const double from = phase_at(t), step = (phase_at(next) - from) / kStepFrames;
    const double corner_hz = corner_at(next);
    // Half the fundamental's angles once, and those of the others by multiplying: e^(i k x) = e^(i (k - j) x) e^(i j x).
    using Point = std::complex<double>;
    const Point half = std::polar(1.0, std::numbers::pi * std::fmod(from, 2.0));
    const Point half_turn = std::polar(1.0, std::numbers::pi * step);
    Point angle = 1, turn = 1;
    double reached = 0;
    for (size_t i = 0; i < count; ++i) {
      if (multiple[i] < reached) angle = turn = 1, reached = 0;  // the sub-oscillator
      for (; reached < multiple[i]; reached += 0.5) {
        angle = times(angle, half);
        turn = times(turn, half_turn);
      }
      sine.at[i] = static_cast<float>(angle.imag());
      cosine.at[i] = static_cast<float>(angle.real());
      turn_sine.at[i] = static_cast<float>(turn.imag());
      turn_cosine.at[i] = static_cast<float>(turn.real());
      const auto target = static_cast<float>(level_at(i, corner_hz));
      level_step.at[i] = (target - level.at[i]) / kStepFrames;
    }
    for (int64_t j = begin; j < std::min(num_frames, begin + kStepFrames); ++j) {
      std::array<float, 8> sum{};
      for (size_t i = 0; i < rows; i += 8) {
        for (size_t lane = 0; lane < 8; ++lane) {
          const size_t k = i + lane;
          sum[lane] += level.at[k] * sine.at[k];
          const float turned = sine.at[k] * turn_cosine.at[k] + cosine.at[k] * turn_sine.at[k];
          cosine.at[k] = cosine.at[k] * turn_cosine.at[k] - sine.at[k] * turn_sine.at[k];
          sine.at[k] = turned;
          level.at[k] += level_step.at[k];
        }
      }
      out[static_cast<size_t>(j)] += ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
    }
  }
}

int middle_key(std::span<const SynthNote> notes) {
  std::vector<int> keys;
  for (const SynthNote& note : notes) keys.push_back(note.key);
  std::ranges::nth_element(keys, keys.begin() + static_cast<ptrdiff_t>(keys.size() / 2));
  return keys[keys.size() / 2];
}

// Adds the notes on one patch. Both channels are as long as the part is.
void play_patch(std::span<const SynthNote> notes, bool pulsed, CounterRandom& random, std::span<float> left,
                std::span<float> right) {
  if (notes.empty() || left.empty()) return;
  const Patch p = draw_patch(random, pulsed, middle_key(notes));
  std::vector<float> dry_left(left.size()), dry_right(left.size()), tone, other;
  for (const SynthNote& note : notes) {
    const auto begin = static_cast<size_t>(std::max(0.0, note.start_seconds) * kRateHz);
    if (begin >= left.size()) continue;
    const double seconds = std::min(std::max(note.seconds * p.gate, 0.05), p.max_seconds);
    const auto count = std::min(static_cast<size_t>((seconds + p.release) * kRateHz), left.size() - begin);
    const int key = std::clamp(note.key + p.shift, 12, 127);
    const double pitch_hz = 440 * std::exp2((key - 69) / 12.0), phase = p.free_running ? random.uniform() : 0;
    const double detune = std::exp2(p.detune_cents / 2400);
    tone.assign(count, 0.0f);
    oscillate(p, pitch_hz / detune, phase, tone);
    if (p.detune_cents > 0) {
      other.assign(count, 0.0f);
      oscillate(p, pitch_hz * detune, phase, other);
    } else {
      other = tone;
    }
    if (p.click_level > 0) {
      const std::vector<float> burst = click(p, random, count);
      for (size_t i = 0; i < burst.size(); ++i) {
        tone[i] += burst[i];
        other[i] += burst[i];
      }
    }
    const double velocity = std::pow(note.velocity / 127.0, 1.3), fall = std::exp(-1 / (p.decay * kRateHz));
    double fading = 1;
    for (size_t i = 0; i < count; ++i, fading *= fall) {
      const double t = static_cast<double>(i) / kRateHz;
      const double release = std::clamp((seconds + p.release - t) / p.release, 0.0, 1.0);
      const auto level =
          static_cast<float>(velocity * (p.sustain + (1 - p.sustain) * fading) * std::min(1.0, t / p.attack) * release);
      dry_left[begin + i] += level * tone[i];
      dry_right[begin + i] += level * other[i];
    }
  }
  float peak = 1e-6f;
  for (size_t i = 0; i < dry_left.size(); ++i) peak = std::max({peak, std::abs(dry_left[i]), std::abs(dry_right[i])});
  for (size_t i = 0; i < dry_left.size(); ++i) {
    dry_left[i] *= static_cast<float>(kPeak) / peak;
    dry_right[i] *= static_cast<float>(kPeak) / peak;
  }
  if (pulsed && random.chance(0.75)) {
    // Wide above some 300 Hz, as by a chorus: delayed copies that differ in the two channels.
    std::vector<float> high(dry_left.size()), unused(dry_left.size());
    for (size_t i = 0; i < high.size(); ++i) high[i] = 0.5f * (dry_left[i] + dry_right[i]);
    Equalizer cut(std::vector<Biquad>{{Biquad::Kind::kHighPass, 150 * std::exp2(between(random, 0, 2))}});
    cut.process(high, unused);
    for (auto* channel : {&dry_left, &dry_right}) {
      const uint64_t num_copies = 1 + random.below(3);
      for (uint64_t copy = 0; copy < num_copies; ++copy) {
        const auto gain = static_cast<float>(between(random, -0.8, 0.8));
        const auto delay = static_cast<size_t>(between(random, 0.0005, 0.03) * kRateHz);
        for (size_t i = delay; i < high.size(); ++i) (*channel)[i] += gain * high[i - delay];
      }
    }
  }
  EffectChain chain;
  if (p.drive > 0) {
    chain.add<Saturation>(SaturationParameters{.drive_db = 20 * std::log10(p.drive / kPeak),
                                               .output_db = 20 * std::log10(kPeak / std::tanh(p.drive))});
  }
  chain.process(dry_left, dry_right);
  // As in real mixes, hardly ever the same in both channels.
  const double lean = std::pow(10.0, std::clamp(random.normal(), -3.0, 3.0) / 20);
  for (size_t i = 0; i < left.size(); ++i) {
    left[i] += static_cast<float>(lean) * dry_left[i];
    right[i] += static_cast<float>(1 / lean) * dry_right[i];
  }
}

// Notes from `begin` to `end` (seconds) as a step sequencer plays them: a bar of sixteenths again and again, on a key or
// two of the song's.
std::vector<SynthNote> sequence(std::span<const SynthNote> notes, CounterRandom& random, double begin, double end) {
  const double step = 15 / between(random, 95, 150), density = between(random, 0.3, 0.8);
  std::vector<int> keys;
  for (uint64_t i = 0, count = random.chance(1.0 / 3) ? 2 : 1; i < count; ++i) {
    keys.push_back(notes[random.below(notes.size())].key);
  }
  std::array<SynthNote, 16> bar;
  for (SynthNote& slot : bar) {
    slot.velocity = random.chance(density) ? 70 + static_cast<int>(random.below(58)) : 0;
    slot.key = keys[random.below(keys.size())];
  }
  std::vector<SynthNote> played;
  for (int64_t i = 0; begin + static_cast<double>(i) * step < end; ++i) {
    SynthNote note = bar[static_cast<size_t>(i % 16)];
    if (note.velocity == 0) continue;
    note.start_seconds = begin + static_cast<double>(i) * step;
    note.seconds = step * between(random, 0.6, 1.2);
    played.push_back(note);
  }
  return played;
}

}  // namespace

void render_synth_bass(std::span<const SynthNote> notes, bool pulsed, CounterRandom& random, std::span<float> left,
                       std::span<float> right) {
  if (notes.empty()) return;
  if (!pulsed) {
    play_patch(notes, false, random, left, right);
    return;
  }
  const double end = std::min(static_cast<double>(left.size()) / kRateHz, notes.back().start_seconds + 1);
  for (double begin = 0; begin < end;) {
    const double stop = begin + between(random, 3, 7);
    std::vector<SynthNote> part;
    if (random.chance(0.5)) {
      part = sequence(notes, random, begin, std::min(stop, end));
    } else {
      for (const SynthNote& note : notes) {
        if (note.start_seconds >= begin && note.start_seconds < stop) part.push_back(note);
      }
    }
    const auto first = static_cast<size_t>(begin * kRateHz);
    const size_t last = std::min(left.size(), static_cast<size_t>((stop + 0.5) * kRateHz));
    for (SynthNote& note : part) note.start_seconds -= begin;
    play_patch(part, true, random, left.subspan(first, last - first), right.subspan(first, last - first));
    begin = stop;
  }
}

}  // namespace vqcodec::dataset
