// vqeval rate as a person would run it.
#include <fstream>

#include <nlohmann/json.hpp>

#include "prior/random_prior.h"
#include "runtime/sha256.h"
#include "tests/apps/vqeval_program.h"
#include "tests/prior/golden_prior.h"

namespace vqcodec::apps {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

constexpr size_t kNumSamples = 3 * 44100;

class EvalRate : public Vqeval {
 protected:
  EvalRate() : Vqeval("rate") {}

  static void SetUpTestSuite() {
    Vqeval::SetUpTestSuite();
    const std::vector<float> song = make_song(kNumSamples + 20000);
    size_t shift = 0;
    for (const std::string source : {"vocals", "bass", "drums", "other"}) {
      write(data() + "/one/" + source + ".wav",
            {song.begin() + static_cast<long>(2 * shift), song.begin() + static_cast<long>(2 * (shift + kNumSamples))});
      shift += 4000;
    }
  }
};

// "prior-coded" is what vqcodec encode would write with that prior.
TEST_F(EvalRate, TellsWhatAPriorMakesOfTheCodes) {
  const std::string prior = dir_ / "prior.safetensors", out = dir_ / "results";
  prior::make_random_prior(prior::golden_config(), prior::kGoldenPriorSeed).write(prior);
  const Outcome outcome = ok({"--data", data(), "--out", out, "--opus", "none", "--quality", "2,3", "--prior", prior});
  EXPECT_THAT(outcome.out, HasSubstr("joint  over ideal"));
  const json report = json::parse(read_bytes(out + "/rate.json"));
  EXPECT_EQ(report["prior"]["file"], "prior.safetensors");
  EXPECT_EQ(report["prior"]["id"], runtime::to_hex(runtime::sha256_file(prior)));
  EXPECT_THAT(read_bytes(out + "/rate_coders.svg"), HasSubstr("prior, joint"));
  for (const json& level : report["tracks"][0]["levels"]) {
    for (const json& source : level["file"]["sources"]) {
      for (const char* key : {"prior_bytes", "joint_bytes"}) {
        const double bytes = source["coders"][key], ideal = source["ideal"][key];
        EXPECT_GT(ideal, 0) << key;
        // A few bytes at the end of each stream, of which a song of 3 s has one or two.
        EXPECT_GE(bytes, ideal) << key;
        EXPECT_LT(bytes, ideal + 16) << key;
        double sum = 0;
        for (const json& codebook : source["codebooks"]) sum += codebook[key].get<double>();
        EXPECT_NEAR(sum, ideal, 1e-6 * ideal) << key;
      }
      // Streams that a prior of random weights would make longer are left to the adaptive model.
      EXPECT_LE(source["coders"]["prior_bytes"], source["coders"]["adaptive_bytes"]);
    }
  }
  // Without one, and by the environment.
  EXPECT_THAT(ok({"--data", data(), "--opus", "none", "--quality", "2", "--no-prior"}).out, Not(HasSubstr("joint")));
  environment_["VQCODEC_PRIOR"] = prior;
  EXPECT_THAT(ok({"--data", data(), "--opus", "none", "--quality", "2"}).out, HasSubstr("joint"));
  // A prior for another model, and what is none.
  prior::make_random_prior(prior::golden_sizes(), 1).write(dir_ / "other.safetensors");
  fails({"--data", data(), "--opus", "none", "--prior", dir_ / "other.safetensors"}, ExitCode::kModel, "000000000000");
  fails({"--data", data(), "--opus", "none", "--prior", *shared_ / "model.safetensors"}, ExitCode::kModel, "prior");
}

TEST_F(EvalRate, ReportsWhatEncodeWrites) {
  const std::string out = dir_ / "results/rate";
  const Outcome outcome = ok({"--data", data(), "--out", out, "--opus", "16,32"});
  EXPECT_EQ(outcome.err, "");
  for (const char* part : {"1 tracks, 0:03", "vocals", "adaptive", "Opus, sources apart", "at matched rate"}) {
    EXPECT_THAT(outcome.out, HasSubstr(part));
  }
  const json report = json::parse(read_bytes(out + "/rate.json"));
  EXPECT_EQ(report["kind"], "rate");
  EXPECT_EQ(report["data"], "data");
  EXPECT_EQ(report["model"]["name"], "random-1");
  EXPECT_EQ(report["model"]["file"], "model.safetensors");
  EXPECT_THAT(report["command"].get<std::string>(), HasSubstr("vqeval rate --data"));
  EXPECT_EQ(report["sources"], json::parse(R"(["vocals","bass","drums","other"])"));
  ASSERT_EQ(report["plots"].size(), 5U);
  for (const json& plot : report["plots"]) {
    EXPECT_THAT(read_bytes(out + "/" + plot["file"].get<std::string>()), HasSubstr("</svg>"));
  }
  // The remark that there is no file of the mixture's own is not needed: it is the sum by rule.
  EXPECT_EQ(report["left_out"].size(), 0U) << report["left_out"];
  ASSERT_EQ(report["tracks"].size(), 1U);
  const json& track = report["tracks"][0];
  ASSERT_EQ(track["levels"].size(), 3U);
  EXPECT_EQ(track["opus"].size(), 2U);
  EXPECT_EQ(track["opus_stems"].size(), 2U);

  // vqcodec makes files of these sizes of the same mixture.
  std::vector<float> mixture(2 * kNumSamples);
  for (const std::string source : {"vocals", "bass", "drums", "other"}) {
    const std::vector<float> stem = read_audio(data() + "/one/" + source + ".wav");
    for (size_t i = 0; i < mixture.size(); ++i) mixture[i] += stem[i];
  }
  write_audio(dir_ / "mixture.wav", mixture);
  for (const json& level : track["levels"]) {
    const std::string path = dir_ / "song.vqc";
    ASSERT_EQ(run({"encode", dir_ / "mixture.wav", "-o", path, "--force", "--quiet", "--model",
                   *shared_ / "model.safetensors", "--quality", level["num_codebooks"].dump()})
                  .exit_code,
              0);
    EXPECT_EQ(level["bytes"], std::filesystem::file_size(path));
    uint64_t sum = 0;
    const json& file = level["file"];
    for (const char* part : {"header_bytes", "metadata_bytes", "segment_head_bytes", "index_bytes"}) {
      sum += file[part].get<uint64_t>();
    }
    for (const json& source : file["sources"]) sum += source["bytes"].get<uint64_t>();
    EXPECT_EQ(sum, level["bytes"]);
  }
}

TEST_F(EvalRate, ChoosesLevelsRatesAndStretch) {
  const json report = json::parse(ok({"--data", data(), "--json", "--quality", "3,1", "--opus", "none",
                                      "--from-seconds", "1", "--max-seconds", "1.5", "--threads", "1"})
                                      .out);
  EXPECT_DOUBLE_EQ(report["summary"]["seconds"].get<double>(), 1.5);
  ASSERT_EQ(report["summary"]["levels"].size(), 2U);
  EXPECT_EQ(report["summary"]["levels"][0]["num_codebooks"], 1);
  EXPECT_EQ(report["summary"]["levels"][1]["num_codebooks"], 3);
  EXPECT_TRUE(report["summary"]["opus"].empty());
  EXPECT_TRUE(report["summary"]["opus_stems"].empty());
  EXPECT_EQ(report["plots"].size(), 0U);
  // Threads change nothing.
  json other = json::parse(ok({"--data", data(), "--json", "--quality", "3,1", "--opus", "none", "--from-seconds", "1",
                               "--max-seconds", "1.5", "--threads", "3"})
                               .out);
  other["command"] = report["command"];
  EXPECT_EQ(other, report);
  EXPECT_EQ(ok({"--data", data(), "--out", dir_ / "quiet", "--quiet", "--quality", "1", "--opus", "none"}).out, "");
}

TEST_F(EvalRate, TellsOfTracksThatItLeavesOut) {
  const std::vector<float> song = make_song(20000);
  write(*shared_ / "mixed/good/mixture.wav", song);
  write(*shared_ / "mixed/short/mixture.wav", {song.begin(), song.begin() + 2000});
  write(*shared_ / "mixed/silent/mixture.wav", std::vector<float>(40000));
  std::filesystem::create_directories(*shared_ / "mixed/broken");
  std::ofstream(*shared_ / "mixed/broken/mixture.wav") << "this is no audio file, whatever its name says";
  const Outcome outcome = ok({"--data", *shared_ / "mixed", "--json", "--opus", "16"});
  const json report = json::parse(outcome.out);
  ASSERT_EQ(report["tracks"].size(), 1U);
  EXPECT_EQ(report["tracks"][0]["name"], "good");
  EXPECT_EQ(report["summary"]["num_tracks"], 1);
  std::map<std::string, std::string> why;
  for (const json& one : report["left_out"]) {
    if (!one.contains("source") && !one.contains("what")) why[one["track"]] = one["why"];
  }
  ASSERT_EQ(why.size(), 3U) << report["left_out"];
  EXPECT_THAT(why["short"], HasSubstr("1000 samples"));
  EXPECT_THAT(why["silent"], HasSubstr("silent"));
  EXPECT_THAT(why["broken"], HasSubstr("mixture.wav"));
  // Of "good" there are no sources.
  EXPECT_FALSE(report["summary"]["levels"][0].contains("sources"));
  EXPECT_THAT(ok({"--data", *shared_ / "mixed", "--opus", "16"}).out, HasSubstr("left out: silent: the mixture"));
  fails({"--data", *shared_ / "mixed/silent"}, ExitCode::kBadFile, "no track can be measured");
}

TEST_F(EvalRate, RefusesWhatItCannotDo) {
  fails({}, ExitCode::kUsage, "--data");
  fails({"--data", data(), "--loud"}, ExitCode::kUsage, "loud");
  fails({"--data", data(), "more"}, ExitCode::kUsage, "vqeval rate --help");
  fails({"--data", data(), "--quality", "4"}, ExitCode::kUsage, "the model has 3 codebooks");
  fails({"--data", data(), "--quality", "0"}, ExitCode::kUsage, "--quality 0");
  fails({"--data", data(), "--quality", "1.5"}, ExitCode::kUsage, "whole numbers");
  fails({"--data", data(), "--quality", "1,1"}, ExitCode::kUsage, "twice");
  fails({"--data", data(), "--quality", "1,,2"}, ExitCode::kUsage, "--quality");
  fails({"--data", data(), "--opus", "nan"}, ExitCode::kUsage, "--opus nan");
  fails({"--data", data(), "--opus", "6,lots"}, ExitCode::kUsage, "--opus lots");
  fails({"--data", data(), "--opus", "600"}, ExitCode::kUsage, "0.5 to 512");
  fails({"--data", data(), "--max-seconds", "-1"}, ExitCode::kUsage, "--max-seconds");
  fails({"--data", data(), "--from-seconds", "nan"}, ExitCode::kUsage, "--from-seconds");
  fails({"--data", data(), "--from-seconds", "100"}, ExitCode::kBadFile, "0 samples");
  fails({"--data", data(), "--threads", "-1"}, ExitCode::kUsage, "--threads");
  fails({"--data", dir_ / "nothing"}, ExitCode::kIo, "cannot be read");
  fails({"--data", dir_.path()}, ExitCode::kBadFile, "holds no track");
  fails({"--data", data(), "--model", dir_ / "nothing"}, ExitCode::kModel, "nothing");
  std::ofstream(dir_ / "file") << "no folder";
  fails({"--data", data(), "--out", dir_ / "file/under"}, ExitCode::kIo, "cannot be made");
  const Outcome help = ok({"--help"});
  for (const char* part : {"--quality", "--opus", "--max-seconds", "Examples:"}) EXPECT_THAT(help.out, HasSubstr(part));
}

}  // namespace
}  // namespace vqcodec::apps
