#include "eval/sdr.h"

#include <cmath>
#include <numbers>
#include <random>

#include "tests/base/expect_error.h"

namespace vqcodec::eval {
namespace {

using testing::HasSubstr;
using Signal = std::vector<float>;

Signal noise(uint64_t seed, size_t num_frames, double deviation = 0.1) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> draw(0, deviation);
  Signal signal(2 * num_frames);
  for (float& value : signal) value = static_cast<float>(draw(random));
  return signal;
}

Signal tone(double cycles_a_frame, size_t num_frames) {
  Signal signal(2 * num_frames);
  for (size_t t = 0; t < num_frames; ++t) {
    const double phase = 2 * std::numbers::pi * cycles_a_frame * static_cast<double>(t);
    signal[2 * t] = static_cast<float>(0.3 * std::sin(phase));
    signal[2 * t + 1] = static_cast<float>(0.2 * std::cos(phase));
  }
  return signal;
}

// Both channels the same, which is quickly scored.
Signal mono(Signal signal) {
  for (size_t i = 0; i < signal.size(); i += 2) signal[i + 1] = signal[i];
  return signal;
}

constexpr int kRateHz = 1000;
const std::vector<std::string> kSources = {"vocals", "bass", "drums"};

Track make_track(const std::string& name, const std::vector<Signal>& stems) {
  Track track{.name = name, .sample_rate_hz = kRateHz, .num_frames = 0, .stems = stems, .mixture = {}, .remarks = {}};
  for (const Signal& stem : stems) track.num_frames = std::max(track.num_frames, static_cast<int64_t>(stem.size() / 2));
  track.mixture = sum_of(stems);
  return track;
}

SdrRow noisy_row(const Track& track, double deviation) {
  return {"estimate", [&track, deviation] {
            std::vector<Signal> signals = track.stems;
            for (size_t s = 0; s < signals.size(); ++s) {
              if (signals[s].empty()) continue;
              const Signal added = mono(noise(100 + s, signals[s].size() / 2, deviation));
              for (size_t i = 0; i < added.size(); ++i) signals[s][i] += added[i];
            }
            return make_estimates(std::move(signals));
          }};
}

Json score(const Track& track, const std::vector<SdrRow>& rows, const SdrOptions& options = {}) {
  runtime::ThreadPool pool(1);
  return score_track(track, kSources, rows, options, pool);
}

std::string reasons(const Json& scored) { return scored["left_out"].dump(); }

TEST(WholeSdr, IsTheRatioOfEnergiesOverTheTrack) {
  const Signal reference(2000, 0.1F);
  Signal estimate = reference;
  for (size_t i = 0; i < 1000; ++i) estimate[i] = 0;
  EXPECT_NEAR(whole_sdr_db(reference, estimate), 10 * std::log10((20 + 1e-7) / (10 + 1e-7)), 1e-6);
  EXPECT_NEAR(whole_sdr_db(reference, Signal(2000)), 0, 1e-9);
  EXPECT_NEAR(whole_sdr_db(reference, reference), 10 * std::log10((20 + 1e-7) / 1e-7), 1e-5);
  EXPECT_NEAR(whole_sdr_db(Signal(2000), Signal(2000)), 0, 1e-9);
}

TEST(IdealRatioMasks, SeparateWhatDiffersInFrequencyAndAddUpToTheMixture) {
  constexpr size_t kFrames = 40000;  // more than one chunk
  const std::vector<Signal> sources = {tone(0.01, kFrames), {}, tone(0.21, kFrames)};
  const Signal mixture = sum_of(sources);
  runtime::ThreadPool one(1), three(3);
  const auto estimates = ideal_ratio_masks(mixture, sources, one);
  ASSERT_EQ(estimates.size(), 3U);
  EXPECT_TRUE(estimates[1].empty());
  EXPECT_GT(whole_sdr_db(sources[0], estimates[0]), 30);
  EXPECT_GT(whole_sdr_db(sources[2], estimates[2]), 30);
  for (size_t i = 0; i < mixture.size(); ++i) {
    ASSERT_NEAR(estimates[0][i] + estimates[2][i], mixture[i], 1e-6) << i;
  }
  EXPECT_EQ(ideal_ratio_masks(mixture, sources, three), estimates);
  // A mask is real: what the sources have exactly the same of is shared by halves.
  const std::vector<Signal> equal = {noise(1, 5000), noise(1, 5000)};
  const auto halves = ideal_ratio_masks(sum_of(equal), equal, one);
  for (size_t i = 0; i < equal[0].size(); ++i) ASSERT_NEAR(halves[0][i], equal[0][i], 1e-6) << i;
  // Silence has no shares to give.
  const std::vector<Signal> silent = {Signal(4000), Signal(4000)};
  EXPECT_EQ(ideal_ratio_masks(noise(1, 2000), silent, one), silent);
  EXPECT_TRUE(ideal_ratio_masks({}, {{}, {}}, one)[0].empty());
}

TEST(ScoreTrack, HasEveryMeasureOfEveryRow) {
  const Track track = make_track("a", {mono(noise(1, 3500)), mono(noise(2, 3500)), mono(noise(3, 3500))});
  runtime::ThreadPool pool(1);
  std::vector<SdrRow> rows = {noisy_row(track, 0.01)};
  for (auto& row : trivial_rows(track, pool)) rows.push_back(row);
  std::vector<double> progress;
  const Json scored = score(track, rows, {.on_progress = [&](double share) { progress.push_back(share); }});
  EXPECT_EQ(scored["num_windows"], 3);
  EXPECT_EQ(reasons(scored), "[]");
  EXPECT_TRUE(std::ranges::is_sorted(progress));
  for (const char* metric : {"sdr", "isr", "sir", "sar", "windowed_sdr"}) {
    EXPECT_EQ(scored["rows"]["estimate"]["sources"]["bass"][metric].size(), 3U) << metric;
    EXPECT_EQ(scored["rows"]["silence"]["sources"]["bass"].contains(metric), std::string(metric) == "windowed_sdr");
  }
  for (size_t w = 0; w < 3; ++w) {
    const Json& bass = scored["rows"]["estimate"]["sources"]["bass"];
    EXPECT_NEAR(bass["sdr"][w].get<double>(), 20, 1);
    // Both sides the same, a fraction of -50 dBFS away: one definition.
    EXPECT_NEAR(bass["sdr"][w].get<double>(), bass["windowed_sdr"][w].get<double>(), 1e-6);
    EXPECT_NEAR(scored["rows"]["mixture"]["sources"]["bass"]["sdr"][w].get<double>(), -3, 0.5);
    EXPECT_NEAR(scored["rows"]["silence"]["sources"]["bass"]["windowed_sdr"][w].get<double>(), 0, 1e-9);
  }
  EXPECT_EQ(scored["rows"]["silence"]["sources"]["bass"]["si_sdr"], "-inf");
  EXPECT_NEAR(scored["rows"]["estimate"]["sources"]["vocals"]["si_sdr"].get<double>(), 20, 0.5);
  EXPECT_NEAR(scored["rows"]["estimate"]["mixture"]["whole_sdr"].get<double>(), 20, 0.5);
  EXPECT_FALSE(scored["rows"]["mixture"].contains("mixture"));
  EXPECT_GT(scored["rows"]["ideal_ratio_mask"]["sources"]["drums"]["sdr"][1].get<double>(), 0);
}

TEST(ScoreTrack, SaysWhichWindowsAreSilent) {
  std::vector<Signal> stems = {mono(noise(1, 6000)), mono(noise(2, 6000)), {}};
  std::fill(stems[0].begin(), stems[0].begin() + 2 * 2000, 0.0F);
  std::fill(stems[1].begin() + 2 * 4000, stems[1].begin() + 2 * 5000, 0.0F);
  const Track track = make_track("a", stems);
  SdrRow row = noisy_row(track, 0.01);
  row.estimate = [&track] {
    std::vector<Signal> signals = track.stems;
    std::fill(signals[1].begin() + 2 * 3000, signals[1].begin() + 2 * 5000, 0.0F);
    return make_estimates(std::move(signals));
  };
  const Json scored = score(track, {row});
  EXPECT_THAT(reasons(scored), HasSubstr(R"("source":"vocals","window":"0-1","why":"the reference is silent)"));
  EXPECT_THAT(reasons(scored), HasSubstr(R"("source":"bass","window":"4","why":"the reference is silent)"));
  EXPECT_THAT(reasons(scored), HasSubstr(R"("source":"bass","window":"3","why":"estimate: the estimate is silent)"));
  const Json& vocals = scored["rows"]["estimate"]["sources"]["vocals"];
  for (const size_t w : {0U, 1U, 3U, 4U}) EXPECT_TRUE(vocals["sar"][w].is_null()) << w;
  EXPECT_EQ(vocals["sdr"][2], "inf");
  EXPECT_FALSE(scored["rows"]["estimate"]["sources"].contains("drums"));
}

TEST(ScoreTrack, ASilentSourceLeavesTheTrackWithoutBssEval) {
  const Track track = make_track("a", {mono(noise(1, 2000)), Signal(2 * 2000), mono(noise(2, 2000))});
  const Json refused = score(track, {noisy_row(track, 0.01)});
  EXPECT_THAT(reasons(refused), HasSubstr("the reference is silent throughout"));
  EXPECT_FALSE(refused["rows"]["estimate"]["sources"]["vocals"].contains("sdr"));
  EXPECT_TRUE(refused["rows"]["estimate"]["sources"]["vocals"]["si_sdr"].is_number());
  EXPECT_TRUE(refused["rows"]["estimate"]["sources"]["bass"]["whole_sdr"].is_null());
  EXPECT_EQ(museval_json(refused, kSources, "estimate"), "");

  const Json skipped = score(track, {noisy_row(track, 0.01)}, {.skip_silent_sources = true});
  EXPECT_THAT(reasons(skipped), HasSubstr("silent throughout; skipped"));
  EXPECT_EQ(skipped["rows"]["estimate"]["sources"]["vocals"]["sdr"].size(), 2U);
  EXPECT_FALSE(skipped["rows"]["estimate"]["sources"].contains("bass"));
}

TEST(ScoreTrack, OddEstimatesAreScoredOrNamed) {
  const Track track = make_track("a", {mono(noise(1, 2000)), mono(noise(2, 2000)), mono(noise(3, 2000))});
  const SdrRow row = {"estimate", [&track] {
                        std::vector<Signal> signals = track.stems;
                        signals[0].resize(2 * 1500);
                        signals[1].resize(2 * 2100, 0.5F);
                        signals[2].clear();
                        return make_estimates(std::move(signals));
                      }};
  const Json scored = score(track, {row});
  EXPECT_THAT(reasons(scored), HasSubstr("1500 samples, the reference 2000; padded with silence"));
  EXPECT_THAT(reasons(scored), HasSubstr("2100 samples, the reference 2000; cut"));
  EXPECT_THAT(reasons(scored), HasSubstr("there is no estimate"));
  EXPECT_EQ(scored["rows"]["estimate"]["sources"]["vocals"]["sdr"].size(), 2U);
  EXPECT_FALSE(scored["rows"]["estimate"].contains("mixture"));  // it would lack a source

  const SdrRow silent = {"estimate", [&track] {
                           std::vector<Signal> signals = track.stems;
                           std::ranges::fill(signals[1], 0.0F);
                           return make_estimates(std::move(signals));
                         }};
  const Json refused = score(track, {silent});
  EXPECT_THAT(reasons(refused), HasSubstr("the estimate is silent throughout"));
  EXPECT_FALSE(refused["rows"]["estimate"]["sources"]["vocals"].contains("sdr"));

  const Track alone = make_track("b", {mono(noise(1, 2000)), {}, {}});
  EXPECT_THAT(reasons(score(alone, {noisy_row(alone, 0.01)})), HasSubstr("BSSEval needs two sources"));
  const Track empty = make_track("c", {{}, {}, {}});
  EXPECT_ERROR(score(empty, {}), ExitCode::kBadFile, HasSubstr("there are no samples"));
}

TEST(MusevalJson, IsItsTextToTheByte) {
  Json scored = {{"rows", {{"estimate", {{"sources", Json::object()}}}}}};
  Json& sources = scored["rows"]["estimate"]["sources"];
  sources["vocals"] = {{"sdr", {1.2345649, nullptr}},
                       {"isr", {-0.5, nullptr}},
                       {"sir", {"inf", nullptr}},
                       {"sar", {-12, nullptr}}};
  sources["drums"] = {{"sdr", Json::array({0})},
                      {"isr", Json::array({0})},
                      {"sir", Json::array({0})},
                      {"sar", Json::array({0})}};
  EXPECT_EQ(museval_json(scored, kSources, "estimate"), R"({
  "targets": [
    {
      "name": "vocals",
      "frames": [
        {
          "time": 0.0,
          "duration": 1.0,
          "metrics": {
            "SDR": 1.23456,
            "SIR": NaN,
            "SAR": -12.00000,
            "ISR": -0.50000
          }
        },
        {
          "time": 1.0,
          "duration": 1.0,
          "metrics": {
            "SDR": NaN,
            "SIR": NaN,
            "SAR": NaN,
            "ISR": NaN
          }
        }
      ]
    },
    {
      "name": "drums",
      "frames": [
        {
          "time": 0.0,
          "duration": 1.0,
          "metrics": {
            "SDR": 0.00000,
            "SIR": 0.00000,
            "SAR": 0.00000,
            "ISR": 0.00000
          }
        }
      ]
    }
  ],
  "museval_version": "0.4.1"
})");
}

Json scored_track(const std::string& name, const Json& vocals, const Json& bass) {
  Json sources = {{"vocals", {{"sdr", vocals}, {"whole_sdr", vocals[0]}}}};
  if (!bass.is_null()) sources["bass"] = {{"sdr", bass}, {"whole_sdr", bass[0]}};
  return {{"track", name},
          {"sample_rate_hz", 10},
          {"num_frames", 35},
          {"num_windows", 3},
          {"rows", {{"estimate", {{"sources", sources}}}}},
          {"left_out", Json::array()}};
}

TEST(Summary, TakesMediansOverWindowsThenTracksAndNeverOfWhatIsNotThere) {
  const std::vector<std::string> sources = {"vocals", "bass"};
  const Json summary =
      summarize({scored_track("a", {1, nullptr, 2}, {4, 5, 9}), scored_track("b", {10, 20, "inf"}, nullptr),
                 scored_track("c", {nullptr, nullptr, nullptr}, {7, 7, 7})},
                sources);
  ASSERT_EQ(summary["rows"].size(), 1U);
  const Json& row = summary["rows"][0];
  EXPECT_EQ(row["sources"]["vocals"]["sdr"], (1.5 + 15) / 2);
  EXPECT_EQ(row["sources"]["vocals"]["num_tracks"]["sdr"], 2);
  EXPECT_EQ(row["sources"]["bass"]["sdr"], 6);
  EXPECT_EQ(row["average"]["sdr"], (8.25 + 6) / 2);
  EXPECT_EQ(row["sources"]["vocals"]["whole_sdr_mean"], 5.5);
  EXPECT_EQ(summary["tracks"][0]["rows"]["estimate"]["sources"]["vocals"]["sdr"], 1.5);
  EXPECT_EQ(summary["tracks"][0]["rows"]["estimate"]["sources"]["vocals"]["num_windows"], 2);
  EXPECT_EQ(summary["tracks"][0]["seconds"], 3.5);
  EXPECT_TRUE(summary["tracks"][2]["rows"]["estimate"]["sources"]["vocals"]["sdr"].is_null());
  // A source without a number leaves no average.
  const Json partly = summarize({scored_track("b", {10, 20, 30}, nullptr)}, sources);
  EXPECT_TRUE(partly["rows"][0]["average"]["sdr"].is_null());
  EXPECT_EQ(partly["rows"][0]["sources"]["vocals"]["sdr"], 20);

  const std::string text = sdr_tables(summary, sources, "model x");
  EXPECT_THAT(text, HasSubstr("model x                               8.250     6.000     7.125"));
  EXPECT_THAT(text, HasSubstr("VQ-VAE, Kim et al. 2021               1.270     1.761     1.311   (on MUSDB18 test)"));
}

TEST(Published, AveragesAreThoseOfTheirSources) {
  for (const Json& row : published_rows()) {
    double sum = 0;
    for (const auto& [source, value] : row["sources"].items()) sum += value.get<double>();
    EXPECT_NEAR(row["average"].get<double>(), sum / 4, 0.006) << row;
  }
}

}  // namespace
}  // namespace vqcodec::eval
