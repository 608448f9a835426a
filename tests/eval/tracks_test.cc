#include "eval/tracks.h"

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audio/writer.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_dir.h"
#include "tests/vqvae/codec_test_util.h"

namespace vqcodec::eval {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::vector<std::string> kSources = {"vocals", "bass", "drums", "other"};

void write_wav(const std::filesystem::path& path, std::span<const float> samples, int rate = 44100, int channels = 2) {
  std::filesystem::create_directories(path.parent_path());
  const auto writer = audio::AudioWriter::open(path.string(), {.sample_rate_hz = rate,
                                                               .num_channels = channels,
                                                               .sample_format = audio::SampleFormat::kFloat32});
  writer->write(samples);
  writer->finish();
}

class Tracks : public testing::Test {
 protected:
  std::filesystem::path root() const { return folder_ / "set"; }
  Track read(const ReadOptions& options = {}) {
    return read_track(list_tracks(root(), kSources).at(0), kSources, options);
  }

  TempDir folder_;
};

TEST_F(Tracks, AreTheFoldersWithSourcesByName) {
  const std::vector<float> song = vqvae::synthetic_song(1000);
  write_wav(root() / "b/bass.wav", song);
  write_wav(root() / "a/mixture.wav", song);
  write_wav(root() / "a/vocals.wav", song);
  write_wav(root() / "c/guitar.wav", song);
  std::ofstream(root() / "notes.txt") << "no folder";
  std::vector<std::string> names;
  for (const TrackFolder& track : list_tracks(root(), kSources)) names.push_back(track.name);
  EXPECT_THAT(names, ElementsAre("a", "b"));
  EXPECT_EQ(list_tracks(root() / "a", kSources).at(0).name, "a");
  EXPECT_EQ(list_tracks(root() / "a/", kSources).at(0).name, "a");
  EXPECT_ERROR(list_tracks(root() / "c", kSources), ExitCode::kBadFile, HasSubstr("vocals,bass,drums,other"));
  EXPECT_ERROR(list_tracks(root() / "d", kSources), ExitCode::kIo, HasSubstr("cannot be read"));
}

TEST_F(Tracks, MissingMixtureIsTheSumAndMissingSourcesAreTold) {
  const std::vector<float> bass = vqvae::synthetic_song(1000, 1), drums = vqvae::synthetic_song(900, 2);
  write_wav(root() / "t/bass.wav", bass);
  write_wav(root() / "t/drums.wav", drums);
  const Track track = read();
  EXPECT_EQ(track.num_frames, 1000);
  EXPECT_THAT(track.stems[0], IsEmpty());
  EXPECT_EQ(track.stems[1], bass);
  EXPECT_EQ(track.stems[2].size(), 2000U);
  EXPECT_EQ(track.stems[2][1900], 0.0F);
  for (size_t i = 0; i < 2000; ++i) ASSERT_EQ(track.mixture[i], bass[i] + (i < drums.size() ? drums[i] : 0.0F)) << i;
  EXPECT_THAT(track.remarks, Contains(HasSubstr("vocals: no such file")));
  EXPECT_THAT(track.remarks, Contains(HasSubstr("drums.wav: 100 samples shorter")));
  EXPECT_EQ(track.remarks.size(), 3U);
}

TEST_F(Tracks, TheMixtureOfTheFolderIsKept) {
  const std::vector<float> bass = vqvae::synthetic_song(1000, 1), mixture = vqvae::synthetic_song(1000, 3);
  write_wav(root() / "t/bass.wav", bass);
  write_wav(root() / "t/mixture.wav", mixture);
  EXPECT_EQ(read().mixture, mixture);
}

TEST_F(Tracks, APassageIsCutExactly) {
  const std::vector<float> bass = vqvae::synthetic_song(200000);
  write_wav(root() / "t/bass.wav", bass);
  const Track track = read({.from_seconds = 2, .max_seconds = 1});
  ASSERT_EQ(track.num_frames, 44100);
  EXPECT_TRUE(std::equal(track.stems[1].begin(), track.stems[1].end(), bass.begin() + 2 * 88200));
  EXPECT_EQ(read({.from_seconds = 4.5, .max_seconds = 1}).num_frames, 200000 - 198450);
  EXPECT_EQ(read({.from_seconds = 60}).num_frames, 0);
}

TEST_F(Tracks, OtherRatesMonoAndBadSamplesAreTold) {
  std::vector<float> mono(2000, 0.25F);
  mono[7] = std::numeric_limits<float>::quiet_NaN();
  write_wav(root() / "t/bass.wav", mono, 22050, 1);
  const Track track = read();
  EXPECT_NEAR(static_cast<double>(track.num_frames), 4000, 2);
  EXPECT_THAT(track.remarks, Contains(HasSubstr("resampled from 22050 to 44100 Hz")));
  EXPECT_THAT(track.remarks, Contains(HasSubstr("mono")));
  EXPECT_THAT(track.remarks, Contains(HasSubstr("1 samples that are no numbers")));
  for (const float sample : track.stems[1]) ASSERT_TRUE(std::isfinite(sample));
}

TEST_F(Tracks, FilesThatAreNoAudioAreErrors) {
  std::filesystem::create_directories(root() / "t");
  std::ofstream(root() / "t/bass.wav") << "this is text";
  EXPECT_ERROR(read(), ExitCode::kBadFile, HasSubstr("bass.wav"));
}

TEST(CodedSong, DecodesToTheSamplesOfTheWholeWay) {
  const auto model = vqvae::load_model(vqvae::tiny_config());
  runtime::ThreadPool pool(1);
  const std::vector<float> song = vqvae::synthetic_song(50001);
  const CodedSong coded = encode_song(model, song, 2, pool);
  EXPECT_EQ(coded.info.num_codebooks, 2U);
  EXPECT_EQ(coded.info.num_samples, 50001U);
  const auto decoded = decode_sources(model, coded, pool);
  const auto expected = vqvae::decode(model, coded.segments, {.separate = true, .num_codebooks = 2}, pool);
  ASSERT_EQ(decoded.size(), 4U);
  for (size_t s = 0; s < 4; ++s) {
    ASSERT_EQ(decoded[s].size(), 2 * 50001U);
    EXPECT_TRUE(std::equal(decoded[s].begin(), decoded[s].end(), expected[s].begin()));
  }
  const std::vector<float> sum = sum_of(decoded);
  for (size_t i = 0; i < sum.size(); ++i) {
    ASSERT_EQ(sum[i], decoded[0][i] + decoded[1][i] + decoded[2][i] + decoded[3][i]);
  }
  EXPECT_THAT(decode_sources(model, encode_song(model, {}, 0, pool), pool)[0], IsEmpty());
}

}  // namespace
}  // namespace vqcodec::eval
