// vqeval rate: what a model's codes take and what they are worth, beside Opus.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>

#include "apps/command.h"
#include "apps/eval_commands.h"
#include "apps/model_file.h"
#include "apps/prior_file.h"
#include "base/error.h"
#include "base/progress.h"
#include "eval/rate.h"
#include "runtime/sha256.h"

namespace vqcodec::apps {

namespace {

namespace po = boost::program_options;
using eval::Json;

constexpr const char* kExamples = R"(
DIR holds tracks as folders, <track>/{mixture,vocals,bass,drums,other}.wav or the like; a mixture that is not there is
the sum of the sources. Each mixture is encoded, stored at every number of codebooks and decoded from its codes alone.
Told are the sizes, part by part, and the distances from the original: mel (as the DAC paper measures it), mel of two
scales (as its program does by default), log-spectral and SI-SDR; beside them Opus of the mixture, and of each true
source at an equal share of the rate. Rates are of whole files coded without a prior, Opus in Ogg pages of one second. What
a prior makes of the codes is told beside the other coders: each source by itself, and joint.

Means over tracks are weighted by length. With --out the report is DIR/rate.json, with a plot (SVG) for each distance.

Examples:
  vqeval rate --data musdb18hq/test --out results/
  vqeval rate --model model.safetensors --data songs/ --quality 2,4,8 --opus 8,16,24 --max-seconds 30
  vqeval rate --data songs/ --opus none --json > rate.json
)";

struct Numbers {
  const char* option;
  double least, most;
  const char* expected;
};

// Numbers such as "6,8,12", rising order not needed, none twice.
std::vector<double> number_list(const Values& values, const Numbers& allowed) {
  std::vector<double> numbers;
  for (const std::string& word : comma_list(values, allowed.option)) {
    double number = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    if (error != std::errc() || end != word.data() + word.size() || !(number >= allowed.least) ||
        !(number <= allowed.most)) {
      throw Error(ExitCode::kUsage, "--" + std::string(allowed.option) + " " + word + ": expected " + allowed.expected);
    }
    if (std::ranges::find(numbers, number) != numbers.end()) {
      throw Error(ExitCode::kUsage, "--" + std::string(allowed.option) + ": " + word + " is there twice");
    }
    numbers.push_back(number);
  }
  std::ranges::sort(numbers);
  return numbers;
}

}  // namespace

int run_eval_rate(const std::vector<std::string>& arguments) {
  Command command("vqeval", "rate --data DIR [options]", 0, kExamples);
  auto add = command.options.add_options();
  add("data", po::value<std::string>(), "folder of tracks");
  add("model", po::value<std::string>(), kModelHelp);
  add("prior", po::value<std::string>(), "prior to measure too; otherwise $VQCODEC_PRIOR or the one that is installed");
  add("no-prior", "no prior");
  add("out", po::value<std::string>(),
      "folder to write rate.json and the plots (SVG) to; it is made if it is not there");
  add("json", "print JSON instead of tables");
  add("quality", po::value<std::string>(), "numbers of codebooks to keep, such as 1,4,8; all of them if not given");
  add("opus", po::value<std::string>()->default_value("6,8,12,16,24,32,64"),
      "kbit/s to ask of Opus, in all; \"none\" for no Opus");
  add("from-seconds", po::value<double>()->default_value(0), "begin of each track");
  add("max-seconds", po::value<double>()->default_value(0), "of each track, 0 = all of it");
  add("threads", po::value<int>()->default_value(0), "CPU threads, 0 = one a core; they do not change the result");
  add("quiet", "no progress, and with --out no tables");
  add("help,h", "this text");
  Values values;
  if (!command.parse(arguments, values, false)) return 0;
  const std::string data = text(values, "data"), out = text(values, "out");
  if (data.empty()) throw Error(ExitCode::kUsage, "the data is missing (--data); see " + command.help_hint());
  eval::RateOptions options;
  for (const double level : number_list(values, {"quality", 1, 32, "codebooks such as 1,4,8"})) {
    if (level != std::floor(level)) throw Error(ExitCode::kUsage, "--quality: expected whole numbers such as 1,4,8");
    options.levels.push_back(static_cast<int>(level));
  }
  options.opus_bps.clear();
  if (text(values, "opus") != "none") {
    for (const double kbps : number_list(values, {"opus", 0.5, 512, "0.5 to 512 kbit/s, such as 6,12,24, or none"})) {
      options.opus_bps.push_back(static_cast<int>(std::lround(kbps * 1000)));
    }
  }
  eval::ReadOptions read;
  read.from_seconds = values["from-seconds"].as<double>();
  read.max_seconds = values["max-seconds"].as<double>();
  const auto check_seconds = [](const char* name, double seconds) {
    if (seconds >= 0 && seconds <= 1e6) return;
    throw Error(ExitCode::kUsage, std::string("--") + name + ": expected 0 to 1000000 seconds");
  };
  check_seconds("from-seconds", read.from_seconds);
  check_seconds("max-seconds", read.max_seconds);
  const bool quiet = flag(values, "quiet");
  runtime::ThreadPool pool(threads(values));

  const LoadedModel loaded = load_model(text(values, "model"));
  const vqvae::ModelConfig& config = loaded.model->config();
  codec::StreamInfo info;
  info.model_id = loaded.model->id();
  const std::optional<LoadedPrior> prior =
      choose_prior({text(values, "prior"), flag(values, "no-prior"), false}, info, [](const std::string&) {});
  if (prior) options.prior = prior->model;
  if (!options.levels.empty() && options.levels.back() > config.num_codebooks) {
    throw Error(ExitCode::kUsage, "--quality " + std::to_string(options.levels.back()) + ": the model has " +
                                      std::to_string(config.num_codebooks) + " codebooks");
  }
  read.sample_rate_hz = config.sample_rate_hz;
  // As vqcodec encode writes it of such a file.
  const Json metadata = {{"encoder", "vqcodec " VQCODEC_VERSION},
                         {"model_name", model_name(*loaded.model)},
                         {"input", {{"sample_rate_hz", config.sample_rate_hz}, {"num_channels", 2}}}};
  options.metadata_json = metadata.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);

  std::vector<std::string> names = config.sources;
  names.push_back("mixture");
  const std::vector<eval::TrackFolder> folders = eval::list_tracks(data, names);
  if (!out.empty()) make_folder(out);

  std::vector<eval::TrackRate> tracks;
  std::vector<eval::LeftOutMeasure> left_out;
  {
    Progress progress("rate", quiet);
    double num_done = 0;
    for (const eval::TrackFolder& folder : folders) {
      options.on_progress = [&](double share) {
        progress.update(num_done + share, static_cast<double>(folders.size()));
      };
      try {
        const eval::Track track = eval::read_track(folder, config.sources, read);
        tracks.push_back(eval::measure_rate(loaded.model, track, options, pool));
        const auto dropped = eval::drop_incomplete(tracks.back(), config.sources);
        left_out.insert(left_out.end(), dropped.begin(), dropped.end());
      } catch (const Error& error) {
        // One file that cannot be read does not keep the others from being measured.
        if (error.code() != ExitCode::kBadFile && error.code() != ExitCode::kIo) throw;
        left_out.push_back({folder.name, "", "", error.what()});
      }
      ++num_done;
    }
  }
  if (tracks.empty()) {
    throw Error(ExitCode::kBadFile, data + ": no track can be measured; " + left_out[0].track + ": " + left_out[0].why);
  }

  Json report = eval::report_header("rate", VQCODEC_VERSION, command_words("vqeval rate", arguments));
  report["model"] = eval::model_json(*loaded.model, loaded.path);
  if (prior) {
    report["prior"] = {{"file", eval::folder_name(prior->path)},
                       {"id", runtime::to_hex(prior->model->id())},
                       {"name", prior_name(*prior->model)}};
  }
  report["data"] = eval::folder_name(data);
  report["settings"] = {{"from_seconds", read.from_seconds}, {"max_seconds", read.max_seconds}};
  report.update(eval::rate_json(tracks, config.sources, left_out));
  report["plots"] = Json::array();
  if (!out.empty()) {
    const std::filesystem::path folder(out);
    for (const eval::RatePlot& plot : eval::rate_plots(report)) {
      eval::write_text_file(folder / plot.file, plot.svg);
      report["plots"].push_back({{"title", plot.title}, {"file", plot.file}});
    }
    eval::write_text_file(folder / "rate.json", eval::json_text(report));
  }
  if (flag(values, "json")) {
    print(eval::json_text(report));
  } else if (out.empty() || !quiet) {
    print(eval::rate_text(report));
  }
  return 0;
}

}  // namespace vqcodec::apps
