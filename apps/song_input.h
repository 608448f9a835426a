// A whole song as codes: from a .vqc, or from any audio file, which is encoded first.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "apps/model_file.h"
#include "apps/vqc_input.h"
#include "generate/line.h"
#include "runtime/thread_pool.h"

namespace vqcodec::apps {

struct CodedSong {
  generate::Song song;              // info tells of no prior, and of all frames and samples
  nlohmann::ordered_json metadata;  // of the .vqc, or as vqcodec encode writes it
  LoadedModel model;
};

struct SongInputOptions {
  std::string model;      // --model; empty: load_model() looks for one
  std::string prior;      // a prior at hand; a .vqc that another one coded has it looked for by load_prior_of()
  int num_codebooks = 0;  // of audio, as in vqvae::EncoderOptions
  bool quiet = false;     // no progress
};

// Whether `path` is a .vqc by its first bytes or by its name.
bool is_vqc(const std::string& path);

// Throws Error as vqcodec decode and encode do, Error(kUsage) for a pipe, and Error(kBadFile) for levels that no model
// gives.
CodedSong read_song(const std::string& path, const SongInputOptions& options, runtime::ThreadPool& pool,
                    const Warn& warn);

}  // namespace vqcodec::apps
