#include <atomic>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "apps/command.h"
#include "apps/train_commands.h"
#include "base/error.h"

namespace vqcodec::apps {

namespace po = boost::program_options;

namespace {

std::atomic<bool> g_stop{false};

void request_stop(int) {
  if (g_stop.exchange(true)) std::_Exit(130);  // the second Ctrl-C does not wait for the step
}

// What an option of add_set_options says for folder `index` of `count`; "" if it is not given or is `whole`.
std::string of_folder(const po::variables_map& values, const std::string& name, size_t index, size_t count,
                      const std::string& whole) {
  if (!flag(values, name.c_str())) return {};
  const auto& given = values[name].as<std::vector<std::string>>();
  if (given.size() != 1 && given.size() != count) {
    throw Error(ExitCode::kUsage, "--" + name + ": given " + std::to_string(given.size()) + " times for " +
                                      std::to_string(count) + " folders; expected once, or once for each");
  }
  const std::string& text = given[given.size() == 1 ? 0 : index];
  return text == whole ? "" : text;
}

// Whether products in bfloat16 are fast: AVX-512 BF16 or AMX.
bool has_fast_bfloat16() {
#if defined(__x86_64__)
  std::ifstream cpuinfo("/proc/cpuinfo");
  std::string line;
  while (std::getline(cpuinfo, line)) {
    if (line.starts_with("flags"))
      return line.find("avx512_bf16") != std::string::npos || line.find("amx_bf16") != std::string::npos;
  }
#endif
  return false;
}

}  // namespace

void add_run_options(po::options_description& options) {
  auto add = options.add_options();
  add("out", po::value<std::string>()->required(),
      "folder of the run: checkpoint.pt, log.jsonl, TensorBoard events. A run that is there goes on from its "
      "checkpoint");
  add("device", po::value<std::string>()->default_value("cpu"), "cpu or cuda");
  add("precision", po::value<std::string>()->default_value("auto"),
      "float32, bfloat16 (products of the networks only), or auto: bfloat16 where the machine is fast at it");
  add("threads", po::value<int>()->default_value(0), "CPU threads, 0 = all cores");
  add("max-minutes", po::value<double>()->default_value(0), "stop with a checkpoint after this time, 0 = no limit");
}

void set_run_options(const po::variables_map& values, vqvae::train::RunOptions& options) {
  const std::string device = values["device"].as<std::string>();
  if (device != "cpu" && device != "cuda") {
    throw Error(ExitCode::kUsage, "--device " + device + ": expected cpu or cuda");
  }
  options.out_folder = values["out"].as<std::string>();
  options.use_cuda = device == "cuda";
  const std::string precision = values["precision"].as<std::string>();
  if (precision != "auto" && precision != "float32" && precision != "bfloat16") {
    throw Error(ExitCode::kUsage, "--precision " + precision + ": expected auto, float32 or bfloat16");
  }
  const bool bfloat16 = precision == "bfloat16" || (precision == "auto" && (options.use_cuda || has_fast_bfloat16()));
  options.precision = bfloat16 ? vqvae::train::Precision::kBfloat16 : vqvae::train::Precision::kFloat32;
  options.num_threads = threads(values);
  options.max_minutes = values["max-minutes"].as<double>();
  options.stop = &g_stop;
}

void print_step(double seconds, int64_t first_step, int64_t step, int64_t num_steps, const std::string& text) {
  const double left =
      step > first_step ? seconds * static_cast<double>(num_steps - step) / static_cast<double>(step - first_step) : 0;
  std::cout << '[' << step << '/' << num_steps << ", " << format_duration(seconds) << ", about "
            << format_duration(left) << " left] " << text << std::endl;
}

void stop_on_signals() {
  std::signal(SIGINT, request_stop);
  std::signal(SIGTERM, request_stop);
}

DataFolder parse_data(const std::string& text, const std::string& option) {
  const size_t equals = text.rfind('=');
  if (equals == std::string::npos) return {text, 1};
  try {
    size_t used = 0;
    const std::string number = text.substr(equals + 1);
    const double weight = std::stod(number, &used);
    if (used == number.size() && weight > 0 && std::isfinite(weight)) return {text.substr(0, equals), weight};
  } catch (const std::exception&) {
  }
  throw Error(ExitCode::kUsage, option + " " + text + ": expected DIR or DIR=WEIGHT with a weight above 0");
}

void add_set_options(po::options_description& options, const std::string& folders, const std::string& prefix) {
  auto add = options.add_options();
  add((prefix + "layout").c_str(), po::value<std::vector<std::string>>()->composing(),
      ("how the songs of --" + folders +
       " lie: a layout (vqdata layouts lists them), a JSON file, or auto, the first that fits. Once for all of them, "
       "or "
       "once for each in their order")
          .c_str());
  add((prefix + "split").c_str(), po::value<std::vector<std::string>>()->composing(),
      ("splits of --" + folders +
       " whose songs are used, such as train or train,validation, or all. Once for all of them, or once for each in "
       "their order")
          .c_str());
}

std::vector<dataset::Song> load_set(const std::string& path, const po::variables_map& values, const std::string& prefix,
                                    size_t index, size_t count, dataset::LoadOptions options) {
  options.layout = of_folder(values, prefix + "layout", index, count, "auto");
  const std::string splits = of_folder(values, prefix + "split", index, count, "all");
  for (size_t at = 0; !splits.empty() && at <= splits.size();) {
    const size_t comma = std::min(splits.find(',', at), splits.size());
    options.splits.push_back(splits.substr(at, comma - at));
    at = comma + 1;
  }
  return dataset::load_songs(path, options);
}

dataset::LoadOptions load_options(const vqvae::ModelConfig& model, double max_seconds, Progress& progress, bool quiet) {
  if (!(max_seconds >= 0 && max_seconds <= 1e6)) {
    throw Error(ExitCode::kUsage, "--max-seconds: expected 0 to 1000000");
  }
  dataset::LoadOptions options;
  options.sample_rate_hz = model.sample_rate_hz;
  options.sources = model.sources;
  options.max_seconds = max_seconds;
  options.on_progress = [&progress](size_t done, size_t total) {
    progress.update(static_cast<double>(done), static_cast<double>(total));
  };
  options.on_remark = [quiet](const std::string& remark) {
    if (!quiet) std::cerr << "vqtrain: " << remark << '\n';
  };
  return options;
}

}  // namespace vqcodec::apps
