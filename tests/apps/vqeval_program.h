// Runs a command of the real vqeval as a person would.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/apps/vqcodec_program.h"

namespace vqcodec::apps {

// What the tests of one command share: a tiny model and whatever else lies in `shared_`.
class Vqeval : public testing::Test {
 protected:
  explicit Vqeval(std::string command)
      : command_(std::move(command)), environment_{{"VQCODEC_MODEL", *shared_ / "model.safetensors"}} {}

  static void SetUpTestSuite() {
    shared_ = new TempDir;
    vqvae::write_tiny_model(*shared_ / "model.safetensors");
  }
  static void TearDownTestSuite() {
    delete shared_;
    shared_ = nullptr;
  }

  // With the folders that it takes.
  static void write(const std::string& path, const std::vector<float>& interleaved, int sample_rate_hz = 44100) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    write_audio(path, interleaved,
                {.sample_rate_hz = sample_rate_hz, .sample_format = audio::SampleFormat::kFloat32, .force = true});
  }
  static std::string data() { return *shared_ / "data"; }

  Outcome run_command(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), command_);
    return run(arguments,
               {.program = std::string(std::getenv("VQCODEC_BIN_DIR")) + "/vqeval", .environment = environment_});
  }
  Outcome ok(const std::vector<std::string>& arguments) const {
    Outcome outcome = run_command(arguments);
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return outcome;
  }
  void fails(const std::vector<std::string>& arguments, ExitCode code, const std::string& says) const {
    const Outcome outcome = run_command(arguments);
    EXPECT_EQ(outcome.exit_code, static_cast<int>(code)) << outcome.err;
    EXPECT_THAT(outcome.err, testing::StartsWith("vqeval: "));
    EXPECT_THAT(outcome.err, testing::HasSubstr(says));
    EXPECT_EQ(outcome.out, "");
  }

  static inline TempDir* shared_ = nullptr;
  TempDir dir_;  // of one test
  std::string command_;
  std::map<std::string, std::string> environment_;
};

}  // namespace vqcodec::apps
