// Runs the real vqcodec as a person would, and makes what it needs: a tiny model and a song.
#pragma once

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "audio/reader.h"
#include "audio/writer.h"
#include "base/error.h"
#include "tests/base/temp_dir.h"
#include "tests/vqvae/tiny_model.h"

namespace vqcodec::apps {

struct Outcome {
  int exit_code = -1;  // -1: ended by `signal`
  int signal = 0;
  std::string out, err;
};

struct RunOptions {
  std::string program{};  // default: the vqcodec that was built
  std::string stdin_path = "/dev/null";
  std::string stdout_path{};         // default: a temporary file, read into Outcome::out
  int stdout_fd = -1;                // instead of stdout_path
  bool without_root_powers = false;  // root gets EACCES like everybody; exit code 99 when that cannot be had
  std::map<std::string, std::string> environment{};  // "" takes a variable out
};

inline std::string program_path() {
  const char* folder = std::getenv("VQCODEC_BIN_DIR");
  if (folder == nullptr) throw std::runtime_error("VQCODEC_BIN_DIR is not set; run the tests by ctest");
  return std::string(folder) + "/vqcodec";
}

// Starts the program and gives its process id; its standard error goes to `err_path`.
inline pid_t start(const std::vector<std::string>& arguments, const RunOptions& options, const std::string& out_path,
                   const std::string& err_path) {
  const std::string program = options.program.empty() ? program_path() : options.program;
  std::vector<std::string> words = {program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child != 0) return child;
  const auto redirect = [](const std::string& path, int flags, int fd) {
    const int opened = open(path.c_str(), flags | O_CLOEXEC, 0600);
    if (opened < 0 || dup2(opened, fd) < 0) _exit(98);
  };
  redirect(options.stdin_path, O_RDONLY, STDIN_FILENO);
  if (options.stdout_fd >= 0) {
    if (dup2(options.stdout_fd, STDOUT_FILENO) < 0) _exit(98);
  } else {
    redirect(out_path, O_WRONLY | O_CREAT | O_TRUNC, STDOUT_FILENO);
  }
  redirect(err_path, O_WRONLY | O_CREAT | O_TRUNC, STDERR_FILENO);
  constexpr unsigned long kDacOverride = 1, kDacReadSearch = 2;  // <linux/capability.h>
  if (options.without_root_powers && geteuid() == 0 &&
      (prctl(PR_CAPBSET_DROP, kDacOverride, 0, 0, 0) != 0 || prctl(PR_CAPBSET_DROP, kDacReadSearch, 0, 0, 0) != 0)) {
    _exit(99);
  }
  for (const auto& [key, value] : options.environment) {
    value.empty() ? unsetenv(key.c_str()) : setenv(key.c_str(), value.c_str(), 1);
  }
  execv(argv[0], argv.data());
  _exit(97);
}

inline Outcome wait_for(pid_t child) {
  int status = 0;
  Outcome outcome;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status)) outcome.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) outcome.signal = WTERMSIG(status);
  return outcome;
}

inline Outcome run(const std::vector<std::string>& arguments, const RunOptions& options = {}) {
  const TempDir dir;
  const std::string out_path = options.stdout_path.empty() ? dir / "out" : options.stdout_path;
  Outcome outcome = wait_for(start(arguments, options, out_path, dir / "err"));
  if (options.stdout_path.empty() && options.stdout_fd < 0) outcome.out = read_bytes(out_path);
  outcome.err = read_bytes(dir / "err");
  return outcome;
}

// Interleaved stereo with something to hear all the time: a gliding tone, pulses, noise; other on each side.
inline std::vector<float> make_song(size_t num_samples) {
  std::mt19937 random(7);
  std::vector<float> samples(2 * num_samples);
  for (size_t i = 0; i < num_samples; ++i) {
    const double t = static_cast<double>(i) / 44100;
    const double noise = static_cast<double>(random()) / 4294967296.0 - 0.5;
    const double tone = 0.3 * std::sin(2 * M_PI * (80 * t + 30 * t * t));
    const double pulse = 0.3 * std::exp(-20 * std::fmod(t, 0.31)) * noise;
    samples[2 * i] = static_cast<float>(tone + pulse);
    samples[2 * i + 1] = static_cast<float>(0.7 * tone - pulse + 0.05 * noise);
  }
  return samples;
}

inline void write_audio(const std::string& path, const std::vector<float>& interleaved,
                        audio::WriterOptions options = {.sample_format = audio::SampleFormat::kFloat32}) {
  const auto writer = audio::AudioWriter::open(path, options);
  writer->write(interleaved);
  writer->finish();
}

// Interleaved, as it is in the file (mono to both sides).
inline std::vector<float> read_audio(const std::string& path) {
  const auto reader = audio::AudioReader::open(path, {.sample_rate_hz = 0});
  std::vector<float> all, block(8192);
  while (const size_t count = reader->read(block)) {
    all.insert(all.end(), block.begin(), block.begin() + static_cast<long>(2 * count));
  }
  return all;
}

// What the tests of one file share: a model, a song of 15 s, its .vqc and its decoded float samples.
class Vqcodec : public testing::Test {
 protected:
  static constexpr int64_t kHop = 256;  // of the tiny model
  static constexpr int64_t kSegmentFrames = 512;
  static constexpr size_t kNumSamples = 15 * 44100 + 123;

  static void SetUpTestSuite() {
    shared_ = new TempDir;
    const std::string model = *shared_ / "model.safetensors";
    vqvae::write_tiny_model(model);
    setenv("VQCODEC_MODEL", model.c_str(), 1);
    write_audio(*shared_ / "song.wav", make_song(kNumSamples));
    ok({"encode", *shared_ / "song.wav", "-o", *shared_ / "song.vqc", "--quiet"});
    ok({"decode", *shared_ / "song.vqc", "-o", *shared_ / "whole.wav", "--bits", "float"});
    whole_ = read_audio(*shared_ / "whole.wav");
  }
  static void TearDownTestSuite() {
    unsetenv("VQCODEC_MODEL");
    delete shared_;
    shared_ = nullptr;
    whole_ = {};
  }

  static Outcome ok(const std::vector<std::string>& arguments, const RunOptions& options = {}) {
    Outcome outcome = run(arguments, options);
    EXPECT_EQ(outcome.exit_code, 0) << testing::PrintToString(arguments) << '\n' << outcome.err;
    return outcome;
  }
  // Runs in the test's own folder must leave nothing there when they fail.
  void fails(const std::vector<std::string>& arguments, ExitCode code, const std::string& says,
             const RunOptions& options = {}) {
    const auto before = sorted_list();
    const Outcome outcome = run(arguments, options);
    EXPECT_EQ(outcome.exit_code, static_cast<int>(code)) << testing::PrintToString(arguments) << '\n' << outcome.err;
    EXPECT_THAT(outcome.err, testing::HasSubstr(says)) << testing::PrintToString(arguments);
    EXPECT_THAT(outcome.err, testing::StartsWith("vqcodec: "));
    EXPECT_EQ(sorted_list(), before) << testing::PrintToString(arguments);
  }
  std::vector<std::string> sorted_list() const {
    auto names = dir_.list();
    std::sort(names.begin(), names.end());
    return names;
  }

  static std::string shared(const std::string& name) { return *shared_ / name; }
  static std::string song() { return shared("song.wav"); }
  static std::string vqc() { return shared("song.vqc"); }

  static inline TempDir* shared_ = nullptr;
  static inline std::vector<float> whole_;
  TempDir dir_;  // of one test
};

}  // namespace vqcodec::apps
