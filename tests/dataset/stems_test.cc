#include "dataset/stems.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audio/writer.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_dir.h"

namespace vqcodec::dataset {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr int kRate = 8000;
const std::vector<std::string> kTwo = {"bass", "drums"};

// `num_samples` of a triangle wave at `level`, right half as loud as left; written as float WAV or 16-bit FLAC.
void write_stem(const std::string& path, int64_t num_samples, float level, int sample_rate_hz = kRate) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  const bool flac = path.ends_with(".flac");
  auto writer = audio::AudioWriter::open(path, {.sample_rate_hz = sample_rate_hz,
                                                .sample_format = flac ? audio::SampleFormat::kPcm16
                                                                      : audio::SampleFormat::kFloat32});
  std::vector<float> samples;
  for (int64_t t = 0; t < num_samples; ++t) {
    const auto phase = static_cast<float>(t % 80) / 80.0F;
    const float value = level * (4 * std::abs(phase - 0.5F) - 1);
    samples.push_back(value);
    samples.push_back(value / 2);
  }
  writer->write(samples);
  writer->finish();
}

// A song in memory whose sample t of source s is t and -t (mod 30000): positions can be read off a mix.
Song ramp_song(const std::string& name, int64_t num_frames, const std::vector<int16_t>& offsets) {
  Song song;
  song.name = name;
  song.num_frames = num_frames;
  for (const int16_t offset : offsets) {
    std::vector<int16_t> stem;
    for (int64_t t = 0; t < num_frames; ++t) {
      const auto value = static_cast<int16_t>(offset + t % 1000);
      stem.push_back(value);
      stem.push_back(static_cast<int16_t>(-value));
    }
    song.stems.push_back(offset == 0 ? std::vector<int16_t>{} : stem);
    std::vector<int64_t> active;
    for (int64_t at = 0; offset != 0 && at + kRate <= num_frames; at += kRate) active.push_back(at);
    song.active_frames.push_back(active);
  }
  return song;
}

MixOptions plain_mix() {
  return {.coherent_share = 0,
          .silent_probability = 0,
          .gain_deviation_db = 0,
          .song_gain_deviation_db = 0,
          .swap_channels = false,
          .flip_polarity = false};
}

std::vector<float> draw(const Mixer& mixer, uint64_t step, uint64_t item, int64_t num_frames, int num_sources = 2) {
  std::vector<float> out(static_cast<size_t>(num_sources * 2 * num_frames), NAN);
  mixer.draw(step, item, num_frames, out);
  return out;
}

double level_of(std::span<const float> samples) {
  double energy = 0;
  for (const float sample : samples) energy += static_cast<double>(sample) * sample;
  return std::sqrt(energy / static_cast<double>(samples.size()));
}

TEST(LoadSongs, AMissingStemIsSilenceAndUnlikeLengthsArePadded) {
  TempDir root;
  write_stem(root / "b song/bass.wav", 3 * kRate, 0.5F);
  write_stem(root / "b song/drums.flac", 2 * kRate, 0.25F);
  write_stem(root / "a song/drums.wav", kRate + 100, 0.5F);
  std::vector<std::string> remarks;
  std::vector<std::pair<size_t, size_t>> progress;
  const std::vector<Song> songs =
      load_songs(root.path(), {.sample_rate_hz = kRate,
                               .sources = kTwo,
                               .on_progress = [&](size_t done, size_t total) { progress.emplace_back(done, total); },
                               .on_remark = [&](const std::string& remark) { remarks.push_back(remark); }});
  ASSERT_EQ(songs.size(), 2U);
  EXPECT_EQ(songs[0].name, "a song");
  EXPECT_EQ(songs[0].num_frames, kRate + 100);
  EXPECT_TRUE(songs[0].stems[0].empty());
  EXPECT_TRUE(songs[0].active_frames[0].empty());
  EXPECT_EQ(songs[0].active_frames[1], (std::vector<int64_t>{0}));
  EXPECT_EQ(songs[1].name, "b song");
  EXPECT_EQ(songs[1].num_frames, 3 * kRate);
  ASSERT_EQ(songs[1].stems[1].size(), 6U * kRate);
  EXPECT_EQ(songs[1].stems[0][0], std::lround(0.5 * 32767));
  EXPECT_EQ(songs[1].stems[0][1], std::lround(0.25 * 32767));
  EXPECT_NE(songs[1].stems[1][4 * kRate - 2], 0);
  EXPECT_EQ(std::count(songs[1].stems[1].begin() + 4 * kRate, songs[1].stems[1].end(), 0), 2 * kRate);
  EXPECT_EQ(songs[1].active_frames[0], (std::vector<int64_t>{0, kRate, 2 * kRate}));
  EXPECT_EQ(songs[1].active_frames[1], (std::vector<int64_t>{0, kRate}));
  EXPECT_THAT(remarks,
              testing::ElementsAre(AllOf(HasSubstr("b song"), HasSubstr("8000 samples"), HasSubstr("padded"))));
  EXPECT_THAT(progress, testing::ElementsAre(std::pair<size_t, size_t>{1, 2}, std::pair<size_t, size_t>{2, 2}));
}

TEST(LoadSongs, ReadsNoMoreThanAskedForAndResamples) {
  TempDir root;
  write_stem(root / "song/bass.wav", 3 * kRate, 0.5F);
  write_stem(root / "song/drums.wav", 6 * kRate, 0.5F, 2 * kRate);
  const auto songs = load_songs(root.path(), {.sample_rate_hz = kRate, .sources = kTwo, .max_seconds = 1.5});
  EXPECT_EQ(songs[0].num_frames, 12000);
  EXPECT_EQ(songs[0].stems[0].size(), 24000U);
  EXPECT_EQ(songs[0].stems[1].size(), 24000U);
}

TEST(LoadSongs, QuietSecondsAreNotActive) {
  TempDir root;
  write_stem(root / "song/bass.wav", 2 * kRate, 0.002F);  // -57 dBFS and less on the right
  write_stem(root / "song/drums.wav", 2 * kRate, 0.02F);
  const auto songs = load_songs(root.path(), {.sample_rate_hz = kRate, .sources = kTwo});
  EXPECT_TRUE(songs[0].active_frames[0].empty());
  EXPECT_EQ(songs[0].active_frames[1].size(), 2U);
}

TEST(LoadSongs, FoldersWithoutSongsAreRefusedWithTheLayout) {
  TempDir root;
  const LoadOptions options{.sample_rate_hz = kRate, .sources = kTwo};
  EXPECT_ERROR(load_songs(root.path(), options), ExitCode::kBadFile,
               AllOf(HasSubstr(root.path()), HasSubstr("<song>/"), HasSubstr("bass.wav")));
  EXPECT_ERROR(load_songs(root / "none", options), ExitCode::kIo, HasSubstr("none"));
  write_stem(root / "song/vocals.wav", kRate, 0.5F);  // no source of ours
  EXPECT_ERROR(load_songs(root.path(), options), ExitCode::kBadFile, HasSubstr("no song found"));
  write_bytes(root / "song/bass.wav", "not audio at all");
  EXPECT_ERROR(load_songs(root.path(), options), ExitCode::kBadFile, HasSubstr("bass.wav"));
  write_bytes(root / "file", "x");
  EXPECT_ERROR(load_songs(root / "file", options), ExitCode::kIo, HasSubstr("file"));
}

TEST(LoadSongs, OfTwoFilesOfASourceTheFirstNameIsTakenAndToldOf) {
  TempDir root;
  write_stem(root / "song/bass.wav", kRate, 0.5F);
  write_stem(root / "song/bass.flac", 2 * kRate, 0.5F);
  std::vector<std::string> remarks;
  const auto songs =
      load_songs(root.path(), {.sample_rate_hz = kRate, .sources = kTwo, .on_remark = [&](const std::string& remark) {
                                 remarks.push_back(remark);
                               }});
  EXPECT_EQ(songs[0].num_frames, 2 * kRate);
  EXPECT_THAT(remarks, testing::ElementsAre(AllOf(HasSubstr("bass.flac"), HasSubstr("bass.wav"))));
}

TEST(CounterRandom, SameKeySameDrawsOtherKeyOtherDraws) {
  std::map<uint64_t, int> first;
  for (uint64_t seed = 0; seed < 3; ++seed) {
    for (uint64_t stream = 0; stream < 20; ++stream) {
      for (uint64_t item = 0; item < 20; ++item) ++first[CounterRandom(seed, stream, item).next()];
    }
  }
  EXPECT_EQ(first.size(), 1200U);
  CounterRandom a(1, 2, 3), b(1, 2, 3);
  for (int i = 0; i < 100; ++i) ASSERT_EQ(a.next(), b.next());
}

TEST(CounterRandom, DistributionsHaveTheirMoments) {
  CounterRandom random(1, 0, 0);
  constexpr int kDraws = 100000;
  double mean = 0, square = 0, uniform_mean = 0;
  std::vector<int> counts(7);
  for (int i = 0; i < kDraws; ++i) {
    const double normal = random.normal(), uniform = random.uniform();
    ASSERT_GE(uniform, 0);
    ASSERT_LT(uniform, 1);
    mean += normal;
    square += normal * normal;
    uniform_mean += uniform;
    ++counts.at(random.below(7));
  }
  EXPECT_NEAR(mean / kDraws, 0, 0.015);
  EXPECT_NEAR(square / kDraws, 1, 0.03);
  EXPECT_NEAR(uniform_mean / kDraws, 0.5, 0.005);
  for (const int count : counts) EXPECT_NEAR(count, kDraws / 7, 500);
}

class MixerTest : public testing::Test {
 protected:
  std::vector<WeightedSongs> sets_{{{ramp_song("a", 5 * kRate, {1000, 2000}), ramp_song("b", 3 * kRate, {3000, 4000})},
                                    1.0},
                                   {{ramp_song("c", 4 * kRate, {5000, 6000})}, 1.0}};
};

TEST_F(MixerTest, DrawsDependOnSeedStepAndItemOnly) {
  const Mixer mixer(sets_, 2, 9, {}), same(sets_, 2, 9, {}), other(sets_, 2, 10, {});
  const auto first = draw(mixer, 4, 2, 2000);
  draw(mixer, 5, 3, 1000);
  EXPECT_EQ(draw(mixer, 4, 2, 2000), first);
  EXPECT_EQ(draw(same, 4, 2, 2000), first);
  EXPECT_NE(draw(mixer, 4, 3, 2000), first);
  EXPECT_NE(draw(mixer, 5, 2, 2000), first);
  EXPECT_NE(draw(other, 4, 2, 2000), first);
}

TEST_F(MixerTest, APlainMixIsAStretchOfAStem) {
  const Mixer mixer(sets_, 2, 1, plain_mix());
  for (uint64_t item = 0; item < 50; ++item) {
    const auto out = draw(mixer, 0, item, 500);
    for (size_t source = 0; source < 2; ++source) {
      const float* left = out.data() + source * 1000;
      const float* right = left + 500;
      const long first = std::lround(left[0] * 32768);
      EXPECT_EQ(first / 1000 % 2, source == 0 ? 1 : 0) << "a sample of another source";
      for (int t = 0; t < 500; ++t) {
        ASSERT_EQ(left[t], -right[t]);
        const long value = std::lround(left[t] * 32768);
        ASSERT_EQ(value, first - first % 1000 + (first + t) % 1000) << "item " << item << " sample " << t;
      }
    }
  }
}

TEST_F(MixerTest, WeightsAreSharesOfTheDraws) {
  sets_[0].weight = 3;
  const Mixer mixer(sets_, 2, 1, plain_mix());
  // Bass: set one has 3 of 4, of which song a has 5 of 8 seconds.
  std::map<long, int> counts;
  for (uint64_t item = 0; item < 4000; ++item) ++counts[std::lround(draw(mixer, 0, item, 10)[0] * 32768) / 1000];
  EXPECT_NEAR(counts[1], 4000 * 0.75 * 5 / 8, 130);
  EXPECT_NEAR(counts[3], 4000 * 0.75 * 3 / 8, 130);
  EXPECT_NEAR(counts[5], 4000 * 0.25, 130);
}

TEST_F(MixerTest, CoherentItemsAreOneSongAtOneTime) {
  MixOptions options = plain_mix();
  options.coherent_share = 0.4;
  const Mixer mixer(sets_, 2, 1, options);
  int num_coherent = 0;
  for (uint64_t item = 0; item < 1000; ++item) {
    const auto out = draw(mixer, 0, item, 10);
    num_coherent += std::lround(out[20] * 32768) - std::lround(out[0] * 32768) == 1000;
  }
  // A mix of different draws hits the same sample about once in thousands of items.
  EXPECT_NEAR(num_coherent, 400, 50);
}

TEST_F(MixerTest, SourcesAreSilentAsOftenAsAskedButNeverAll) {
  MixOptions options = plain_mix();
  options.silent_probability = 0.3;
  const Mixer mixer(sets_, 2, 1, options);
  int first_silent = 0, second_silent = 0;
  for (uint64_t item = 0; item < 3000; ++item) {
    const auto out = draw(mixer, 0, item, 16);
    const std::span<const float> all(out);
    const bool first = level_of(all.first(32)) == 0, second = level_of(all.last(32)) == 0;
    EXPECT_FALSE(first && second);
    first_silent += first;
    second_silent += second;
  }
  EXPECT_NEAR(first_silent, 3000 * 0.3, 110);
  EXPECT_NEAR(second_silent, 3000 * 0.3 * 0.7, 100);
}

TEST_F(MixerTest, GainsHaveTheirDeviation) {
  MixOptions options = plain_mix();
  options.gain_deviation_db = 3;
  options.song_gain_deviation_db = 4;
  const Mixer mixer(sets_, 2, 1, options), plain(sets_, 2, 1, plain_mix());
  double square = 0, difference_square = 0;
  constexpr int kItems = 3000;
  for (uint64_t item = 0; item < kItems; ++item) {
    const auto out = draw(mixer, 0, item, 10), unit = draw(plain, 0, item, 10);
    const double first = 20 * std::log10(out[0] / unit[0]), second = 20 * std::log10(out[20] / unit[20]);
    square += first * first;
    difference_square += (first - second) * (first - second);
  }
  EXPECT_NEAR(std::sqrt(square / kItems), 5, 0.3);                       // 3 and 4 dB together
  EXPECT_NEAR(std::sqrt(difference_square / kItems), 3 * M_SQRT2, 0.3);  // the song's is common
}

TEST_F(MixerTest, ChannelsDifferByTheirDeviationAndKeepTheirMeanLevel) {
  MixOptions options = plain_mix();
  options.channel_gain_deviation_db = 2;
  const Mixer mixer(sets_, 2, 1, options), plain(sets_, 2, 1, plain_mix());
  double square = 0;
  constexpr int kItems = 3000;
  for (uint64_t item = 0; item < kItems; ++item) {
    const auto out = draw(mixer, 0, item, 10), unit = draw(plain, 0, item, 10);
    const double left = 20 * std::log10(out[0] / unit[0]), right = 20 * std::log10(out[10] / unit[10]);
    square += (left - right) * (left - right);
    EXPECT_NEAR(left + right, 0, 1e-3);
  }
  EXPECT_NEAR(std::sqrt(square / kItems), 2, 0.15);
}

TEST_F(MixerTest, ChannelsAreSwappedAndPolarityFlippedHalfTheTime) {
  for (auto& set : sets_) {
    for (Song& song : set.songs) {
      for (auto& stem : song.stems) {
        for (size_t i = 1; i < stem.size(); i += 2) stem[i] = static_cast<int16_t>(-2 * stem[i]);  // right = 2 left
      }
    }
  }
  MixOptions options = plain_mix();
  options.swap_channels = options.flip_polarity = true;
  const Mixer mixer(sets_, 2, 1, options);
  int num_swapped = 0, num_flipped = 0;
  for (uint64_t item = 0; item < 1000; ++item) {
    const auto out = draw(mixer, 0, item, 10);
    num_swapped += std::abs(out[0]) > std::abs(out[10]);
    num_flipped += out[0] < 0;
    EXPECT_EQ(out[0] < 0, out[10] < 0);
  }
  EXPECT_NEAR(num_swapped, 500, 60);
  EXPECT_NEAR(num_flipped, 500, 60);
}

TEST_F(MixerTest, SpeedResamples) {
  // A straight line stays straight under the interpolation, with its slope times the speed.
  for (auto& set : sets_) {
    for (Song& song : set.songs) {
      for (auto& stem : song.stems) {
        for (size_t i = 0; i < stem.size(); ++i) stem[i] = static_cast<int16_t>(i / 2 % 30000);
      }
    }
  }
  MixOptions options = plain_mix();
  options.min_speed = 0.8;
  options.max_speed = 1.2;
  const Mixer mixer(sets_, 2, 1, options);
  double least = 10, greatest = 0;
  for (uint64_t item = 0; item < 300; ++item) {
    const auto out = draw(mixer, 0, item, 64);
    const double slope = (static_cast<double>(out[20]) - out[0]) * 32768 / 20;
    if (out[0] == 0 || out[63] < out[0]) continue;  // begins before the song, or has the line's jump in it
    for (size_t t = 1; t < 64; ++t) ASSERT_NEAR(out[t] - out[t - 1], slope / 32768, 2e-6) << "item " << item;
    least = std::min(least, slope);
    greatest = std::max(greatest, slope);
  }
  EXPECT_NEAR(least, 0.8, 0.02);
  EXPECT_NEAR(greatest, 1.2, 0.02);
}

TEST_F(MixerTest, SongsShorterThanTheCropEndInSilence) {
  const std::vector<WeightedSongs> sets{{{ramp_song("short", kRate, {1000, 2000})}, 1.0}};
  const Mixer mixer(sets, 2, 1, plain_mix());
  const auto out = draw(mixer, 0, 0, 3 * kRate);
  EXPECT_NE(out[100], 0);
  EXPECT_EQ(level_of(std::span(out).subspan(kRate + 1, 2 * kRate - 1)), 0);
}

TEST_F(MixerTest, ASourceThatNeverSoundsIsRefused) {
  const std::vector<WeightedSongs> sets{{{ramp_song("a", 2 * kRate, {1000, 0})}, 1.0}};
  EXPECT_ERROR(Mixer(sets, 2, 1, {}), ExitCode::kBadFile, HasSubstr("source 1 sounds in no song"));
}

}  // namespace
}  // namespace vqcodec::dataset
