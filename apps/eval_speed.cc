// vqeval speed: how fast encoding and decoding are, by stage and as a whole, beside other programs in the same run.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "apps/command.h"
#include "apps/eval_commands.h"
#include "apps/model_file.h"
#include "apps/prior_file.h"
#include "audio/writer.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "eval/json_output.h"
#include "eval/speed.h"
#include "eval/tracks.h"
#include "runtime/cpu.h"

namespace vqcodec::apps {

namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;
using eval::Json;

constexpr const char* kExamples = R"(
The material is the mixtures of the tracks in DIR, one after another and again until there are --seconds of it. Speeds
are in seconds of music a second ("x real time"), each the median of the repetitions; "whole" is the program vqcodec (or
opusenc, opusdec) from start to end with its files, the stages are measured inside this process. Machines differ and are
seldom idle: the ratios to opusenc and opusdec on the same material in the same run are what carries over.

Examples:
  vqeval speed --data demo
  vqeval speed --data demo --json > new.json
  vqeval speed --data demo --compare old.json
)";

// A temporary folder with everything in it, also after an interrupt (but for the folder itself).
class WorkFolder {
 public:
  WorkFolder() {
    std::string name = (fs::temp_directory_path() / "vqeval-speed-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw Error(ExitCode::kIo, name + ": cannot be made");
    path_ = name;
    for (const char* file : {"music.wav", "stage.wav", "speed.vqc", "whole.wav", "speed.opus", "opus.wav"}) {
      slots_.push_back(register_temporary_file((path_ / file).string()));
    }
  }
  ~WorkFolder() {
    for (int slot : slots_) unregister_temporary_file(slot);
    std::error_code error;
    fs::remove_all(path_, error);
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  std::vector<int> slots_;
};

// Writes `seconds` of the tracks' mixtures as a WAV file. `max_seconds` of each track, 0 = all.
void write_material(const std::string& root, const vqvae::ModelConfig& config, double seconds, double max_seconds,
                    const fs::path& path, Json& left_out) {
  std::vector<std::string> names = config.sources;
  names.emplace_back("mixture");
  const auto wanted = static_cast<size_t>(2 * std::llround(seconds * config.sample_rate_hz));
  std::vector<float> all;
  for (const eval::TrackFolder& folder : eval::list_tracks(root, names)) {
    const double rest = static_cast<double>(wanted - all.size()) / 2 / config.sample_rate_hz;
    const double most = max_seconds > 0 ? std::min(rest, max_seconds) : rest;
    const eval::Track track =
        eval::read_track(folder, config.sources, {.sample_rate_hz = config.sample_rate_hz, .max_seconds = most});
    for (const std::string& remark : track.remarks) left_out.push_back({{"track", track.name}, {"why", remark}});
    all.insert(all.end(), track.mixture.begin(), track.mixture.end());
    if (all.size() >= wanted) break;
  }
  if (all.empty()) throw Error(ExitCode::kBadFile, root + ": its tracks hold no samples");
  const auto writer = audio::AudioWriter::open(path.string(), {.sample_rate_hz = config.sample_rate_hz});
  for (size_t written = 0; written < wanted;) {
    const size_t count = std::min(all.size(), wanted - written);
    writer->write(std::span<const float>(all).first(count));
    written += count;
  }
  writer->finish();
}

std::string cpu_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

std::vector<int> thread_counts(const Values& values) {
  std::vector<int> counts;
  for (const std::string& word : comma_list(values, "threads")) {
    char* end = nullptr;
    const long count = std::strtol(word.c_str(), &end, 10);
    if (word.empty() || *end != '\0' || count < 0 || count > 1024) {
      throw Error(ExitCode::kUsage, "--threads " + word + ": expected counts from 1 to 1024 such as 1,2");
    }
    counts.push_back(static_cast<int>(count));
  }
  if (counts.empty() || counts == std::vector<int>{0}) return {1, 2};
  if (std::ranges::count(counts, 0) > 0) throw Error(ExitCode::kUsage, "--threads: 0 goes with no other count");
  std::ranges::sort(counts);
  counts.erase(std::ranges::unique(counts).begin(), counts.end());
  return counts;
}

Json read_report(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ExitCode::kIo, path + ": cannot be opened");
  Json report = Json::parse(file, nullptr, false);
  if (report.is_discarded()) throw Error(ExitCode::kBadFile, path + ": is no JSON");
  return report;
}

std::string number(double value, int width, int digits) {
  std::ostringstream out;
  out.setf(std::ios::fixed);
  out.precision(digits);
  out.width(width);
  out << value;
  return out.str();
}

void begin_line(std::ostringstream& out, const Json& item) {
  std::string name = item["name"].get<std::string>();
  name.resize(std::max<size_t>(name.size() + 1, 22), ' ');
  const std::string threads = item.contains("threads") ? std::to_string(item["threads"].get<int>()) : "-";
  out << name << std::string(7 - std::min<size_t>(7, threads.size()), ' ') << threads;
}

std::string report_text(const Json& report) {
  std::ostringstream out;
  out << "model " << report["model"]["name"].get<std::string>() << " "
      << report["model"]["id"].get<std::string>().substr(0, 12) << ", data " << report["data"].get<std::string>()
      << ", " << number(report["settings"]["seconds"].get<double>(), 1, 1) << " s, "
      << report["settings"]["repetitions"] << " repetitions\n"
      << report["machine"]["cpu"].get<std::string>() << ", " << report["machine"]["num_cpus"] << " CPUs, "
      << report["machine"]["kernels"].get<std::string>() << "\n\n";
  out << "measure               threads    median       min       max  unit\n";
  for (const Json& measure : report["measures"]) {
    begin_line(out, measure);
    for (const char* key : {"median", "min", "max"}) out << number(measure[key].get<double>(), 10, 1);
    out << "  " << measure["unit"].get<std::string>() << '\n';
  }
  out << "\nratio                 threads    median       min       max  to\n";
  for (const Json& ratio : report["ratios"]) {
    begin_line(out, ratio);
    for (const char* key : {"median", "min", "max"}) out << number(ratio[key].get<double>(), 10, 3);
    out << "  " << ratio["to"].get<std::string>() << '\n';
  }
  const Json& bytes = report["bytes"];
  out << "\nbytes: vqc " << bytes["vqc"];
  if (bytes.contains("vqc_prior")) out << ", with the prior " << bytes["vqc_prior"];
  out << ", opus " << bytes["opus"] << ", codes at 16 bits " << bytes["codes"] << ", these by zstd -19 "
      << bytes["zstd19"] << '\n';
  if (report.contains("compare")) {
    out << "\nagainst " << report["compared_with"].get<std::string>()
        << " (above 1 is better; in brackets as a ratio to opusenc)\n";
    for (const Json& item : report["compare"]) {
      begin_line(out, item);
      out << number(item["old"].get<double>(), 10, 1) << " ->" << number(item["new"].get<double>(), 9, 1)
          << number(item["ratio"].get<double>(), 9, 3);
      if (item.contains("ratio_to_opus")) out << " (" << number(item["ratio_to_opus"].get<double>(), 1, 3) << ")";
      out << '\n';
    }
  }
  for (const Json& remark : report["remarks"]) out << remark.get<std::string>() << '\n';
  for (const Json& entry : report["left_out"]) {
    out << "left out or changed: " << entry["track"].get<std::string>() << ": " << entry["why"].get<std::string>()
        << '\n';
  }
  return out.str();
}

}  // namespace

int run_eval_speed(const std::vector<std::string>& arguments) {
  Command command("vqeval", "speed --data DIR [options]", 0, kExamples);
  auto add = command.options.add_options();
  add("data", po::value<std::string>(), "folder of tracks with a mixture or stems");
  add("model", po::value<std::string>(), kModelHelp);
  add("prior", po::value<std::string>(), kPriorHelp);
  add("no-prior", "measure without a prior");
  add("out", po::value<std::string>(), "folder to write speed.json to; it is made if it is not there");
  add("json", "print JSON instead of a table");
  add("compare", po::value<std::string>(), "JSON report of another build, to print ratios to");
  add("seconds", po::value<double>()->default_value(120), "length of the material, 1 to 7200");
  add("max-seconds", po::value<double>()->default_value(0), "of each track, 0 = all of it");
  add("repetitions", po::value<int>()->default_value(5), "of everything, 1 to 100");
  add("threads", po::value<std::string>(),
      "counts of threads to measure with, such as 1,2 (the default, and what 0 means)");
  add("vqcodec", po::value<std::string>(), "the program vqcodec; otherwise the one beside vqeval");
  add("quiet", "no progress, and with --out no table");
  add("help,h", "this text");
  Values values;
  if (!command.parse(arguments, values, false)) return 0;
  const std::string data = text(values, "data"), out = text(values, "out");
  if (data.empty()) throw Error(ExitCode::kUsage, "the data is missing (--data); see " + command.help_hint());
  const double seconds = values["seconds"].as<double>(), max_seconds = values["max-seconds"].as<double>();
  const int repetitions = values["repetitions"].as<int>();
  if (!(seconds >= 1 && seconds <= 7200)) throw Error(ExitCode::kUsage, "--seconds: expected 1 to 7200");
  if (!(max_seconds >= 0 && max_seconds <= 1e6)) throw Error(ExitCode::kUsage, "--max-seconds: expected 0 to 1000000");
  if (repetitions < 1 || repetitions > 100) throw Error(ExitCode::kUsage, "--repetitions: expected 1 to 100");
  eval::SpeedOptions options;
  options.threads = thread_counts(values);
  options.repetitions = repetitions;
  Json old_report;
  const std::string old_name = text(values, "compare");
  if (!old_name.empty()) {
    old_report = read_report(old_name);
    eval::compare_speed({{"measures", Json::array()}}, old_report, old_name);  // refuses it before the long work
  }
  std::error_code error;
  if (flag(values, "vqcodec")) {
    options.vqcodec = text(values, "vqcodec");
    if (access(options.vqcodec.c_str(), X_OK) != 0) {
      throw Error(ExitCode::kIo, options.vqcodec.string() + ": is no program that can be run");
    }
  } else {
    const fs::path beside = fs::read_symlink("/proc/self/exe", error).parent_path() / "vqcodec";
    if (access(beside.c_str(), X_OK) == 0) options.vqcodec = beside;
  }
  const LoadedModel loaded = load_model(text(values, "model"));
  options.model_path = loaded.path;
  codec::StreamInfo info;
  info.model_id = loaded.model->id();
  if (const auto prior =
          choose_prior({text(values, "prior"), flag(values, "no-prior"), false}, info, [](const std::string&) {})) {
    options.prior = prior->model;
    options.prior_path = prior->path;
  }
  if (!out.empty()) make_folder(out);

  Json report = eval::report_header("speed", VQCODEC_VERSION, command_words("vqeval speed", arguments));
  report["model"] = eval::model_json(*loaded.model, loaded.path);
  report["data"] = eval::folder_name(data);
  Json left_out = Json::array();
  const WorkFolder work;
  options.folder = work.path();
  options.audio = work.path() / "music.wav";
  write_material(data, loaded.model->config(), seconds, max_seconds, options.audio, left_out);
  eval::SpeedResult result;
  {
    Progress progress("speed", flag(values, "quiet"));
    options.on_progress = [&](double done) { progress.update(done, 1); };
    result = eval::measure_speed(loaded.model, options);
  }
  report["machine"] = {{"cpu", cpu_name()},
                       {"num_cpus", std::thread::hardware_concurrency()},
                       {"kernels", runtime::path_name(runtime::current_path())}};
  report["settings"] = {{"seconds", result.audio_seconds}, {"repetitions", repetitions}, {"threads", options.threads}};
  report["measures"] = eval::measures_json(result.measures);
  report["ratios"] = eval::ratios_json(result.measures);
  report["bytes"] = {{"vqc", result.vqc_bytes}, {"codes", result.code_bytes}, {"zstd19", result.zstd_bytes}};
  if (result.prior_vqc_bytes > 0) report["bytes"]["vqc_prior"] = result.prior_vqc_bytes;
  report["bytes"]["opus"] = result.opus_bytes > 0 ? Json(result.opus_bytes) : Json(nullptr);
  if (!old_name.empty()) {
    report["compared_with"] = fs::path(old_name).filename().string();
    report["compare"] = eval::compare_speed(report, old_report, old_name);
  }
  report["remarks"] = result.remarks;
  report["left_out"] = left_out;
  report["plots"] = Json::array();
  if (!out.empty()) eval::write_text_file(fs::path(out) / "speed.json", eval::json_text(report));
  if (flag(values, "json")) {
    print(eval::json_text(report));
  } else if (out.empty() || !flag(values, "quiet")) {
    print(report_text(report));
  }
  return 0;
}

}  // namespace vqcodec::apps
