#include "codec/vqc_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "tests/codec/read_all.h"
#include "tests/codec/test_data.h"

namespace vqcodec::codec {
namespace {

using testing::HasSubstr;

SourceSegment segment_of(const StreamInfo& info, uint32_t num_frames, uint32_t seed, uint16_t gain = 9) {
  return {gain, make_codes(num_frames, info.num_codebooks, info.codebook_size, 1.0, 0.2, seed)};
}

template <class T>
void expect_refused(const Result<T>& result, const std::string& part) {
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, Errc::kBadArgument);
  EXPECT_THAT(result.error().message, HasSubstr(part));
}

TEST(VqcWriter, WhatIsWrittenIsRead) {
  const StreamInfo info = make_info(3, 4, 500, 20);
  std::vector<std::vector<SourceSegment>> segments;
  for (uint32_t i = 0; i < 5; ++i) {
    segments.emplace_back();
    for (uint32_t s = 0; s < 3; ++s) segments[i].push_back(segment_of(info, i == 4 ? 7 : 20, i * 3 + s));
  }
  segments[2][1] = {0, std::vector<uint16_t>(80)};
  segments[3][0].gain = 65535;
  MemorySink sink;
  auto writer = VqcWriter::create(sink, info, R"({"title": "Lied", "n": [1, 2]})");
  ASSERT_TRUE(writer);
  for (const auto& segment : segments) ASSERT_TRUE(writer->write_segment(segment));
  ASSERT_TRUE(writer->finish(87 * 1024 - 1));

  StreamInfo expected = info;
  expected.num_frames = 87;
  expected.num_samples = 87 * 1024 - 1;
  const MemorySource source(sink.bytes());
  MemoryStream stream(sink.bytes());
  for (const Contents& contents : {read_all(source), read_all(stream)}) {
    EXPECT_EQ(contents.describe(), "Ok");
    EXPECT_EQ(contents.info, expected);
    EXPECT_EQ(contents.segments, segments);
    EXPECT_EQ(contents.metadata, R"({"title": "Lied", "n": [1, 2]})");
  }
}

TEST(VqcWriter, CountsItsBytesAsTheReaderDoes) {
  const StreamInfo info = make_info();
  MemorySink sink;
  auto writer = VqcWriter::create(sink, info, "{}");
  ASSERT_TRUE(writer);
  for (uint32_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(writer->write_segment(std::vector{segment_of(info, 16, i), segment_of(info, 16, i + 10)}));
  }
  ASSERT_TRUE(writer->finish(0));
  const FileStats& written = writer->stats();
  EXPECT_EQ(written.file_bytes, sink.bytes().size());
  const MemorySource source(sink.bytes());
  auto reader = VqcReader::open(source);
  ASSERT_TRUE(reader);
  const FileStats& read = reader->stats();
  EXPECT_EQ(read.header_bytes, written.header_bytes);
  EXPECT_EQ(read.metadata_bytes, written.metadata_bytes);
  EXPECT_EQ(read.segment_head_bytes, written.segment_head_bytes);
  EXPECT_EQ(read.index_bytes, written.index_bytes);
  EXPECT_EQ(read.source_bytes, written.source_bytes);
  EXPECT_EQ(read.other_bytes, 0U);
  EXPECT_EQ(read.file_bytes, written.header_bytes + written.metadata_bytes + written.segment_head_bytes +
                                 written.index_bytes + written.source_bytes[0] + written.source_bytes[1]);
  // Bits that the reader counts are those that the writer counted.
  CodebookBits bits;
  for (uint32_t i = 0; i < 3; ++i) ASSERT_TRUE(reader->read_source_segment(i, 1, &bits));
  ASSERT_EQ(bits.bits.size(), writer->bits()[1].bits.size());
  for (size_t k = 0; k < bits.bits.size(); ++k) EXPECT_NEAR(bits.bits[k], writer->bits()[1].bits[k], 1e-9);
}

// One hour in short: the payloads of a minute of codes against the sum of -log2 of their probabilities.
TEST(VqcWriter, PayloadsAreAsLongAsTheirProbabilities) {
  const StreamInfo info = make_info(4, 8, 1024, 512);
  MemorySink sink;
  auto writer = VqcWriter::create(sink, info);
  ASSERT_TRUE(writer);
  constexpr int kNumSegments = 6;
  for (uint32_t i = 0; i < kNumSegments; ++i) {
    std::vector<SourceSegment> sources;
    for (uint32_t s = 0; s < 4; ++s) sources.push_back(segment_of(info, 512, i * 4 + s));
    ASSERT_TRUE(writer->write_segment(sources));
  }
  ASSERT_TRUE(writer->finish(1));
  double ideal_bytes = 0.0;
  double payload_bytes = 0.0;
  for (size_t s = 0; s < 4; ++s) {
    ideal_bytes += std::accumulate(writer->bits()[s].bits.begin(), writer->bits()[s].bits.end(), 0.0) / 8;
    payload_bytes += static_cast<double>(writer->stats().source_bytes[s] - kNumSegments * (kStreamHeadBytes + 3));
  }
  EXPECT_LE(payload_bytes, ideal_bytes * 1.0005);
}

TEST(VqcWriter, RandomCodesAreStoredRaw) {
  const StreamInfo info = make_info(1, 8, 1024, 512);
  MemorySink sink;
  auto writer = VqcWriter::create(sink, info);
  ASSERT_TRUE(writer);
  ASSERT_TRUE(writer->write_segment(std::vector{SourceSegment{1, make_codes(512, 8, 1024, 0.0, 0.0, 1)}}));
  ASSERT_TRUE(writer->finish(0));
  EXPECT_EQ(writer->stats().source_bytes[0], 512U * 8 * 10 / 8 + kStreamHeadBytes + 3);
  EXPECT_DOUBLE_EQ(writer->bits()[0].bits[3], 512 * 10);
}

TEST(VqcWriter, SilenceIsAHeadOnly) {
  const StreamInfo info = make_info(1);
  MemorySink sink;
  auto writer = VqcWriter::create(sink, info);
  ASSERT_TRUE(writer);
  ASSERT_TRUE(writer->write_segment(std::vector{SourceSegment{0, std::vector<uint16_t>(48)}}));
  EXPECT_EQ(writer->stats().source_bytes[0], kStreamHeadBytes);
}

TEST(VqcWriter, RefusesInfoOutsideTheLimits) {
  MemorySink sink;
  const auto with = [&](auto change) {
    StreamInfo info = make_info();
    change(info);
    return VqcWriter::create(sink, info);
  };
  expect_refused(with([](StreamInfo& i) { i.sample_rate_hz = 0; }), "sample_rate_hz is 0");
  expect_refused(with([](StreamInfo& i) { i.num_channels = 9; }), "num_channels is 9");
  expect_refused(with([](StreamInfo& i) { i.hop_samples = 65537; }), "hop_samples");
  expect_refused(with([](StreamInfo& i) { i.sources.clear(); }), "number of sources");
  expect_refused(with([](StreamInfo& i) { i.sources[1] = i.sources[0]; }), "two sources");
  expect_refused(with([](StreamInfo& i) { i.sources[0] = std::string(33, 'a'); }), "length of a source's name is 33");
  expect_refused(with([](StreamInfo& i) { i.sources[0] = "\xED\xA0\x80"; }), "UTF-8");
  expect_refused(with([](StreamInfo& i) { i.num_codebooks = 33; }), "num_codebooks");
  expect_refused(with([](StreamInfo& i) { i.codebook_size = 65537; }), "codebook_size");
  expect_refused(with([](StreamInfo& i) { i.segment_frames = 0; }), "segment_frames");
  expect_refused(with([](StreamInfo& i) { i.segment_frames = 65536, i.num_codebooks = 32; }), "2097152");
  expect_refused(with([](StreamInfo& i) { i.numerics_id = 1; }), "numerics_id");
  expect_refused(VqcWriter::create(sink, make_info(), "{"), "not JSON");
  expect_refused(VqcWriter::create(sink, make_info(), '"' + std::string(kMaxMetadataBytes, 'a') + '"'), "1048578");
  EXPECT_TRUE(sink.bytes().empty());
}

TEST(VqcWriter, LargestMetadataComesBack) {
  MemorySink sink;
  const std::string text = '"' + std::string(kMaxMetadataBytes - 2, 'a') + '"';
  auto writer = VqcWriter::create(sink, make_info(), text);
  ASSERT_TRUE(writer);
  ASSERT_TRUE(writer->finish(0));
  const MemorySource source(sink.bytes());
  EXPECT_EQ(read_all(source).metadata, text);
}

TEST(VqcWriter, RefusesSegmentsThatDoNotFit) {
  const StreamInfo info = make_info();
  const auto refuse = [&](std::vector<SourceSegment> sources, const std::string& part) {
    MemorySink sink;
    auto writer = VqcWriter::create(sink, info);
    ASSERT_TRUE(writer);
    expect_refused(writer->write_segment(sources), part);
  };
  const SourceSegment good = segment_of(info, 16, 1);
  refuse({good}, "1 sources, expected 2");
  refuse({good, segment_of(info, 15, 1)}, "source 1 has 45 codes, expected 48");
  refuse({{9, {}}, {9, {}}}, "0 codes");
  refuse({segment_of(info, 17, 1), segment_of(info, 17, 1)}, "51 codes");
  refuse({{9, std::vector<uint16_t>(47)}, {9, std::vector<uint16_t>(47)}}, "47 codes");
  SourceSegment high = good;
  high.codes[5] = 64;
  refuse({good, high}, "source 1: code 64 at place 5, expected 0..63");
  SourceSegment loud = good;
  loud.codes[2] = 1;
  loud.gain = 0;
  refuse({loud, good}, "silent");
}

TEST(VqcWriter, RefusesCallsOutOfOrder) {
  const StreamInfo info = make_info(1);
  MemorySink sink;
  auto writer = VqcWriter::create(sink, info);
  ASSERT_TRUE(writer);
  ASSERT_TRUE(writer->write_segment(std::vector{segment_of(info, 3, 1)}));
  expect_refused(writer->write_segment(std::vector{segment_of(info, 16, 1)}), "after one that was shorter");
  expect_refused(writer->finish(3 * 1024 + 1), "3073 samples do not fit");
  ASSERT_TRUE(writer->finish(3 * 1024));
  expect_refused(writer->finish(0), "finished");
  expect_refused(writer->write_segment(std::vector{segment_of(info, 16, 1)}), "finished");
}

class FailingSink final : public ByteSink {
 public:
  explicit FailingSink(int good_writes) : good_writes_(good_writes) {}
  Result<void> write(std::span<const uint8_t>) override {
    if (good_writes_-- > 0) return {};
    return ErrorInfo{Errc::kIo, "cannot write: No space left on device", 0};
  }

 private:
  int good_writes_;
};

TEST(VqcWriter, PassesOnWhatTheSinkSays) {
  const StreamInfo info = make_info(1);
  FailingSink none(0);
  EXPECT_EQ(VqcWriter::create(none, info).error().code, Errc::kIo);
  FailingSink some(2);
  auto writer = VqcWriter::create(some, info);
  ASSERT_TRUE(writer);
  const auto written = writer->write_segment(std::vector{segment_of(info, 16, 1)});
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code, Errc::kIo);
  EXPECT_THAT(written.error().message, HasSubstr("No space"));
  EXPECT_GT(written.error().byte_offset, 0U);
  EXPECT_FALSE(writer->finish(0).ok());
}

}  // namespace
}  // namespace vqcodec::codec
