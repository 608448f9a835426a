// Priors and .vqc files: the golden files on every path, what is caught when probabilities differ, and damage.
#include "prior/coder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "codec/crc32c.h"
#include "codec/little_endian.h"
#include "codec/vqc_reader.h"
#include "codec/vqc_writer.h"
#include "runtime/cpu.h"
#include "tests/codec/test_data.h"
#include "tests/prior/golden_prior.h"
#include "tests/prior/prior_test_util.h"
#include "tests/prior/sampled_codes.h"

namespace vqcodec::prior {
namespace {

using codec::CodePredictor;
using codec::Errc;
using codec::SourceSegment;
using codec::StreamInfo;
using testing::HasSubstr;

using Segments = std::vector<std::vector<SourceSegment>>;

std::shared_ptr<const Model> golden_prior() {
  return Model::load((codec::source_dir() / "tests/data/golden/prior.safetensors").string());
}

std::vector<uint32_t> all_sources(const StreamInfo& info) {
  std::vector<uint32_t> all(info.sources.size());
  std::iota(all.begin(), all.end(), 0U);
  return all;
}

struct Decoded {
  StreamInfo info;
  std::vector<std::vector<codec::Result<SourceSegment>>> segments;
  std::string metadata;

  Segments codes() const {
    Segments all;
    for (const auto& segment : segments) {
      all.emplace_back();
      for (const auto& source : segment) {
        EXPECT_TRUE(source.ok()) << source.error().message;
        all.back().push_back(source.ok() ? *source : SourceSegment{});
      }
    }
    return all;
  }
};

// All of `sources`, through the reader that seeks.
Decoded decode(const std::vector<uint8_t>& bytes, CodePredictor* predictor, std::vector<uint32_t> sources = {},
               const codec::ParallelFor& parallel_for = {}) {
  const codec::MemorySource source(bytes);
  auto reader = codec::VqcReader::open(source);
  EXPECT_TRUE(reader.ok()) << reader.error().message;
  if (sources.empty()) sources = all_sources(reader->info());
  std::vector<codec::EncodedSegment> segments;
  for (uint32_t i = 0; i < reader->num_segments(); ++i)
    segments.push_back(reader->read_segment(i, codec::sources_to_read(reader->info(), sources)).value());
  return {reader->info(), codec::decode_segments(reader->info(), segments, sources, {predictor, parallel_for}),
          reader->read_metadata().value()};
}

std::vector<uint8_t> encode(const StreamInfo& info, const Segments& segments, codec::WriterOptions options,
                            const std::string& metadata = {}) {
  codec::MemorySink sink;
  StreamInfo plain = info;
  plain.numerics_id = 0;
  plain.prior_id = {};
  plain.source_order = {};
  auto writer = codec::VqcWriter::create(sink, plain, metadata, std::move(options));
  EXPECT_TRUE(writer.ok()) << writer.error().message;
  for (const auto& segment : segments) EXPECT_TRUE(writer->write_segment(segment).ok());
  EXPECT_TRUE(writer->finish(writer->num_frames() * info.hop_samples - 100).ok());
  return sink.bytes();
}

codec::ParallelFor on(runtime::ThreadPool& pool) {
  return [&pool](size_t count, const std::function<void(size_t)>& body) {
    pool.parallel_for(static_cast<int64_t>(count), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) body(static_cast<size_t>(i));
    });
  };
}

// Passes on to another, and may change what it says.
class Wrapper : public CodePredictor {
 public:
  explicit Wrapper(CodePredictor& inner) : inner_(inner) {}
  const std::array<uint8_t, 32>& prior_id() const override { return inner_.prior_id(); }
  uint32_t numerics_id() const override { return inner_.numerics_id(); }
  void predict(std::span<const Sequence> sequences, std::span<const std::span<const uint16_t>> codes,
               const Visit& visit) override {
    inner_.predict(sequences, codes, [&](size_t i, size_t place, std::span<const float> weights) {
      visit(i, place, changed(i, place, weights));
    });
  }
  void generate(std::span<const Sequence> sequences, const Choose& choose) override {
    inner_.generate(sequences, [&](size_t i, size_t place, std::span<const float> weights) {
      ++num_asked_;
      return choose(i, place, changed(i, place, weights));
    });
  }
  int num_asked() const { return num_asked_; }

 protected:
  virtual std::vector<float> changed(size_t, size_t, std::span<const float> weights) {
    return {weights.begin(), weights.end()};
  }

 private:
  CodePredictor& inner_;
  std::atomic<int> num_asked_ = 0;
};

class Golden : public testing::TestWithParam<GoldenFile> {
 protected:
  Golden() : bytes_(codec::golden(GetParam().name)), model_(golden_prior()), info_(golden_info()) {
    info_.num_codebooks = GetParam().num_codebooks;
  }
  // Bytes of the streams that coder 2 coded, by segment and source.
  int num_prior_streams() const {
    const codec::MemorySource source(bytes_);
    const auto reader = codec::VqcReader::open(source).value();
    int count = 0;
    for (uint32_t i = 0; i < reader.num_segments(); ++i)
      for (uint32_t s = 0; s < info_.sources.size(); ++s) count += reader.read_coder(i, s).value() == 2;
    return count;
  }

  std::vector<uint8_t> bytes_;
  std::shared_ptr<const Model> model_;
  StreamInfo info_;
};

TEST_P(Golden, ComesOutOnEveryPathWithAnyThreadsAndBatches) {
  EXPECT_GE(num_prior_streams(), 9);
  const runtime::Path best = runtime::current_path();
  Segments codes;
  for (const runtime::Path path : runtime::kBuiltPaths) {
    if (!runtime::can_run(path)) continue;
    runtime::set_path(path);
    for (const int num_threads : {1, 2, 5}) {
      runtime::ThreadPool pool(num_threads);
      for (const int max_rows : {1, 3, 64}) {
        Coder coder(model_, info_, pool, {.max_rows = max_rows});
        const Decoded decoded = decode(bytes_, &coder, {}, on(pool));
        EXPECT_EQ(decoded.info.source_order, GetParam().order);
        if (codes.empty()) codes = decoded.codes();
        ASSERT_EQ(decoded.codes(), codes) << runtime::path_name(path) << ' ' << num_threads << ' ' << max_rows;
        const auto again = encode(info_, codes,
                                  {.tools = {&coder, on(pool)},
                                   .source_order = GetParam().order,
                                   .max_batch_codes = static_cast<size_t>(max_rows) * 500},
                                  decoded.metadata);
        ASSERT_EQ(again, bytes_) << runtime::path_name(path) << ' ' << num_threads << ' ' << max_rows;
      }
    }
  }
  runtime::set_path(best);
}

TEST_P(Golden, OneSourceComesOutAsWithTheOthers) {
  runtime::ThreadPool pool(1);
  Coder coder(model_, info_, pool);
  const Segments all = decode(bytes_, &coder).codes();
  for (uint32_t s = 0; s < info_.sources.size(); ++s) {
    const Segments one = decode(bytes_, &coder, {s}).codes();
    for (size_t i = 0; i < all.size(); ++i) EXPECT_EQ(one[i][0], all[i][s]) << i << ' ' << s;
  }
}

TEST_P(Golden, ThroughAPipeIsTheSame) {
  runtime::ThreadPool pool(1);
  Coder coder(model_, info_, pool);
  const Decoded right = decode(bytes_, &coder);
  codec::MemoryStream stream(bytes_);
  auto reader = codec::VqcStreamReader::open(stream);
  ASSERT_TRUE(reader.ok());
  EXPECT_EQ(reader->info().prior_id, model_->id());
  std::vector<codec::EncodedSegment> segments;
  for (auto next = reader->next(); next.ok() && next->has_value(); next = reader->next())
    segments.push_back(std::move(**next));
  ASSERT_TRUE(reader->totals_known());
  EXPECT_EQ(reader->info(), right.info);
  const auto found = codec::decode_segments(right.info, segments, all_sources(right.info), {&coder, {}});
  EXPECT_EQ((Decoded{right.info, found, {}}.codes()), right.codes());
}

TEST_P(Golden, WithoutThePriorOrWithAnotherIsRefused) {
  runtime::ThreadPool pool(1);
  const auto expect_refused = [&](CodePredictor* predictor, const std::string& ours) {
    int num_refused = 0;
    for (const auto& segment : decode(bytes_, predictor).segments) {
      for (const auto& source : segment) {
        if (source.ok()) continue;
        ++num_refused;
        EXPECT_EQ(source.error().code, Errc::kNeedsPrior);
        EXPECT_THAT(source.error().message, HasSubstr(runtime::to_hex(model_->id()).substr(0, 12)));
        EXPECT_THAT(source.error().message, HasSubstr(ours));
      }
    }
    EXPECT_GE(num_refused, num_prior_streams());
  };
  expect_refused(nullptr, "no prior is at hand");
  const auto other = random_prior(golden_config(), 12);
  Coder coder(other, info_, pool);
  expect_refused(&coder, runtime::to_hex(other->id()).substr(0, 12));

  class OtherNumerics : public Wrapper {
   public:
    using Wrapper::Wrapper;
    uint32_t numerics_id() const override { return 77; }
  };
  Coder right(model_, info_, pool);
  OtherNumerics numerics(right);
  expect_refused(&numerics, "numerics 0x4d");
}

// What a program would do whose arithmetic differs in the last bit of one probability, but says it were the same.
TEST_P(Golden, ALastBitThatDiffersIsCaughtAndNamed) {
  class LastBit : public Wrapper {
   public:
    using Wrapper::Wrapper;
    std::vector<float> changed(size_t sequence, size_t place, std::span<const float> weights) override {
      std::vector<float> result = Wrapper::changed(sequence, place, weights);
      float& largest = *std::ranges::max_element(result);
      if (place >= 4) largest = std::nextafter(largest, 2.0f);
      return result;
    }
  };
  runtime::ThreadPool pool(1);
  Coder coder(model_, info_, pool);
  const Segments right = decode(bytes_, &coder).codes();
  LastBit other(coder);
  const Decoded decoded = decode(bytes_, &other);
  int num_caught = 0;
  for (size_t i = 0; i < right.size(); ++i) {
    for (size_t s = 0; s < right[i].size(); ++s) {
      const auto& found = decoded.segments[i][s];
      if (found.ok()) {
        EXPECT_EQ(*found, right[i][s]);  // never other codes without a word
        continue;
      }
      ++num_caught;
      EXPECT_EQ(found.error().code, Errc::kCodesCrcMismatch) << found.error().message;
      EXPECT_THAT(found.error().message, HasSubstr("other numerics"));
    }
  }
  EXPECT_GE(num_caught, num_prior_streams() / 2);
}

TEST_P(Golden, PayloadsAreAsLongAsTheirProbabilities) {
  runtime::ThreadPool pool(2);
  StreamInfo info = info_;
  info.segment_frames = 512;
  Coder coder(model_, info, pool);
  const Segments segments = sample_segments(coder, info, 4 * 512, GetParam().order, 9);
  codec::MemorySink sink;
  auto writer = codec::VqcWriter::create(sink, info, {},
                                         {.tools = {&coder, {}}, .source_order = GetParam().order}).value();
  for (const auto& segment : segments) ASSERT_TRUE(writer.write_segment(segment).ok());
  ASSERT_TRUE(writer.finish(1).ok());
  double ideal_bytes = 0, bytes = 0, raw_bytes = 0;
  for (size_t s = 0; s < info.sources.size(); ++s) {
    ideal_bytes += std::accumulate(writer.bits()[s].bits.begin(), writer.bits()[s].bits.end(), 0.0) / 8;
    bytes += static_cast<double>(writer.stats().source_bytes[s]) - 4 * 11;
    raw_bytes += 4 * 512 * info.num_codebooks * 5 / 8.0;
  }
  EXPECT_LE(bytes, ideal_bytes * 1.0005 + 4 * 4);  // a stream ends with a whole byte, and these are short
  EXPECT_LT(bytes, 0.9 * raw_bytes);
  const codec::MemorySource source(sink.bytes());
  EXPECT_EQ(decode(sink.bytes(), &coder).codes(), segments);
}

// Flips a byte of a stream: with the stream's CRC as it was that is damage, with the CRC put right it is a lie.
TEST_P(Golden, AChangedByteLosesItsStreamAndWhatWasCodedGivenIt) {
  runtime::ThreadPool pool(1);
  Coder coder(model_, info_, pool);
  const Segments right = decode(bytes_, &coder).codes();
  const codec::MemorySource source(bytes_);
  const auto reader = codec::VqcReader::open(source).value();
  const std::vector<uint32_t> all = all_sources(info_);
  for (const uint32_t segment : {0U, 2U}) {
    const auto encoded = reader.read_segment(segment, all).value();
    for (const uint32_t s : all) {
      for (size_t at = 4; at < encoded.streams[s].size(); at += at < 16 ? 1 : 23) {
        for (const bool is_sealed : {false, true}) {
          auto changed = encoded;
          std::vector<uint8_t>& stream = changed.streams[s];
          stream[at] ^= 0x11;
          if (is_sealed) {
            std::vector<uint8_t> crc;
            codec::append_le(crc, codec::crc32c(std::span(stream).first(4), std::span(stream).subspan(8)));
            std::ranges::copy(crc, stream.begin() + 4);
          }
          const auto found = codec::decode_segments(reader.info(), {&changed, 1}, all, {&coder, {}});
          const auto& order = reader.info().source_order;
          for (const uint32_t other : all) {
            const bool depends = std::ranges::find(order, other) > std::ranges::find(order, s);
            if (found[0][other].ok()) {
              // Only a byte that the range coder never needed may be changed for nothing.
              EXPECT_EQ(*found[0][other], right[segment][other]) << other << ' ' << at;
            } else {
              EXPECT_TRUE(other == s || depends) << other << " by " << s << ": " << found[0][other].error().message;
            }
          }
          if (!is_sealed) {
            ASSERT_FALSE(found[0][s].ok());
            EXPECT_EQ(found[0][s].error().code, Errc::kBadCrc);
          } else if (at >= 11) {
            EXPECT_FALSE(found[0][s].ok()) << "byte " << at << " of " << stream.size();
          }
        }
      }
    }
  }
}

TEST_P(Golden, CutBodiesAreRefusedAndEndEarly) {
  runtime::ThreadPool pool(1);
  Coder coder(model_, info_, pool);
  const codec::MemorySource source(bytes_);
  const auto reader = codec::VqcReader::open(source).value();
  const uint32_t s = GetParam().order.empty() ? 1 : GetParam().order[0];
  auto segment = reader.read_segment(0, {&s, 1}).value();
  const std::vector<uint8_t> whole = segment.streams[s];
  ASSERT_EQ(whole[10], 2);
  for (size_t size = 11; size < whole.size(); ++size) {
    std::vector<uint8_t>& stream = segment.streams[s];
    stream.assign(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
    std::vector<uint8_t> crc;
    codec::append_le(crc, codec::crc32c(std::span(stream).first(4), std::span(stream).subspan(8)));
    std::ranges::copy(crc, stream.begin() + 4);
    Wrapper counter(coder);
    const auto found = codec::decode_segments(reader.info(), {&segment, 1}, {&s, 1}, {&counter, {}});
    ASSERT_FALSE(found[0][0].ok()) << size;
    EXPECT_THAT(found[0][0].error().code, testing::AnyOf(Errc::kCodesCrcMismatch, Errc::kTruncated)) << size;
    EXPECT_THAT(found[0][0].error().message, HasSubstr("segment 0 of " + info_.sources[s])) << size;
    // A stream that claims many codes and has few bytes costs no more than its bytes.
    if (size == 11) {
      EXPECT_LT(counter.num_asked(), 40);
    }
  }
  // Bytes after the codes.
  segment.streams[s] = whole;
  segment.streams[s].push_back(0);
  std::vector<uint8_t> crc;
  codec::append_le(crc, codec::crc32c(std::span(segment.streams[s]).first(4), std::span(segment.streams[s]).subspan(8)));
  std::ranges::copy(crc, segment.streams[s].begin() + 4);
  const auto found = codec::decode_segments(reader.info(), {&segment, 1}, {&s, 1}, {&coder, {}});
  ASSERT_FALSE(found[0][0].ok());
  EXPECT_EQ(found[0][0].error().code, Errc::kBadStream);
}

TEST_P(Golden, LosesOnlyThePriorsStreamsWithItsSection) {
  runtime::ThreadPool pool(1);
  Coder coder(model_, info_, pool);
  auto changed = bytes_;
  const std::string tag = "PRIO";
  const auto at = std::search(changed.begin(), changed.end(), tag.begin(), tag.end());
  ASSERT_NE(at, changed.end());
  at[20] ^= 1;  // within the id
  const codec::MemorySource source(changed);
  EXPECT_EQ(codec::VqcReader::open(source).error().code, Errc::kBadCrc);
  codec::MemoryStream stream(changed);
  EXPECT_EQ(codec::VqcStreamReader::open(stream).error().code, Errc::kBadCrc);
  auto reader = codec::VqcReader::open(source, codec::VqcReader::Mode::kRecover);
  ASSERT_TRUE(reader.ok());
  const std::vector<uint32_t> all = all_sources(info_);
  int num_lost = 0, num_right = 0;
  for (uint32_t i = 0; i < reader->num_segments(); ++i) {
    const auto segment = reader->read_segment(i, all).value();
    const auto decoded = codec::decode_segments(reader->info(), {&segment, 1}, all, {&coder, {}});
    for (const auto& found : decoded[0]) {
      found.ok() ? ++num_right : ++num_lost;
      if (!found.ok()) {
        EXPECT_EQ(found.error().code, Errc::kNeedsPrior);
      }
    }
  }
  EXPECT_EQ(num_lost, num_prior_streams());
  EXPECT_GT(num_right, 0);
}

INSTANTIATE_TEST_SUITE_P(Files, Golden, testing::ValuesIn(kGoldenFiles),
                         [](const auto& param) { return std::string(param.param.name); });

TEST(Coder, WhatThePriorLengthensIsCodedOtherwise) {
  runtime::ThreadPool pool(2);
  const StreamInfo info = golden_info();
  Coder coder(golden_prior(), info, pool);
  Segments segments(1);
  for (uint32_t s = 0; s < 4; ++s)
    segments[0].push_back({5, codec::make_codes(64, info.num_codebooks, 32, s == 0 ? 0.0 : 1.5, s == 0 ? 0 : 0.5, s)});
  const auto with = encode(info, segments, {.tools = {&coder, {}}});
  const auto without = encode(info, segments, {});
  EXPECT_EQ(decode(with, &coder).codes(), segments);
  EXPECT_EQ(with.size(), without.size() + 16 + 37);  // the section that names the prior
  EXPECT_EQ(decode(with, nullptr).codes(), segments);  // no stream needs it
}

TEST(Coder, SmallestAndLargestAlphabetsAndExtremeLogits) {
  runtime::ThreadPool pool(2);
  for (const auto& [codebook_size, part, factor] :
       {std::tuple{2, "code_bias", 1.0f}, std::tuple{65536, "code_bias", 1.0f}, std::tuple{32, "code_bias", 1e30f},
        std::tuple{32, "code.", 1e12f}, std::tuple{32, "embedding", 1e20f}}) {
    Config config = golden_config();
    config.codebook_size = codebook_size;
    config.num_codebooks = 2;
    const auto model = load_prior(scaled_prior(config, part, factor));
    StreamInfo info = golden_info();
    info.codebook_size = static_cast<uint32_t>(codebook_size);
    info.num_codebooks = 2;
    info.segment_frames = 12;
    Coder coder(model, info, pool);
    for (const std::vector<uint32_t>& order : {std::vector<uint32_t>(), std::vector<uint32_t>{3, 2, 1, 0}}) {
      Segments segments = sample_segments(coder, info, 20, order, 3);
      segments[0][0].codes[5] = static_cast<uint16_t>(codebook_size - 1);  // which may have one count of 2^24
      const auto bytes = encode(info, segments, {.tools = {&coder, {}}, .source_order = order});
      EXPECT_EQ(decode(bytes, &coder).codes(), segments) << codebook_size << ' ' << part;
    }
  }
}

TEST(Coder, RefusesCodesOfOtherModels) {
  runtime::ThreadPool pool(1);
  const auto model = golden_prior();
  const auto refused = [&](auto change) -> std::string {
    StreamInfo info = golden_info();
    change(info);
    try {
      const Coder coder(model, info, pool);
    } catch (const Error& error) {
      return std::to_string(static_cast<int>(error.code())) + " " + error.what();
    }
    return "taken";
  };
  EXPECT_EQ(refused([](StreamInfo&) {}), "taken");
  EXPECT_EQ(refused([](StreamInfo& info) { info.num_codebooks = 1; }), "taken");
  EXPECT_EQ(refused([](StreamInfo& info) { info.sources = {"drums"}; }), "taken");
  EXPECT_THAT(refused([](StreamInfo& info) { info.model_id[0] ^= 1; }), testing::StartsWith("4 the prior "));
  EXPECT_THAT(refused([](StreamInfo& info) { info.codebook_size = 33; }), HasSubstr("codebooks of 33 codes"));
  EXPECT_THAT(refused([](StreamInfo& info) { info.num_codebooks = 4; }), HasSubstr("4 codebooks"));
  EXPECT_THAT(refused([](StreamInfo& info) { info.sources[1] = "flute"; }), HasSubstr("source flute"));
}

TEST(Coder, OrdersSourcesForJointCoding) {
  const auto model = golden_prior();
  EXPECT_EQ(joint_order(*model, {"vocals", "bass", "drums", "other"}), (std::vector<uint32_t>{2, 1, 3, 0}));
  EXPECT_EQ(joint_order(*model, {"x", "bass", "y"}), (std::vector<uint32_t>{1, 0, 2}));
  auto writer = make_random_prior(golden_config(), 1);
  writer.set_metadata("joint_order", R"(["other", 3, "nobody", "bass"])");
  EXPECT_EQ(joint_order(*load_prior(writer.bytes()), {"vocals", "bass", "drums", "other"}),
            (std::vector<uint32_t>{3, 1, 2, 0}));
}

}  // namespace
}  // namespace vqcodec::prior
