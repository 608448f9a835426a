// vqgen: new lines that fit the song.
#include <csignal>
#include <iostream>

#include "apps/command.h"
#include "apps/generate.h"
#include "apps/model_file.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/main_guard.h"

namespace {

namespace po = boost::program_options;
using namespace vqcodec;
using apps::comma_list, apps::flag, apps::text, apps::Values;

constexpr const char* kHelp =
    R"(vqgen writes a new line for a source of a song, bass or another, that listens to the others.

Usage: vqgen SOURCE (--context FILE | --seconds N) -o OUT [options]

"vqgen SOURCE --help" lists the options; "vqgen --version" tells the version.

Examples:
  vqgen bass --context song.vqc -o bass.wav
  vqgen bass --context song.mp3 -o song-with-new-bass.flac --mix

Exit codes: 0 ok, 1 usage, 2 input or output, 3 bad or damaged file, 4 model missing or of another file, 5 internal.
)";

constexpr const char* kExamples = R"(
SOURCE is one of the model's: bass, drums, other or vocals. The context is a .vqc or any audio file, which is encoded
first. OUT ends in .wav or .flac for the line alone (or with --mix for the whole song), or in .vqc for the song's other
codes, unchanged, and the new line's; "-" is WAV on standard output. With --count N the files are OUT-1 to OUT-N.

The same seed gives the same line on every machine, whatever the threads and however many lines are made at once.
docs/GENERATION.md tells what the options do and what to expect.

Examples:
  vqgen bass --context song.vqc -o bass.wav
  vqgen bass --context song.mp3 -o mix.flac --mix --seed 7
  vqgen bass --context song.vqc -o bass.wav --count 8 --best --midi bass.mid
  vqgen bass --context song.vqc -o new.vqc --from 30 --to 45.5
  vqgen drums --context song.vqc -o drums.wav --continue 60 --temperature 0.9 --top-p 0.95
  vqgen other --seconds 20 -o idea.wav
)";

// By what vqeval fit says of lines on songs set aside (docs/RESULTS.md): tones want cold codes, noise of drums warm ones.
struct Drawing {
  double temperature, level_temperature, detail_temperature, guidance;
};
constexpr Drawing kOfTones = {0.8, 0.9, 0.4, 2};
constexpr Drawing kOfDrums = {1, 1, 0.8, 1.5};
constexpr double kTopP = 0.9;
constexpr int kTries = 2;
constexpr double kToneStrength = 20;

void warn(const std::string& message) { std::cerr << "vqgen: " << message << std::endl; }

int run(const std::vector<std::string>& arguments) {
  const generate::LineOptions defaults;
  apps::Command command("vqgen", "SOURCE (--context FILE | --seconds N) -o OUT [options]", 1, kExamples);
  auto add = command.options.add_options();
  add("context", po::value<std::string>(), "song to fit the line to: a .vqc or audio");
  add("seconds", po::value<double>(), "length of a line without a song");
  add("out,o", po::value<std::string>(), "file to write: .wav, .flac or .vqc; \"-\" is standard output");
  add("mix", "write the whole song with the new line in place of the old");
  add("from", po::value<double>(), "begin of the passage to write anew, in seconds; the rest is kept");
  add("to", po::value<double>(), "end of that passage; the end of the song if not given");
  add("continue", po::value<double>(), "the song's own line up to this time in seconds, new from there");
  add("listen-to", po::value<std::string>(), "sources to listen to, such as drums,other; all others if not given");
  add("count", po::value<int>()->default_value(1), "lines to write, 1 to 256");
  add("seed", po::value<uint64_t>()->default_value(defaults.seed), "another seed, another line");
  add("temperature", po::value<double>(),
      "0 = the likeliest codes, 1 = as the prior says, up to 1e9 = any; of the codes that say most; 0.8 if not given, "
      "drums 1");
  add("level-temperature", po::value<double>(),
      "the same of the codes of levels, which make rhythm and accents; 0.9, drums 1");
  add("detail-temperature", po::value<double>(), "the same of all other codes; 0.4, drums 0.8");
  add("top-k", po::value<int>()->default_value(defaults.sampling.top_k),
      "draw from the k likeliest codes only, 0 = from all");
  add("top-p", po::value<double>()->default_value(kTopP, "0.9"),
      "draw from the likeliest codes that have this share together");
  add("guidance", po::value<double>(),
      "how much the song counts: 0 = nothing, 1 = as the prior says, more = more; 2, drums 1.5");
  add("repetition", po::value<double>()->default_value(defaults.repetition_penalty),
      "how strongly copies of the last bars and codes that stay are held down, 0 = not");
  add("candidates", po::value<int>()->default_value(defaults.num_candidates),
      "where a passage ends within the song: drawn, of which the one that joins best is kept");
  add("tries", po::value<int>()->default_value(kTries),
      "of each half beat so many are drawn, and the one with the most chord tones is kept; 1 = none is chosen");
  add("tones", po::value<double>()->default_value(kToneStrength, "20"),
      "how strongly codes that go on with a tone of the song's chords are preferred, in nats, 0 to 100; 0 = not");
  add("best", "of the lines, write only the one that fits best by chord tones and beats");
  add("midi", po::value<std::string>(), "MIDI file to write the line's notes to");
  add("model", po::value<std::string>(), apps::kModelHelp);
  add("prior", po::value<std::string>(), "prior to draw from; otherwise $VQCODEC_PRIOR or the one that is installed");
  add("threads", po::value<int>()->default_value(0), "CPU threads, 0 = one a core; they do not change the line");
  add("json", "print a report as JSON, with how well each line fits");
  add("force", "overwrite files that exist");
  add("quiet", "no progress and no summary, only warnings and errors");
  add("help,h", "this text");
  Values values;
  if (!command.parse(arguments, values, false)) return 0;
  apps::GenerateOptions options;
  if (!flag(values, "input")) {
    throw Error(ExitCode::kUsage, "the source is missing, such as bass; see " + command.help_hint());
  }
  if (!flag(values, "out"))
    throw Error(ExitCode::kUsage, "the output file is missing (-o); see " + command.help_hint());
  options.source = values["input"].as<std::vector<std::string>>()[0];
  options.context = text(values, "context");
  options.output = text(values, "out");
  options.mix = flag(values, "mix");
  options.model = text(values, "model");
  options.prior = text(values, "prior");
  options.listen_to = comma_list(values, "listen-to");
  if (flag(values, "context") && options.context.empty()) throw Error(ExitCode::kUsage, "--context: expected a file");
  if (flag(values, "seconds")) {
    options.seconds = values["seconds"].as<double>();
    if (!(options.seconds > 0)) throw Error(ExitCode::kUsage, "--seconds: expected 1 or more");
  }
  if (flag(values, "from")) options.from_seconds = values["from"].as<double>();
  if (flag(values, "to")) options.to_seconds = values["to"].as<double>();
  if (flag(values, "continue")) {
    if (options.from_seconds || options.to_seconds) {
      throw Error(ExitCode::kUsage, "--continue TIME is --from TIME to the end; it excludes --from and --to");
    }
    options.from_seconds = values["continue"].as<double>();
  }
  options.line.num_lines = values["count"].as<int>();
  if (options.line.num_lines < 1 || options.line.num_lines > generate::kMaxLines) {
    throw Error(ExitCode::kUsage, "--count " + std::to_string(options.line.num_lines) + ": expected 1 to " +
                                      std::to_string(generate::kMaxLines) + " lines");
  }
  options.line.seed = values["seed"].as<uint64_t>();
  const Drawing& usual = options.source == "drums" ? kOfDrums : kOfTones;
  const auto real = [&](const char* name, double otherwise) {
    return flag(values, name) ? values[name].as<double>() : otherwise;
  };
  options.line.sampling = {real("temperature", usual.temperature), values["top-k"].as<int>(),
                           values["top-p"].as<double>()};
  options.level_temperature = real("level-temperature", usual.level_temperature);
  options.detail_temperature = real("detail-temperature", usual.detail_temperature);
  options.line.guidance = real("guidance", usual.guidance);
  options.line.repetition_penalty = values["repetition"].as<double>();
  options.line.steering.num_tries = values["tries"].as<int>();
  options.line.steering.tone_strength = values["tones"].as<double>();
  options.line.num_candidates = values["candidates"].as<int>();
  options.num_threads = apps::threads(values);
  options.best = flag(values, "best");
  options.midi = text(values, "midi");
  options.json = flag(values, "json");
  options.force = flag(values, "force");
  options.quiet = flag(values, "quiet");
  options.command = apps::command_words("vqgen", arguments);
  apps::generate_lines(options, warn);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  install_interrupt_handler();
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a write error like any other
  return guarded_main("vqgen", [&] {
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    if (arguments.empty()) {
      std::fputs(kHelp, stderr);
      return static_cast<int>(ExitCode::kUsage);
    }
    if (arguments[0] == "--help" || arguments[0] == "-h") {
      apps::print(kHelp);
      return 0;
    }
    if (arguments[0] == "--version") {
      apps::print("vqgen " VQCODEC_VERSION "\n");
      return 0;
    }
    return run(arguments);
  });
}
