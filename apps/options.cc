#include "apps/options.h"

#include "base/error.h"

namespace vqcodec::apps {

namespace po = boost::program_options;

po::variables_map parse_options(const std::vector<std::string>& arguments, const po::options_description& options,
                                const po::positional_options_description& positional, const std::string& help_hint) {
  po::variables_map values;
  try {
    // No guessing: "--thr" is not "--threads".
    const int style = po::command_line_style::default_style & ~po::command_line_style::allow_guessing;
    po::store(po::command_line_parser(arguments).options(options).positional(positional).style(style).run(), values);
    po::notify(values);
  } catch (const po::error& error) {
    throw Error(ExitCode::kUsage, std::string(error.what()) + "; see " + help_hint);
  }
  return values;
}

bool wants_help(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    if (argument == "--") return false;
    if (argument == "--help" || argument == "-h") return true;
  }
  return false;
}

}  // namespace vqcodec::apps
