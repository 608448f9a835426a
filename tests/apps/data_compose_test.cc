// vqdata compose, run as a person would.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <map>
#include <thread>

#include <nlohmann/json.hpp>

#include "dataset/compose.h"
#include "tests/apps/vqcodec_program.h"

namespace vqcodec::apps {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

std::string vqdata() { return std::string(std::getenv("VQCODEC_BIN_DIR")) + "/vqdata"; }

Outcome compose(std::vector<std::string> arguments, RunOptions options = {}) {
  arguments.insert(arguments.begin(), "compose");
  options.program = vqdata();
  return run(arguments, options);
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

// All files of a folder, by name.
std::map<std::string, std::string> bytes_of(const std::string& folder) {
  std::map<std::string, std::string> files;
  for (const std::string& name : names_in(folder)) files[name] = read_bytes(folder + "/" + name);
  return files;
}

void fails(const std::vector<std::string>& arguments, ExitCode code, const std::string& says,
           const RunOptions& options = {}) {
  const Outcome outcome = compose(arguments, options);
  EXPECT_EQ(outcome.exit_code, static_cast<int>(code)) << testing::PrintToString(arguments) << outcome.err;
  EXPECT_THAT(outcome.err, StartsWith("vqdata: "));
  EXPECT_THAT(outcome.err, HasSubstr(says));
  EXPECT_THAT(outcome.out, IsEmpty());
}

TEST(DataCompose, TheSameFilesWithAnyThreadsAndInParts) {
  const TempDir dir;
  const std::vector<std::string> common = {"--seed", "3", "--seconds", "20,30", "--quiet"};
  const auto make = [&](const char* folder, std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), common.begin(), common.end());
    arguments.insert(arguments.end(), {"--out", dir / folder});
    const Outcome outcome = compose(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_THAT(outcome.out + outcome.err, IsEmpty());
  };
  make("one", {"--count", "20", "--threads", "1"});
  make("four", {"--count", "20", "--threads", "4"});
  make("parts", {"--count", "9"});
  make("parts", {"--count", "11", "--first", "9"});
  const auto files = bytes_of(dir / "one");
  EXPECT_EQ(files.size(), 40U);
  EXPECT_EQ(bytes_of(dir / "four"), files);
  EXPECT_EQ(bytes_of(dir / "parts"), files);
  for (const auto& [name, bytes] : files) {
    if (name.ends_with(".mid")) {
      EXPECT_GT(dataset::read_midi(dir / "one/" + name).notes.size(), 50U);
    } else {
      EXPECT_EQ(dataset::annotations_from_json(bytes, name).seed, 3U);
    }
  }
}

TEST(DataCompose, ExistingSongsAreSafe) {
  const TempDir dir;
  const std::vector<std::string> three = {"--out", dir / "songs", "--count", "3", "--seconds", "10"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.begin(), three.begin(), three.end());
    return more;
  };
  ASSERT_EQ(compose(three).exit_code, 0);
  const auto before = bytes_of(dir / "songs");
  fails(three, ExitCode::kUsage, "song-000000.json exists; --force replaces songs, --continue keeps");
  fails(with({"--first", "2"}), ExitCode::kUsage, "song-000002.json exists");
  EXPECT_EQ(bytes_of(dir / "songs"), before);

  // --continue writes what is missing and keeps the rest.
  fs::remove(dir / "songs/song-000001.mid");
  const Outcome kept = compose(with({"--continue"}));
  EXPECT_EQ(kept.exit_code, 0) << kept.err;
  EXPECT_THAT(kept.out, StartsWith("2 songs were there already\n1 songs, "));
  EXPECT_EQ(bytes_of(dir / "songs"), before);
  fails(with({"--continue", "--seed", "2"}), ExitCode::kUsage, "is song 0 of seed 1, not 0 of seed 2");
  write_bytes(dir / "songs/song-000001.json", "{}");
  fails(with({"--continue"}), ExitCode::kBadFile, "song-000001.json: the key \"version\" is missing");

  const Outcome replaced = compose(with({"--force", "--seed", "2"}));
  EXPECT_EQ(replaced.exit_code, 0) << replaced.err;
  const auto after = bytes_of(dir / "songs");
  EXPECT_EQ(after.size(), 6U);
  for (const auto& [name, bytes] : after) EXPECT_NE(bytes, before.at(name)) << name;
}

TEST(DataCompose, BadOptionsAndFoldersAreRefusedBeforeAnythingIsMade) {
  const TempDir dir;
  const std::string out = dir / "songs";
  const std::vector<std::pair<std::vector<std::string>, std::string>> wrong = {
      {{"--count", "3"}, "out"},
      {{"--out", out}, "count"},
      {{"--out", out, "--count", "0"}, "--count: expected 1"},
      {{"--out", out, "--count", "-1"}, "count"},
      {{"--out", out, "--count", "3x"}, "count"},
      {{"--out", out, "--count", "3", "--style", "polka"}, "no style \"polka\"; the styles are"},
      {{"--out", out, "--count", "3", "--style", "rock,,funk"}, "--style"},
      {{"--out", out, "--count", "3", "--seconds", "long"}, "--seconds: expected a length"},
      {{"--out", out, "--count", "3", "--seconds", "30,20"}, "10 to 3600"},
      {{"--out", out, "--count", "3", "--seconds", "nan"}, "10 to 3600"},
      {{"--out", out, "--count", "3", "--seconds", "5"}, "10 to 3600"},
      {{"--out", out, "--count", "3", "--threads", "-2"}, "--threads"},
      {{"--out", out, "--count", "3", "--force", "--continue"}, "contradict"},
      {{"--out", out, "--count", "3", "--tempo", "90"}, "tempo"},
      {{"--out", out, "--count", "3", "word"}, "vqdata compose --help"},
  };
  for (const auto& [arguments, says] : wrong) fails(arguments, ExitCode::kUsage, says);
  EXPECT_THAT(dir.list(), IsEmpty());
  write_bytes(dir / "file", "x");
  fails({"--out", dir / "file", "--count", "1"}, ExitCode::kIo, "file: cannot be made a folder");
  fails({"--out", dir / "file/songs", "--count", "1"}, ExitCode::kIo, "cannot be made a folder");
  EXPECT_EQ(read_bytes(dir / "file"), "x");
}

TEST(DataCompose, HelpStylesAndJson) {
  const TempDir dir;
  const Outcome help = compose({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.err, IsEmpty());
  for (const std::string& style : dataset::compose_styles()) EXPECT_THAT(help.out, HasSubstr(style));
  EXPECT_THAT(help.out, HasSubstr("Examples:"));
  const Outcome outcome =
      compose({"--out", dir / "songs", "--count", "4", "--style", "bossa_nova,swing", "--seconds", "30", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const auto json = nlohmann::json::parse(outcome.out);
  EXPECT_EQ(json["songs"], 4);
  EXPECT_EQ(json["styles"].value("bossa_nova", 0) + json["styles"].value("swing", 0), 4);
  EXPECT_GT(json["bass_chord_tone_share_on_strong_beats"], 0.9);
}

TEST(DataCompose, CtrlCLeavesWholeFilesOnlyAndTheRestCanFollow) {
  const TempDir dir;
  const std::vector<std::string> arguments = {"compose",   "--out", dir / "songs", "--count", "100000",
                                              "--seconds", "60",    "--threads",   "2",       "--quiet"};
  RunOptions options;
  options.program = vqdata();
  const pid_t child = start(arguments, options, dir / "out", dir / "err");
  // Five whole songs, in whatever order the threads make them, then the signal.
  const auto num_whole = [&] {
    std::error_code none_yet;
    return std::ranges::count_if(fs::directory_iterator(dir / "songs", none_yet), [](const fs::directory_entry& entry) {
      return entry.path().extension() == ".mid" && entry.path().filename().string().starts_with("song-");
    });
  };
  for (int i = 0; i < 3000 && num_whole() < 5; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  kill(child, SIGINT);
  EXPECT_EQ(wait_for(child).signal, SIGINT);
  size_t num_songs = 0;
  for (const auto& [name, bytes] : bytes_of(dir / "songs")) {
    SCOPED_TRACE(name);
    ASSERT_THAT(name, StartsWith("song-"));  // no temporary file
    if (name.ends_with(".mid")) {
      ++num_songs;
      EXPECT_NO_THROW(dataset::read_midi(dir / "songs/" + name));
      EXPECT_TRUE(fs::exists(dir / "songs/" + name.substr(0, name.size() - 4) + ".json"));
    } else {
      EXPECT_NO_THROW(dataset::annotations_from_json(bytes, name));
    }
  }
  EXPECT_GE(num_songs, 5U);
  EXPECT_LT(num_songs, 100000U);
  const Outcome rest = compose({"--out", dir / "songs", "--count", "10", "--seconds", "60", "--continue"});
  EXPECT_EQ(rest.exit_code, 0) << rest.err;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(fs::exists(dir / "songs/song-00000" + std::to_string(i) + ".mid"));
}

TEST(DataCompose, AFolderThatCannotBeWrittenIsAnIoError) {
  const TempDir dir;
  fs::create_directory(dir / "closed");
  fs::permissions(dir / "closed", fs::perms::owner_read | fs::perms::owner_exec);
  RunOptions options{.without_root_powers = true};
  const Outcome outcome = compose({"--out", dir / "closed", "--count", "1"}, options);
  fs::permissions(dir / "closed", fs::perms::owner_all);
  if (outcome.exit_code == 99) GTEST_SKIP() << "root's powers cannot be dropped here";
  EXPECT_EQ(outcome.exit_code, static_cast<int>(ExitCode::kIo)) << outcome.err;
  EXPECT_THAT(names_in(dir / "closed"), IsEmpty());
}

}  // namespace
}  // namespace vqcodec::apps
