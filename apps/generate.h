// vqgen: a new line for a source of a song, as audio or as a .vqc of the song with the line in it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/vqc_input.h"
#include "generate/line.h"

namespace vqcodec::apps {

struct GenerateOptions {
  std::string source;   // of the model's
  std::string context;  // .vqc or audio; empty: a line that fits nothing, of `seconds`
  std::string output;   // .wav, .flac, .vqc or "-" (WAV)
  bool mix = false;     // the whole song with the new line in place of the old, instead of the line alone
  std::string midi;     // MIDI file of the line's notes; empty = none
  std::string model, prior;
  std::vector<std::string> listen_to;  // sources of the context to be heard; empty = all others
  std::optional<double> from_seconds, to_seconds;
  double seconds = 0;  // without a context
  generate::LineOptions line{};  // sampling.temperature is that of the codebook that comes first, but for the levels'
  double level_temperature = 1;  // of the codebook of levels alone, if the model has one (vqvae::ModelConfig)
  double detail_temperature = 1;  // of all others
  bool best = false;  // of line.num_lines, only the one that fits best is written
  bool json = false;  // a report on standard output
  int num_threads = 0;
  bool force = false;
  bool quiet = false;
  std::string command;  // for the report
};

// With several lines the files are <name>-1.<extension>, <name>-2.<extension> and so on. Throws Error; then no file is
// left of those that were not whole. Error(kUsage) for contradicting options, a source that is not there, a passage
// outside of the song, a song under a second, or one in which nothing sounds; Error(kModel) without a prior or with
// one of another model.
void generate_lines(const GenerateOptions& options, const Warn& warn);

}  // namespace vqcodec::apps
