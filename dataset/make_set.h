// A whole set for training and validation from one configuration (dataset/make_config.h):
//
//   <out>/train/<part>/set-00000.vqs ...        packed sets, which vqtrain --data takes
//   <out>/validation/<part>/set-00000.vqs ...
//   <out>/<split>/<part>/part.json              what the part is made of, its hours and licences; "complete" when it is whole
//   <out>/set.json, <out>/ATTRIBUTION.md        all parts that are there, and to whom thanks are due
//   <out>/.work/<part>/                         MIDI files and songs of a part that is not yet packed; removed afterwards
//
// A part that is there and was made of the same material with the same settings is kept; of others, finished songs are.
// Files of a MIDI part that are also in a validation part, and second copies of one file, are left out.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "dataset/make_config.h"

namespace vqcodec::dataset {

struct MakeOptions {
  std::string material;                   // folder that the paths of materials are relative to
  std::vector<std::string> font_folders;  // searched for fonts that are not below it
  std::string out;                        // made if it is not there
  std::vector<std::string> only{};        // names of parts; none = all
  uint64_t max_songs = 0;                 // of each part; 0 = all
  std::optional<PackEncoding> encoding{};  // instead of the configuration's
  bool keep_songs = false;                // leave <out>/.work/<part>/songs: FLAC stems and song.json
  bool sing = true;                       // false: sing_share is taken as 0
  int num_threads = 0;                    // songs at once, 0 = one a core
  // Called with seconds of songs done and in all (those of kept parts are in neither), and with remarks.
  std::function<void(double, double)> on_progress{};
  std::function<void(const std::string&)> on_remark{};
};

struct PlannedPart {
  const MakePart* part = nullptr;
  size_t num_songs = 0;
  double seconds = 0;                 // of songs; estimated for parts that are not done
  uint64_t pack_bytes = 0;            // likewise
  uint64_t work_bytes = 0;            // beside them while the part is made, estimated
  bool is_done = false;               // made by an earlier call with the same material and settings
  std::vector<std::string> skipped;   // MIDI files that are damaged
  std::vector<std::string> left_out;  // files, with the reason
};

struct MakePlan {
  std::vector<PlannedPart> parts;  // those of MakeOptions::only
  uint64_t bytes_needed = 0;       // of parts to do: all packs, and the largest share of work
};

struct MadePart {
  std::string name;
  bool is_validation = false;
  bool was_kept = false;
  size_t num_songs = 0, num_sung = 0;
  double seconds = 0;
  std::array<double, 4> seconds_sounding{};  // in the order of kRenderGroups
  uint64_t num_bytes = 0;
  std::vector<std::string> skipped;  // messages of MIDI files that are damaged or have nothing to play
  double wall_seconds = 0;           // 0 when kept
};

struct MakeReport {
  std::vector<MadePart> parts;
  // Arguments of vqtrain for all parts in <out>: --data and --validation with their folders and weights.
  std::vector<std::string> train_arguments;
};

// What make_set would do; writes nothing. Throws Error(kUsage) for a part in `only` that there is not; Error(kIo) for
// material, fonts or voices that are not there, all of them at once, each with where it can be had; and what reading them
// throws.
MakePlan plan_set(const MakeConfig& config, const MakeOptions& options);

// Throws as plan_set, render_set and pack_songs; Error(kUsage) when `out` has files that are not of vqdata make; Error(kIo)
// when the disk has too little room, before anything is made. Parts that are finished by then, and songs, are kept.
MakeReport make_set(const MakeConfig& config, const MakeOptions& options);

}  // namespace vqcodec::dataset
