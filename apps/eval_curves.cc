// vqeval curves: what training logs tell, as a picture.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "apps/eval_commands.h"
#include "base/atomic_file.h"
#include "base/error.h"
#include "eval/svg_plot.h"

namespace vqcodec::apps {

namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;
using nlohmann::json;

constexpr const char* kExamples = R"(
LOG is a log.jsonl that vqtrain wrote, or the folder it is in. Every value that a log has over its steps can be shown;
without --fields the losses of training and all figures of the songs set aside, a panel for each group of values
whose names begin alike. Logs that are named together are drawn into the same panels.

Examples:
  vqeval curves runs/default -o curves.svg
  vqeval curves runs/a runs/b --fields loss,average,mixture -o compared.svg
  vqeval curves runs/default --list
)";

constexpr int64_t kMaxLogBytes = int64_t{1} << 30;

struct Log {
  std::string name;
  // By "training" or "validation" and name: (step, value).
  std::map<std::pair<std::string, std::string>, std::vector<std::pair<double, double>>> curves;
};

Log read_log(const std::string& path) {
  const fs::path file = fs::is_directory(path) ? fs::path(path) / "log.jsonl" : fs::path(path);
  std::error_code error;
  const auto bytes = static_cast<int64_t>(fs::file_size(file, error));
  std::ifstream in(file);
  if (error || !in) throw Error(ExitCode::kIo, file.string() + ": cannot be read; expected a log of vqtrain");
  if (bytes > kMaxLogBytes) throw Error(ExitCode::kBadFile, file.string() + ": is over 1 GiB");
  Log log;
  const fs::path folder = fs::weakly_canonical(file).parent_path();
  log.name = folder.filename().string();
  std::string line;
  for (int64_t number = 1; std::getline(in, line); ++number) {
    const json entry = json::parse(line, nullptr, false);
    const auto bad = [&](const char* why) {
      return Error(ExitCode::kBadFile, file.string() + ": line " + std::to_string(number) + ": " + why);
    };
    // The last line of a run that was killed may be cut.
    if (entry.is_discarded() && in.peek() == EOF && number > 1) break;
    if (!entry.is_object()) throw bad("is no JSON object, expected a log of vqtrain");
    if (!entry.contains("kind") || !entry["kind"].is_string() || !entry.contains("step") ||
        !entry["step"].is_number()) {
      throw bad("has no \"kind\" and \"step\", expected a log of vqtrain");
    }
    for (const auto& [key, value] : entry.items()) {
      if (key == "kind" || key == "step" || key == "time" || !value.is_number()) continue;
      auto& points = log.curves[{entry["kind"].get<std::string>(), key}];
      const double step = entry["step"].get<double>();
      // A run that went on from a checkpoint has some steps twice: the later ones count.
      while (!points.empty() && points.back().first >= step) points.pop_back();
      points.emplace_back(step, value.get<double>());
    }
  }
  if (log.curves.empty()) throw Error(ExitCode::kBadFile, file.string() + ": has no values");
  return log;
}

// "masks" of "masks_bass"; nothing of "bass", which stands with other names without a group.
std::string group_of(const std::string& field) {
  const size_t end = field.find('_');
  return end == std::string::npos ? "" : field.substr(0, end);
}

std::vector<eval::Panel> make_panels(const std::vector<Log>& logs, const std::vector<std::string>& fields) {
  std::map<std::string, std::set<std::pair<std::string, std::string>>> groups;  // title -> (kind, field)
  const auto add = [&](const std::string& title, const std::string& kind, const std::string& field) {
    for (const Log& log : logs) {
      if (log.curves.contains({kind, field})) groups[title].insert({kind, field});
    }
  };
  for (const std::string& field : fields) {
    const size_t before = groups.size();
    for (const char* kind : {"training", "validation"}) add(std::string(kind) + ": " + field, kind, field);
    if (groups.size() == before) {
      throw Error(ExitCode::kUsage, "--fields " + field + ": no log has it; --list tells what there is");
    }
  }
  if (fields.empty()) {
    add("training: loss", "training", "loss");
    for (const Log& log : logs) {
      for (const auto& [key, points] : log.curves) {
        if (key.first != "validation") continue;
        const std::string group = group_of(key.second);
        add("set aside" + (group.empty() ? "" : ": " + group), key.first, key.second);
      }
    }
  }
  std::vector<eval::Panel> panels;
  for (const auto& [title, curves] : groups) {
    eval::Panel panel{.title = title, .x_label = "step", .y_label = ""};
    int color = 0;
    for (const Log& log : logs) {
      for (const auto& key : curves) {
        const auto found = log.curves.find(key);
        if (found == log.curves.end()) continue;
        std::string name = curves.size() > 1 ? key.second : "";
        if (logs.size() > 1) name += (name.empty() ? "" : ", ") + log.name;
        panel.series.push_back({.name = name.empty() ? key.second : name,
                                .points = found->second,
                                .color = color++,
                                .markers = found->second.size() < 60,
                                .marker_radius = 2});
      }
    }
    panels.push_back(std::move(panel));
  }
  return panels;
}

}  // namespace

int run_eval_curves(const std::vector<std::string>& arguments) {
  Command command("vqeval", "curves LOG... -o curves.svg [options]", -1, kExamples);
  auto add = command.options.add_options();
  add("out,o", po::value<std::string>(), "picture to write; \"-\" is standard output");
  add("fields", po::value<std::string>(), "values to show, such as loss,average; a panel for each");
  add("list", "print the names of the values instead, with their last ones");
  add("force", "overwrite the picture if it exists");
  add("help,h", "this text");
  Values values;
  if (!command.parse(arguments, values)) return 0;
  if (flag(values, "out") == flag(values, "list")) {
    throw Error(ExitCode::kUsage, "expected a picture to write (-o) or --list; see " + command.help_hint());
  }
  std::vector<Log> logs;
  for (const std::string& path : values["input"].as<std::vector<std::string>>()) logs.push_back(read_log(path));
  if (flag(values, "list")) {
    std::string list;
    for (const Log& log : logs) {
      for (const auto& [key, points] : log.curves) {
        list += log.name + "  " + key.first + "  " + key.second + "  step " +
                std::to_string(std::llround(points.back().first)) + "  " + std::to_string(points.back().second) + "\n";
      }
    }
    print(list);
    return 0;
  }
  const std::vector<eval::Panel> panels = make_panels(logs, comma_list(values, "fields"));
  if (panels.empty()) throw Error(ExitCode::kBadFile, "the logs have neither losses nor figures of songs set aside");
  const std::string svg = eval::svg_plot(panels, static_cast<int>(std::min<size_t>(panels.size(), 2)), 460, 320);
  AtomicFile picture(text(values, "out"), flag(values, "force"));
  picture.write(svg.data(), svg.size());
  picture.commit();
  return 0;
}

}  // namespace vqcodec::apps
