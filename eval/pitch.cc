#include "eval/pitch.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/error.h"
#include "dataset/midi.h"

namespace vqcodec::eval {

namespace {

constexpr int kMaxCandidates = 6;
constexpr double kWorstMinimum = 0.6;     // of the difference function: what is less periodic is no candidate
constexpr double kUnvoicedCost = 0.35;    // a frame without pitch costs as much as one of this difference
constexpr double kOctaveDownCost = 0.06;  // of a candidate an octave below the highest: multiples of a period fit too
constexpr double kSwitchCost = 0.15;      // from voiced to unvoiced and back
constexpr double kJumpCost = 0.6;         // an octave; less for less, up to kMaxJumpCost
constexpr double kMaxJumpCost = 0.3;
constexpr double kFloorDb = -40;   // below the loudest frame: silence
constexpr double kSilence = 1e-3;  // -60 dB
constexpr double kMinNoteSeconds = 0.05;
constexpr double kMinChangeSeconds = 0.035;  // shorter changes of key are flickers
constexpr double kRiseSeconds = 0.03;
constexpr double kRise = 1.6;  // 4 dB

struct Candidate {
  double hz = 0;  // 0: none
  double cost = 0;
};

// The sum of term(i) for i in [0, count), in 16 parts that compilers can keep side by side.
template <class Term>
float sum_of(int64_t count, Term&& term) {
  constexpr int64_t kParts = 16;
  std::array<float, kParts> parts{};
  int64_t i = 0;
  for (; i + kParts <= count; i += kParts) {
    for (int64_t k = 0; k < kParts; ++k) parts[static_cast<size_t>(k)] += term(i + k);
  }
  float sum = 0;
  for (; i < count; ++i) sum += term(i);
  for (const float part : parts) sum += part;
  return sum;
}

double key_of(double hz) { return 69 + 12 * std::log2(hz / 440); }

// YIN of one frame: x has window + longest lag samples.
class Yin {
 public:
  Yin(double rate_hz, const PitchOptions& options)
      : rate_hz_(rate_hz),
        shortest_(std::max<int64_t>(2, static_cast<int64_t>(rate_hz / options.max_hz))),
        longest_(static_cast<int64_t>(rate_hz / options.min_hz) + 2),
        window_(longest_),
        difference_(static_cast<size_t>(longest_) + 1) {}

  int64_t num_samples() const { return window_ + longest_; }

  void candidates(const float* x, std::vector<Candidate>& found) {
    double sum = 0;
    difference_[0] = 1;
    for (int64_t lag = 1; lag <= longest_; ++lag) {
      const float* later = x + lag;
      const float total = sum_of(window_, [x, later](int64_t i) { return (x[i] - later[i]) * (x[i] - later[i]); });
      sum += total;
      difference_[static_cast<size_t>(lag)] = sum > 0 ? total * static_cast<double>(lag) / sum : 1;
    }
    for (int64_t lag = shortest_; lag < longest_; ++lag) {
      const double before = at(lag - 1), here = at(lag), after = at(lag + 1);
      if (!(here < before && here <= after) || here > kWorstMinimum) continue;
      const double curve = before - 2 * here + after;
      const double shift = curve > 0 ? std::clamp(0.5 * (before - after) / curve, -0.5, 0.5) : 0;
      const double period = static_cast<double>(lag) + shift;
      const double octaves = std::log2(period / static_cast<double>(shortest_));
      found.push_back({rate_hz_ / period, here + kOctaveDownCost * octaves});
    }
    std::ranges::sort(found, {}, &Candidate::cost);
    if (found.size() > kMaxCandidates) found.resize(kMaxCandidates);
  }

 private:
  double at(int64_t lag) const { return difference_[static_cast<size_t>(lag)]; }

  double rate_hz_;
  int64_t shortest_, longest_, window_;
  std::vector<double> difference_;
};

double step_cost(double from_hz, double to_hz) {
  if (from_hz == 0 && to_hz == 0) return 0;
  if (from_hz == 0 || to_hz == 0) return kSwitchCost;
  return std::min(kMaxJumpCost, kJumpCost * std::abs(std::log2(to_hz / from_hz)));
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<long>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

}  // namespace

PitchOptions pitch_options(const std::string& source) {
  return source == "bass" ? PitchOptions{30, 400} : PitchOptions{70, 1100};
}

std::vector<float> decimate(std::span<const float> samples, int factor) {
  if (factor <= 1) return {samples.begin(), samples.end()};
  const int64_t half = 12 * int64_t{factor};
  std::vector<float> taps;
  double sum = 0;
  for (int64_t i = -half; i <= half; ++i) {
    const double t = static_cast<double>(i), cut = 0.9 / factor;  // of half the old rate
    const double sinc = i == 0 ? cut : std::sin(std::numbers::pi * cut * t) / (std::numbers::pi * t);
    const double window = 0.5 + 0.5 * std::cos(std::numbers::pi * t / static_cast<double>(half + 1));
    taps.push_back(static_cast<float>(sinc * window));
    sum += taps.back();
  }
  for (float& tap : taps) tap = static_cast<float>(tap / sum);
  const auto count = static_cast<int64_t>(samples.size());
  std::vector<float> result;
  for (int64_t at = 0; at < count; at += factor) {
    const int64_t first = std::max<int64_t>(0, at - half), last = std::min(count - 1, at + half);
    const float* x = samples.data() + first;
    const float* weights = taps.data() + (first - at + half);
    result.push_back(sum_of(last - first + 1, [x, weights](int64_t i) { return x[i] * weights[i]; }));
  }
  return result;
}

PitchTrack track_pitch(std::span<const float> samples, double sample_rate_hz, const PitchOptions& options) {
  if (!(options.min_hz >= 20 && options.min_hz <= 500 && options.max_hz > 2 * options.min_hz && options.max_hz <= 2000))
    throw Error(ExitCode::kInternal, "pitch range outside 20 to 2000 Hz");
  const int factor = std::max(1, static_cast<int>(sample_rate_hz / (13 * options.max_hz)));
  const std::vector<float> x = decimate(samples, factor);
  const double rate_hz = sample_rate_hz / factor;
  Yin yin(rate_hz, options);
  const int64_t hop = std::max<int64_t>(1, std::llround(options.hop_seconds * rate_hz)), size = yin.num_samples();
  PitchTrack track;
  track.hop_seconds = static_cast<double>(hop) / rate_hz;
  const auto count = static_cast<int64_t>(x.size());
  if (count < size + size / 2) return track;

  std::vector<std::vector<Candidate>> frames;
  std::vector<float> padded(static_cast<size_t>(count + size));
  std::ranges::copy(x, padded.begin() + size / 2);
  for (int64_t at = 0; at < count; at += hop) {
    const float* frame = padded.data() + at;
    double energy = 0;
    // The level of one longest period: of less it would sway with the wave.
    const int64_t near = size / 2;
    for (int64_t i = (size - near) / 2; i < (size + near) / 2; ++i) energy += double{frame[i]} * frame[i];
    track.level.push_back(std::sqrt(energy / static_cast<double>(near)));
    frames.emplace_back();
    yin.candidates(frame, frames.back());
  }
  const double floor = std::max(kSilence, *std::ranges::max_element(track.level) * std::pow(10, kFloorDb / 20));
  // The path of the least cost.
  std::vector<std::vector<int>> from(frames.size());
  std::vector<double> costs = {0};
  std::vector<Candidate> before = {{0, 0}};
  for (size_t t = 0; t < frames.size(); ++t) {
    std::vector<Candidate>& here = frames[t];
    if (track.level[t] < floor) here.clear();
    here.push_back({0, kUnvoicedCost});
    std::vector<double> next;
    for (const Candidate& candidate : here) {
      double least = std::numeric_limits<double>::infinity();
      int origin = 0;
      for (size_t i = 0; i < before.size(); ++i) {
        const double cost = costs[i] + step_cost(before[i].hz, candidate.hz);
        if (cost < least) {
          least = cost;
          origin = static_cast<int>(i);
        }
      }
      next.push_back(least + candidate.cost);
      from[t].push_back(origin);
    }
    costs = std::move(next);
    before = here;
  }
  track.hz.resize(frames.size());
  auto at = static_cast<size_t>(std::ranges::min_element(costs) - costs.begin());
  for (size_t t = frames.size(); t-- > 0;) {
    track.hz[t] = frames[t][at].hz;
    at = static_cast<size_t>(from[t][at]);
  }
  return track;
}

std::vector<Note> find_notes(const PitchTrack& track) {
  const auto frames_of = [&](double seconds) {
    return std::max<int64_t>(1, std::llround(seconds / track.hop_seconds));
  };
  const auto count = static_cast<int64_t>(track.hz.size());
  const int64_t rise = count > 0 ? frames_of(kRiseSeconds) : 1;
  // A key of every frame, without changes that are too short to be notes.
  std::vector<int> keys;
  for (const double hz : track.hz) keys.push_back(hz > 0 ? static_cast<int>(std::lround(key_of(hz))) : -1);
  for (int64_t t = 0; t < count;) {
    int64_t end = t;
    while (end < count && keys[static_cast<size_t>(end)] == keys[static_cast<size_t>(t)]) ++end;
    if (t > 0 && keys[static_cast<size_t>(t)] >= 0 && keys[static_cast<size_t>(t - 1)] >= 0 &&
        end - t < frames_of(kMinChangeSeconds)) {
      std::fill(keys.begin() + t, keys.begin() + end, keys[static_cast<size_t>(t - 1)]);
    }
    t = end;
  }
  const auto is_attack = [&](int64_t t) {
    // The steepest rise hereabouts.
    const auto ratio = [&](int64_t i) {
      if (i - rise < 0 || i + rise >= count) return 0.0;
      const auto at = static_cast<size_t>(i);
      return track.level[at + static_cast<size_t>(rise)] /
             std::max(track.level[at - static_cast<size_t>(rise)], kSilence / 10);
    };
    const double here = ratio(t);
    if (here < kRise) return false;
    for (int64_t i = t - rise; i <= t + rise; ++i) {
      if (ratio(i) > here || (ratio(i) == here && i < t)) return false;
    }
    return true;
  };
  std::vector<Note> notes;
  for (int64_t t = 0; t < count;) {
    const int key = keys[static_cast<size_t>(t)];
    int64_t end = t + 1;
    while (end < count && keys[static_cast<size_t>(end)] == key &&
           !(key >= 0 && end - t >= frames_of(kMinNoteSeconds) && is_attack(end)))
      ++end;
    if (key >= 0 && end - t >= frames_of(kMinNoteSeconds)) {
      std::vector<double> pitches;
      double level = 0;
      for (int64_t i = t; i < end; ++i) {
        if (track.hz[static_cast<size_t>(i)] > 0) pitches.push_back(key_of(track.hz[static_cast<size_t>(i)]));
        level = std::max(level, track.level[static_cast<size_t>(i)]);
      }
      const double pitch = median(pitches);
      const auto near = static_cast<int>(std::lround(pitch));
      notes.push_back({static_cast<double>(t) * track.hop_seconds, static_cast<double>(end) * track.hop_seconds, near,
                       100 * (pitch - near), level});
    }
    t = end;
  }
  return notes;
}

std::vector<uint8_t> notes_to_midi(std::span<const Note> notes, const std::string& source) {
  constexpr uint8_t kFingerBass = 33, kLead = 81;
  constexpr double kTicksPerSecond = 1000;  // 500 a quarter at 120
  dataset::MidiSong song;
  song.ticks_per_quarter = 500;
  song.track_names = {source};
  song.tempi = {{}};
  song.controls.push_back({.kind = dataset::MidiControlKind::kProgram,
                           .value = static_cast<int16_t>(source == "bass" ? kFingerBass : kLead)});
  double loudest = 0;
  for (const Note& note : notes) loudest = std::max(loudest, note.level);
  std::array<int64_t, 128> free{};  // of each key, so that notes of one do not overlap
  for (const Note& note : notes) {
    const auto key = static_cast<size_t>(std::clamp(note.key, 0, 127));
    const int64_t start = std::max(free[key], static_cast<int64_t>(std::llround(note.start_seconds * kTicksPerSecond)));
    const int64_t end = std::max(start + 1, static_cast<int64_t>(std::llround(note.end_seconds * kTicksPerSecond)));
    free[key] = end;
    // Half the velocity for 20 dB less.
    const double below_db = 20 * std::log10(std::max(note.level, 1e-6) / std::max(loudest, 1e-6));
    const auto velocity = static_cast<uint8_t>(std::clamp(112 * std::exp2(below_db / 20), 1.0, 127.0));
    song.notes.push_back(
        {.start_ticks = start, .end_ticks = end, .key = static_cast<uint8_t>(key), .velocity = velocity});
  }
  dataset::time_midi(song);
  return dataset::write_midi(song);
}

}  // namespace vqcodec::eval
