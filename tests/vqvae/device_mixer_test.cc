// Mixing on a device, here the CPU, against the mixer of the CPU.
#include "vqvae/train/torch.h"

#include "vqvae/train/device_mixer.h"

#include <cmath>

#include <gtest/gtest.h>

#include "tests/vqvae/codec_test_util.h"

namespace vqcodec::vqvae::train {
namespace {

constexpr int kRate = 8000;

dataset::Song song_of(const std::string& name, int64_t num_frames, uint64_t seed, bool with_second) {
  dataset::Song song;
  song.name = name;
  song.sample_rate_hz = kRate;
  song.num_frames = num_frames;
  for (uint64_t source = 0; source < 2; ++source) {
    song.active_frames.emplace_back();
    song.stems.emplace_back();
    song.source_loudness_lufs.push_back(-20 - static_cast<double>(seed));
    if (source == 1 && !with_second) continue;
    for (const float value : synthetic_song(num_frames, seed + source)) {
      song.stems.back().push_back(static_cast<int16_t>(value * 20000));
    }
    for (int64_t at = 0; at + kRate <= num_frames; at += kRate) song.active_frames.back().push_back(at);
  }
  song.loudness_lufs = -15;
  return song;
}

class DeviceMixerTest : public testing::Test {
 protected:
  void SetUp() override { torch::set_num_threads(1); }

  // The largest difference over some items; `level` is that of the items.
  static double difference(const std::vector<dataset::WeightedSongs>& sets, const dataset::MixOptions& options,
                           int64_t num_frames, int64_t max_bank_frames, double& level) {
    const dataset::Mixer mixer(sets, 2, 5, options);
    const DeviceMixer device(mixer, torch::kCPU, 1, max_bank_frames);
    double worst = 0;
    level = 0;
    for (uint64_t step = 0; step < 2; ++step) {
      const torch::Tensor items = device.draw(step, 8, num_frames);
      EXPECT_EQ(items.sizes(), (std::vector<int64_t>{8, 2, 2, num_frames}));
      for (int64_t item = 0; item < 8; ++item) {
        torch::Tensor expected = torch::empty({2, 2, num_frames});
        mixer.draw(step, static_cast<uint64_t>(item), num_frames,
                   {expected.data_ptr<float>(), static_cast<size_t>(expected.numel())});
        worst = std::max(worst, (items[item] - expected).abs().max().item<double>());
        level = std::max(level, expected.abs().max().item<double>());
      }
    }
    return worst;
  }

  std::vector<dataset::WeightedSongs> sets_{{{song_of("a", 5 * kRate, 1, true), song_of("b", 2 * kRate + 77, 3, false)},
                                             1.0},
                                            {{song_of("short", kRate + 1, 5, true)}, 0.5}};
  dataset::MixOptions all_{.coherent_share = 0.4,
                           .silent_probability = 0.2,
                           .channel_gain_deviation_db = 2,
                           .min_speed = 0.8,
                           .max_speed = 1.25,
                           .tilt_deviation_db_per_octave = 2,
                           .level_by_loudness = true};
};

TEST_F(DeviceMixerTest, GivesWhatTheMixerOfTheCpuGives) {
  double level = 0;
  for (const bool speed : {false, true}) {
    for (const bool tilt : {false, true}) {
      for (const int64_t bank : {kMaxBankFrames, int64_t{3} * kRate}) {          // all in one tensor, or in several
        for (const int64_t num_frames : {int64_t{500}, int64_t{kRate} + 500}) {  // longer than some songs
          SCOPED_TRACE(testing::Message()
                       << "speed " << speed << " tilt " << tilt << " bank " << bank << " frames " << num_frames);
          dataset::MixOptions options = all_;
          if (!speed) options.min_speed = options.max_speed = 1;
          if (!tilt) options.tilt_deviation_db_per_octave = 0;
          const double worst = difference(sets_, options, num_frames, bank, level);
          EXPECT_GT(level, 0.05);
          EXPECT_LT(worst, (tilt ? 1e-5 : 1e-6) * level);
        }
      }
    }
  }
}

TEST_F(DeviceMixerTest, TellsWhatItTakes) {
  // Two sources of a and short, one of b.
  EXPECT_EQ(device_audio_bytes(sets_, 2), 4 * (2 * 5 * kRate + 2 * kRate + 77 + 2 * (kRate + 1)));
}

}  // namespace
}  // namespace vqcodec::vqvae::train
