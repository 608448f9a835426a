// vqeval fit as a person would run it: made-up songs, lines that fit and lines that do not.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "codec/vqc_reader.h"
#include "codec/vqc_writer.h"
#include "prior/random_prior.h"
#include "tests/apps/vqcodec_program.h"
#include "tests/prior/golden_prior.h"

namespace vqcodec::apps {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// Chords of a key on every beat of 0.5 s, drums with them, the bass on the root.
std::vector<float> tones(const std::vector<int>& keys, double seconds, double late = 0) {
  std::vector<float> samples(2 * static_cast<size_t>(seconds * 44100));
  for (size_t i = 0; i < samples.size() / 2; ++i) {
    const double t = static_cast<double>(i) / 44100 - late;
    const double within = std::fmod(t + 10, 0.5);
    double value = 0;
    for (const int key : keys) {
      for (int k = 1; k <= 4; ++k)
        value += std::sin(2 * M_PI * k * 440 * std::exp2((key - 69) / 12.0) * within) / (k * k);
    }
    value *= 0.15 * std::exp(-3 * within) * std::min(1.0, within / 0.004) * std::min(1.0, (0.5 - within) / 0.01);
    samples[2 * i] = samples[2 * i + 1] = static_cast<float>(value);
  }
  return samples;
}

class EvalFit : public Vqcodec {
 protected:
  static RunOptions vqeval() { return {.program = std::string(std::getenv("VQCODEC_BIN_DIR")) + "/vqeval"}; }
  static json measures(const std::vector<std::string>& arguments) {
    std::vector<std::string> all = {"fit", "--json", "--quiet"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return json::parse(ok(all, vqeval()).out);
  }
  void refuses(std::vector<std::string> arguments, ExitCode code, const std::string& says) {
    arguments.insert(arguments.begin(), "fit");
    const Outcome outcome = run(arguments, vqeval());
    EXPECT_EQ(outcome.exit_code, static_cast<int>(code)) << testing::PrintToString(arguments) << '\n' << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(says));
  }
  // A song in the major key on `root`, as a folder of stems.
  void write_song(const std::string& folder, int root) {
    std::filesystem::create_directories(folder);
    write_audio(folder + "/bass.wav", tones({root}, 8));
    write_audio(folder + "/other.wav", tones({root + 24, root + 28, root + 31}, 8));
    std::vector<float> drums = tones({33}, 8);
    for (size_t i = 0; i < drums.size(); ++i) drums[i] *= 3;
    write_audio(folder + "/drums.wav", drums);
  }
};

TEST_F(EvalFit, TheOwnLineIsOneAndThatOfAnotherKeyIsNought) {
  const int roots[] = {33, 37, 40, 42};
  std::filesystem::create_directories(dir_ / "lines");
  std::filesystem::create_directories(dir_ / "wrong");
  for (int i = 0; i < 4; ++i) {
    const std::string name = "song" + std::to_string(i);
    write_song(dir_ / ("songs/" + name), roots[i]);
    write_audio(dir_ / ("lines/" + name + ".wav"), tones({roots[i]}, 8));
    write_audio(dir_ / ("wrong/" + name + "-1.wav"), tones({roots[i] + 1}, 8, 0.25));
    write_audio(dir_ / ("wrong/" + name + "-2.wav"), tones({roots[i] - 1}, 8, 0.25));
  }
  const json right = measures({"--context", dir_ / "songs", "--line", dir_ / "lines", "--resamples", "200"});
  EXPECT_EQ(right["num_lines"], 4);
  EXPECT_NEAR(right["measures"]["chord_tones"]["scaled"].get<double>(), 1, 0.02);
  EXPECT_GT(right["measures"]["chord_tones"]["own"].get<double>(), 0.95);
  EXPECT_NEAR(right["distances"]["mel_frechet"]["line"].get<double>(), 0, 1e-3);
  const json wrong = measures({"--context", dir_ / "songs", "--line", dir_ / "wrong", "--resamples", "200"});
  EXPECT_EQ(wrong["num_lines"], 8);
  EXPECT_LT(wrong["measures"]["chord_tones"]["scaled"].get<double>(), 0.2);
  EXPECT_LT(wrong["measures"]["beat"]["line"].get<double>(), 0.4 * wrong["measures"]["beat"]["own"].get<double>());
  EXPECT_GT(wrong["distances"]["mel_frechet"]["line"].get<double>(), 0.001);

  // One song, with a folder of others; a table; a report in a folder.
  const json one =
      measures({"--context", dir_ / "songs/song0", "--line", dir_ / "lines/song0.wav", "--others", dir_ / "songs"});
  EXPECT_EQ(one["songs"][0]["num_others"], 3);
  EXPECT_NEAR(one["songs"][0]["scaled"]["chord_tones"].get<double>(), 1, 0.02);
  const Outcome table =
      ok({"fit", "--context", dir_ / "songs", "--line", dir_ / "lines", "--out", dir_ / "out"}, vqeval());
  EXPECT_THAT(table.out, HasSubstr("chord_tones"));
  EXPECT_EQ(json::parse(read_bytes(dir_ / "out/fit.json"))["kind"], "fit");

  // A song without its line, a silent line.
  write_audio(dir_ / "silent.wav", std::vector<float>(2 * 44100));
  const json silent = measures({"--context", dir_ / "songs/song0", "--line", dir_ / "silent.wav"});
  EXPECT_EQ(silent["silent_lines"], 1);
  EXPECT_EQ(silent["clipped_lines"], 0);
  std::vector<float> loud = tones({33}, 2);
  for (float& value : loud) value = std::clamp(50 * value, -1.0f, 1.0f);
  write_audio(dir_ / "loud.wav", loud);
  EXPECT_EQ(measures({"--context", dir_ / "songs/song0", "--line", dir_ / "loud.wav"})["clipped_lines"], 1);
  EXPECT_EQ(silent["songs"][0]["lines"][0]["chord_tones"], 0);
  EXPECT_TRUE(silent["songs"][0]["scaled"]["chord_tones"].is_null());
}

TEST_F(EvalFit, CopiesAreFound) {
  prior::make_random_prior(prior::golden_config(), 3).write(dir_ / "prior.safetensors");
  RunOptions vqgen{.program = std::string(std::getenv("VQCODEC_BIN_DIR")) + "/vqgen"};
  ok({"bass", "--context", vqc(), "-o", dir_ / "new.vqc", "--prior", dir_ / "prior.safetensors", "--quiet"}, vqgen);
  const auto runs = [&](const std::string& line, const std::string& training) {
    return measures({"--context", vqc(), "--line", line, "--training", training, "--prior",
                     dir_ / "prior.safetensors"})["distances"];
  };
  const json copy = runs(vqc(), vqc()), fresh = runs(dir_ / "new.vqc", vqc());
  EXPECT_GT(copy["longest_shared_run_frames"]["line"].get<double>(), 400);
  EXPECT_NEAR(copy["code_divergence_bits"]["line"].get<double>(), 0, 1e-9);
  EXPECT_LT(fresh["longest_shared_run_frames"]["line"].get<double>(), 20);
  EXPECT_EQ(fresh["longest_shared_run_frames"]["own"], copy["longest_shared_run_frames"]["line"]);
  EXPECT_GT(fresh["code_divergence_bits"]["line"].get<double>(), 0.01);
}

TEST_F(EvalFit, StuckLinesAreTold) {
  auto file = codec::FileSource::open(vqc());
  const auto reader = codec::VqcReader::open(**file);
  codec::MemorySink sink;
  auto writer = codec::VqcWriter::create(sink, reader->info());
  for (uint32_t k = 0; k < reader->num_segments(); ++k) {
    std::vector<codec::SourceSegment> segment;
    for (uint32_t s = 0; s < 4; ++s) segment.push_back(*reader->read_source_segment(k, s));
    if (k < 2) segment[1].codes.assign(segment[1].codes.size(), uint16_t{5});
    ASSERT_TRUE(writer->write_segment(segment));
  }
  ASSERT_TRUE(writer->finish(reader->info().num_samples));
  write_bytes(dir_ / "stuck.vqc", std::string(sink.bytes().begin(), sink.bytes().end()));
  const json report = measures({"--context", vqc(), "--line", dir_ / "stuck.vqc"});
  EXPECT_EQ(report["stuck_lines"]["line"], 1);
  EXPECT_EQ(report["stuck_lines"]["own"], 0);
}

TEST_F(EvalFit, WhatDoesNotFitIsRefused) {
  write_song(dir_ / "songs/a", 33);
  write_song(dir_ / "songs/b", 35);
  std::filesystem::create_directories(dir_ / "lines");
  write_audio(dir_ / "lines/a.wav", tones({33}, 2));
  refuses({"--line", song()}, ExitCode::kUsage, "--context");
  refuses({"--context", song()}, ExitCode::kUsage, "--line");
  refuses({"--context", dir_ / "none", "--line", song()}, ExitCode::kIo, "none");
  refuses({"--context", dir_ / "lines/a.wav", "--line", dir_ / "none.wav"}, ExitCode::kIo, "none.wav");
  refuses({"--context", dir_ / "songs", "--line", song()}, ExitCode::kUsage, "2 songs");
  const json partly = measures({"--context", dir_ / "songs", "--line", dir_ / "lines"});
  EXPECT_THAT(partly["remarks"].dump(), HasSubstr("b: no line of it"));
  EXPECT_EQ(partly["songs"][0]["num_others"], 1);
  EXPECT_EQ(partly["num_lines"], 1);
  std::filesystem::remove(dir_ / "lines/a.wav");
  refuses({"--context", dir_ / "songs", "--line", dir_ / "lines"}, ExitCode::kBadFile, "no line of a");
  write_audio(dir_ / "lines/a.wav", tones({33}, 2));
  refuses({"--context", dir_ / "songs/a", "--line", song(), "--source", "piano"}, ExitCode::kUsage, "piano");
  refuses({"--context", dir_ / "songs/a", "--line", song(), "--max-others", "0"}, ExitCode::kUsage, "--max-others");
  refuses({"--context", dir_ / "songs/a", "--line", song(), "--resamples", "-1"}, ExitCode::kUsage, "--resamples");
  std::filesystem::create_directories(dir_ / "empty");
  refuses({"--context", dir_ / "empty", "--line", song()}, ExitCode::kBadFile, "holds no song");
  EXPECT_THAT(ok({"fit", "--help"}, vqeval()).out, HasSubstr("Usage: vqeval fit"));
}

}  // namespace
}  // namespace vqcodec::apps
