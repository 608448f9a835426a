#include "dataset/vocoder.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "dataset/stems.h"
#include "world/cheaptrick.h"
#include "world/d4c.h"
#include "world/harvest.h"

namespace vqcodec::dataset {

namespace {

constexpr float kNyquistHz = kVoiceHz / 2.0f;
constexpr float kLnPerDb = 0.2302585f;  // of power

// Of speech.
constexpr double kMinGapSeconds = 0.17;  // closures of consonants are shorter, pauses between words longer
constexpr double kMinWordSeconds = 0.06;
constexpr double kSilenceDb = -45;  // against the loudest 10 ms
constexpr double kMaxOnsetSeconds = 0.22, kMaxCodaSeconds = 0.25;
constexpr float kNucleusRiseDb = 9, kNucleusFallDb = 12;  // the vowel lies above its peak less these
constexpr int kMinNucleusFrames = 4;

struct Points {
  std::array<float, kVoicePoints> hz;
  std::array<float, kVoicePoints> width;  // share of [0, Nyquist] around each point; they sum to 1
  Points() {
    const auto edge = [](int i) { return std::clamp(hz_of_point(static_cast<float>(i) - 0.5f), 0.0f, kNyquistHz); };
    for (int i = 0; i < kVoicePoints; ++i) {
      hz[i] = hz_of_point(static_cast<float>(i));
      width[i] = (edge(i + 1) - edge(i)) / kNyquistHz;
    }
  }
};

const Points& points() {
  static const Points instance;
  return instance;
}

float power_of(const VoiceFrame& frame) {
  float power = 0;
  for (int i = 0; i < kVoicePoints; ++i) power += points().width[i] * std::exp(frame.log_power[i]);
  return power;
}

// Of the band that makes a vowel loud: sibilants and the rumble of voiced stops do not count.
float vowel_power_of(const VoiceFrame& frame) {
  float power = 1e-12f;
  for (int i = 0; i < kVoicePoints; ++i) {
    if (points().hz[i] > 200 && points().hz[i] < 4000) power += points().width[i] * std::exp(frame.log_power[i]);
  }
  return power;
}

// No voice is a perfect buzz: a breathy share that grows with frequency, up to where all is noise.
float least_noise_share(float hz) {
  const float db = hz < 1000 ? -32 : hz < 8000 ? -32 + 18 * std::log2(hz / 1000) / 3 : -14 + 11 * (hz - 8000) / 6000;
  return std::pow(10.0f, std::min(db, -3.0f) / 10);
}

// Of one frame of WORLD's output, [fft_size / 2 + 1] each.
VoiceFrame make_frame(const double* power, const double* aperiodicity, int fft_size, int sample_rate_hz, bool voiced) {
  VoiceFrame frame;
  const int num_bins = fft_size / 2;
  const float edge_hz = 0.46f * static_cast<float>(sample_rate_hz);
  const auto interpolate = [&](const double* values, float hz, bool logarithm) {
    const double at = std::min<double>(static_cast<double>(hz) / sample_rate_hz * fft_size, num_bins - 1e-6);
    const auto k = static_cast<size_t>(at);
    const double share = at - static_cast<double>(k);
    const double a = logarithm ? std::log(values[k] + 1e-16) : values[k];
    const double b = logarithm ? std::log(values[k + 1] + 1e-16) : values[k + 1];
    return static_cast<float>(a + share * (b - a));
  };
  // What is just below the edge goes on above it: vowels fall faster than hisses.
  const float top = std::max({interpolate(power, edge_hz, true), interpolate(power, 0.93f * edge_hz, true),
                              interpolate(power, 0.86f * edge_hz, true)});
  float peak = -100;
  for (int i = 0; i < kVoicePoints; ++i) {
    const float hz = points().hz[i];
    float value = 0, noise = 1;
    if (hz < edge_hz) {
      value = interpolate(power, hz, true);
    } else {
      const float octaves = std::log2(hz / edge_hz), high_octaves = std::max(0.0f, std::log2(hz / 13000.0f));
      value = top - kLnPerDb * (octaves * (voiced ? 14.0f : 5.0f) + high_octaves * 18.0f);
    }
    if (voiced) {
      const float a = interpolate(aperiodicity, std::min(hz, edge_hz), false);
      noise = std::clamp(std::max(a * a, least_noise_share(hz)), 0.0f, 1.0f);
    }
    frame.log_power[i] = value;
    frame.noise_share[i] = noise;
    peak = std::max(peak, value);
  }
  for (float& value : frame.log_power) value = std::max(value, peak - 80 * kLnPerDb);
  frame.voiced = voiced ? 1.0f : 0.0f;
  return frame;
}

struct Range {
  size_t begin, end;
};

// Words in units of 10 ms.
std::vector<Range> find_words(const Speech& speech) {
  const auto block = static_cast<size_t>(speech.sample_rate_hz / 100);
  std::vector<double> power;
  for (size_t at = 0; at + block <= speech.samples.size(); at += block) {
    double sum = 0;
    for (size_t i = at; i < at + block; ++i) sum += static_cast<double>(speech.samples[i]) * speech.samples[i];
    power.push_back(sum / static_cast<double>(block));
  }
  const double loudest = power.empty() ? 0 : *std::max_element(power.begin(), power.end());
  const double threshold = loudest * std::pow(10, kSilenceDb / 10);
  std::vector<Range> words;
  if (loudest < 1e-8) return words;
  for (size_t i = 0; i < power.size(); ++i) {
    if (power[i] <= threshold) continue;
    if (!words.empty() && static_cast<double>(i - words.back().end) * 0.01 < kMinGapSeconds) {
      words.back().end = i + 1;
    } else {
      words.push_back({i, i + 1});
    }
  }
  std::erase_if(words,
                [](const Range& word) { return static_cast<double>(word.end - word.begin) * 0.01 < kMinWordSeconds; });
  return words;
}

// False when nothing in the frames is voiced long enough.
bool make_syllable(std::span<const VoiceFrame> frames, Syllable& syllable) {
  const auto count = static_cast<int>(frames.size());
  std::vector<float> loudness(frames.size());
  for (int t = 0; t < count; ++t) {
    float sum = 0;
    int number = 0;
    for (int u = std::max(0, t - 2); u <= std::min(count - 1, t + 2); ++u, ++number) sum += vowel_power_of(frames[u]);
    loudness[t] = std::log(sum / static_cast<float>(number));
  }
  int peak = -1;
  for (int t = 0; t < count; ++t) {
    if (frames[t].voiced > 0 && (peak < 0 || loudness[t] > loudness[peak])) peak = t;
  }
  if (peak < 0) return false;
  int begin = peak, end = peak + 1;
  while (begin > 0 && frames[begin - 1].voiced > 0 &&
         loudness[begin - 1] > loudness[peak] - kNucleusRiseDb * kLnPerDb) {
    --begin;
  }
  while (end < count && frames[end].voiced > 0 && loudness[end] > loudness[peak] - kNucleusFallDb * kLnPerDb) ++end;
  if (end - begin < kMinNucleusFrames) return false;
  const int first = std::max(0, begin - static_cast<int>(kMaxOnsetSeconds / kVoiceFrameSeconds));
  const int last = std::min(count, end + static_cast<int>(kMaxCodaSeconds / kVoiceFrameSeconds));
  syllable.frames.assign(frames.begin() + first, frames.begin() + last);
  syllable.onset_frames = begin - first;
  syllable.nucleus_frames = end - begin;

  float mean_power = 0;
  for (int t = begin; t < end; ++t) mean_power += power_of(frames[t]) / static_cast<float>(end - begin);
  const float scale = -std::log(mean_power + 1e-16f);
  for (VoiceFrame& frame : syllable.frames) {
    for (float& value : frame.log_power) value += scale;
    const float excess = std::log(power_of(frame)) - kLnPerDb * (frame.voiced > 0 ? 3.0f : -7.0f);
    if (excess <= 0) continue;
    for (float& value : frame.log_power) value -= excess;
  }
  return true;
}

}  // namespace

float mel_of_hz(float hz) { return 1127.0f * std::log1p(hz / 700.0f); }

float hz_of_point(float point) {
  static const float top = mel_of_hz(kNyquistHz);
  return 700.0f * std::expm1(point / (kVoicePoints - 1) * top / 1127.0f);
}

std::vector<Syllable> analyse_speech(const Speech& speech) {
  std::vector<Syllable> syllables;
  const std::vector<Range> words = find_words(speech);
  const int rate_hz = speech.sample_rate_hz;
  for (const Range& word : words) {
    // With some silence around it: WORLD's windows reach out of the word.
    const auto margin = static_cast<size_t>(rate_hz / 20), block = static_cast<size_t>(rate_hz / 100);
    const size_t from = word.begin * block < margin ? 0 : word.begin * block - margin;
    const size_t to = std::min(speech.samples.size(), word.end * block + margin);
    const std::vector<double> x(speech.samples.begin() + static_cast<std::ptrdiff_t>(from),
                                speech.samples.begin() + static_cast<std::ptrdiff_t>(to));
    const auto num_samples = static_cast<int>(x.size());
    constexpr double kPeriodMs = 1000 * kVoiceFrameSeconds;
    HarvestOption harvest;
    InitializeHarvestOption(&harvest);
    harvest.frame_period = kPeriodMs;
    harvest.f0_floor = 60;
    harvest.f0_ceil = 500;
    const auto num_frames = static_cast<size_t>(GetSamplesForHarvest(rate_hz, num_samples, kPeriodMs));
    std::vector<double> times(num_frames), f0(num_frames);
    Harvest(x.data(), num_samples, rate_hz, &harvest, times.data(), f0.data());

    CheapTrickOption cheap_trick;
    InitializeCheapTrickOption(rate_hz, &cheap_trick);
    cheap_trick.f0_floor = harvest.f0_floor;
    cheap_trick.fft_size = GetFFTSizeForCheapTrick(rate_hz, &cheap_trick);
    const auto num_bins = static_cast<size_t>(cheap_trick.fft_size / 2 + 1);
    std::vector<double> power(num_frames * num_bins), aperiodicity(num_frames * num_bins);
    std::vector<double*> power_rows(num_frames), aperiodicity_rows(num_frames);
    for (size_t t = 0; t < num_frames; ++t) {
      power_rows[t] = &power[t * num_bins];
      aperiodicity_rows[t] = &aperiodicity[t * num_bins];
    }
    CheapTrick(x.data(), num_samples, rate_hz, times.data(), f0.data(), static_cast<int>(num_frames), &cheap_trick,
               power_rows.data());
    D4COption d4c;
    InitializeD4COption(&d4c);
    D4C(x.data(), num_samples, rate_hz, times.data(), f0.data(), static_cast<int>(num_frames), cheap_trick.fft_size,
        &d4c, aperiodicity_rows.data());

    std::vector<VoiceFrame> frames;
    const size_t first = (word.begin * block - from) * 200 / static_cast<size_t>(rate_hz);
    const size_t last = std::min(num_frames, first + (word.end - word.begin) * 2);
    for (size_t t = first; t < last; ++t) {
      // Harvest gives noise a pitch too; D4C calls it aperiodic throughout.
      const bool voiced = f0[t] > 0 && aperiodicity_rows[t][1000 * cheap_trick.fft_size / rate_hz] < 0.99;
      frames.push_back(make_frame(power_rows[t], aperiodicity_rows[t], cheap_trick.fft_size, rate_hz, voiced));
    }
    Syllable syllable;
    if (make_syllable(frames, syllable)) syllables.push_back(std::move(syllable));
  }
  return syllables;
}

namespace {

constexpr int kPulseSize = 1024;
constexpr int kNoiseSize = 512, kNoiseHop = 128;
constexpr float kNoiseWindowPower = 1.5f;  // sum of squared Hann windows, a quarter of their length apart

constexpr int kNumLanes = 4;
using Lanes = float __attribute__((vector_size(sizeof(float) * kNumLanes)));

// Complex Fourier transforms of a power of two, without scaling (Stockham's order: no bit reversal), four signals at
// once, a lane each.
class Fft {
 public:
  explicit Fft(int size) : size_(size), cosines_(size / 2), sines_(size / 2), other_re_(size), other_im_(size) {
    for (int k = 0; k < size / 2; ++k) {
      cosines_[k] = static_cast<float>(std::cos(2 * std::numbers::pi * k / size));
      sines_[k] = static_cast<float>(std::sin(2 * std::numbers::pi * k / size));
    }
  }

  // In place; the inverse is the same with re and im exchanged.
  void transform(std::vector<Lanes>& re, std::vector<Lanes>& im) {
    for (int n = size_, s = 1; n > 1; n /= 2, s *= 2) {
      const int m = n / 2;
      for (int p = 0; p < m; ++p) {
        const float c = cosines_[p * s], d = -sines_[p * s];
        const Lanes* a_re = &re[s * p];
        const Lanes* a_im = &im[s * p];
        const Lanes* b_re = &re[s * (p + m)];
        const Lanes* b_im = &im[s * (p + m)];
        Lanes* sum_re = &other_re_[s * 2 * p];
        Lanes* sum_im = &other_im_[s * 2 * p];
        for (int q = 0; q < s; ++q) {
          const Lanes x = a_re[q] - b_re[q], y = a_im[q] - b_im[q];
          sum_re[q] = a_re[q] + b_re[q];
          sum_im[q] = a_im[q] + b_im[q];
          sum_re[s + q] = x * c - y * d;
          sum_im[s + q] = x * d + y * c;
        }
      }
      re.swap(other_re_);
      im.swap(other_im_);
    }
  }

 private:
  int size_;
  std::vector<float> cosines_, sines_;
  std::vector<Lanes> other_re_, other_im_;
};

// Where each bin of a transform lies between the points of an envelope.
struct BinMap {
  std::vector<int> point;     // in [0, kVoicePoints - 2]
  std::vector<float> share;   // of the next point
  std::vector<float> offset;  // added to ln power
  BinMap(int size, double formant_ratio) {
    const float top = mel_of_hz(kNyquistHz);
    for (int k = 0; k <= size / 2; ++k) {
      const float hz = static_cast<float>(k) * kVoiceHz / static_cast<float>(size);
      const float from_hz = std::min(hz / static_cast<float>(formant_ratio), kNyquistHz);
      const float at = mel_of_hz(from_hz) / top * (kVoicePoints - 1);
      const int i = std::min(static_cast<int>(at), kVoicePoints - 2);
      point.push_back(i);
      share.push_back(at - static_cast<float>(i));
      offset.push_back(hz < 50 ? -12 * kLnPerDb : 0.0f);  // no voice is that low
    }
  }
};

struct Moment {  // what a track is at one time
  std::array<float, kVoicePoints> log_periodic, log_noise;
  float gain, voiced;
};

}  // namespace

// Pulses and blocks of noise wait until all lanes are full: two a lane, one as the real and one as the imaginary part.
struct VoiceSynthesizer::Plan {
  static constexpr int kNumWaiting = 2 * kNumLanes;
  Fft pulse_fft{kPulseSize}, noise_fft{kNoiseSize};
  std::vector<Lanes> re, im, noise_re, noise_im;
  std::array<float, 256> phase_cosines, phase_sines;
  std::array<float, kNoiseSize> window;
  struct Pulse {
    int64_t sample = 0;
    float fraction = 0, scale = 0;
  };
  std::array<Pulse, kNumWaiting> pulses;
  int num_pulses = 0;
  std::array<int64_t, kNumLanes> noise_samples;  // of the first of a lane's two blocks
  int num_noise_lanes = 0;

  Plan() : re(kPulseSize), im(kPulseSize), noise_re(kNoiseSize), noise_im(kNoiseSize) {
    for (size_t i = 0; i < phase_cosines.size(); ++i) {
      phase_cosines[i] = static_cast<float>(std::cos(2 * std::numbers::pi * static_cast<double>(i) / 256));
      phase_sines[i] = static_cast<float>(std::sin(2 * std::numbers::pi * static_cast<double>(i) / 256));
    }
    for (int i = 0; i < kNoiseSize; ++i) {
      window[i] = static_cast<float>(0.5 - 0.5 * std::cos(2 * std::numbers::pi * i / kNoiseSize));
    }
  }

  // `log_amplitude(k)` is ln of the amplitude of bin k, [kPulseSize / 2 + 1].
  template <typename F>
  void add_pulse(const Pulse& pulse, const F& log_amplitude, std::span<float> out) {
    std::vector<Lanes>& part = num_pulses % 2 == 0 ? re : im;
    const int lane = num_pulses / 2;
    for (int k = 0; k <= kPulseSize / 2; ++k) {
      part[k][lane] = part[(kPulseSize - k) % kPulseSize][lane] = log_amplitude(k);
    }
    pulses[num_pulses++] = pulse;
    if (num_pulses == kNumWaiting) flush_pulses(out);
  }

  void flush_pulses(std::span<float> out) {
    if (num_pulses == 0) return;
    constexpr int kHalf = kPulseSize / 2;
    for (int empty = num_pulses; empty < kNumWaiting; ++empty) {
      pulses[empty] = {};
      for (Lanes& value : empty % 2 == 0 ? re : im) value[empty / 2] = 0;
    }
    // ln amplitude to cepstrum; twice its causal half is that of the minimum phase.
    pulse_fft.transform(im, re);
    for (int k = 0; k < kPulseSize; ++k) {
      const float fold = (k == 0 || k == kHalf ? 1.0f : k < kHalf ? 2.0f : 0.0f) / kPulseSize;
      re[k] *= fold;
      im[k] *= fold;
    }
    pulse_fft.transform(re, im);
    for (int k = 0; k <= kHalf; ++k) {
      const int mirror = (kPulseSize - k) % kPulseSize;
      // The transforms of the real and of the imaginary part.
      const Lanes a_re = 0.5f * (re[k] + re[mirror]), a_im = 0.5f * (im[k] - im[mirror]);
      const Lanes b_re = 0.5f * (im[k] + im[mirror]), b_im = 0.5f * (re[mirror] - re[k]);
      const float omega = -2 * std::numbers::pi_v<float> * static_cast<float>(k) / kPulseSize;
      const bool is_real = k == 0 || k == kHalf;
      for (int lane = 0; 2 * lane < num_pulses; ++lane) {
        const Pulse &first = pulses[2 * lane], &second = pulses[2 * lane + 1];
        const float a = std::exp(a_re[lane]) * first.scale, a_phase = a_im[lane] + omega * first.fraction;
        const float b = std::exp(b_re[lane]) * second.scale, b_phase = b_im[lane] + omega * second.fraction;
        const float x_re = a * std::cos(a_phase), x_im = is_real ? 0.0f : a * std::sin(a_phase);
        const float y_re = b * std::cos(b_phase), y_im = is_real ? 0.0f : b * std::sin(b_phase);
        re[k][lane] = x_re - y_im;
        im[k][lane] = x_im + y_re;
        if (is_real) continue;
        re[mirror][lane] = x_re + y_im;
        im[mirror][lane] = y_re - x_im;
      }
    }
    pulse_fft.transform(im, re);
    for (int which = 0; which < num_pulses; ++which) {
      const std::vector<Lanes>& response = which % 2 == 0 ? re : im;
      const int64_t at = pulses[which].sample;
      const int64_t count = std::min<int64_t>(kPulseSize, static_cast<int64_t>(out.size()) - at);
      for (int64_t i = 0; i < count; ++i) out[at + i] += response[i][which / 2] * (1.0f / kPulseSize);
    }
    num_pulses = 0;
  }

  // Two blocks a lane; bins that are in no lane are 0 from flush to flush.
  void flush_noise(std::span<float> out) {
    if (num_noise_lanes == 0) return;
    noise_fft.transform(noise_im, noise_re);
    const float scale = 1 / std::sqrt(kNoiseWindowPower * kNoiseSize);
    const auto num_samples = static_cast<int64_t>(out.size());
    for (int which = 0; which < 2 * num_noise_lanes; ++which) {
      const std::vector<Lanes>& block = which % 2 == 0 ? noise_re : noise_im;
      const int64_t begin = noise_samples[which / 2] + which % 2 * kNoiseHop;
      for (int64_t i = std::max<int64_t>(0, -begin); i < kNoiseSize && begin + i < num_samples; ++i) {
        out[begin + i] += scale * window[i] * block[i][which / 2];
      }
    }
    std::ranges::fill(noise_re, Lanes{});
    std::ranges::fill(noise_im, Lanes{});
    num_noise_lanes = 0;
  }
};

VoiceSynthesizer::VoiceSynthesizer() : plan_(std::make_unique<Plan>()) {}
VoiceSynthesizer::~VoiceSynthesizer() = default;

void VoiceSynthesizer::synthesize(const VoiceTrack& track, double formant_ratio, uint64_t seed, std::span<float> out) {
  Plan& plan = *plan_;
  const size_t num_frames = track.frames.size();
  if (num_frames == 0) return;
  const BinMap pulse_map(kPulseSize, formant_ratio), noise_map(kNoiseSize, formant_ratio);
  constexpr double kFramesPerSample = 1 / (kVoiceFrameSeconds * kVoiceHz);
  const auto num_samples =
      std::min<int64_t>(static_cast<int64_t>(out.size()),
                        static_cast<int64_t>(std::ceil(static_cast<double>(num_frames) / kFramesPerSample)));
  const auto at = [&](double sample, size_t& frame, float& share) {
    const double position = std::max(0.0, sample * kFramesPerSample);
    frame = std::min(static_cast<size_t>(position), num_frames - 1);
    share = frame + 1 < num_frames ? static_cast<float>(position - static_cast<double>(frame)) : 0.0f;
  };
  const auto mix = [](float a, float b, float share) { return a + share * (b - a); };

  // Pulses.
  double phase = 0;
  for (int64_t n = 0; n < num_samples; ++n) {
    size_t frame = 0;
    float share = 0;
    at(static_cast<double>(n), frame, share);
    const size_t next = std::min(frame + 1, num_frames - 1);
    const float f0_hz = mix(track.f0_hz[frame], track.f0_hz[next], share);
    const double step = static_cast<double>(f0_hz) / kVoiceHz;
    phase += step;
    if (phase < 1) continue;
    phase -= 1;
    const float voiced = mix(track.frames[frame].voiced, track.frames[next].voiced, share);
    const float gain = mix(track.gain[frame], track.gain[next], share);
    if (voiced < 0.01f || gain <= 0) continue;
    const VoiceFrame& a = track.frames[frame];
    const VoiceFrame& b = track.frames[next];
    std::array<float, kVoicePoints> half_log;
    for (int i = 0; i < kVoicePoints; ++i) {
      const float periodic = 1 - mix(a.noise_share[i], b.noise_share[i], share);
      half_log[i] = 0.5f * (mix(a.log_power[i], b.log_power[i], share) + std::log(std::max(periodic, 1e-4f)));
    }
    // The pulse belongs `phase / step` before sample n: so much of it is delay from sample n - 1 on.
    const Plan::Pulse pulse = {.sample = n > 0 ? n - 1 : 0,
                               .fraction = n > 0 ? static_cast<float>(1 - phase / step) : 0.0f,
                               .scale = gain * std::sqrt(voiced * kVoiceHz / f0_hz)};
    const auto log_amplitude = [&](int k) {
      const int i = pulse_map.point[k];
      return mix(half_log[i], half_log[i + 1], pulse_map.share[k]) + 0.5f * pulse_map.offset[k];
    };
    plan.add_pulse(pulse, log_amplitude, out);
  }
  plan.flush_pulses(out);

  // Noise.
  CounterRandom random(seed, 0x4E01, 0);
  std::array<std::array<float, kNoiseSize / 2 + 1>, 2> amplitude;
  for (int64_t first = -kNoiseSize / 2; first < num_samples; first += 2 * kNoiseHop) {
    bool is_silent = true;
    for (int which = 0; which < 2; ++which) {
      size_t frame = 0;
      float share = 0;
      at(static_cast<double>(first + which * kNoiseHop + kNoiseSize / 2), frame, share);
      const size_t next = std::min(frame + 1, num_frames - 1);
      const VoiceFrame& a = track.frames[frame];
      const VoiceFrame& b = track.frames[next];
      const float gain = mix(track.gain[frame], track.gain[next], share);
      const float voiced = mix(a.voiced, b.voiced, share);
      is_silent = is_silent && gain <= 0;
      std::array<float, kVoicePoints> values;
      for (int i = 0; i < kVoicePoints; ++i) {
        const float noise = 1 - voiced + voiced * mix(a.noise_share[i], b.noise_share[i], share);
        values[i] = gain * std::exp(0.5f * mix(a.log_power[i], b.log_power[i], share)) * std::sqrt(noise);
      }
      for (size_t k = 0; k < amplitude[which].size(); ++k) {
        const int i = noise_map.point[k];
        amplitude[which][k] = noise_map.offset[k] < 0 ? 0 : mix(values[i], values[i + 1], noise_map.share[k]);
      }
    }
    if (is_silent) continue;
    const int lane = plan.num_noise_lanes++;
    plan.noise_samples[lane] = first;
    uint64_t bits = 0;
    for (int k = 1; k < kNoiseSize / 2; ++k) {
      if (k % 4 == 1) bits = random.next();
      const auto x = static_cast<size_t>(bits & 255), y = static_cast<size_t>(bits >> 8 & 255);
      bits >>= 16;
      const float x_re = amplitude[0][k] * plan.phase_cosines[x], x_im = amplitude[0][k] * plan.phase_sines[x];
      const float y_re = amplitude[1][k] * plan.phase_cosines[y], y_im = amplitude[1][k] * plan.phase_sines[y];
      plan.noise_re[k][lane] = x_re - y_im;
      plan.noise_im[k][lane] = x_im + y_re;
      plan.noise_re[kNoiseSize - k][lane] = x_re + y_im;
      plan.noise_im[kNoiseSize - k][lane] = y_re - x_im;
    }
    if (plan.num_noise_lanes == kNumLanes) plan.flush_noise(out.first(static_cast<size_t>(num_samples)));
  }
  plan.flush_noise(out.first(static_cast<size_t>(num_samples)));
}

}  // namespace vqcodec::dataset
