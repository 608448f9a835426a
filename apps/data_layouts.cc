// vqdata layouts: what layouts there are.
#include <sstream>

#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "apps/data_commands.h"
#include "base/error.h"
#include "dataset/layout.h"
#include "dataset/shipped_documents.h"

namespace vqcodec::apps {

namespace {

constexpr const char* kRest = R"(
A layout says how a set of songs lies on disk. Without --layout the first that fits is taken, in the order of this list.
With a NAME its JSON is printed, which is the beginning of a layout of one's own: change it, and give the file's name to
--layout. What may be in it is told at the beginning of the project's dataset/layout.h.

Examples:
  vqdata layouts
  vqdata layouts slakh2100 > own.json
  vqdata check my-set --layout own.json
)";

}  // namespace

int run_data_layouts(const std::vector<std::string>& arguments) {
  Command command("vqdata", "layouts [NAME]", 1, kRest);
  auto add = command.options.add_options();
  add("json", "print JSON instead of a table");
  add("quiet", "print nothing but errors");
  add("help,h", "this text");
  Values values;
  if (!command.parse(arguments, values, false)) return 0;
  if (flag(values, "input")) {
    const std::string name = values["input"].as<std::vector<std::string>>()[0];
    dataset::load_layout(name);  // refuses what is none
    const auto found = dataset::shipped_documents().find("layouts/" + name);
    if (found == dataset::shipped_documents().end()) {
      throw Error(ExitCode::kUsage, name + ": is a file; only the shipped layouts are printed");
    }
    if (!flag(values, "quiet")) print(found->second);
    return 0;
  }
  nlohmann::ordered_json list = nlohmann::json::array();
  std::ostringstream table;
  for (const std::string& name : dataset::shipped_layout_names()) {
    const dataset::Layout layout = dataset::load_layout(name);
    std::string splits;
    for (const std::string& split : layout.splits()) splits += (splits.empty() ? "" : ", ") + split;
    table << name << "\n  " << layout.description() << '\n';
    if (!splits.empty()) table << "  splits: " << splits << '\n';
    if (!layout.licence().empty()) table << "  licence, as its publisher says: " << layout.licence() << '\n';
    list.push_back({{"name", name},
                    {"description", layout.description()},
                    {"reference", layout.reference()},
                    {"publisher_licence", layout.licence()},
                    {"sources", layout.groups()},
                    {"splits", layout.splits()}});
  }
  if (!flag(values, "quiet")) print(flag(values, "json") ? list.dump(2) + "\n" : table.str());
  return 0;
}

}  // namespace vqcodec::apps
