// vqdata compare, as a person runs it: two sets of tones whose spectra and levels are known.
#include <filesystem>

#include <nlohmann/json.hpp>

#include "tests/apps/vqcodec_program.h"

namespace vqcodec::apps {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr double kSeconds = 6;

// A sine at `hz` of amplitude 0.25 on the left and 0.25 * `right` on the right; silent in its last `silent` seconds.
std::vector<float> tone(double hz, double right, double silent) {
  std::vector<float> samples(2 * static_cast<size_t>(kSeconds * 44100));
  for (size_t i = 0; i < samples.size() - 2 * static_cast<size_t>(silent * 44100); ++i) {
    const double x = 0.25 * std::sin(2 * M_PI * hz * static_cast<double>(i / 2) / 44100);
    samples[i] = static_cast<float>(i % 2 == 0 ? x : right * x);
  }
  return samples;
}

class DataCompare : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* folder : {"first/a", "second/a", "second/b"}) fs::create_directories(dir_ / folder);
    write_audio(dir_ / "first/a/bass.wav", tone(62.5, 1, 0));
    write_audio(dir_ / "first/a/other.wav", tone(1000, 1, 2));
    for (const char* song : {"second/a", "second/b"}) {
      write_audio(dir_ / song + "/bass.wav", tone(125, 1, 0));
      write_audio(dir_ / song + "/other.wav", tone(4000, -1, 0));
    }
  }
  Outcome compare(const std::vector<std::string>& more) const {
    std::vector<std::string> words = {"compare", dir_ / "first", dir_ / "second"};
    words.insert(words.end(), more.begin(), more.end());
    RunOptions options;
    options.program = fs::path(program_path()).replace_filename("vqdata").string();
    return run(words, options);
  }
  TempDir dir_;
};

TEST_F(DataCompare, FindsWhatTheTonesAre) {
  const Outcome outcome = compare({"--json", "--svg", dir_ / "plot.svg"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const json report = json::parse(outcome.out);
  const auto source = [&](const char* set, size_t s) { return report[set]["sources"][s]; };
  const auto median = [&](const json& values) { return values["median"].get<double>(); };
  EXPECT_EQ(source("first", 0)["songs"], 0);
  EXPECT_TRUE(source("first", 0)["rms_db"]["median"].is_null());
  EXPECT_EQ(source("second", 1)["songs"], 2);
  EXPECT_EQ(source("second", 1)["seconds_sounding"], 2 * kSeconds);
  for (const auto& [set, octave] : {std::pair{"first", 1}, std::pair{"second", 2}}) {
    const json bass = source(set, 1);
    EXPECT_EQ(bass["octave_db"].size(), 10u);
    for (int k = 0; k < 10; ++k) {
      if (k == octave) {
        EXPECT_NEAR(median(bass["octave_db"][static_cast<size_t>(k)]), 0, 0.2);
      } else {
        EXPECT_LT(median(bass["octave_db"][static_cast<size_t>(k)]), -15);
      }
    }
    // A sine's root mean square is 3 dB under its peak.
    EXPECT_NEAR(median(bass["rms_db"]), 20 * std::log10(0.25) - 3.01, 0.05);
    EXPECT_NEAR(median(bass["crest_db"]), 3.01, 0.05);
    EXPECT_NEAR(median(bass["range_db"]), 0, 0.05);
    EXPECT_LT(median(bass["side_db"]), -60);
    EXPECT_NEAR(median(bass["share"]), 1, 1e-9);
  }
  EXPECT_NEAR(median(source("second", 1)["below_mixture_db"]), -3.01, 0.05);
  EXPECT_GT(median(source("second", 3)["side_db"]), 60);
  EXPECT_NEAR(median(source("first", 3)["share"]), 4 / kSeconds, 1e-9);
  EXPECT_THAT(read_bytes(dir_ / "plot.svg"),
              AllOf(StartsWith("<"), HasSubstr("bass"), HasSubstr(">second<"), HasSubstr("</svg>")));
}

TEST_F(DataCompare, TableAndExcerpts) {
  const Outcome outcome = compare({"--excerpts", dir_ / "listen", "--excerpt-seconds", "3", "--max-songs", "1"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("bass: 1 songs with 6 s, and 1 with 6 s"), HasSubstr("nothing to compare"),
                                 HasSubstr("octave at 62.5 Hz, dB")));
  EXPECT_FALSE(fs::exists(dir_ / "listen/second-b.flac"));
  // Of the first song's two sources one is silent from 4 s on.
  const std::vector<float> first = read_audio(dir_ / "listen/first-a.flac");
  ASSERT_EQ(first.size(), 2u * 3 * 44100);
  const std::vector<float> bass = tone(62.5, 1, 0), other = tone(1000, 1, 2);
  for (size_t i = 0; i < first.size(); i += 101) EXPECT_NEAR(first[i], bass[i] + other[i], 2e-4);
}

TEST_F(DataCompare, RefusesWrongUse) {
  for (const auto& [words, code] : {std::pair{std::vector<std::string>{"--excerpt-seconds", "0"}, ExitCode::kUsage},
                                    std::pair{std::vector<std::string>{"--svg", dir_ / "no/plot.svg"}, ExitCode::kIo},
                                    std::pair{std::vector<std::string>{"third"}, ExitCode::kUsage}}) {
    const Outcome outcome = compare(words);
    EXPECT_EQ(outcome.exit_code, static_cast<int>(code)) << outcome.err;
    EXPECT_THAT(outcome.err, StartsWith("vqdata: "));
  }
  fs::remove_all(dir_ / "second");
  EXPECT_EQ(compare({}).exit_code, static_cast<int>(ExitCode::kIo));
}

}  // namespace
}  // namespace vqcodec::apps
