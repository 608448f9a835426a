// Proves a set of songs before anything is trained on it: every file is decoded once and measured, the sources are summed
// and held against the mixture, and files that are the same audio under two names are found. Of a packed set
// (dataset/pack.h) every chunk is held against its checksum, and every stem against what the index says of it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace vqcodec::dataset {

struct CheckOptions {
  std::vector<std::string> sources = {"vocals", "bass", "drums", "other"};
  std::string layout{};                               // as LoadOptions::layout
  std::vector<std::string> splits{};                  // as LoadOptions::splits
  std::optional<double> sum_tolerance_db{};           // instead of the layout's
  double max_length_difference_seconds = 1;           // a song's files may differ by this without being an error
  double max_seconds = 0;                             // of each file; 0 = all
  int num_threads = 0;                                // 0 = one per core
  std::function<void(size_t, size_t)> on_progress{};  // songs done, songs in all; from one thread at a time
};

// What a file was measured to be. Levels are of full scale 1, both channels together.
struct FileReport {
  std::string path;
  int stream_index = 0;
  std::string source;  // or "mixture"
  std::string error;   // why it could not be read (to its end); "" = it could
  std::string format;
  int sample_rate_hz = 0;
  int num_channels = 0;
  int64_t num_frames = 0;  // at the song's rate, which is that of its first file
  double peak = 0;
  double rms_db = 0;  // -inf for digital silence
  double dc = 0;      // mean of the channel in which it is larger
  // At least three samples in a row of a channel within 1e-4 of full scale or beyond it.
  int64_t num_clipped_runs = 0;
  int64_t num_clipped_samples = 0;  // in these runs
  int64_t longest_clipped_run = 0;  // samples
  double first_clipped_seconds = -1;
  int64_t num_bad_samples = 0;  // NaN, infinite
  int64_t num_damaged_packets = 0;
  std::string content_hash;  // of the decoded samples; equal in every lossless format, comparable within one version
};

struct SongReport {
  std::string name, split;
  int sample_rate_hz = 0;
  int64_t num_frames = 0;                // of the longest file
  std::vector<double> seconds_sounding;  // per source of the options: whole seconds over kActiveRms
  std::optional<double> residual_db;     // mixture less sources over mixture, energy
  bool has_bleed = false;
  std::vector<FileReport> files;
};

enum class Severity { kWarning, kError };

struct Finding {
  Severity severity;
  // metadata, missing, no_source, unreadable, damaged, not_finite, empty, sample_rate, clipping, dc, silence, length, sum,
  // bleed, duplicate, name, licence, index
  std::string kind;
  std::string song;  // "" = of the set
  std::string text;
};

struct SetReport {
  std::string root, layout;
  std::vector<std::string> sources;
  std::string publisher_licence;      // as the layout tells, "" = unknown
  std::vector<std::string> licences;  // found beside the songs: "file: what it says"
  std::vector<SongReport> songs;
  std::vector<Finding> findings;  // errors first
  size_t num_errors() const;
};

// Files that cannot be read are findings. Throws Error as load_songs does for what is wrong with root, layout or splits.
SetReport check_set(const std::string& root, const CheckOptions& options);

// Numbers that are not finite are null.
nlohmann::ordered_json to_json(const SetReport& report);

// A line a song, the seconds of every source, and the findings.
std::string to_table(const SetReport& report);

}  // namespace vqcodec::dataset
