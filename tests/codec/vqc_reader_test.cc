#include "codec/vqc_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>

#include "codec/crc32c.h"
#include "codec/little_endian.h"
#include "tests/codec/read_all.h"
#include "tests/codec/test_data.h"

namespace vqcodec::codec {
namespace {

using testing::HasSubstr;

// Remembers which bytes were asked for.
class WatchedSource final : public ByteSource {
 public:
  explicit WatchedSource(std::span<const uint8_t> bytes) : source_(bytes) {}
  uint64_t size() const override { return source_.size(); }
  Result<void> read_at(uint64_t offset, std::span<uint8_t> out) const override {
    for (size_t i = 0; i < out.size(); ++i) seen.insert(offset + i);
    return source_.read_at(offset, out);
  }
  mutable std::set<uint64_t> seen;

 private:
  MemorySource source_;
};

// A pipe that gives one byte at a time.
class SlowStream final : public ByteStream {
 public:
  explicit SlowStream(std::span<const uint8_t> bytes) : stream_(bytes) {}
  Result<size_t> read_some(std::span<uint8_t> out) override { return stream_.read_some(out.first(1)); }

 private:
  MemoryStream stream_;
};

TEST(VqcReader, GoldenFilesReadTheSameBothWays) {
  for (const char* name : {"example", "two_sources", "four_sources", "odd_size", "no_frames"}) {
    const auto bytes = golden(name);
    const MemorySource source(bytes);
    SlowStream stream(bytes);
    const Contents seek = read_all(source);
    const Contents streamed = read_all(stream);
    EXPECT_EQ(seek.describe(), "Ok") << name;
    EXPECT_EQ(streamed.describe(), "Ok") << name;
    EXPECT_EQ(seek.info, streamed.info) << name;
    EXPECT_EQ(seek.metadata, streamed.metadata) << name;
    EXPECT_EQ(seek.segments, streamed.segments) << name;
  }
}

// What the golden files hold, from when they were made.
TEST(VqcReader, GoldenFilesHoldTheirCodes) {
  const auto digest = [](const char* name) {
    const auto bytes = golden(name);
    const MemorySource source(bytes);
    std::vector<uint8_t> crcs;
    for (const auto& segment : read_all(source).segments) {
      for (const SourceSegment& s : segment) append_le(crcs, codes_crc32c(s));
    }
    return crc32c(crcs);
  };
  EXPECT_EQ(digest("two_sources"), 0xC674B071U);
  EXPECT_EQ(digest("four_sources"), 0x9CF05F3BU);
  EXPECT_EQ(digest("odd_size"), 0x9973B6DFU);
  const auto bytes = golden("odd_size");
  const MemorySource source(bytes);
  const Contents odd = read_all(source);
  EXPECT_EQ(odd.info.sources, std::vector<std::string>{"\xC3\xA9l\xC3\xA8ve"});
  EXPECT_EQ(odd.info.sample_rate_hz, 48000U);
  EXPECT_EQ(odd.info.num_frames, 25U);
  EXPECT_EQ(odd.info.num_samples, 25U * 1024 - 100);
  EXPECT_EQ(odd.metadata, "[]");
}

TEST(VqcReader, OpenReadsHeaderAndIndexOnlyAndAStreamItsOwnBytes) {
  const auto bytes = golden("four_sources");
  const WatchedSource source(bytes);
  auto reader = VqcReader::open(source);
  ASSERT_TRUE(reader);
  EXPECT_EQ(source.seen.size(), reader->stats().header_bytes + reader->stats().index_bytes);
  source.seen.clear();
  ASSERT_TRUE(reader->read_source_segment(1, 2));
  EXPECT_EQ(source.seen.size(), reader->stream_bytes(1, 2));
  EXPECT_LT(*source.seen.rbegin() - *source.seen.begin(), reader->stream_bytes(1, 2));
}

TEST(VqcReader, NamesImpossibleRequests) {
  const auto bytes = golden("two_sources");
  const MemorySource source(bytes);
  auto reader = VqcReader::open(source);
  ASSERT_TRUE(reader);
  EXPECT_EQ(reader->num_segments(), 4U);
  EXPECT_EQ(reader->num_frames(3), 11U);
  EXPECT_EQ(reader->num_frames(4), 0U);
  EXPECT_EQ(reader->stream_bytes(4, 0), 0U);
  EXPECT_EQ(reader->stream_bytes(0, 2), 0U);
  for (const auto& [segment, source_number] : {std::pair{4U, 0U}, std::pair{0U, 2U}}) {
    const auto read = reader->read_source_segment(segment, source_number);
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().code, Errc::kBadArgument);
    EXPECT_THAT(read.error().message, HasSubstr("4 segments of 2 sources"));
  }
}

TEST(VqcStreamReader, KnowsTheTotalsWithTheLastSegment) {
  const auto bytes = golden("two_sources");
  MemoryStream stream(bytes);
  auto reader = VqcStreamReader::open(stream);
  ASSERT_TRUE(reader);
  for (uint32_t i = 0; i < 4; ++i) {
    EXPECT_FALSE(reader->totals_known());
    EXPECT_EQ(reader->next_index(), i);
    auto segment = reader->next();
    ASSERT_TRUE(segment.ok() && segment->has_value());
    EXPECT_EQ((*segment)->index, i);
  }
  EXPECT_TRUE(reader->totals_known());
  EXPECT_EQ(reader->info().num_samples, 83U * 1024 - 100);
  for (int i = 0; i < 2; ++i) {
    auto end = reader->next();
    ASSERT_TRUE(end.ok());
    EXPECT_FALSE(end->has_value());
  }
}

TEST(VqcReader, BadFilesGiveTheirError) {
  const auto dir = source_dir() / "tests/data/bad";
  std::ifstream file(dir / "expected.json");
  const auto expected = nlohmann::json::parse(file);
  size_t num_files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(dir)) {
    if (entry.path().extension() != ".vqc") continue;
    ++num_files;
    const std::string name = entry.path().stem();
    ASSERT_TRUE(expected.contains(name)) << name << " is not in expected.json";
    const auto bytes = read_bytes(entry.path());
    const MemorySource source(bytes);
    MemoryStream stream(bytes);
    const Contents seek = read_all(source);
    const Contents streamed = read_all(stream);
    EXPECT_EQ(seek.code_name(), expected[name]["seek"]) << name << ": " << seek.describe();
    EXPECT_EQ(streamed.code_name(), expected[name]["stream"]) << name << ": " << streamed.describe();
    read_all(source, VqcReader::Mode::kRecover);
  }
  EXPECT_EQ(num_files, expected.size());
}

TEST(VqcReader, SkipsUnknownOptionalSectionsEverywhere) {
  const auto bytes = golden("two_sources");
  const MemorySource source(bytes);
  const Contents before = read_all(source);
  auto reader = VqcReader::open(source);
  ASSERT_TRUE(reader);
  std::vector<uint8_t> section = make_section_header("XTRA", 3);
  section[4] = 0;  // make_section_header() knows no optional tag but META
  section.resize(12);
  append_le(section, crc32c(section));
  section.insert(section.end(), {1, 2, 3});
  // Before the first segment; the index' offsets move.
  std::vector<uint8_t> changed = bytes;
  const auto header = static_cast<ptrdiff_t>(reader->stats().header_bytes);
  changed.insert(changed.begin() + header, section.begin(), section.end());
  const size_t index = changed.size() - kEndBytes - index_body_bytes(reader->info());
  for (size_t i = 0; i < 4; ++i) {
    const size_t at = index + i * index_entry_bytes(reader->info());
    std::vector<uint8_t> offset;
    append_le(offset, load_le<uint64_t>(changed, at) + section.size());
    std::copy(offset.begin(), offset.end(), changed.begin() + static_cast<ptrdiff_t>(at));
  }
  const size_t crc_at = changed.size() - kEndBytes - 4;
  std::vector<uint8_t> crc;
  append_le(crc, crc32c(std::span(changed).subspan(index, crc_at - index)));
  std::copy(crc.begin(), crc.end(), changed.begin() + static_cast<ptrdiff_t>(crc_at));
  const MemorySource changed_source(changed);
  MemoryStream changed_stream(changed);
  for (const Contents& contents : {read_all(changed_source), read_all(changed_stream)}) {
    EXPECT_EQ(contents.describe(), "Ok");
    EXPECT_EQ(contents.segments, before.segments);
    EXPECT_EQ(contents.metadata, before.metadata);
  }
  EXPECT_EQ(VqcReader::open(changed_source)->stats().other_bytes, section.size());
}

}  // namespace
}  // namespace vqcodec::codec
