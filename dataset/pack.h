// Packed sets: the stems of many songs in a few large files, shards, that are mapped into memory and read at random.
//
// A set is a folder of shards set-00000.vqs, set-00001.vqs, ... Everything in a shard is little-endian:
//
//   bytes   what
//   0-7     89 56 51 53 0D 0A 1A 0A ("VQS" between bytes that a transfer as text breaks)
//   8-11    version, 1
//   12-15   encoding of the chunks: 0 int16, 1 FLAC, 2 Opus
//   16-19   sample rate in Hz, 1000 to 768000
//   20-23   frames a chunk, a multiple of 64 from 4096 to 1048576
//   24-31   bytes of the file
//   32-39   offset of the chunk table
//   40-47   number of its entries, at most 2^32
//   48-55   bytes of the index, which follows the table and ends the file, at most 2^30
//   56-59   CRC32C of table and index
//   60-63   CRC32C of bytes 0 to 59
//   64-     chunks, each at a multiple of 64, zeros between them
//
// Table: 16 bytes a chunk: offset (8), bytes (4), CRC32C of them (4). All 0: the chunk is silence. A stem's chunks are
// consecutive entries; all but the last hold as many frames as the header says. What a chunk holds:
//   int16   interleaved stereo, 4 bytes a frame
//   FLAC    a whole FLAC file of stereo int16
//   Opus    2 bytes: frames to leave out at the beginning (the coder's delay, and frames before the chunk, with which it
//           settles); then packets of 960 frames, each with its bytes (2) before it. The samples are coded as if their rate
//           were 48 kHz, so nothing is resampled, and Opus's upper limit of 20 kHz is 18.4 kHz at 44.1 kHz.
//
// Index: JSON, {"set": text that all shards of a set share, "inputs": text that differs when the sizes of the songs' files
// do, "shard": number, "num_shards", "sources": [names], "songs":
// [{"name", "split", "num_frames", "loudness_lufs", "licence", "origin", "transpose_semitones", "tempo_bpm",
// "beat_seconds": [..], "chords": [[start s, end s, name]..], "stems": [null (silent) or {"first_chunk", "loudness_lufs",
// "peak_db", "rms_db", "active": [[first second, seconds]..]} a source]}]}. Numbers that are not known are null. Other
// keys are refused.
//
// A reader refuses whatever does not keep to this: Error(kBadFile) with file, offset, what was found and expected. Header,
// table and index are checked when a shard is opened, a chunk's CRC when it is first read. A file must not be cut while it
// is open: the system ends a program that reads mapped bytes which are no longer there.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dataset/stems.h"

namespace vqcodec::dataset {

enum class PackEncoding : uint32_t { kInt16 = 0, kFlac = 1, kOpus = 2 };

// "int16", "flac", "opus". Throws Error(kUsage) for another name.
PackEncoding parse_pack_encoding(const std::string& name);
std::string to_string(PackEncoding encoding);

struct ChordSpan {
  double start_seconds = 0, end_seconds = 0;
  std::string name;
};

// What is known of a song beside its audio. read_song_facts takes it from the song.json in a song's folder.
struct SongFacts {
  std::string licence;
  std::string origin;  // what it was made from, such as a MIDI file
  std::optional<double> transpose_semitones;
  std::optional<double> tempo_bpm;
  std::vector<double> beat_seconds;  // rising
  std::vector<ChordSpan> chords;
};

// Throws Error(kIo), and Error(kBadFile) for a value that is not what it should be; other keys are passed over.
SongFacts read_song_facts(const std::string& path);

struct PackedStem {
  uint64_t first_chunk = 0;
  double loudness_lufs = 0;  // -infinity: too short or too quiet
  double peak_db = 0, rms_db = 0;
  std::vector<int64_t> active_frames;
};

struct PackedSong {
  std::string name, split;
  int64_t num_frames = 0;
  double loudness_lufs = 0;
  SongFacts facts;
  std::vector<std::optional<PackedStem>> stems;  // per source; none = silence
};

class PackedShard {
 public:
  // Maps the file. Throws Error(kIo) and Error(kBadFile).
  static std::shared_ptr<const PackedShard> open(const std::string& path);
  // `owner` keeps `bytes`; `path` is for messages.
  PackedShard(std::span<const uint8_t> bytes, std::shared_ptr<const void> owner, std::string path);

  const std::string& path() const { return path_; }
  PackEncoding encoding() const { return encoding_; }
  int sample_rate_hz() const { return sample_rate_hz_; }
  int chunk_frames() const { return chunk_frames_; }
  const std::string& set() const { return set_; }
  const std::string& inputs() const { return inputs_; }
  size_t shard() const { return shard_; }
  size_t num_shards() const { return num_shards_; }
  const std::vector<std::string>& sources() const { return sources_; }
  const std::vector<PackedSong>& songs() const { return songs_; }

  // Fills interleaved stereo [n, 2] with the frames [start, start + n) of a source that is not silent; they lie in the song.
  // Throws Error(kBadFile). Safe to use from several threads at once.
  void read(size_t song, size_t source, int64_t start, std::span<int16_t> interleaved) const;

 private:
  struct Chunk {
    uint64_t offset;
    uint32_t num_bytes, crc;
  };
  Chunk chunk(uint64_t index) const;
  void parse_index(std::string_view json, uint64_t offset);
  [[noreturn]] void fail(uint64_t offset, const std::string& text) const;

  std::span<const uint8_t> bytes_;
  std::shared_ptr<const void> owner_;
  std::string path_;
  PackEncoding encoding_ = PackEncoding::kInt16;
  int sample_rate_hz_ = 0, chunk_frames_ = 0;
  uint64_t table_offset_ = 0, num_chunks_ = 0;
  std::string set_, inputs_;
  size_t shard_ = 0, num_shards_ = 0;
  std::vector<std::string> sources_;
  std::vector<PackedSong> songs_;
  std::unique_ptr<std::atomic<bool>[]> verified_;  // per chunk
};

// Paths of the shards in a folder, sorted; none when it is no folder.
std::vector<std::string> list_shards(const std::string& folder);
inline bool is_packed_set(const std::string& folder) { return !list_shards(folder).empty(); }

// Opens all shards of a set. Throws Error(kBadFile) when one is damaged, missing, or of another set.
std::vector<std::shared_ptr<const PackedShard>> open_shards(const std::string& folder);

// One song of a shard, its audio on disk. `sources` as in LoadOptions; one that the shard does not have is silent.
Song packed_song(const std::shared_ptr<const PackedShard>& shard, size_t index,
                 const std::vector<std::string>& sources);

// The songs of a set by LoadOptions. Throws as open_shards, Error(kUsage) for a layout (a packed set has none), for a split
// without songs and another sample rate, and Error(kBadFile) when it has none of the sources.
std::vector<Song> open_packed_songs(const std::string& folder, const LoadOptions& options);

struct PackOptions {
  int sample_rate_hz = 44100;
  std::vector<std::string> sources = {"vocals", "bass", "drums", "other"};
  std::string layout{};               // as LoadOptions::layout, of every folder
  std::vector<std::string> splits{};  // as LoadOptions::splits
  double max_seconds = 0;             // of each song; 0 = all
  PackEncoding encoding = PackEncoding::kInt16;
  int opus_bps = 160000;  // of a stereo source, 16000 to 510000
  int chunk_frames = 65536;
  int songs_per_shard = 16;  // 1 to 100000
  std::string licence{};     // of songs whose song.json tells none; else licence.json's, else the layout's
  bool force = false;        // replace shards of another set, and make all anew
  int num_threads = 0;       // 0 = one per core
  std::function<void(size_t, size_t)> on_progress{};  // songs done, songs in all; from one thread at a time
  std::function<void(const std::string&)> on_remark{};
};

struct PackReport {
  size_t num_shards = 0, num_kept_shards = 0;  // kept: finished by an earlier call
  size_t num_songs = 0;
  double song_seconds = 0;
  std::vector<double> seconds_sounding;  // per source
  uint64_t num_bytes = 0;                // of all shards
};

// Packs the songs of all folders, in the order of their listings, into `out`, which is made. The same songs and options
// give the same bytes (FLAC and Opus: with the same libraries). A shard that an earlier call with the same songs and options
// finished is kept, unless one of its files is newer or has another size. A song is in memory as a whole, for each thread one.
// Throws Error(kUsage) for `out` holding another set without `force`, and as load_songs.
PackReport pack_songs(const std::vector<std::string>& folders, const std::string& out, const PackOptions& options);

struct ReadSpeed {
  double audio_seconds = 0;  // stereo, of all reads
  double wall_seconds = 0;
  double cpu_seconds = 0;  // of the thread
};

// Reads stretches of `crop_seconds` at random from one thread, for `wall_seconds`.
ReadSpeed measure_read_speed(const std::string& folder, double crop_seconds, double wall_seconds, uint64_t seed);

}  // namespace vqcodec::dataset
