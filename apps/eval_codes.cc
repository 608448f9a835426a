// vqeval codes: do a model's codes know whose they are?
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <set>
#include <sstream>

#include "apps/command.h"
#include "apps/eval_commands.h"
#include "apps/model_file.h"
#include "base/error.h"
#include "base/progress.h"
#include "eval/code_excerpts.h"
#include "eval/code_map.h"
#include "eval/json_output.h"
#include "eval/svg_plot.h"
#include "eval/tsne.h"

namespace vqcodec::apps {

namespace {

namespace po = boost::program_options;
using eval::Json;
using eval::VectorKind;

constexpr int kNumFolds = 5;

constexpr const char* kExamples = R"(
DIR holds tracks as folders of stems, <track>/{vocals,bass,drums,other}.wav or the like. Each true stem alone, where it
sounds, is what the model is given; "own slot" are the codes that it then gives for that source. Printed are how well
the source can be told from the vectors of the codes, how much of the codebooks is used, and what the codes of one
source come to when they are decoded in another's place. The maps (t-SNE) are drawn only with --out.

Examples:
  vqeval codes --data musdb18hq/test --out results/
  vqeval codes --model model.safetensors --data stems/ --json > codes.json
)";

struct CodesOptions {
  std::string data, out;
  bool json = false, quiet = false;
  int64_t max_points = 0;
  double perplexity = 0;
  uint64_t seed = 0;
  eval::ExcerptOptions excerpts;
};

struct View {
  VectorKind kind;
  const char* name;
  bool per_codebook;
};

// In the order of the report.
constexpr View kViews[] = {
    {VectorKind::kOwnSlot, "own_slot", true},
    {VectorKind::kTablesAlone, "tables_alone", true},
    {VectorKind::kAllSlots, "all_slots", true},
    {VectorKind::kAllSlotMagnitudes, "all_slots_magnitude", false},
    {VectorKind::kDecodedBands, "decoded_spectrum", false},
    {VectorKind::kOriginalBands, "original_spectrum", false},
};

Json notes(bool own_tables) {
  Json result = {
      {"own_slot",
       "the quantized vector of the slot of the source that plays, as in the paper's figure; codebook \"all\" is what "
       "the "
       "decoder gets"},
      {"tables_alone",
       "entries drawn at random from the tables of the source that plays: how far the tables by themselves, without "
       "any "
       "sound, tell the source"},
      {"all_slots",
       "the vectors of all slots one after another, zeros for a silent one: the same tables for every source that "
       "plays, "
       "so what tells the source is which codes were chosen"},
      {"all_slots_magnitude",
       "the same without signs: the coefficients of a transform change their sign with the phase of the sound, which "
       "hides from straight lines and from distances how much there is of each"},
      {"decoded_spectrum",
       "log power in 24 bands, level taken out, of all slots decoded and summed: no table is in it"},
      {"original_spectrum", "the same of the true stem: what the spectrum of a frame can tell at most"},
      {"loudest_slot", "share of the frames of a source (row) for which a slot (column) decodes to the most energy"},
      {"swapped",
       "codes of a source (row) decoded in the place of another (column), against the true source: median over "
       "excerpts"},
  };
  result["tables"] =
      own_tables ? "the sources of this model have tables of their own, so a vector of the own slot can tell its "
                   "source without any sound: compare own_slot with tables_alone, and look at all_slots"
                 : "all sources of this model share their tables";
  return result;
}

// Groups that no fold cuts: tracks where there are enough of them for every source, else excerpts.
struct Folds {
  std::string by;
  int count = 0;  // below 2: there are too few to cross-validate
  std::vector<int> fold_of_point;
};

Folds make_folds(const eval::CodeExcerpts& data, const std::vector<int64_t>& rows, const std::vector<int>& labels,
                 uint64_t seed) {
  std::vector<int> tracks, excerpts;
  std::vector<std::set<int>> tracks_of(static_cast<size_t>(data.num_slots)), excerpts_of(tracks_of.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    excerpts.push_back(data.excerpt_of_row[static_cast<size_t>(rows[i])]);
    tracks.push_back(data.excerpts[static_cast<size_t>(excerpts.back())].track_index);
    tracks_of[static_cast<size_t>(labels[i])].insert(tracks.back());
    excerpts_of[static_cast<size_t>(labels[i])].insert(excerpts.back());
  }
  const auto fewest = [](const std::vector<std::set<int>>& groups) {
    int least = kNumFolds;
    for (const auto& group : groups) {
      if (!group.empty()) least = std::min(least, static_cast<int>(group.size()));
    }
    return least;
  };
  const bool by_track = fewest(tracks_of) == kNumFolds;
  Folds folds;
  folds.by = by_track ? "track" : "excerpt";
  folds.count = by_track ? kNumFolds : fewest(excerpts_of);
  if (folds.count >= 2) {
    folds.fold_of_point = eval::assign_folds(by_track ? tracks : excerpts, labels, folds.count, seed);
  }
  return folds;
}

Json matrix_json(const std::vector<std::vector<double>>& matrix) {
  Json rows = Json::array();
  for (const auto& row : matrix) {
    Json values = Json::array();
    for (double value : row) values.push_back(eval::number_or_null(value));
    rows.push_back(values);
  }
  return rows;
}

// One panel of the map, its points coloured by source.
eval::Panel map_panel(const std::string& title, const std::vector<double>& map, const std::vector<int>& labels,
                      const std::vector<std::string>& sources) {
  eval::Panel panel{.title = title, .hide_axes = true};
  for (size_t s = 0; s < sources.size(); ++s) {
    eval::Series series{.name = sources[s], .color = static_cast<int>(s), .line = false, .marker_radius = 1.6};
    for (size_t i = 0; i < labels.size(); ++i) {
      if (labels[i] == static_cast<int>(s)) series.points.emplace_back(map[2 * i], map[2 * i + 1]);
    }
    if (!series.points.empty()) panel.series.push_back(std::move(series));
  }
  return panel;
}

class CodesReport {
 public:
  CodesReport(const CodesOptions& options, const LoadedModel& loaded, runtime::ThreadPool& pool)
      : options_(options), model_(loaded.model), sources_(model_->config().sources), pool_(pool) {}

  Json make(Json report) {
    collect();
    rows_ = eval::sample_rows(data_, options_.max_points, options_.seed);
    for (int64_t row : rows_) labels_.push_back(data_.source_of_row(row));
    constexpr size_t kFewestPoints = 12;
    if (rows_.size() < kFewestPoints) {
      throw Error(ExitCode::kBadFile, options_.data + ": " + std::to_string(rows_.size()) +
                                          " frames that sound, expected " + std::to_string(kFewestPoints) + " or more");
    }
    folds_ = make_folds(data_, rows_, labels_, options_.seed);
    perplexity_ = std::min(options_.perplexity, static_cast<double>(rows_.size() - 1) / 3);
    report["settings"] = settings();
    report["sources"] = source_counts();
    report["tables_per_source"] = eval::has_tables_of_its_own(*model_);
    report["notes"] = notes(eval::has_tables_of_its_own(*model_));
    report["scores"] = scores();
    const eval::SlotAccuracy slots = eval::slot_accuracy(data_);
    report["slot_accuracy"] = slots.accuracy;
    report["loudest_slot"] = matrix_json(slots.loudest);
    report["energy_share"] = matrix_json(slots.energy_share);
    report["codebook_use"] = use();
    report["swapped"] = {{"si_sdr_db", matrix_json(eval::swapped_sdr(data_, true))},
                         {"sdr_db", matrix_json(eval::swapped_sdr(data_, false))}};
    report["left_out"] = Json::array();
    for (const eval::LeftOutExcerpt& entry : data_.left_out) {
      Json item = {{"track", entry.track}};
      if (!entry.source.empty()) item["source"] = entry.source;
      item["why"] = entry.why;
      report["left_out"].push_back(item);
    }
    report["remarks"] = remarks_;
    report["plots"] = Json::array();
    if (!options_.out.empty()) draw(report["plots"]);
    return report;
  }

 private:
  void collect() {
    Progress progress("excerpts", options_.quiet);
    eval::ExcerptOptions excerpts = options_.excerpts;
    excerpts.on_progress = [&](double done) { progress.update(done, 1); };
    data_ = eval::collect_excerpts(model_, options_.data, excerpts, pool_);
  }

  Json settings() {
    if (perplexity_ < options_.perplexity) {
      std::ostringstream text;
      text << "perplexity " << options_.perplexity << " is too large for " << rows_.size() << " points; taken as "
           << perplexity_;
      remarks_.push_back(text.str());
    }
    if (folds_.count < 2) {
      remarks_.push_back("a source has one excerpt only, so no probe could be cross-validated");
    }
    return {{"seed", options_.seed},
            {"perplexity", perplexity_},
            {"max_points", options_.max_points},
            {"max_excerpts", options_.excerpts.max_excerpts},
            {"max_seconds", options_.excerpts.max_seconds},
            {"excerpt_seconds", options_.excerpts.excerpt_seconds},
            {"sounding_dbfs", eval::kSoundingDbfs},
            {"num_points", rows_.size()},
            {"num_folds", folds_.count},
            {"folds_by", folds_.by}};
  }

  Json source_counts() const {
    Json result = Json::array();
    for (size_t s = 0; s < sources_.size(); ++s) {
      const auto source = static_cast<int>(s);
      std::set<int> tracks;
      int64_t excerpts = 0, frames = 0;
      for (const eval::Excerpt& excerpt : data_.excerpts) {
        if (excerpt.source != source) continue;
        tracks.insert(excerpt.track_index);
        ++excerpts;
        frames += excerpt.num_rows;
      }
      result.push_back({{"name", sources_[s]},
                        {"tracks", tracks.size()},
                        {"excerpts", excerpts},
                        {"frames", frames},
                        {"points", std::ranges::count(labels_, source)}});
    }
    return result;
  }

  std::vector<float> vectors(VectorKind kind, int codebook, int64_t& num_dims) const {
    return eval::code_vectors(*model_, data_, rows_, kind, codebook, options_.seed, num_dims);
  }

  Json scores() {
    Progress progress("scores", options_.quiet);
    const int num_codebooks = data_.num_codebooks;
    Json result = Json::array();
    int num_stuck = 0;
    for (const View& view : kViews) {
      for (int h = 0; view.per_codebook && h < num_codebooks; ++h) {
        result.push_back(score(view, h, num_stuck));
        progress.update(static_cast<double>(result.size()), 3.0 * (num_codebooks + 1) + 3);
      }
      result.push_back(score(view, -1, num_stuck));
    }
    if (num_stuck > 0) {
      remarks_.push_back(std::to_string(num_stuck) + " probes stopped before their loss was at its least");
    }
    return result;
  }

  Json score(const View& view, int codebook, int& num_stuck) const {
    int64_t num_dims = 0;
    const std::vector<float> points = vectors(view.kind, codebook, num_dims);
    Json item = {{"vectors", view.name}};
    item["codebook"] = codebook >= 0 ? Json(codebook + 1) : Json("all");
    item["dims"] = num_dims;
    item["silhouette"] = eval::number_or_null(eval::silhouette(points, num_dims, labels_, pool_));
    item["probe_accuracy"] = item["probe_balanced_accuracy"] = item["chance"] = nullptr;
    if (folds_.count < 2) return item;
    const eval::ProbeResult probe = eval::cross_validate(points, num_dims, labels_, static_cast<int>(sources_.size()),
                                                         folds_.fold_of_point, folds_.count, pool_);
    item["probe_accuracy"] = probe.accuracy;
    item["probe_balanced_accuracy"] = probe.balanced_accuracy;
    item["chance"] = probe.chance;
    item["probe_fold_accuracy"] = probe.fold_accuracy;
    if (!probe.converged) ++num_stuck;
    return item;
  }

  Json use() const {
    Json result = Json::array();
    const auto all = eval::codebook_use(*model_, data_);
    for (size_t s = 0; s < all.size(); ++s) {
      for (size_t h = 0; h < all[s].size(); ++h) {
        const eval::CodeUse& use = all[s][h];
        result.push_back({{"source", sources_[s]},
                          {"codebook", h + 1},
                          {"codes", use.num_codes},
                          {"size", model_->config().codebook_size},
                          {"used", use.num_used},
                          {"share", use.share},
                          {"perplexity", use.perplexity}});
      }
    }
    return result;
  }

  void draw(Json& plots) {
    std::vector<eval::Panel> own, all;
    for (int h = 0; h < data_.num_codebooks; ++h) {
      own.push_back(panel("Codebook " + std::to_string(h + 1), VectorKind::kOwnSlot, h));
    }
    own.push_back(panel("All codebooks", VectorKind::kOwnSlot, -1));
    all.push_back(panel("All codebooks of all slots", VectorKind::kAllSlots, -1));
    all.push_back(panel("The same, magnitudes", VectorKind::kAllSlotMagnitudes, -1));
    write(plots, "Quantized vectors of single sources, own slot (t-SNE)", "codes_own_slot.svg",
          eval::svg_plot(own, 3, 360, 340));
    write(plots, "Quantized vectors of single sources, all slots (t-SNE)", "codes_all_slots.svg",
          eval::svg_plot(all, 2, 440, 400));
  }

  eval::Panel panel(const std::string& title, VectorKind kind, int codebook) {
    Progress progress("map of " + title, options_.quiet);
    eval::TsneOptions tsne{.perplexity = perplexity_, .seed = options_.seed};
    tsne.on_step = [&](int step) { progress.update(step, tsne.num_iterations); };
    int64_t num_dims = 0;
    const std::vector<float> points = vectors(kind, codebook, num_dims);
    return map_panel(title, eval::tsne(points, num_dims, tsne, pool_).map, labels_, sources_);
  }

  void write(Json& plots, const char* title, const char* file, const std::string& svg) const {
    eval::write_text_file(std::filesystem::path(options_.out) / file, svg);
    plots.push_back({{"title", title}, {"file", file}});
  }

  const CodesOptions& options_;
  std::shared_ptr<const vqvae::Model> model_;
  const std::vector<std::string>& sources_;
  runtime::ThreadPool& pool_;
  eval::CodeExcerpts data_;
  std::vector<int64_t> rows_;  // of the points
  std::vector<int> labels_;    // their sources
  Folds folds_;
  double perplexity_ = 0;
  std::vector<std::string> remarks_;
};

std::string cell(const Json& value, int width, int digits) {
  std::ostringstream out;
  out.setf(std::ios::fixed);
  out.precision(digits);
  if (value.is_number()) {
    out << value.get<double>();
  } else {
    out << (value.is_string() ? value.get<std::string>() : "-");
  }
  const std::string text = out.str();
  return std::string(static_cast<size_t>(std::max(1, width - static_cast<int>(text.size()))), ' ') + text;
}

void matrix_text(std::ostringstream& out, const char* title, const Json& matrix, const Json& sources, double scale,
                 int digits) {
  out << '\n' << title << '\n' << std::string(10, ' ');
  for (const Json& source : sources) out << cell(source["name"], 10, 0);
  out << '\n';
  for (size_t s = 0; s < matrix.size(); ++s) {
    out << cell(sources[s]["name"], 10, 0);
    for (const Json& value : matrix[s]) {
      out << cell(value.is_null() ? value : Json(value.get<double>() * scale), 10, digits);
    }
    out << '\n';
  }
}

std::string report_text(const Json& report) {
  std::ostringstream out;
  const Json& sources = report["sources"];
  out << "model " << report["model"]["name"].get<std::string>() << " "
      << report["model"]["id"].get<std::string>().substr(0, 12) << ", data " << report["data"].get<std::string>()
      << '\n';
  for (const Json& source : sources) {
    out << "  " << source["name"].get<std::string>() << ": " << source["excerpts"] << " excerpts, " << source["frames"]
        << " frames, " << source["points"] << " points\n";
  }
  out << "\nvectors             codebook  dims  silhouette  probe %  chance %\n";
  for (const Json& score : report["scores"]) {
    const auto percent = [&](const char* key) {
      return score[key].is_null() ? score[key] : Json(score[key].get<double>() * 100);
    };
    std::string name = score["vectors"].get<std::string>();
    name.resize(19, ' ');
    out << name << cell(score["codebook"], 9, 0) << cell(score["dims"], 6, 0) << cell(score["silhouette"], 12, 3)
        << cell(percent("probe_accuracy"), 9, 1) << cell(percent("chance"), 10, 1) << '\n';
  }
  out << report["notes"]["tables"].get<std::string>() << '\n';
  out << "\nframes whose own slot is the loudest: " << cell(report["slot_accuracy"].get<double>() * 100, 1, 1)
      << " %\n";
  matrix_text(out, "loudest slot of a source's frames, %", report["loudest_slot"], sources, 100, 1);
  matrix_text(out, "codes of a source (row) decoded in the place of (column), SI-SDR dB",
              report["swapped"]["si_sdr_db"], sources, 1, 1);
  out << "\ncodebook entries used, % (perplexity)\n" << std::string(10, ' ');
  for (const Json& source : sources) out << cell(source["name"], 18, 0);
  const size_t num_codebooks = report["codebook_use"].size() / sources.size();
  for (size_t h = 0; h < num_codebooks; ++h) {
    out << '\n' << cell(static_cast<double>(h + 1), 10, 0);
    for (size_t s = 0; s < sources.size(); ++s) {
      const Json& use = report["codebook_use"][s * num_codebooks + h];
      out << cell(use["share"].get<double>() * 100, 9, 1) << " (" << cell(use["perplexity"], 6, 1) << ")";
    }
  }
  out << '\n';
  for (const Json& remark : report["remarks"]) out << remark.get<std::string>() << '\n';
  for (const Json& entry : report["left_out"]) {
    out << "left out or changed: " << entry["track"].get<std::string>()
        << (entry.contains("source") ? ", " + entry["source"].get<std::string>() : "") << ": "
        << entry["why"].get<std::string>() << '\n';
  }
  return out.str();
}

}  // namespace

int run_eval_codes(const std::vector<std::string>& arguments) {
  Command command("vqeval", "codes --data DIR [options]", 0, kExamples);
  auto add = command.options.add_options();
  add("data", po::value<std::string>(), "folder of tracks with their stems");
  add("model", po::value<std::string>(), kModelHelp);
  add("out", po::value<std::string>(),
      "folder to write codes.json and the maps (SVG) to; it is made if it is not there");
  add("json", "print JSON instead of a table");
  add("max-points", po::value<int64_t>()->default_value(2000),
      "frames in scores and maps, an equal share of each source");
  add("max-excerpts", po::value<int>()->default_value(200), "excerpts of a source over all tracks");
  add("excerpt-seconds", po::value<double>()->default_value(5), "length of an excerpt, 1 to 60");
  add("max-seconds", po::value<double>()->default_value(0), "of each track, 0 = all of it");
  add("perplexity", po::value<double>()->default_value(30), "neighbours of a point on the maps");
  add("seed", po::value<uint64_t>()->default_value(1), "of the choice of frames, the folds and the maps");
  add("threads", po::value<int>()->default_value(0), "CPU threads, 0 = one a core; they do not change the result");
  add("quiet", "no progress, and with --out no table");
  add("help,h", "this text");
  Values values;
  if (!command.parse(arguments, values, false)) return 0;
  CodesOptions options;
  options.data = text(values, "data");
  if (options.data.empty()) throw Error(ExitCode::kUsage, "the data is missing (--data); see " + command.help_hint());
  options.out = text(values, "out");
  options.json = flag(values, "json");
  options.quiet = flag(values, "quiet");
  options.max_points = values["max-points"].as<int64_t>();
  options.excerpts.max_excerpts = values["max-excerpts"].as<int>();
  options.excerpts.excerpt_seconds = values["excerpt-seconds"].as<double>();
  options.excerpts.max_seconds = values["max-seconds"].as<double>();
  options.perplexity = values["perplexity"].as<double>();
  options.seed = values["seed"].as<uint64_t>();
  const auto expect = [](bool holds, const char* message) {
    if (!holds) throw Error(ExitCode::kUsage, message);
  };
  expect(options.max_points >= 12 && options.max_points <= 20000, "--max-points: expected 12 to 20000");
  expect(options.excerpts.max_excerpts >= 1 && options.excerpts.max_excerpts <= 100000,
         "--max-excerpts: expected 1 to 100000");
  expect(options.excerpts.excerpt_seconds >= 1 && options.excerpts.excerpt_seconds <= 60,
         "--excerpt-seconds: expected 1 to 60");
  expect(options.excerpts.max_seconds >= 0 && options.excerpts.max_seconds <= 1e6,
         "--max-seconds: expected 0 to 1000000");
  expect(options.perplexity >= 2 && options.perplexity <= 1000, "--perplexity: expected 2 to 1000");
  runtime::ThreadPool pool(threads(values));

  const LoadedModel loaded = load_model(text(values, "model"));
  if (!options.out.empty()) make_folder(options.out);
  Json report = eval::report_header("codes", VQCODEC_VERSION, command_words("vqeval codes", arguments));
  report["model"] = eval::model_json(*loaded.model, loaded.path);
  report["data"] = eval::folder_name(options.data);
  report = CodesReport(options, loaded, pool).make(std::move(report));
  if (!options.out.empty()) {
    eval::write_text_file(std::filesystem::path(options.out) / "codes.json", eval::json_text(report));
  }
  if (options.json) {
    print(eval::json_text(report));
  } else if (options.out.empty() || !options.quiet) {
    print(report_text(report));
  }
  return 0;
}

}  // namespace vqcodec::apps
