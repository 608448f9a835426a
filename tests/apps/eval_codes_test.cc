// vqeval codes as a person would run it.
#include <nlohmann/json.hpp>

#include "tests/apps/vqeval_program.h"

namespace vqcodec::apps {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class EvalCodes : public Vqeval {
 protected:
  EvalCodes() : Vqeval("codes") {}

  static void SetUpTestSuite() {
    Vqeval::SetUpTestSuite();
    // Two tracks; of "other" there is no file in the second.
    const std::vector<float> song = make_song(9 * 44100);
    for (const std::string track : {"one", "two"}) {
      size_t shift = track == "one" ? 0 : 5000;
      for (const std::string source : {"vocals", "bass", "drums", "other"}) {
        shift += 2000;
        if (track == "two" && source == "other") continue;
        write(data() + "/" + track + "/" + source + ".wav", {song.begin() + static_cast<long>(2 * shift), song.end()});
      }
    }
  }
};

TEST_F(EvalCodes, WritesScoresAndMaps) {
  const std::string out = dir_ / "results/codes";
  const Outcome outcome =
      ok({"--data", data(), "--out", out, "--max-points", "120", "--perplexity", "10", "--seed", "3"});
  const json report = json::parse(read_bytes(out + "/codes.json"));
  EXPECT_EQ(report["kind"], "codes");
  EXPECT_EQ(report["data"], "data");
  EXPECT_EQ(report["model"]["name"], "random-1");
  EXPECT_THAT(report["command"].get<std::string>(), HasSubstr("vqeval codes --data"));
  EXPECT_EQ(report["settings"]["seed"], 3);
  EXPECT_EQ(report["settings"]["perplexity"], 10);
  EXPECT_EQ(report["settings"]["num_points"], 120);
  EXPECT_EQ(report["settings"]["folds_by"], "excerpt");
  EXPECT_EQ(report["settings"]["num_folds"], 2);  // "other" has two excerpts
  ASSERT_EQ(report["sources"].size(), 4U);
  EXPECT_EQ(report["sources"][0]["excerpts"], 4);
  EXPECT_EQ(report["sources"][3]["excerpts"], 2);
  EXPECT_EQ(report["sources"][3]["points"], 30);
  EXPECT_EQ(report["tables_per_source"], true);
  ASSERT_EQ(report["scores"].size(), 3U * 4 + 3);
  for (const json& score : report["scores"]) {
    EXPECT_TRUE(score["silhouette"].get<double>() >= -1 && score["silhouette"].get<double>() <= 1) << score;
    EXPECT_TRUE(score["probe_accuracy"].get<double>() >= 0 && score["probe_accuracy"].get<double>() <= 1) << score;
    EXPECT_EQ(score["chance"], 0.25);
  }
  EXPECT_EQ(report["scores"][3]["codebook"], "all");
  ASSERT_EQ(report["codebook_use"].size(), 12U);
  EXPECT_GE(report["codebook_use"][0]["perplexity"].get<double>(), 1);
  EXPECT_LE(report["codebook_use"][0]["perplexity"].get<double>(), report["codebook_use"][0]["used"].get<double>());
  ASSERT_EQ(report["swapped"]["si_sdr_db"].size(), 4U);
  EXPECT_EQ(report["swapped"]["si_sdr_db"][0].size(), 4U);
  EXPECT_THAT(report["left_out"].dump(), HasSubstr(R"({"track":"two","why":"other: no such file"})"));
  ASSERT_EQ(report["plots"].size(), 2U);
  for (const json& plot : report["plots"]) {
    const std::string svg = read_bytes(out + "/" + plot["file"].get<std::string>());
    EXPECT_THAT(svg, HasSubstr("<svg"));
    EXPECT_THAT(svg, HasSubstr("All codebooks"));
    EXPECT_THAT(svg, HasSubstr("vocals"));
  }
  EXPECT_THAT(read_bytes(out + "/codes_own_slot.svg"), HasSubstr("Codebook 3"));
  for (const char* part : {"own_slot", "tables_alone", "SI-SDR", "perplexity", "two: other: no such file"}) {
    EXPECT_THAT(outcome.out, HasSubstr(part));
  }
  EXPECT_EQ(outcome.err, "");  // no terminal, no progress
}

TEST_F(EvalCodes, ASeedGivesOneReport) {
  const std::vector<std::string> arguments = {"--data", data(), "--json", "--max-points", "60", "--max-seconds", "4"};
  auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), arguments.begin(), arguments.end());
    json report = json::parse(ok(more).out);
    report.erase("command");
    return report;
  };
  const json one = with({"--threads", "1"});
  EXPECT_EQ(one, with({"--threads", "3"}));
  EXPECT_NE(one, with({"--seed", "2"}));
  EXPECT_EQ(one["plots"], json::array());
  EXPECT_EQ(one["scores"][0]["probe_accuracy"], nullptr);  // one excerpt of "other"
  EXPECT_THAT(one["remarks"].dump(), HasSubstr("one excerpt only"));
}

TEST_F(EvalCodes, APerplexityBeyondThePointsIsLoweredAndTold) {
  const json report = json::parse(ok({"--data", data(), "--json", "--max-points", "40"}).out);
  EXPECT_EQ(report["settings"]["perplexity"], 13);
  EXPECT_THAT(report["remarks"].dump(), HasSubstr("perplexity 30 is too large for 40 points; taken as 13"));
}

TEST_F(EvalCodes, SaysWhatIsWrong) {
  fails({}, ExitCode::kUsage, "--data");
  fails({"--data", data(), "--point", "3"}, ExitCode::kUsage, "--point");
  fails({"--data", data(), "--max-points", "4"}, ExitCode::kUsage, "expected 12 to 20000");
  fails({"--data", data(), "--perplexity", "nan"}, ExitCode::kUsage, "expected 2 to 1000");
  fails({"--data", data(), "--max-seconds", "-1"}, ExitCode::kUsage, "--max-seconds");
  fails({"--data", data(), "--excerpt-seconds", "0"}, ExitCode::kUsage, "--excerpt-seconds");
  fails({"--data", dir_ / "nowhere"}, ExitCode::kIo, "nowhere");
  fails({"--data", dir_.path()}, ExitCode::kBadFile, "holds no track");
  fails({"--data", data(), "--model", dir_ / "no.safetensors"}, ExitCode::kModel, "no.safetensors");
  write_bytes(dir_ / "file", "text");
  fails({"--data", data(), "--out", dir_ / "file"}, ExitCode::kIo, "cannot be made");
  write(dir_ / "alone/one/bass.wav", make_song(3 * 44100));
  write(dir_ / "alone/one/vocals.wav", std::vector<float>(2 * 3 * 44100, 0.0F));
  fails({"--data", dir_ / "alone"}, ExitCode::kBadFile, "only bass sounds");
}

TEST_F(EvalCodes, HelpListsEveryOption) {
  const std::string help = ok({"--help"}).out;
  for (const char* option : {"--data", "--model", "--out", "--json", "--max-points", "--max-excerpts", "--max-seconds",
                             "--perplexity", "--seed", "--threads", "--quiet", "Examples:"}) {
    EXPECT_THAT(help, HasSubstr(option));
  }
}

}  // namespace
}  // namespace vqcodec::apps
