// vqdata check and vqdata layouts, as a person runs them.
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

class DataCheck : public testing::Test {
 protected:
  static Outcome vqdata(const std::vector<std::string>& arguments, RunOptions options = {}) {
    options.program = std::filesystem::path(program_path()).replace_filename("vqdata").string();
    return run(arguments, options);
  }
  void fails(const std::vector<std::string>& arguments, ExitCode code, const std::string& says) {
    const Outcome outcome = vqdata(arguments);
    EXPECT_EQ(outcome.exit_code, static_cast<int>(code)) << testing::PrintToString(arguments) << '\n' << outcome.err;
    EXPECT_THAT(outcome.err, AllOf(StartsWith("vqdata: "), HasSubstr(says)));
    EXPECT_THAT(outcome.out, IsEmpty());
  }
  TempDir dir_;
};

TEST_F(DataCheck, AGoodSetGivesATableAndZero) {
  dataset::make_musdb18hq_set(dir_);
  const Outcome outcome = vqdata({"check", dir_.path(), "--threads", "1"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.err, IsEmpty());
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("layout musdb18hq"), HasSubstr("Leaf - Summerghost  validation"),
                                 HasSubstr("warning licence"), HasSubstr("3 songs, 0 errors, 1 warnings")));
  EXPECT_THAT(vqdata({"check", dir_.path(), "--quiet"}).out, IsEmpty());
  const Outcome test = vqdata({"check", dir_.path(), "--split", "test,train", "--json"});
  EXPECT_EQ(test.exit_code, 0);
  const auto json = nlohmann::json::parse(test.out);
  EXPECT_EQ(json["num_songs"], 2);
  EXPECT_EQ(json["songs"][1]["seconds_sounding"]["bass"], 3);
}

TEST_F(DataCheck, AnErrorOfTheSetGivesThree) {
  dataset::make_stems_set(dir_);
  dataset::write_sound(dir_ / "a song/mixture.flac", dataset::make_sound(1));
  const Outcome outcome = vqdata({"check", dir_.path(), "--quiet"});
  EXPECT_EQ(outcome.exit_code, static_cast<int>(ExitCode::kBadFile));
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("error   sum"), HasSubstr("a song: the mixture"), HasSubstr("1 errors")));
  EXPECT_EQ(vqdata({"check", dir_.path(), "--sum-tolerance", "10"}).exit_code, 0);
  const auto json = nlohmann::json::parse(vqdata({"check", dir_.path(), "--json"}).out);
  EXPECT_EQ(json["findings"][0]["kind"], "sum");
}

TEST_F(DataCheck, UsageErrorsSaySo) {
  dataset::make_stems_set(dir_);
  fails({"check"}, ExitCode::kUsage, "folder is missing");
  fails({"check", dir_.path(), "--layouts", "stems"}, ExitCode::kUsage, "vqdata check --help");
  fails({"check", dir_.path(), "--layout", "musdb"}, ExitCode::kUsage, "is no layout");
  fails({"check", dir_.path(), "--split", "train"}, ExitCode::kUsage, "no song in split \"train\"");
  fails({"check", dir_.path(), "--sources", "bass,,drums"}, ExitCode::kUsage, "--sources");
  fails({"check", dir_.path(), "--sum-tolerance", "100"}, ExitCode::kUsage, "--sum-tolerance");
  fails({"check", dir_.path(), "--max-seconds", "nan"}, ExitCode::kUsage, "--max-seconds");
  fails({"check", dir_.path(), "--threads", "-1"}, ExitCode::kUsage, "--threads");
  fails({"check", dir_ / "none"}, ExitCode::kIo, "none");
  fails({"check", dir_ / "b song/bass.wav"}, ExitCode::kIo, "bass.wav");
  write_bytes(dir_ / "own.json", "{\"groups\": [");
  fails({"check", dir_.path(), "--layout", dir_ / "own.json"}, ExitCode::kBadFile, "own.json: is not JSON");
  std::filesystem::create_directory(dir_ / "empty");
  fails({"check", dir_ / "empty"}, ExitCode::kBadFile, "no song found");
  fails({"layouts", "musdb"}, ExitCode::kUsage, "is no layout");
  fails({"layouts", "stems", "more"}, ExitCode::kUsage, "vqdata layouts --help");
  fails({"chekc"}, ExitCode::kUsage, "unknown command");
}

TEST_F(DataCheck, LayoutsAreListedAndPrintedForChanging) {
  const Outcome list = vqdata({"layouts"});
  EXPECT_EQ(list.exit_code, 0);
  EXPECT_THAT(list.out, AllOf(HasSubstr("musdb18hq\n"), HasSubstr("splits: test, train, validation")));
  EXPECT_EQ(nlohmann::json::parse(vqdata({"layouts", "--json"}).out).size(), 7U);
  const Outcome printed = vqdata({"layouts", "slakh2100"});
  EXPECT_EQ(printed.exit_code, 0);
  write_bytes(dir_ / "own.json", printed.out);
  dataset::write_slakh_song(dir_ / "set/train/Track00001", 1);
  const Outcome outcome = vqdata({"check", dir_ / "set", "--layout", dir_ / "own.json"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.out;
  EXPECT_THAT(outcome.out, HasSubstr("layout own"));
}

TEST_F(DataCheck, HelpTellsEveryOptionAndExamples) {
  for (const char* command : {"check", "layouts"}) {
    const Outcome outcome = vqdata({command, "--help"});
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_THAT(outcome.out, AllOf(StartsWith(std::string("Usage: vqdata ") + command), HasSubstr("Examples:")));
  }
  EXPECT_THAT(vqdata({"--help"}).out, AllOf(HasSubstr("  check "), HasSubstr("  layouts ")));
  EXPECT_EQ(vqdata({}).exit_code, static_cast<int>(ExitCode::kUsage));
}

TEST_F(DataCheck, AFullDiskIsAnError) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  dataset::make_stems_set(dir_);
  const Outcome outcome = vqdata({"check", dir_.path()}, {.stdout_path = "/dev/full"});
  EXPECT_EQ(outcome.exit_code, static_cast<int>(ExitCode::kIo));
  EXPECT_THAT(outcome.err, HasSubstr("standard output"));
}

}  // namespace
}  // namespace vqcodec::apps
