// What damage costs: every file cut at every place, every byte changed, and what can be had from the rest.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec/vqc_reader.h"
#include "tests/codec/read_all.h"
#include "tests/codec/test_data.h"

namespace vqcodec::codec {
namespace {

using testing::HasSubstr;

// The right codes wherever there are codes, and else an error that says where.
void expect_right_or_error(const Contents& found, const Contents& right, const std::string& what) {
  for (size_t i = 0; i < found.segments.size(); ++i) {
    ASSERT_LT(i, right.segments.size()) << what;
    for (size_t s = 0; s < found.segments[i].size(); ++s) {
      if (!found.segments[i][s].codes.empty()) {
        ASSERT_EQ(found.segments[i][s], right.segments[i][s]) << what;
      } else {
        ASSERT_FALSE(found.errors.empty()) << what;
      }
    }
  }
  if (found.errors.empty()) {
    ASSERT_EQ(found.segments, right.segments) << what;
    ASSERT_EQ(found.info, right.info) << what;
    ASSERT_EQ(found.metadata, right.metadata) << what;
  }
  for (const ErrorInfo& error : found.errors) ASSERT_GE(error.message.size(), 10U) << what;
}

class DamageTo : public testing::TestWithParam<const char*> {
 protected:
  const std::vector<uint8_t> bytes_ = golden(GetParam());
  const MemorySource source_{bytes_};
  const Contents right_ = read_all(source_);
};

TEST_P(DamageTo, EveryCutIsAnErrorAndKeepsWhatIsWhole) {
  for (size_t size = 0; size < bytes_.size(); ++size) {
    const auto cut = std::span(bytes_).first(size);
    const std::string what = "cut to " + std::to_string(size);
    const MemorySource source(cut);
    const Contents strict = read_all(source);
    ASSERT_FALSE(strict.errors.empty()) << what;
    ASSERT_LE(strict.errors[0].byte_offset, size) << what;
    MemoryStream stream(cut);
    const Contents streamed = read_all(stream);
    ASSERT_FALSE(streamed.errors.empty()) << what;
    ASSERT_EQ(streamed.errors[0].code, Errc::kTruncated) << what;
    expect_right_or_error(streamed, right_, what);
    const Contents recovered = read_all(source, VqcReader::Mode::kRecover);
    expect_right_or_error(recovered, right_, what);
    ASSERT_GE(recovered.segments.size(), streamed.segments.size()) << what;
  }
}

TEST_P(DamageTo, EveryChangedByteIsAnErrorOrHarmless) {
  for (size_t at = 0; at < bytes_.size(); ++at) {
    for (const auto flip : {static_cast<uint8_t>(1U << (at % 8)), uint8_t{0xFF}}) {
      auto changed = bytes_;
      changed[at] ^= flip;
      const std::string what = "byte " + std::to_string(at) + " xor " + std::to_string(flip);
      const MemorySource source(changed);
      expect_right_or_error(read_all(source), right_, what);
      if (flip != 0xFF)
        expect_right_or_error(read_all(source, VqcReader::Mode::kRecover), right_, what + ", recovered");
      MemoryStream stream(changed);
      const Contents streamed = read_all(stream);
      expect_right_or_error(streamed, right_, what + ", streamed");
      ASSERT_FALSE(streamed.errors.empty()) << what;  // a reader of every byte sees every change
    }
  }
}

TEST_P(DamageTo, AChangedStreamByteLosesOneSegmentOfOneSource) {
  auto reader = VqcReader::open(source_);
  ASSERT_TRUE(reader);
  // Streams are found as the stream reader finds them.
  MemoryStream whole(bytes_);
  auto stream_reader = VqcStreamReader::open(whole);
  ASSERT_TRUE(stream_reader);
  for (auto next = stream_reader->next(); next.ok() && next->has_value(); next = stream_reader->next()) {
    const EncodedSegment& segment = **next;
    for (uint32_t s = 0; s < segment.streams.size(); ++s) {
      for (size_t at = 0; at < segment.streams[s].size(); ++at) {
        auto changed = bytes_;
        changed[segment.byte_offsets[s] + at] ^= 0x10;
        const MemorySource source(changed);
        MemoryStream stream(changed);
        for (const Contents& contents : {read_all(source), read_all(stream)}) {
          ASSERT_EQ(contents.errors.size(), 1U);
          ASSERT_EQ(contents.errors[0].code, Errc::kBadCrc);
          ASSERT_EQ(contents.errors[0].byte_offset, segment.byte_offsets[s]);
          ASSERT_THAT(contents.errors[0].message,
                      HasSubstr("segment " + std::to_string(segment.index) + " of " + right_.info.sources[s]));
          auto expected = right_.segments;
          expected[segment.index][s] = {};
          ASSERT_EQ(contents.segments, expected);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, DamageTo, testing::Values("example", "two_sources", "odd_size"),
                         [](const auto& param) { return std::string(param.param); });

TEST(Recover, FindsAllSegmentsWithoutIndexAndEndMark) {
  const auto bytes = golden("two_sources");
  const MemorySource source(bytes);
  const Contents right = read_all(source);
  auto good = VqcReader::open(source);
  ASSERT_TRUE(good);
  const auto cut = std::span(bytes).first(bytes.size() - good->stats().index_bytes);
  const MemorySource cut_source(cut);
  EXPECT_FALSE(VqcReader::open(cut_source).ok());
  auto reader = VqcReader::open(cut_source, VqcReader::Mode::kRecover);
  ASSERT_TRUE(reader);
  ASSERT_TRUE(reader->damage().has_value());
  EXPECT_EQ(reader->damage()->code, Errc::kBadEnd);
  EXPECT_FALSE(reader->totals_known());
  EXPECT_EQ(reader->info().num_frames, right.info.num_frames);
  EXPECT_EQ(reader->info().num_samples, right.info.num_frames * 1024);
  const Contents recovered = read_all(cut_source, VqcReader::Mode::kRecover);
  EXPECT_EQ(recovered.errors.size(), 1U);
  EXPECT_EQ(recovered.segments, right.segments);
  EXPECT_EQ(recovered.metadata, right.metadata);
}

TEST(Recover, DamagedIndexKeepsTheTotals) {
  auto bytes = golden("two_sources");
  const MemorySource good(bytes);
  const Contents right = read_all(good);
  bytes[bytes.size() - kEndBytes - 10] ^= 1;
  const MemorySource source(bytes);
  EXPECT_EQ(VqcReader::open(source).error().code, Errc::kBadCrc);
  auto reader = VqcReader::open(source, VqcReader::Mode::kRecover);
  ASSERT_TRUE(reader);
  EXPECT_TRUE(reader->totals_known());
  EXPECT_EQ(read_all(source, VqcReader::Mode::kRecover).segments, right.segments);
  EXPECT_EQ(reader->info(), right.info);
}

TEST(Recover, FindsSegmentsAfterAHole) {
  const auto bytes = golden("two_sources");
  const MemorySource good(bytes);
  const Contents right = read_all(good);
  MemoryStream whole(bytes);
  auto stream_reader = VqcStreamReader::open(whole);
  ASSERT_TRUE(stream_reader);
  ASSERT_TRUE(stream_reader->next());
  const auto second = stream_reader->next();
  ASSERT_TRUE(second.ok() && second->has_value());
  // Cut bytes out of the second segment's first stream: index and section sizes are wrong from there on.
  auto changed = bytes;
  const auto at = changed.begin() + static_cast<ptrdiff_t>((*second)->byte_offsets[0]);
  changed.erase(at, at + 5);
  const MemorySource source(changed);
  const Contents recovered = read_all(source, VqcReader::Mode::kRecover);
  ASSERT_EQ(recovered.segments.size(), right.segments.size());
  EXPECT_EQ(recovered.segments[0], right.segments[0]);
  EXPECT_TRUE(recovered.segments[1][0].codes.empty());
  EXPECT_EQ(recovered.segments[3], right.segments[3]);
}

}  // namespace
}  // namespace vqcodec::codec
