// Prior-coded streams with predictors that need no network: what order and codes they are given, and what becomes of weights
// that are no probabilities.
#include "codec/code_predictor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "codec/cdf.h"
#include "codec/stream_coder.h"
#include "codec/vqc_reader.h"
#include "codec/vqc_writer.h"
#include "tests/codec/test_data.h"

namespace vqcodec::codec {
namespace {

using testing::HasSubstr;

// Weights that depend on the place, on the code before and on all codes that are given in that frame.
class TablePredictor : public CodePredictor {
 public:
  explicit TablePredictor(const StreamInfo& info, float scale = 1) : info_(info), scale_(scale) {
    id_.fill(9);
  }
  const std::array<uint8_t, 32>& prior_id() const override { return id_; }
  uint32_t numerics_id() const override { return 3; }
  void predict(std::span<const Sequence> sequences, std::span<const std::span<const uint16_t>> codes,
               const Visit& visit) override {
    for (size_t i = 0; i < sequences.size(); ++i) {
      // Backwards: the order of places is free.
      for (size_t place = codes[i].size(); place-- > 0;) {
        visit(i, place, weights(sequences[i], place, place == 0 ? 0 : codes[i][place - 1]));
      }
    }
  }
  void generate(std::span<const Sequence> sequences, const Choose& choose) override {
    for (size_t i = 0; i < sequences.size(); ++i) {
      uint16_t before = 0;
      for (size_t place = 0; place < size_t{sequences[i].num_frames} * info_.num_codebooks; ++place) {
        const auto code = choose(i, place, weights(sequences[i], place, before));
        if (!code) break;
        before = *code;
      }
    }
  }

  virtual std::vector<float> weights(const Sequence& sequence, size_t place, uint16_t before) const {
    uint32_t key = sequence.source + 7 * before;
    for (const auto& given : sequence.given) key = key * 31 + given.source + 13U * given.codes[place];
    std::vector<float> result(info_.codebook_size);
    for (uint32_t c = 0; c < info_.codebook_size; ++c) {
      result[c] = scale_ * std::exp2(-static_cast<float>((c + key) % info_.codebook_size) / 4);
    }
    return result;
  }

 private:
  StreamInfo info_;
  float scale_;
  std::array<uint8_t, 32> id_;
};

// The codes that a TablePredictor finds likely, drawn by it.
std::vector<std::vector<SourceSegment>> likely_segments(const StreamInfo& info, TablePredictor& predictor,
                                                        const std::vector<uint32_t>& order, uint32_t num_segments) {
  std::mt19937 random(4);
  std::vector<std::vector<SourceSegment>> segments(num_segments);
  std::vector<uint32_t> sources = order;
  if (order.empty()) {
    sources.resize(info.sources.size());
    std::iota(sources.begin(), sources.end(), 0U);
  }
  for (auto& segment : segments) {
    segment.resize(info.sources.size());
    std::vector<uint32_t> done;
    for (const uint32_t s : sources) {
      segment[s] = {7, std::vector<uint16_t>(size_t{info.segment_frames} * info.num_codebooks)};
      CodePredictor::Sequence sequence{s, info.segment_frames, {}};
      for (const uint32_t other : done) {
        if (!order.empty()) sequence.given.push_back({other, segment[other].codes});
      }
      predictor.generate({&sequence, 1}, [&](size_t, size_t place, std::span<const float> weights) {
        const auto found = symbol_at(weights, kPriorTotalBits, static_cast<uint32_t>(random()) >> 8);
        return std::optional(segment[s].codes[place] = static_cast<uint16_t>(found->symbol));
      });
      done.push_back(s);
      std::sort(done.begin(), done.end());
    }
  }
  return segments;
}

std::vector<uint8_t> write(const StreamInfo& info, CodePredictor* predictor, const std::vector<uint32_t>& order,
                           const std::vector<std::vector<SourceSegment>>& segments, size_t max_batch_codes = 1000) {
  MemorySink sink;
  auto writer = VqcWriter::create(
      sink, info, {}, {.tools = {.predictor = predictor}, .source_order = order, .max_batch_codes = max_batch_codes});
  EXPECT_TRUE(writer.ok()) << writer.error().message;
  for (const auto& segment : segments) EXPECT_TRUE(writer->write_segment(segment).ok());
  EXPECT_TRUE(writer->finish(1).ok());
  uint64_t sum = writer->stats().header_bytes + writer->stats().prior_bytes + writer->stats().metadata_bytes +
                 writer->stats().segment_head_bytes + writer->stats().index_bytes;
  for (const uint64_t bytes : writer->stats().source_bytes) sum += bytes;
  EXPECT_EQ(sum, sink.bytes().size());
  return sink.bytes();
}

std::vector<std::vector<Result<SourceSegment>>> read(const VqcReader& reader, const std::vector<uint32_t>& sources,
                                                     CodePredictor* predictor,
                                                     std::vector<std::vector<CodebookBits>>* bits = nullptr) {
  std::vector<EncodedSegment> segments;
  for (uint32_t i = 0; i < reader.num_segments(); ++i) {
    segments.push_back(reader.read_segment(i, sources_to_read(reader.info(), sources)).value());
  }
  return decode_segments(reader.info(), segments, sources, {predictor, {}}, bits);
}

TEST(PriorStreams, ComeBackWhateverTheBatch) {
  const StreamInfo info = make_info(3, 4, 40, 30);
  TablePredictor predictor(info);
  for (const std::vector<uint32_t>& order : {std::vector<uint32_t>(), std::vector<uint32_t>{2, 0, 1}}) {
    auto segments = likely_segments(info, predictor, order, 5);
    segments[3][0] = {0, std::vector<uint16_t>(120)};
    const auto bytes = write(info, &predictor, order, segments);
    EXPECT_EQ(write(info, &predictor, order, segments, 1), bytes);
    EXPECT_EQ(write(info, &predictor, order, segments, 1 << 30), bytes);
    EXPECT_LT(bytes.size(), 0.9 * static_cast<double>(write(info, nullptr, {}, segments).size()));
    const MemorySource source(bytes);
    const auto reader = VqcReader::open(source).value();
    EXPECT_EQ(reader.info().numerics_id, 3U);
    EXPECT_EQ(reader.info().prior_id, predictor.prior_id());
    EXPECT_EQ(reader.info().source_order, order);
    EXPECT_EQ(reader.stats().other_bytes, 0U);
    const auto found = read(reader, {0, 1, 2}, &predictor);
    for (size_t i = 0; i < segments.size(); ++i) {
      for (size_t s = 0; s < 3; ++s) {
        ASSERT_TRUE(found[i][s].ok()) << found[i][s].error().message;
        EXPECT_EQ(*found[i][s], segments[i][s]);
      }
    }
    EXPECT_EQ(reader.read_coder(0, 1).value(), std::optional<uint8_t>(2));
    EXPECT_EQ(reader.read_coder(3, 0).value(), std::nullopt);
    // Bits that the reader counts are those that the writer counted.
    std::vector<std::vector<CodebookBits>> bits;
    ASSERT_TRUE(read(reader, {1}, &predictor, &bits)[2][0].ok());
    const double sum = std::accumulate(bits[2][0].bits.begin(), bits[2][0].bits.end(), 0.0);
    EXPECT_NEAR(sum / 8, reader.stream_bytes(2, 1) - 11.0, 1.5);
  }
}

TEST(PriorStreams, JointOnesNeedTheSourcesBeforeThem) {
  const StreamInfo info = make_info(3, 4, 40, 30);
  TablePredictor predictor(info);
  const auto segments = likely_segments(info, predictor, {2, 0, 1}, 2);
  auto bytes = write(info, &predictor, {2, 0, 1}, segments);
  const MemorySource good(bytes);
  const auto good_reader = VqcReader::open(good).value();
  EXPECT_EQ(sources_to_read(good_reader.info(), std::vector<uint32_t>{2}), (std::vector<uint32_t>{2}));
  EXPECT_EQ(sources_to_read(good_reader.info(), std::vector<uint32_t>{0}), (std::vector<uint32_t>{0, 2}));
  EXPECT_EQ(sources_to_read(good_reader.info(), std::vector<uint32_t>{1}), (std::vector<uint32_t>{0, 1, 2}));
  // Damage in source 0 of segment 0 takes source 1 along, and nothing else.
  const auto segment = good_reader.read_segment(0, std::vector<uint32_t>{0}).value();
  bytes[segment.byte_offsets[0] + 15] ^= 1;
  const MemorySource source(bytes);
  const auto reader = VqcReader::open(source).value();
  const auto found = read(reader, {0, 1, 2}, &predictor);
  ASSERT_FALSE(found[0][0].ok());
  EXPECT_EQ(found[0][0].error().code, Errc::kBadCrc);
  ASSERT_FALSE(found[0][1].ok());
  EXPECT_EQ(found[0][1].error().code, Errc::kBadCrc);
  EXPECT_THAT(found[0][1].error().message, HasSubstr("segment 0 of source 1: it was coded given source 0"));
  EXPECT_TRUE(found[0][2].ok());
  for (size_t s = 0; s < 3; ++s) EXPECT_EQ(found[1][s].value(), segments[1][s]);
}

TEST(PriorStreams, SilentSourcesAreNotGiven) {
  class NoneGiven : public TablePredictor {
   public:
    using TablePredictor::TablePredictor;
    std::vector<float> weights(const Sequence& sequence, size_t place, uint16_t before) const override {
      for (const auto& given : sequence.given) EXPECT_NE(given.source, 0U);
      return TablePredictor::weights(sequence, place, before);
    }
  };
  const StreamInfo info = make_info(2, 2, 40, 30);
  NoneGiven predictor(info);
  auto segments = likely_segments(info, predictor, {}, 1);
  segments[0][0] = {0, std::vector<uint16_t>(60)};
  const auto bytes = write(info, &predictor, {0, 1}, segments);
  const MemorySource source(bytes);
  const auto reader = VqcReader::open(source).value();
  EXPECT_EQ(reader.read_coder(0, 1).value(), std::optional<uint8_t>(2));
  EXPECT_EQ(read(reader, {1}, &predictor)[0][0].value(), segments[0][1]);
}

TEST(PriorStreams, WeightsThatAreNoProbabilitiesAreCodedRight) {
  class Strange : public TablePredictor {
   public:
    using TablePredictor::TablePredictor;
    std::vector<float> weights(const Sequence& sequence, size_t place, uint16_t before) const override {
      auto result = TablePredictor::weights(sequence, place, before);
      constexpr float kInf = std::numeric_limits<float>::infinity();
      switch (place % 8) {
        case 0: result.assign(result.size(), 0.0f); break;
        case 1: result.assign(result.size(), std::nanf("")); break;
        case 2: result[3] = kInf; break;
        case 3: result[0] = -kInf; break;
        case 4: result.assign(result.size(), std::numeric_limits<float>::denorm_min()); break;
        case 5: result[1] = std::numeric_limits<float>::max(); break;
        case 6: result[2] = std::nanf(""); break;
        default: break;
      }
      return result;
    }
  };
  for (const uint32_t codebook_size : {2U, 40U, 65536U}) {
    const StreamInfo info = make_info(1, 2, codebook_size, codebook_size > 1000 ? 4 : 64);
    Strange predictor(info);
    const auto segments = likely_segments(info, predictor, {}, 1);
    const auto bytes = write(info, &predictor, {}, segments);
    const MemorySource source(bytes);
    EXPECT_EQ(read(VqcReader::open(source).value(), {0}, &predictor)[0][0].value(), segments[0][0]) << codebook_size;
  }
}

TEST(PriorStreams, WriterRefusesWhatDoesNotFit) {
  const StreamInfo info = make_info(2);
  TablePredictor predictor(info);
  MemorySink sink;
  const auto refused = [&](const std::vector<uint32_t>& order, CodePredictor* used) {
    const auto writer = VqcWriter::create(sink, info, {}, {.tools = {.predictor = used}, .source_order = order});
    return writer.ok() ? "taken" : writer.error().message;
  };
  EXPECT_THAT(refused({0}, &predictor), HasSubstr("order"));
  EXPECT_THAT(refused({0, 0}, &predictor), HasSubstr("order"));
  EXPECT_THAT(refused({0, 2}, &predictor), HasSubstr("order"));
  EXPECT_THAT(refused({0, 1}, nullptr), HasSubstr("joint"));
  EXPECT_TRUE(sink.bytes().empty());
  EXPECT_EQ(refused({1, 0}, &predictor), "taken");
}

}  // namespace
}  // namespace vqcodec::codec
