#include "codec/range_coder.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "codec/cdf.h"

namespace vqcodec::codec {
namespace {

struct Coded {
  std::vector<uint8_t> bytes;
  uint64_t final_range = 0;
  double ideal_bits = 0.0;
};

Coded encode(const std::vector<uint32_t>& cum, const std::vector<uint32_t>& symbols, uint32_t total_bits) {
  RangeEncoder encoder;
  Coded coded;
  for (const uint32_t symbol : symbols) {
    const uint32_t freq = cum[symbol + 1] - cum[symbol];
    encoder.encode(cum[symbol], freq, total_bits);
    coded.ideal_bits += total_bits - std::log2(freq);
  }
  coded.final_range = encoder.range();
  coded.bytes = encoder.finish();
  return coded;
}

void expect_round_trip(const std::vector<float>& weights, const std::vector<uint32_t>& symbols, uint32_t total_bits) {
  std::vector<uint32_t> cum(weights.size() + 1);
  ASSERT_TRUE(build_cdf(weights, total_bits, cum));
  const Coded coded = encode(cum, symbols, total_bits);
  EXPECT_LE(static_cast<double>(coded.bytes.size()) * 8, coded.ideal_bits * 1.0005 + 64);
  EXPECT_GE(static_cast<double>(coded.bytes.size()) * 8, coded.ideal_bits - 1);
  RangeDecoder decoder(coded.bytes);
  for (size_t i = 0; i < symbols.size(); ++i) {
    const uint32_t found = find_symbol(cum, decoder.decode_target(total_bits));
    ASSERT_EQ(found, symbols[i]) << "at " << i;
    decoder.consume(cum[found], cum[found + 1] - cum[found], total_bits);
  }
  EXPECT_EQ(decoder.range(), coded.final_range);
  EXPECT_FALSE(decoder.truncated());
  EXPECT_TRUE(decoder.finish());
}

std::vector<uint32_t> draw(const std::vector<float>& weights, size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::discrete_distribution<uint32_t> distribution(weights.begin(), weights.end());
  std::vector<uint32_t> symbols(count);
  for (uint32_t& symbol : symbols) symbol = distribution(random);
  return symbols;
}

struct Alphabet {
  uint32_t size;
  uint32_t total_bits;
};

class RangeCoderOfAlphabet : public testing::TestWithParam<Alphabet> {};

TEST_P(RangeCoderOfAlphabet, UniformComesBackAtIdealLength) {
  const std::vector<float> weights(GetParam().size, 1.0F);
  expect_round_trip(weights, draw(weights, 20000, 1), GetParam().total_bits);
}

TEST_P(RangeCoderOfAlphabet, SkewedComesBackAtIdealLength) {
  std::vector<float> weights;
  for (uint32_t i = 0; i < GetParam().size; ++i) weights.push_back(1.0F / static_cast<float>((i + 1) * (i + 1)));
  expect_round_trip(weights, draw(weights, 20000, 2), GetParam().total_bits);
}

TEST_P(RangeCoderOfAlphabet, ImprobableSymbolsComeBack) {
  std::vector<float> weights(GetParam().size, 0.0F);
  weights[0] = 1.0F;
  expect_round_trip(weights, draw(std::vector<float>(GetParam().size, 1.0F), 2000, 3), GetParam().total_bits);
}

INSTANTIATE_TEST_SUITE_P(Sizes, RangeCoderOfAlphabet,
                         testing::Values(Alphabet{1, 20}, Alphabet{2, 20}, Alphabet{3, 24}, Alphabet{1024, 20},
                                         Alphabet{1024, 24}, Alphabet{65536, 20}, Alphabet{65536, 24}));

TEST(RangeCoder, NothingIsOneByte) {
  RangeEncoder encoder;
  const auto bytes = encoder.finish();
  EXPECT_EQ(bytes.size(), 1U);
  EXPECT_TRUE(RangeDecoder(bytes).finish());
}

TEST(RangeCoder, CarriesGoThroughRunsOfFullBytes) {
  // The last of many symbols every time keeps low just under a carry; then the first of two moves across it.
  for (uint32_t length = 1; length < 60; ++length) {
    RangeEncoder encoder;
    std::vector<uint32_t> cums;
    for (uint32_t i = 0; i < length; ++i) cums.push_back((1U << 24) - 1);
    cums.push_back(length % 2 == 0 ? 0 : (1U << 24) - 2);
    for (const uint32_t cum : cums) encoder.encode(cum, 1, 24);
    const auto bytes = encoder.finish();
    RangeDecoder decoder(bytes);
    for (const uint32_t cum : cums) {
      ASSERT_EQ(decoder.decode_target(24), cum);
      decoder.consume(cum, 1, 24);
    }
    EXPECT_TRUE(decoder.finish());
  }
}

TEST(RangeCoder, BitsOfEveryProbabilityComeBack) {
  std::mt19937 random(5);
  std::vector<uint32_t> zeros;
  std::vector<bool> bits;
  RangeEncoder encoder;
  double ideal_bits = 0.0;
  for (int i = 0; i < 100000; ++i) {
    const uint32_t shape = static_cast<uint32_t>(random() % 3);
    zeros.push_back(shape == 0 ? 1 : shape == 1 ? 65535 : 1 + static_cast<uint32_t>(random() % 65535));
    bits.push_back(random() % 65536 >= zeros.back());
    ideal_bits += 16 - std::log2(bits.back() ? 65536 - zeros.back() : zeros.back());
    encoder.encode_bit(bits.back(), zeros.back(), 16);
  }
  const uint64_t final_range = encoder.range();
  const auto bytes = encoder.finish();
  EXPECT_LE(static_cast<double>(bytes.size()) * 8, ideal_bits * 1.0005 + 64);
  RangeDecoder decoder(bytes);
  for (size_t i = 0; i < bits.size(); ++i) ASSERT_EQ(decoder.decode_bit(zeros[i], 16), bits[i]) << "at " << i;
  EXPECT_EQ(decoder.range(), final_range);
  EXPECT_TRUE(decoder.finish());
}

TEST(RangeDecoder, TruncatedInputReturnsTruncated) {
  std::mt19937 random(6);
  RangeEncoder encoder;
  for (int i = 0; i < 300; ++i) encoder.encode(static_cast<uint32_t>(random() % 1024), 1, 10);
  const auto bytes = encoder.finish();
  for (size_t size = 0; size < bytes.size(); ++size) {
    RangeDecoder decoder{std::span(bytes).first(size)};
    for (int i = 0; i < 300; ++i) decoder.consume(decoder.decode_target(10), 1, 10);
    EXPECT_TRUE(decoder.truncated()) << size;
    const auto end = decoder.finish();
    ASSERT_FALSE(end.ok());
    EXPECT_EQ(end.error().code, Errc::kTruncated);
  }
}

TEST(RangeDecoder, BytesLeftOverReturnBadStream) {
  RangeEncoder encoder;
  for (int i = 0; i < 30; ++i) encoder.encode(5, 1, 10);
  auto bytes = encoder.finish();
  bytes.push_back(0);
  RangeDecoder decoder(bytes);
  for (int i = 0; i < 30; ++i) decoder.consume(decoder.decode_target(10), 1, 10);
  const auto end = decoder.finish();
  ASSERT_FALSE(end.ok());
  EXPECT_EQ(end.error().code, Errc::kBadStream);
  EXPECT_EQ(end.error().byte_offset, bytes.size() - 1);
}

TEST(RangeDecoder, TargetsOfAnyBytesAreInRange) {
  std::mt19937 random(7);
  for (int trial = 0; trial < 200; ++trial) {
    std::vector<uint8_t> bytes(50);
    for (uint8_t& byte : bytes) byte = trial == 0 ? 0xFF : static_cast<uint8_t>(random());
    RangeDecoder decoder(bytes);
    for (int i = 0; i < 100; ++i) {
      const uint32_t target = decoder.decode_target(20);
      ASSERT_LT(target, 1U << 20);
      decoder.consume(target, 1, 20);
    }
  }
}

}  // namespace
}  // namespace vqcodec::codec
