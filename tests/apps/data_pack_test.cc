// vqdata pack, as a person runs it.
#include <sys/resource.h>

#include <csignal>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "tests/apps/vqcodec_program.h"
#include "tests/dataset/layout_sets.h"

namespace vqcodec::apps {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

class DataPack : public testing::Test {
 protected:
  void SetUp() override { dataset::make_stems_set(songs_); }
  static Outcome vqdata(const std::vector<std::string>& arguments, RunOptions options = {}) {
    options.program = std::filesystem::path(program_path()).replace_filename("vqdata").string();
    return run(arguments, options);
  }
  Outcome pack(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"pack", songs_.path(), "--out", out_ / "set", "--sample-rate", "16000"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return vqdata(arguments);
  }
  void fails(const std::vector<std::string>& arguments, ExitCode code, const std::string& says) {
    const Outcome outcome = vqdata(arguments);
    EXPECT_EQ(outcome.exit_code, static_cast<int>(code)) << testing::PrintToString(arguments) << '\n' << outcome.err;
    EXPECT_THAT(outcome.err, AllOf(StartsWith("vqdata: "), HasSubstr(says)));
    EXPECT_THAT(outcome.out, IsEmpty());
  }
  TempDir songs_, out_;
};

TEST_F(DataPack, PacksASetThatCheckFindsGood) {
  const Outcome first = pack({"--licence", "CC0-1.0"});
  EXPECT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.err, IsEmpty());
  EXPECT_THAT(first.out, AllOf(HasSubstr("2 songs, 0:06"), HasSubstr("bass 0:06"), HasSubstr("in 1 files")));
  const Outcome again = pack({"--licence", "CC0-1.0"});
  EXPECT_EQ(again.exit_code, 0);
  EXPECT_THAT(again.out, HasSubstr("1 of them were there already"));
  const Outcome check = vqdata({"check", out_ / "set"});
  EXPECT_EQ(check.exit_code, 0) << check.out;
  EXPECT_THAT(check.out, AllOf(HasSubstr("layout packed"), HasSubstr("licence: index: CC0-1.0 (2 songs)"),
                               HasSubstr("2 songs, 0 errors, 0 warnings")));
  const std::string path = out_ / "set/set-00000.vqs";
  write_bytes(path, read_bytes(path).substr(0, 4000));
  const Outcome cut = vqdata({"check", out_ / "set"});
  EXPECT_EQ(cut.exit_code, static_cast<int>(ExitCode::kBadFile));
  EXPECT_THAT(cut.out, AllOf(HasSubstr("set-00000.vqs"), HasSubstr("offset 4000"), HasSubstr("cut short")));
}

TEST_F(DataPack, JsonAndBenchmark) {
  for (const char* encoding : {"int16", "flac", "opus"}) {
    const Outcome outcome = pack({"--encoding", encoding, "--json", "--force", "--songs-per-shard", "1"});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    const auto json = nlohmann::json::parse(outcome.out);
    EXPECT_EQ(json["encoding"], encoding);
    EXPECT_EQ(json["num_shards"], 2);
    EXPECT_EQ(json["num_songs"], 2);
    EXPECT_EQ(json["seconds"], 6.0);
    EXPECT_EQ(json["seconds_sounding"]["drums"], 6.0);
    const Outcome bench =
        vqdata({"pack", "--benchmark", out_ / "set", "--seconds", "0.1", "--crop-seconds", "1", "--json"});
    ASSERT_EQ(bench.exit_code, 0) << bench.err;
    const auto speed = nlohmann::json::parse(bench.out);
    EXPECT_GT(speed["audio_seconds_per_second"].get<double>(), 1);
    EXPECT_GT(speed["audio_seconds"].get<double>(), 0);
  }
  EXPECT_THAT(vqdata({"pack", "--benchmark", out_ / "set", "--seconds", "0.1"}).out,
              HasSubstr("audio seconds (stereo) a second"));
  EXPECT_THAT(pack({"--encoding", "opus", "--quiet", "--songs-per-shard", "1"}).out, IsEmpty());
}

TEST_F(DataPack, ErrorsSaySo) {
  const std::string songs = songs_.path(), out = out_ / "set";
  fails({"pack"}, ExitCode::kUsage, "folder of songs is missing");
  fails({"pack", songs}, ExitCode::kUsage, "--out is missing");
  fails({"pack", songs, "--out", out, "--encoding", "mp3"}, ExitCode::kUsage, "expected int16, flac or opus");
  fails({"pack", songs, "--out", out, "--opus-kbps", "5"}, ExitCode::kUsage, "--opus-kbps");
  fails({"pack", songs, "--out", out, "--songs-per-shard", "0"}, ExitCode::kUsage, "--songs-per-shard");
  fails({"pack", songs, "--out", out, "--max-seconds", "nan"}, ExitCode::kUsage, "--max-seconds");
  fails({"pack", songs, "--out", out, "--sample-rate", "100"}, ExitCode::kUsage, "--sample-rate");
  fails({"pack", songs, "--out", out, "--threads", "-1"}, ExitCode::kUsage, "--threads");
  fails({"pack", songs, "--out", out, "--shards", "3"}, ExitCode::kUsage, "vqdata pack --help");
  fails({"pack", out_ / "none", "--out", out}, ExitCode::kIo, "none");
  fails({"pack", songs, "--benchmark", out}, ExitCode::kUsage, "--benchmark");
  fails({"pack", "--benchmark", songs}, ExitCode::kBadFile, "packed set");
  EXPECT_EQ(pack().exit_code, 0);
  fails({"pack", songs, "--out", out, "--sample-rate", "8000"}, ExitCode::kUsage, "--force");
  fails({"pack", out, "--out", out_ / "again"}, ExitCode::kUsage, "packed set already");
  fails({"check", out, "--layout", "stems"}, ExitCode::kUsage, "has no layout");
  fails({"check", out, "--split", "train"}, ExitCode::kUsage, "no song in split");
}

TEST_F(DataPack, RemarksGoToStandardErrorInTheOrderOfTheSongs) {
  dataset::write_sound(songs_ / "a song/bass.flac", dataset::make_sound(3, dataset::kSetFrames / 2));
  dataset::write_sound(songs_ / "b song/bass.wav", dataset::make_sound(4, dataset::kSetFrames / 2));
  const Outcome outcome = pack({"--threads", "2"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_LT(outcome.err.find("a song: stems differ"), outcome.err.find("b song: stems differ")) << outcome.err;
  EXPECT_THAT(pack({"--force", "--quiet"}).err, IsEmpty());
}

TEST_F(DataPack, HelpTellsEveryOptionAndExamples) {
  const Outcome outcome = vqdata({"pack", "--help"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, AllOf(StartsWith("Usage: vqdata pack"), HasSubstr("--encoding"), HasSubstr("--benchmark"),
                                 HasSubstr("Examples:")));
  EXPECT_THAT(vqdata({"--help"}).out, HasSubstr("  pack "));
}

TEST_F(DataPack, AFullDiskIsAnErrorAndLeavesNothing) {
  // No file may grow beyond some kilobytes: what a full disk does to a write.
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit limit = {100000, before.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &limit);
  const Outcome outcome = pack({"--threads", "1"});
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(outcome.exit_code, static_cast<int>(ExitCode::kIo)) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("set-00000.vqs"));
  EXPECT_TRUE(std::filesystem::is_empty(out_ / "set"));
}

}  // namespace
}  // namespace vqcodec::apps
