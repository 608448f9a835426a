// vqcodec decode: a .vqc, or a stretch or some sources of it, to audio, in bounded memory.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/vqc_input.h"
#include "audio/writer.h"

namespace vqcodec::apps {

struct DecodeOptions {
  std::string input;         // "-" is standard input
  std::string output;        // audio file or "-", or empty with `stems_folder`
  std::string stems_folder;  // made if missing; gets <source>.<stems_extension> of every source
  std::string stems_extension = "wav";
  std::string model;                 // empty: load_model() looks for one
  std::string prior;                 // empty: load_prior_of() looks for one
  std::vector<std::string> sources;  // those to decode; empty = all
  std::vector<std::string> without;  // those to leave out
  // The stretch [from, to) of the song, each rounded to the nearest sample; `to` beyond the end is the end.
  double from_seconds = 0;
  std::optional<double> to_seconds;
  audio::SampleFormat sample_format = audio::SampleFormat::kPcm16;
  int num_threads = 0;      // 0 = one a core
  bool keep_going = false;  // silence in place of damaged streams, each told to `warn`
  bool force = false;       // overwrite the output
  bool quiet = false;       // no progress
};

// The samples of a stretch are those of the whole song there, bit for bit. Throws Error; then nothing is left of the
// output. Error(kUsage) for sources that the file does not have and for a stretch that begins beyond the end.
void decode(const DecodeOptions& options, const Warn& warn);

}  // namespace vqcodec::apps
