#include "eval/bss_eval.h"

#include <cmath>
#include <random>
#include <string>

#include "tests/base/expect_error.h"

namespace vqcodec::eval {
namespace {

using Signal = std::vector<float>;

std::vector<std::span<const float>> spans(const std::vector<Signal>& signals) {
  return {signals.begin(), signals.end()};
}

BssScores evaluate(const std::vector<Signal>& references, const std::vector<Signal>& estimates,
                   const BssOptions& options, int num_threads = 1) {
  runtime::ThreadPool pool(num_threads);
  return BssEval(spans(references), options, pool).evaluate(spans(estimates));
}

// The same numbers in any language: a linear congruential generator's upper 24 bits, in [-0.5, 0.5).
std::vector<double> portable_noise(uint32_t seed, size_t count) {
  std::vector<double> noise(count);
  for (double& value : noise) {
    seed = seed * 1664525U + 1013904223U;
    value = (seed >> 8) / 16777216.0 - 0.5;
  }
  return noise;
}

Signal gaussian(uint64_t seed, size_t count, double deviation = 0.1) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> draw(0, deviation);
  Signal signal(count);
  for (float& value : signal) value = static_cast<float>(draw(random));
  return signal;
}

Signal sum(const Signal& a, const Signal& b, float gain = 1) {
  Signal result = a;
  for (size_t i = 0; i < b.size(); ++i) result[i] += gain * b[i];
  return result;
}

void expect_near(const std::vector<std::vector<double>>& values, const std::vector<std::vector<double>>& expected,
                 double tolerance, const char* what) {
  ASSERT_EQ(values.size(), expected.size()) << what;
  for (size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(values[i].size(), expected[i].size()) << what;
    for (size_t w = 0; w < values[i].size(); ++w) {
      if (std::isnan(expected[i][w])) {
        EXPECT_TRUE(std::isnan(values[i][w])) << what << " of source " << i << ", window " << w;
      } else {
        EXPECT_NEAR(values[i][w], expected[i][w], tolerance) << what << " of source " << i << ", window " << w;
      }
    }
  }
}

// Printed by museval 0.4.1 for the same signals: museval.evaluate(references, estimates, win=4000, hop=4000, mode="v4").
TEST(BssEval, IsWhatMusevalPrinted) {
  constexpr size_t kFrames = 10000;
  const auto stereo = [](uint32_t seed) {
    const auto u = portable_noise(seed, 2 * kFrames);
    Signal signal(2 * kFrames);
    for (size_t t = 0; t < kFrames; ++t) {
      for (size_t c = 0; c < 2; ++c) {
        double value = u[2 * t + c];
        if (t > 0) value += u[2 * t - 2 + c];
        if (t > 0 && c == 1) value += 0.5 * u[2 * t - 2];
        signal[2 * t + c] = static_cast<float>(value / 2);
      }
    }
    return signal;
  };
  std::vector<Signal> references = {stereo(1), stereo(2)};
  for (size_t i = 2 * 5000; i < 2 * kFrames; ++i) references[0][i] *= 0.25F;
  const auto estimate = [](const Signal& a, const Signal& b, uint32_t seed) {
    const auto noise = portable_noise(seed, 2 * kFrames);
    Signal signal(2 * kFrames);
    for (size_t t = 0; t < kFrames; ++t) {
      for (size_t c = 0; c < 2; ++c) {
        double value = 0.7 * a[2 * t + c] + 0.1 * b[2 * t + c] + 0.05 * noise[2 * t + c];
        if (t >= 3) value += 0.2 * a[2 * (t - 3) + c];
        if (t >= 7) value += 0.05 * b[2 * (t - 7) + 1 - c];
        signal[2 * t + c] = static_cast<float>(value);
      }
    }
    return signal;
  };
  const BssScores scores =
      evaluate(references, {estimate(references[0], references[1], 3), estimate(references[1], references[0], 4)},
               {.num_channels = 2, .window_frames = 4000, .hop_frames = 4000});
  expect_near(scores.sdr, {{8.370929615585, 7.25447616134}, {8.300012601315, 8.597487878188}}, 1e-6, "SDR");
  expect_near(scores.isr, {{8.80308442518, 8.675999162276}, {8.800549362289, 8.831814873515}}, 1e-6, "ISR");
  expect_near(scores.sir, {{17.055937963987, 11.195820668551}, {16.498045754666, 21.007404343644}}, 1e-6, "SIR");
  expect_near(scores.sar, {{21.870131172128, 16.356311421061}, {21.838385889196, 21.166905201838}}, 1e-6, "SAR");
}

TEST(BssEval, AFilteredSourceHasNeitherInterferenceNorArtifacts) {
  constexpr size_t kFrames = 6000;
  std::vector<Signal> references = {gaussian(1, 2 * kFrames), gaussian(2, 2 * kFrames)};
  for (Signal& reference : references) std::fill(reference.end() - 2 * 511, reference.end(), 0.0F);
  // Half as loud and 100 samples late, with the channels exchanged.
  Signal late(2 * kFrames, 0.0F);
  for (size_t i = 2 * 100; i < late.size(); ++i) late[i] = 0.5F * references[0][(i - 2 * 100) ^ 1U];
  const BssScores scores =
      evaluate(references, {late, references[1]}, {.window_frames = kFrames, .hop_frames = kFrames});
  EXPECT_GT(scores.sir[0][0], 150);
  EXPECT_GT(scores.sar[0][0], 120);  // the samples are rounded to float32
  // |s - own|^2 = |s|^2 + |s|^2 / 4, as both are unlike.
  EXPECT_NEAR(scores.isr[0][0], -10 * std::log10(1.25), 0.1);
  EXPECT_NEAR(scores.sdr[0][0], scores.isr[0][0], 1e-9);
  EXPECT_EQ(scores.sdr[1][0], INFINITY);
}

TEST(BssEval, TellsInterferenceFromArtifacts) {
  constexpr size_t kFrames = 40000;
  const std::vector<Signal> references = {gaussian(1, kFrames), gaussian(2, kFrames)};
  const Signal noise = gaussian(3, kFrames);
  const BssScores scores =
      evaluate(references, {sum(references[0], references[1], 0.1F), sum(references[1], noise, 0.1F)},
               {.num_channels = 1, .window_frames = kFrames, .hop_frames = kFrames});
  EXPECT_NEAR(scores.sdr[0][0], 20, 0.2);
  EXPECT_NEAR(scores.sir[0][0], 20, 0.2);
  EXPECT_GT(scores.sar[0][0], 100);
  EXPECT_NEAR(scores.sdr[1][0], 20, 0.2);
  EXPECT_NEAR(scores.sar[1][0], 20, 0.3);
  // 512 taps of the other source take 512 / 40000 of the noise.
  EXPECT_NEAR(scores.sir[1][0], 20 + 10 * std::log10(40000.0 / 512), 1.5);
}

TEST(BssEval, AWindowInWhichAnythingIsSilentIsNaNForAll) {
  constexpr size_t kWindow = 1000;
  std::vector<Signal> references = {gaussian(1, 2 * 5 * kWindow + 100), gaussian(2, 2 * 5 * kWindow + 100)};
  std::vector<Signal> estimates = {sum(references[0], references[1], 0.2F), sum(references[1], references[0], 0.3F)};
  const auto silence = [](Signal& signal, size_t window) {
    std::fill_n(signal.begin() + static_cast<long>(2 * window * kWindow), 2 * kWindow, 0.0F);
  };
  silence(references[0], 1);
  silence(estimates[1], 2);
  // museval adds up the channels, so opposite ones are silence too.
  for (size_t i = 2 * 3 * kWindow; i < 2 * 4 * kWindow; i += 2) references[1][i + 1] = -references[1][i];
  const BssOptions options = {.window_frames = kWindow, .hop_frames = kWindow, .filter_taps = 64};
  const BssScores scores = evaluate(references, estimates, options);
  for (const auto* metric : {&scores.sdr, &scores.isr, &scores.sir, &scores.sar}) {
    for (const auto& windows : *metric) {
      ASSERT_EQ(windows.size(), 5U);  // the last 50 frames are no window
      EXPECT_TRUE(std::isfinite(windows[0]));
      EXPECT_TRUE(std::isnan(windows[1]));
      EXPECT_TRUE(std::isnan(windows[2]));
      EXPECT_TRUE(std::isnan(windows[3]));
      EXPECT_TRUE(std::isfinite(windows[4]));
    }
  }
  EXPECT_EQ(num_windows(5000, options), 5);
  EXPECT_EQ(num_windows(5999, options), 5);
  EXPECT_EQ(num_windows(999, options), 1);
  EXPECT_EQ(num_windows(1000, options), 1);
  EXPECT_EQ(num_windows(1, options), 1);
  EXPECT_EQ(num_windows(2500, {.window_frames = 1000, .hop_frames = 500}), 4);
}

TEST(BssEval, EqualChannelsAreOneChannel) {
  constexpr size_t kFrames = 5000;
  const std::vector<Signal> references = {gaussian(1, kFrames), gaussian(2, kFrames)};
  const std::vector<Signal> estimates = {sum(references[0], gaussian(3, kFrames), 0.1F),
                                         sum(references[1], references[0], 0.1F)};
  const auto doubled = [](const std::vector<Signal>& signals) {
    std::vector<Signal> result;
    for (const Signal& signal : signals) {
      Signal& both = result.emplace_back();
      for (const float value : signal) both.insert(both.end(), {value, value});
    }
    return result;
  };
  BssOptions options = {.num_channels = 1, .window_frames = 2000, .hop_frames = 2000};
  const BssScores mono = evaluate(references, estimates, options);
  options.num_channels = 2;
  const BssScores stereo = evaluate(doubled(references), doubled(estimates), options);
  expect_near(stereo.sdr, mono.sdr, 1e-6, "SDR");
  expect_near(stereo.isr, mono.isr, 1e-6, "ISR");
  expect_near(stereo.sir, mono.sir, 1e-6, "SIR");
  expect_near(stereo.sar, mono.sar, 1e-6, "SAR");
}

TEST(BssEval, DependentReferencesAreNoTrouble) {
  constexpr size_t kFrames = 4000;
  // The second is the first, late; the third has a channel of silence.
  std::vector<Signal> references = {gaussian(1, 2 * kFrames), Signal(2 * kFrames), gaussian(2, 2 * kFrames)};
  std::copy(references[0].begin(), references[0].end() - 2 * 10, references[1].begin() + 2 * 10);
  for (size_t i = 0; i < 2 * kFrames; i += 2) references[2][i] = 0;
  const std::vector<Signal> estimates = {sum(references[0], gaussian(3, 2 * kFrames), 0.1F),
                                         sum(references[1], gaussian(4, 2 * kFrames), 0.2F),
                                         sum(references[2], gaussian(5, 2 * kFrames), 0.3F)};
  const BssScores scores =
      evaluate(references, estimates, {.window_frames = kFrames, .hop_frames = kFrames, .filter_taps = 128});
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_TRUE(std::isfinite(scores.sir[i][0]));
    // What 128 taps of six channels make of the noise comes off.
    EXPECT_NEAR(scores.sar[i][0], 20 - 20 * std::log10(static_cast<double>(i) + 1) + (i == 2 ? -3 : 0), 1.5) << i;
  }
}

TEST(BssEval, ThreadsDoNotChangeTheScores) {
  const std::vector<Signal> references = {gaussian(1, 2 * 30000), gaussian(2, 2 * 30000), gaussian(3, 2 * 30000)};
  const std::vector<Signal> estimates = {sum(references[0], references[1], 0.2F), references[0], references[0]};
  const BssOptions options = {.window_frames = 3000, .hop_frames = 2000, .filter_taps = 100};
  const BssScores one = evaluate(references, estimates, options, 1);
  const BssScores three = evaluate(references, estimates, options, 3);
  EXPECT_EQ(one.sdr, three.sdr);
  EXPECT_EQ(one.isr, three.isr);
  EXPECT_EQ(one.sir, three.sir);
  EXPECT_EQ(one.sar, three.sar);
}

TEST(BssEval, ASignalThatStandsForSeveralIsAsItsCopies) {
  const std::vector<Signal> references = {gaussian(1, 2 * 3000), gaussian(2, 2 * 3000)};
  const Signal mixture = sum(references[0], references[1]);
  const BssOptions options = {.window_frames = 1000, .hop_frames = 1000, .filter_taps = 64};
  runtime::ThreadPool pool(1);
  const BssEval evaluation(spans(references), options, pool);
  const BssScores shared = evaluation.evaluate({mixture, mixture});
  const BssScores copies = evaluate(references, {mixture, mixture}, options);
  EXPECT_EQ(shared.sdr, copies.sdr);
  EXPECT_EQ(shared.sar, copies.sar);
}

TEST(BssEval, OneSourceHasNoInterference) {
  const Signal reference = gaussian(1, 2 * 3000);
  const BssScores scores = evaluate({reference}, {sum(reference, gaussian(2, 2 * 3000), 0.1F)},
                                    {.window_frames = 3000, .hop_frames = 3000, .filter_taps = 32});
  EXPECT_EQ(scores.sir[0][0], INFINITY);
  EXPECT_NEAR(scores.sar[0][0], 20, 0.5);
}

TEST(BssEval, WhatIsNotDefinedIsRefused) {
  using testing::HasSubstr;
  const BssOptions options = {.window_frames = 100, .hop_frames = 100, .filter_taps = 16};
  const Signal sound = gaussian(1, 400), other = gaussian(2, 400), silence(400, 0.0F), shorter = gaussian(3, 398);
  Signal opposite = sound;
  for (size_t i = 0; i < opposite.size(); i += 2) opposite[i + 1] = -opposite[i];
  const auto refused = [&](const std::vector<Signal>& references, const std::vector<Signal>& estimates,
                           const char* says) {
    EXPECT_ERROR(evaluate(references, estimates, options), ExitCode::kBadFile, HasSubstr(says));
  };
  refused({sound, silence}, {sound, other}, "reference 2 is silent");
  refused({opposite, sound}, {sound, other}, "reference 1 is silent");
  refused({sound, other}, {sound, silence}, "estimate 2 is silent");
  refused({sound, other}, {sound, opposite}, "estimate 2 is silent");
  refused({sound, shorter}, {sound, other}, "unequal lengths: 200 and 199");
  refused({sound, other}, {shorter, other}, "estimate 1 has 199 samples, its reference 200");
  refused({sound, other}, {sound}, "1 estimates for 2");
  refused({}, {}, "no reference");
  refused({{}, {}}, {{}, {}}, "empty");
  EXPECT_ERROR(evaluate({sound}, {sound}, {.window_frames = 0}), ExitCode::kInternal, HasSubstr("out of range"));
  // One frame is a window like any other.
  const BssScores one = evaluate({{0.5F, 0.25F}}, {{0.25F, 0.25F}}, options);
  EXPECT_NEAR(one.sdr[0][0], 10 * std::log10(0.3125 / 0.0625), 1e-9);
}

}  // namespace
}  // namespace vqcodec::eval
