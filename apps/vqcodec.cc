// vqcodec: music to .vqc files with one stream of codes per source, and back.
#include <malloc.h>
#include <sys/mman.h>
#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "apps/command.h"
#include "apps/decode.h"
#include "apps/encode.h"
#include "apps/inspect.h"
#include "apps/model_file.h"
#include "apps/prior_file.h"
#include "apps/transcode.h"
#include "base/error.h"
#include "base/interrupt.h"
#include "base/main_guard.h"
#include "prior/coder.h"
#include "prior/selftest.h"
#include "runtime/cpu.h"

namespace {

namespace po = boost::program_options;
using namespace vqcodec;

constexpr const char* kHelp = R"(vqcodec stores music as codes, a stream for each source (vocals, bass, drums, other).

Usage: vqcodec <command> [options]

Commands:
  encode     audio file to .vqc
  decode     .vqc, or some sources or a stretch of it, to audio
  info       what a .vqc holds and what each source and codebook takes
  verify     check every checksum and decode all codes
  transcode  the same codes coded otherwise, without touching audio
  selftest   check that this machine computes what all machines must

"vqcodec <command> --help" lists the options of a command; "vqcodec --version" tells the version.

Examples:
  vqcodec encode song.flac -o song.vqc
  vqcodec decode song.vqc -o song.wav
  vqcodec decode song.vqc --sources bass -o bass.wav
  ffmpeg -i film.mkv -f wav - | vqcodec encode - -o - | vqcodec decode - -o film.wav

Exit codes: 0 ok, 1 usage, 2 input or output, 3 bad or damaged file, 4 model missing or of another file, 5 internal.
)";

constexpr const char* kEncodeExamples = R"(
IN is any audio file (WAV, FLAC, Ogg, Opus, MP3, M4A, ...) at any sample rate, mono or stereo; "-" is standard input.

Examples:
  vqcodec encode song.flac -o song.vqc
  vqcodec encode song.mp3 -o small.vqc --quality 4
  ffmpeg -i film.mkv -f wav - | vqcodec encode - -o film.vqc
)";

constexpr const char* kDecodeExamples = R"(
IN is a .vqc file; "-" is standard input. The output is .wav or .flac by its extension; "-" is WAV on standard output.
A stretch (--from, --to) has exactly the samples that the whole has there; of a file, only what it needs is read. --to
beyond the end is the end. With --keep-going damage gives a warning and the exit code is 0.

Examples:
  vqcodec decode song.vqc -o song.wav
  vqcodec decode song.vqc --without vocals -o karaoke.flac
  vqcodec decode song.vqc --stems stems/
  vqcodec decode song.vqc --from 60 --to 90 --bits float -o chorus.wav
  vqcodec decode song.vqc -o - | aplay
)";

constexpr const char* kInfoExamples = R"(
FILE "-" is standard input. The bytes of a source are its streams in the file; those of a codebook are what its codes
cost by the coder's probabilities, which for files with a prior is told with --codebooks only: it decodes them.
raw_bytes is what the codes would take at log2(codebook_size) bits each.

Examples:
  vqcodec info song.vqc
  vqcodec info --json song.vqc
)";

constexpr const char* kVerifyExamples = R"(
Prints a line for each damage to standard error. Exit code 3 if a file is damaged.

Examples:
  vqcodec verify song.vqc
  vqcodec verify --quiet archive/*.vqc
)";

constexpr const char* kTranscodeExamples = R"(
Between priors, the adaptive model and joint coding. The new file is read back and its codes are compared with the old ones
before it gets its name.

Examples:
  vqcodec transcode song.vqc -o small.vqc --joint
  vqcodec transcode song.vqc -o plain.vqc --no-prior
  vqcodec transcode song.vqc -o new.vqc --from-prior old.safetensors --prior new.safetensors
)";

constexpr const char* kSelftestExamples = R"(
Takes a few seconds. The exit code is 5 if something is not as it must be: then this machine can neither read files that a
prior coded elsewhere nor write files that can be read elsewhere. VQCODEC_CPU=portable takes the plain path.

Examples:
  vqcodec selftest
  VQCODEC_CPU=portable vqcodec selftest
)";

using apps::comma_list, apps::flag, apps::kModelHelp, apps::print, apps::text, apps::threads, apps::Values;

void warn(const std::string& text) { std::cerr << "vqcodec: " << text << std::endl; }

void add_prior_options(apps::Command& command) {
  command.options.add_options()("prior", po::value<std::string>(), apps::kPriorHelp)(
      "no-prior", "code by the adaptive model alone, which needs no prior to decode")(
      "joint", "code each source given those before it: smaller, but to decode one, those before it are decoded too");
}

apps::PriorChoice prior_choice(const Values& values) {
  return {text(values, "prior"), flag(values, "no-prior"), flag(values, "joint")};
}

int run_encode(const std::vector<std::string>& arguments) {
  apps::Command command("vqcodec", "encode IN -o OUT.vqc [options]", 1, kEncodeExamples);
  auto add = command.options.add_options();
  add("out,o", po::value<std::string>(), "file to write; \"-\" is standard output");
  add("quality", po::value<int>(), "codebooks to keep, from 1 (smallest file) to all of the model's (the default)");
  add("model", po::value<std::string>(), kModelHelp);
  add_prior_options(command);
  add("threads", po::value<int>()->default_value(0), "CPU threads, 0 = one a core; they do not change the file");
  add("downmix", "mix more than two channels down to stereo");
  add("force", "overwrite OUT if it exists");
  add("quiet", "no progress and no summary, only warnings and errors");
  add("help,h", "this text");
  Values values;
  if (!command.parse(arguments, values)) return 0;
  apps::EncodeOptions options;
  options.input = values["input"].as<std::vector<std::string>>()[0];
  if (!flag(values, "out")) throw Error(ExitCode::kUsage, "the output file is missing (-o); see vqcodec encode --help");
  options.output = text(values, "out");
  options.model = text(values, "model");
  options.prior = prior_choice(values);
  if (flag(values, "quality")) {
    options.num_codebooks = values["quality"].as<int>();
    if (options.num_codebooks < 1) throw Error(ExitCode::kUsage, "--quality: expected 1 or more codebooks");
  }
  options.num_threads = threads(values);
  options.downmix = flag(values, "downmix");
  options.force = flag(values, "force");
  options.quiet = flag(values, "quiet");
  apps::encode(options, warn);
  return 0;
}

int run_decode(const std::vector<std::string>& arguments) {
  apps::Command command("vqcodec", "decode IN.vqc (-o OUT | --stems DIR) [options]", 1, kDecodeExamples);
  auto add = command.options.add_options();
  add("out,o", po::value<std::string>(), "audio file to write (.wav or .flac); \"-\" is standard output");
  add("stems", po::value<std::string>(), "folder to write each source to, as a file of its own");
  add("stems-format", po::value<std::string>()->default_value("wav"), "format of the stems: wav or flac");
  add("sources", po::value<std::string>(), "sources to decode, such as bass,drums; all if not given");
  add("without", po::value<std::string>(), "sources to leave out, such as vocals");
  add("from", po::value<double>()->default_value(0), "begin of the stretch to decode, in seconds");
  add("to", po::value<double>(), "end of the stretch, in seconds");
  add("bits", po::value<std::string>()->default_value("16"), "sample format: 16, 24 or float (WAV only)");
  add("keep-going", "decode a damaged file, with silence in place of what is lost");
  add("model", po::value<std::string>(), kModelHelp);
  add("prior", po::value<std::string>(), apps::kReadPriorHelp);
  add("threads", po::value<int>()->default_value(0), "CPU threads, 0 = one a core; they do not change the samples");
  add("force", "overwrite the output if it exists");
  add("quiet", "no progress, only warnings and errors");
  add("help,h", "this text");
  Values values;
  if (!command.parse(arguments, values)) return 0;
  apps::DecodeOptions options;
  options.input = values["input"].as<std::vector<std::string>>()[0];
  options.output = text(values, "out");
  options.stems_folder = text(values, "stems");
  options.stems_extension = text(values, "stems-format");
  if (options.stems_extension != "wav" && options.stems_extension != "flac") {
    throw Error(ExitCode::kUsage, "--stems-format " + options.stems_extension + ": expected wav or flac");
  }
  options.model = text(values, "model");
  options.prior = text(values, "prior");
  options.sources = comma_list(values, "sources");
  options.without = comma_list(values, "without");
  options.from_seconds = values["from"].as<double>();
  if (flag(values, "to")) options.to_seconds = values["to"].as<double>();
  const std::string bits = text(values, "bits");
  using audio::SampleFormat;
  if (bits == "24") {
    options.sample_format = SampleFormat::kPcm24;
  } else if (bits == "float") {
    options.sample_format = SampleFormat::kFloat32;
  } else if (bits != "16") {
    throw Error(ExitCode::kUsage, "--bits " + bits + ": expected 16, 24 or float");
  }
  options.num_threads = threads(values);
  options.keep_going = flag(values, "keep-going");
  options.force = flag(values, "force");
  options.quiet = flag(values, "quiet");
  apps::decode(options, warn);
  return 0;
}

int run_info(const std::vector<std::string>& arguments) {
  apps::Command command("vqcodec", "info FILE... [options]", -1, kInfoExamples);
  auto add = command.options.add_options();
  add("json", "print JSON: an object, or of several files an array of objects");
  add("codebooks", "what each codebook takes, also of files with a prior: decodes all codes");
  add("prior", po::value<std::string>(), apps::kReadPriorHelp);
  add("threads", po::value<int>()->default_value(0), "CPU threads, 0 = one a core");
  add("help,h", "this text");
  Values values;
  if (!command.parse(arguments, values)) return 0;
  runtime::ThreadPool pool(threads(values));
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const std::string& path : values["input"].as<std::vector<std::string>>()) {
    all.push_back(apps::file_info(path, {text(values, "prior"), flag(values, "codebooks")}, pool));
    if (flag(values, "json")) continue;
    if (all.size() > 1) print("\n");
    print(apps::format_info(all.back()));
  }
  if (flag(values, "json")) {
    print((all.size() == 1 ? all[0] : all).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  }
  return 0;
}

int run_verify(const std::vector<std::string>& arguments) {
  apps::Command command("vqcodec", "verify FILE... [options]", -1, kVerifyExamples);
  auto add = command.options.add_options();
  add("model", po::value<std::string>(), "also check that the files were written with this model");
  add("prior", po::value<std::string>(), apps::kReadPriorHelp);
  add("threads", po::value<int>()->default_value(0), "CPU threads, 0 = one a core");
  add("quiet", "print only damage, nothing for files that are whole");
  add("help,h", "this text");
  Values values;
  if (!command.parse(arguments, values)) return 0;
  runtime::ThreadPool pool(threads(values));
  std::optional<apps::LoadedModel> loaded;
  if (flag(values, "model")) loaded = apps::load_model(text(values, "model"));
  int exit_code = 0;
  const auto report_error = [&](const Error& error) {
    warn(error.what());
    exit_code = std::max(exit_code, static_cast<int>(error.code()));
  };
  for (const std::string& path : values["input"].as<std::vector<std::string>>()) {
    try {
      apps::VerifyReport report = apps::verify(path, text(values, "prior"), pool);
      if (loaded && report.num_sources > 0 && report.model_id != loaded->model->id()) {
        const std::string theirs = apps::short_id(report.model_id), ours = apps::short_id(loaded->model->id());
        report.damage.emplace_back(ExitCode::kModel, apps::input_name(path) + ": was written with model " + theirs +
                                                         ", not with " + loaded->path + " (" + ours + ")");
      }
      for (const Error& damage : report.damage) report_error(damage);
      if (report.damage.empty() && !flag(values, "quiet")) {
        print(apps::printable(apps::input_name(path)) + ": whole (" + std::to_string(report.num_segments) +
              " segments of " + std::to_string(report.num_sources) + " sources)\n");
      }
    } catch (const Error& error) {
      report_error(error);  // the other files can still be checked
    }
  }
  return exit_code;
}

int run_transcode(const std::vector<std::string>& arguments) {
  apps::Command command("vqcodec", "transcode IN.vqc -o OUT.vqc [options]", 1, kTranscodeExamples);
  auto add = command.options.add_options();
  add("out,o", po::value<std::string>(), "file to write");
  add("from-prior", po::value<std::string>(), "prior of IN; otherwise it is looked for where priors are installed");
  add_prior_options(command);
  add("threads", po::value<int>()->default_value(0), "CPU threads, 0 = one a core; they do not change the file");
  add("force", "overwrite OUT if it exists");
  add("quiet", "no progress and no summary, only warnings and errors");
  add("help,h", "this text");
  Values values;
  if (!command.parse(arguments, values)) return 0;
  apps::TranscodeOptions options;
  options.input = values["input"].as<std::vector<std::string>>()[0];
  if (!flag(values, "out")) {
    throw Error(ExitCode::kUsage, "the output file is missing (-o); see vqcodec transcode --help");
  }
  options.output = text(values, "out");
  options.from_prior = text(values, "from-prior");
  options.prior = prior_choice(values);
  options.num_threads = threads(values);
  options.force = flag(values, "force");
  options.quiet = flag(values, "quiet");
  apps::transcode(options, warn);
  return 0;
}

int run_selftest(const std::vector<std::string>& arguments) {
  apps::Command command("vqcodec", "selftest [options]", 0, kSelftestExamples);
  auto add = command.options.add_options();
  add("prior", po::value<std::string>(), "prior to check too; otherwise $VQCODEC_PRIOR or the one that is installed");
  add("help,h", "this text");
  Values values;
  if (!command.parse(arguments, values, false)) return 0;
  print(std::string("path ") + runtime::path_name(runtime::current_path()) + ", numerics " +
        std::to_string(prior::kNumericsId) + "\n");
  bool all_passed = true;
  const auto report = [&](const std::string& name, const std::string& wrong) {
    print((wrong.empty() ? "ok    " : "WRONG ") + name + (wrong.empty() ? "" : ": " + wrong) + "\n");
    all_passed = all_passed && wrong.empty();
  };
  for (const prior::SelftestCheck& check : prior::run_selftest()) {
    report(check.name, check.passed() ? "" : "found " + check.found + ", expected " + check.expected);
  }
  if (const auto loaded = apps::load_prior(text(values, "prior"))) {
    runtime::ThreadPool pool(0);
    report("coding with " + loaded->path + " (prior " + apps::short_id(loaded->model->id()) + ")",
           prior::check_coding(loaded->model, pool));
  }
  if (all_passed) return 0;
  warn("this machine does not compute what all others do; please report its processor");
  return static_cast<int>(ExitCode::kInternal);
}

constexpr apps::CommandEntry kCommands[] = {{"encode", run_encode},
                                            {"decode", run_decode},
                                            {"info", run_info},
                                            {"verify", run_verify},
                                            {"transcode", run_transcode},
                                            {"selftest", run_selftest}};

// A model is touched as soon as it is loaded, and faults of 4 KiB pages took half the time to the first byte. So the
// heap begins with a stretch of huge pages, where the system has them for the asking; none is in memory until used.
void use_huge_pages() {
  constexpr size_t kBytes = size_t{128} << 20;
  constexpr uintptr_t kPageBytes = uintptr_t{2} << 20;
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, static_cast<int>(2 * kBytes));
  void* block = std::malloc(kBytes);
  if (block == nullptr) return;
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(block) + kPageBytes - 1) / kPageBytes * kPageBytes;
  madvise(reinterpret_cast<void*>(begin), kBytes - kPageBytes, MADV_HUGEPAGE);
  std::free(block);
}

}  // namespace

int main(int argc, char** argv) {
  use_huge_pages();
  install_interrupt_handler();
  std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is a write error like any other
  return guarded_main("vqcodec", [&] {
    return apps::run_command("vqcodec", kHelp, kCommands, std::vector<std::string>(argv + 1, argv + argc));
  });
}
