// vqeval: measures models and files, and puts what was measured on one page.
#include <csignal>

#include "apps/command.h"
#include "apps/eval_commands.h"
#include "base/interrupt.h"
#include "base/main_guard.h"

namespace {

using namespace vqcodec;

constexpr const char* kHelp = R"(vqeval measures what vqcodec's models and files are worth.

Usage: vqeval <command> [options]

Commands:
  sdr      how well the sources come back: BSSEval v4 as museval computes it, SI-SDR, plain SDR
  rate     what the codes take, part by part, and what they are worth, beside Opus
  speed    real-time factors by stage, memory and start-up, beside opusenc and zstd
  codes    do the codes know whose they are: maps, probes, use of the codebooks, swapped sources
  fit      does a new line fit its song: harmony, rhythm, register; is it a copy
  hard     what becomes of silence, noise, sweeps, clipped masters, speech: levels, bursts
  curves   training logs as a picture
  report   one page of what the others measured: tables, plots, examples to hear

"vqeval <command> --help" lists the options of a command; "vqeval --version" tells the version. eval/run.sh runs all of
them and makes the report.

Exit codes: 0 ok, 1 usage, 2 input or output, 3 bad or damaged file, 4 model missing or wrong, 5 internal.
)";

constexpr apps::CommandEntry kCommands[] = {
    {"sdr", apps::run_eval_sdr},       {"rate", apps::run_eval_rate},     {"speed", apps::run_eval_speed},
    {"codes", apps::run_eval_codes},   {"fit", apps::run_eval_fit},       {"hard", apps::run_eval_hard},
    {"curves", apps::run_eval_curves}, {"report", apps::run_eval_report},
};

}  // namespace

int main(int argc, char** argv) {
  install_interrupt_handler();
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a write error like any other
  return guarded_main("vqeval", [&] {
    return apps::run_command("vqeval", kHelp, kCommands, std::vector<std::string>(argv + 1, argv + argc));
  });
}
