// vqeval report: one page of what the other commands measured.
#include <filesystem>
#include <iostream>

#include "apps/command.h"
#include "apps/eval_commands.h"
#include "base/atomic_file.h"
#include "base/error.h"
#include "eval/report.h"

namespace vqcodec::apps {
namespace {

constexpr const char* kExamples = R"(
DIR holds what the other commands wrote with --out DIR: sdr.json, rate.json, speed.json, codes.json and their plots; and
examples to hear, if there are any: examples/<track>/{original,decoded}/<stem>.{flac,opus,wav}. What is not there is left
out, and the page says so. The page is one file that loads nothing from anywhere.

Examples:
  vqeval report results -o report.html
  vqeval report results -o - > report.html
)";

}  // namespace

int run_eval_report(const std::vector<std::string>& arguments) {
  namespace po = boost::program_options;
  Command command("vqeval", "report DIR -o report.html [options]", 1, kExamples);
  auto add = command.options.add_options();
  add("out,o", po::value<std::string>(), "page to write; \"-\" is standard output");
  add("max-audio-mb", po::value<int>()->default_value(64), "error if the examples take more megabytes than this");
  add("force", "overwrite the page if it exists");
  add("quiet", "say nothing about what is missing");
  add("help,h", "this text");
  Values values;
  if (!command.parse(arguments, values)) return 0;
  if (!flag(values, "out"))
    throw Error(ExitCode::kUsage, "the page to write is missing (-o); see " + command.help_hint());
  const int max_audio_mb = values["max-audio-mb"].as<int>();
  if (max_audio_mb < 0 || max_audio_mb > 2000) throw Error(ExitCode::kUsage, "--max-audio-mb: expected 0 to 2000");

  const std::string folder = values["input"].as<std::vector<std::string>>()[0];
  const eval::Report report = eval::make_report(folder, {.max_audio_bytes = int64_t{max_audio_mb} * 1000000});
  AtomicFile page(text(values, "out"), flag(values, "force"));
  page.write(report.html.data(), report.html.size());
  page.commit();
  if (flag(values, "quiet")) return 0;
  for (const std::string& line : report.missing) std::cerr << "vqeval: " << line << std::endl;
  return 0;
}

}  // namespace vqcodec::apps
