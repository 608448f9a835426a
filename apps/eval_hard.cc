// vqeval hard: what a model makes of input that is no music.
#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "apps/command.h"
#include "apps/eval_commands.h"
#include "apps/model_file.h"
#include "audio/reader.h"
#include "base/error.h"
#include "base/progress.h"
#include "eval/hard_inputs.h"

namespace vqcodec::apps {

namespace {

namespace po = boost::program_options;
using eval::Json;

constexpr const char* kExamples = R"(
Encodes and decodes silence, noise, a sweep, a clipped master, single samples, a constant and one-sided chords, and the
files that are named, such as speech or a piano alone. Told are the levels, samples that are not finite, the SI-SDR,
and the rise: the most by which 20 ms of the output are louder than the input is within 60 ms, both at least -60 dBFS.
More than 6 dB is a burst.

Examples:
  vqeval hard
  vqeval hard speech.wav piano.flac --model model.safetensors --json > hard.json
)";

std::string results_text(const std::vector<eval::HardResult>& results) {
  char line[200];
  std::snprintf(line, sizeof line, "%-28s %8s %9s %9s %6s %9s %9s %9s\n", "input", "seconds", "in, dB", "out, dB",
                "bad", "rise, dB", "at, s", "SI-SDR");
  std::string text = line;
  for (const eval::HardResult& result : results) {
    std::snprintf(line, sizeof line, "%-28.28s %8.1f %9.1f %9.1f %6lld %9.2f %9.2f %9.2f%s\n", result.name.c_str(),
                  result.seconds, result.input_rms_db, result.output_rms_db,
                  static_cast<long long>(result.num_bad_samples), result.rise_db, result.rise_at_seconds,
                  result.si_sdr_db, result.is_clean() ? "" : "  not clean");
    text += line;
  }
  return text;
}

}  // namespace

int run_eval_hard(const std::vector<std::string>& arguments) {
  Command command("vqeval", "hard [FILE...] [options]", -1, kExamples);
  auto add = command.options.add_options();
  add("model", po::value<std::string>(), kModelHelp);
  add("seconds", po::value<double>()->default_value(10), "length of what is made up, and the most of a file; 1 to 600");
  add("json", "print JSON instead of a table");
  add("out", po::value<std::string>(), "folder to write hard.json to; it is made if it is not there");
  add("threads", po::value<int>()->default_value(0), "CPU threads, 0 = one a core; they do not change the result");
  add("quiet", "no progress, and with --out no table");
  add("help,h", "this text");
  Values values;
  if (!command.parse(arguments, values, false)) return 0;
  const double seconds = values["seconds"].as<double>();
  if (!(seconds >= 1 && seconds <= 600)) throw Error(ExitCode::kUsage, "--seconds: expected 1 to 600");
  const std::string out = text(values, "out");
  const bool quiet = flag(values, "quiet");
  runtime::ThreadPool pool(threads(values));
  const LoadedModel loaded = load_model(text(values, "model"));
  const int rate = loaded.model->config().sample_rate_hz;

  std::vector<eval::HardInput> inputs = eval::made_inputs(rate, seconds);
  if (values.contains("input")) {
    for (const std::string& path : values["input"].as<std::vector<std::string>>()) {
      const auto reader = audio::AudioReader::open(path, {.sample_rate_hz = rate, .downmix = true});
      eval::HardInput input{std::filesystem::path(path).filename().string(), {}};
      input.samples.resize(2 * static_cast<size_t>(seconds * rate));
      input.samples.resize(2 * reader->read(input.samples));
      if (input.samples.empty()) throw Error(ExitCode::kBadFile, path + ": has no samples");
      inputs.push_back(std::move(input));
    }
  }
  if (!out.empty()) make_folder(out);
  std::vector<eval::HardResult> results;
  {
    Progress progress("hard", quiet);
    for (const eval::HardInput& input : inputs) {
      progress.update(static_cast<double>(results.size()), static_cast<double>(inputs.size()));
      results.push_back(eval::measure_hard_input(loaded.model, input, pool));
    }
  }
  Json report = eval::report_header("hard", VQCODEC_VERSION, command_words("vqeval hard", arguments));
  report["model"] = eval::model_json(*loaded.model, loaded.path);
  report["inputs"] = eval::hard_inputs_json(results);
  if (!out.empty()) eval::write_text_file(std::filesystem::path(out) / "hard.json", eval::json_text(report));
  if (flag(values, "json")) {
    print(eval::json_text(report));
  } else if (out.empty() || !quiet) {
    print(results_text(results));
  }
  return 0;
}

}  // namespace vqcodec::apps
