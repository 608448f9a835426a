// The effects against theory.
#include "dataset/effects.h"

#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <random>

#include "tests/base/expect_error.h"

namespace vqcodec::dataset {
namespace {

using testing::HasSubstr;

constexpr double kRateHz = kEffectSampleRateHz;

struct Signal {
  std::vector<float> left, right;
  explicit Signal(size_t num_frames) : left(num_frames), right(num_frames) {}
};

Signal sine(double frequency_hz, double amplitude, size_t num_frames) {
  Signal signal(num_frames);
  for (size_t i = 0; i < num_frames; ++i) {
    const double phase = 2 * std::numbers::pi * frequency_hz * static_cast<double>(i) / kRateHz;
    signal.left[i] = signal.right[i] = static_cast<float>(amplitude * std::sin(phase));
  }
  return signal;
}

Signal noise(double amplitude, size_t num_frames) {
  std::mt19937 random(7);
  std::uniform_real_distribution<float> uniform(-1, 1);
  Signal signal(num_frames);
  for (size_t i = 0; i < num_frames; ++i) {
    signal.left[i] = static_cast<float>(amplitude) * uniform(random);
    signal.right[i] = static_cast<float>(amplitude) * uniform(random);
  }
  return signal;
}

// Amplitude of one frequency from frame `begin` on, by a Hann window.
double amplitude(const std::vector<float>& samples, double frequency_hz, size_t begin) {
  double re = 0, im = 0, sum = 0;
  const auto count = static_cast<double>(samples.size() - begin);
  for (size_t i = begin; i < samples.size(); ++i) {
    const double t = static_cast<double>(i - begin);
    const double window = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * t / count);
    const double phase = 2 * std::numbers::pi * frequency_hz * t / kRateHz;
    re += window * samples[i] * std::cos(phase);
    im += window * samples[i] * std::sin(phase);
    sum += window;
  }
  return 2 * std::hypot(re, im) / sum;
}

double db(double ratio) { return 20 * std::log10(std::max(1e-12, ratio)); }

double energy(const std::vector<float>& samples, size_t begin, size_t end) {
  double sum = 0;
  for (size_t i = begin; i < end; ++i) sum += static_cast<double>(samples[i]) * samples[i];
  return sum;
}

TEST(Effects, FiltersHaveTheResponsesOfTheirNames) {
  using Kind = Biquad::Kind;
  const auto at = [](Kind kind, double gain_db, double q, double frequency_hz) {
    return magnitude_db(design_biquad({kind, 1000, gain_db, q}), frequency_hz);
  };
  EXPECT_NEAR(at(Kind::kLowShelf, 6, 0.7071, 10), 6, 0.05);
  EXPECT_NEAR(at(Kind::kLowShelf, 6, 0.7071, 1000), 3, 0.01);
  EXPECT_NEAR(at(Kind::kLowShelf, 6, 0.7071, 20000), 0, 0.05);
  EXPECT_NEAR(at(Kind::kHighShelf, -9, 0.7071, 20), 0, 0.05);
  EXPECT_NEAR(at(Kind::kHighShelf, -9, 0.7071, 1000), -4.5, 0.01);
  EXPECT_NEAR(at(Kind::kHighShelf, -9, 0.7071, 20000), -9, 0.05);
  EXPECT_NEAR(at(Kind::kPeak, 8, 2, 1000), 8, 1e-6);
  EXPECT_NEAR(at(Kind::kPeak, 8, 2, 50), 0, 0.05);
  for (const double q : {0.5, 0.7071, 3.0}) {
    // The analogue prototype at its corner is Q; far away it falls by 12 dB an octave.
    EXPECT_NEAR(at(Kind::kLowPass, 0, q, 1000), db(q), 1e-6);
    EXPECT_NEAR(at(Kind::kHighPass, 0, q, 1000), db(q), 1e-6);
  }
  EXPECT_NEAR(at(Kind::kHighPass, 0, 0.7071, 50) - at(Kind::kHighPass, 0, 0.7071, 25), 12, 0.05);
  EXPECT_NEAR(at(Kind::kLowPass, 0, 0.7071, 20), 0, 0.01);
  EXPECT_LT(at(Kind::kLowPass, 0, 0.7071, 16000), -48);
  EXPECT_NEAR(at(Kind::kBandPass, 0, 2, 1000), 0, 1e-6);
  EXPECT_NEAR(at(Kind::kBandPass, 0, 2, 1000 * std::exp2(0.3537)), -3, 0.1);  // half a band of 1/Q, in octaves
}

TEST(Effects, EqualizerDoesWhatItsCoefficientsSay) {
  const std::vector<Biquad> biquads = {{Biquad::Kind::kLowShelf, 200, -7, 0.6},
                                       {Biquad::Kind::kPeak, 1500, 9, 1.4},
                                       {Biquad::Kind::kHighPass, 60, 0, 0.7}};
  for (const double frequency_hz : {40.0, 180.0, 1500.0, 6000.0}) {
    double expected_db = 0;
    for (const Biquad& biquad : biquads) expected_db += magnitude_db(design_biquad(biquad), frequency_hz);
    Equalizer equalizer(biquads);
    Signal signal = sine(frequency_hz, 0.2, 66150);
    equalizer.process(signal.left, signal.right);
    EXPECT_NEAR(db(amplitude(signal.left, frequency_hz, 22050) / 0.2), expected_db, 0.02) << frequency_hz;
    EXPECT_EQ(signal.left, signal.right);
  }
}

TEST(Effects, CompressorHasItsStaticCurve) {
  const CompressorParameters p = {.threshold_db = -20, .ratio = 4, .knee_db = 8, .makeup_db = 3};
  EXPECT_DOUBLE_EQ(compressed_level_db(p, -40), -40);
  EXPECT_DOUBLE_EQ(compressed_level_db(p, -24), -24);         // the knee's beginning
  EXPECT_DOUBLE_EQ(compressed_level_db(p, -16), -19);         // its end
  EXPECT_DOUBLE_EQ(compressed_level_db(p, -20), -20 - 0.75);  // its middle
  EXPECT_DOUBLE_EQ(compressed_level_db(p, 0), -15);
  for (const double level_db : {-50.0, -24.0, -20.0, -12.0, -3.0}) {
    Compressor compressor(p);
    Signal signal(44100);
    const auto level = static_cast<float>(std::pow(10, level_db / 20));
    for (size_t i = 0; i < signal.left.size(); ++i) signal.left[i] = i % 40 < 20 ? level : -level;
    compressor.process(signal.left, signal.right);
    EXPECT_NEAR(db(std::abs(signal.left.back())), compressed_level_db(p, level_db) + 3, 0.01) << level_db;
  }
}

TEST(Effects, CompressorTakesItsTimes) {
  const CompressorParameters p = {
      .threshold_db = -20, .ratio = 100, .knee_db = 0, .attack_seconds = 0.02, .release_seconds = 0.2};
  Compressor compressor(p);
  Signal signal(3 * 44100);
  for (size_t i = 0; i < signal.left.size(); ++i) signal.left[i] = i < 44100 ? 1.0f : 0.01f;  // 0 and -40 dB
  compressor.process(signal.left, signal.right);
  const auto gain_db = [&](double seconds) {
    const auto i = static_cast<size_t>(seconds * kRateHz);
    return db(signal.left[i]) - (i < 44100 ? 0 : -40);
  };
  const double full_db = compressed_level_db(p, 0);  // -19.8
  EXPECT_NEAR(gain_db(0.02), full_db * (1 - std::exp(-1)), 0.4);
  EXPECT_NEAR(gain_db(0.9), full_db, 0.01);
  EXPECT_NEAR(gain_db(1.2), full_db * std::exp(-1), 0.4);
  EXPECT_NEAR(gain_db(2.9), 0, 0.01);
}

TEST(Effects, SaturationIsBoundedAndTransparentWhenSoft) {
  for (const int oversampling : {2, 4}) {
    Saturation soft({.drive_db = 0, .oversampling = oversampling});
    Signal quiet = sine(1000, 0.01, 44100);
    soft.process(quiet.left, quiet.right);
    EXPECT_NEAR(amplitude(quiet.left, 1000, 4410), 0.01, 0.00002);
    Signal high = sine(15000, 0.01, 44100);
    Saturation again({.drive_db = 0, .oversampling = oversampling});
    again.process(high.left, high.right);
    EXPECT_NEAR(db(amplitude(high.left, 15000, 4410) / 0.01), 0, 0.1);
    Saturation hard({.drive_db = 40, .oversampling = oversampling});
    Signal loud = sine(500, 1, 44100);
    hard.process(loud.left, loud.right);
    for (const float x : loud.left) ASSERT_LT(std::abs(x), 1.25f);  // +-1 and the overshoot of the filters
    // Odd harmonics of a square wave.
    EXPECT_NEAR(amplitude(loud.left, 500, 4410), 4 / std::numbers::pi, 0.03);
    EXPECT_NEAR(amplitude(loud.left, 1500, 4410), 4 / std::numbers::pi / 3, 0.03);
    EXPECT_LT(db(amplitude(loud.left, 1000, 4410)), -70);
    Saturation lopsided({.drive_db = 10, .bias = 0.5, .oversampling = oversampling});
    Signal even = sine(500, 0.5, 44100);
    lopsided.process(even.left, even.right);
    EXPECT_GT(db(amplitude(even.left, 1000, 4410)), -30);
    EXPECT_LT(amplitude(even.left, 0, 22050), 0.002);  // no offset is left
  }
}

TEST(Effects, SaturationHardlyAliases) {
  // The harmonics 5 and 7 of 5 kHz lie at 25 and 35 kHz, which without oversampling come back at 19.1 and 9.1 kHz.
  const double frequency_hz = 5000;
  std::vector<double> alias_db;
  for (const int oversampling : {1, 2, 4}) {
    Signal signal = sine(frequency_hz, 0.5, 44100);
    if (oversampling == 1) {
      for (float& x : signal.left) x = soft_clip(4 * x);
    } else {
      Saturation saturation({.drive_db = db(4), .oversampling = oversampling});
      saturation.process(signal.left, signal.right);
    }
    alias_db.push_back(db(amplitude(signal.left, 9100, 4410) / amplitude(signal.left, frequency_hz, 4410)));
  }
  EXPECT_GT(alias_db[0], -45);
  EXPECT_LT(alias_db[1], -60);
  EXPECT_LT(alias_db[2], -60);
  // Harder driven, the higher harmonics, too, come back to where two times the rate does not help.
  std::vector<double> hard_db;
  for (const int oversampling : {2, 4}) {
    Signal signal = sine(frequency_hz, 0.5, 44100);
    Saturation saturation({.drive_db = 30, .oversampling = oversampling});
    saturation.process(signal.left, signal.right);
    hard_db.push_back(db(amplitude(signal.left, 3200, 4410) / amplitude(signal.left, frequency_hz, 4410)));
  }
  EXPECT_LT(hard_db[1], hard_db[0] - 6);
  EXPECT_LT(hard_db[1], -30);
}

TEST(Effects, AmplifierDistortsAndCabinetTakesTheEnds) {
  Amplifier amplifier({.drive_db = 30});
  Signal signal = sine(220, 0.3, 44100);
  amplifier.process(signal.left, signal.right);
  EXPECT_GT(db(amplitude(signal.left, 660, 4410) / amplitude(signal.left, 220, 4410)), -20);
  EXPECT_GT(db(amplitude(signal.left, 440, 4410) / amplitude(signal.left, 220, 4410)), -40);  // even ones, too
  const auto gain_db = [](double frequency_hz) {
    Cabinet cabinet({.low_hz = 90, .high_hz = 4800});
    Signal sound = sine(frequency_hz, 0.1, 44100);
    cabinet.process(sound.left, sound.right);
    return db(amplitude(sound.left, frequency_hz, 22050) / 0.1);
  };
  EXPECT_LT(gain_db(30), -25);
  EXPECT_NEAR(gain_db(400), 0, 2);
  EXPECT_LT(gain_db(14000), -35);
}

// Seconds to -60 dB by Schroeder's backward integration, from -5 to -35 dB.
double decay_seconds(const Signal& response) {
  std::vector<double> rest(response.left.size() + 1);
  for (size_t i = response.left.size(); i-- > 0;) {
    rest[i] = rest[i + 1] + static_cast<double>(response.left[i]) * response.left[i] +
              static_cast<double>(response.right[i]) * response.right[i];
  }
  const auto reach = [&](double level_db) {
    size_t i = 0;
    while (i < response.left.size() && 10 * std::log10(rest[i] / rest[0]) > level_db) ++i;
    return static_cast<double>(i) / kRateHz;
  };
  return 2 * (reach(-35) - reach(-5));
}

TEST(Effects, ReverbDecaysInItsTime) {
  for (const double seconds : {0.4, 1.5, 4.0}) {
    for (const double size : {0.5, 1.0}) {
      Reverb reverb({.decay_seconds = seconds, .high_decay_ratio = 1, .size = size});
      Signal signal(static_cast<size_t>(1.5 * seconds * kRateHz));
      signal.left[0] = signal.right[0] = 1;
      reverb.process(signal.left, signal.right);
      EXPECT_NEAR(decay_seconds(signal) / seconds, 1, 0.1) << seconds << " " << size;
    }
  }
  // Absorbing high frequencies leaves the low ones as long.
  Reverb dull({.decay_seconds = 2, .high_decay_ratio = 0.25});
  Signal signal(4 * 44100);
  signal.left[0] = signal.right[0] = 1;
  dull.process(signal.left, signal.right);
  Signal low = signal, high = signal;
  Equalizer(std::vector<Biquad>(3, {Biquad::Kind::kLowPass, 300})).process(low.left, low.right);
  Equalizer(std::vector<Biquad>(3, {Biquad::Kind::kHighPass, 12000})).process(high.left, high.right);
  EXPECT_NEAR(decay_seconds(low), 2, 0.3);
  EXPECT_LT(decay_seconds(high), 1);
}

TEST(Effects, ReverbWaitsForItsPreDelayAndHasItsWidth) {
  for (const double width : {0.0, 1.0}) {
    Reverb reverb({.pre_delay_seconds = 0.05, .width = width});
    Signal signal(22050);
    signal.left[0] = signal.right[0] = 1;
    reverb.process(signal.left, signal.right);
    EXPECT_EQ(energy(signal.left, 0, 2205), 0);
    EXPECT_GT(energy(signal.left, 2205, 22050), 1e-4);
    double product = 0;
    for (size_t i = 0; i < signal.left.size(); ++i) product += static_cast<double>(signal.left[i]) * signal.right[i];
    const double correlation = product / std::sqrt(energy(signal.left, 0, 22050) * energy(signal.right, 0, 22050));
    EXPECT_GE(correlation, width == 0 ? 0.999 : -0.4);
    EXPECT_LE(correlation, width == 0 ? 1.001 : 0.4);
  }
}

TEST(Effects, ReverbIsAsLoudAsWhatGoesIn) {
  for (const double seconds : {0.4, 3.0}) {
    Reverb reverb({.decay_seconds = seconds, .high_decay_ratio = 1});
    Signal signal = noise(0.3, 6 * 44100);
    const double before = energy(signal.left, 3 * 44100, 6 * 44100);
    reverb.process(signal.left, signal.right);
    EXPECT_NEAR(10 * std::log10(energy(signal.left, 3 * 44100, 6 * 44100) / before), 0, 1.5) << seconds;
  }
}

TEST(Effects, DelayRepeats) {
  Delay delay({.delay_seconds = 0.1, .feedback = 0.5, .high_cut_hz = 20000, .mix = 0.4});
  Signal signal(22050);
  signal.left[0] = 1;
  delay.process(signal.left, signal.right);
  const auto around = [](const std::vector<float>& samples, size_t at) {
    float sum = 0;
    for (size_t i = at; i < at + 30; ++i) sum += samples[i];
    return sum;
  };
  EXPECT_FLOAT_EQ(signal.left[0], 1);
  EXPECT_EQ(energy(signal.left, 1, 4410), 0);
  EXPECT_NEAR(around(signal.left, 4410), 0.4, 1e-3);
  EXPECT_NEAR(around(signal.left, 8820), 0.2, 1e-3);
  EXPECT_EQ(energy(signal.right, 0, 22050), 0);
  Delay crossing({.delay_seconds = 0.1, .feedback = 0.5, .high_cut_hz = 20000, .mix = 0.4, .ping_pong = true});
  Signal other(22050);
  other.left[0] = other.right[0] = 1;
  crossing.process(other.left, other.right);
  EXPECT_NEAR(around(other.left, 4410), 0.4, 1e-3);
  EXPECT_NEAR(around(other.right, 4410), 0, 1e-6);
  EXPECT_NEAR(around(other.right, 8820), 0.2, 1e-3);
}

TEST(Effects, ChorusSpreadsALine) {
  Chorus chorus({.rate_hz = 2, .depth_seconds = 0.003, .mix = 1});
  Signal signal = sine(1000, 0.5, 88200);
  chorus.process(signal.left, signal.right);
  EXPECT_NE(signal.left, signal.right);
  // Doppler: the line gets sidebands, of which two opposed voices leave the even ones.
  EXPECT_GT(db(amplitude(signal.left, 1012, 22050)), -50);
  for (const float x : signal.left) ASSERT_LT(std::abs(x), 1.5f);
}

TEST(Effects, PlaceHasConstantPower) {
  for (const double place : {-1.0, -0.4, 0.0, 0.7, 1.0}) {
    Stereo stereo({.place = place});
    Signal signal = noise(0.5, 1000);
    signal.right = signal.left;
    const double before = 2 * energy(signal.left, 0, 1000);
    stereo.process(signal.left, signal.right);
    EXPECT_NEAR((energy(signal.left, 0, 1000) + energy(signal.right, 0, 1000)) / before, 1, 1e-5);
    if (place == 1) {
      EXPECT_LT(energy(signal.left, 0, 1000), 1e-12);
    }
  }
  Stereo mono({.width = 0});
  Signal signal = noise(0.5, 1000);
  mono.process(signal.left, signal.right);
  EXPECT_EQ(signal.left, signal.right);
}

void fill_every(std::vector<std::function<void(EffectChain&)>>& adders) {
  adders = {
      [](EffectChain& c) {
        c.add<Equalizer>(std::vector<Biquad>{{Biquad::Kind::kPeak, 30, 20, 4}});
      },
      [](EffectChain& c) { c.add<Compressor>(CompressorParameters{}); },
      [](EffectChain& c) { c.add<Saturation>(SaturationParameters{.drive_db = 20, .bias = 0.2, .oversampling = 4}); },
      [](EffectChain& c) { c.add<Amplifier>(AmplifierParameters{}); },
      [](EffectChain& c) { c.add<Cabinet>(CabinetParameters{}); },
      [](EffectChain& c) { c.add<Reverb>(ReverbParameters{.decay_seconds = 0.3}); },
      [](EffectChain& c) { c.add<Chorus>(ChorusParameters{}); },
      [](EffectChain& c) { c.add<Delay>(DelayParameters{.delay_seconds = 0.05}); },
      [](EffectChain& c) { c.add<Stereo>(StereoParameters{.place = 0.3}); },
  };
}

TEST(Effects, CutsIntoBlocksDoNotMatter) {
  std::vector<std::function<void(EffectChain&)>> adders;
  fill_every(adders);
  for (size_t k = 0; k < adders.size(); ++k) {
    EffectChain whole, parts;
    adders[k](whole);
    adders[k](parts);
    Signal a = noise(0.3, 10000), b = a;
    whole.process(a.left, a.right);
    size_t step = 1;
    for (size_t i = 0; i < b.left.size();) {
      const size_t count = std::min(step, b.left.size() - i);
      parts.process(std::span(b.left).subspan(i, count), std::span(b.right).subspan(i, count));
      i += count;
      step = step * 3 % 1000 + 1;
    }
    // Equal but for states that are set to 0 at the ends of blocks.
    for (size_t i = 0; i < a.left.size(); ++i) ASSERT_NEAR(a.left[i], b.left[i], 1e-6) << k << " at " << i;
  }
}

TEST(Effects, NothingSurvivesSilenceAndBadSamples) {
  std::vector<std::function<void(EffectChain&)>> adders;
  fill_every(adders);
  for (size_t k = 0; k < adders.size(); ++k) {
    EffectChain chain;
    adders[k](chain);
    Signal signal = noise(0.5, 5000);
    signal.left[100] = std::numeric_limits<float>::quiet_NaN();
    signal.right[200] = std::numeric_limits<float>::infinity();
    signal.left[300] = -std::numeric_limits<float>::max();
    signal.right[400] = std::numeric_limits<float>::denorm_min();
    chain.process(signal.left, signal.right);
    for (size_t i = 0; i < 5000; ++i) ASSERT_TRUE(std::isfinite(signal.left[i]) && std::isfinite(signal.right[i])) << k;
    Signal silence(10 * 44100);
    chain.process(silence.left, silence.right);
    for (const auto* side : {&silence.left, &silence.right}) {
      EXPECT_EQ(energy(*side, side->size() - 1000, side->size()), 0) << k;
    }
  }
}

TEST(Effects, ParametersOutsideTheirRangesAreRefused) {
  EXPECT_ERROR(design_biquad({Biquad::Kind::kPeak, 30000}), ExitCode::kUsage,
               HasSubstr("frequency_hz is 30000, expected 5 to 21000"));
  EXPECT_ERROR(design_biquad({Biquad::Kind::kPeak, 1000, 0, 0}), ExitCode::kUsage, HasSubstr("q is 0"));
  EXPECT_ERROR(Compressor({.ratio = 0.5}), ExitCode::kUsage, HasSubstr("ratio is 0.5, expected 1 to 100"));
  EXPECT_ERROR(Compressor({.attack_seconds = std::nan("")}), ExitCode::kUsage, HasSubstr("attack_seconds is nan"));
  EXPECT_ERROR(Saturation({.oversampling = 3}), ExitCode::kUsage, HasSubstr("expected 2 or 4"));
  EXPECT_ERROR(Saturation({.drive_db = 70}), ExitCode::kUsage, HasSubstr("drive_db"));
  EXPECT_ERROR(Amplifier({.drive_db = 70}), ExitCode::kUsage, HasSubstr("amplifier's drive_db"));
  EXPECT_ERROR(Cabinet({.high_hz = 100}), ExitCode::kUsage, HasSubstr("high_hz"));
  EXPECT_ERROR(Reverb({.decay_seconds = 100}), ExitCode::kUsage, HasSubstr("decay_seconds is 100"));
  EXPECT_ERROR(Chorus({.delay_seconds = 0.002, .depth_seconds = 0.01}), ExitCode::kUsage, HasSubstr("depth_seconds"));
  EXPECT_ERROR(Delay({.feedback = 1}), ExitCode::kUsage, HasSubstr("feedback is 1"));
  EXPECT_ERROR(Stereo({.place = 2}), ExitCode::kUsage, HasSubstr("place is 2"));
}

}  // namespace
}  // namespace vqcodec::dataset
