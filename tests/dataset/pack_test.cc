#include "dataset/pack.h"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "codec/crc32c.h"
#include "codec/little_endian.h"
#include "dataset/check.h"
#include "tests/base/expect_error.h"
#include "tests/dataset/layout_sets.h"

namespace vqcodec::dataset {
namespace {

namespace fs = std::filesystem;
using codec::load_le;
using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Pack : public testing::Test {
 protected:
  static PackOptions small(PackEncoding encoding = PackEncoding::kInt16) {
    PackOptions options;
    options.sample_rate_hz = kSetRateHz;
    options.encoding = encoding;
    options.chunk_frames = 4096;
    options.songs_per_shard = 2;
    options.num_threads = 2;
    return options;
  }
  static LoadOptions load() { return {.sample_rate_hz = kSetRateHz}; }

  // Three songs; the second is long on vocals, has no bass, and drums that begin late and end in silence.
  void make_songs() {
    write_song(songs_ / "a", 10);
    fs::create_directories(songs_ / "b");
    write_sound(songs_ / "b/vocals.wav", make_sound(1, 5 * kSetRateHz + 123));
    auto drums = make_sound(2, 4 * kSetRateHz);
    std::fill(drums.begin(), drums.begin() + 2 * 2 * kSetRateHz, 0.0F);
    write_sound(songs_ / "b/drums.flac", drums);
    write_song(songs_ / "c", 30, ".flac");
    write_text(songs_ / "b/song.json",
               R"({"licence": "CC0-1.0", "midi": "b.mid", "transpose_semitones": -2, "tempo_bpm": 97.5, "seed": 3,
                   "beat_seconds": [0.1, 0.7], "chords": [{"start_seconds": 0, "end_seconds": 2, "name": "Am7"}]})");
    write_text(songs_ / "licence.json", R"({"licence": "CC-BY-4.0"})");
  }
  std::string shard(int index = 0, const std::string& folder = "packed") const {
    return out_ / (folder + "/set-0000" + std::to_string(index) + ".vqs");
  }
  PackReport pack(const PackOptions& options, const std::string& folder = "packed") const {
    return pack_songs({songs_.path()}, out_ / folder, options);
  }
  // The first shard with some bytes changed and, unless `as_is`, checksums of header, table and index that fit.
  void change(const std::function<void(std::string&)>& edit, bool as_is = false) const {
    std::string bytes = whole_.empty() ? whole_ = read_bytes(shard()) : whole_;
    edit(bytes);
    if (!as_is) {
      const auto view = [&](size_t at, size_t count) {
        return std::span(reinterpret_cast<const uint8_t*>(bytes.data()) + at, count);
      };
      const auto store = [&](size_t at, uint32_t value) {
        for (size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
      };
      const auto table = load_le<uint64_t>(view(0, bytes.size()), 32);
      if (table <= bytes.size()) store(56, codec::crc32c(view(table, bytes.size() - table)));
      store(60, codec::crc32c(view(0, 60)));
    }
    write_bytes(shard(), bytes);
  }
  uint64_t field(size_t at) const { return load_le<uint64_t>(bytes_of(read_bytes(shard())), at); }
  static std::vector<uint8_t> bytes_of(const std::string& text) { return {text.begin(), text.end()}; }

  TempDir songs_, out_;
  mutable std::string whole_;
};

TEST_F(Pack, EverySampleAndFactComesBack) {
  make_songs();
  LoadOptions loading = load();
  loading.measure_loudness = true;
  const std::vector<Song> expected = load_songs(songs_.path(), loading);
  for (const PackEncoding encoding : {PackEncoding::kInt16, PackEncoding::kFlac}) {
    const std::string folder = to_string(encoding);
    const PackReport report = pack(small(encoding), folder);
    EXPECT_EQ(report.num_shards, 2U);
    EXPECT_EQ(report.num_kept_shards, 0U);
    EXPECT_EQ(report.num_songs, 3U);
    EXPECT_NEAR(report.song_seconds, 11, 0.01);
    EXPECT_EQ(report.num_bytes, fs::file_size(shard(0, folder)) + fs::file_size(shard(1, folder)));
    ASSERT_TRUE(is_packed_set(out_ / folder));
    const std::vector<Song> songs = load_songs(out_ / folder, load());
    ASSERT_EQ(songs.size(), 3U);
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(songs[i].name, expected[i].name);
      EXPECT_EQ(songs[i].num_frames, expected[i].num_frames);
      EXPECT_EQ(songs[i].sample_rate_hz, kSetRateHz);
      EXPECT_EQ(songs[i].active_frames, expected[i].active_frames);
      EXPECT_EQ(songs[i].source_loudness_lufs, expected[i].source_loudness_lufs);
      EXPECT_EQ(songs[i].loudness_lufs, expected[i].loudness_lufs);
      for (size_t s = 0; s < 4; ++s) {
        EXPECT_EQ(songs[i].has(s), expected[i].has(s));
        // Whole, over the ends, and stretches at odd places.
        for (const auto& [start, count] : std::vector<std::pair<int64_t, int64_t>>{{0, songs[i].num_frames},
                                                                                   {-50, 200},
                                                                                   {songs[i].num_frames - 70, 300},
                                                                                   {4095, 2},
                                                                                   {4001, 9000},
                                                                                   {-500, 400},
                                                                                   {songs[i].num_frames + 10, 5}}) {
          std::vector<int16_t> found(2 * static_cast<size_t>(count), 7), wanted(found.size(), 8);
          songs[i].read(s, start, found);
          expected[i].read(s, start, wanted);
          ASSERT_EQ(found, wanted) << i << ' ' << s << ' ' << start;
        }
      }
    }
  }
  // Half of a stem's chunks are silence, which takes no room.
  const auto packed = PackedShard::open(shard(0, "int16"));
  EXPECT_LT(fs::file_size(packed->path()),
            4U * static_cast<size_t>(4 * kSetFrames + 5 * kSetRateHz + 123 + 2 * kSetRateHz) + 40000);
  const PackedSong& song = packed->songs()[1];
  EXPECT_EQ(song.facts.licence, "CC0-1.0");
  EXPECT_EQ(song.facts.origin, "b.mid");
  EXPECT_EQ(song.facts.transpose_semitones, -2);
  EXPECT_EQ(song.facts.tempo_bpm, 97.5);
  EXPECT_THAT(song.facts.beat_seconds, ElementsAre(0.1, 0.7));
  ASSERT_EQ(song.facts.chords.size(), 1U);
  EXPECT_EQ(song.facts.chords[0].name, "Am7");
  EXPECT_EQ(song.facts.chords[0].end_seconds, 2);
  EXPECT_FALSE(song.stems[1].has_value());
  EXPECT_EQ(packed->songs()[0].facts.licence, "CC-BY-4.0");
  EXPECT_FALSE(packed->songs()[0].facts.tempo_bpm.has_value());
}

TEST_F(Pack, OpusComesBackInTimeAndCloseTo) {
  make_songs();
  PackOptions options = small(PackEncoding::kOpus);
  options.chunk_frames = 8192;
  const PackReport report = pack(options);
  const std::vector<Song> expected = load_songs(songs_.path(), load()), songs = load_songs(out_ / "packed", load());
  for (const size_t s : {size_t{0}, size_t{3}}) {
    // In frames over chunks' borders, the whole song and the seconds at its ends.
    const int64_t count = expected[0].num_frames;
    std::vector<int16_t> found(2 * static_cast<size_t>(count)), wanted(found.size());
    songs[0].read(s, 0, found);
    expected[0].read(s, 0, wanted);
    for (const auto& [from, to] :
         std::vector<std::pair<int64_t, int64_t>>{{0, count}, {0, count / 3}, {2 * count / 3, count}}) {
      double energy = 0, error = 0;
      for (auto i = static_cast<size_t>(2 * from); i < static_cast<size_t>(2 * to); ++i) {
        const double difference = static_cast<double>(found[i]) - wanted[i];
        energy += static_cast<double>(wanted[i]) * wanted[i];
        error += difference * difference;
      }
      // Two samples' shift would cost more than it has.
      EXPECT_GT(10 * std::log10(energy / error), 12);
    }
    // A stretch is the same whether it is read alone or with the rest.
    std::vector<int16_t> part(2 * 10000);
    songs[0].read(s, 3000, part);
    EXPECT_TRUE(std::equal(part.begin(), part.end(), found.begin() + 6000));
  }
  pack(small(), "int16");
  EXPECT_LT(3 * report.num_bytes, fs::file_size(shard(0, "int16")) + fs::file_size(shard(1, "int16")));
}

TEST_F(Pack, TheSameSongsGiveTheSameBytesOnAnyNumberOfThreads) {
  make_songs();
  for (const PackEncoding encoding : {PackEncoding::kInt16, PackEncoding::kFlac, PackEncoding::kOpus}) {
    const std::string name = to_string(encoding);
    PackOptions options = small(encoding);
    pack(options, name + "-two");
    options.num_threads = 1;
    pack(options, name + "-one");
    for (const int index : {0, 1}) {
      EXPECT_TRUE(read_bytes(shard(index, name + "-one")) == read_bytes(shard(index, name + "-two"))) << name;
    }
  }
}

TEST_F(Pack, FinishedShardsAreKeptAndOthersMadeAgain) {
  make_songs();
  pack(small());
  const std::string first = read_bytes(shard(0)), second = read_bytes(shard(1));
  const auto untouched = fs::last_write_time(shard(0));
  fs::remove(shard(1));
  EXPECT_ERROR(load_songs(out_ / "packed", load()), ExitCode::kBadFile,
               AllOf(HasSubstr("set-00001.vqs"), HasSubstr("missing")));
  PackReport report = pack(small());
  EXPECT_EQ(report.num_kept_shards, 1U);
  EXPECT_EQ(report.num_songs, 3U);
  EXPECT_NEAR(report.song_seconds, 11, 0.01);
  EXPECT_EQ(fs::last_write_time(shard(0)), untouched);
  EXPECT_TRUE(read_bytes(shard(1)) == second);
  // A song that is newer than its shard.
  fs::last_write_time(songs_ / "c/bass.flac", fs::file_time_type::clock::now() + std::chrono::hours(1));
  report = pack(small());
  EXPECT_EQ(report.num_kept_shards, 1U);
  EXPECT_EQ(fs::last_write_time(shard(0)), untouched);
  fs::last_write_time(songs_ / "c/bass.flac", untouched - std::chrono::hours(1));
  EXPECT_EQ(pack(small()).num_kept_shards, 2U);
  // Other options, or fewer songs, are another set.
  PackOptions other = small();
  other.max_seconds = 1;
  EXPECT_ERROR(pack(other), ExitCode::kUsage, AllOf(HasSubstr("set-00000.vqs"), HasSubstr("--force")));
  other = small();
  other.songs_per_shard = 3;
  EXPECT_ERROR(pack(other), ExitCode::kUsage, HasSubstr("set-00001.vqs"));
  EXPECT_TRUE(read_bytes(shard(0)) == first);
  other.force = true;
  EXPECT_EQ(pack(other).num_kept_shards, 0U);
  EXPECT_FALSE(fs::exists(shard(1)));
  EXPECT_EQ(load_songs(out_ / "packed", load()).size(), 3U);
  // A shard that was damaged later.
  write_bytes(shard(0), read_bytes(shard(0)).substr(0, 5000));
  other.force = false;
  EXPECT_ERROR(pack(other), ExitCode::kBadFile, AllOf(HasSubstr("cut short"), HasSubstr("--force")));
  EXPECT_EQ(std::distance(fs::directory_iterator(out_ / "packed"), fs::directory_iterator()), 1)
      << "no temporary file is left";
}

TEST_F(Pack, LoadOptionsHold) {
  make_musdb18hq_set(songs_);
  pack(small());
  const std::string folder = out_ / "packed";
  LoadOptions options = load();
  options.splits = {"validation", "test"};
  const std::vector<Song> of_folders = load_songs(songs_.path(), options), songs = load_songs(folder, options);
  ASSERT_EQ(songs.size(), of_folders.size());
  for (size_t i = 0; i < songs.size(); ++i) EXPECT_EQ(songs[i].name, of_folders[i].name);
  options.splits = {"trial"};
  EXPECT_ERROR(load_songs(folder, options), ExitCode::kUsage, AllOf(HasSubstr("trial"), HasSubstr("train")));
  options = load();
  options.sources = {"drums", "vocals", "piano"};
  options.max_seconds = 1.5;
  const std::vector<Song> some = load_songs(folder, options), all = load_songs(folder, load());
  ASSERT_EQ(some.size(), all.size());
  EXPECT_EQ(some[0].num_frames, kSetRateHz * 3 / 2);
  EXPECT_EQ(some[0].active_frames.size(), 3U);
  EXPECT_THAT(some[0].active_frames[1], ElementsAre(0));
  EXPECT_FALSE(some[0].has(2));
  std::vector<int16_t> drums(2 * 100), of_all(2 * 100);
  some[0].read(0, 500, drums);
  all[0].read(2, 500, of_all);
  EXPECT_EQ(drums, of_all);
  some[0].read(0, kSetRateHz * 3 / 2, drums);
  EXPECT_THAT(drums, testing::Each(0)) << "beyond max_seconds";
  options.sources = {"piano"};
  EXPECT_ERROR(load_songs(folder, options), ExitCode::kBadFile, HasSubstr("none of the sources"));
  options = load();
  options.sample_rate_hz = 44100;
  EXPECT_ERROR(load_songs(folder, options), ExitCode::kUsage, HasSubstr("packed at 16000 Hz"));
  options = load();
  options.layout = "musdb18hq";
  EXPECT_ERROR(load_songs(folder, options), ExitCode::kUsage, HasSubstr("has no layout"));
}

TEST_F(Pack, AMixerDrawsTheSameFromFoldersAndShards) {
  make_songs();
  pack(small());
  LoadOptions options = load();
  options.measure_loudness = true;
  std::vector<WeightedSongs> folders, shards;
  folders.push_back({load_songs(songs_.path(), options), 1.0});
  shards.push_back({load_songs(out_ / "packed", options), 1.0});
  const MixOptions mix{.min_speed = 0.9,
                       .max_speed = 1.1,
                       .tilt_deviation_db_per_octave = 1,
                       .level_by_loudness = true};
  const Mixer of_folders(folders, 4, 1, mix), of_shards(shards, 4, 1, mix);
  std::vector<float> a(4 * 2 * 9000), b(a.size());
  for (uint64_t item = 0; item < 20; ++item) {
    of_folders.draw(7, item, 9000, a);
    of_shards.draw(7, item, 9000, b);
    ASSERT_EQ(a, b);
  }
}

TEST_F(Pack, AShardCutAnywhereIsRefused) {
  make_songs();
  PackOptions options = small();
  options.songs_per_shard = 3;
  pack(options);
  const std::string whole = read_bytes(shard());
  for (size_t size = 0; size < whole.size(); size += size < 300 ? 7 : 9973) {
    write_bytes(shard(), whole.substr(0, size));
    EXPECT_ERROR(PackedShard::open(shard()), ExitCode::kBadFile,
                 AllOf(HasSubstr(shard()), HasSubstr("offset " + std::to_string(size))));
  }
  write_bytes(shard(), whole + "x");
  EXPECT_ERROR(PackedShard::open(shard()), ExitCode::kBadFile, HasSubstr("bytes after the shard"));
  EXPECT_ERROR(PackedShard::open(out_ / "none.vqs"), ExitCode::kIo, HasSubstr("none.vqs"));
  EXPECT_ERROR(PackedShard::open(out_.path()), ExitCode::kIo, HasSubstr("regular file"));
}

TEST_F(Pack, AFlippedByteIsFoundAndNamed) {
  make_songs();
  for (const PackEncoding encoding : {PackEncoding::kInt16, PackEncoding::kFlac, PackEncoding::kOpus}) {
    PackOptions options = small(encoding);
    options.songs_per_shard = 3;
    options.force = true;
    options.max_seconds = 1;
    pack(options);
    const std::string whole = read_bytes(shard());
    const size_t table = field(32);
    for (size_t at = 0; at < whole.size(); at += at < 64 ? 1 : at < table ? 7919 : 997) {
      std::string bytes = whole;
      bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
      write_bytes(shard(), bytes);
      bool refused = false;
      try {
        const auto packed = PackedShard::open(shard());
        ASSERT_TRUE(at >= 64 && at < table) << "byte " << at << " of header, table or index";
        std::vector<int16_t> samples(2 * 4096);
        for (size_t song = 0; song < packed->songs().size(); ++song) {
          const Song one = packed_song(packed, song, packed->sources());
          for (size_t s = 0; s < 4; ++s) {
            for (int64_t from = 0; from < one.num_frames; from += 4096) one.read(s, from, samples);
          }
        }
      } catch (const Error& error) {
        refused = true;
        EXPECT_EQ(error.code(), ExitCode::kBadFile);
        EXPECT_THAT(error.what(), AllOf(HasSubstr(shard()), HasSubstr("offset ")));
        if (at >= 64 && at < table) {
          EXPECT_THAT(error.what(), AllOf(HasSubstr("of song \""), HasSubstr("CRC32C")));
        }
      }
      // Only the zeros between chunks are of no matter.
      EXPECT_TRUE(refused || whole[at] == 0) << "byte " << at;
    }
  }
}

TEST_F(Pack, HostileNumbersAreRefused) {
  make_songs();
  pack(small());
  const auto set = [&](size_t at, uint64_t value, size_t num_bytes) {
    change([&](std::string& bytes) {
      for (size_t i = 0; i < num_bytes; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
    });
  };
  const auto refused = [&](const std::string& says) {
    EXPECT_ERROR(PackedShard::open(shard()), ExitCode::kBadFile, AllOf(HasSubstr("offset "), HasSubstr(says)));
  };
  const uint64_t table = field(32), num_chunks = field(40);
  set(8, 2, 4);
  refused("version 2, expected 1");
  set(12, 3, 4);
  refused("encoding 3");
  set(16, 0, 4);
  refused("sample rate 0");
  set(20, 4097, 4);
  refused("4097 frames a chunk");
  set(20, 0x80000000, 4);
  refused("frames a chunk");
  set(24, UINT64_MAX, 8);
  refused("cut short");
  for (const uint64_t value : {uint64_t{0}, table + 16, UINT64_MAX, UINT64_MAX - 15}) {
    set(32, value, 8);
    refused("table");
    set(40, value == 0 ? num_chunks + 1 : value, 8);
    refused("table and index do not end the file");
    set(48, value, 8);
    refused("table and index do not end the file");
  }
  // The chunk table: outside, too long, unaligned, over each other's ends.
  for (const uint64_t offset : {uint64_t{8}, table, table - 64, UINT64_MAX - 63, uint64_t{65}}) {
    set(table, offset, 8);
    refused("chunk 0 of");
  }
  set(table + 8, 0xFFFFFFFF, 4);
  refused("chunk 0 of 4294967295 bytes");
  set(table + 8, 4 * 4096 - 4, 4);
  refused("expected 16384");
  // Another encoding than what is there.
  for (const uint64_t encoding : {uint64_t{1}, uint64_t{2}}) {
    set(12, encoding, 4);
    const auto packed = PackedShard::open(shard());
    std::vector<int16_t> samples(200);
    EXPECT_ERROR(packed->read(0, 0, 0, samples), ExitCode::kBadFile,
                 AllOf(HasSubstr("offset 64"), HasSubstr("chunk 0 of vocals of song \"a\"")));
  }
}

TEST_F(Pack, AnIndexThatIsNotOneIsRefused) {
  make_songs();
  pack(small());
  const std::string bytes = read_bytes(shard());
  const uint64_t table = field(32), num_chunks = field(40);
  const json index = json::parse(bytes.substr(table + 16 * num_chunks));
  const auto refused = [&](const json& changed, const std::string& says) {
    change([&](std::string& all) {
      const std::string text = changed.is_string() ? changed.get<std::string>() : changed.dump();
      all = all.substr(0, table + 16 * num_chunks) + text;
      for (size_t i = 0; i < 8; ++i) {
        all[24 + i] = static_cast<char>(uint64_t{all.size()} >> (8 * i));
        all[48 + i] = static_cast<char>(uint64_t{text.size()} >> (8 * i));
      }
    });
    EXPECT_ERROR(PackedShard::open(shard()), ExitCode::kBadFile, AllOf(HasSubstr(shard()), HasSubstr(says)));
  };
  refused("{\"set\": ", "is no JSON");
  refused(std::string(200000, '['), "is no JSON");
  refused(json::array(), "is no object");
  const auto with = [&](const std::string& pointer, const json& value) {
    json changed = index;
    changed[json::json_pointer(pointer)] = value;
    return changed;
  };
  refused(with("/more", 1), "key that is not known");
  refused(with("/shard", 2), "index.shard");
  refused(with("/num_shards", 0), "index.num_shards");
  refused(with("/sources", json::array()), "index.sources");
  refused(with("/sources/1", "vocals"), "index.sources");
  refused(with("/sources/1", 3), "index.sources");
  refused(with("/songs", 3), "index.songs");
  refused(with("/songs/1/num_frames", int64_t{1} << 50), "songs[1].num_frames");
  refused(with("/songs/1/num_frames", int64_t{1} << 39), "first_chunk");
  refused(with("/songs/1/num_frames", 0), "songs[1].num_frames");
  refused(with("/songs/1/num_frames", 1.5), "songs[1].num_frames");
  refused(with("/songs/1/num_frames", UINT64_MAX), "songs[1].num_frames");
  refused(with("/songs/0/stems", json::array({nullptr})), "songs[0].stems");
  refused(with("/songs/0/stems/0/first_chunk", num_chunks), "first_chunk");
  refused(with("/songs/0/stems/0/first_chunk", INT64_MAX), "first_chunk");
  refused(with("/songs/0/stems/0/active", json{{0, 4000000000}}), "active");
  refused(with("/songs/0/stems/0/active", json{{2, 1}, {1, 1}}), "active");
  refused(with("/songs/0/stems/0/loudness_lufs", "loud"), "loudness_lufs");
  refused(with("/songs/1/beat_seconds", json{2, 1}), "beat_seconds");
  refused(with("/songs/1/chords", json{{0, 1}}), "chords");
  json lacking = index;
  lacking["songs"][0].erase("licence");
  refused(lacking, "songs[0].licence is missing");
}

TEST_F(Pack, BadInputIsToldAndLeavesNoShard) {
  make_songs();
  const auto refused = [&](const PackOptions& options, ExitCode code, const std::string& says) {
    EXPECT_ERROR(pack(options), code, HasSubstr(says));
    EXPECT_THAT(list_shards(out_ / "packed"), IsEmpty());
  };
  PackOptions options = small();
  options.chunk_frames = 5000;
  refused(options, ExitCode::kUsage, "frames a chunk");
  options = small();
  options.songs_per_shard = 0;
  refused(options, ExitCode::kUsage, "songs a shard");
  options = small();
  options.splits = {"train"};
  refused(options, ExitCode::kUsage, "train");
  write_text(songs_ / "b/song.json", R"({"tempo_bpm": "fast"})");
  refused(small(), ExitCode::kBadFile, "song.json: tempo_bpm");
  write_text(songs_ / "b/song.json", "{");
  refused(small(), ExitCode::kBadFile, "song.json");
  fs::remove(songs_ / "b/song.json");
  write_bytes(songs_ / "c/drums.flac", "no audio");
  EXPECT_ERROR(pack(small()), ExitCode::kBadFile, HasSubstr("drums.flac"));
  EXPECT_THAT(list_shards(out_ / "packed"), ElementsAre(shard(0))) << "the shard before it is kept";
  write_sound(songs_ / "c/drums.flac", make_sound(4));
  EXPECT_EQ(pack(small()).num_shards, 2U);
  EXPECT_ERROR(pack_songs({out_ / "packed"}, out_ / "again", small()), ExitCode::kUsage,
               HasSubstr("packed set already"));
  EXPECT_ERROR(pack_songs({songs_.path()}, songs_ / "a/bass.wav", small()), ExitCode::kIo, HasSubstr("bass.wav"));
  EXPECT_ERROR(parse_pack_encoding("mp3"), ExitCode::kUsage, HasSubstr("mp3"));
}

TEST_F(Pack, CheckProvesASet) {
  make_songs();
  for (const PackEncoding encoding : {PackEncoding::kInt16, PackEncoding::kFlac, PackEncoding::kOpus}) {
    PackOptions options = small(encoding);
    options.force = true;
    pack(options);
    SetReport report = check_set(out_ / "packed", {.num_threads = 1});
    EXPECT_EQ(report.num_errors(), 0U) << to_table(report);
    EXPECT_EQ(report.layout, "packed");
    EXPECT_THAT(report.licences, ElementsAre("index: CC-BY-4.0 (2 songs)", "index: CC0-1.0 (1 songs)"));
    ASSERT_EQ(report.songs.size(), 3U);
    EXPECT_EQ(report.songs[1].num_frames, 5 * kSetRateHz + 123);
    EXPECT_EQ(report.songs[1].seconds_sounding[2], 2);
    // A chunk of c's damaged: the other songs are checked all the same.
    std::string bytes = read_bytes(shard(1));
    bytes[100] = static_cast<char>(~bytes[100]);
    write_bytes(shard(1), bytes);
    report = check_set(out_ / "packed", {.num_threads = 1});
    EXPECT_EQ(report.num_errors(), 1U) << to_table(report);
    EXPECT_EQ(report.findings[0].kind, "unreadable");
    EXPECT_THAT(report.findings[0].text,
                AllOf(HasSubstr("set-00001.vqs: offset 64"), HasSubstr("chunk 0 of vocals of song \"c\"")));
    // Cut short: a shard less.
    write_bytes(shard(1), bytes.substr(0, bytes.size() - 1));
    report = check_set(out_ / "packed", {.num_threads = 1});
    EXPECT_EQ(report.num_errors(), 2U) << to_table(report);
    EXPECT_EQ(report.songs.size(), 2U);
    EXPECT_THAT(report.findings[0].text, HasSubstr("cut short"));
    EXPECT_THAT(report.findings[1].text, HasSubstr("1 of 2 shards"));
  }
}

TEST_F(Pack, CheckHoldsTheIndexAgainstTheAudio) {
  make_songs();
  pack(small());
  change([&](std::string& bytes) {
    const size_t at = bytes.find("\"rms_db\":-");
    bytes[at + 11] = bytes[at + 11] == '9' ? '1' : '9';
  });
  SetReport report = check_set(out_ / "packed", {.num_threads = 1});
  EXPECT_EQ(report.num_errors(), 1U) << to_table(report);
  EXPECT_EQ(report.findings[0].kind, "index");
  change([&](std::string& bytes) {
    const size_t at = bytes.find("\"active\":[[0,3]]");
    bytes[at + 13] = '2';
  });
  report = check_set(out_ / "packed", {.num_threads = 1});
  EXPECT_EQ(report.num_errors(), 1U) << to_table(report);
  EXPECT_THAT(report.findings[0].text, HasSubstr("sounds for 2 s, found 3"));
}

TEST_F(Pack, SetsAreMappedAndNotLoaded) {
  // A minute of four sources, 15 MB, opened a hundred times: what is not mapped would show.
  for (const char* source : {"vocals", "bass", "drums", "other"}) {
    write_sound(songs_ / ("long/" + std::string(source) + ".wav"), make_sound(9, 60 * kSetRateHz));
  }
  PackOptions options = small();
  options.chunk_frames = 65536;
  pack(options);
  const auto resident_kb = [] {
    // Anonymous memory: that of files is the system's to take back.
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("RssAnon:")) return std::stol(line.substr(8));
    }
    return 0L;
  };
  if (resident_kb() == 0) GTEST_SKIP() << "no RssAnon in /proc/self/status";
  const long before = resident_kb();
  std::vector<std::vector<Song>> open;
  for (int i = 0; i < 100; ++i) open.push_back(load_songs(out_ / "packed", load()));
  std::vector<int16_t> samples(2 * 1000);
  for (const auto& songs : open) {
    for (int64_t at = 0; at < songs[0].num_frames; at += 10000) songs[0].read(0, at, samples);
  }
  EXPECT_LT(resident_kb() - before, 20000);
}

}  // namespace
}  // namespace vqcodec::dataset
