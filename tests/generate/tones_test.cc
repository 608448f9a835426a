#include "generate/tones.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numbers>

#include "eval/pitch.h"
#include "runtime/ops.h"
#include "tests/base/expect_error.h"
#include "tests/generate/shipped_model.h"
#include "tests/prior/prior_test_util.h"
#include "tests/vqvae/tiny_model.h"
#include "vqvae/encoder.h"

namespace vqcodec::generate {
namespace {

using runtime::kBuiltPaths;
using runtime::name_of_path;
using runtime::Path;
using testing::HasSubstr;
using vqvae::Model;

// Codes that a voice alone decides on, the likeliest ones, after a first frame of `start`.
std::vector<uint16_t> sing(const Tones& tones, int pitch, int num_frames, uint16_t start) {
  const auto size = static_cast<size_t>(tones.codebook_size());
  Tones::Voice voice(tones);
  voice.play(pitch);
  std::vector<uint16_t> codes;
  std::vector<float> logits(size);
  for (int t = 0; t < num_frames; ++t) {
    for (int h = 0; h < tones.num_codebooks(); ++h) {
      std::ranges::fill(logits, 0.0F);
      voice.shape(h, logits, 20);
      const auto code = t == 0 ? start : static_cast<uint16_t>(std::ranges::max_element(logits) - logits.begin());
      voice.add(h, code);
      codes.push_back(code);
    }
  }
  return codes;
}

// The end of it all: codes chosen by nothing but the voice sound like the pitch.
TEST(Tones, CodesOfAVoiceSoundLikeItsPitch) {
  const std::vector<double> pitches = {49, 65.41, 87.31, 110, 146.83};
  const int num_codebooks = 6;
  const Tones tones(*shipped(), kBassSlot, num_codebooks, pitches);
  for (size_t i = 0; i < pitches.size(); ++i) {
    const std::vector<float> line = decode_bass(sing(tones, static_cast<int>(i), 100, 77), num_codebooks);
    const eval::PitchTrack track = eval::track_pitch(line, 44100, eval::pitch_options("bass"));
    int right = 0, count = 0;
    for (size_t t = 0; t < track.hz.size(); ++t) {
      const double seconds = static_cast<double>(t) * track.hop_seconds;
      if (seconds < 0.3 || seconds > 2) continue;
      ++count;
      if (track.hz[t] > 0 && std::abs(1200 * std::log2(track.hz[t] / pitches[i])) < 25) ++right;
    }
    EXPECT_GT(right, 0.7 * count) << pitches[i];
  }
}

// Codes that the encoder gives for a tone: those of a frame are what the frames before make a voice of its pitch expect,
// and not what they make one of another pitch expect.
TEST(Tones, TheNextFrameOfARealToneIsWhatIsExpected) {
  std::vector<float> samples;
  const double hz = 92.5;
  for (int i = 0; i < 44100; ++i) {
    double value = 0;
    for (int h = 1; h <= 4; ++h) value += 0.2 / h * std::sin(2 * std::numbers::pi * hz * h * i / 44100 + h);
    samples.insert(samples.end(), 2, static_cast<float>(value));
  }
  runtime::ThreadPool pool(1);
  std::vector<uint16_t> codes;
  const auto num_codebooks = shipped()->config().num_codebooks;
  vqvae::Encoder encoder(shipped(), {}, pool, [&](const auto& segment) {
    codes.insert(codes.end(), segment[kBassSlot].codes.begin(), segment[kBassSlot].codes.end());
  });
  encoder.push(samples);
  encoder.finish();
  const Tones tones(*shipped(), kBassSlot, num_codebooks, std::vector<double>{hz, hz * 1.12});
  double mean_rank[2] = {};
  for (int pitch = 0; pitch < 2; ++pitch) {
    Tones::Voice voice(tones);
    voice.play(pitch);
    int count = 0;
    for (size_t t = 8; t < 36; ++t) {
      for (int h = 0; h < num_codebooks; ++h) {
        std::vector<float> logits(1024);
        voice.shape(h, logits, 20);
        const uint16_t code = codes[t * static_cast<size_t>(num_codebooks) + static_cast<size_t>(h)];
        if (h == 0 && t >= 12) {
          mean_rank[pitch] +=
              static_cast<double>(std::ranges::count_if(logits, [&](float value) { return value > logits[code]; }));
          ++count;
        }
        voice.add(h, code);
      }
    }
    mean_rank[pitch] /= count;
  }
  EXPECT_LT(mean_rank[0], 100);
  EXPECT_GT(mean_rank[1], 2 * mean_rank[0]);
}

TEST(Tones, LevelsStayAsLikelyAsTheyWere) {
  const Tones tones(*shipped(), kBassSlot, 3, std::vector<double>{80});
  const auto size = static_cast<size_t>(shipped()->config().codebook_size);
  // Energy below 1.4 kHz in the middle, by the linear path.
  const auto& weights = shipped()->source(kBassSlot);
  runtime::ThreadPool pool(1);
  const int64_t hop = shipped()->config().hop_samples;
  std::vector<float> spectra(size * 2 * static_cast<size_t>(hop));
  weights.synthesis_basis.forward(weights.entries[0].data(), shipped()->config().code_dim, static_cast<int64_t>(size),
                                  spectra.data(), 2 * hop, pool);
  std::vector<int> levels;
  for (size_t i = 0; i < size; ++i) {
    float energy = 0;
    const float* const row = spectra.data() + static_cast<int64_t>(i) * 2 * hop;
    for (int k = 0; k < 65; ++k) energy += row[k] * row[k];
    levels.push_back(std::ilogb(energy + 1e-9F));
  }
  Tones::Voice voice(tones);
  voice.play(0);
  std::vector<float> logits(size), before(size), after(size);
  for (int h = 0; h < 3; ++h) {
    std::ranges::fill(logits, 0.0F);
    voice.shape(h, logits, 20);
    voice.add(h, 100);
  }
  for (size_t i = 0; i < size; ++i) logits[i] = static_cast<float>(i % 7);
  runtime::softmax(logits.data(), static_cast<int64_t>(size), 1, static_cast<int64_t>(size), before.data(), 0);
  voice.shape(0, logits, 20);
  runtime::softmax(logits.data(), static_cast<int64_t>(size), 1, static_cast<int64_t>(size), after.data(), 0);
  std::map<int, double> change;
  double moved = 0;
  for (size_t i = 0; i < size; ++i) {
    change[levels[i]] += double{after[i]} - double{before[i]};
    moved += std::abs(double{after[i]} - double{before[i]});
  }
  EXPECT_GT(moved, 0.5);
  EXPECT_GT(change.size(), 3U);
  for (const auto& [level, difference] : change) EXPECT_NEAR(difference, 0, 0.002) << level;
}

TEST(Tones, NothingIsExpectedWithoutAPitchOrAtItsBegin) {
  const Tones tones(*shipped(), kBassSlot, 2, std::vector<double>{80, 90});
  Tones::Voice voice(tones);
  const auto is_shaped = [&] {
    bool shaped = false;
    for (int h = 0; h < 2; ++h) {
      std::vector<float> logits(1024);
      voice.shape(h, logits, 20);
      shaped = shaped || std::ranges::any_of(logits, [](float value) { return value != 0; });
      voice.add(h, 5);
    }
    return shaped;
  };
  EXPECT_FALSE(is_shaped());
  EXPECT_FALSE(is_shaped());
  voice.play(0);
  EXPECT_FALSE(is_shaped());
  EXPECT_TRUE(is_shaped());
  voice.play(0);
  EXPECT_TRUE(is_shaped());
  voice.play(1);
  EXPECT_FALSE(is_shaped());
  EXPECT_TRUE(is_shaped());
  // A copy goes on as the first does.
  Tones::Voice copy = voice;
  std::vector<float> a(1024), b(1024);
  voice.shape(0, a, 20);
  copy.shape(0, b, 20);
  EXPECT_EQ(a, b);
}

class TonesOnPath : public runtime::EveryPath {};

// If this fails on a new machine or compiler, a seed gives another line there.
TEST_P(TonesOnPath, AVoiceGivesTheCodesWrittenDown) {
  const auto model =
      Model::from_file(runtime::Safetensors::open_memory(vqvae::make_model(vqvae::tiny_config(), 1).bytes(), "tiny"));
  const Tones tones(*model, kBassSlot, 3, std::vector<double>{110});
  uint64_t digest = 0;
  for (const uint16_t code : sing(tones, 0, 40, 7)) digest = (digest ^ code) * 0x9E3779B97F4A7C15;
  EXPECT_EQ(digest, 4401896642954646085U);
}

VQCODEC_ON_EVERY_PATH(TonesOnPath);

TEST(Tones, WhatDoesNotFitIsRefused) {
  const std::vector<double> low = {19.9}, high = {44100 / 8.0 + 1}, right = {100};
  EXPECT_ERROR(Tones(*shipped(), kBassSlot, 4, low), ExitCode::kInternal, HasSubstr("Hz"));
  EXPECT_ERROR(Tones(*shipped(), kBassSlot, 4, high), ExitCode::kInternal, HasSubstr("Hz"));
  EXPECT_ERROR(Tones(*shipped(), kBassSlot, 13, right), ExitCode::kInternal, HasSubstr("residual"));
  EXPECT_ERROR(Tones(*shipped(), 4, 4, right), ExitCode::kInternal, HasSubstr("residual"));
  vqvae::ModelConfig gumbel;
  gumbel.quantizer_kind = vqvae::QuantizerKind::kGumbel;
  EXPECT_FALSE(Tones::fits(gumbel));
}

}  // namespace
}  // namespace vqcodec::generate
