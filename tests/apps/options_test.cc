// The command line: help, unknown options, contradictions, overwriting, where the model is looked for, interruption.
#include <chrono>
#include <thread>

#include "tests/apps/vqcodec_program.h"

namespace vqcodec::apps {
namespace {

using Options = Vqcodec;
using testing::HasSubstr;

const std::map<std::string, std::vector<std::string>> kOptions = {
    {"encode",
     {"--out", "-o", "--quality", "--model", "--prior", "--no-prior", "--joint", "--threads", "--downmix", "--force",
      "--quiet", "--help"}},
    {"decode",
     {"--out", "-o", "--stems", "--stems-format", "--sources", "--without", "--from", "--to", "--bits", "--keep-going",
      "--model", "--prior", "--threads", "--force", "--quiet", "--help"}},
    {"info", {"--json", "--codebooks", "--prior", "--threads", "--help"}},
    {"verify", {"--model", "--prior", "--threads", "--quiet", "--help"}},
    {"transcode",
     {"--out", "-o", "--from-prior", "--prior", "--no-prior", "--joint", "--threads", "--force", "--quiet", "--help"}},
};

TEST_F(Options, HelpNamesEveryCommandAndOption) {
  const std::string all = ok({"--help"}).out;
  EXPECT_THAT(all, HasSubstr("Exit codes"));
  for (const auto& item : kOptions) {
    const std::string& command = item.first;
    const std::vector<std::string>& options = item.second;
    EXPECT_THAT(all, HasSubstr("  " + command + " "));
    const Outcome help = ok({command, "--help"});
    EXPECT_THAT(help.out, HasSubstr("Usage: vqcodec " + command));
    EXPECT_THAT(help.out, HasSubstr("Examples:\n  vqcodec " + command));
    for (const std::string& option : options) EXPECT_THAT(help.out, HasSubstr(option)) << command;
    // Options of which the help does not speak do not exist.
    size_t count = 0;
    const std::string table = help.out.substr(0, help.out.find("\n\n", help.out.find("Options:")));
    for (size_t at = table.find("\n  -"); at != std::string::npos; at = table.find("\n  -", at + 1)) ++count;
    EXPECT_EQ(count + (table.find("-o [") != std::string::npos), options.size()) << table;
    EXPECT_EQ(ok({command, "-h", "--nonsense"}).out, help.out);
    const auto refuses = [&](std::vector<std::string> arguments, const std::string& says) {
      arguments.insert(arguments.begin(), {command, "x"});
      if (command != "info" && command != "verify") arguments.insert(arguments.end(), {"-o", dir_ / "no.wav"});
      fails(arguments, ExitCode::kUsage, says);
    };
    refuses({"--nonsense"}, "nonsense");
    refuses({"--thr", "1"}, "--thr");
    refuses({"--threads", "-1"}, "--threads");
    refuses({"--threads", "two"}, "threads");
    fails({command}, ExitCode::kUsage, "vqcodec " + command + " --help");
  }
  EXPECT_EQ(ok({"--version"}).out, "vqcodec " VQCODEC_VERSION "\n");
  EXPECT_EQ(run({}).exit_code, 1);
  fails({"transmute"}, ExitCode::kUsage, "transmute");
  EXPECT_THAT(ok({"selftest", "--help"}).out, HasSubstr("Usage: vqcodec selftest"));
}

TEST_F(Options, ContradictionsAreRefused) {
  const std::string wav = dir_ / "no.wav";
  fails({"encode", song()}, ExitCode::kUsage, "-o");
  fails({"encode", song(), song(), "-o", dir_ / "no.vqc"}, ExitCode::kUsage, "positional");
  fails({"decode", vqc()}, ExitCode::kUsage, "--stems");
  fails({"decode", vqc(), "-o", wav, "--stems", dir_ / "stems"}, ExitCode::kUsage, "--stems");
  fails({"decode", vqc(), "-o", wav, "--sources", "bass", "--without", "drums"}, ExitCode::kUsage, "--without");
  fails({"decode", vqc(), "-o", wav, "--sources", "bass,piano"}, ExitCode::kUsage,
        "no source \"piano\"; it has vocals, bass, drums, other");
  fails({"decode", vqc(), "-o", wav, "--sources", "bass,"}, ExitCode::kUsage, "--sources");
  fails({"decode", vqc(), "-o", wav, "--without", "vocals,bass,drums,other"}, ExitCode::kUsage, "no source");
  fails({"decode", vqc(), "-o", wav, "--bits", "12"}, ExitCode::kUsage, "--bits");
  fails({"decode", vqc(), "-o", dir_ / "no.mp3"}, ExitCode::kUsage, ".flac");
  fails({"decode", vqc(), "-o", dir_ / "no.flac", "--bits", "float"}, ExitCode::kUsage, "FLAC");
  fails({"decode", vqc(), "--stems", dir_ / "new/stems", "--stems-format", "ogg"}, ExitCode::kUsage, "wav or flac");
  fails({"decode", vqc(), "--stems", dir_ / "stems", "--stems-format", "flac", "--bits", "float"}, ExitCode::kUsage,
        "FLAC");
}

TEST_F(Options, OverwritingNeedsForce) {
  write_bytes(dir_ / "a.vqc", "mine");
  write_bytes(dir_ / "a.wav", "mine");
  std::filesystem::create_directory(dir_ / "stems");
  write_bytes(dir_ / "stems/drums.wav", "mine");
  fails({"encode", song(), "-o", dir_ / "a.vqc"}, ExitCode::kUsage, "--force");
  fails({"decode", vqc(), "-o", dir_ / "a.wav"}, ExitCode::kUsage, "--force");
  fails({"decode", vqc(), "--stems", dir_ / "stems"}, ExitCode::kUsage, "--force");
  EXPECT_EQ(read_bytes(dir_ / "a.vqc"), "mine");
  EXPECT_EQ(read_bytes(dir_ / "a.wav"), "mine");
  EXPECT_EQ(read_bytes(dir_ / "stems/drums.wav"), "mine");
  EXPECT_FALSE(std::filesystem::exists(dir_ / "stems/vocals.wav"));
  ok({"encode", song(), "-o", dir_ / "a.vqc", "--force"});
  ok({"decode", vqc(), "-o", dir_ / "a.wav", "--force", "--bits", "float"});
  ok({"decode", vqc(), "--stems", dir_ / "stems", "--force"});
  EXPECT_EQ(read_bytes(dir_ / "a.vqc"), read_bytes(vqc()));
  EXPECT_EQ(read_bytes(dir_ / "a.wav"), read_bytes(shared("whole.wav")));
  EXPECT_EQ(read_audio(dir_ / "stems/drums.wav").size(), whole_.size());
}

TEST_F(Options, QuietSaysNothing) {
  EXPECT_THAT(ok({"encode", song(), "-o", dir_ / "a.vqc"}).err, HasSubstr("kbit/s (vocals "));
  EXPECT_EQ(ok({"encode", song(), "-o", dir_ / "a.vqc", "--force", "--quiet"}).err, "");
  const Outcome decoded = ok({"decode", vqc(), "-o", dir_ / "a.wav", "--bits", "float"});
  EXPECT_EQ(decoded.err + decoded.out, "");
  EXPECT_THAT(ok({"verify", vqc()}).out, HasSubstr("whole"));
  EXPECT_EQ(ok({"verify", vqc(), "--quiet"}).out, "");
}

TEST_F(Options, TheModelIsFoundInItsPlaces) {
  // A copy of the program has nothing beside it.
  std::filesystem::create_directories(dir_ / "build/x/bin");
  std::filesystem::copy_file(program_path(), dir_ / "build/x/bin/vqcodec");
  RunOptions options = {.program = dir_ / "build/x/bin/vqcodec", .environment = {{"VQCODEC_MODEL", ""}}};
  const std::vector<std::string> encode = {"encode", song(), "-o", dir_ / "a.vqc", "--force"};
  fails(encode, ExitCode::kModel, "build/x/share/vqcodec/models/default.safetensors", options);
  fails(encode, ExitCode::kModel, "--model", options);
  const auto model_of = [&](const std::vector<std::string>& more = {}) {
    auto arguments = encode;
    arguments.insert(arguments.end(), more.begin(), more.end());
    ok(arguments, options);
    const std::string out = ok({"info", dir_ / "a.vqc"}).out;
    return out.substr(out.find("model_name: ") + 12, 8);
  };
  std::filesystem::create_directories(dir_ / "models");
  vqvae::write_tiny_model(dir_ / "models/default.safetensors", 2);
  EXPECT_EQ(model_of(), "random-2");
  std::filesystem::create_directories(dir_ / "build/x/share/vqcodec/models");
  vqvae::write_tiny_model(dir_ / "build/x/share/vqcodec/models/default.safetensors", 3);
  EXPECT_EQ(model_of(), "random-3");
  vqvae::write_tiny_model(dir_ / "four.safetensors", 4);
  options.environment["VQCODEC_MODEL"] = dir_ / "four.safetensors";
  EXPECT_EQ(model_of(), "random-4");
  EXPECT_EQ(model_of({"--model", shared("model.safetensors")}), "random-1");
  // One that was asked for is not replaced by another.
  options.environment["VQCODEC_MODEL"] = dir_ / "five.safetensors";
  fails(encode, ExitCode::kModel, "five.safetensors", options);
}

// The song comes by a pipe that stays open, so that the program is surely in its midst.
void interrupt_in_the_midst(const std::vector<std::string>& arguments, const std::string& input, const TempDir& dir) {
  const std::string fifo = dir / "fifo";
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  const TempDir logs;
  const pid_t child = start(arguments, {}, logs / "out", logs / "err");
  const int fd = open(fifo.c_str(), O_WRONLY | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  signal(SIGPIPE, SIG_IGN);
  std::string bytes = read_bytes(input);
  bytes.resize(bytes.size() / 2);
  ASSERT_EQ(write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  for (int i = 0; i < 1000 && dir.list().size() < 2; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  EXPECT_EQ(dir.list().size(), 2U) << "no temporary file beside the pipe: " << read_bytes(logs / "err");
  kill(child, SIGINT);
  const Outcome outcome = wait_for(child);
  close(fd);
  EXPECT_EQ(outcome.signal, SIGINT);
  EXPECT_EQ(dir.list(), std::vector<std::string>{"fifo"});
}

TEST_F(Options, InterruptedEncodingLeavesNothing) {
  interrupt_in_the_midst({"encode", dir_ / "fifo", "-o", dir_ / "a.vqc"}, song(), dir_);
}

TEST_F(Options, InterruptedDecodingLeavesNothing) {
  interrupt_in_the_midst({"decode", dir_ / "fifo", "-o", dir_ / "a.wav"}, vqc(), dir_);
}

}  // namespace
}  // namespace vqcodec::apps
