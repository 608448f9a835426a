// Against numbers that librosa gave (make_mel_reference.py), and against what can be worked out by hand.
#include "eval/distances.h"

#include <cmath>
#include <cstdlib>
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace vqcodec::eval {
namespace {

struct Pair {
  std::vector<float> reference, estimate;
};

// As signals() of make_mel_reference.py.
Pair test_signals() {
  constexpr int64_t kNumSamples = 30011;
  Pair pair;
  uint64_t state = 1;
  for (int64_t t = 0; t < kNumSamples; ++t) {
    const int64_t level = t / 4096 % 4;
    for (int64_t channel = 0; channel < 2; ++channel) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      const int64_t noise = static_cast<int64_t>(state >> 52) - 2048;
      const int64_t tone = 40 * (t % (401 + 3 * channel)) - 8000;
      const int64_t value = level * (tone + noise * (1 + channel));
      const auto coarse = static_cast<int64_t>(std::floor(static_cast<double>(value) / 2048)) * 2048;
      pair.reference.push_back(static_cast<float>(value) / 65536.0F);
      pair.estimate.push_back(static_cast<float>(coarse + (t < 20000 ? t % 7 : 0)) / 65536.0F);
    }
  }
  return pair;
}

nlohmann::json reference_numbers() {
  std::ifstream file(std::string(std::getenv("VQCODEC_SOURCE_DIR")) + "/tests/eval/mel_reference.json");
  return nlohmann::json::parse(file);
}

TEST(Distances, AreThoseOfLibrosa) {
  const Pair pair = test_signals();
  runtime::ThreadPool pool(2);
  int num_cases = 0;
  const nlohmann::json numbers = reference_numbers();
  for (const auto& expected : numbers["distances"]) {
    const int rate = expected["sample_rate_hz"];
    const Distances found = distances(pair.reference, pair.estimate, rate, pool);
    EXPECT_NEAR(found.mel, expected["mel"].get<double>(), 1e-5) << rate;
    EXPECT_NEAR(found.mel_two_scales, expected["mel_two_scales"].get<double>(), 1e-5) << rate;
    EXPECT_NEAR(found.log_spectral_db, expected["log_spectral_db"].get<double>(), 1e-3) << rate;
    EXPECT_NEAR(found.si_sdr_db, expected["si_sdr_db"].get<double>(), 1e-6) << rate;
    ++num_cases;
  }
  EXPECT_EQ(num_cases, 2);
}

TEST(MelBands, AreThoseOfLibrosa) {
  int num_checked = 0;
  const nlohmann::json numbers = reference_numbers();
  for (const auto& expected : numbers["mel_bands"]) {
    const auto bands = mel_bands(expected["sample_rate_hz"], expected["window_samples"], expected["num_bands"]);
    ASSERT_EQ(bands.size(), expected["num_bands"].get<size_t>());
    double sum = 0;
    size_t num_weights = 0;
    for (const MelBand& band : bands) {
      for (const float weight : band.weights) sum += weight;
      num_weights += band.weights.size();
    }
    EXPECT_NEAR(sum, expected["sum"].get<double>(), 1e-5 * sum);
    EXPECT_EQ(num_weights, expected["num_weights"].get<size_t>());
    for (const auto& entry : expected["bands"]) {
      const MelBand& band = bands[entry["band"].get<size_t>()];
      const auto weights = entry["weights"].get<std::vector<float>>();
      ASSERT_EQ(band.weights.size(), weights.size()) << entry;
      if (weights.empty()) continue;
      EXPECT_EQ(band.first_bin, entry["first_bin"].get<int>());
      for (size_t i = 0; i < weights.size(); ++i) EXPECT_NEAR(band.weights[i], weights[i], 1e-6 * weights[i] + 1e-9);
      ++num_checked;
    }
  }
  EXPECT_EQ(num_checked, 12);
}

TEST(Distances, OfEqualSignalsAreNone) {
  const Pair pair = test_signals();
  runtime::ThreadPool pool(1);
  const Distances found = distances(pair.reference, pair.reference, 44100, pool);
  EXPECT_EQ(found.mel, 0);
  EXPECT_EQ(found.mel_two_scales, 0);
  EXPECT_EQ(found.log_spectral_db, 0);
  EXPECT_EQ(found.si_sdr_db, std::numeric_limits<double>::infinity());
}

TEST(Distances, DoNotDependOnThreads) {
  Pair pair = test_signals();
  for (int i = 0; i < 3; ++i) {  // several groups of frames
    pair.reference.insert(pair.reference.end(), pair.reference.begin(), pair.reference.end());
    pair.estimate.insert(pair.estimate.end(), pair.estimate.begin(), pair.estimate.end());
  }
  runtime::ThreadPool one(1), three(3);
  const Distances a = distances(pair.reference, pair.estimate, 44100, one);
  const Distances b = distances(pair.reference, pair.estimate, 44100, three);
  EXPECT_EQ(a.mel, b.mel);
  EXPECT_EQ(a.mel_two_scales, b.mel_two_scales);
  EXPECT_EQ(a.log_spectral_db, b.log_spectral_db);
}

// Loud noise, and the same 6.02 dB louder: nothing is clamped, and every log10 of a magnitude is larger by log10(2).
TEST(Distances, OfALouderCopyAreItsGain) {
  std::vector<float> reference(2 * 40000), estimate(reference.size());
  uint64_t state = 9;
  for (size_t i = 0; i < reference.size(); ++i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    reference[i] = (static_cast<float>(state >> 40) - 8388608.0F) / 8192.0F;
    estimate[i] = 2 * reference[i];
  }
  runtime::ThreadPool pool(1);
  const Distances found = distances(reference, estimate, 44100, pool);
  // Of 320 bands on 1025 bins at 44.1 kHz some are narrower than the bins' distance and stay empty.
  int num_empty = 0;
  for (const MelBand& band : mel_bands(44100, 2048, 320)) num_empty += band.weights.empty() ? 1 : 0;
  for (int window = 32, num_bands = 5; window < 2048; window *= 2, num_bands *= 2) {
    for (const MelBand& band : mel_bands(44100, window, num_bands)) ASSERT_FALSE(band.weights.empty());
  }
  EXPECT_NEAR(found.mel, std::log10(2.0) * (7 - num_empty / 320.0), 1e-4);
  EXPECT_NEAR(found.log_spectral_db, 20 * std::log10(2.0), 1e-3);
  EXPECT_GT(found.si_sdr_db, 150);
}

TEST(Distances, OfSignalsThatAreTooShortAreNotNumbers) {
  const std::vector<float> reference(2 * 1024, 0.25F), estimate(2 * 1024, 0.5F), longer(2 * 1025, 0.25F);
  runtime::ThreadPool pool(1);
  const Distances found = distances(reference, estimate, 44100, pool);
  EXPECT_TRUE(std::isnan(found.mel));
  EXPECT_TRUE(std::isnan(found.mel_two_scales));
  EXPECT_TRUE(std::isnan(found.log_spectral_db));
  EXPECT_GT(found.si_sdr_db, 150);
  EXPECT_EQ(distances(longer, longer, 44100, pool).mel, 0);
  EXPECT_TRUE(std::isnan(distances({}, {}, 44100, pool).si_sdr_db));
  EXPECT_THROW(distances(reference, longer, 44100, pool), Error);
}

TEST(SiSdr, IsThatOfTheDefinition) {
  const std::vector<float> reference = {3, 0, 0, 4};
  // Twice the reference and, at a right angle to it, a tenth of that energy.
  const auto error = static_cast<float>(std::sqrt(10.0));
  EXPECT_NEAR(si_sdr_db(reference, std::vector<float>{6, error, 0, 8}), 10, 1e-5);
  EXPECT_NEAR(si_sdr_db(reference, std::vector<float>{-6, error, 0, -8}), 10, 1e-5);
  EXPECT_EQ(si_sdr_db(reference, std::vector<float>{1.5, 0, 0, 2}), std::numeric_limits<double>::infinity());
  EXPECT_EQ(si_sdr_db(reference, std::vector<float>{0, 1, 0, 0}), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(si_sdr_db(reference, std::vector<float>(4)), -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(si_sdr_db(std::vector<float>(4), reference)));
  EXPECT_THROW(si_sdr_db(reference, std::vector<float>(5)), Error);
}

}  // namespace
}  // namespace vqcodec::eval
