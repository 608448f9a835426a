#include "dataset/pack.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <set>

#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "codec/crc32c.h"
#include "codec/little_endian.h"
#include "dataset/layout.h"
#include "dataset/pack_chunk.h"
#include "runtime/sha256.h"
#include "runtime/thread_pool.h"

namespace vqcodec::dataset {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using codec::append_le;
using codec::crc32c;
using codec::load_le;

namespace {

constexpr uint8_t kMagic[8] = {0x89, 'V', 'Q', 'S', 0x0D, 0x0A, 0x1A, 0x0A};
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderBytes = 64;
constexpr size_t kEntryBytes = 16;
constexpr uint64_t kMaxChunks = uint64_t{1} << 32;
constexpr uint64_t kMaxIndexBytes = uint64_t{1} << 30;
constexpr int64_t kMaxFrames = int64_t{1} << 40;
constexpr size_t kMaxSources = 64;
constexpr size_t kMaxShards = 100000;
constexpr size_t kMaxTextBytes = 65536;
constexpr size_t kAlignment = 64;
constexpr const char* kEncodings[] = {"int16", "flac", "opus"};

std::string hex(uint64_t value) {
  char text[24];
  std::snprintf(text, sizeof text, "%08llx", static_cast<unsigned long long>(value));
  return text;
}

// The keys of a JSON object, each of which is asked for once; throws std::runtime_error with what is wrong.
class Fields {
 public:
  Fields(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) refuse("", "is no object");
  }
  const Json& at(const char* key) {
    const auto found = object_.find(key);
    if (found == object_.end()) refuse(key, "is missing");
    ++num_read_;
    return *found;
  }
  std::string text(const char* key) {
    const Json& value = at(key);
    if (!value.is_string() || value.get_ref<const std::string&>().size() > kMaxTextBytes) refuse(key, "is no text");
    return value.get<std::string>();
  }
  int64_t integer(const char* key, int64_t low, int64_t high) {
    const Json& value = at(key);
    const bool fits = value.is_number_integer() &&
                      (!value.is_number_unsigned() || value.get<uint64_t>() <= static_cast<uint64_t>(INT64_MAX)) &&
                      value.get<int64_t>() >= low && value.get<int64_t>() <= high;
    if (!fits) refuse(key, "is no number from " + std::to_string(low) + " to " + std::to_string(high));
    return value.get<int64_t>();
  }
  std::optional<double> number(const char* key) {
    const Json& value = at(key);
    if (value.is_null()) return std::nullopt;
    if (!value.is_number() || !std::isfinite(value.get<double>())) refuse(key, "is neither a number nor null");
    return value.get<double>();
  }
  const Json& list(const char* key) {
    const Json& value = at(key);
    if (!value.is_array()) refuse(key, "is no list");
    return value;
  }
  void finish() const {
    if (num_read_ != object_.size()) refuse("", "has a key that is not known, or one twice");
  }
  [[noreturn]] void refuse(const std::string& key, const std::string& what) const {
    throw std::runtime_error(where_ + (key.empty() ? " " : "." + key + " ") + what);
  }

 private:
  const Json& object_;
  std::string where_;
  size_t num_read_ = 0;
};

Json null_unless_finite(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }
Json null_unless(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

std::vector<double> rising_seconds(const Json& list, const Fields& fields, const char* key) {
  std::vector<double> seconds;
  for (const Json& item : list) {
    const bool fits = item.is_number() && std::isfinite(item.get<double>()) && item.get<double>() >= 0 &&
                      (seconds.empty() || item.get<double>() >= seconds.back());
    if (!fits) fields.refuse(key, "are no rising seconds");
    seconds.push_back(item.get<double>());
  }
  return seconds;
}

// Starts of whole seconds as [first second, seconds] and back.
Json runs_of(const std::vector<int64_t>& active_frames, int sample_rate_hz) {
  Json runs = Json::array();
  int64_t next = -1;
  for (const int64_t frame : active_frames) {
    const int64_t second = frame / sample_rate_hz;
    if (second == next) {
      runs.back()[1] = runs.back()[1].get<int64_t>() + 1;
    } else {
      runs.push_back({second, 1});
    }
    next = second + 1;
  }
  return runs;
}

std::vector<int64_t> frames_of(const Json& runs, int sample_rate_hz, int64_t num_frames, const Fields& fields) {
  std::vector<int64_t> frames;
  int64_t end = 0;
  for (const Json& run : runs) {
    const bool is_run = run.is_array() && run.size() == 2 && run[0].is_number_unsigned() && run[1].is_number_unsigned();
    const uint64_t last = static_cast<uint64_t>(num_frames / sample_rate_hz);
    if (!is_run || run[0].get<uint64_t>() < static_cast<uint64_t>(end) || run[0].get<uint64_t>() > last ||
        run[1].get<uint64_t>() < 1 || run[1].get<uint64_t>() > last - run[0].get<uint64_t>()) {
      fields.refuse("active", "are no rising seconds of the song");
    }
    end = run[0].get<int64_t>() + run[1].get<int64_t>();
    for (int64_t second = run[0].get<int64_t>(); second < end; ++second) frames.push_back(second * sample_rate_hz);
  }
  return frames;
}

std::string shard_name(size_t index) {
  char name[32];
  std::snprintf(name, sizeof name, "set-%05zu.vqs", index);
  return name;
}

}  // namespace

PackEncoding parse_pack_encoding(const std::string& name) {
  const auto* const found = std::ranges::find(kEncodings, name);
  if (found == std::end(kEncodings)) {
    throw Error(ExitCode::kUsage, "encoding \"" + name + "\": expected int16, flac or opus");
  }
  return static_cast<PackEncoding>(found - std::begin(kEncodings));
}

std::string to_string(PackEncoding encoding) { return kEncodings[static_cast<size_t>(encoding)]; }

SongFacts read_song_facts(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(ExitCode::kIo, path + ": cannot be opened");
  const Json json = Json::parse(in, nullptr, false);
  if (in.bad()) throw Error(ExitCode::kIo, path + ": cannot be read");
  const auto fail = [&](const char* key, const char* expected) {
    throw Error(ExitCode::kBadFile, path + ": " + key + ": expected " + expected);
  };
  if (!json.is_object()) fail("the file", "a JSON object");
  SongFacts facts;
  const auto find = [&](const char* key) -> const Json* {
    const auto found = json.find(key);
    return found == json.end() || found->is_null() ? nullptr : &*found;
  };
  const auto read_text = [&](const char* key, std::string& text) {
    const Json* value = find(key);
    if (value == nullptr) return;
    if (!value->is_string() || value->get_ref<const std::string&>().size() > kMaxTextBytes) fail(key, "a text");
    text = value->get<std::string>();
  };
  const auto read_number = [&](const char* key, std::optional<double>& number) {
    const Json* value = find(key);
    if (value == nullptr) return;
    if (!value->is_number() || !std::isfinite(value->get<double>())) fail(key, "a number");
    number = value->get<double>();
  };
  read_text("licence", facts.licence);
  read_text("midi", facts.origin);
  read_number("transpose_semitones", facts.transpose_semitones);
  read_number("tempo_bpm", facts.tempo_bpm);
  if (const Json* beats = find("beat_seconds")) {
    if (!beats->is_array()) fail("beat_seconds", "a list");
    for (const Json& beat : *beats) {
      if (!beat.is_number() || !(beat.get<double>() >= 0) ||
          (!facts.beat_seconds.empty() && beat.get<double>() < facts.beat_seconds.back())) {
        fail("beat_seconds", "rising seconds");
      }
      facts.beat_seconds.push_back(beat.get<double>());
    }
  }
  if (const Json* chords = find("chords")) {
    if (!chords->is_array()) fail("chords", "a list");
    for (const Json& chord : *chords) {
      const auto is_number = [&](const char* key) { return chord.contains(key) && chord[key].is_number(); };
      if (!chord.is_object() || !is_number("start_seconds") || !is_number("end_seconds") || !chord.contains("name") ||
          !chord["name"].is_string()) {
        fail("chords", "objects with start_seconds, end_seconds and name");
      }
      const ChordSpan span{chord["start_seconds"].get<double>(), chord["end_seconds"].get<double>(),
                           chord["name"].get<std::string>()};
      if (!(span.start_seconds >= 0 && span.end_seconds >= span.start_seconds))
        fail("chords", "an end after the start");
      facts.chords.push_back(span);
    }
  }
  return facts;
}

void PackedShard::fail(uint64_t offset, const std::string& text) const {
  throw Error(ExitCode::kBadFile, path_ + ": offset " + std::to_string(offset) + ": " + text);
}

std::shared_ptr<const PackedShard> PackedShard::open(const std::string& path) {
  const auto fail = [&](const char* what) {
    throw Error(ExitCode::kIo, path + ": cannot be " + what + ": " + std::strerror(errno));
  };
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail("opened");
  struct Closer {
    int fd;
    ~Closer() { ::close(fd); }
  } const closer{fd};
  struct stat info = {};
  if (fstat(fd, &info) != 0) fail("read");
  if (!S_ISREG(info.st_mode)) throw Error(ExitCode::kIo, path + ": is no regular file");
  const auto size = static_cast<size_t>(info.st_size);
  if (size == 0) throw Error(ExitCode::kBadFile, path + ": offset 0: the file is empty, expected a shard");
  void* data = mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  if (data == MAP_FAILED) fail("mapped");
  const std::shared_ptr<const void> owner(data, [size](void* mapped) { munmap(mapped, size); });
  return std::make_shared<const PackedShard>(std::span(static_cast<const uint8_t*>(data), size), owner, path);
}

PackedShard::PackedShard(std::span<const uint8_t> bytes, std::shared_ptr<const void> owner, std::string path)
    : bytes_(bytes), owner_(std::move(owner)), path_(std::move(path)) {
  const uint64_t size = bytes.size();
  if (size < kHeaderBytes) {
    fail(size, "the file ends within its header, expected at least " + std::to_string(kHeaderBytes) + " bytes");
  }
  if (!std::ranges::equal(bytes.first(sizeof kMagic), kMagic)) fail(0, "no packed set: its first bytes are others");
  const auto version = load_le<uint32_t>(bytes, 8);
  if (version != kVersion) {
    fail(8, "version " + std::to_string(version) + ", expected " + std::to_string(kVersion));
  }
  const uint32_t header_crc = crc32c(bytes.first(60));
  if (load_le<uint32_t>(bytes, 60) != header_crc) {
    fail(60,
         "the header is damaged (CRC32C " + hex(header_crc) + ", expected " + hex(load_le<uint32_t>(bytes, 60)) + ")");
  }
  const auto encoding = load_le<uint32_t>(bytes, 12);
  if (encoding >= std::size(kEncodings)) fail(12, "encoding " + std::to_string(encoding) + ", expected 0 to 2");
  encoding_ = static_cast<PackEncoding>(encoding);
  const auto rate = load_le<uint32_t>(bytes, 16);
  if (rate < 1000 || rate > 768000) fail(16, "sample rate " + std::to_string(rate) + ", expected 1000 to 768000");
  sample_rate_hz_ = static_cast<int>(rate);
  const auto frames = load_le<uint32_t>(bytes, 20);
  if (frames < kMinChunkFrames || frames > kMaxChunkFrames || frames % 64 != 0) {
    fail(20, std::to_string(frames) + " frames a chunk, expected a multiple of 64 from 4096 to 1048576");
  }
  chunk_frames_ = static_cast<int>(frames);
  const auto file_bytes = load_le<uint64_t>(bytes, 24);
  if (file_bytes != size) {
    fail(std::min(size, file_bytes),
         std::string(size < file_bytes ? "the file is cut short" : "there are bytes after the shard") + ": " +
             std::to_string(size) + " bytes, expected " + std::to_string(file_bytes));
  }
  table_offset_ = load_le<uint64_t>(bytes, 32);
  num_chunks_ = load_le<uint64_t>(bytes, 40);
  const auto index_bytes = load_le<uint64_t>(bytes, 48);
  if (table_offset_ < kHeaderBytes || table_offset_ > size || num_chunks_ > kMaxChunks ||
      index_bytes > kMaxIndexBytes || num_chunks_ * kEntryBytes + index_bytes != size - table_offset_) {
    fail(32, "table and index do not end the file: table at " + std::to_string(table_offset_) + " with " +
                 std::to_string(num_chunks_) + " chunks, index of " + std::to_string(index_bytes) + " bytes");
  }
  const uint32_t crc = crc32c(bytes.subspan(table_offset_));
  if (crc != load_le<uint32_t>(bytes, 56)) {
    fail(table_offset_,
         "table or index is damaged (CRC32C " + hex(crc) + ", expected " + hex(load_le<uint32_t>(bytes, 56)) + ")");
  }
  const uint64_t index_offset = table_offset_ + num_chunks_ * kEntryBytes;
  for (uint64_t i = 0; i < num_chunks_; ++i) {
    const Chunk entry = chunk(i);
    const bool silent = entry.num_bytes == 0 && entry.offset == 0 && entry.crc == 0;
    const bool inside = entry.num_bytes > 0 && entry.offset >= kHeaderBytes && entry.offset <= table_offset_ &&
                        entry.num_bytes <= table_offset_ - entry.offset && entry.offset % 64 == 0 &&
                        entry.num_bytes <= max_chunk_bytes(encoding_, frames);
    if (!silent && !inside) {
      fail(table_offset_ + i * kEntryBytes, "chunk " + std::to_string(i) + " of " + std::to_string(entry.num_bytes) +
                                                " bytes at " + std::to_string(entry.offset) +
                                                " is not between header and table, or too long");
    }
  }
  parse_index({reinterpret_cast<const char*>(bytes.data()) + index_offset, index_bytes}, index_offset);
  verified_ = std::make_unique<std::atomic<bool>[]>(num_chunks_);
}

PackedShard::Chunk PackedShard::chunk(uint64_t index) const {
  const size_t at = table_offset_ + index * kEntryBytes;
  return {load_le<uint64_t>(bytes_, at), load_le<uint32_t>(bytes_, at + 8), load_le<uint32_t>(bytes_, at + 12)};
}

void PackedShard::parse_index(std::string_view text, uint64_t offset) {
  try {
    const Json json = Json::parse(text);
    Fields fields(json, "index");
    set_ = fields.text("set");
    inputs_ = fields.text("inputs");
    num_shards_ = static_cast<size_t>(fields.integer("num_shards", 1, kMaxShards));
    shard_ = static_cast<size_t>(fields.integer("shard", 0, static_cast<int64_t>(num_shards_) - 1));
    for (const Json& source : fields.list("sources")) {
      if (!source.is_string() || source.get_ref<const std::string&>().empty() || sources_.size() == kMaxSources) {
        fields.refuse("sources", "are not 1 to 64 names");
      }
      sources_.push_back(source.get<std::string>());
    }
    if (sources_.empty() || std::set(sources_.begin(), sources_.end()).size() != sources_.size()) {
      fields.refuse("sources", "are none, or one twice");
    }
    for (const Json& song_json : fields.list("songs")) {
      const std::string where = "songs[" + std::to_string(songs_.size()) + "]";
      Fields entry(song_json, where);
      PackedSong& song = songs_.emplace_back();
      song.name = entry.text("name");
      song.split = entry.text("split");
      song.num_frames = entry.integer("num_frames", 1, kMaxFrames);
      song.loudness_lufs = entry.number("loudness_lufs").value_or(-HUGE_VAL);
      song.facts.licence = entry.text("licence");
      song.facts.origin = entry.text("origin");
      song.facts.transpose_semitones = entry.number("transpose_semitones");
      song.facts.tempo_bpm = entry.number("tempo_bpm");
      song.facts.beat_seconds = rising_seconds(entry.list("beat_seconds"), entry, "beat_seconds");
      for (const Json& chord : entry.list("chords")) {
        if (!chord.is_array() || chord.size() != 3 || !chord[0].is_number() || !chord[1].is_number() ||
            !chord[2].is_string() || !(chord[0].get<double>() >= 0) ||
            !(chord[1].get<double>() >= chord[0].get<double>())) {
          entry.refuse("chords", "are not [start, end, name]");
        }
        song.facts.chords.push_back({chord[0].get<double>(), chord[1].get<double>(), chord[2].get<std::string>()});
      }
      const Json& stems = entry.list("stems");
      if (stems.size() != sources_.size()) entry.refuse("stems", "are not as many as sources");
      const auto frames = static_cast<uint64_t>(chunk_frames_);
      const uint64_t num_chunks = (static_cast<uint64_t>(song.num_frames) + frames - 1) / frames;
      for (const Json& stem_json : stems) {
        song.stems.emplace_back();
        if (stem_json.is_null()) continue;
        Fields stem_entry(stem_json, where + ".stems[" + std::to_string(song.stems.size() - 1) + "]");
        PackedStem& stem = song.stems.back().emplace();
        stem.first_chunk = static_cast<uint64_t>(stem_entry.integer("first_chunk", 0, INT64_MAX));
        stem.loudness_lufs = stem_entry.number("loudness_lufs").value_or(-HUGE_VAL);
        stem.peak_db = stem_entry.number("peak_db").value_or(-HUGE_VAL);
        stem.rms_db = stem_entry.number("rms_db").value_or(-HUGE_VAL);
        stem.active_frames = frames_of(stem_entry.list("active"), sample_rate_hz_, song.num_frames, stem_entry);
        stem_entry.finish();
        if (num_chunks > num_chunks_ || stem.first_chunk > num_chunks_ - num_chunks) {
          stem_entry.refuse("first_chunk", "and the song's length reach beyond the table of " +
                                               std::to_string(num_chunks_) + " chunks");
        }
        if (encoding_ != PackEncoding::kInt16) continue;
        for (uint64_t i = 0; i < num_chunks; ++i) {
          const uint64_t expected = 4 * std::min(frames, static_cast<uint64_t>(song.num_frames) - i * frames);
          const uint32_t found = chunk(stem.first_chunk + i).num_bytes;
          if (found != 0 && found != expected) {
            stem_entry.refuse("first_chunk", "leads to a chunk of " + std::to_string(found) + " bytes, expected " +
                                                 std::to_string(expected));
          }
        }
      }
      entry.finish();
    }
    fields.finish();
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const Json::exception& error) {
    fail(offset, std::string("the index is no JSON: ") + error.what());
  } catch (const std::runtime_error& error) {
    fail(offset, error.what());
  }
}

void PackedShard::read(size_t song_index, size_t source, int64_t start, std::span<int16_t> out) const {
  const PackedSong& song = songs_[song_index];
  const PackedStem& stem = *song.stems[source];
  const int64_t end = start + static_cast<int64_t>(out.size() / 2);
  for (int64_t at = start; at < end;) {
    const int64_t within = at / chunk_frames_, first = within * chunk_frames_;
    const int64_t chunk_end = std::min<int64_t>(first + chunk_frames_, song.num_frames);
    const auto part =
        out.subspan(2 * static_cast<size_t>(at - start), 2 * static_cast<size_t>(std::min(end, chunk_end) - at));
    const uint64_t index = stem.first_chunk + static_cast<uint64_t>(within);
    const Chunk entry = chunk(index);
    if (entry.num_bytes == 0) {
      std::ranges::fill(part, int16_t{0});
    } else {
      const auto payload = bytes_.subspan(entry.offset, entry.num_bytes);
      const auto describe = [&] {
        return "chunk " + std::to_string(within) + " of " + sources_[source] + " of song \"" + song.name + "\"";
      };
      if (!verified_[index].load(std::memory_order_relaxed)) {
        const uint32_t crc = crc32c(payload);
        if (crc != entry.crc) {
          fail(entry.offset, describe() + " is damaged (CRC32C " + hex(crc) + ", expected " + hex(entry.crc) + ")");
        }
        verified_[index].store(true, std::memory_order_relaxed);
      }
      try {
        decode_chunk(encoding_, payload, static_cast<size_t>(chunk_end - first), static_cast<size_t>(at - first), part);
      } catch (const Error& error) {
        fail(entry.offset, describe() + ": " + error.what());
      }
    }
    at += static_cast<int64_t>(part.size() / 2);
  }
}

std::vector<std::string> list_shards(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    const bool fits = name.size() == 13 && name.starts_with("set-") && name.ends_with(".vqs") &&
                      std::all_of(name.begin() + 4, name.begin() + 9, [](char c) { return c >= '0' && c <= '9'; });
    if (fits) paths.push_back(it->path().string());
  }
  std::ranges::sort(paths);
  return paths;
}

std::vector<std::shared_ptr<const PackedShard>> open_shards(const std::string& folder) {
  std::vector<std::shared_ptr<const PackedShard>> shards;
  for (const std::string& path : list_shards(folder)) {
    shards.push_back(PackedShard::open(path));
    const PackedShard &shard = *shards.back(), &first = *shards.front();
    if (shard.set() != first.set() || shard.num_shards() != first.num_shards() || shard.sources() != first.sources() ||
        shard.sample_rate_hz() != first.sample_rate_hz()) {
      throw Error(ExitCode::kBadFile,
                  path + ": is of another set than " + first.path() + "; expected the shards of one set in a folder");
    }
    if (shard.shard() + 1 != shards.size() || fs::path(path).filename() != shard_name(shard.shard())) {
      throw Error(ExitCode::kBadFile, folder + "/" + shard_name(shards.size() - 1) + ": is missing, or is shard " +
                                          std::to_string(shard.shard()) + " under another name; the set has " +
                                          std::to_string(shard.num_shards()) + " shards; pack it again to complete it");
    }
  }
  if (shards.empty()) throw Error(ExitCode::kBadFile, folder + ": no set-00000.vqs; expected a packed set");
  if (shards.size() != shards[0]->num_shards()) {
    throw Error(ExitCode::kBadFile, folder + "/" + shard_name(shards.size()) + ": is missing; the set has " +
                                        std::to_string(shards[0]->num_shards()) +
                                        " shards; pack it again to complete it");
  }
  return shards;
}

namespace {

class PackedAudio final : public SongAudio {
 public:
  PackedAudio(std::shared_ptr<const PackedShard> shard, size_t song, std::vector<std::optional<size_t>> sources)
      : shard_(std::move(shard)), song_(song), sources_(std::move(sources)) {}
  bool has(size_t source) const override {
    return sources_[source] && shard_->songs()[song_].stems[*sources_[source]].has_value();
  }
  void read(size_t source, int64_t start, std::span<int16_t> interleaved) const override {
    shard_->read(song_, *sources_[source], start, interleaved);
  }

 private:
  std::shared_ptr<const PackedShard> shard_;
  size_t song_;
  std::vector<std::optional<size_t>> sources_;  // of the shard
};

}  // namespace

Song packed_song(const std::shared_ptr<const PackedShard>& shard, size_t index,
                 const std::vector<std::string>& sources) {
  const PackedSong& packed = shard->songs()[index];
  Song song;
  song.name = packed.name;
  song.sample_rate_hz = shard->sample_rate_hz();
  song.num_frames = packed.num_frames;
  song.loudness_lufs = packed.loudness_lufs;
  std::vector<std::optional<size_t>> map;
  for (const std::string& source : sources) {
    const auto found = std::ranges::find(shard->sources(), source);
    std::optional<size_t> at;
    if (found != shard->sources().end()) at = static_cast<size_t>(found - shard->sources().begin());
    map.push_back(at);
    const bool sounds = at && packed.stems[*at];
    song.active_frames.push_back(sounds ? packed.stems[*at]->active_frames : std::vector<int64_t>{});
    song.source_loudness_lufs.push_back(sounds ? packed.stems[*at]->loudness_lufs : -HUGE_VAL);
  }
  song.audio = std::make_shared<PackedAudio>(shard, index, std::move(map));
  return song;
}

std::vector<Song> open_packed_songs(const std::string& folder, const LoadOptions& options) {
  if (!options.layout.empty()) {
    throw Error(ExitCode::kUsage, folder + ": is a packed set, which has no layout; found layout " + options.layout);
  }
  const auto shards = open_shards(folder);
  const PackedShard& first = *shards.front();
  if (first.sample_rate_hz() != options.sample_rate_hz) {
    throw Error(ExitCode::kUsage, folder + ": is packed at " + std::to_string(first.sample_rate_hz()) +
                                      " Hz, expected " + std::to_string(options.sample_rate_hz) +
                                      " Hz; pack it at that rate");
  }
  const bool has_any = std::ranges::any_of(options.sources, [&](const std::string& source) {
    return std::ranges::find(first.sources(), source) != first.sources().end();
  });
  if (!has_any) throw Error(ExitCode::kBadFile, folder + ": the packed set has none of the sources");
  std::set<std::string> seen_splits;
  std::vector<Song> songs;
  size_t num_done = 0;
  for (const auto& shard : shards) {
    for (size_t i = 0; i < shard->songs().size(); ++i) {
      const std::string& split = shard->songs()[i].split;
      seen_splits.insert(split);
      if (!options.splits.empty() && std::ranges::find(options.splits, split) == options.splits.end()) continue;
      Song song = packed_song(shard, i, options.sources);
      if (options.max_seconds > 0) {
        song.num_frames = std::min(song.num_frames, static_cast<int64_t>(options.max_seconds * options.sample_rate_hz));
        for (auto& active : song.active_frames) {
          std::erase_if(active, [&](int64_t frame) { return frame + options.sample_rate_hz > song.num_frames; });
        }
      }
      if (song.num_frames > 0) songs.push_back(std::move(song));
    }
    if (options.on_progress) options.on_progress(++num_done, shards.size());
  }
  for (const std::string& split : options.splits) {
    if (seen_splits.contains(split)) continue;
    std::string there;
    for (const std::string& name : seen_splits) there += (there.empty() ? "" : ", ") + (name.empty() ? "none" : name);
    throw Error(ExitCode::kUsage, folder + ": no song in split \"" + split + "\"; splits that are there: " + there);
  }
  if (songs.empty()) throw Error(ExitCode::kBadFile, folder + ": the packed set has no song");
  return songs;
}

namespace {

struct Input {
  std::string root;
  Layout layout;
  std::vector<SongFiles> files;
  std::string licence;  // of songs that tell none
};

struct PlannedSong {
  const Input* input;
  const SongFiles* files;
  std::string song_json;  // "" = none
};

// What a song is in a shard, its chunks at offsets from its own beginning.
struct EncodedSong {
  Json entry;
  std::vector<uint8_t> table, payload;
  std::vector<std::string> remarks;
  double seconds = 0;
  std::vector<double> seconds_sounding;
};

std::string licence_of(const std::string& root, const Layout& layout) {
  for (const char* name : {"/licence.json", "/license.json"}) {
    std::ifstream in(root + name);
    if (!in) continue;
    const Json json = Json::parse(in, nullptr, false);
    for (const char* key : {"licence", "license"}) {
      if (json.is_object() && json.contains(key) && json[key].is_string()) return json[key].get<std::string>();
    }
    throw Error(ExitCode::kBadFile, root + name + R"(: expected a JSON object with a text under "licence")");
  }
  return layout.licence();
}

template <class Function>
void for_each_file(const SongFiles& files, Function&& function) {
  for (const auto& source : files.sources) {
    for (const AudioFile& file : source) function(file);
  }
}

// The song.json of a song that has a folder of its own: the one in which its first file lies.
std::string find_song_json(const SongFiles& files) {
  std::string path;
  for_each_file(files, [&](const AudioFile& file) {
    if (path.empty()) path = (fs::path(file.path).parent_path() / "song.json").string();
  });
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) ? path : "";
}

std::string digest(const Json& json) {
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  return runtime::hex_digest(text).substr(0, 32);
}

// Names the set: other songs or other options give another name.
std::string set_id(const std::vector<PlannedSong>& songs, const PackOptions& options) {
  Json plan = {{"version", kVersion},
               {"encoding", to_string(options.encoding)},
               {"opus_bps", options.encoding == PackEncoding::kOpus ? options.opus_bps : 0},
               {"sample_rate_hz", options.sample_rate_hz},
               {"chunk_frames", options.chunk_frames},
               {"songs_per_shard", options.songs_per_shard},
               {"sources", options.sources},
               {"max_seconds", options.max_seconds},
               {"songs", Json::array()}};
  for (const PlannedSong& song : songs) {
    Json files = Json::array();
    for (const auto& source : song.files->sources) {
      Json entries = Json::array();
      for (const AudioFile& file : source) {
        entries.push_back(
            {fs::path(file.path).lexically_relative(song.input->root).string(), file.stream_index, file.gain});
      }
      files.push_back(entries);
    }
    plan["songs"].push_back({song.files->name, song.files->split, song.input->licence, files});
  }
  return digest(plan);
}

std::string inputs_id(std::span<const PlannedSong> songs) {
  Json sizes = Json::array();
  const auto add = [&](const std::string& path) {
    std::error_code error;
    sizes.push_back(fs::file_size(path, error));
    if (error) throw Error(ExitCode::kIo, path + ": cannot be read: " + error.message());
  };
  for (const PlannedSong& song : songs) {
    for_each_file(*song.files, [&](const AudioFile& file) { add(file.path); });
    song.song_json.empty() ? sizes.push_back(nullptr) : add(song.song_json);
  }
  return digest(sizes);
}

EncodedSong encode_song(const PlannedSong& planned, const PackOptions& options) {
  EncodedSong result;
  LoadOptions load;
  load.sample_rate_hz = options.sample_rate_hz;
  load.sources = options.sources;
  load.max_seconds = options.max_seconds;
  load.measure_loudness = true;
  load.on_remark = [&](const std::string& remark) { result.remarks.push_back(remark); };
  auto song = load_song(*planned.files, planned.input->layout, planned.input->root, load);
  if (!song) return result;
  SongFacts facts;
  if (!planned.song_json.empty()) facts = read_song_facts(planned.song_json);
  if (facts.licence.empty()) facts.licence = planned.input->licence;
  Json chords = Json::array(), stems = Json::array();
  for (const ChordSpan& chord : facts.chords) chords.push_back({chord.start_seconds, chord.end_seconds, chord.name});
  uint64_t num_chunks = 0;
  for (size_t s = 0; s < options.sources.size(); ++s) {
    auto& stem = song->stems[s];
    result.seconds_sounding.push_back(static_cast<double>(song->active_frames[s].size()));
    const bool silent = std::ranges::all_of(stem, [](int16_t sample) { return sample == 0; });
    if (silent) {
      stems.push_back(nullptr);
      continue;
    }
    int peak = 0;
    double energy = 0;
    for (const int16_t sample : stem) {
      peak = std::max(peak, std::abs(int{sample}));
      energy += static_cast<double>(sample) * sample;
    }
    stems.push_back({{"first_chunk", num_chunks},
                     {"loudness_lufs", null_unless_finite(song->source_loudness_lufs[s])},
                     {"peak_db", 20 * std::log10(peak / 32768.0)},
                     {"rms_db", 10 * std::log10(energy / static_cast<double>(stem.size()) / (32768.0 * 32768.0))},
                     {"active", runs_of(song->active_frames[s], options.sample_rate_hz)}});
    const auto chunk_frames = static_cast<size_t>(options.chunk_frames);
    const auto num_frames = static_cast<size_t>(song->num_frames);
    for (size_t first = 0; first < num_frames; first += chunk_frames) {
      const size_t count = std::min(chunk_frames, num_frames - first);
      const auto samples = std::span<const int16_t>(stem).subspan(2 * first, 2 * count);
      ++num_chunks;
      if (std::ranges::all_of(samples, [](int16_t sample) { return sample == 0; })) {
        result.table.resize(result.table.size() + kEntryBytes);
        continue;
      }
      const size_t offset = result.payload.size();
      encode_chunk(options.encoding, stem, first, count, options.sample_rate_hz, options.opus_bps, result.payload);
      const auto bytes = std::span(result.payload).subspan(offset);
      append_le(result.table, uint64_t{offset});
      append_le(result.table, static_cast<uint32_t>(bytes.size()));
      append_le(result.table, crc32c(bytes));
      result.payload.resize((result.payload.size() + kAlignment - 1) / kAlignment * kAlignment);
    }
    std::vector<int16_t>().swap(stem);
  }
  result.seconds = static_cast<double>(song->num_frames) / options.sample_rate_hz;
  result.entry = {{"name", song->name},
                  {"split", planned.files->split},
                  {"num_frames", song->num_frames},
                  {"loudness_lufs", null_unless_finite(song->loudness_lufs)},
                  {"licence", facts.licence},
                  {"origin", facts.origin},
                  {"transpose_semitones", null_unless(facts.transpose_semitones)},
                  {"tempo_bpm", null_unless(facts.tempo_bpm)},
                  {"beat_seconds", facts.beat_seconds},
                  {"chords", chords},
                  {"stems", stems}};
  return result;
}

class ShardWriter {
 public:
  ShardWriter(const std::string& path, const PackOptions& options)
      : file_(path, /*force=*/true), options_(options), songs_(Json::array()) {
    const std::vector<uint8_t> header(kHeaderBytes);
    file_.write(header.data(), header.size());
  }

  void add(EncodedSong song) {
    if (song.entry.is_null()) return;
    const uint64_t first_chunk = table_.size() / kEntryBytes;
    for (size_t at = 0; at < song.table.size(); at += kEntryBytes) {
      const auto num_bytes = load_le<uint32_t>(song.table, at + 8);
      append_le(table_, num_bytes == 0 ? uint64_t{0} : load_le<uint64_t>(song.table, at) + num_bytes_);
      table_.insert(table_.end(), song.table.begin() + static_cast<std::ptrdiff_t>(at + 8),
                    song.table.begin() + static_cast<std::ptrdiff_t>(at + kEntryBytes));
    }
    for (Json& stem : song.entry["stems"]) {
      if (!stem.is_null()) stem["first_chunk"] = stem["first_chunk"].get<uint64_t>() + first_chunk;
    }
    file_.write(song.payload.data(), song.payload.size());
    num_bytes_ += song.payload.size();
    songs_.push_back(std::move(song.entry));
  }

  void finish(const std::string& set, const std::string& inputs, size_t shard, size_t num_shards) {
    const Json index = {{"set", set},
                        {"inputs", inputs},
                        {"shard", shard},
                        {"num_shards", num_shards},
                        {"sources", options_.sources},
                        {"songs", std::move(songs_)}};
    const std::string text = index.dump(-1, ' ', false, Json::error_handler_t::replace);
    const uint64_t num_chunks = table_.size() / kEntryBytes;
    if (text.size() > kMaxIndexBytes || num_chunks > kMaxChunks) {
      throw Error(ExitCode::kUsage, file_.path() + ": the index is too long; take fewer songs a shard");
    }
    table_.insert(table_.end(), text.begin(), text.end());
    file_.write(table_.data(), table_.size());
    std::vector<uint8_t> header(std::begin(kMagic), std::end(kMagic));
    append_le(header, kVersion);
    append_le(header, static_cast<uint32_t>(options_.encoding));
    append_le(header, static_cast<uint32_t>(options_.sample_rate_hz));
    append_le(header, static_cast<uint32_t>(options_.chunk_frames));
    append_le(header, uint64_t{num_bytes_ + table_.size()});
    append_le(header, num_bytes_);
    append_le(header, num_chunks);
    append_le(header, uint64_t{text.size()});
    append_le(header, crc32c(table_));
    append_le(header, crc32c(header));
    file_.write_at(0, header.data(), header.size());
    file_.commit();
  }

 private:
  AtomicFile file_;
  const PackOptions& options_;
  Json songs_;
  std::vector<uint8_t> table_;
  uint64_t num_bytes_ = kHeaderBytes;
};

// The shard at `path` if it is finished and of its songs as they are now. Throws Error(kUsage) when it is another set's.
std::shared_ptr<const PackedShard> finished_shard(const std::string& path, const std::string& set, size_t shard,
                                                  std::span<const PlannedSong> songs) {
  std::error_code error;
  if (!fs::exists(path, error)) return nullptr;
  std::shared_ptr<const PackedShard> found;
  try {
    found = PackedShard::open(path);
  } catch (const Error& damage) {
    throw Error(damage.code(), std::string(damage.what()) + "; --force packs it anew");
  }
  if (found->set() != set || found->shard() != shard) {
    throw Error(ExitCode::kUsage,
                path + ": is of other songs or options; pack into another folder, or --force to replace it");
  }
  const auto written = fs::last_write_time(path, error);
  bool is_newest = !error && found->inputs() == inputs_id(songs);
  const auto compare = [&](const std::string& input) {
    const auto time = fs::last_write_time(input, error);
    is_newest = is_newest && !error && time <= written;
  };
  for (const PlannedSong& song : songs) {
    for_each_file(*song.files, [&](const AudioFile& file) { compare(file.path); });
    if (!song.song_json.empty()) compare(song.song_json);
  }
  return is_newest ? found : nullptr;
}

void check_options(const PackOptions& options) {
  const auto require = [](bool good, const char* text) {
    if (!good) throw Error(ExitCode::kUsage, text);
  };
  require(options.sample_rate_hz >= 1000 && options.sample_rate_hz <= 768000,
          "sample rate: expected 1000 to 768000 Hz");
  require(!options.sources.empty() && options.sources.size() <= kMaxSources, "sources: expected 1 to 64");
  require(options.max_seconds >= 0 && options.max_seconds <= 1e6, "longest song: expected 0 to 1000000 seconds");
  require(options.opus_bps >= 16000 && options.opus_bps <= 510000, "Opus: expected 16 to 510 kbit/s");
  require(options.songs_per_shard >= 1 && options.songs_per_shard <= 100000, "songs a shard: expected 1 to 100000");
  require(options.chunk_frames >= static_cast<int>(kMinChunkFrames) &&
              options.chunk_frames <= static_cast<int>(kMaxChunkFrames) && options.chunk_frames % 64 == 0,
          "frames a chunk: expected a multiple of 64 from 4096 to 1048576");
}

}  // namespace

PackReport pack_songs(const std::vector<std::string>& folders, const std::string& out, const PackOptions& options) {
  check_options(options);
  runtime::ThreadPool pool(options.num_threads);
  const auto remark = [&](const std::string& text) {
    if (options.on_remark) options.on_remark(text);
  };
  std::vector<Input> inputs;
  for (const std::string& folder : folders) {
    if (is_packed_set(folder)) throw Error(ExitCode::kUsage, folder + ": is a packed set already");
    Layout layout = choose_layout(options.layout, folder, options.sources);
    Listing listing = layout.list(folder, options.sources);
    require_good_metadata(listing);
    for (const std::string& text : listing.left_out) remark(text);
    auto files = select_splits(listing, options.splits, folder);
    const std::string licence = options.licence.empty() ? licence_of(folder, layout) : options.licence;
    inputs.push_back({folder, std::move(layout), std::move(files), licence});
  }
  std::vector<PlannedSong> songs;
  for (const Input& input : inputs) {
    for (const SongFiles& files : input.files) songs.push_back({&input, &files, find_song_json(files)});
  }
  if (songs.empty()) throw Error(ExitCode::kBadFile, folders.at(0) + ": no song found");
  const auto per_shard = static_cast<size_t>(options.songs_per_shard);
  const size_t num_shards = (songs.size() + per_shard - 1) / per_shard;
  if (num_shards > kMaxShards) {
    throw Error(ExitCode::kUsage, std::to_string(num_shards) + " shards, expected at most " +
                                      std::to_string(kMaxShards) + "; take more songs a shard");
  }
  const std::string set = set_id(songs, options);
  std::error_code error;
  fs::create_directories(out, error);
  if (error) throw Error(ExitCode::kIo, out + ": cannot be made: " + error.message());

  const auto path_of = [&](size_t shard) { return out + "/" + shard_name(shard); };
  const auto songs_of = [&](size_t shard) {
    const size_t first = shard * per_shard;
    return std::span<const PlannedSong>(songs).subspan(first, std::min(per_shard, songs.size() - first));
  };
  std::vector<std::string> stale;
  for (const std::string& path : list_shards(out)) {
    if (fs::path(path).filename().string() < shard_name(num_shards)) continue;
    if (!options.force) {
      throw Error(ExitCode::kUsage,
                  path + ": is of other songs or options; pack into another folder, or --force to remove it");
    }
    stale.push_back(path);
  }
  std::vector<std::shared_ptr<const PackedShard>> finished(num_shards);
  for (size_t shard = 0; shard < num_shards && !options.force; ++shard) {
    finished[shard] = finished_shard(path_of(shard), set, shard, songs_of(shard));
  }

  PackReport report;
  report.num_shards = num_shards;
  report.seconds_sounding.assign(options.sources.size(), 0.0);
  size_t num_done = 0;
  const auto count_song = [&](double seconds, const std::vector<double>& sounding) {
    ++report.num_songs;
    report.song_seconds += seconds;
    for (size_t s = 0; s < sounding.size(); ++s) report.seconds_sounding[s] += sounding[s];
  };
  for (size_t shard = 0; shard < num_shards; ++shard) {
    const auto part = songs_of(shard);
    if (finished[shard]) {
      for (const PackedSong& song : finished[shard]->songs()) {
        std::vector<double> sounding;
        for (const auto& stem : song.stems)
          sounding.push_back(stem ? static_cast<double>(stem->active_frames.size()) : 0);
        count_song(static_cast<double>(song.num_frames) / options.sample_rate_hz, sounding);
      }
      ++report.num_kept_shards;
      num_done += part.size();
      if (options.on_progress) options.on_progress(num_done, songs.size());
    } else {
      const std::string sizes_id = inputs_id(part);
      ShardWriter writer(path_of(shard), options);
      std::mutex mutex;
      for (size_t first = 0; first < part.size(); first += static_cast<size_t>(pool.size())) {
        // As many songs at a time as threads, which go in in their order.
        const auto wave = part.subspan(first, std::min(static_cast<size_t>(pool.size()), part.size() - first));
        std::vector<EncodedSong> encoded(wave.size());
        pool.parallel_for(static_cast<int64_t>(wave.size()), 1, [&](int64_t begin, int64_t end) {
          for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
            encoded[i] = encode_song(wave[i], options);
            const std::scoped_lock lock(mutex);
            if (options.on_progress) options.on_progress(++num_done, songs.size());
          }
        });
        for (EncodedSong& song : encoded) {
          for (const std::string& text : song.remarks) remark(text);
          if (!song.entry.is_null()) count_song(song.seconds, song.seconds_sounding);
          writer.add(std::move(song));
        }
      }
      writer.finish(set, sizes_id, shard, num_shards);
    }
    report.num_bytes += fs::file_size(path_of(shard), error);
  }
  for (const std::string& path : stale) {
    if (!fs::remove(path, error)) throw Error(ExitCode::kIo, path + ": cannot be removed: " + error.message());
  }
  if (report.num_songs == 0) throw Error(ExitCode::kBadFile, folders[0] + ": its songs hold no audio");
  return report;
}

ReadSpeed measure_read_speed(const std::string& folder, double crop_seconds, double wall_seconds, uint64_t seed) {
  const auto shards = open_shards(folder);
  std::vector<Song> songs;
  for (const auto& shard : shards) {
    for (size_t i = 0; i < shard->songs().size(); ++i) songs.push_back(packed_song(shard, i, shard->sources()));
  }
  if (songs.empty()) throw Error(ExitCode::kBadFile, folder + ": the packed set has no song");
  const int rate_hz = shards[0]->sample_rate_hz();
  std::vector<int16_t> crop(2 * static_cast<size_t>(crop_seconds * rate_hz));
  CounterRandom random(seed, 0, 0);
  ReadSpeed speed;
  const auto cpu_seconds = [] {
    timespec time = {};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  const double cpu_start = cpu_seconds();
  const auto start = std::chrono::steady_clock::now();
  int64_t sum = 0;  // every sample is looked at, so that a page that was not read shows
  do {
    const Song& song = songs[random.below(songs.size())];
    const size_t source = random.below(song.active_frames.size());
    const auto num_frames = static_cast<int64_t>(crop.size() / 2);
    const auto last = static_cast<uint64_t>(std::max<int64_t>(1, song.num_frames - num_frames));
    if (!song.has(source)) continue;
    song.read(source, static_cast<int64_t>(random.below(last)), crop);
    for (const int16_t sample : crop) sum += sample;
    speed.audio_seconds += static_cast<double>(std::min(num_frames, song.num_frames)) / rate_hz;
  } while (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < wall_seconds);
  speed.wall_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  speed.cpu_seconds = cpu_seconds() - cpu_start;
  if (sum == INT64_MIN) speed.audio_seconds = 0;  // keeps the sum
  return speed;
}

}  // namespace vqcodec::dataset
