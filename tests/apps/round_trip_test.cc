// What goes in comes back: lengths, sources, stretches, pipes, threads, qualities and audio formats.
#include <algorithm>
#include <numeric>

#include <nlohmann/json.hpp>

#include "tests/apps/vqcodec_program.h"

namespace vqcodec::apps {
namespace {

using RoundTrip = Vqcodec;
using testing::HasSubstr;

float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  float largest = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

float level(const std::vector<float>& samples) {
  double energy = 0;
  for (const float sample : samples) energy += static_cast<double>(sample) * sample;
  return static_cast<float>(std::sqrt(energy / static_cast<double>(samples.size())));
}

nlohmann::json info_of(const std::string& path) { return nlohmann::json::parse(run({"info", "--json", path}).out); }

TEST_F(RoundTrip, GivesExactlyAsManySamples) {
  const auto song_samples = make_song(262145);
  // Around frames, segments (512 frames are 130816 samples) and the blocks in which the program reads.
  for (const size_t n : {0, 1, 255, 256, 257, 32768, 130815, 130816, 130817, 261888, 262145}) {
    SCOPED_TRACE(n);
    const std::string wav = dir_ / (std::to_string(n) + ".wav"), file = dir_ / (std::to_string(n) + ".vqc");
    write_audio(wav, {song_samples.begin(), song_samples.begin() + static_cast<long>(2 * n)});
    ok({"encode", wav, "-o", file});
    ok({"decode", file, "-o", dir_ / "back.wav", "--force"});
    EXPECT_EQ(read_audio(dir_ / "back.wav").size(), 2 * n);
    const auto info = info_of(file);
    EXPECT_EQ(info["num_samples"], n);
    EXPECT_EQ(info["num_frames"], n == 0 ? 0 : (n + 255) / 256 + 1);
    ok({"verify", file});
  }
  ok({"decode", dir_ / "0.vqc", "--stems", dir_ / "stems"});
  EXPECT_EQ(read_audio(dir_ / "stems/drums.wav").size(), 0U);
}

TEST_F(RoundTrip, SubsetsAddUpToTheWhole) {
  const auto decode = [&](const std::vector<std::string>& options, const std::string& name) {
    std::vector<std::string> arguments = {"decode", vqc(), "-o", dir_ / name, "--bits", "float"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    ok(arguments);
    return read_audio(dir_ / name);
  };
  const auto bass = decode({"--sources", "bass"}, "bass.wav");
  const auto without_bass = decode({"--without", "bass"}, "without.wav");
  EXPECT_EQ(decode({"--sources", "other,vocals,drums"}, "three.wav"), without_bass);
  EXPECT_GT(level(bass), 0.001F);
  EXPECT_GT(largest_difference(bass, whole_), 0.01F);
  auto sum = bass;
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += without_bass[i];
  EXPECT_LT(largest_difference(sum, whole_), 1e-5F);

  ok({"decode", vqc(), "--stems", dir_ / "a/stems", "--bits", "float"});
  EXPECT_EQ(read_audio(dir_ / "a/stems/bass.wav"), bass);
  std::vector<float> stems_sum(bass.size());
  for (const char* source : {"vocals", "bass", "drums", "other"}) {
    const auto stem = read_audio(dir_ / (std::string("a/stems/") + source + ".wav"));
    ASSERT_EQ(stem.size(), bass.size());
    EXPECT_GT(level(stem), 0.001F);
    for (size_t i = 0; i < stem.size(); ++i) stems_sum[i] += stem[i];
  }
  EXPECT_LT(largest_difference(stems_sum, whole_), 1e-5F);
  ok({"decode", vqc(), "--stems", dir_ / "b", "--sources", "bass,drums", "--stems-format", "flac", "--bits", "24"});
  EXPECT_LT(largest_difference(read_audio(dir_ / "b/bass.flac"), bass), 1e-6F + 1.0F / (1 << 23));
  EXPECT_FALSE(std::filesystem::exists(dir_ / "b/vocals.flac"));
}

TEST_F(RoundTrip, StretchesAreThoseOfTheWhole) {
  const auto seconds = [](int64_t samples) { return std::to_string(static_cast<double>(samples) / 44100); };
  const int64_t border = kSegmentFrames * kHop, end = static_cast<int64_t>(kNumSamples);
  const std::vector<std::pair<int64_t, int64_t>> stretches = {{0, 1},
                                                              {0, 44100},
                                                              {1, 2},
                                                              {255, 257},
                                                              {border - 1, border + 1},
                                                              {border, border + 10},
                                                              {border - kHop, border + kHop},
                                                              {border + 1, 3 * border},
                                                              {2 * border + 77, 2 * border + 78},
                                                              {4 * border, end - 1},
                                                              {end - 1, end},
                                                              {end - 300, end},
                                                              {44100, end},
                                                              {0, end}};
  for (const auto& [from, to] : stretches) {
    SCOPED_TRACE(std::to_string(from) + " to " + std::to_string(to));
    const std::vector<float> expected(whole_.begin() + 2 * from, whole_.begin() + 2 * to);
    std::vector<std::string> arguments = {"decode", vqc(), "-o", dir_ / "part.wav", "--force", "--bits", "float"};
    arguments.insert(arguments.end(), {"--from", seconds(from), "--to", seconds(to)});
    ok(arguments);
    EXPECT_EQ(read_audio(dir_ / "part.wav"), expected);
    arguments[1] = "-";
    ok(arguments, {.stdin_path = vqc()});
    EXPECT_EQ(read_audio(dir_ / "part.wav"), expected) << "from a pipe";
  }
  // Beyond the end is the end.
  ok({"decode", vqc(), "-o", dir_ / "rest.wav", "--bits", "float", "--from", "10", "--to", "1e6"});
  EXPECT_EQ(read_audio(dir_ / "rest.wav"), std::vector<float>(whole_.begin() + 2 * 441000, whole_.end()));
  fails({"decode", vqc(), "-o", dir_ / "no.wav", "--from", "15.1"}, ExitCode::kUsage, "beyond the end");
  fails({"decode", "-", "-o", dir_ / "no.wav", "--from", "15.1"}, ExitCode::kUsage, "beyond the end",
        {.stdin_path = vqc()});
  fails({"decode", vqc(), "-o", dir_ / "no.wav", "--from", "3", "--to", "3"}, ExitCode::kUsage, "--to");
  fails({"decode", vqc(), "-o", dir_ / "no.wav", "--from", "-1"}, ExitCode::kUsage, "--from");
  fails({"decode", vqc(), "-o", dir_ / "no.wav", "--to", "nan"}, ExitCode::kUsage, "--to");
}

TEST_F(RoundTrip, AStretchOfStemsIsExactToo) {
  ok({"decode", vqc(), "--stems", dir_ / "all", "--bits", "float"});
  ok({"decode", vqc(), "--stems", dir_ / "part", "--bits", "float", "--from", "2.9", "--to", "6.1"});
  for (const char* source : {"vocals", "bass", "drums", "other"}) {
    const auto all = read_audio(dir_ / (std::string("all/") + source + ".wav"));
    const auto part = read_audio(dir_ / (std::string("part/") + source + ".wav"));
    EXPECT_EQ(part, std::vector<float>(all.begin() + 2 * 127890, all.begin() + 2 * 269010));
  }
}

TEST_F(RoundTrip, FewerCodebooksMakeASmallerFile) {
  uint64_t last = 0;
  for (const int quality : {1, 2, 3}) {
    const std::string file = dir_ / (std::to_string(quality) + ".vqc");
    ok({"encode", song(), "-o", file, "--quality", std::to_string(quality)});
    const uint64_t bytes = std::filesystem::file_size(file);
    EXPECT_GT(bytes, last * 5 / 4);
    last = bytes;
    EXPECT_EQ(info_of(file)["num_codebooks"], quality);
    ok({"decode", file, "-o", dir_ / "out.wav", "--force", "--bits", "float"});
    EXPECT_EQ(read_audio(dir_ / "out.wav").size(), whole_.size());
    EXPECT_EQ(read_audio(dir_ / "out.wav") == whole_, quality == 3);
  }
  EXPECT_EQ(read_bytes(dir_ / "3.vqc"), read_bytes(vqc()));
  fails({"encode", song(), "-o", dir_ / "no.vqc", "--quality", "4"}, ExitCode::kUsage, "3 codebooks");
  fails({"encode", song(), "-o", dir_ / "no.vqc", "--quality", "0"}, ExitCode::kUsage, "--quality");
}

TEST_F(RoundTrip, PipesGiveWhatFilesGive) {
  setenv("PROGRAM", program_path().c_str(), 1);
  setenv("SONG", song().c_str(), 1);
  setenv("OUT", dir_.path().c_str(), 1);
  const RunOptions shell = {.program = "/bin/sh"};
  ok({"-c", "cat $SONG | $PROGRAM encode - -o - --quiet > $OUT/piped.vqc"}, shell);
  EXPECT_EQ(read_bytes(dir_ / "piped.vqc"), read_bytes(vqc()));
  const Outcome whole =
      ok({"-c", "cat $SONG | $PROGRAM encode - -o - | $PROGRAM decode - -o - --bits float | cat > $OUT/piped.wav"},
         shell);
  EXPECT_EQ(read_audio(dir_ / "piped.wav"), whole_);
  EXPECT_THAT(whole.err, HasSubstr("standard output: 0:15 of music"));
  ok({"-c", "cat $OUT/piped.vqc | $PROGRAM decode - --stems $OUT --sources drums --bits float"}, shell);
  ok({"decode", vqc(), "--sources", "drums", "-o", dir_ / "expected.wav", "--bits", "float"});
  EXPECT_EQ(read_bytes(dir_ / "drums.wav"), read_bytes(dir_ / "expected.wav"));
  // A named pipe is one, too.
  const std::string read_fifo = "$PROGRAM decode $OUT/fifo -o $OUT/fifo.wav --bits float";
  ok({"-c", "mkfifo $OUT/fifo && (cat $OUT/piped.vqc > $OUT/fifo & " + read_fifo + ")"}, shell);
  EXPECT_EQ(read_audio(dir_ / "fifo.wav"), whole_);
}

TEST_F(RoundTrip, ThreadsDoNotChangeTheBytes) {
  for (const char* threads : {"1", "2", "5"}) {
    ok({"encode", song(), "-o", dir_ / "song.vqc", "--threads", threads, "--force"});
    EXPECT_EQ(read_bytes(dir_ / "song.vqc"), read_bytes(vqc()));
    ok({"decode", vqc(), "-o", dir_ / "out.wav", "--threads", threads, "--force", "--bits", "float"});
    EXPECT_EQ(read_bytes(dir_ / "out.wav"), read_bytes(shared("whole.wav")));
  }
}

TEST_F(RoundTrip, OtherRatesAndChannelsAreConverted) {
  std::vector<float> mono(16001);
  for (size_t i = 0; i < mono.size(); ++i) mono[i] = 0.5F * static_cast<float>(std::sin(static_cast<double>(i) * 0.2));
  write_audio(dir_ / "8k.wav", mono, {.sample_rate_hz = 8000, .num_channels = 1});
  write_audio(dir_ / "192k.flac", make_song(192000), {.sample_rate_hz = 192000});
  write_audio(dir_ / "three.wav", std::vector<float>(30000, 0.1F), {.num_channels = 3});
  const auto num_samples = [&](const std::string& input, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"encode", dir_ / input, "-o", dir_ / (input + ".vqc")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    ok(arguments);
    ok({"decode", dir_ / (input + ".vqc"), "-o", dir_ / (input + ".flac")});
    return read_audio(dir_ / (input + ".flac")).size() / 2;
  };
  EXPECT_EQ(num_samples("8k.wav"), 88206U);  // 16001 * 44100 / 8000 = 88205.5
  EXPECT_EQ(num_samples("192k.flac"), 44100U);
  fails({"encode", dir_ / "three.wav", "-o", dir_ / "no.vqc"}, ExitCode::kUsage, "--downmix");
  EXPECT_EQ(num_samples("three.wav", {"--downmix"}), 10000U);
  EXPECT_EQ(info_of(dir_ / "8k.wav.vqc")["metadata"]["input"]["sample_rate_hz"], 8000);
}

}  // namespace
}  // namespace vqcodec::apps
