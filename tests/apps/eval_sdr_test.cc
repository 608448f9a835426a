// vqeval sdr as a person would run it.
#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

#include "tests/apps/vqeval_program.h"

namespace vqcodec::apps {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using Signal = std::vector<float>;

constexpr int kRateHz = 2000;

class EvalSdr : public Vqeval {
 protected:
  EvalSdr() : Vqeval("sdr") {}

  static void SetUpTestSuite() {
    Vqeval::SetUpTestSuite();
    const Signal song = make_song(3 * 44100);
    size_t shift = 0;
    for (const std::string source : {"vocals", "bass", "drums", "other"}) {
      write(data() + "/one/" + source + ".wav", {song.begin() + static_cast<long>(2 * shift), song.end()});
      shift += 7000;
    }
  }

  // Both channels the same, which is quickly scored.
  static Signal noise(unsigned seed, size_t num_frames) {
    std::mt19937 random(seed);
    Signal signal(2 * num_frames);
    for (size_t i = 0; i < signal.size(); i += 2) {
      signal[i] = signal[i + 1] = static_cast<float>(random() % 4096) / 8192.0F - 0.25F;
    }
    return signal;
  }
  // A track of two sources, and estimates with a tenth of the other in them.
  void write_pair(const std::string& track, size_t num_frames = 3 * kRateHz + 5) const {
    const std::vector<Signal> sources = {noise(1, num_frames), noise(2, num_frames)};
    for (size_t s = 0; s < 2; ++s) {
      const std::string name = s == 0 ? "vocals" : "accompaniment";
      write(reference() + "/" + track + "/" + name + ".wav", sources[s], kRateHz);
      Signal estimate = sources[s];
      for (size_t i = 0; i < estimate.size(); ++i) estimate[i] += 0.1F * sources[1 - s][i];
      write(estimates() + "/" + track + "/" + name + ".wav", estimate, kRateHz);
    }
  }
  std::string reference() const { return dir_ / "reference"; }
  std::string estimates() const { return dir_ / "estimate"; }

  std::vector<std::string> pair(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {"--reference", reference(), "--estimate",
                                          estimates(),   "--sources", "vocals,accompaniment"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  json pair_report(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"--json", "--no-trivial"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome outcome = run_command(pair(arguments));
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return json::parse(outcome.out, nullptr, false);
  }
};

TEST_F(EvalSdr, ScoresEstimatesAgainstReferences) {
  write_pair("one");
  write_pair("two", kRateHz / 2);  // shorter than a window
  const Outcome outcome = run_command(pair({"--out", dir_ / "out/sdr"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  for (const char* part : {"SDR (BSSEval v4", "mixture as estimate", "ideal ratio mask", "silence", "SI-SDR",
                           "whole tracks", "VQ-VAE, Kim et al. 2021", "Demucs", "on MUSDB18 test"}) {
    EXPECT_THAT(outcome.out, HasSubstr(part));
  }
  const json report = json::parse(read_bytes(dir_ / "out/sdr/sdr.json"));
  EXPECT_EQ(report["kind"], "sdr");
  EXPECT_EQ(report["data"], "reference");
  EXPECT_EQ(report["estimate"], "estimate");
  EXPECT_EQ(report["rows"][0]["id"], "estimate");
  EXPECT_NEAR(report["rows"][0]["sources"]["vocals"]["sdr"].get<double>(), 20, 0.3);
  // In so short tracks 512 taps of the source itself explain some of the other.
  EXPECT_NEAR(report["rows"][0]["sources"]["vocals"]["sir"].get<double>(), 21, 2);
  EXPECT_EQ(report["rows"].size(), 4U);
  EXPECT_EQ(report["tracks"][0]["num_windows"], 3);
  EXPECT_EQ(report["tracks"][1]["num_windows"], 1);
  EXPECT_EQ(report["plots"][0]["file"], "sdr_tracks.svg");
  EXPECT_THAT(read_bytes(dir_ / "out/sdr/sdr_tracks.svg"), HasSubstr("accompaniment"));
  const json frames = json::parse(read_bytes(dir_ / "out/sdr/sdr/one.json"));
  EXPECT_EQ(frames["targets"][1]["name"], "accompaniment");
  EXPECT_EQ(frames["targets"][1]["frames"].size(), 3U);
  EXPECT_EQ(frames["museval_version"], "0.4.1");
}

TEST_F(EvalSdr, ResumesTrackByTrack) {
  write_pair("one");
  write_pair("two");
  const std::string out = dir_ / "out";
  const json first = pair_report({"--out", out});
  // What is kept is not read again; what is not complete is done again.
  write(reference() + "/one/vocals.wav", noise(9, 3 * kRateHz + 5), kRateHz);
  std::filesystem::remove(out + "/sdr-details/two.json");
  EXPECT_EQ(pair_report({"--out", out, "--resume"})["rows"], first["rows"]);
  EXPECT_TRUE(std::filesystem::exists(out + "/sdr-details/two.json"));
  // Other settings do not mix with kept tracks.
  const json changed = pair_report({"--out", out, "--resume", "--max-seconds", "2"});
  EXPECT_NE(changed["rows"], first["rows"]);
  EXPECT_EQ(changed["tracks"][0]["num_windows"], 2);
  // Half a file is no file.
  write_bytes(out + "/sdr-details/one.json", read_bytes(out + "/sdr-details/one.json").substr(0, 300));
  EXPECT_EQ(pair_report({"--out", out, "--resume", "--max-seconds", "2"})["rows"], changed["rows"]);
}

TEST_F(EvalSdr, BadTracksAreNamedAndTheOthersScored) {
  for (const char* track : {"good", "length", "nan", "no-estimate", "rate", "silent", "source"}) write_pair(track);
  const size_t frames = 3 * kRateHz + 5;
  Signal bad = noise(1, frames);
  write(estimates() + "/length/vocals.wav", {bad.begin(), bad.end() - 2 * 100}, kRateHz);
  bad[77] = std::numeric_limits<float>::quiet_NaN();
  write(estimates() + "/nan/vocals.wav", bad, kRateHz);
  std::filesystem::remove_all(estimates() + "/no-estimate");
  write(estimates() + "/rate/vocals.wav", noise(1, 2 * frames), 2 * kRateHz);
  write(reference() + "/silent/vocals.wav", Signal(2 * frames), kRateHz);
  std::filesystem::remove(estimates() + "/source/vocals.wav");
  std::filesystem::create_directories(reference() + "/damaged");
  write_bytes(reference() + "/damaged/vocals.wav", "no sound");
  const json report = pair_report();
  const auto why = [&](const std::string& track) {
    std::string all;
    for (const json& item : report["left_out"]) {
      if (item["track"] == track) all += item.dump();
    }
    return all;
  };
  EXPECT_EQ(why("good"), "");
  EXPECT_THAT(why("length"), HasSubstr("100 samples shorter than the longest file, padded"));
  EXPECT_THAT(why("nan"), HasSubstr("1 samples are no numbers"));
  EXPECT_THAT(why("no-estimate"), HasSubstr("there are no estimates"));
  EXPECT_THAT(why("rate"), HasSubstr("resampled from 4000 to 2000 Hz"));
  EXPECT_THAT(why("silent"), HasSubstr("silent throughout"));
  EXPECT_THAT(why("source"), HasSubstr("there is no estimate"));
  EXPECT_THAT(why("damaged"), HasSubstr("vocals.wav"));
  EXPECT_EQ(report["tracks"].size(), 5U);                                     // all but nan, no-estimate and damaged
  EXPECT_EQ(report["rows"][0]["sources"]["vocals"]["num_tracks"]["sdr"], 3);  // good, length, rate
  EXPECT_EQ(report["rows"][0]["sources"]["accompaniment"]["num_tracks"]["whole_sdr"], 5);
  const json skipped = pair_report({"--skip-silent-sources", "--no-bss"});
  EXPECT_THAT(skipped["left_out"].dump(), HasSubstr("skipped"));
  EXPECT_FALSE(skipped["rows"][0]["average"].contains("sdr"));
}

TEST_F(EvalSdr, ScoresWhatAModelDecodes) {
  const Outcome outcome =
      run_command({"--data", data(), "--true-sources", "--max-seconds", "2.5", "--json", "--threads", "1"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const json report = json::parse(outcome.out);
  EXPECT_EQ(report["model"]["name"], "random-1");
  EXPECT_EQ(report["settings"]["codebooks"], 3);
  std::vector<std::string> ids;
  for (const json& row : report["rows"]) ids.push_back(row["id"]);
  EXPECT_EQ(ids, (std::vector<std::string>{"estimate", "true_own_slot", "true_all_slots", "mixture", "silence",
                                           "ideal_ratio_mask"}));
  EXPECT_EQ(report["tracks"][0]["num_windows"], 2);
  for (const char* metric : {"sdr", "isr", "sir", "sar", "si_sdr", "whole_sdr", "windowed_sdr"}) {
    EXPECT_TRUE(report["rows"][0]["average"][metric].is_number()) << metric;
  }
  EXPECT_TRUE(report["rows"][0]["mixture"]["windowed_sdr"].is_number());
  // Fewer codebooks are something else, and what they are is said.
  const Outcome coarse =
      run_command({"--data", data(), "--quality", "1", "--no-bss", "--no-trivial", "--max-seconds", "2.5", "--json"});
  ASSERT_EQ(coarse.exit_code, 0) << coarse.err;
  const json coarse_report = json::parse(coarse.out);
  EXPECT_EQ(coarse_report["settings"]["codebooks"], 1);
  EXPECT_NE(coarse_report["rows"][0]["sources"]["vocals"]["whole_sdr"],
            report["rows"][0]["sources"]["vocals"]["whole_sdr"]);
  // The threads change nothing.
  const Outcome threaded = run_command({"--data", data(), "--quality", "1", "--no-bss", "--no-trivial", "--max-seconds",
                                        "2.5", "--json", "--threads", "3"});
  EXPECT_EQ(json::parse(threaded.out)["rows"], coarse_report["rows"]);
}

TEST_F(EvalSdr, WrongOptionsAndFoldersAreErrors) {
  fails({}, ExitCode::kUsage, "either --data, or --reference and --estimate");
  fails({"--data", data(), "--reference", data()}, ExitCode::kUsage, "either --data");
  fails({"--reference", data()}, ExitCode::kUsage, "go together");
  fails({"--reference", data(), "--estimate", data(), "--quality", "1"}, ExitCode::kUsage, "--quality goes with");
  fails({"--data", data(), "--quality", "4"}, ExitCode::kUsage, "--quality: expected 1 to 3");
  fails({"--data", data(), "--sources", "vocals"}, ExitCode::kUsage, "--sources goes with --reference");
  fails({"--reference", data(), "--estimate", data(), "--sources", "bass,bass"}, ExitCode::kUsage, "named twice");
  fails({"--data", data(), "--resume"}, ExitCode::kUsage, "--resume goes with --out");
  fails({"--data", data(), "--max-seconds", "-1"}, ExitCode::kUsage, "--max-seconds");
  fails({"--data", data(), "--sdr"}, ExitCode::kUsage, "--sdr");
  fails({"--data", dir_ / "nowhere"}, ExitCode::kIo, "nowhere");
  std::filesystem::create_directories(dir_ / "empty");
  fails({"--data", dir_ / "empty"}, ExitCode::kBadFile, "holds no track");
  fails({"--data", data(), "--model", dir_ / "no.safetensors"}, ExitCode::kModel, "no.safetensors");
  write_pair("one");
  std::filesystem::remove_all(estimates());
  fails(pair({}), ExitCode::kBadFile, "no track can be scored");
  EXPECT_THAT(run_command({"--help"}).out, HasSubstr("Examples:"));
}

}  // namespace
}  // namespace vqcodec::apps
