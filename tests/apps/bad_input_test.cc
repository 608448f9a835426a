// Bad input and bad places to write to: an error that says what, the right exit code, and nothing half-written.
#include <limits>

#include <nlohmann/json.hpp>

#include "tests/apps/vqcodec_program.h"

namespace vqcodec::apps {
namespace {

using BadInput = Vqcodec;
using testing::HasSubstr;

TEST_F(BadInput, IsNoAudio) {
  write_bytes(dir_ / "empty.wav", "");
  write_bytes(dir_ / "text.wav", "this is a shopping list: milk, bread, two onions\n");
  write_bytes(dir_ / "cut.wav", read_bytes(song()).substr(0, 20));
  const std::string out = dir_ / "out.vqc";
  fails({"encode", dir_ / "empty.wav", "-o", out}, ExitCode::kBadFile, "empty.wav: is empty");
  fails({"encode", "-", "-o", out}, ExitCode::kBadFile, "standard input: is empty");
  fails({"encode", dir_ / "text.wav", "-o", out}, ExitCode::kBadFile, "text.wav: is not audio");
  fails({"encode", dir_ / "cut.wav", "-o", out}, ExitCode::kBadFile, "cut.wav");
  fails({"encode", dir_.path(), "-o", out}, ExitCode::kIo, "directory");
  fails({"encode", dir_ / "nowhere.wav", "-o", out}, ExitCode::kIo, "No such file");
  fails({"encode", vqc(), "-o", out}, ExitCode::kBadFile, "is not audio");
}

TEST_F(BadInput, IsNoVqc) {
  write_bytes(dir_ / "empty.vqc", "");
  write_bytes(dir_ / "text.vqc", "this is a shopping list: milk, bread, two onions\n");
  const std::string out = dir_ / "out.wav";
  for (const std::string command : {"decode", "info", "verify"}) {
    std::vector<std::string> more;
    if (command == "decode") more = {"-o", out};
    const auto check = [&](const std::string& input, ExitCode code, const std::string& says) {
      std::vector<std::string> arguments = {command, input};
      arguments.insert(arguments.end(), more.begin(), more.end());
      fails(arguments, code, says);
    };
    check(dir_ / "empty.vqc", ExitCode::kBadFile, "empty.vqc: ");
    check("-", ExitCode::kBadFile, "standard input: ");
    check(dir_ / "text.vqc", ExitCode::kBadFile, "text.vqc: ");
    check(song(), ExitCode::kBadFile, "song.wav: ");
    check(dir_.path(), ExitCode::kIo, "directory");
    check(dir_ / "nowhere.vqc", ExitCode::kIo, "No such file");
  }
}

TEST_F(BadInput, SamplesThatAreNoNumbersBecomeSilence) {
  auto samples = make_song(30000);
  auto mended = samples;
  for (const size_t at : {100, 101, 20001}) {
    samples[at] = at == 101 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
    mended[at] = 0;
  }
  write_audio(dir_ / "nan.wav", samples);
  write_audio(dir_ / "mended.wav", mended);
  const Outcome outcome = ok({"encode", dir_ / "nan.wav", "-o", dir_ / "nan.vqc", "--quiet"});
  EXPECT_THAT(outcome.err, HasSubstr("nan.wav: 3 samples are not numbers"));
  EXPECT_EQ(ok({"encode", dir_ / "mended.wav", "-o", dir_ / "mended.vqc", "--quiet"}).err, "");
  EXPECT_EQ(read_bytes(dir_ / "nan.vqc"), read_bytes(dir_ / "mended.vqc"));
}

TEST_F(BadInput, DamagedAudioIsEncodedWithAWarning) {
  if (std::system("ffmpeg -hide_banner -version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no ffmpeg to make an MP3";
  const std::string mp3 = dir_ / "a.mp3";
  ASSERT_EQ(std::system(("ffmpeg -nostdin -loglevel error -i " + song() + " -b:a 128k " + mp3).c_str()), 0);
  std::string bytes = read_bytes(mp3);
  ASSERT_GT(bytes.size(), 100000U);
  EXPECT_EQ(ok({"encode", mp3, "-o", dir_ / "a.vqc", "--quiet"}).err, "");
  std::fill_n(bytes.begin() + 50000, 5000, '\x5a');
  write_bytes(mp3, bytes);
  EXPECT_THAT(ok({"encode", mp3, "-o", dir_ / "b.vqc", "--quiet"}).err, HasSubstr("damaged"));
}

TEST_F(BadInput, WithoutPermission) {
  const std::string locked = dir_ / "locked.wav", locked_vqc = dir_ / "locked.vqc", folder = dir_ / "folder";
  std::filesystem::copy_file(song(), locked);
  std::filesystem::copy_file(vqc(), locked_vqc);
  std::filesystem::create_directory(folder);
  chmod(locked.c_str(), 0);
  chmod(locked_vqc.c_str(), 0);
  chmod(folder.c_str(), 0500);
  const RunOptions options = {.without_root_powers = true};
  if (run({"--version"}, options).exit_code == 99) GTEST_SKIP() << "root that may not give up its powers";
  fails({"encode", locked, "-o", dir_ / "a.vqc"}, ExitCode::kIo, "Permission denied", options);
  fails({"decode", locked_vqc, "-o", dir_ / "a.wav"}, ExitCode::kIo, "Permission denied", options);
  fails({"info", locked_vqc}, ExitCode::kIo, "Permission denied", options);
  fails({"verify", locked_vqc}, ExitCode::kIo, "Permission denied", options);
  fails({"encode", song(), "-o", folder + "/a.vqc"}, ExitCode::kIo, "Permission denied", options);
  fails({"decode", vqc(), "-o", folder + "/a.wav"}, ExitCode::kIo, "Permission denied", options);
  fails({"decode", vqc(), "--stems", folder + "/stems"}, ExitCode::kIo, "Permission denied", options);
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST_F(BadInput, TheDiskIsFull) {
  const RunOptions full = {.stdout_path = "/dev/full"};
  fails({"encode", song(), "-o", "/dev/full"}, ExitCode::kIo, "No space left");
  fails({"encode", song(), "-o", "-"}, ExitCode::kIo, "standard output", full);
  fails({"decode", vqc(), "-o", "/dev/full"}, ExitCode::kIo, "No space left");
  fails({"decode", vqc(), "-o", "-"}, ExitCode::kIo, "standard output", full);
  fails({"info", vqc()}, ExitCode::kIo, "standard output", full);
  fails({"info", "--json", vqc()}, ExitCode::kIo, "standard output", full);
  fails({"verify", vqc()}, ExitCode::kIo, "standard output", full);
  fails({"--help"}, ExitCode::kIo, "standard output", full);
  fails({"decode", "--help"}, ExitCode::kIo, "standard output", full);
}

TEST_F(BadInput, TheReaderOfThePipeIsGone) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  close(ends[0]);
  const RunOptions gone = {.stdout_fd = ends[1]};
  fails({"encode", song(), "-o", "-"}, ExitCode::kIo, "Broken pipe", gone);
  fails({"decode", vqc(), "-o", "-"}, ExitCode::kIo, "Broken pipe", gone);
  fails({"info", vqc()}, ExitCode::kIo, "standard output", gone);
  close(ends[1]);
}

TEST_F(BadInput, ThePlaceToWriteToIsWrong) {
  fails({"encode", song(), "-o", dir_.path()}, ExitCode::kIo, "directory");
  fails({"encode", song(), "-o", dir_ / "nowhere/a.vqc"}, ExitCode::kIo, "nowhere/a.vqc");
  fails({"encode", song(), "-o", ""}, ExitCode::kUsage, "output");
  fails({"decode", vqc(), "-o", dir_ / "nowhere/a.wav"}, ExitCode::kIo, "nowhere/a.wav");
  write_bytes(dir_ / "file", "");
  fails({"decode", vqc(), "--stems", dir_ / "file"}, ExitCode::kIo, "folder");
  fails({"decode", vqc(), "--stems", dir_ / "file/stems"}, ExitCode::kIo, "folder");
  // A folder that was made for nothing goes again.
  fails({"decode", vqc(), "--stems", dir_ / "new", "--stems-format", "flac", "--bits", "float"}, ExitCode::kUsage,
        "FLAC");
}

TEST_F(BadInput, TheModelIsMissingOrNone) {
  write_bytes(dir_ / "text.safetensors", "this is a shopping list: milk, bread, two onions\n");
  std::string cut = read_bytes(shared("model.safetensors"));
  cut.resize(cut.size() - 100);
  write_bytes(dir_ / "cut.safetensors", cut);
  for (const char* model : {"nowhere.safetensors", "text.safetensors", "cut.safetensors"}) {
    fails({"encode", song(), "-o", dir_ / "a.vqc", "--model", dir_ / model}, ExitCode::kModel, model);
    fails({"decode", vqc(), "-o", dir_ / "a.wav", "--model", dir_ / model}, ExitCode::kModel, model);
    fails({"verify", vqc(), "--model", dir_ / model}, ExitCode::kModel, model);
  }
  fails({"decode", vqc(), "-o", dir_ / "a.wav", "--model", dir_.path()}, ExitCode::kModel, dir_.path());
}

TEST_F(BadInput, TheModelIsOfAnotherFile) {
  const std::string other = dir_ / "other.safetensors";
  vqvae::write_tiny_model(other, 2);
  const auto id_of = [](const std::string& model) {
    return runtime::to_hex(runtime::Safetensors::open(model).sha256()).substr(0, 12);
  };
  for (const std::string& theirs : {id_of(shared("model.safetensors")) + " (random-1)", id_of(other) + " (random-2)"}) {
    fails({"decode", vqc(), "-o", dir_ / "a.wav", "--model", other}, ExitCode::kModel, theirs);
    fails({"decode", vqc(), "--stems", dir_ / "stems", "--model", other, "--keep-going"}, ExitCode::kModel, theirs);
    fails({"decode", "-", "-o", "-", "--model", other}, ExitCode::kModel, theirs, {.stdin_path = vqc()});
  }
  fails({"verify", vqc(), "--model", other}, ExitCode::kModel, id_of(other));
  ok({"verify", vqc(), "--model", shared("model.safetensors")});
}

}  // namespace
}  // namespace vqcodec::apps
