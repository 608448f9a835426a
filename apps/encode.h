// vqcodec encode: any audio to a .vqc, in bounded memory.
#pragma once

#include <string>

#include "apps/prior_file.h"
#include "apps/vqc_input.h"

namespace vqcodec::apps {

struct EncodeOptions {
  std::string input;      // "-" is standard input
  std::string output;     // "-" is standard output
  std::string model;      // empty: load_model() looks for one
  PriorChoice prior;
  int num_codebooks = 0;  // kept, 1..model's; 0 = all
  int num_threads = 0;    // 0 = one a core
  bool downmix = false;   // more than two channels to stereo
  bool force = false;     // overwrite the output
  bool quiet = false;     // no progress and no summary
};

// Writes the summary to standard error. Throws Error as audio/, vqvae/ and base/atomic_file.h do; then nothing is left
// of the output.
void encode(const EncodeOptions& options, const Warn& warn);

}  // namespace vqcodec::apps
