#include "audio/reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <thread>

#include "audio/byte_source.h"
#include "tests/audio/audio_test_util.h"
#include "tests/base/expect_error.h"

// Under the address sanitizer: libsndfile does not give back what libvorbis has allocated for an Ogg stream whose headers it
// refuses, some KiB a file.
extern "C" const char* __lsan_default_suppressions() { return "leak:vorbis_info_init\nleak:vorbis_comment_init\n"; }

namespace vqcodec::audio {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;

constexpr int kRateHz = 44100;

// --- Containers and encodings ---------------------------------------------------------------------------------------

struct LosslessCase {
  const char* name;
  int format;
  double tolerance;
};

class LosslessTest : public testing::TestWithParam<LosslessCase> {};

TEST_P(LosslessTest, GivesTheSamplesBackFromFileAndPipe) {
  TempDir dir;
  for (const int num_channels : {1, 2}) {
    const auto written = make_noise(5000, static_cast<size_t>(num_channels));
    write_sndfile(dir / "a", GetParam().format, kRateHz, num_channels, written);
    const auto expected = num_channels == 1 ? to_stereo(written) : written;
    const Audio audio = read_all(dir / "a");
    EXPECT_EQ(audio.info.source_sample_rate_hz, kRateHz);
    EXPECT_EQ(audio.info.source_num_channels, num_channels);
    EXPECT_EQ(audio.info.source_num_frames, 5000);
    EXPECT_EQ(audio.estimated_num_frames, 5000);
    EXPECT_FALSE(audio.info.format.empty());
    ASSERT_EQ(audio.samples.size(), expected.size());
    for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(audio.samples[i], expected[i], GetParam().tolerance) << i;

    const std::string bytes = read_bytes(dir / "a");
    const std::span data(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    auto piped = AudioReader::open_source(make_memory_source(data, false), "pipe", {.sample_rate_hz = 0});
    EXPECT_EQ(read_all(*piped).samples, audio.samples);
  }
}

constexpr double kStep8 = 1.0 / 128;
constexpr double kStep16 = 1.0 / 32768;
constexpr double kStep24 = 1.0 / 8388608;
INSTANTIATE_TEST_SUITE_P(Formats, LosslessTest,
                         testing::Values(LosslessCase{"WavU8", SF_FORMAT_WAV | SF_FORMAT_PCM_U8, kStep8},
                                         LosslessCase{"Wav16", SF_FORMAT_WAV | SF_FORMAT_PCM_16, kStep16},
                                         LosslessCase{"Wav24", SF_FORMAT_WAV | SF_FORMAT_PCM_24, kStep24},
                                         LosslessCase{"Wav32", SF_FORMAT_WAV | SF_FORMAT_PCM_32, 1e-7},
                                         LosslessCase{"WavFloat", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 0},
                                         LosslessCase{"WavDouble", SF_FORMAT_WAV | SF_FORMAT_DOUBLE, 0},
                                         LosslessCase{"WavExtensible", SF_FORMAT_WAVEX | SF_FORMAT_PCM_24, kStep24},
                                         LosslessCase{"WavBigEndian", SF_ENDIAN_BIG | SF_FORMAT_WAV | SF_FORMAT_PCM_16,
                                                      kStep16},
                                         LosslessCase{"WavAlaw", SF_FORMAT_WAV | SF_FORMAT_ALAW, 0.05},
                                         LosslessCase{"Rf64", SF_FORMAT_RF64 | SF_FORMAT_PCM_16, kStep16},
                                         LosslessCase{"W64", SF_FORMAT_W64 | SF_FORMAT_FLOAT, 0},
                                         LosslessCase{"Flac8", SF_FORMAT_FLAC | SF_FORMAT_PCM_S8, kStep8},
                                         LosslessCase{"Flac16", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, kStep16},
                                         LosslessCase{"Flac24", SF_FORMAT_FLAC | SF_FORMAT_PCM_24, kStep24},
                                         LosslessCase{"Aiff16", SF_FORMAT_AIFF | SF_FORMAT_PCM_16, kStep16},
                                         LosslessCase{"Caf24", SF_FORMAT_CAF | SF_FORMAT_PCM_24, kStep24},
                                         LosslessCase{"AuFloat", SF_FORMAT_AU | SF_FORMAT_FLOAT, 0}),
                         [](const auto& test) { return test.param.name; });

struct LossyCase {
  const char* name;
  int format;
  int sample_rate_hz;
};

class LossyTest : public testing::TestWithParam<LossyCase> {};

TEST_P(LossyTest, HasTheExactLengthAndNoDelay) {
  TempDir dir;
  for (const size_t num_frames : {1, 700, 3000}) {
    write_sndfile(dir / "a", GetParam().format, GetParam().sample_rate_hz, 2, make_noise(num_frames, 2));
    EXPECT_EQ(read_all(dir / "a").num_frames(), num_frames);
  }
  const auto written = make_noise(20000, 2);
  write_sndfile(dir / "a", GetParam().format, GetParam().sample_rate_hz, 2, written);
  const Audio audio = read_all(dir / "a");
  EXPECT_EQ(audio.num_frames(), 20000U);
  EXPECT_GT(snr_db(written, audio.samples), 15.0);
}

INSTANTIATE_TEST_SUITE_P(Formats, LossyTest,
                         testing::Values(LossyCase{"Vorbis", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 44100},
                                         LossyCase{"Opus", SF_FORMAT_OGG | SF_FORMAT_OPUS, 48000},
                                         LossyCase{"Mp3", SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III, 44100}),
                         [](const auto& test) { return test.param.name; });

class FfmpegTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_ffmpeg()) GTEST_SKIP() << "the ffmpeg program, which makes this test's files, is not installed";
    written_ = make_noise(30000, 2);
    write_sndfile(dir_ / "a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, kRateHz, 2, written_);
  }
  TempDir dir_;
  std::vector<float> written_;
};

TEST_F(FfmpegTest, M4aStartsWithoutDelayAndIsAtMostAPacketLonger) {
  run_ffmpeg("-i " + (dir_ / "a.wav") + " -b:a 192k " + (dir_ / "a.m4a"));
  const Audio audio = read_all(dir_ / "a.m4a");
  EXPECT_NEAR(static_cast<double>(audio.estimated_num_frames), 30000, 44.1);  // an edit list counts milliseconds
  EXPECT_GE(audio.num_frames(), 30000U);
  EXPECT_LT(audio.num_frames(), 30000U + 1024U);
  EXPECT_GT(snr_db(written_, audio.samples), 15.0);
  EXPECT_EQ(audio.num_damaged_packets, 0);
}

TEST_F(FfmpegTest, OtherContainersAndEncodingsAreRead) {
  for (const std::string extension : {"aac", "mka", "wma", "ac3", "wv", "mp2", "ts", "tta"}) {
    run_ffmpeg("-i " + (dir_ / "a.wav") + " -b:a 192k " + (dir_ / "a." + extension));
    const Audio audio = read_all(dir_ / "a." + extension);
    EXPECT_NEAR(static_cast<double>(audio.num_frames()), 30000.0, 2500.0) << extension;
    EXPECT_EQ(audio.info.source_sample_rate_hz, kRateHz) << extension;
  }
}

TEST_F(FfmpegTest, EveryStreamOfAStemFileIsRead) {
  const auto other = make_noise(30001, 2);
  write_sndfile(dir_ / "b.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, kRateHz, 2, other);
  run_ffmpeg("-i " + (dir_ / "a.wav") + " -i " + (dir_ / "b.wav") + " -map 0:a -map 1:a -b:a 192k " +
             (dir_ / "a.stem.mp4"));
  EXPECT_EQ(read_all(dir_ / "a.stem.mp4").info.num_audio_streams, 2);
  EXPECT_GT(snr_db(written_, read_all(dir_ / "a.stem.mp4", {.stream_index = 0}).samples), 15.0);
  EXPECT_GT(snr_db(other, read_all(dir_ / "a.stem.mp4", {.stream_index = 1}).samples), 15.0);
  EXPECT_ERROR(AudioReader::open(dir_ / "a.stem.mp4", {.stream_index = 2}), ExitCode::kUsage,
               AllOf(HasSubstr("has 2 audio stream"), HasSubstr("no stream 2")));
  EXPECT_ERROR(AudioReader::open(dir_ / "a.wav", {.stream_index = 1}), ExitCode::kUsage, HasSubstr("1 audio stream"));
  EXPECT_ERROR(AudioReader::open(dir_ / "a.wav", {.stream_index = -1}), ExitCode::kUsage, HasSubstr("from 0"));
}

TEST_F(FfmpegTest, AVideoFilesSoundIsReadAndAnImageIsRefused) {
  run_ffmpeg("-f lavfi -i color=red:s=32x32:d=1 -frames:v 1 -update 1 " + (dir_ / "a.png"));
  EXPECT_ERROR(AudioReader::open(dir_ / "a.png"), ExitCode::kBadFile, HasSubstr("is not audio"));
  run_ffmpeg("-f lavfi -i color=red:s=32x32:d=0.5 -i " + (dir_ / "a.wav") + " -c:v mpeg4 " + (dir_ / "a.mkv"));
  EXPECT_GE(read_all(dir_ / "a.mkv").num_frames(), 30000U);
  run_ffmpeg("-f lavfi -i color=red:s=32x32:d=0.5 -c:v mpeg4 " + (dir_ / "silent.mkv"));
  EXPECT_ERROR(AudioReader::open(dir_ / "silent.mkv"), ExitCode::kBadFile, HasSubstr("without an audio stream"));
}

TEST_F(FfmpegTest, AnM4aWithItsIndexAtTheEndIsReadFromAPipe) {
  run_ffmpeg("-i " + (dir_ / "a.wav") + " -b:a 192k " + (dir_ / "a.m4a"));
  const std::string bytes = read_bytes(dir_ / "a.m4a");
  ASSERT_LT(bytes.find("mdat"), bytes.find("moov"));
  const std::span data(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  auto piped = AudioReader::open_source(make_memory_source(data, false), "pipe", {.sample_rate_hz = 0});
  EXPECT_EQ(read_all(*piped).samples, read_all(dir_ / "a.m4a").samples);
}

TEST_F(FfmpegTest, AWavOfUnknownLengthIsReadFromAPipe) {
  run_ffmpeg("-i " + (dir_ / "a.wav") + " -f wav - > " + (dir_ / "piped.wav"));
  const std::string bytes = read_bytes(dir_ / "piped.wav");
  ASSERT_NE(bytes.find("data\xff\xff\xff\xff"), std::string::npos);
  const std::span data(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  auto piped = AudioReader::open_source(make_memory_source(data, false), "pipe", {.sample_rate_hz = 0});
  EXPECT_EQ(piped->estimated_num_frames(), -1);
  const auto expected = read_all(dir_ / "a.wav").samples;
  EXPECT_EQ(read_all(*piped).samples, expected);
  EXPECT_EQ(read_all(dir_ / "piped.wav").samples, expected);  // and when it was kept as a file
}

TEST_F(FfmpegTest, DamageInTheMiddleOfAnM4aIsCountedAndTheRestDecodes) {
  run_ffmpeg("-i " + (dir_ / "a.wav") + " -b:a 192k " + (dir_ / "a.m4a"));
  std::string bytes = read_bytes(dir_ / "a.m4a");
  const size_t middle = bytes.find("mdat") + 6000;
  std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(middle), 600, '\xff');
  write_bytes(dir_ / "bad.m4a", bytes);
  const Audio audio = read_all(dir_ / "bad.m4a");
  EXPECT_GT(audio.num_damaged_packets, 0);
  EXPECT_GT(audio.num_frames(), 20000U);
}

TEST_F(FfmpegTest, ACutM4aIsRefused) {
  run_ffmpeg("-i " + (dir_ / "a.wav") + " " + (dir_ / "a.m4a"));
  write_bytes(dir_ / "cut.m4a", read_bytes(dir_ / "a.m4a").substr(0, 5000));
  EXPECT_ERROR(AudioReader::open(dir_ / "cut.m4a"), ExitCode::kBadFile,
               AllOf(HasSubstr("cut.m4a"), HasSubstr("moov atom not found")));
}

// A playlist must not make us open other files.
TEST_F(FfmpegTest, PlaylistsAreRefused) {
  write_bytes(dir_ / "list.wav", "ffconcat version 1.0\nfile a.wav\n");
  EXPECT_ERROR(AudioReader::open(dir_ / "list.wav"), ExitCode::kBadFile, HasSubstr("is not audio"));
  write_bytes(dir_ / "list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n" + (dir_ / "a.wav") + "\n");
  EXPECT_ERROR(AudioReader::open(dir_ / "list.m3u8"), ExitCode::kBadFile, HasSubstr("is not audio"));
}

// --- Standard input -------------------------------------------------------------------------------------------------

// Puts another file descriptor in the place of standard input while it lives.
class StdinFrom {
 public:
  explicit StdinFrom(int fd) : saved_(dup(STDIN_FILENO)) {
    dup2(fd, STDIN_FILENO);
    close(fd);
  }
  ~StdinFrom() {
    dup2(saved_, STDIN_FILENO);
    close(saved_);
  }

 private:
  int saved_;
};

TEST(AudioReaderStdin, APipeInSmallPiecesIsRead) {
  TempDir dir;
  const auto written = make_noise(50000, 2);
  write_sndfile(dir / "a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, kRateHz, 2, written);
  const std::string bytes = read_bytes(dir / "a.wav");
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::thread writer([&] {
    for (size_t i = 0; i < bytes.size(); i += 997) {
      const size_t count = std::min<size_t>(997, bytes.size() - i);
      ASSERT_EQ(write(ends[1], bytes.data() + i, count), static_cast<ssize_t>(count));
    }
    close(ends[1]);
  });
  StdinFrom redirected(ends[0]);
  EXPECT_EQ(read_all("-").samples, written);
  writer.join();
}

TEST(AudioReaderStdin, AFileIsReadFromWhereItStands) {
  TempDir dir;
  const auto written = make_noise(3000, 2);
  write_sndfile(dir / "a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, kRateHz, 2, written);
  write_bytes(dir / "b", "12345" + read_bytes(dir / "a.wav"));
  const int fd = open((dir / "b").c_str(), O_RDONLY);
  ASSERT_EQ(lseek(fd, 5, SEEK_SET), 5);
  StdinFrom redirected(fd);
  EXPECT_EQ(read_all("-").samples, written);
}

TEST(AudioReaderStdin, NothingAndNoAudioAreRefused) {
  {
    StdinFrom redirected(open("/dev/null", O_RDONLY));
    EXPECT_ERROR(AudioReader::open("-"), ExitCode::kBadFile, AllOf(HasSubstr("standard input"), HasSubstr("empty")));
  }
  StdinFrom redirected(open("/", O_RDONLY));
  EXPECT_ERROR(AudioReader::open("-"), ExitCode::kIo, HasSubstr("directory"));
}

TEST(AudioReaderStdin, AnEndlessDeviceIsRefused) {
  EXPECT_ERROR(AudioReader::open("/dev/zero"), ExitCode::kBadFile, HasSubstr("/dev/zero: is not audio"));
}

// --- Rates and lengths ----------------------------------------------------------------------------------------------

TEST(AudioReader, EveryRateGivesTheRoundedLength) {
  TempDir dir;
  for (const int rate_hz : {8000, 11025, 16000, 22050, 32000, 44100, 48000, 88200, 96000, 192000}) {
    for (const size_t num_frames : {size_t{1}, size_t{2}, size_t{5000}, static_cast<size_t>(rate_hz)}) {
      write_sndfile(dir / "a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, rate_hz, 1, make_noise(num_frames, 1));
      const Audio audio = read_all(dir / "a.wav", {.sample_rate_hz = 44100});
      const auto expected = static_cast<size_t>(
          std::floor(static_cast<double>(num_frames) * 44100.0 / static_cast<double>(rate_hz) + 0.5));
      EXPECT_EQ(audio.num_frames(), expected) << rate_hz << " Hz, " << num_frames;
      EXPECT_EQ(audio.estimated_num_frames, static_cast<int64_t>(expected));
    }
  }
}

TEST(AudioReader, NoSamplesGiveNoFrames) {
  TempDir dir;
  for (const int format : {SF_FORMAT_WAV | SF_FORMAT_PCM_16, SF_FORMAT_WAV | SF_FORMAT_FLOAT,
                           SF_FORMAT_RF64 | SF_FORMAT_PCM_16, SF_FORMAT_AIFF | SF_FORMAT_PCM_16}) {
    write_sndfile(dir / "a", format, 48000, 2, {});
    EXPECT_EQ(read_all(dir / "a", {}).num_frames(), 0U) << std::hex << format;
  }
}

TEST(AudioReader, OneSampleIsRead) {
  TempDir dir;
  write_sndfile(dir / "a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, kRateHz, 1, {0.25F});
  EXPECT_EQ(read_all(dir / "a.wav").samples, (std::vector<float>{0.25F, 0.25F}));
}

TEST(AudioReader, BlockSizeDoesNotMatter) {
  TempDir dir;
  write_sndfile(dir / "a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 48000, 2, make_noise(20000, 2));
  const auto expected = read_all(dir / "a.wav", {}).samples;
  for (const size_t block_frames : {1, 7, 4096, 100000}) {
    EXPECT_EQ(read_all(*AudioReader::open(dir / "a.wav"), block_frames).samples, expected) << block_frames;
  }
  auto reader = AudioReader::open(dir / "a.wav");
  std::vector<float> odd(5);
  EXPECT_EQ(reader->read(odd), 2U);
  EXPECT_EQ(reader->read({}), 0U);
}

TEST(AudioReader, AbsurdWantedRatesAreRefused) {
  TempDir dir;
  write_sndfile(dir / "a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 48000, 2, make_noise(10, 2));
  for (const int rate_hz : {-1, 1, 999, 768001, std::numeric_limits<int>::max()}) {
    EXPECT_ERROR(AudioReader::open(dir / "a.wav", {.sample_rate_hz = rate_hz}), ExitCode::kUsage,
                 HasSubstr("expected"));
  }
}

// --- Values and channels --------------------------------------------------------------------------------------------

TEST(AudioReader, ValuesThatAreNotFiniteBecomeZeroAndAreCounted) {
  TempDir dir;
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInf = std::numeric_limits<float>::infinity();
  write_sndfile(dir / "a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, kRateHz, 2, {0.5F, kNan, kInf, -kInf, 3.5F, -7.0F});
  const Audio audio = read_all(dir / "a.wav");
  EXPECT_EQ(audio.samples, (std::vector<float>{0.5F, 0, 0, 0, 3.5F, -7.0F}));
  EXPECT_EQ(audio.num_bad_samples, 3);
}

// Found by the fuzzer: the resampler made NaN of sums that overflowed.
TEST(AudioReader, AbsurdlyLoudSamplesDoNotOverflowInTheResampler) {
  TempDir dir;
  std::vector<float> samples;
  for (int i = 0; i < 4000; ++i) samples.push_back(i % 3 == 0 ? 3.3e38F : i % 3 == 1 ? -3.3e38F : 2e9F);
  write_sndfile(dir / "a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, 8000, 1, samples);
  const Audio audio = read_all(dir / "a.wav");
  EXPECT_EQ(audio.num_bad_samples, 2667);
  EXPECT_TRUE(std::ranges::all_of(audio.samples, [](float sample) { return std::isfinite(sample); }));
}

TEST(AudioReader, MoreThanTwoChannelsAreRefusedWithAReason) {
  TempDir dir;
  write_sndfile(dir / "a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, kRateHz, 6, make_noise(100, 6));
  EXPECT_ERROR(AudioReader::open(dir / "a.wav"), ExitCode::kUsage,
               AllOf(HasSubstr("a.wav: has 6 channels (5.1"), HasSubstr("--downmix")));
}

// One channel at a time sounds; what comes out is that channel's gain.
TEST(AudioReader, KnownLayoutsAreMixedDownByBs775) {
  TempDir dir;
  constexpr float kMinus3Db = 0.70710678F;
  const std::vector<std::pair<float, float>> expected = {{1, 0}, {0, 1},         {kMinus3Db, kMinus3Db},
                                                         {0, 0}, {kMinus3Db, 0}, {0, kMinus3Db}};
  std::vector<float> samples(6 * 6);
  for (size_t i = 0; i < 6; ++i) samples[7 * i] = 0.5F;
  const std::vector<int> map = {SF_CHANNEL_MAP_LEFT, SF_CHANNEL_MAP_RIGHT,     SF_CHANNEL_MAP_CENTER,
                                SF_CHANNEL_MAP_LFE,  SF_CHANNEL_MAP_REAR_LEFT, SF_CHANNEL_MAP_REAR_RIGHT};
  write_sndfile(dir / "mask.wav", SF_FORMAT_WAVEX | SF_FORMAT_FLOAT, kRateHz, 6, samples, map);
  write_sndfile(dir / "plain.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, kRateHz, 6, samples);
  write_sndfile(dir / "a.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, kRateHz, 6, samples);
  for (const char* name : {"mask.wav", "plain.wav", "a.flac"}) {
    const Audio audio = read_all(dir / name, {.sample_rate_hz = 0, .downmix = true});
    ASSERT_EQ(audio.num_frames(), 6U) << name;
    EXPECT_EQ(audio.info.source_num_channels, 6) << name;
    for (size_t i = 0; i < 6; ++i) {
      EXPECT_NEAR(audio.samples[2 * i], 0.5F * expected[i].first, 1e-6) << name << " channel " << i;
      EXPECT_NEAR(audio.samples[2 * i + 1], 0.5F * expected[i].second, 1e-6) << name << " channel " << i;
    }
  }
}

TEST(AudioReader, AnUnknownLayoutIsMixedDownInPairs) {
  TempDir dir;
  std::vector<float> samples(11 * 11);
  for (size_t i = 0; i < 11; ++i) samples[12 * i] = 0.6F;
  write_sndfile(dir / "a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, kRateHz, 11, samples);
  const Audio audio = read_all(dir / "a.wav", {.sample_rate_hz = 0, .downmix = true});
  for (size_t i = 0; i < 11; ++i) {
    EXPECT_NEAR(audio.samples[2 * i], i % 2 == 0 ? 0.1F : 0.0F, 1e-6) << i;
    EXPECT_NEAR(audio.samples[2 * i + 1], i % 2 == 0 ? 0.0F : 0.1F, 1e-6) << i;
  }
}

// --- Bad input ------------------------------------------------------------------------------------------------------

TEST(AudioReaderBadInput, WhatCannotBeOpenedIsAnIoError) {
  TempDir dir;
  EXPECT_ERROR(AudioReader::open(dir / "none.wav"), ExitCode::kIo,
               AllOf(HasSubstr("none.wav"), HasSubstr("No such file")));
  EXPECT_ERROR(AudioReader::open(dir.path()), ExitCode::kIo, AllOf(HasSubstr(dir.path()), HasSubstr("is a directory")));
  write_sndfile(dir / "a.wav", SF_FORMAT_WAV | SF_FORMAT_FLOAT, kRateHz, 2, make_noise(10, 2));
  ASSERT_EQ(chmod((dir / "a.wav").c_str(), 0), 0);
  const uid_t user = geteuid();
  ASSERT_EQ(seteuid(user == 0 ? 65534 : user), 0);  // nothing is forbidden to root
  EXPECT_ERROR(AudioReader::open(dir / "a.wav"), ExitCode::kIo, HasSubstr("Permission denied"));
  ASSERT_EQ(seteuid(user), 0);
}

TEST(AudioReaderBadInput, AnEmptyFileIsNamedSo) {
  TempDir dir;
  write_bytes(dir / "a.wav", "");
  EXPECT_ERROR(AudioReader::open(dir / "a.wav"), ExitCode::kBadFile, AllOf(HasSubstr("a.wav"), HasSubstr("empty")));
}

TEST(AudioReaderBadInput, FilesThatAFuzzerFoundAreRefused) {
  // Each with a part of its message.
  const std::vector<std::pair<std::string, std::string>> files = {
      {"vorbis_headers.ogg", "is not audio that can be read"}};
  const std::string folder = std::string(std::getenv("VQCODEC_SOURCE_DIR")) + "/tests/data/bad/audio/";
  for (const auto& [name, message] : files) {
    EXPECT_ERROR(AudioReader::open(folder + name), ExitCode::kBadFile, AllOf(HasSubstr(name), HasSubstr(message)));
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder), {}), static_cast<std::ptrdiff_t>(files.size()));
}

TEST(AudioReaderBadInput, WhatIsNoAudioIsRefused) {
  TempDir dir;
  std::mt19937 random(1);
  std::string noise(100000, '\0');
  for (char& c : noise) c = static_cast<char>(random());
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "This is the " + std::to_string(i) + "th line of a letter.\n";
  for (const std::string& bytes : {std::string("R"), std::string("hello\n"), text, std::string(50000, '\0'), noise,
                                   std::string("RIFF\x10\0\0\0WAVE", 12), std::string("fLaC"), std::string("OggS"),
                                   std::string("ID3"), std::string("\xff\xfb"), "RIFF" + text, "ID3" + text}) {
    write_bytes(dir / "a.wav", bytes);
    EXPECT_ERROR(AudioReader::open(dir / "a.wav"), ExitCode::kBadFile,
                 AllOf(HasSubstr("a.wav: is not audio"), HasSubstr("expected WAV, FLAC")));
  }
}

std::string wav_header(int num_channels, int rate_hz, int bits, uint32_t data_bytes) {
  std::string bytes = "RIFF";
  const auto put = [&](uint32_t value, int count) {
    for (int i = 0; i < count; ++i) bytes.push_back(static_cast<char>(value >> (8 * i)));
  };
  const int frame_bytes = num_channels * bits / 8;
  put(36 + data_bytes, 4);
  bytes += "WAVEfmt ";
  put(16, 4);
  put(1, 2);
  put(static_cast<uint32_t>(num_channels), 2);
  put(static_cast<uint32_t>(rate_hz), 4);
  put(static_cast<uint32_t>(rate_hz) * static_cast<uint32_t>(frame_bytes), 4);
  put(static_cast<uint32_t>(frame_bytes), 2);
  put(static_cast<uint32_t>(bits), 2);
  bytes += "data";
  put(data_bytes, 4);
  return bytes;
}

TEST(AudioReaderBadInput, AbsurdHeadersAreRefused) {
  TempDir dir;
  const std::string data(1000, 'x');
  struct {
    int num_channels, rate_hz, bits;
  } cases[] = {{0, 44100, 16}, {65, 44100, 16}, {1000, 44100, 16}, {2, 0, 16}, {2, 1, 16}, {2, 2000000000, 16}};
  for (const auto& c : cases) {
    write_bytes(dir / "a.wav", wav_header(c.num_channels, c.rate_hz, c.bits, 1000) + data);
    EXPECT_ERROR(AudioReader::open(dir / "a.wav", {.downmix = true}), ExitCode::kBadFile, HasSubstr("a.wav"));
    const std::string bytes = read_bytes(dir / "a.wav");
    const std::span span(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    EXPECT_ERROR(AudioReader::open_source(make_memory_source(span, false), "pipe", {.downmix = true}),
                 ExitCode::kBadFile, HasSubstr("pipe"));
  }
  write_bytes(dir / "a.wav", wav_header(2, 44100, 16, 1000) + data);
  EXPECT_EQ(read_all(dir / "a.wav").num_frames(), 250U);  // so it was the header
}

TEST(AudioReaderBadInput, EveryPrefixGivesAnErrorOrASoundOfAtMostItsLength) {
  TempDir dir;
  const auto written = make_noise(300, 2);
  for (const int format : {SF_FORMAT_WAV | SF_FORMAT_PCM_16, SF_FORMAT_FLAC | SF_FORMAT_PCM_16,
                           SF_FORMAT_OGG | SF_FORMAT_VORBIS, SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III}) {
    write_sndfile(dir / "a", format, kRateHz, 2, written);
    const std::string bytes = read_bytes(dir / "a");
    const bool is_lossless =
        format != (SF_FORMAT_OGG | SF_FORMAT_VORBIS) && format != (SF_FORMAT_MPEG | SF_FORMAT_MPEG_LAYER_III);
    for (size_t size = 0; size < bytes.size(); size += size < 200 ? 1 : 23) {
      const std::span data(reinterpret_cast<const uint8_t*>(bytes.data()), size);
      for (const bool is_seekable : {true, false}) {
        try {
          auto reader = AudioReader::open_source(make_memory_source(data, is_seekable), "cut", {.sample_rate_hz = 0});
          const size_t num_frames = read_all(*reader).num_frames();
          EXPECT_LE(num_frames, is_lossless ? 300U : 300U + 3 * 1152U) << size;
        } catch (const Error& error) {
          EXPECT_THAT(error.code(), AnyOf(ExitCode::kBadFile, ExitCode::kUsage)) << error.what();
          EXPECT_THAT(error.what(), HasSubstr("cut: "));
        }
      }
    }
  }
}

TEST(AudioReaderBadInput, AnRf64HeaderThatAnnouncesTenGigabytesIsReadAsFarAsItGoes) {
  TempDir dir;
  const auto written = make_noise(1000, 2);
  write_sndfile(dir / "a.wav", SF_FORMAT_RF64 | SF_FORMAT_PCM_16, kRateHz, 2, written);
  std::string bytes = read_bytes(dir / "a.wav");
  ASSERT_EQ(bytes.substr(0, 4), "RF64");
  const size_t ds64 = bytes.find("ds64") + 8;
  const uint64_t sizes[] = {10'000'000'100, 10'000'000'000, 2'500'000'000};
  bytes.replace(ds64, 24, std::string(reinterpret_cast<const char*>(sizes), 24));
  write_bytes(dir / "a.wav", bytes);
  EXPECT_EQ(read_all(dir / "a.wav").num_frames(), 1000U);
}

TEST(AudioReaderBadInput, ABrokenFlacGivesWhatDecodesOrAnError) {
  TempDir dir;
  write_sndfile(dir / "a.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, kRateHz, 2, make_noise(50000, 2));
  std::string bytes = read_bytes(dir / "a.flac");
  std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(bytes.size() / 2), 2000, '\x55');
  write_bytes(dir / "a.flac", bytes);
  try {
    EXPECT_GT(read_all(dir / "a.flac").num_frames(), 20000U);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kBadFile);
    EXPECT_THAT(error.what(), AllOf(HasSubstr("a.flac: cannot be decoded after"), HasSubstr("damaged")));
  }
}

// A disk that fails while it is read.
class FailingSource : public ByteSource {
 public:
  FailingSource(std::span<const uint8_t> bytes, int64_t limit, bool is_seekable)
      : source_(make_memory_source(bytes, is_seekable)), limit_(limit) {}
  int64_t read(std::span<uint8_t> bytes) noexcept override {
    if (position() + static_cast<int64_t>(bytes.size()) <= limit_) return source_->read(bytes);
    error_number_ = EIO;
    return -1;
  }
  bool seek(int64_t position) noexcept override { return source_->seek(position); }
  bool is_seekable() const noexcept override { return source_->is_seekable(); }
  int64_t position() const noexcept override { return source_->position(); }
  int64_t size() const noexcept override { return source_->size(); }

 private:
  std::unique_ptr<ByteSource> source_;
  int64_t limit_;
};

TEST(AudioReaderBadInput, AReadThatFailsIsAnIoError) {
  TempDir dir;
  for (const int format :
       {SF_FORMAT_WAV | SF_FORMAT_PCM_16, SF_FORMAT_FLAC | SF_FORMAT_PCM_16, SF_FORMAT_AIFF | SF_FORMAT_PCM_16}) {
    write_sndfile(dir / "a", format, kRateHz, 2, make_noise(200000, 2));
    const std::string bytes = read_bytes(dir / "a");
    const std::span data(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    for (const int64_t limit : {int64_t{4}, int64_t{100}, static_cast<int64_t>(bytes.size() / 2)}) {
      for (const bool is_seekable : {true, false}) {
        EXPECT_ERROR(
            {
              auto reader =
                  AudioReader::open_source(std::make_unique<FailingSource>(data, limit, is_seekable), "a", {});
              read_all(*reader);
            },
            ExitCode::kIo, HasSubstr("Input/output error"));
      }
    }
  }
}

}  // namespace
}  // namespace vqcodec::audio
