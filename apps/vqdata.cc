// vqdata: makes, checks and packs the songs that models are trained on.
#include <csignal>

#include "apps/command.h"
#include "apps/data_commands.h"
#include "base/interrupt.h"
#include "base/main_guard.h"

namespace {

using namespace vqcodec;

constexpr const char* kHelp = R"(vqdata makes, checks and packs the songs that models are trained on.

Usage: vqdata <command> [options]

Commands:
  check      prove a set of songs: lengths, levels, sums, duplicates, licences
  compare    hold the spectra and levels of one set against those of another
  compose    write new songs as MIDI, with their chords, beats and sections
  layouts    list the layouts in which sets of songs are read, or print one
  make       make a whole set for training and validation from one configuration
  render     make stems of MIDI songs with soundfonts
  pack       pack folders of songs into a few large files that are read at random
  sing       sing a melody of a MIDI file, for the ear

"vqdata <command> --help" lists the options of a command; "vqdata --version" tells the version.

Exit codes: 0 ok, 1 usage, 2 input or output, 3 bad or damaged file, 5 internal.
)";

constexpr apps::CommandEntry kCommands[] = {
    {"check", apps::run_data_check},
    {"compare", apps::run_data_compare},
    {"compose", apps::run_data_compose},
    {"layouts", apps::run_data_layouts},
    {"make", apps::run_data_make},
    {"render", apps::run_data_render},
    {"pack", apps::run_data_pack},
    {"sing", apps::run_data_sing},
};

}  // namespace

int main(int argc, char** argv) {
  install_interrupt_handler();
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a write error like any other
  return guarded_main("vqdata", [&] {
    return apps::run_command("vqdata", kHelp, kCommands, std::vector<std::string>(argv + 1, argv + argc));
  });
}
