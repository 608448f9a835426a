#include "prior/train/code_set.h"

#include <filesystem>
#include <map>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "runtime/sha256.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_dir.h"
#include "tests/vqvae/codec_test_util.h"

namespace vqcodec::prior::train {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using vqvae::synthetic_song;

constexpr int64_t kHop = 256;

dataset::Song song_of(const std::string& name, int64_t num_samples, uint64_t seed) {
  dataset::Song song;
  song.name = name;
  song.num_frames = num_samples;
  for (uint64_t s = 0; s < 3; ++s) {  // the last source is silent
    std::vector<int16_t> stem;
    for (const float value : synthetic_song(num_samples, seed + s)) stem.push_back(static_cast<int16_t>(value * 16384));
    song.stems.push_back(stem);
  }
  song.stems.emplace_back();
  song.active_frames.resize(4);
  return song;
}

std::vector<float> mixture_of(const dataset::Song& song) {
  std::vector<float> mixture(2 * static_cast<size_t>(song.num_frames));
  for (const auto& stem : song.stems) {
    for (size_t i = 0; i < stem.size(); ++i) mixture[i] += static_cast<float>(stem[i]) / 32768.0f;
  }
  return mixture;
}

class CodeSetTest : public testing::Test {
 protected:
  std::shared_ptr<const vqvae::Model> model_ = vqvae::load_model(vqvae::tiny_config());
  runtime::ThreadPool pool_{1};
  std::vector<dataset::Song> songs_ = {song_of("a", 90 * kHop + 7, 1), song_of("b", 200 * kHop, 5)};
  ExtractOptions options_{.segment_frames = 64, .songs_per_shard = 2};
  TempDir dir_;

  std::map<std::string, std::string> files(const std::string& folder) const {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::directory_iterator(dir_ / folder)) {
      all[entry.path().filename()] = read_bytes(entry.path());
    }
    return all;
  }
};

TEST_F(CodeSetTest, WholeSongsHaveTheCodesOfTheirMixture) {
  extract_codes(model_, songs_, dir_ / "set", options_, pool_);
  const CodeSet set = load_code_set(dir_ / "set");
  EXPECT_EQ(set.info.model_id, runtime::to_hex(model_->id()));
  EXPECT_EQ(set.info.num_codebooks, 3);
  EXPECT_EQ(set.info.codebook_size, 32);
  EXPECT_EQ(set.info.segment_frames, 64);
  EXPECT_EQ(set.info.hop_samples, kHop);
  ASSERT_EQ(set.songs.size(), 2U);
  for (size_t i = 0; i < 2; ++i) {
    const CodeSong& song = set.songs[i];
    EXPECT_EQ(song.name, songs_[i].name);
    EXPECT_EQ(song.variant, 0);
    const auto segments = vqvae::encode(model_, mixture_of(songs_[i]), {.segment_frames = 64}, pool_);
    const size_t per_source = static_cast<size_t>(song.num_frames) * 3;
    ASSERT_EQ(song.codes.size(), 4 * per_source);
    ASSERT_EQ(song.gains.size(), 4 * segments.size());
    for (size_t s = 0; s < 4; ++s) {
      const auto begin = song.codes.begin() + static_cast<std::ptrdiff_t>(s * per_source);
      EXPECT_EQ(std::vector<uint16_t>(begin, begin + static_cast<std::ptrdiff_t>(per_source)),
                vqvae::codes_of(segments, s));
      for (size_t k = 0; k < segments.size(); ++k) EXPECT_EQ(song.gains[s * segments.size() + k], segments[k][s].gain);
    }
  }
}

TEST_F(CodeSetTest, VariantsDifferAndAreTheSameEveryTime) {
  options_.variants = 3;
  extract_codes(model_, songs_, dir_ / "first", options_, pool_);
  runtime::ThreadPool two(2);
  extract_codes(model_, songs_, dir_ / "second", options_, two);
  EXPECT_EQ(files("first"), files("second"));
  EXPECT_EQ(files("first").size(), 3U);
  const CodeSet set = load_code_set(dir_ / "first");
  ASSERT_EQ(set.songs.size(), 6U);
  std::set<std::vector<uint16_t>> unlike;
  for (const CodeSong& song : set.songs) {
    unlike.insert(song.codes);
    EXPECT_GT(song.num_frames, song.name == "a" ? 50 : 120);
  }
  EXPECT_EQ(unlike.size(), 6U);
  EXPECT_EQ(set.songs[2].name, "a");
  EXPECT_EQ(set.songs[2].variant, 1);
  options_.seed = 2;
  extract_codes(model_, songs_, dir_ / "third", options_, pool_);
  EXPECT_EQ(files("third")["codes-00000.safetensors"].size(), files("first")["codes-00000.safetensors"].size());
  EXPECT_NE(load_code_set(dir_ / "third").songs[2].codes, set.songs[2].codes);
  EXPECT_EQ(load_code_set(dir_ / "third").songs[0].codes, set.songs[0].codes);
}

TEST_F(CodeSetTest, StemsGiveEachSourceByItself) {
  options_.origin = CodeOrigin::kStems;
  extract_codes(model_, songs_, dir_ / "set", options_, pool_);
  const CodeSet set = load_code_set(dir_ / "set");
  const CodeSong& song = set.songs[0];
  const size_t per_source = song.codes.size() / 4, num_segments = song.gains.size() / 4;
  for (size_t s = 0; s < 3; ++s) {
    dataset::Song alone = songs_[0];
    for (size_t other = 0; other < 3; ++other) {
      if (other != s) alone.stems[other].clear();
    }
    const auto segments = vqvae::encode(model_, mixture_of(alone), {.segment_frames = 64}, pool_);
    const auto begin = song.codes.begin() + static_cast<std::ptrdiff_t>(s * per_source);
    EXPECT_EQ(std::vector<uint16_t>(begin, begin + static_cast<std::ptrdiff_t>(per_source)),
              vqvae::codes_of(segments, s));
  }
  for (size_t k = 0; k < num_segments; ++k) EXPECT_EQ(song.gains[3 * num_segments + k], 0);
}

TEST_F(CodeSetTest, WholeShardsAreKeptAndOthersRefused) {
  options_.variants = 2;
  extract_codes(model_, songs_, dir_ / "set", options_, pool_);
  const auto before = files("set");
  ASSERT_EQ(before.size(), 2U);
  fs::remove(dir_ / "set/codes-00001.safetensors");
  const auto kept = fs::last_write_time(dir_ / "set/codes-00000.safetensors");
  size_t last_done = 0;
  options_.on_progress = [&](size_t done, size_t total) {
    last_done = done;
    EXPECT_EQ(total, 4U);
  };
  extract_codes(model_, songs_, dir_ / "set", options_, pool_);
  EXPECT_EQ(last_done, 4U);
  EXPECT_EQ(files("set"), before);
  EXPECT_EQ(fs::last_write_time(dir_ / "set/codes-00000.safetensors"), kept);

  const auto refused = [&](const ExtractOptions& options, const std::shared_ptr<const vqvae::Model>& model) {
    EXPECT_ERROR(extract_codes(model, songs_, dir_ / "set", options, pool_), ExitCode::kUsage,
                 HasSubstr("codes-00000"));
  };
  ExtractOptions other = options_;
  other.origin = CodeOrigin::kStems;
  refused(other, model_);
  refused(options_, vqvae::load_model(vqvae::tiny_config(), 2));
  songs_[0].name = "c";
  refused(options_, model_);
  EXPECT_EQ(files("set"), before);
}

TEST_F(CodeSetTest, BadFoldersAndOptionsGiveClearErrors) {
  EXPECT_ERROR(load_code_set(dir_ / "none"), ExitCode::kIo, HasSubstr("none"));
  fs::create_directory(dir_ / "empty");
  EXPECT_ERROR(load_code_set(dir_ / "empty"), ExitCode::kBadFile, HasSubstr("holds no codes"));
  extract_codes(model_, songs_, dir_ / "set", options_, pool_);
  const std::string path = dir_ / "set/codes-00000.safetensors", whole = read_bytes(path);
  write_bytes(path, whole.substr(0, whole.size() - 1));
  EXPECT_ERROR(load_code_set(dir_ / "set"), ExitCode::kBadFile, HasSubstr("codes-00000"));
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = whole;
    const size_t at = text.rfind(from);
    ASSERT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    write_bytes(path, text);
  };
  with("\\\"codebook_size\\\":32", "\\\"codebook_size\\\":16");
  EXPECT_ERROR(load_code_set(dir_ / "set"), ExitCode::kBadFile, HasSubstr("expected 0..15"));
  with("\\\"num_codebooks\\\":3", "\\\"num_codebooks\\\":0");
  EXPECT_ERROR(load_code_set(dir_ / "set"), ExitCode::kBadFile, HasSubstr("outside their limits"));
  with("\\\"variant\\\":0", "\\\"variznt\\\":0");
  EXPECT_ERROR(load_code_set(dir_ / "set"), ExitCode::kBadFile, HasSubstr("variant"));
  write_bytes(path, whole);
  extract_codes(vqvae::load_model(vqvae::tiny_config(), 2), songs_, dir_ / "other", options_, pool_);
  fs::rename(dir_ / "other/codes-00000.safetensors", dir_ / "set/codes-00001.safetensors");
  EXPECT_ERROR(load_code_set(dir_ / "set"), ExitCode::kBadFile, HasSubstr("is of model"));
  options_.variants = 0;
  EXPECT_ERROR(extract_codes(model_, songs_, dir_ / "x", options_, pool_), ExitCode::kUsage, HasSubstr("variants"));
}

TEST_F(CodeSetTest, ASongWithoutSamplesHasNoCodes) {
  songs_[0].num_frames = 0;
  for (auto& stem : songs_[0].stems) stem.clear();
  extract_codes(model_, songs_, dir_ / "set", options_, pool_);
  EXPECT_EQ(load_code_set(dir_ / "set").songs[0].num_frames, 0);
  EXPECT_TRUE(load_code_set(dir_ / "set").songs[0].codes.empty());
}

}  // namespace
}  // namespace vqcodec::prior::train
