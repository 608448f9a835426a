// One command of a program: its options, its help, and the values that were given.
#pragma once

#include <span>
#include <string>
#include <vector>

#include <boost/program_options.hpp>

namespace vqcodec::apps {

struct Command {
  // `line`: the usage line without the program, beginning with the command's name, such as "encode IN -o OUT.vqc".
  // `max_inputs`: how many words without an option there may be, -1 = any. `rest`: printed after the options.
  Command(std::string program, std::string line, int max_inputs, const char* rest);

  // Fills `values`, the words in "input". False when help was asked for and printed. Throws Error(kUsage) with a hint to
  // --help for what does not fit, and when `needs_input` and no word is there.
  bool parse(const std::vector<std::string>& arguments, boost::program_options::variables_map& values,
             bool needs_input = true) const;
  // "<program> <command> --help"
  std::string help_hint() const;

  boost::program_options::options_description options;

 private:
  std::string program_, line_;
  int max_inputs_;
  const char* rest_;
};

using Values = boost::program_options::variables_map;

bool flag(const Values& values, const char* name);
// Empty if not given.
std::string text(const Values& values, const char* name);
// Value of "threads"; throws Error(kUsage) outside 0 to 1024.
int threads(const Values& values);
// Value of a list such as "bass,drums"; empty if not given. Throws Error(kUsage) for an empty name.
std::vector<std::string> comma_list(const Values& values, const char* name);

constexpr const char* kModelHelp = "model (.safetensors); otherwise $VQCODEC_MODEL, then the installed default model";

// The command as it was given, for reports: "vqeval rate --data songs".
std::string command_words(const std::string& command, const std::vector<std::string>& arguments);

// With the folders above it, if it is not there. Throws Error(kIo).
void make_folder(const std::string& path);

struct CommandEntry {
  const char* name;
  int (*run)(const std::vector<std::string>&);  // takes the arguments after the command's name, gives the exit code
};

// Runs the command that the first argument names; `help` is that of the program, which also has --version. Without an
// argument the help goes to standard error, with exit code 1. Throws Error(kUsage) for a name that is not there.
int run_command(const std::string& program, const char* help, std::span<const CommandEntry> commands,
                const std::vector<std::string>& arguments);

// To standard output, flushed. Throws Error(kIo): what is printed must arrive, a full disk or a closed pipe is an error.
void print(const std::string& output);

}  // namespace vqcodec::apps
