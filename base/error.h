// The one exception type of the project, and the exit codes of its programs.
//
// Libraries other than codec/ throw Error; main() catches it once (see base/main_guard.h). codec/ never
// throws: it returns codec::Result (codec/result.h), which apps turn into an Error.
#pragma once

#include <stdexcept>
#include <string>

namespace vqcodec {

// Exit codes of every program.
enum class ExitCode : int {
  kOk = 0,
  kUsage = 1,     // unknown or contradictory options
  kIo = 2,        // a file cannot be opened, read or written
  kBadFile = 3,   // a file's bytes are not what they should be (audio, .vqc, safetensors, config)
  kModel = 4,     // the model is missing, or the file was written with another one
  kInternal = 5,  // a defect of ours
};

class Error : public std::runtime_error {
 public:
  // `message` says what, where, what was found, what was expected and what to do; it has no newline at its end
  // and does not begin with the program's name.
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

}  // namespace vqcodec
