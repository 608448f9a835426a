// vqcodec transcode: the same codes by another coder, without touching audio.
#pragma once

#include <string>

#include "apps/prior_file.h"
#include "apps/vqc_input.h"

namespace vqcodec::apps {

struct TranscodeOptions {
  std::string input;       // "-" is standard input
  std::string output;      // a file
  std::string from_prior;  // prior of the input; empty: load_prior_of() looks for one
  PriorChoice prior;       // of the output
  int num_threads = 0;     // 0 = one a core
  bool force = false;      // overwrite the output
  bool quiet = false;      // no progress and no summary
};

// The output is read back and compared with the input's codes before it gets its name. Needs no model. Throws Error;
// then nothing is left of the output.
void transcode(const TranscodeOptions& options, const Warn& warn);

}  // namespace vqcodec::apps
