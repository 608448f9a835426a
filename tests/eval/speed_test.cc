#include "eval/speed.h"

#include <cmath>
#include <set>

#include "audio/writer.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_dir.h"
#include "tests/vqvae/tiny_model.h"

namespace vqcodec::eval {
namespace {

using testing::HasSubstr;

TEST(SpreadOf, MedianAndEnds) {
  EXPECT_EQ(spread_of({3, 1, 2}).median, 2);
  const Spread even = spread_of({4, 1, 3, 2});
  EXPECT_EQ(even.median, 2.5);
  EXPECT_EQ(even.min, 1);
  EXPECT_EQ(even.max, 4);
  EXPECT_TRUE(std::isnan(spread_of({}).median));
}

TEST(RunChild, TellsTimeAndMemoryOfTheChildAlone) {
  const ChildRun run = run_child({"/bin/sh", "-c", "sleep 0.2"});
  EXPECT_GE(run.wall_seconds, 0.2);
  EXPECT_LT(run.cpu_seconds, 0.2);
  // This process holds more than the small child, and less than the large one does for a while.
  std::vector<char> ours(size_t{48} << 20, 1);
  const double small = run_child({"/bin/sh", "-c", "sleep 0.2; exit"}, true).peak_mib;
  EXPECT_GT(small, 0.2);
  EXPECT_LT(small, 24);
  const double large =
      run_child({"/bin/sh", "-c", "dd if=/dev/zero of=/dev/null bs=100M count=5 2>/dev/null; :"}, true).peak_mib;
  EXPECT_LT(large, 24);  // of the shell, not of what it starts
  const double itself =
      run_child({find_program("dd"), "if=/dev/zero", "of=/dev/null", "bs=100M", "count=5", "status=none"}, true)
          .peak_mib;
  EXPECT_GT(itself, 95);
  EXPECT_LT(itself, 140);
  EXPECT_EQ(ours.back(), 1);
}

TEST(RunChild, FailuresAreErrors) {
  EXPECT_ERROR(run_child({"/nowhere/program"}), ExitCode::kIo, HasSubstr("/nowhere/program: cannot be started"));
  EXPECT_ERROR(run_child({"/bin/sh", "-c", "echo why >&2; exit 3"}), ExitCode::kInternal,
               HasSubstr("/bin/sh: ended with exit code 3: why"));
  EXPECT_ERROR(run_child({"/bin/sh", "-c", "kill -9 $$"}, true), ExitCode::kInternal, HasSubstr("a signal"));
  EXPECT_ERROR(seconds_to_first_byte({"/bin/sh", "-c", ":"}), ExitCode::kInternal, HasSubstr("wrote nothing"));
  EXPECT_EQ(find_program("no-such-program-anywhere"), "");
  EXPECT_THAT(find_program("sh"), testing::EndsWith("/sh"));
}

TEST(SecondsToFirstByte, DoesNotWaitForTheEnd) {
  const double seconds = seconds_to_first_byte({"/bin/sh", "-c", "sleep 0.1; echo a; sleep 2; echo b"});
  EXPECT_GE(seconds, 0.1);
  EXPECT_LT(seconds, 2);
}

TEST(MeasureSpeed, EveryStageIsMeasuredWithEveryThreadCount) {
  const TempDir dir;
  vqvae::write_tiny_model(dir / "model.safetensors");
  const auto writer = audio::AudioWriter::open(dir / "music.wav", {});
  std::vector<float> samples(2 * 44100);
  for (size_t i = 0; i < samples.size(); ++i) samples[i] = 0.3F * std::sin(static_cast<float>(i) * 0.01F);
  writer->write(samples);
  writer->finish();
  const auto model = vqvae::Model::load(dir / "model.safetensors");
  double last_progress = 0;
  SpeedOptions options{.audio = dir / "music.wav", .folder = dir.path(), .threads = {1, 3}, .repetitions = 2};
  options.on_progress = [&](double done) { last_progress = done; };
  const SpeedResult result = measure_speed(model, options);
  EXPECT_EQ(result.audio_seconds, 1);
  EXPECT_EQ(last_progress, 1);
  // 174 frames, 4 sources, 3 codebooks, two bytes each.
  EXPECT_EQ(result.code_bytes, 174U * 4 * 3 * 2);
  EXPECT_GT(result.vqc_bytes, 100U);
  EXPECT_LT(result.vqc_bytes, result.code_bytes);
  std::set<std::pair<std::string, int>> found;
  for (const Measure& measure : result.measures) {
    found.insert({measure.name, measure.num_threads});
    EXPECT_EQ(measure.runs.size(), 2U) << measure.name;
    for (double value : measure.runs) EXPECT_TRUE(std::isfinite(value) && value > 0) << measure.name;
  }
  for (const char* stage : {"encode.audio_read", "encode.network", "encode.coder", "decode.coder", "decode.network",
                            "decode.audio_write"}) {
    EXPECT_TRUE(found.count({stage, 1}) == 1 && found.count({stage, 3}) == 1) << stage;
  }
  EXPECT_EQ(found.count({"zstd19.codes", 1}), 1U);
  EXPECT_EQ(found.count({"encode.whole", 1}), 0U);
  EXPECT_THAT(result.remarks[0], HasSubstr("vqcodec was not found"));
  const Json ratios = ratios_json(result.measures);
  EXPECT_EQ(ratios.back()["to"], "zstd19.codes_back");
}

Json report_of(double encode, double opusenc, double memory) {
  return {{"kind", "speed"},
          {"measures", measures_json({{"encode.whole", 2, "x real time", true, {encode, encode, encode}},
                                      {"opusenc.whole", 1, "x real time", true, {opusenc}},
                                      {"encode.peak_memory", 2, "MiB", false, {memory}}})}};
}

TEST(RatiosJson, AreOfTheSameRepetition) {
  const Json ratios = ratios_json({{"encode.whole", 2, "x real time", true, {10, 40, 30}},
                                   {"opusenc.whole", 1, "x real time", true, {10, 20, 10}}});
  ASSERT_EQ(ratios.size(), 1U);
  EXPECT_EQ(ratios[0]["threads"], 2);
  EXPECT_EQ(ratios[0]["median"], 2);
  EXPECT_EQ(ratios[0]["min"], 1);
  EXPECT_EQ(ratios[0]["max"], 3);
}

TEST(CompareSpeed, AboveOneIsBetter) {
  const Json compared = compare_speed(report_of(60, 200, 100), report_of(30, 50, 50), "old.json");
  ASSERT_EQ(compared.size(), 3U);
  EXPECT_EQ(compared[0]["name"], "encode.whole");
  EXPECT_EQ(compared[0]["threads"], 2);
  EXPECT_EQ(compared[0]["old"], 30);
  EXPECT_EQ(compared[0]["new"], 60);
  EXPECT_EQ(compared[0]["ratio"], 2);
  EXPECT_EQ(compared[0]["ratio_to_opus"], 0.5);  // the machine has become four times faster
  EXPECT_EQ(compared[2]["ratio"], 0.5);
  EXPECT_FALSE(compared[2].contains("ratio_to_opus"));
}

TEST(CompareSpeed, RefusesWhatIsNoReport) {
  const Json now = report_of(1, 1, 1);
  for (const char* text : {"[]", "3", "{}", R"({"kind": "sdr", "measures": []})", R"({"kind": "speed"})",
                           R"({"kind": "speed", "measures": [3]})", R"({"kind": "speed", "measures": [{"name": 1}]})",
                           R"({"kind": "speed", "measures": [{"name": "a", "median": 1, "threads": "b"}]})"}) {
    EXPECT_ERROR(compare_speed(now, Json::parse(text), "old.json"), ExitCode::kBadFile,
                 HasSubstr("old.json: is no report of vqeval speed"));
  }
  EXPECT_EQ(
      compare_speed(now, Json::parse(R"({"kind": "speed", "measures": [{"name": "a", "median": null}]})"), "").size(),
      0U);
}

}  // namespace
}  // namespace vqcodec::eval
