#include "dataset/stems.h"

#include <algorithm>
#include <cmath>
#include <complex>
#include <cstdlib>
#include <filesystem>
#include <map>

#include <ebur128.h>
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

TEST_F(MixerTest, DrawsAreThoseOfTheFirstVersion) {
  // Samples 10, 700, 1300 and 2399 of items 0 to 5, from before there were plans, tilt and loudness.
  constexpr float kExpected[2][6][4] = {{{-0.157704875F, 0.222995654F, 0.173075065F, -0.150508359F},
                                         {-0.108762987F, 0.115625478F, -0.0846309364F, 0.0701944828F},
                                         {0.0989221111F, -0.0952583998F, 0, 0},
                                         {0.0166923031F, -0.0163630247F, -0.0864494145F, 0.118156038F},
                                         {-0.0356467962F, 0.0361801758F, 0, 0},
                                         {0.0973977074F, -0.102924488F, -0.478319257F, 0.29633832F}},
                                        {{-0.185716361F, 0.189057261F, 0.0899667665F, -0.0835074186F},
                                         {-0.111336701F, 0.113127001F, 0.0321269557F, -0.0398417525F},
                                         {0.0959402919F, -0.0981953517F, 0.0315827392F, -0.0390873998F},
                                         {0.0158916898F, -0.0172735751F, -0.0642914027F, 0.0793885291F},
                                         {-0.0346181057F, 0.0374530703F, 0.0803271383F, -0.0869887993F},
                                         {0.0993699431F, -0.100895062F, -0.223495737F, 0.207394019F}}};
  MixOptions options;
  options.channel_gain_deviation_db = 1.5;
  options.min_speed = 0.9;
  options.max_speed = 1.1;
  for (const auto& expected : kExpected) {
    const Mixer mixer(sets_, 2, 7, options);
    for (size_t item = 0; item < 6; ++item) {
      const auto out = draw(mixer, 3, item, 600);
      EXPECT_FLOAT_EQ(out[10], expected[item][0]);
      EXPECT_FLOAT_EQ(out[700], expected[item][1]);
      EXPECT_FLOAT_EQ(out[1300], expected[item][2]);
      EXPECT_FLOAT_EQ(out[2399], expected[item][3]);
    }
    options.channel_gain_deviation_db = 0;
    options.min_speed = options.max_speed = 1;
  }
}

TEST_F(MixerTest, APlanSaysWhatIsDrawn) {
  MixOptions options;
  options.channel_gain_deviation_db = 2;
  options.min_speed = 0.9;
  options.max_speed = 1.1;
  options.tilt_deviation_db_per_octave = 1;
  const Mixer mixer(sets_, 2, 1, options);
  for (uint64_t item = 0; item < 50; ++item) {
    const auto plans = mixer.plan(2, item, 500);
    const auto out = draw(mixer, 2, item, 500);
    ASSERT_EQ(plans.size(), 2U);
    for (size_t source = 0; source < 2; ++source) {
      const auto of_source = std::span(out).subspan(source * 1000, 1000);
      EXPECT_EQ(plans[source].song == nullptr, level_of(of_source) == 0);
      std::vector<float> alone(1000, NAN);
      Mixer::execute(plans[source], source, alone);
      EXPECT_TRUE(std::ranges::equal(alone, of_source));
    }
  }
}

TEST_F(MixerTest, ATiltChangesNoOtherDraw) {
  MixOptions options;
  const Mixer plain(sets_, 2, 1, options);
  options.tilt_deviation_db_per_octave = 1.5;
  const Mixer tilted(sets_, 2, 1, options);
  double square = 0;
  int count = 0;
  for (uint64_t item = 0; item < 3000; ++item) {
    // The draws of the last source's tilt come after everything of the item; those of the first before the second.
    const auto a = plain.plan(0, item, 500), b = tilted.plan(0, item, 500);
    EXPECT_EQ(a[0].song, b[0].song);
    EXPECT_EQ(a[0].start_frame, b[0].start_frame);
    EXPECT_EQ(a[0].gain, b[0].gain);
    EXPECT_EQ(a[0].tilt_db_per_octave, 0);
    if (b[0].song == nullptr) continue;
    square += b[0].tilt_db_per_octave * b[0].tilt_db_per_octave;
    ++count;
  }
  EXPECT_NEAR(std::sqrt(square / count), 1.5, 0.08);
}

TEST(TiltFilterTest, IsAStraightLineOverTheOctaves) {
  // The response to an impulse, measured at frequencies over the range that the header promises.
  for (const int rate_hz : {8000, 44100, 48000}) {
    for (const double tilt : {-6.0, -3.0, -0.5, 0.0, 1.0, 4.5, 6.0}) {
      std::vector<float> impulse(1 << 14);
      impulse[0] = 1;
      TiltFilter(tilt, rate_hz).apply(impulse);
      for (double hz = 60; hz <= 0.25 * rate_hz; hz *= 1.3) {
        std::complex<double> sum = 0;
        for (size_t t = 0; t < impulse.size(); ++t) {
          sum += static_cast<double>(impulse[t]) * std::polar(1.0, -2 * M_PI * hz * static_cast<double>(t) / rate_hz);
        }
        EXPECT_NEAR(20 * std::log10(std::abs(sum)), tilt * std::log2(hz / 1000), 0.3 * std::abs(tilt) + 0.01)
            << rate_hz << " Hz, tilt " << tilt << " at " << hz;
      }
    }
  }
}

TEST_F(MixerTest, TiltIsMeasuredOnNoise) {
  // White noise through the mixer: its power over octaves, fitted by a line.
  constexpr int kFrames = 4 * kRate;
  Song song = ramp_song("noise", kFrames, {1, 1});
  song.sample_rate_hz = kRate;
  CounterRandom random(1, 0, 0);
  for (auto& stem : song.stems) {
    for (auto& sample : stem) sample = static_cast<int16_t>(1000 * random.normal());
  }
  const std::vector<WeightedSongs> sets{{{song}, 1.0}};
  MixOptions options = plain_mix();
  options.tilt_deviation_db_per_octave = 2;
  const Mixer mixer(sets, 2, 3, options);
  // Band energies by a bank of resonators (Goertzel) at many frequencies of each octave.
  const auto octave_db = [&](std::span<const float> samples, double low_hz) {
    double energy = 0;
    for (int k = 0; k < 100; ++k) {
      const double hz = low_hz * std::exp2((k + 0.5) / 100);
      const double c = 2 * std::cos(2 * M_PI * hz / kRate);
      double before = 0, last = 0;
      for (const float sample : samples) {
        const double next = sample + c * last - before;
        before = last;
        last = next;
      }
      energy += last * last + before * before - c * last * before;
    }
    return 10 * std::log10(energy);
  };
  for (uint64_t item = 0; item < 3; ++item) {
    const auto plan = mixer.plan(0, item, kFrames);
    const auto out = draw(mixer, 0, item, kFrames);
    const auto left = std::span<const float>(out).first(kFrames);
    // Octaves from 62.5 to 2000 Hz: five centres, slope by least squares.
    double slope = 0;
    for (int i = 0; i < 5; ++i) slope += (i - 2) * octave_db(left, 62.5 * std::exp2(i)) / 10;
    EXPECT_NEAR(slope, plan[0].tilt_db_per_octave, 0.5) << "item " << item;
  }
}

// Loudness of a stretch [2, num_frames] by libebur128, in LUFS.
double loudness_of(std::span<const float> planar, int sample_rate_hz) {
  ebur128_state* state = ebur128_init(2, static_cast<unsigned long>(sample_rate_hz), EBUR128_MODE_I);
  std::vector<float> interleaved(planar.size());
  for (size_t t = 0; t < planar.size() / 2; ++t) {
    interleaved[2 * t] = planar[t];
    interleaved[2 * t + 1] = planar[planar.size() / 2 + t];
  }
  ebur128_add_frames_float(state, interleaved.data(), planar.size() / 2);
  double loudness_lufs = 0;
  ebur128_loudness_global(state, &loudness_lufs);
  ebur128_destroy(&state);
  return loudness_lufs;
}

class LoudnessTest : public testing::Test {
 protected:
  // Sources of steady noise at levels 20 dB apart, so that any stretch is as loud as the whole.
  void SetUp() override {
    CounterRandom random(1, 0, 0);
    for (const double level : {300.0, 3000.0}) {
      Song song = ramp_song("noise", 6 * kRate, {1, 1});
      song.sample_rate_hz = kRate;
      double source_level = level;
      for (auto& stem : song.stems) {
        for (auto& sample : stem) {
          sample = static_cast<int16_t>(std::clamp(source_level * random.normal(), -32768.0, 32767.0));
        }
        source_level *= 1.7;
      }
      sets_[0].songs.push_back(song);
    }
  }
  std::vector<WeightedSongs> sets_ = std::vector<WeightedSongs>(1);
};

TEST_F(LoudnessTest, SourcesAndSongsAreBroughtToTheirTargets) {
  for (Song& song : sets_[0].songs) measure_loudness(song);
  MixOptions options = plain_mix();
  options.level_by_loudness = true;
  options.source_loudness_lufs = -23;
  options.song_loudness_lufs = -17;
  const Mixer mixed(sets_, 2, 1, options);
  constexpr int64_t kFrames = 3 * kRate;
  for (uint64_t item = 0; item < 8; ++item) {
    const auto out = draw(mixed, 0, item, kFrames);
    for (size_t source = 0; source < 2; ++source) {
      EXPECT_NEAR(loudness_of(std::span(out).subspan(source * 2 * kFrames, 2 * kFrames), kRate), -23, 0.5);
    }
  }
  options.coherent_share = 1;
  const Mixer coherent(sets_, 2, 1, options);
  for (uint64_t item = 0; item < 8; ++item) {
    const auto out = draw(coherent, 0, item, kFrames);
    std::vector<float> sum(2 * kFrames);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] = out[i] + out[i + sum.size()];
    EXPECT_NEAR(loudness_of(sum, kRate), -17, 0.5);
    // The balance is kept: the second source is 1.7 times the first.
    const std::span<const float> all(out);
    EXPECT_NEAR(level_of(all.last(sum.size())) / level_of(all.first(sum.size())), 1.7, 0.1);
  }
  // The deviations are those around the target.
  options.coherent_share = 0;
  options.gain_deviation_db = 3;
  const Mixer varied(sets_, 2, 1, options);
  double square = 0;
  for (uint64_t item = 0; item < 300; ++item) {
    const auto out = draw(varied, 0, item, kRate);
    const double difference = loudness_of(std::span(out).first(2 * kRate), kRate) + 23;
    square += difference * difference;
  }
  EXPECT_NEAR(std::sqrt(square / 300), 3, 0.4);
}

TEST_F(LoudnessTest, WhatWasNotMeasuredIsRefusedAndSilenceKeepsItsLevel) {
  MixOptions options = plain_mix();
  options.level_by_loudness = true;
  EXPECT_ERROR(Mixer(sets_, 2, 1, options), ExitCode::kUsage, HasSubstr("loudness was not measured"));
  // So quiet that it is no loudness: no gain. 40 dB too quiet: no more than the limit.
  for (Song& song : sets_[0].songs) {
    measure_loudness(song);
    song.source_loudness_lufs = {-HUGE_VAL, options.source_loudness_lufs - 40};
  }
  const Mixer mixer(sets_, 2, 1, options);
  for (uint64_t item = 0; item < 10; ++item) {
    EXPECT_EQ(mixer.plan(0, item, 1000)[0].gain, 1);
    EXPECT_NEAR(20 * std::log10(mixer.plan(0, item, 1000)[1].gain), kMaxLevelDb, 1e-3);
  }
}

TEST_F(LoudnessTest, IsMeasuredAsTheStandardSays) {
  // ITU-R BS.1770: a sine of 997 Hz at 0 dBFS in one channel is -3.01 LUFS.
  Song song;
  song.name = "sine";
  song.sample_rate_hz = 48000;
  song.num_frames = 5 * 48000;
  song.stems.resize(2);
  for (int64_t t = 0; t < song.num_frames; ++t) {
    song.stems[0].push_back(
        static_cast<int16_t>(std::lround(32767 * std::sin(2 * M_PI * 997 * static_cast<double>(t) / 48000))));
    song.stems[0].push_back(0);
  }
  song.active_frames = {{0}, {}};
  measure_loudness(song);
  EXPECT_NEAR(song.source_loudness_lufs[0], -3.01, 0.05);
  EXPECT_TRUE(std::isinf(song.source_loudness_lufs[1]));
  EXPECT_NEAR(song.loudness_lufs, -3.01, 0.05);
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
