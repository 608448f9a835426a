// The effects that rendered songs are mixed with: equalizer, compressor, saturation, amplifier, cabinet, reverb, chorus,
// delay, stereo place. Blocks of any length at 44.1 kHz, two channels of float32, full scale 1, in place; a signal may
// be cut into blocks anywhere without a change of what comes out.
//
// Every parameter has a legal range; outside it the constructor throws Error(kUsage) that names parameter, value and
// range. Samples that are not finite or beyond +-1000 are taken as 0, so no effect is ever stuck on NaN, and states that
// fade out are set to 0 before they become subnormal, which would cost time.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <vector>

namespace vqcodec::dataset {

inline constexpr int kEffectSampleRateHz = 44100;

class Effect {
 public:
  virtual ~Effect() = default;
  Effect(const Effect&) = delete;
  Effect& operator=(const Effect&) = delete;
  // Both of one length.
  void process(std::span<float> left, std::span<float> right);

 protected:
  Effect() = default;
  // Samples are finite here.
  virtual void run(std::span<float> left, std::span<float> right) = 0;
};

// Robert Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter coefficients".
struct Biquad {
  enum class Kind { kLowShelf, kHighShelf, kPeak, kLowPass, kHighPass, kBandPass };
  Kind kind = Kind::kPeak;
  double frequency_hz = 1000;  // 5 to 21000; for shelves the middle of the slope
  double gain_db = 0;          // -40 to 40; of shelves and peaks
  double q = 0.70710678;       // 0.1 to 30; of shelves too
};

// y[n] = b0 x[n] + b1 x[n-1] + b2 x[n-2] - a1 y[n-1] - a2 y[n-2]
struct BiquadCoefficients {
  double b0 = 1, b1 = 0, b2 = 0, a1 = 0, a2 = 0;
};

BiquadCoefficients design_biquad(const Biquad& biquad);
// The magnitude response in dB.
double magnitude_db(const BiquadCoefficients& coefficients, double frequency_hz);

class Equalizer : public Effect {
 public:
  explicit Equalizer(std::span<const Biquad> biquads);  // one after another

 protected:
  void run(std::span<float> left, std::span<float> right) override;

 private:
  struct Stage {
    BiquadCoefficients c;
    std::array<std::array<double, 2>, 2> state{};  // transposed direct form II, each of left and right
  };
  template <size_t kCount>
  static void run_stages(Stage* stages, std::span<float> left, std::span<float> right);
  std::vector<Stage> stages_;
};

// Feed-forward, one gain for both channels, peak detection over 16 frames, smoothed in dB (Giannoulis, Massberg, Reiss
// 2012, "Digital dynamic range compressor design", equations 4 and 17).
struct CompressorParameters {
  double threshold_db = -18;     // -80 to 0
  double ratio = 3;              // 1 to 100
  double knee_db = 6;            // 0 to 40, the width of the soft knee
  double attack_seconds = 0.01;  // 0.0005 to 1
  double release_seconds = 0.1;  // 0.005 to 5
  double makeup_db = 0;          // -40 to 40
};

// The level that comes out for a steady level that goes in, without the makeup.
double compressed_level_db(const CompressorParameters& parameters, double level_db);

class Compressor : public Effect {
 public:
  explicit Compressor(const CompressorParameters& parameters);

 protected:
  void run(std::span<float> left, std::span<float> right) override;

 private:
  CompressorParameters parameters_;
  double attack_, release_;  // of the smoothing, per step of 16 frames
  double gain_db_ = 0;       // smoothed, without makeup
  float from_, to_;          // gains over the present step
  float peak_ = 0;           // of the present step so far
  int phase_ = 0;            // frames of the present step
};

// x (27 + x^2) / (27 + 9 x^2) within +-3, +-1 beyond: within 0.025 of tanh.
inline float soft_clip(float x) {
  x = x < -3.0f ? -3.0f : x > 3.0f ? 3.0f : x;
  return x * (27.0f + x * x) / (27.0f + 9.0f * x * x);
}

// One stage of twofold oversampling of one channel: a half-band FIR filter, Kaiser window.
class HalfBand {
 public:
  explicit HalfBand(int num_side_taps);                        // taps of a filter: 4 * num_side_taps - 1
  void up(std::span<const float> in, std::span<float> out);    // out twice as long
  void down(std::span<const float> in, std::span<float> out);  // in twice as long

 private:
  void filter(std::span<const float> samples, std::span<float> out, size_t count) const;
  std::vector<float> taps_;             // of the branch that is no mere delay, [2 * num_side_taps]
  std::vector<float> up_, even_, odd_;  // histories, then the block
};

// y = soft_clip(drive x + bias) - soft_clip(bias), at 2 or 4 times the rate; delays by less than 30 samples.
struct SaturationParameters {
  double drive_db = 6;   // -20 to 60, gain before the curve
  double bias = 0;       // -1 to 1, asymmetry: even harmonics
  double mix = 1;        // 0 to 1
  double output_db = 0;  // -60 to 40
  int oversampling = 2;  // 2 or 4
};

class Saturation : public Effect {
 public:
  explicit Saturation(const SaturationParameters& parameters);

 protected:
  void run(std::span<float> left, std::span<float> right) override;

 private:
  struct Channel {
    HalfBand first{12}, second{6};
    double blocked_in = 0, blocked_out = 0;  // of the filter that takes out the offset
  };
  void run(std::span<float> samples, Channel& channel) const;
  float drive_, bias_, mix_, output_, offset_;
  bool fourfold_;
  std::array<Channel, 2> channels_;
};

// Guitar or bass amplifier: cut of the lowest, two stages of tubes (saturation with bias), tone stack (shelf, peak,
// shelf). Meant to be followed by a cabinet.
struct AmplifierParameters {
  double drive_db = 12;    // -20 to 50
  double low_cut_hz = 80;  // 10 to 1000
  double bass_db = 0;      // -20 to 20, below 120 Hz
  double middle_db = 0;    // -20 to 20, around 650 Hz
  double treble_db = 0;    // -20 to 20, above 2400 Hz
  double output_db = 0;    // -60 to 40
};

class Amplifier : public Effect {
 public:
  explicit Amplifier(const AmplifierParameters& parameters);

 protected:
  void run(std::span<float> left, std::span<float> right) override;

 private:
  Equalizer input_;
  Saturation first_;
  Equalizer between_;
  Saturation second_;
  Equalizer tone_;
};

// A loudspeaker in its box before a microphone, as a filter model: no recorded impulse response. Fourth-order fall below
// the box's resonance and above the cone's limit, a resonance at the lower end, a peak of presence and a notch of the
// break-up.
struct CabinetParameters {
  double low_hz = 90;         // 20 to 400
  double high_hz = 4800;      // 1500 to 16000
  double resonance_db = 4;    // 0 to 12, at 1.4 * low_hz
  double presence_hz = 2600;  // 800 to 6000
  double presence_db = 4;     // -12 to 12
  double notch_hz = 1200;     // 300 to 6000
  double notch_db = -4;       // -24 to 0
};

class Cabinet : public Effect {
 public:
  explicit Cabinet(const CabinetParameters& parameters);

 protected:
  void run(std::span<float> left, std::span<float> right) override { equalizer_.process(left, right); }

 private:
  Equalizer equalizer_;
};

// A feedback delay network of eight lines with a Hadamard matrix and absorbing filters after Jot and Chaigne 1991, behind
// two allpass diffusers a channel. What comes out is wet only; steady noise comes out about as loud as it goes in, less what
// high_decay_ratio takes.
struct ReverbParameters {
  double decay_seconds = 1.5;       // 0.1 to 20: to -60 dB, at low frequencies
  double high_decay_ratio = 0.4;    // 0.1 to 1: decay at the highest frequencies over that at low ones
  double pre_delay_seconds = 0.01;  // 0 to 0.25
  double size = 1;                  // 0.2 to 2, of the room: length of the lines
  double width = 1;                 // 0 (mono) to 1
  double low_cut_hz = 80;           // 10 to 1000
};

class Reverb : public Effect {
 public:
  explicit Reverb(const ReverbParameters& parameters);

 protected:
  void run(std::span<float> left, std::span<float> right) override;

 private:
  static constexpr size_t kNumLines = 8;
  struct Ring {
    std::vector<float> samples;
    size_t at = 0;
  };
  Equalizer input_;
  float width_, level_;
  std::array<Ring, 2> pre_delay_;
  std::array<std::array<Ring, 2>, 2> diffusers_;  // per channel
  std::array<Ring, kNumLines> lines_;
  std::array<float, kNumLines> gains_{}, poles_{}, states_{};
};

// Voices delayed by a time that a sine moves, the channels a quarter of its period apart.
struct ChorusParameters {
  double rate_hz = 0.6;          // 0.01 to 10
  double delay_seconds = 0.015;  // 0.001 to 0.05
  double depth_seconds = 0.003;  // 0 to 0.02, and below the delay
  double mix = 0.4;              // 0 to 1
  int num_voices = 2;            // 1 to 4
};

class Chorus : public Effect {
 public:
  explicit Chorus(const ChorusParameters& parameters);

 protected:
  void run(std::span<float> left, std::span<float> right) override;

 private:
  ChorusParameters parameters_;
  std::array<std::vector<float>, 2> rings_;
  size_t at_ = 0;
  double phase_ = 0;  // periods
};

struct DelayParameters {
  double delay_seconds = 0.375;  // 0.001 to 2
  double feedback = 0.3;         // 0 to 0.95
  double high_cut_hz = 5000;     // 200 to 20000, of every repetition
  double mix = 0.2;              // 0 to 1, gain of the repetitions; the dry signal stays
  bool ping_pong = false;        // repetitions change sides
};

class Delay : public Effect {
 public:
  explicit Delay(const DelayParameters& parameters);

 protected:
  void run(std::span<float> left, std::span<float> right) override;

 private:
  DelayParameters parameters_;
  float coefficient_;
  std::array<std::vector<float>, 2> rings_;
  std::array<float, 2> states_{};
  size_t at_ = 0;
};

// Width by mid and side, then place by constant power: left = cos(a), right = sin(a), times sqrt(2), so that the middle
// leaves the signal as it is.
struct StereoParameters {
  double place = 0;    // -1 (left) to 1 (right)
  double width = 1;    // 0 (mono) to 2
  double gain_db = 0;  // -80 to 40
};

class Stereo : public Effect {
 public:
  explicit Stereo(const StereoParameters& parameters);

 protected:
  void run(std::span<float> left, std::span<float> right) override;

 private:
  float width_, left_, right_;
};

// Effects one after another; none leaves the signal as it is.
class EffectChain {
 public:
  template <typename E, typename... Arguments>
  void add(Arguments&&... arguments) {
    effects_.push_back(std::make_unique<E>(std::forward<Arguments>(arguments)...));
  }
  void process(std::span<float> left, std::span<float> right);
  bool empty() const { return effects_.empty(); }

 private:
  std::vector<std::unique_ptr<Effect>> effects_;
};

}  // namespace vqcodec::dataset
