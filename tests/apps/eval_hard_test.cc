// vqeval hard as a person would run it.
#include <nlohmann/json.hpp>

#include "tests/apps/vqeval_program.h"

namespace vqcodec::apps {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class EvalHard : public Vqeval {
 protected:
  EvalHard() : Vqeval("hard") { write_audio(speech_, make_song(44100)); }
  const std::string speech_ = dir_ / "speech.wav";
};

TEST_F(EvalHard, MeasuresWhatIsMadeUpAndFiles) {
  const Outcome outcome = ok({speech_, "--seconds", "1.5", "--out", dir_ / "results", "--threads", "1"});
  EXPECT_THAT(outcome.out, HasSubstr("sweep, 10 Hz to 22 kHz"));
  const json report = json::parse(read_bytes(dir_ / "results/hard.json"));
  EXPECT_EQ(report["kind"], "hard");
  ASSERT_EQ(report["inputs"].size(), 10U);
  EXPECT_EQ(report["inputs"][0]["name"], "silence");
  EXPECT_EQ(report["inputs"][0]["output_rms_db"], nullptr);
  EXPECT_EQ(report["inputs"][0]["is_clean"], true);
  EXPECT_EQ(report["inputs"][9]["name"], "speech.wav");
  EXPECT_EQ(report["inputs"][9]["seconds"], 1);
  for (const json& input : report["inputs"]) EXPECT_EQ(input["num_bad_samples"], 0) << input;
  const Outcome printed = ok({speech_, "--seconds", "1.5", "--json", "--quiet"});
  EXPECT_EQ(json::parse(printed.out)["inputs"], report["inputs"]);  // and the same on any number of threads
}

TEST_F(EvalHard, RefusesWhatItCannotDo) {
  fails({"--seconds", "0"}, ExitCode::kUsage, "--seconds: expected 1 to 600");
  fails({"--seconds", "nan"}, ExitCode::kUsage, "--seconds");
  fails({dir_ / "none.wav"}, ExitCode::kIo, "none.wav");
  fails({*shared_ / "model.safetensors"}, ExitCode::kBadFile, "model.safetensors");
  write_audio(dir_ / "empty.wav", {});
  fails({dir_ / "empty.wav"}, ExitCode::kBadFile, "has no samples");
  fails({"--model", speech_}, ExitCode::kModel, "speech.wav");
  fails({"--wrong"}, ExitCode::kUsage, "--help");
}

}  // namespace
}  // namespace vqcodec::apps
