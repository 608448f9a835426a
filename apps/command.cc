#include "apps/command.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <sstream>
#include <utility>

#include "apps/options.h"
#include "base/error.h"

namespace vqcodec::apps {

namespace po = boost::program_options;

Command::Command(std::string program, std::string line, int max_inputs, const char* rest)
    : options("Options", 110, 55),
      program_(std::move(program)),
      line_(std::move(line)),
      max_inputs_(max_inputs),
      rest_(rest) {}

std::string Command::help_hint() const { return program_ + " " + line_.substr(0, line_.find(' ')) + " --help"; }

bool Command::parse(const std::vector<std::string>& arguments, po::variables_map& values, bool needs_input) const {
  if (wants_help(arguments)) {
    std::ostringstream out;
    out << "Usage: " << program_ << ' ' << line_ << "\n\n" << options << rest_;
    print(out.str());
    return false;
  }
  po::options_description all;
  all.add(options);
  po::positional_options_description positional;
  if (max_inputs_ != 0) {
    all.add_options()("input", po::value<std::vector<std::string>>());
    positional.add("input", max_inputs_);
  }
  values = parse_options(arguments, all, positional, help_hint());
  if (needs_input && max_inputs_ != 0 && !flag(values, "input")) {
    throw Error(ExitCode::kUsage, "the input file is missing; see " + help_hint());
  }
  return true;
}

bool flag(const Values& values, const char* name) { return values.count(name) > 0; }

std::string text(const Values& values, const char* name) {
  return values.count(name) > 0 ? values[name].as<std::string>() : std::string();
}

int threads(const Values& values) {
  const int count = values["threads"].as<int>();
  if (count < 0 || count > 1024) throw Error(ExitCode::kUsage, "--threads: expected 0 to 1024");
  return count;
}

std::vector<std::string> comma_list(const Values& values, const char* name) {
  std::vector<std::string> items;
  if (!flag(values, name)) return items;
  const std::string list = text(values, name);
  for (size_t at = 0; at <= list.size();) {
    const size_t comma = std::min(list.find(',', at), list.size());
    if (comma == at) throw Error(ExitCode::kUsage, std::string("--") + name + ": expected names such as bass,drums");
    items.push_back(list.substr(at, comma - at));
    at = comma + 1;
  }
  return items;
}

std::string command_words(const std::string& command, const std::vector<std::string>& arguments) {
  std::string words = command;
  for (const std::string& argument : arguments) words += " " + argument;
  return words;
}

void make_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw Error(ExitCode::kIo, path + ": cannot be made: " + error.message());
}

int run_command(const std::string& program, const char* help, std::span<const CommandEntry> commands,
                const std::vector<std::string>& arguments) {
  if (arguments.empty()) {
    std::fputs(help, stderr);
    return static_cast<int>(ExitCode::kUsage);
  }
  if (arguments[0] == "--help" || arguments[0] == "-h") {
    print(help);
    return 0;
  }
  if (arguments[0] == "--version") {
    print(program + " " VQCODEC_VERSION "\n");
    return 0;
  }
  std::string names;
  for (const CommandEntry& command : commands) {
    if (arguments[0] == command.name) return command.run({arguments.begin() + 1, arguments.end()});
    names += (names.empty() ? "" : &command == &commands.back() ? " or " : ", ") + std::string(command.name);
  }
  throw Error(ExitCode::kUsage,
              "unknown command \"" + arguments[0] + "\"; expected " + names + " (see " + program + " --help)");
}

void print(const std::string& output) {
  std::fwrite(output.data(), 1, output.size(), stdout);
  if (std::fflush(stdout) != 0) throw Error(ExitCode::kIo, "standard output cannot be written");
}

}  // namespace vqcodec::apps
