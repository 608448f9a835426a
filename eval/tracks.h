// Songs with their true sources, and what a model makes of them: the input of every evaluation.
//
// Layout (MUSDB18-HQ): <root>/<track>/{mixture,vocals,bass,drums,other}.<any audio file>. A mixture that is not there is the
// sum of the sources; a source that is not there is missing, which a remark tells.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "codec/code_grid.h"
#include "runtime/thread_pool.h"
#include "vqvae/model.h"

namespace vqcodec::eval {

struct TrackFolder {
  std::string name;  // of the folder
  std::filesystem::path path;
};

// The folders in `root` that hold a file of one of the names, sorted by name; `root` itself if it is such a folder.
// Throws Error(kIo) if `root` cannot be read, Error(kBadFile) if there is none.
std::vector<TrackFolder> list_tracks(const std::filesystem::path& root, const std::vector<std::string>& names);

struct Track {
  std::string name;
  int sample_rate_hz = 0;
  int64_t num_frames = 0;  // samples per channel, of every stem and the mixture
  // Per source, interleaved stereo float32 [2 * num_frames], full scale 1; empty = there is no such file.
  std::vector<std::vector<float>> stems;
  std::vector<float> mixture;        // interleaved stereo [2 * num_frames]
  std::vector<std::string> remarks;  // missing sources, unlike lengths, other rates, samples that are not finite
  int64_t num_bad_samples = 0;        // that are not finite, of all files; 0 stands for them
};

struct ReadOptions {
  int sample_rate_hz = 44100;  // others are resampled, which a remark tells
  double from_seconds = 0;
  double max_seconds = 0;  // 0 = to the end
};

// Files of unlike length are padded with silence to the longest. Throws Error(kIo, kBadFile) of the audio reader.
Track read_track(const TrackFolder& folder, const std::vector<std::string>& sources, const ReadOptions& options);

// Codes of a song: segments[k][i] is segment k of source i of the model.
struct CodedSong {
  codec::StreamInfo info;
  std::vector<std::vector<codec::SourceSegment>> segments;
};

// num_codebooks: how many are kept, 0 = all. interleaved: stereo at the model's rate.
CodedSong encode_song(const std::shared_ptr<const vqvae::Model>& model, std::span<const float> interleaved,
                      int num_codebooks, runtime::ThreadPool& pool);

// Each source decoded from its own codes alone: per source interleaved stereo [2 * num_samples of the song].
std::vector<std::vector<float>> decode_sources(const std::shared_ptr<const vqvae::Model>& model, const CodedSong& song,
                                               runtime::ThreadPool& pool);

// The sum of equally long signals, in their order.
std::vector<float> sum_of(std::span<const std::vector<float>> signals);

}  // namespace vqcodec::eval
