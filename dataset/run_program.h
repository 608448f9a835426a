// Runs another program: words in, bytes out, within a time and a size.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace vqcodec::dataset {

// Path of a program: `name` itself when it has a slash, else the first of PATH that can be executed. "" if there is
// none.
std::string find_program(const std::string& name);

struct RunLimits {
  double seconds = 60;  // of wall-clock time; the program and what it started are then killed
  size_t output_bytes = 64 << 20;
};

// Starts arguments[0] (looked for as find_program does) without a shell, gives it `input` and returns what it wrote to
// standard output. Throws Error(kIo), naming the program, when it cannot be started, ends with a status other than 0
// (with the end of what it wrote to standard error), or goes over a limit. Safe on many threads.
std::string run_program(const std::vector<std::string>& arguments, const std::string& input, const RunLimits& limits);

}  // namespace vqcodec::dataset
