// Songs as codes: what a prior learns from. Codes are extracted once, by a VQ-VAE that does not change any more, into
// safetensors shards; they are small (a minute of four sources and eight codebooks is 165 kB), so a set lies in memory.
//
// A shard, codes-NNNNN.safetensors, holds for its song i the tensors "<i>/codes" [sources, frames, codebooks] and
// "<i>/gains" [sources, segments], both U16, and the metadata "code_set", JSON: what CodeSetInfo has, the extraction's
// options, and name, variant and number of frames of every song.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dataset/stems.h"
#include "runtime/thread_pool.h"
#include "vqvae/model.h"

namespace vqcodec::prior::train {

struct CodeSetInfo {
  std::string model_id;  // hex SHA-256 of the VQ-VAE
  std::vector<std::string> sources;
  int num_codebooks = 0;
  int codebook_size = 0;
  int segment_frames = 0;
  int sample_rate_hz = 0;
  int hop_samples = 0;
  bool operator==(const CodeSetInfo&) const = default;
};

struct CodeSong {
  std::string name;
  int variant = 0;  // 0 = the song as it is
  int64_t num_frames = 0;
  std::vector<uint16_t> codes{};  // [sources, num_frames, codebooks]
  std::vector<uint16_t> gains{};  // [sources, ceil(num_frames / segment_frames)]; 0 = silent, all its codes are 0
};

struct CodeSet {
  CodeSetInfo info;
  std::vector<CodeSong> songs;
};

// What is encoded.
enum class CodeOrigin {
  kMixture,  // the song's mixture, as at use
  kStems,    // each source by itself, of which its own codes are kept
};

struct ExtractOptions {
  CodeOrigin origin = CodeOrigin::kMixture;
  int variants = 1;  // of each song: the song as it is, then others with a drawn start, level, speed and sides
  uint64_t seed = 1;
  double gain_deviation_db = 4;   // of a variant, normal
  double speed_deviation = 0.06;  // of a variant: its factor is uniform in 1 -+ this, pitch and tempo together
  int segment_frames = 512;
  int songs_per_shard = 64;  // variants counted
  std::function<void(size_t done, size_t total)> on_progress{};
};

// Encodes every variant of every song into shards in `folder`, which is made. Shards that are there already and were made with
// the same songs, model and options are kept; others of the same name are an Error(kUsage). The same arguments give the same
// bytes. Throws Error(kIo), and Error(kBadFile) for damaged songs.
void extract_codes(const std::shared_ptr<const vqvae::Model>& model, const std::vector<dataset::Song>& songs,
                   const std::filesystem::path& folder, const ExtractOptions& options, runtime::ThreadPool& pool);

// All shards of a folder. Throws Error(kIo) if it cannot be read, Error(kBadFile) if it has no shard, a damaged one, codes outside
// of the codebooks, or shards of different models.
CodeSet load_code_set(const std::filesystem::path& folder);

}  // namespace vqcodec::prior::train
