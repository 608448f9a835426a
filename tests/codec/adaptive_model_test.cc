#include "codec/adaptive_model.h"

#include <gtest/gtest.h>

#include <numeric>

#include "tests/codec/test_data.h"

namespace vqcodec::codec {
namespace {

struct Case {
  const char* name;
  uint32_t num_frames, num_codebooks, codebook_size;
  double exponent, repeat;
  double max_ratio;  // of the stream to raw codes
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

class AdaptiveModelOn : public testing::TestWithParam<Case> {};

// Encodes and decodes; returns the stream's bytes.
size_t round_trip(uint32_t num_codebooks, uint32_t codebook_size, const std::vector<uint16_t>& codes) {
  const size_t num_frames = codes.size() / num_codebooks;
  AdaptiveModel model(num_codebooks, codebook_size);
  RangeEncoder encoder;
  CodebookBits encoder_bits;
  const auto frame = [&](size_t i) { return std::span(codes).subspan(i * num_codebooks, num_codebooks); };
  for (size_t i = 0; i < num_frames; ++i) model.encode_frame(encoder, frame(i), &encoder_bits);
  const uint64_t final_range = encoder.range();
  const auto bytes = encoder.finish();

  const double ideal_bits = std::accumulate(encoder_bits.bits.begin(), encoder_bits.bits.end(), 0.0);
  EXPECT_LE(static_cast<double>(bytes.size()) * 8, ideal_bits * 1.0005 + 64);
  EXPECT_GE(static_cast<double>(bytes.size()) * 8, ideal_bits - 1);

  model.reset();
  RangeDecoder decoder(bytes);
  CodebookBits decoder_bits;
  std::vector<uint16_t> decoded(codes.size());
  for (size_t i = 0; i < num_frames; ++i) {
    model.decode_frame(decoder, std::span(decoded).subspan(i * num_codebooks, num_codebooks), &decoder_bits);
  }
  EXPECT_EQ(decoded, codes);
  EXPECT_EQ(decoder.range(), final_range);
  EXPECT_TRUE(decoder.finish());
  EXPECT_EQ(decoder_bits.bits, encoder_bits.bits);
  return bytes.size();
}

TEST_P(AdaptiveModelOn, CodesComeBackAtTheLengthOfTheirProbabilities) {
  const Case& c = GetParam();
  const auto codes = make_codes(c.num_frames, c.num_codebooks, c.codebook_size, c.exponent, c.repeat, 1);
  const size_t bytes = round_trip(c.num_codebooks, c.codebook_size, codes);
  const double raw_bytes = static_cast<double>(codes.size()) * std::bit_width(c.codebook_size - 1) / 8;
  RecordProperty("ratio_percent", static_cast<int>(100 * static_cast<double>(bytes) / raw_bytes));
  EXPECT_LE(static_cast<double>(bytes), c.max_ratio * raw_bytes + 2);
}

INSTANTIATE_TEST_SUITE_P(
    Codes, AdaptiveModelOn,
    testing::Values(Case{"OneFrame", 1, 8, 1024, 1.0, 0.0, 1.2}, Case{"SmallestBook", 512, 8, 2, 2.0, 0.0, 0.9},
                    Case{"LargestBook", 512, 2, 65536, 1.2, 0.1, 0.75},
                    Case{"SizeNoPowerOfTwo", 512, 8, 1000, 1.0, 0.0, 0.9},
                    Case{"MostBooks", 64, 32, 1024, 1.0, 0.0, 0.95}, Case{"Skewed", 512, 8, 1024, 1.2, 0.0, 0.8},
                    Case{"Markov", 512, 8, 1024, 0.8, 0.5, 0.75}, Case{"Uniform", 512, 8, 1024, 0.0, 0.0, 1.04},
                    Case{"Long", 20000, 4, 1024, 1.0, 0.1, 0.8}),
    [](const auto& param) { return param.param.name; });

TEST(AdaptiveModel, RepeatedFramesAreNearlyFree) {
  // 512 frames at 43.07 frames a second: 20 bit/s are 237 bits.
  for (uint32_t seed = 1; seed < 6; ++seed) {
    auto codes = make_codes(1, 8, 1024, 0.0, 0.0, seed);
    const size_t first = round_trip(8, 1024, codes);
    for (int i = 1; i < 512; ++i) codes.insert(codes.end(), codes.begin(), codes.begin() + 8);
    EXPECT_LE((round_trip(8, 1024, codes) - first) * 8, 237U / 2);
  }
}

TEST(AdaptiveModel, ExtremeCodesComeBack) {
  for (const uint32_t size : {2U, 3U, 5U, 1023U, 1024U, 1025U, 65535U, 65536U}) {
    std::vector<uint16_t> codes;
    for (int i = 0; i < 200; ++i) codes.push_back(static_cast<uint16_t>(i % 3 == 0 ? 0 : size - 1));
    round_trip(2, size, codes);
  }
}

TEST(AdaptiveModel, AnyBytesDecodeToCodesInTheBook) {
  std::mt19937 random(3);
  for (const uint32_t size : {2U, 3U, 600U, 1024U}) {
    std::vector<uint8_t> bytes(400);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
    AdaptiveModel model(4, size);
    RangeDecoder decoder(bytes);
    uint16_t frame[4];
    for (int i = 0; i < 1000; ++i) {
      model.decode_frame(decoder, frame);
      for (const uint16_t code : frame) ASSERT_LT(code, size);
    }
  }
}

}  // namespace
}  // namespace vqcodec::codec
