// vqdata: makes, checks and packs the songs that models are trained on.
#include <csignal>
#include <iostream>

#include "apps/command.h"
#include "apps/data_commands.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/main_guard.h"

namespace {

using namespace vqcodec;

constexpr const char* kHelp = R"(vqdata makes, checks and packs the songs that models are trained on.

Usage: vqdata <command> [options]

Commands:
  check      prove a set of songs: lengths, levels, sums, duplicates, licences
  compose    write new songs as MIDI, with their chords, beats and sections
  layouts    list the layouts in which sets of songs are read, or print one

"vqdata <command> --help" lists the options of a command; "vqdata --version" tells the version.

Exit codes: 0 ok, 1 usage, 2 input or output, 3 bad or damaged file, 5 internal.
)";

struct Entry {
  const char* name;
  int (*run)(const std::vector<std::string>&);
};

constexpr Entry kCommands[] = {
    {"check", apps::run_data_check},
    {"compose", apps::run_data_compose},
    {"layouts", apps::run_data_layouts},
};

int run(const std::vector<std::string>& arguments) {
  if (arguments.empty()) {
    std::cerr << kHelp;
    return static_cast<int>(ExitCode::kUsage);
  }
  if (arguments[0] == "--help" || arguments[0] == "-h") {
    apps::print(kHelp);
    return 0;
  }
  if (arguments[0] == "--version") {
    apps::print("vqdata " VQCODEC_VERSION "\n");
    return 0;
  }
  for (const Entry& entry : kCommands) {
    if (arguments[0] == entry.name) return entry.run({arguments.begin() + 1, arguments.end()});
  }
  throw Error(ExitCode::kUsage, "unknown command \"" + arguments[0] + "\"; see vqdata --help");
}

}  // namespace

int main(int argc, char** argv) {
  install_interrupt_handler();
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a write error like any other
  return guarded_main("vqdata", [&] { return run(std::vector<std::string>(argv + 1, argv + argc)); });
}
