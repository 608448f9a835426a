// vqdata render, run as a person would.
#include <map>

#include <nlohmann/json.hpp>

#include "tests/apps/vqcodec_program.h"
#include "tests/dataset/render_song.h"
#include "tests/dataset/tiny_soundfont.h"

namespace vqcodec::apps {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

class DataRender : public testing::Test {
 protected:
  DataRender() {
    write_bytes(font(), dataset::TinySoundfont::general_midi());
    save("song.mid");
  }
  std::string font() const { return dir_ / "tiny.sf2"; }
  std::string song() const { return dir_ / "song.mid"; }
  void save(const std::string& name) const {
    const std::vector<uint8_t> bytes = dataset::write_midi(dataset::test_song(4, "Lead"));
    write_bytes(dir_ / name, std::string(bytes.begin(), bytes.end()));
  }
  Outcome render(std::vector<std::string> arguments, RunOptions options = {}) const {
    arguments.insert(arguments.begin(), "render");
    options.program = std::string(std::getenv("VQCODEC_BIN_DIR")) + "/vqdata";
    return run(arguments, options);
  }
  void fails(const std::vector<std::string>& arguments, ExitCode code, const std::string& says) const {
    const Outcome outcome = render(arguments);
    EXPECT_EQ(outcome.exit_code, static_cast<int>(code)) << testing::PrintToString(arguments) << outcome.err;
    EXPECT_THAT(outcome.err, AllOf(StartsWith("vqdata: "), HasSubstr(says)));
    EXPECT_THAT(outcome.out, IsEmpty());
  }

  const TempDir dir_;
};

TEST_F(DataRender, MakesSongsAndKeepsThem) {
  const std::vector<std::string> arguments = {song(),          "--out",     dir_ / "out", "--soundfont", font(),
                                              "--max-seconds", "4",         "--variants", "2",           "--format",
                                              "wav",           "--licence", "CC0-1.0",    "--json"};
  const Outcome first = render(arguments);
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.err, IsEmpty());
  const json report = json::parse(first.out);
  EXPECT_EQ(report["rendered"], 2);
  EXPECT_EQ(report["audio_seconds"], 8.0);
  EXPECT_EQ(report["stem_seconds"]["bass"], 8.0);
  for (const char* name : {"bass.wav", "other.wav", "song.json"}) {
    EXPECT_TRUE(fs::exists(dir_ / "out/song-2/" + name)) << name;
  }
  EXPECT_EQ(json::parse(read_bytes(dir_ / "out/song-1/song.json"))["licence"], "CC0-1.0");
  EXPECT_EQ(json::parse(render(arguments).out)["kept"], 2);
  std::vector<std::string> forced = arguments;
  forced.push_back("--force");
  EXPECT_EQ(json::parse(render(forced).out)["rendered"], 2);
}

TEST_F(DataRender, UsesARoleMapDrumTakesAndTheSynthesizer) {
  write_bytes(dir_ / "roles.json", R"({"fonts": [{"file": "tiny.sf2", "roles": ["keys", "synth", "drums"]}],
                                      "synth_bass": {"share": 1}})");
  fs::create_directory(dir_ / "takes");
  save("takes/a.mid");
  const Outcome outcome =
      render({song(), "-o", dir_ / "out", "--soundfonts", dir_ / "roles.json", "--groove", dir_ / "takes",
              "--groove-share", "1", "--transpose", "0", "--tempo", "1.05", "--max-seconds", "4", "--quiet"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out + outcome.err, IsEmpty());
  const json facts = json::parse(read_bytes(dir_ / "out/song-1/song.json"));
  EXPECT_EQ(facts["transpose_semitones"], 0);
  EXPECT_EQ(facts["tempo_factor"], 1.05);
  EXPECT_EQ(facts["groove"]["tempo_bpm"], 120.0);
  EXPECT_EQ(facts["parts"][0]["instruments"][0]["synthesizer"], "bass");
}

TEST_F(DataRender, SkipsBadMidiFilesAndSaysSo) {
  write_bytes(dir_ / "bad.mid", "MThd and no more");
  const Outcome outcome =
      render({song(), dir_ / "bad.mid", "--out", dir_ / "out", "--soundfont", font(), "--max-seconds", "2"});
  EXPECT_EQ(outcome.exit_code, static_cast<int>(ExitCode::kBadFile));
  EXPECT_THAT(outcome.err, AllOf(StartsWith("vqdata: "), HasSubstr("bad.mid"), HasSubstr("skipped")));
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("1 songs rendered"), HasSubstr("1 MIDI files were skipped")));
  EXPECT_TRUE(fs::exists(dir_ / "out/song-1/song.json"));
}

TEST_F(DataRender, ErrorsAreClear) {
  const std::string out = dir_ / "out";
  fails({}, ExitCode::kUsage, "no MIDI file is given");
  fails({song()}, ExitCode::kUsage, "--out");
  fails({song(), "--out", out}, ExitCode::kUsage, "no soundfont is given");
  fails({song(), "--out", out, "--soundfont", dir_ / "none.sf2"}, ExitCode::kIo, "none.sf2");
  fails({song(), "--out", out, "--soundfont", song()}, ExitCode::kBadFile, "is no soundfont");
  fails({song(), "--out", out, "--soundfont", "tuba=" + font()}, ExitCode::kUsage, "no role \"tuba\"");
  write_bytes(dir_ / "roles.json", R"({"fonts": [{"file": "tiny.sf2", "loud": 1}]})");
  fails({song(), "--out", out, "--soundfonts", dir_ / "roles.json"}, ExitCode::kBadFile, "fonts[0].loud");
  for (const auto& [option, value] : std::vector<std::pair<std::string, std::string>>{{"--format", "mp3"},
                                                                                      {"--variants", "0"},
                                                                                      {"--max-seconds", "0"},
                                                                                      {"--transpose", "40"},
                                                                                      {"--tempo", "1.1,0.9"},
                                                                                      {"--tempo", "fast"},
                                                                                      {"--groove-share", "2"},
                                                                                      {"--threads", "-1"},
                                                                                      {"--loud", "1"}}) {
    SCOPED_TRACE(option);
    fails({song(), "--out", out, "--soundfont", font(), option, value}, ExitCode::kUsage, "");
  }
  EXPECT_FALSE(fs::exists(out + "/song-1"));
  const Outcome help = render({"--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.out,
              AllOf(HasSubstr("--soundfonts"), HasSubstr("Examples:"), HasSubstr("3 a MIDI file was skipped")));
}

TEST_F(DataRender, AFullDiskLeavesWhatIsFinished) {
  const std::vector<std::string> first = {song(),          "--out", dir_ / "out", "--soundfont", font(),
                                          "--max-seconds", "2",     "--format",   "wav"};
  ASSERT_EQ(render(first).exit_code, 0);
  save("zebra.mid");
  // A limit on the size of files stands for the full disk; 100 blocks of 512 or 1024 bytes are less than a stem.
  RunOptions options;
  options.program = "/bin/sh";
  const Outcome outcome =
      run({"-c", "ulimit -f 100; trap '' XFSZ; exec \"$@\"", "sh",
           std::string(std::getenv("VQCODEC_BIN_DIR")) + "/vqdata", "render", song(), dir_ / "zebra.mid", "--out",
           dir_ / "out", "--soundfont", font(), "--max-seconds", "2", "--format", "wav"},
          options);
  EXPECT_EQ(outcome.exit_code, static_cast<int>(ExitCode::kIo)) << outcome.err;
  EXPECT_THAT(outcome.err, HasSubstr("zebra-1"));
  EXPECT_TRUE(fs::exists(dir_ / "out/song-1/song.json"));
  EXPECT_FALSE(fs::exists(dir_ / "out/zebra-1"));
  EXPECT_FALSE(fs::exists(dir_ / "out/.zebra-1.partial"));
}

}  // namespace
}  // namespace vqcodec::apps
