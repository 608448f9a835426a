// vqeval speed as a person would run it. How fast it is depends on the machine; that everything is there does not.
#include <nlohmann/json.hpp>

#include "prior/random_prior.h"
#include "tests/apps/vqeval_program.h"
#include "tests/prior/golden_prior.h"

namespace vqcodec::apps {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class EvalSpeed : public Vqeval {
 protected:
  EvalSpeed() : Vqeval("speed") {}

  static void SetUpTestSuite() {
    Vqeval::SetUpTestSuite();
    write(data() + "/track/mixture.wav", make_song(44100));
  }
  void SetUp() override {
    std::filesystem::create_directories(dir_ / "tmp");
    environment_["TMPDIR"] = dir_ / "tmp";
  }
};

TEST_F(EvalSpeed, MeasuresStagesWholeProgramsAndOthers) {
  const std::string out = dir_ / "results";
  const Outcome outcome =
      run_command({"--data", data(), "--seconds", "2.5", "--repetitions", "2", "--threads", "1,2", "--out", out});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const json report = json::parse(read_bytes(out + "/speed.json"));
  EXPECT_EQ(report["kind"], "speed");
  EXPECT_EQ(report["data"], "data");
  EXPECT_EQ(report["settings"]["seconds"], 2.5);  // the song of 1 s again and again
  EXPECT_EQ(report["settings"]["threads"], json::array({1, 2}));
  std::map<std::string, json> measures;
  for (const json& measure : report["measures"]) {
    measures[measure["name"].get<std::string>() + "/" + std::to_string(measure.value("threads", 0))] = measure;
    EXPECT_LE(measure["min"], measure["median"]);
    EXPECT_LE(measure["median"], measure["max"]);
    EXPECT_GT(measure["min"].get<double>(), 0) << measure;
  }
  for (const char* name : {"encode.audio_read", "encode.network", "encode.coder", "encode.whole", "decode.coder",
                           "decode.network", "decode.audio_write", "decode.whole"}) {
    for (const char* threads : {"/1", "/2"}) {
      ASSERT_TRUE(measures.contains(std::string(name) + threads)) << name;
      EXPECT_EQ(measures[std::string(name) + threads]["runs"].size(), 2U) << name;
    }
  }
  EXPECT_EQ(measures["decode.first_byte/1"]["unit"], "ms");
  EXPECT_EQ(measures["start/0"]["unit"], "ms");
  EXPECT_EQ(measures["encode.peak_memory/2"]["unit"], "MiB");
  EXPECT_EQ(measures["encode.peak_memory/2"]["higher_is_better"], false);
  EXPECT_GT(report["bytes"]["vqc"].get<int>(), 0);
  EXPECT_THAT(outcome.out, HasSubstr("encode.network"));
  EXPECT_EQ(outcome.err, "");
  EXPECT_TRUE(std::filesystem::is_empty(dir_ / "tmp"));

  const Outcome compared = run_command({"--data", data(), "--seconds", "1", "--repetitions", "1", "--threads", "1",
                                        "--compare", out + "/speed.json", "--json"});
  ASSERT_EQ(compared.exit_code, 0) << compared.err;
  const json second = json::parse(compared.out);
  EXPECT_EQ(second["compared_with"], "speed.json");
  EXPECT_GT(second["compare"].size(), 8U);
  for (const json& item : second["compare"]) EXPECT_GT(item["ratio"].get<double>(), 0) << item;
}

TEST_F(EvalSpeed, MeasuresWithAPriorWhatItTakes) {
  const std::string prior = dir_ / "prior.safetensors", out = dir_ / "results";
  prior::make_random_prior(prior::golden_config(), prior::kGoldenPriorSeed).write(prior);
  const std::vector<std::string> call = {"--data", data(),      "--seconds", "1.5",   "--repetitions",
                                         "1",      "--threads", "1",         "--out", out};
  std::vector<std::string> with_prior = call;
  with_prior.insert(with_prior.end(), {"--prior", prior});
  ok(with_prior);
  const json report = json::parse(read_bytes(out + "/speed.json"));
  std::map<std::string, double> medians;
  for (const json& measure : report["measures"]) medians[measure["name"]] = measure["median"];
  EXPECT_GT(medians["encode.prior"], 0);
  EXPECT_GT(medians["decode.prior"], 0);
  EXPECT_GT(medians["decode.whole"], 0);
  EXPECT_GT(report["bytes"]["vqc_prior"].get<int>(), 0);
  EXPECT_NE(report["bytes"]["vqc_prior"], report["bytes"]["vqc"]);
  EXPECT_THAT(report["remarks"].dump(), HasSubstr("the prior codes "));
  ok(call);
  const json without = json::parse(read_bytes(out + "/speed.json"));
  EXPECT_FALSE(without["bytes"].contains("vqc_prior"));
  EXPECT_THAT(without["remarks"].dump(), HasSubstr("no prior"));
}

TEST_F(EvalSpeed, OtherProgramsThatAreNotThereAreLeftOut) {
  environment_["PATH"] = "/nowhere";
  const Outcome outcome =
      run_command({"--data", data(), "--seconds", "1", "--repetitions", "1", "--threads", "1", "--json"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const json report = json::parse(outcome.out);
  EXPECT_THAT(report["remarks"].dump(), HasSubstr("opusenc or opusdec was not found"));
  EXPECT_EQ(report["bytes"]["opus"], nullptr);
  for (const json& measure : report["measures"]) EXPECT_NE(measure["name"], "opusenc.whole");
}

TEST_F(EvalSpeed, SaysWhatIsWrong) {
  fails({}, ExitCode::kUsage, "--data");
  fails({"--data", data(), "--repeat", "3"}, ExitCode::kUsage, "--repeat");
  fails({"--data", data(), "--threads", "1,x"}, ExitCode::kUsage, "--threads x");
  fails({"--data", data(), "--threads", "0,1"}, ExitCode::kUsage, "0 goes with no other count");
  fails({"--data", data(), "--seconds", "0"}, ExitCode::kUsage, "--seconds");
  fails({"--data", data(), "--repetitions", "0"}, ExitCode::kUsage, "--repetitions");
  fails({"--data", dir_ / "nowhere"}, ExitCode::kIo, "nowhere");
  fails({"--data", data(), "--vqcodec", dir_ / "nowhere"}, ExitCode::kIo, "no program that can be run");
  fails({"--data", data(), "--compare", dir_ / "nowhere.json"}, ExitCode::kIo, "nowhere.json");
  write_bytes(dir_ / "bad.json", "{");
  fails({"--data", data(), "--compare", dir_ / "bad.json"}, ExitCode::kBadFile, "bad.json: is no JSON");
  write_bytes(dir_ / "sdr.json", R"({"kind": "sdr"})");
  fails({"--data", data(), "--compare", dir_ / "sdr.json"}, ExitCode::kBadFile, "no report of vqeval speed");
  EXPECT_TRUE(std::filesystem::is_empty(dir_ / "tmp"));
}

}  // namespace
}  // namespace vqcodec::apps
