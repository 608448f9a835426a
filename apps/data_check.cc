// vqdata check: proves a set of songs.
#include <cmath>

#include "apps/command.h"
#include "apps/data_commands.h"
#include "base/error.h"
#include "base/progress.h"
#include "dataset/check.h"

namespace vqcodec::apps {

namespace {

namespace po = boost::program_options;

constexpr const char* kRest = R"(
Every file is decoded once. Errors: what cannot be read or is damaged, files that are named and not there, lengths that
differ by more than --length-tolerance, sources that do not sum to the mixture within the layout's tolerance, two sources
that are the same audio sample for sample. Of a packed set (vqdata pack): shards that are missing or cut short, chunks whose
checksums are wrong, levels that are not those of the index. Warnings: smaller differences, unlike sample rates, clipping
(three or more samples in a row at full scale), silence, an offset (DC) over -50 dBFS, sources that sound alike at another
level, no licence. Licences are looked for in DIR: LICENSE, licence.json ({"licence": ...}), sources.tsv (a column
"licence"); of a packed set in its index.

The exit code is 3 when there is an error, and 0 with nothing but warnings.

Examples:
  vqdata check musdb18hq
  vqdata check slakh2100 --split train,validation --threads 2 --json > slakh.json
  vqdata check my-set --layout own.json --sources vocals,bass
  vqdata check packed/musdb
)";

double number(const Values& values, const char* name, double minimum, double maximum) {
  const double value = values[name].as<double>();
  if (!(value >= minimum && value <= maximum)) {
    throw Error(ExitCode::kUsage, std::string("--") + name + ": expected a number from " +
                                      std::to_string(std::lround(minimum)) + " to " +
                                      std::to_string(std::lround(maximum)));
  }
  return value;
}

}  // namespace

int run_data_check(const std::vector<std::string>& arguments) {
  Command command("vqdata", "check DIR [options]", 1, kRest);
  auto add = command.options.add_options();
  add("layout", po::value<std::string>(), "name of a layout (see vqdata layouts) or a JSON file; detected otherwise");
  add("split", po::value<std::string>(), "only songs in these splits, such as train,validation");
  add("sources", po::value<std::string>()->default_value("vocals,bass,drums,other"), "sources to look for");
  add("sum-tolerance", po::value<double>(),
      "how much the mixture may differ from the sum of its sources, dB relative to the mixture, instead of the "
      "layout's");
  add("length-tolerance", po::value<double>()->default_value(1), "seconds by which a song's files may differ");
  add("max-seconds", po::value<double>()->default_value(0), "read no more than this of each file, 0 = all");
  add("threads", po::value<int>()->default_value(0), "CPU threads, 0 = all cores");
  add("json", "print JSON, with every file's figures, instead of a table");
  add("quiet", "no progress, and no output but errors when the set is good");
  add("help,h", "this text");
  Values values;
  if (!command.parse(arguments, values, false)) return 0;
  if (!flag(values, "input")) throw Error(ExitCode::kUsage, "the set's folder is missing; see " + command.help_hint());
  const std::string root = values["input"].as<std::vector<std::string>>()[0];
  const bool quiet = flag(values, "quiet");
  dataset::CheckOptions options;
  options.sources = comma_list(values, "sources");
  options.layout = text(values, "layout");
  options.splits = comma_list(values, "split");
  if (flag(values, "sum-tolerance")) options.sum_tolerance_db = number(values, "sum-tolerance", -200, 20);
  options.max_length_difference_seconds = number(values, "length-tolerance", 0, 1e6);
  options.max_seconds = number(values, "max-seconds", 0, 1e6);
  options.num_threads = threads(values);
  dataset::SetReport report;
  {
    Progress progress("checking songs", quiet);
    options.on_progress = [&progress](size_t done, size_t total) {
      progress.update(static_cast<double>(done), static_cast<double>(total));
    };
    report = dataset::check_set(root, options);
  }
  if (flag(values, "json")) {
    print(dataset::to_json(report).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  } else if (!quiet || report.num_errors() > 0) {
    print(dataset::to_table(report));
  }
  return static_cast<int>(report.num_errors() > 0 ? ExitCode::kBadFile : ExitCode::kOk);
}

}  // namespace vqcodec::apps
