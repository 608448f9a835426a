// vqdata make: a whole set for training and validation from one configuration.
#include <chrono>
#include <cstdio>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "apps/data_commands.h"
#include "base/error.h"
#include "base/format.h"
#include "base/progress.h"
#include "dataset/make_set.h"

namespace vqcodec::apps {

namespace {

namespace po = boost::program_options;
using dataset::MadePart;
using dataset::MakePlan;
using dataset::MakeReport;
using dataset::PlannedPart;
using nlohmann::ordered_json;

constexpr const char* kRest = R"(
Makes every part of the configuration, real stems, MIDI files and composed songs rendered with soundfonts, and packs it:
OUT/train/<part> and OUT/validation/<part> are sets that vqtrain --data and vqdata check take. OUT/ATTRIBUTION.md names
all that they are made of and the licences, OUT/set.json lists the parts. configs/data-default.json is the set of the
default model; docs/DATA.md tells where its material can be had; dataset/make_config.h describes every key.

The same configuration, material and options make the same songs on any number of threads. A command that was stopped goes
on where it was: finished parts and songs are kept. Fonts are looked for in --material, then in the folders of
--soundfonts (default: /usr/share/sounds/sf2 and /usr/share/sounds/sf3).

Exit codes: 0 ok, 1 usage, 2 input or output, missing material, too little room on the disk, 3 a bad file or
configuration, or a damaged MIDI file that was skipped, 5 internal.

Examples:
  vqdata make --config configs/data-default.json --material material --out set --dry-run
  vqdata make --config configs/data-default.json --material material --out set
  vqdata make --config configs/data-default.json --material material --out listen --max-songs 10 --keep-songs \
    --only freedoom-1
)";

double gigabytes(uint64_t bytes) { return 1e-9 * static_cast<double>(bytes); }

std::string to_text(const MakePlan& plan, bool verbose) {
  std::string text = "part                       kind     songs   hours      GB  weight\n";
  double train = 0, validation = 0;
  for (const PlannedPart& part : plan.parts) {
    (part.part->is_validation ? validation : train) += part.seconds / 3600;
    append(text, "%-26s %-8s %5zu %7.2f %7.2f ", part.part->folder().c_str(), part_kind_name(part.part->kind),
           part.num_songs, part.seconds / 3600, gigabytes(part.pack_bytes));
    if (part.part->is_validation) {
      text += "      -";
    } else {
      append(text, "%7g", part.part->weight);
    }
    text += part.is_done ? "  done\n" : "\n";
    if (!verbose) continue;
    for (const std::string& line : part.left_out) text += "  left out: " + line + "\n";
    for (const std::string& line : part.skipped) text += "  skipped: " + line + "\n";
  }
  append(text, "about %.1f hours for training, %.2f for validation; %.1f GB to be written, with what is removed again\n",
         train, validation, gigabytes(plan.bytes_needed));
  return text;
}

ordered_json to_json(const MakePlan& plan) {
  ordered_json parts = ordered_json::array();
  for (const PlannedPart& part : plan.parts) {
    parts.push_back({{"name", part.part->name},
                     {"split", part.part->is_validation ? "validation" : "train"},
                     {"kind", part_kind_name(part.part->kind)},
                     {"material", part.part->material},
                     {"weight", part.part->weight},
                     {"songs", part.num_songs},
                     {"seconds", part.seconds},
                     {"pack_bytes", part.pack_bytes},
                     {"work_bytes", part.work_bytes},
                     {"done", part.is_done},
                     {"left_out", part.left_out},
                     {"skipped", part.skipped}});
  }
  return {{"parts", parts}, {"bytes_needed", plan.bytes_needed}};
}

std::string to_text(const MakeReport& report) {
  std::string text = "part                       songs   hours  vocals    bass   drums   other      GB\n";
  double made_seconds = 0, wall_seconds = 0;
  for (const MadePart& part : report.parts) {
    append(text, "%-26s %5zu %7.2f", ((part.is_validation ? "validation/" : "train/") + part.name).c_str(),
           part.num_songs, part.seconds / 3600);
    for (const double seconds : part.seconds_sounding) append(text, " %7.2f", seconds / 3600);
    append(text, " %7.2f%s\n", gigabytes(part.num_bytes), part.was_kept ? "  was there" : "");
    if (part.was_kept) continue;
    made_seconds += part.seconds;
    wall_seconds += part.wall_seconds;
  }
  if (wall_seconds > 0) {
    append(text, "%.2f hours made in %s, %.1f hours an hour\n", made_seconds / 3600,
           format_duration(wall_seconds).c_str(), made_seconds / wall_seconds);
  }
  text += "vqtrain vqvae --config configs/default.json";
  for (const std::string& argument : report.train_arguments) text += " " + argument;
  return text + " --out RUN\n";
}

ordered_json to_json(const MakeReport& report) {
  ordered_json parts = ordered_json::array();
  for (const MadePart& part : report.parts) {
    ordered_json sounding;
    for (size_t s = 0; s < 4; ++s) sounding[dataset::kRenderGroups[s]] = part.seconds_sounding[s];
    parts.push_back({{"name", part.name},
                     {"split", part.is_validation ? "validation" : "train"},
                     {"kept", part.was_kept},
                     {"songs", part.num_songs},
                     {"sung", part.num_sung},
                     {"seconds", part.seconds},
                     {"seconds_sounding", sounding},
                     {"bytes", part.num_bytes},
                     {"wall_seconds", part.wall_seconds},
                     {"skipped", part.skipped}});
  }
  return {{"parts", parts}, {"train_arguments", report.train_arguments}};
}

}  // namespace

int run_data_make(const std::vector<std::string>& arguments) {
  Command command("vqdata", "make --config FILE --material DIR --out DIR [options]", 0, kRest);
  auto add = command.options.add_options();
  const auto word = [] { return po::value<std::string>(); };
  const auto words = [] { return po::value<std::vector<std::string>>()->composing(); };
  add("config", word()->value_name("FILE"), "what to make, such as configs/data-default.json");
  add("material", word()->value_name("DIR"), "folder that the configuration's materials are in");
  add("soundfonts", words()->value_name("DIR"), "folder of soundfonts; again for more");
  add("out,o", word()->value_name("DIR"), "folder of the set, made if it is not there");
  add("only", words()->value_name("PART"), "make this part; again for more");
  add("max-songs", po::value<uint64_t>()->default_value(0)->value_name("N"), "of every part, 0 = all");
  add("encoding", word()->value_name("NAME"), "int16, flac or opus, instead of the configuration's");
  add("no-singing", "play melodies that would be sung");
  add("keep-songs", "leave the stems as FLAC files in OUT/.work/<part>/songs");
  add("dry-run", "tell what would be made, and make nothing");
  add("threads", po::value<int>()->default_value(0)->value_name("N"), "songs at once, 0 = one a core");
  add("verbose,v", "with --dry-run: name what is left out, and why");
  add("json", "print what was done (or would be) as JSON");
  add("quiet,q", "print nothing but errors (and --json)");
  add("help,h", "this text");
  Values values;
  if (!command.parse(arguments, values)) return 0;
  for (const char* name : {"config", "material", "out"}) {
    if (!text(values, name).empty()) continue;
    throw Error(ExitCode::kUsage, std::string("--") + name + " is missing; see " + command.help_hint());
  }
  const bool quiet = flag(values, "quiet");

  dataset::MakeOptions options;
  options.material = text(values, "material");
  options.font_folders = flag(values, "soundfonts")
                             ? values["soundfonts"].as<std::vector<std::string>>()
                             : std::vector<std::string>{"/usr/share/sounds/sf2", "/usr/share/sounds/sf3"};
  options.out = text(values, "out");
  if (flag(values, "only")) options.only = values["only"].as<std::vector<std::string>>();
  options.max_songs = values["max-songs"].as<uint64_t>();
  if (flag(values, "encoding")) options.encoding = dataset::parse_pack_encoding(text(values, "encoding"));
  options.sing = !flag(values, "no-singing");
  options.keep_songs = flag(values, "keep-songs");
  options.num_threads = threads(values);
  options.on_remark = [quiet](const std::string& line) {
    if (!quiet) std::fprintf(stderr, "vqdata: %s\n", line.c_str());
  };
  const dataset::MakeConfig config = dataset::read_make_config(text(values, "config"));
  constexpr auto kReplace = nlohmann::json::error_handler_t::replace;
  if (flag(values, "dry-run")) {
    const MakePlan plan = dataset::plan_set(config, options);
    if (flag(values, "json")) {
      print(to_json(plan).dump(2, ' ', false, kReplace) + "\n");
    } else if (!quiet) {
      print(to_text(plan, flag(values, "verbose")));
    }
    return 0;
  }
  MakeReport report;
  {
    Progress progress("making the set", quiet);
    options.on_progress = [&progress](double done, double total) { progress.update(done, total); };
    report = dataset::make_set(config, options);
  }
  if (flag(values, "json")) {
    print(to_json(report).dump(2, ' ', false, kReplace) + "\n");
  } else if (!quiet) {
    print(to_text(report));
  }
  for (const MadePart& part : report.parts) {
    if (!part.skipped.empty()) return static_cast<int>(ExitCode::kBadFile);
  }
  return 0;
}

}  // namespace vqcodec::apps
