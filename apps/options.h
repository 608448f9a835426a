// What the programs' command lines share.
#pragma once

#include <string>
#include <vector>

#include <boost/program_options.hpp>

namespace vqcodec::apps {

// Parses `arguments` (without program and command). Unknown options, repeated single options, missing required ones and
// words that are no option and have no place in `positional` throw Error(kUsage) with a hint to --help.
boost::program_options::variables_map parse_options(
    const std::vector<std::string>& arguments, const boost::program_options::options_description& options,
    const boost::program_options::positional_options_description& positional, const std::string& help_hint);

// True when --help or -h is among the arguments (before a "--").
bool wants_help(const std::vector<std::string>& arguments);

}  // namespace vqcodec::apps
