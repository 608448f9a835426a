// vqeval sdr: how well sources come back, by BSSEval v4 as museval computes it and by plain ratios.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>

#include "apps/command.h"
#include "apps/eval_commands.h"
#include "apps/model_file.h"
#include "audio/reader.h"
#include "base/error.h"
#include "base/progress.h"
#include "eval/json_output.h"
#include "eval/sdr.h"
#include "eval/svg_plot.h"
#include "eval/tracks.h"

namespace vqcodec::apps {

namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;
using eval::Json;

constexpr const char* kExamples = R"(
With --model and --data, each mixture is encoded to codes, and each source is decoded from its own codes alone and held
against its stem. With --reference and --estimate, the estimates are those in files. Folders are as in MUSDB18-HQ,
DIR/<track>/{mixture,vocals,bass,drums,other}.<audio>; a mixture that is not there is the sum of the sources.

BSSEval version 4 (SDR, ISR, SIR, SAR) is that of museval 0.4.1: windows of 1 s, filters of 512 taps over the whole track,
medians over windows and then over tracks; a window in which a reference or an estimate is silent counts for no source, and
a track with a source that is silent throughout has none. Beside it stand SI-SDR (both channels as one vector), plain SDR
of whole tracks (as in the demixing challenges of 2021 and 2023) and of windows of 1 s, and the trivial estimates: the
mixture, silence, and ideal ratio masks (of the true sources' magnitudes, window 2048, hop 512). What is left out of the
figures is listed with the reason.

With --out DIR: DIR/sdr.json, DIR/sdr/<track>.json as museval writes them, DIR/sdr-details/<track>.json with all windows
of all rows.

Examples:
  vqeval sdr --data musdb18hq/test --out results/
  vqeval sdr --data musdb18hq/test --out results/ --resume
  vqeval sdr --model model.safetensors --data stems/ --quality 4 --no-bss
  vqeval sdr --reference musdb18hq/test --estimate separated/ --json > sdr.json
)";

struct SdrCommandOptions {
  std::string reference, estimate;  // reference: --data when a model makes the estimates
  std::string out;
  int num_codebooks = 0;
  double max_seconds = 0;
  bool trivial = true, true_sources = false, resume = false, json = false, quiet = false;
  eval::SdrOptions scores;
};

// The rate of the first file of a track that is found; 0 if there is none.
int file_rate_hz(const eval::TrackFolder& folder, const std::vector<std::string>& stems) {
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder.path, error)) {
    const std::string extension = entry.path().extension().string();
    if (entry.is_directory() || extension.empty() || extension == ".json" || extension == ".vqc" ||
        extension == ".txt" || std::ranges::find(stems, entry.path().stem().string()) == stems.end()) {
      continue;
    }
    return audio::AudioReader::open(entry.path().string(), {.sample_rate_hz = 0})->sample_rate_hz();
  }
  return 0;
}

void refuse_bad_samples(const eval::Track& track, const std::string& what) {
  if (track.num_bad_samples == 0) return;
  throw Error(ExitCode::kBadFile, what + ": " + std::to_string(track.num_bad_samples) +
                                      " samples are no numbers, so nothing can be scored");
}

class SdrReport {
 public:
  SdrReport(const SdrCommandOptions& options, std::optional<LoadedModel> loaded, std::vector<std::string> sources,
            runtime::ThreadPool& pool)
      : options_(options), loaded_(std::move(loaded)), sources_(std::move(sources)), pool_(pool) {}

  Json make(Json report) {
    std::vector<std::string> stems = sources_;
    stems.push_back("mixture");
    const auto folders = eval::list_tracks(options_.reference, stems);
    if (!options_.out.empty()) {
      make_folder(museval_folder());
      make_folder(details_folder());
    }
    Json left_out = Json::array();
    std::vector<Json> scored;
    Progress progress("", options_.quiet);
    for (size_t t = 0; t < folders.size(); ++t) {
      const auto& folder = folders[t];
      const auto on_progress = [&](double share) {
        progress.update(static_cast<double>(t) + share, static_cast<double>(folders.size()));
      };
      on_progress(0);
      if (auto kept = kept_track(folder.name)) {
        scored.push_back(std::move(*kept));
        continue;
      }
      try {
        scored.push_back(score(folder, on_progress));
      } catch (const Error& error) {
        if (error.code() != ExitCode::kIo && error.code() != ExitCode::kBadFile) throw;
        left_out.push_back({{"track", folder.name}, {"why", error.what()}});
        continue;
      }
      keep(folder.name, scored.back());
    }
    if (scored.empty()) {
      throw Error(ExitCode::kBadFile, options_.reference + ": no track can be scored; " +
                                          left_out[0]["track"].get<std::string>() + ": " +
                                          left_out[0]["why"].get<std::string>());
    }
    Json summary = eval::summarize(scored, sources_);
    report["settings"] = settings();
    report["sources"] = sources_;
    report["rows"] = summary["rows"];
    report["published"] = eval::published_rows();
    report["tracks"] = summary["tracks"];
    for (const Json& entry : summary["left_out"]) left_out.push_back(entry);
    report["left_out"] = left_out;
    report["plots"] = Json::array();
    if (!options_.out.empty()) draw(report);
    return report;
  }

 private:
  static void make_folder(const fs::path& folder) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) throw Error(ExitCode::kIo, folder.string() + ": cannot be made: " + error.message());
  }
  fs::path museval_folder() const { return fs::path(options_.out) / "sdr"; }
  fs::path details_folder() const { return fs::path(options_.out) / "sdr-details"; }

  Json settings() const {
    Json result = {{"estimates", loaded_ ? "decoded from the codes of each source alone" : "files"}};
    if (loaded_) result["codebooks"] = num_codebooks();
    result["max_seconds"] = options_.max_seconds;
    result["bss_eval"] = options_.scores.bss ? "version 4, windows of 1 s, 512 taps" : "none";
    result["skip_silent_sources"] = options_.scores.skip_silent_sources;
    return result;
  }

  int num_codebooks() const {
    return options_.num_codebooks > 0 ? options_.num_codebooks : loaded_->model->config().num_codebooks;
  }

  // What a track's figures depend on: kept ones of other settings are not taken.
  Json fingerprint() const {
    std::error_code error;
    Json result = settings();
    result["vqcodec_version"] = VQCODEC_VERSION;
    result["reference"] = fs::weakly_canonical(options_.reference, error).string();
    if (loaded_) {
      result["model"] = runtime::to_hex(loaded_->model->id());
    } else {
      result["estimate"] = fs::weakly_canonical(options_.estimate, error).string();
    }
    result["sources"] = sources_;
    result["trivial"] = options_.trivial;
    result["true_sources"] = options_.true_sources;
    return result;
  }

  std::optional<Json> kept_track(const std::string& name) const {
    if (!options_.resume) return std::nullopt;
    std::ifstream file(details_folder() / (name + ".json"));
    const Json kept = Json::parse(file, nullptr, false);
    if (!kept.is_object() || !kept.contains("settings") || !kept.contains("rows") ||
        kept["settings"] != Json::parse(eval::json_text(fingerprint()))) {
      return std::nullopt;
    }
    try {
      const bool has_museval_file = fs::is_regular_file(museval_folder() / (name + ".json"));
      if (has_museval_file == eval::museval_json(kept, sources_, "estimate").empty()) return std::nullopt;
      eval::summarize({kept}, sources_);  // throws if anything is missing
      return kept;
    } catch (const Json::exception&) {
      return std::nullopt;
    }
  }

  void keep(const std::string& name, const Json& track) const {
    if (options_.out.empty()) return;
    const fs::path museval_file = museval_folder() / (name + ".json");
    const fs::path details_file = details_folder() / (name + ".json");
    std::error_code error;
    fs::remove(details_file, error);
    const std::string text = eval::museval_json(track, sources_, "estimate");
    if (text.empty()) {
      fs::remove(museval_file, error);
    } else {
      eval::write_text_file(museval_file, text);
    }
    Json details = {{"settings", fingerprint()}};
    details.update(track);
    // Last: a track that has this file is complete.
    eval::write_text_file(details_file, details.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  }

  Json score(const eval::TrackFolder& folder, const std::function<void(double)>& on_progress) {
    eval::Track track;
    std::vector<eval::SdrRow> rows;
    std::vector<std::vector<float>> sums;  // of what all slots make of each true source
    if (loaded_) {
      track = eval::read_track(folder, sources_,
                               {.sample_rate_hz = loaded_->model->config().sample_rate_hz,
                                .max_seconds = options_.max_seconds});
      rows.push_back({"estimate", [&] { return eval::make_estimates(decode(track.mixture)); }});
      if (options_.true_sources) {
        rows.push_back({"true_own_slot", [&] {
                          std::vector<std::vector<float>> own(sources_.size());
                          sums.resize(sources_.size());
                          for (size_t s = 0; s < sources_.size(); ++s) {
                            if (track.stems[s].empty()) continue;
                            auto decoded = decode(track.stems[s]);
                            sums[s] = eval::sum_of(decoded);
                            own[s] = std::move(decoded[s]);
                          }
                          return eval::make_estimates(std::move(own));
                        }});
        rows.push_back({"true_all_slots", [&] { return eval::make_estimates(std::move(sums)); }});
      }
    } else {
      const int rate_hz = file_rate_hz(folder, sources_);
      if (rate_hz == 0) throw Error(ExitCode::kBadFile, "there is no reference");
      const eval::ReadOptions read = {.sample_rate_hz = rate_hz, .max_seconds = options_.max_seconds};
      track = eval::read_track(folder, sources_, read);
      rows.push_back({"estimate", [this, folder, read] { return read_estimates(folder, read); }});
    }
    refuse_bad_samples(track, "reference");
    if (options_.trivial) {
      for (auto& row : eval::trivial_rows(track, pool_)) rows.push_back(std::move(row));
    }
    eval::SdrOptions scores = options_.scores;
    scores.on_progress = on_progress;
    return eval::score_track(track, sources_, rows, scores, pool_);
  }

  std::vector<std::vector<float>> decode(std::span<const float> interleaved) {
    const auto song = eval::encode_song(loaded_->model, interleaved, options_.num_codebooks, pool_);
    return eval::decode_sources(loaded_->model, song, pool_);
  }

  eval::Estimates read_estimates(const eval::TrackFolder& folder, const eval::ReadOptions& read) const {
    // A reference that is a track itself has its estimates in the folder given, or in one of its name there.
    fs::path path = fs::path(options_.estimate) / folder.name;
    if (!fs::is_directory(path) && folder.path == options_.reference) path = options_.estimate;
    if (!fs::is_directory(path)) throw Error(ExitCode::kBadFile, path.string() + ": there are no estimates");
    eval::Track estimates = eval::read_track({folder.name, path}, sources_, read);
    refuse_bad_samples(estimates, "estimate");
    auto result = eval::make_estimates(std::move(estimates.stems));
    // Of an estimate that is not there score_track() tells.
    std::erase_if(estimates.remarks,
                  [](const std::string& remark) { return remark.find(": no such file") != std::string::npos; });
    result.remarks = std::move(estimates.remarks);
    return result;
  }

  void draw(Json& report) const {
    const char* metric = options_.scores.bss ? "sdr" : "windowed_sdr";
    eval::Panel panel{.title = options_.scores.bss ? "SDR of each track (BSSEval v4)" : "SDR of each track (plain)",
                      .x_label = "tracks, each source's from its lowest",
                      .y_label = "SDR, dB"};
    for (size_t s = 0; s < sources_.size(); ++s) {
      std::vector<double> values;
      for (const Json& track : report["tracks"]) {
        const Json& row = track["rows"]["estimate"]["sources"];
        if (row.contains(sources_[s]) && row[sources_[s]].contains(metric) && row[sources_[s]][metric].is_number()) {
          values.push_back(row[sources_[s]][metric]);
        }
      }
      if (values.size() < 2) continue;
      std::ranges::sort(values);
      eval::Series series{.name = sources_[s], .color = static_cast<int>(s)};
      for (size_t i = 0; i < values.size(); ++i) series.points.emplace_back(static_cast<double>(i + 1), values[i]);
      panel.series.push_back(std::move(series));
    }
    if (panel.series.empty()) return;
    eval::write_text_file(fs::path(options_.out) / "sdr_tracks.svg", eval::svg_plot({panel}));
    report["plots"].push_back({{"title", panel.title}, {"file", "sdr_tracks.svg"}});
  }

  const SdrCommandOptions& options_;
  std::optional<LoadedModel> loaded_;
  std::vector<std::string> sources_;
  runtime::ThreadPool& pool_;
};

std::string report_text(const Json& report, const std::vector<std::string>& sources) {
  std::ostringstream out;
  std::string name = "estimates";
  if (report.contains("model")) {
    name = "model " + report["model"]["name"].get<std::string>();
    out << name << " " << report["model"]["id"].get<std::string>().substr(0, 12) << ", "
        << report["settings"]["codebooks"] << " codebooks, ";
  }
  out << "data " << report["data"].get<std::string>() << ", " << report["tracks"].size() << " tracks\n\n"
      << eval::sdr_tables(report, sources, name);
  constexpr size_t kMostLines = 40;
  const Json& left_out = report["left_out"];
  if (!left_out.empty()) out << "left out, or changed:\n";
  for (size_t i = 0; i < std::min(kMostLines, left_out.size()); ++i) {
    const Json& entry = left_out[i];
    out << "  " << entry["track"].get<std::string>();
    if (entry.contains("source")) out << ", " << entry["source"].get<std::string>();
    if (entry.contains("window")) out << ", seconds " << entry["window"].get<std::string>();
    out << ": " << entry["why"].get<std::string>() << '\n';
  }
  if (left_out.size() > kMostLines) out << "  and " << left_out.size() - kMostLines << " more, which JSON lists\n";
  return out.str();
}

}  // namespace

int run_eval_sdr(const std::vector<std::string>& arguments) {
  Command command("vqeval", "sdr --data DIR | --reference DIR --estimate DIR [options]", 0, kExamples);
  auto add = command.options.add_options();
  add("data", po::value<std::string>(), "folder of tracks whose mixtures the model encodes");
  add("model", po::value<std::string>(), kModelHelp);
  add("reference", po::value<std::string>(), "folder of tracks with the true sources");
  add("estimate", po::value<std::string>(), "folder of the same tracks with estimates of the sources");
  add("sources", po::value<std::string>(),
      "with --reference, the sources, such as vocals,accompaniment; otherwise vocals,bass,drums,other");
  add("quality", po::value<int>(), "codebooks to keep, from 1 to all of the model's (the default)");
  add("true-sources", "also encode each true source alone, and decode its own slot, and all slots together");
  add("max-seconds", po::value<double>()->default_value(0), "of each track, 0 = all of it");
  add("no-bss", "leave out BSSEval: only SI-SDR and plain SDR, which takes a fraction of the time");
  add("no-trivial", "leave out the trivial estimates");
  add("skip-silent-sources", "let sources that are silent throughout count as not there, instead of the track");
  add("out", po::value<std::string>(), "folder to write to; it is made if it is not there");
  add("resume", "keep the tracks that are in --out and complete, with the same settings");
  add("json", "print JSON instead of tables");
  add("threads", po::value<int>()->default_value(0), "CPU threads, 0 = one a core; they do not change the result");
  add("quiet", "no progress, and with --out no table");
  add("help,h", "this text");
  Values values;
  if (!command.parse(arguments, values, false)) return 0;
  const auto expect = [](bool holds, const std::string& message) {
    if (!holds) throw Error(ExitCode::kUsage, message);
  };
  const bool with_model = flag(values, "data");
  expect(with_model != flag(values, "reference"),
         "expected either --data, or --reference and --estimate; see " + command.help_hint());
  expect(flag(values, "reference") == flag(values, "estimate"), "--reference and --estimate go together");
  for (const char* name : {"model", "quality", "true-sources"}) {
    expect(with_model || !flag(values, name), std::string("--") + name + " goes with --data");
  }
  expect(!with_model || !flag(values, "sources"), "--sources goes with --reference; a model has its own");
  SdrCommandOptions options;
  options.reference = text(values, with_model ? "data" : "reference");
  options.estimate = text(values, "estimate");
  options.out = text(values, "out");
  options.max_seconds = values["max-seconds"].as<double>();
  expect(options.max_seconds >= 0 && options.max_seconds <= 1e6, "--max-seconds: expected 0 to 1000000");
  options.trivial = !flag(values, "no-trivial");
  options.true_sources = flag(values, "true-sources");
  options.resume = flag(values, "resume");
  expect(!options.resume || !options.out.empty(), "--resume goes with --out");
  options.json = flag(values, "json");
  options.quiet = flag(values, "quiet");
  options.scores.bss = !flag(values, "no-bss");
  options.scores.skip_silent_sources = flag(values, "skip-silent-sources");
  runtime::ThreadPool pool(threads(values));

  std::optional<LoadedModel> loaded;
  std::vector<std::string> sources = {"vocals", "bass", "drums", "other"};
  if (with_model) {
    loaded = load_model(text(values, "model"));
    sources = loaded->model->config().sources;
    if (flag(values, "quality")) {
      options.num_codebooks = values["quality"].as<int>();
      const int most = loaded->model->config().num_codebooks;
      expect(options.num_codebooks >= 1 && options.num_codebooks <= most,
             "--quality: expected 1 to " + std::to_string(most));
    }
  } else if (flag(values, "sources")) {
    sources = comma_list(values, "sources");
    for (size_t i = 0; i < sources.size(); ++i) {
      expect(sources[i] != "mixture" && std::count(sources.begin(), sources.end(), sources[i]) == 1,
             "--sources: " + sources[i] + " is named twice, or is no source");
    }
  }
  Json report = eval::report_header("sdr", VQCODEC_VERSION, command_words("vqeval sdr", arguments));
  if (loaded) report["model"] = eval::model_json(*loaded->model, loaded->path);
  report["data"] = eval::folder_name(options.reference);
  if (!with_model) report["estimate"] = eval::folder_name(options.estimate);
  report = SdrReport(options, std::move(loaded), sources, pool).make(std::move(report));
  if (!options.out.empty()) {
    eval::write_text_file(fs::path(options.out) / "sdr.json", eval::json_text(report));
  }
  if (options.json) {
    print(eval::json_text(report));
  } else if (options.out.empty() || !options.quiet) {
    print(report_text(report, sources));
  }
  return 0;
}

}  // namespace vqcodec::apps
