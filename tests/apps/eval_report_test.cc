// vqeval report, and eval/run.sh, as a person would run them.
#include <algorithm>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "tests/apps/vqeval_program.h"
#include "tests/eval/well_formed.h"

namespace vqcodec::apps {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class EvalReport : public Vqeval {
 protected:
  EvalReport() : Vqeval("report") {}
  void SetUp() override {
    for (const char* version : {"original", "decoded"}) {
      const std::string folder = dir_ / "results/examples/Song/" + std::string(version);
      std::filesystem::create_directories(folder);
      write_audio(folder + "/bass.flac", make_song(2000), {.sample_format = audio::SampleFormat::kPcm16});
    }
  }
  std::string results() const { return dir_ / "results"; }
  std::string page() const { return dir_ / "report.html"; }
};

TEST_F(EvalReport, WritesOnePageAndSaysWhatIsMissing) {
  const Outcome outcome = run_command({results(), "-o", page()});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("vqeval: sdr.json is not there"), Not(HasSubstr("examples"))));
  const std::string html = read_bytes(page());
  EXPECT_EQ(eval::malformation(html), "");
  EXPECT_THAT(html, HasSubstr("src=\"data:audio/flac;base64,"));
}

TEST_F(EvalReport, WritesToStandardOutputTheSame) {
  EXPECT_EQ(run_command({results(), "-o", page(), "--quiet"}).err, "");
  const Outcome outcome = run_command({results(), "-o", "-"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, read_bytes(page()));
}

TEST_F(EvalReport, KeepsAPageThatIsThereUnlessForced) {
  write_bytes(page(), "mine");
  fails({results(), "-o", page()}, ExitCode::kUsage, "report.html");
  EXPECT_EQ(read_bytes(page()), "mine");
  EXPECT_EQ(run_command({results(), "-o", page(), "--force"}).exit_code, 0);
  EXPECT_NE(read_bytes(page()), "mine");
}

TEST_F(EvalReport, RefusesWhatItCannotUse) {
  fails({"-o", page()}, ExitCode::kUsage, "missing");
  fails({results()}, ExitCode::kUsage, "-o");
  fails({results(), "-o", page(), "--colour", "red"}, ExitCode::kUsage, "colour");
  fails({results(), "more", "-o", page()}, ExitCode::kUsage, "vqeval report --help");
  fails({results(), "-o", page(), "--max-audio-mb", "-1"}, ExitCode::kUsage, "--max-audio-mb");
  fails({results(), "-o", page(), "--max-audio-mb", "0"}, ExitCode::kUsage, "more than 0.0 MB");
  fails({dir_ / "nowhere", "-o", page()}, ExitCode::kIo, "nowhere: no such folder");
  write_bytes(results() + "/rate.json", "{\"kind\": \"rate\"}");
  fails({results(), "-o", page()}, ExitCode::kBadFile, "rate.json: ");
  EXPECT_FALSE(std::filesystem::exists(page()));
}

TEST_F(EvalReport, HelpIsComplete) {
  const Outcome outcome = run_command({"--help"});
  EXPECT_EQ(outcome.exit_code, 0);
  for (const char* word : {"--out", "--max-audio-mb", "--force", "--quiet", "Examples:"}) {
    EXPECT_THAT(outcome.out, HasSubstr(word));
  }
}

class RunScript : public testing::Test {
 protected:
  void SetUp() override {
    const char* source = std::getenv("VQCODEC_SOURCE_DIR");
    ASSERT_NE(source, nullptr) << "run the tests by ctest";
    script_ = std::string(source) + "/eval/run.sh";
    vqvae::write_tiny_model(dir_ / "model.safetensors");
  }
  // Two songs of 3 s; the sources of the second do not sound at first.
  void make_data() {
    const std::vector<float> song = make_song(4 * 44100);
    for (const std::string track : {"One & two", "three"}) {
      std::filesystem::create_directories(dir_ / "data/" + track);
      size_t shift = 0;
      for (const std::string stem : {"vocals", "bass", "drums", "other"}) {
        shift += 9000;
        std::vector<float> samples(song.begin() + static_cast<long>(shift),
                                   song.begin() + static_cast<long>(shift + 6 * 44100));
        if (track == "three") std::fill_n(samples.begin(), 2 * 44100, 0.0F);
        write_audio(dir_ / "data/" + track + "/" + stem + ".wav", samples);
      }
    }
  }
  Outcome run_script(const std::vector<std::string>& arguments) const {
    std::vector<std::string> words = {"--bin", std::getenv("VQCODEC_BIN_DIR")};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return run(words, {.program = script_});
  }
  std::vector<std::string> usual(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> words = {"--model", dir_ / "model.safetensors",
                                      "--data",  dir_ / "data",
                                      "--out",   dir_ / "out",
                                      "--quick", "--example-seconds",
                                      "1"};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  void fails(const std::vector<std::string>& arguments, ExitCode code, const std::string& says) const {
    const Outcome outcome = run_script(arguments);
    EXPECT_EQ(outcome.exit_code, static_cast<int>(code)) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(says));
  }

  std::string script_;
  TempDir dir_;
};

TEST_F(RunScript, MakesEverythingAndKeepsIt) {
  if (std::system("command -v ffmpeg >/dev/null") != 0) GTEST_SKIP() << "ffmpeg is not there";
  make_data();
  Outcome outcome = run_script(usual({"--examples", "2"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.out << outcome.err;
  const std::string html = read_bytes(dir_ / "out/report.html");
  EXPECT_EQ(eval::malformation(html), "");
  EXPECT_THAT(html, Not(HasSubstr("class=\"missing\"")));
  EXPECT_THAT(html, HasSubstr("aria-label=\"One &amp; two, mixture, decoded\""));
  for (const char* kind : {"sdr", "rate", "codes", "speed"}) {
    const auto report = nlohmann::json::parse(read_bytes(dir_ / "out/" + std::string(kind) + ".json"));
    EXPECT_EQ(report["kind"], kind);
    EXPECT_EQ(report["model"]["file"], "model.safetensors");
  }
  // Excerpts are as long as each other, and where all sources sound.
  const std::string three = dir_ / "out/examples/three/";
  EXPECT_EQ(read_bytes(three + "about.txt"), "1 s from 0:01\n");
  for (const char* stem : {"mixture", "vocals", "bass", "drums", "other"}) {
    const auto original = read_audio(three + "original/" + stem + ".flac");
    EXPECT_EQ(original.size(), 2 * 44100U) << stem;
    EXPECT_EQ(read_audio(three + "decoded/" + stem + ".flac").size(), original.size()) << stem;
    EXPECT_GT(*std::ranges::max_element(original), 0.05F) << stem;
  }

  outcome = run_script(usual({"--examples", "2"}));
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* kind : {"sdr", "rate", "codes", "speed"}) {
    EXPECT_THAT(outcome.out, HasSubstr(std::string(kind) + ": done before"));
  }
  vqvae::write_tiny_model(dir_ / "model.safetensors", 2);
  fails(usual(), ExitCode::kUsage, "holds other results");
}

TEST_F(RunScript, RefusesWhatItCannotUse) {
  std::filesystem::create_directories(dir_ / "data");
  fails({}, ExitCode::kUsage, "--model is missing");
  fails(usual({"--colour", "red"}), ExitCode::kUsage, "unknown option \"--colour\"");
  fails(usual({"--parts", "sdr,taste"}), ExitCode::kUsage, "--parts sdr,taste");
  fails(usual({"--max-seconds", "long"}), ExitCode::kUsage, "--max-seconds long");
  fails(usual({"--bin", dir_.path()}), ExitCode::kIo, "vqeval is not there");
  fails({"--model", dir_ / "none", "--data", dir_ / "data", "--out", dir_ / "out"}, ExitCode::kModel, "no such model");
  fails({"--model", dir_ / "model.safetensors", "--data", dir_ / "none", "--out", dir_ / "out"}, ExitCode::kIo,
        "no such folder");
  fails(usual(), ExitCode::kBadFile, "holds no track");
}

TEST_F(RunScript, HelpNamesEveryOption) {
  const Outcome outcome = run_script({"--help"});
  EXPECT_EQ(outcome.exit_code, 0);
  for (const char* option : {"--model", "--data", "--out", "--parts", "--max-seconds", "--examples",
                             "--example-seconds", "--example-format", "--quick", "--threads", "--bin", "--force"}) {
    EXPECT_THAT(outcome.out, HasSubstr(option));
  }
}

}  // namespace
}  // namespace vqcodec::apps
