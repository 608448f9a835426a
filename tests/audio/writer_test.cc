#include "audio/writer.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <limits>
#include <thread>

#include "tests/audio/audio_test_util.h"
#include "tests/base/expect_error.h"

namespace vqcodec::audio {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

int64_t write_file(const std::string& path, const WriterOptions& options, const std::vector<float>& samples,
                   size_t block = 999) {
  auto writer = AudioWriter::open(path, options);
  for (size_t i = 0; i < samples.size(); i += block * static_cast<size_t>(options.num_channels)) {
    writer->write(
        std::span(samples).subspan(i, std::min(samples.size() - i, block * static_cast<size_t>(options.num_channels))));
  }
  writer->finish();
  return writer->num_clipped_samples();
}

struct FormatCase {
  const char* name;
  const char* file;
  SampleFormat format;
  double tolerance;
};

class WriterFormatTest : public testing::TestWithParam<FormatCase> {};

TEST_P(WriterFormatTest, WhatIsWrittenIsReadBack) {
  TempDir dir;
  for (const int num_channels : {1, 2}) {
    for (const size_t num_frames : {0, 1, 3, 5001, 40000}) {
      const auto samples = make_noise(num_frames, static_cast<size_t>(num_channels));
      const std::string path = dir / GetParam().file;
      EXPECT_EQ(write_file(path,
                           {.sample_rate_hz = 48000,
                            .num_channels = num_channels,
                            .sample_format = GetParam().format,
                            .force = true},
                           samples),
                0);
      const Audio audio = read_all(path);
      EXPECT_EQ(audio.info.source_sample_rate_hz, 48000);
      EXPECT_EQ(audio.info.source_num_channels, num_channels);
      // 0 in a FLAC header means unknown.
      const bool is_unknown = num_frames == 0 && audio.info.format.starts_with("FLAC");
      EXPECT_EQ(audio.info.source_num_frames, is_unknown ? -1 : static_cast<int64_t>(num_frames));
      const auto expected = num_channels == 1 ? to_stereo(samples) : samples;
      ASSERT_EQ(audio.samples.size(), expected.size());
      for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(audio.samples[i], expected[i], GetParam().tolerance);
    }
  }
  EXPECT_THAT(dir.list(), ElementsAre(GetParam().file));
}

// Reading what was written and writing it again gives the same bytes: no drift over generations.
TEST_P(WriterFormatTest, ASecondGenerationIsTheSame) {
  TempDir dir;
  const WriterOptions options = {.sample_format = GetParam().format};
  write_file(dir / (std::string("1-") + GetParam().file), options, make_noise(5000, 2));
  write_file(dir / (std::string("2-") + GetParam().file), options,
             read_all(dir / (std::string("1-") + GetParam().file)).samples);
  EXPECT_EQ(read_bytes(dir / (std::string("1-") + GetParam().file)),
            read_bytes(dir / (std::string("2-") + GetParam().file)));
}

INSTANTIATE_TEST_SUITE_P(Formats, WriterFormatTest,
                         testing::Values(FormatCase{"Wav16", "a.wav", SampleFormat::kPcm16, 0.5001 / 32768},
                                         FormatCase{"Wav24", "a.wav", SampleFormat::kPcm24, 0.5001 / 8388608},
                                         FormatCase{"WavFloat", "a.WAV", SampleFormat::kFloat32, 0},
                                         FormatCase{"Flac16", "a.flac", SampleFormat::kPcm16, 0.5001 / 32768},
                                         FormatCase{"Flac24", "a.Flac", SampleFormat::kPcm24, 0.5001 / 8388608}),
                         [](const auto& test) { return test.param.name; });

TEST(AudioWriter, HeaderAgreesWithLibsndfileAndFfmpeg) {
  TempDir dir;
  write_file(dir / "a.wav", {.num_channels = 1, .sample_format = SampleFormat::kPcm24}, make_noise(101, 1));
  const std::string bytes = read_bytes(dir / "a.wav");
  EXPECT_EQ(bytes.size(), 80U + 303U + 1U);  // padded to an even length
  SF_INFO info = {};
  SNDFILE* file = sf_open((dir / "a.wav").c_str(), SFM_READ, &info);
  ASSERT_NE(file, nullptr);
  sf_close(file);
  EXPECT_EQ(info.frames, 101);
  EXPECT_EQ(info.format, SF_FORMAT_WAV | SF_FORMAT_PCM_24);
  if (!has_ffmpeg()) GTEST_SKIP() << "the ffmpeg program is not installed";
  run_ffmpeg("-i " + (dir / "a.wav") + " -f f32le " + (dir / "a.raw"));
  EXPECT_EQ(read_bytes(dir / "a.raw").size(), 101 * sizeof(float));
}

TEST(AudioWriter, LoudAndNotFiniteSamplesAreClippedAndCounted) {
  TempDir dir;
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const std::vector<float> samples = {1.0F, -1.0F, 1.5F, -2.0F, kInf, -kInf, std::nanf(""), 0.25F};
  const std::vector<float> expected = {32767 / 32768.0F, -1, 32767 / 32768.0F, -1, 32767 / 32768.0F, -1, 0, 0.25F};
  for (const char* name : {"a.wav", "a.flac"}) {
    EXPECT_EQ(write_file(dir / name, {}, samples), 5) << name;
    EXPECT_EQ(read_all(dir / name).samples, expected) << name;
  }
  EXPECT_EQ(write_file(dir / "float.wav", {.sample_format = SampleFormat::kFloat32}, {3.0F, -4.0F}), 0);
  EXPECT_EQ(read_all(dir / "float.wav").samples, (std::vector<float>{3.0F, -4.0F}));
}

// The limit stands for 4 GiB.
TEST(AudioWriter, PastTheLimitAWavBecomesRf64) {
  TempDir dir;
  const auto samples = make_noise(1000, 2);
  for (const SampleFormat format : {SampleFormat::kPcm16, SampleFormat::kFloat32}) {
    const uint64_t data_bytes = 2000 * (format == SampleFormat::kPcm16 ? 2 : 4);
    const uint64_t riff_bytes = data_bytes + (format == SampleFormat::kPcm16 ? 72 : 86);
    for (const bool is_rf64 : {false, true}) {
      write_file(dir / "a.wav",
                 {.sample_format = format, .force = true, .max_riff_bytes = riff_bytes - (is_rf64 ? 1 : 0)}, samples);
      const std::string bytes = read_bytes(dir / "a.wav");
      EXPECT_EQ(bytes.substr(0, 4), is_rf64 ? "RF64" : "RIFF");
      EXPECT_EQ(bytes.substr(4, 4) == "\xff\xff\xff\xff", is_rf64);
      EXPECT_EQ(bytes.substr(12, 4), is_rf64 ? "ds64" : "JUNK");
      if (is_rf64) {
        uint64_t sizes[3] = {};
        bytes.copy(reinterpret_cast<char*>(sizes), sizeof(sizes), 20);
        EXPECT_THAT(sizes, ElementsAre(riff_bytes, data_bytes, 1000));
      }
      SF_INFO info = {};
      SNDFILE* file = sf_open((dir / "a.wav").c_str(), SFM_READ, &info);
      ASSERT_NE(file, nullptr) << sf_strerror(nullptr);
      sf_close(file);
      EXPECT_EQ(info.frames, 1000);
      EXPECT_EQ((info.format & SF_FORMAT_TYPEMASK) == SF_FORMAT_RF64, is_rf64);
      EXPECT_EQ(read_all(dir / "a.wav").num_frames(), 1000U);
      if (has_ffmpeg()) {
        run_ffmpeg("-i " + (dir / "a.wav") + " -f f32le " + (dir / "a.raw"));
        EXPECT_EQ(read_bytes(dir / "a.raw").size(), 2000 * sizeof(float));
      }
    }
  }
}

// Standard output is a pipe or a file here while `body` runs; gtest must not print meanwhile.
template <typename Body>
void with_stdout(int fd, Body body) {
  std::fflush(stdout);
  const int saved = dup(STDOUT_FILENO);
  dup2(fd, STDOUT_FILENO);
  try {
    body();
  } catch (...) {
    dup2(saved, STDOUT_FILENO);
    close(saved);
    throw;
  }
  dup2(saved, STDOUT_FILENO);
  close(saved);
}

TEST(AudioWriterStdout, APipeGetsAWavOfUnknownLengthThatTheReaderTakes) {
  TempDir dir;
  const auto samples = make_noise(2000, 2);
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::string bytes;
  std::thread reader([&] {
    char block[4096];
    for (ssize_t count = 0; (count = read(ends[0], block, sizeof(block))) > 0;) {
      bytes.append(block, static_cast<size_t>(count));
    }
  });
  with_stdout(ends[1], [&] { write_file("-", {.sample_format = SampleFormat::kFloat32}, samples); });
  close(ends[1]);
  reader.join();
  close(ends[0]);
  EXPECT_EQ(bytes.substr(0, 8), "RIFF\xff\xff\xff\xff");
  EXPECT_EQ(bytes.substr(86, 8), "data\xff\xff\xff\xff");
  write_bytes(dir / "a.wav", bytes);
  EXPECT_EQ(read_all(dir / "a.wav").samples, samples);
  EXPECT_EQ(bytes.size(), 94 + samples.size() * sizeof(float));
}

TEST(AudioWriterStdout, ARedirectedFileGetsItsSizes) {
  TempDir dir;
  const auto samples = make_noise(2000, 2);
  write_file(dir / "expected.wav", {}, samples);
  std::FILE* file = std::fopen((dir / "a.wav").c_str(), "wb");
  std::fputs("before", file);
  std::fflush(file);
  with_stdout(fileno(file), [&] { write_file("-", {}, samples); });
  std::fclose(file);
  EXPECT_EQ(read_bytes(dir / "a.wav"), "before" + read_bytes(dir / "expected.wav"));
}

TEST(AudioWriterStdout, AFullDeviceIsAnError) {
  std::FILE* full = std::fopen("/dev/full", "wb");
  ASSERT_NE(full, nullptr);
  EXPECT_ERROR(with_stdout(fileno(full), [] { AudioWriter::open("-"); }), ExitCode::kIo,
               AllOf(HasSubstr("standard output"), HasSubstr("No space left")));
  std::fclose(full);
  EXPECT_ERROR(write_file("/dev/full", {}, make_noise(10, 2)), ExitCode::kIo, HasSubstr("/dev/full"));
  write_file("/dev/null", {}, make_noise(10, 2));
}

TEST(AudioWriter, AFullDiskIsAnErrorAndLeavesNothing) {
  struct rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  for (const rlim_t max_bytes : {0, 10, 50000}) {
    for (const char* name : {"a.wav", "a.flac"}) {
      TempDir dir;
      const struct rlimit limit = {max_bytes, before.rlim_max};
      ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
      EXPECT_ERROR(write_file(dir / name, {}, make_noise(50000, 2)), ExitCode::kIo,
                   AllOf(HasSubstr(name), HasSubstr("File too large")));
      setrlimit(RLIMIT_FSIZE, &before);
      EXPECT_THAT(dir.list(), IsEmpty()) << name << " " << max_bytes;
    }
  }
  signal(SIGXFSZ, handler);
}

TEST(AudioWriter, AnExistingFileIsKeptWithoutForce) {
  TempDir dir;
  for (const char* name : {"a.wav", "a.flac"}) {
    write_bytes(dir / name, "old");
    EXPECT_ERROR(AudioWriter::open(dir / name), ExitCode::kUsage, AllOf(HasSubstr(name), HasSubstr("--force")));
    EXPECT_EQ(read_bytes(dir / name), "old");
    write_file(dir / name, {.force = true}, make_noise(10, 2));
    EXPECT_EQ(read_all(dir / name).num_frames(), 10U);
  }
  EXPECT_EQ(dir.list().size(), 2U);
}

TEST(AudioWriter, AnUnfinishedFileLeavesNothing) {
  TempDir dir;
  for (const char* name : {"a.wav", "a.flac"}) {
    auto writer = AudioWriter::open(dir / name);
    writer->write(make_noise(10000, 2));
    EXPECT_EQ(dir.list().size(), 1U);
    writer.reset();
    EXPECT_THAT(dir.list(), IsEmpty()) << name;
  }
}

TEST(AudioWriter, WhatCannotBeWrittenIsRefusedBeforeAnythingIsMade) {
  TempDir dir;
  EXPECT_ERROR(AudioWriter::open(dir / "a.flac", {.sample_format = SampleFormat::kFloat32}), ExitCode::kUsage,
               HasSubstr("FLAC has no float"));
  for (const char* name : {"a.mp3", "a", ".wav", "a.wav.txt"}) {
    EXPECT_ERROR(AudioWriter::open(dir / name), ExitCode::kUsage, HasSubstr("use .wav or .flac"));
  }
  for (const int rate_hz : {0, -5, 999, 768001}) {
    EXPECT_ERROR(AudioWriter::open(dir / "a.wav", {.sample_rate_hz = rate_hz}), ExitCode::kUsage, HasSubstr("Hz"));
  }
  EXPECT_ERROR(AudioWriter::open(dir / "a.flac", {.sample_rate_hz = 700000}), ExitCode::kUsage, HasSubstr("655350"));
  EXPECT_ERROR(AudioWriter::open(dir / "a.wav", {.num_channels = 0}), ExitCode::kUsage, HasSubstr("1 to 64"));
  EXPECT_ERROR(AudioWriter::open(dir / "a.flac", {.num_channels = 9}), ExitCode::kUsage, HasSubstr("1 to 8"));
  EXPECT_ERROR(AudioWriter::open(dir / "none/a.wav"), ExitCode::kIo, HasSubstr("No such file"));
  EXPECT_THAT(dir.list(), IsEmpty());
}

}  // namespace
}  // namespace vqcodec::audio
