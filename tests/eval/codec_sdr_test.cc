#include "eval/codec_sdr.h"

#include <cmath>

#include <gtest/gtest.h>

#include "tests/vqvae/codec_test_util.h"

namespace vqcodec::eval {
namespace {

TEST(WindowedSdr, IsTheRatioOfEnergies) {
  std::vector<float> reference, estimate;
  for (int i = 0; i < 2 * 1000; ++i) {
    reference.push_back(i % 2 == 0 ? 0.5F : -0.25F);
    // First half: 10 % too loud, 20 dB. Second half: nothing at all, 0 dB.
    estimate.push_back(i < 1000 ? reference.back() * 1.1F : 0.0F);
  }
  const auto sdr = windowed_sdr(reference, estimate, 500);
  ASSERT_EQ(sdr.size(), 2U);
  EXPECT_NEAR(sdr[0], 20, 1e-4);
  EXPECT_NEAR(sdr[1], 0, 1e-9);
  for (float& value : estimate) value = 0;
  std::vector<float> opposite = reference;
  for (float& value : opposite) value = -value;
  EXPECT_NEAR(windowed_sdr(reference, opposite, 500)[0], -6.0206, 1e-4);
  EXPECT_GT(windowed_sdr(reference, reference, 500)[0], 200);  // and finite
  EXPECT_TRUE(std::isfinite(windowed_sdr(reference, reference, 500)[0]));
}

TEST(WindowedSdr, SilentAndShortWindowsAreLeftOut) {
  std::vector<float> reference(2 * 350, 0.0F), estimate(2 * 350, 0.1F);
  for (size_t i = 2 * 100; i < 2 * 200; ++i) reference[i] = 0.1F;
  for (size_t i = 2 * 200; i < 2 * 300; ++i) reference[i] = 0.0031F;  // -50.2 dBFS
  const auto sdr = windowed_sdr(reference, estimate, 100);
  ASSERT_EQ(sdr.size(), 3U);  // the last 50 samples are no window
  EXPECT_TRUE(std::isnan(sdr[0]));
  EXPECT_GT(sdr[1], 100);
  EXPECT_TRUE(std::isnan(sdr[2]));
  for (size_t i = 2 * 200; i < 2 * 300; ++i) reference[i] = 0.0032F;  // -49.9 dBFS
  EXPECT_FALSE(std::isnan(windowed_sdr(reference, estimate, 100)[2]));
}

TEST(Median, PassesOverNaN) {
  EXPECT_EQ(median_of_numbers({3, NAN, 1, 2}), 2);
  EXPECT_EQ(median_of_numbers({4, NAN, 1, 2, 3}), 2.5);
  EXPECT_EQ(median_of_numbers({7}), 7);
  EXPECT_TRUE(std::isnan(median_of_numbers({NAN, NAN})));
  EXPECT_TRUE(std::isnan(median_of_numbers({})));
}

dataset::Song test_song(const vqvae::ModelConfig& config, int64_t num_samples) {
  dataset::Song song;
  song.name = "song";
  song.num_frames = num_samples;
  for (int s = 0; s < config.num_sources(); ++s) {
    std::vector<int16_t> stem;
    if (s != 2) {  // the drums have no stem
      for (const float value : vqvae::synthetic_song(num_samples, static_cast<uint64_t>(s))) {
        stem.push_back(static_cast<int16_t>(value * 8192));
      }
    }
    song.stems.push_back(stem);
  }
  return song;
}

TEST(CodecSdr, IsThatOfEncodingAndDecoding) {
  vqvae::ModelConfig config = vqvae::tiny_config();
  config.sample_rate_hz = 8000;
  const auto model = vqvae::load_model(config);
  const dataset::Song song = test_song(config, 3 * 8000 + 100);
  runtime::ThreadPool pool(1);
  double progress = 0;
  const SongSdr sdr = codec_sdr(model, song, {.on_progress = [&](double share) { progress = share; }}, pool);
  EXPECT_EQ(sdr.song, "song");
  EXPECT_EQ(sdr.source_windows, (std::vector<int>{3, 3, 0, 3}));
  EXPECT_TRUE(std::isnan(sdr.source_db[2]));
  EXPECT_NEAR(sdr.average_db, (sdr.source_db[0] + sdr.source_db[1] + sdr.source_db[3]) / 3, 1e-9);

  // The same by hand.
  std::vector<float> mixture(2 * static_cast<size_t>(song.num_frames));
  for (const auto& stem : song.stems) {
    for (size_t i = 0; i < stem.size(); ++i) mixture[i] += static_cast<float>(stem[i]) / 32768.0F;
  }
  const auto segments = vqvae::encode(model, mixture, {}, pool);
  auto bass = vqvae::decode(model, segments, {.sources = {1}}, pool)[0];
  std::vector<float> reference;
  for (const int16_t value : song.stems[1]) reference.push_back(static_cast<float>(value) / 32768.0F);
  bass.resize(reference.size());
  EXPECT_NEAR(sdr.source_db[1], median_of_numbers(windowed_sdr(reference, bass, 8000)), 1e-6);
  auto whole = vqvae::decode(model, segments, {}, pool)[0];
  whole.resize(mixture.size());
  EXPECT_NEAR(sdr.mixture_db, median_of_numbers(windowed_sdr(mixture, whole, 8000)), 1e-3);
}

TEST(CodecSdr, LimitsAreKept) {
  vqvae::ModelConfig config = vqvae::tiny_config();
  config.sample_rate_hz = 8000;
  const auto model = vqvae::load_model(config);
  runtime::ThreadPool pool(1);
  const dataset::Song song = test_song(config, 3 * 8000);
  const SongSdr part = codec_sdr(model, song, {.max_seconds = 2}, pool);
  EXPECT_EQ(part.source_windows, (std::vector<int>{2, 2, 0, 2}));
  const SongSdr coarse = codec_sdr(model, song, {.num_codebooks = 1}, pool);
  EXPECT_NE(coarse.source_db[0], codec_sdr(model, song, {}, pool).source_db[0]);
  // Shorter than a window: nothing to say, and nothing breaks.
  const SongSdr none = codec_sdr(model, test_song(config, 10), {}, pool);
  EXPECT_TRUE(std::isnan(none.average_db));
  EXPECT_TRUE(std::isnan(none.mixture_db));
  EXPECT_TRUE(std::isnan(codec_sdr(model, test_song(config, 0), {}, pool).mixture_db));
}

}  // namespace
}  // namespace vqcodec::eval
