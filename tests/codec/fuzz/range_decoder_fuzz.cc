// Any bytes as a range coder's stream and as codes. The first three bytes choose the shape.
#include <algorithm>
#include <bit>
#include <cstdlib>
#include <span>
#include <vector>

#include "codec/adaptive_model.h"
#include "codec/cdf.h"
#include "codec/range_coder.h"

using namespace vqcodec::codec;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

// Arbitrary bytes decode to something in range and encoding that again gives the same something.
void decode_any(std::span<const uint8_t> bytes, uint32_t num_codebooks, uint32_t codebook_size) {
  AdaptiveModel model(num_codebooks, codebook_size);
  RangeDecoder decoder(bytes);
  std::vector<uint16_t> codes;
  std::vector<uint16_t> frame(num_codebooks);
  for (int i = 0; i < 200 && !decoder.truncated(); ++i) {
    model.decode_frame(decoder, frame);
    for (const uint16_t code : frame) require(code < codebook_size);
    codes.insert(codes.end(), frame.begin(), frame.end());
  }
  model.reset();
  RangeEncoder encoder;
  for (size_t i = 0; i < codes.size(); i += num_codebooks) {
    model.encode_frame(encoder, std::span(codes).subspan(i, num_codebooks));
  }
  const uint64_t final_range = encoder.range();
  const auto again = encoder.finish();
  model.reset();
  RangeDecoder second(again);
  for (size_t i = 0; i < codes.size(); i += num_codebooks) {
    model.decode_frame(second, frame);
    require(std::equal(frame.begin(), frame.end(), codes.begin() + static_cast<ptrdiff_t>(i)));
  }
  require(second.finish().ok() && second.range() == final_range);
}

// The bytes as codes: coded and decoded, they come back.
void round_trip(std::span<const uint8_t> bytes, uint32_t num_codebooks, uint32_t codebook_size) {
  AdaptiveModel model(num_codebooks, codebook_size);
  const size_t num_frames = std::min<size_t>(bytes.size() / (2 * num_codebooks), 200);
  std::vector<uint16_t> codes(num_frames * num_codebooks);
  for (size_t i = 0; i < codes.size(); ++i) {
    codes[i] = static_cast<uint16_t>((bytes[2 * i] | bytes[2 * i + 1] << 8) % static_cast<int>(codebook_size));
  }
  RangeEncoder encoder;
  for (size_t i = 0; i < num_frames; ++i) {
    model.encode_frame(encoder, std::span(codes).subspan(i * num_codebooks, num_codebooks));
  }
  const auto coded = encoder.finish();
  model.reset();
  RangeDecoder decoder(coded);
  std::vector<uint16_t> frame(num_codebooks);
  for (size_t i = 0; i < num_frames; ++i) {
    model.decode_frame(decoder, frame);
    require(std::equal(frame.begin(), frame.end(), codes.begin() + static_cast<ptrdiff_t>(i * num_codebooks)));
  }
  require(decoder.finish().ok());
}

// Symbols of a table made from any floats.
void symbols(std::span<const uint8_t> bytes, uint32_t total_bits) {
  std::vector<float> weights(std::min<size_t>(bytes.size() / 4, 300));
  if (weights.empty()) return;
  for (size_t i = 0; i < weights.size(); ++i) {
    const uint32_t word =
        bytes[4 * i] | bytes[4 * i + 1] << 8 | bytes[4 * i + 2] << 16 | static_cast<uint32_t>(bytes[4 * i + 3]) << 24;
    weights[i] = std::bit_cast<float>(word);
  }
  std::vector<uint32_t> cum(weights.size() + 1);
  require(build_cdf(weights, total_bits, cum).ok());
  require(cum.front() == 0 && cum.back() == 1U << total_bits);
  for (size_t i = 0; i < weights.size(); ++i) require(cum[i + 1] > cum[i]);
  RangeDecoder decoder(bytes);
  RangeEncoder encoder;
  std::vector<uint32_t> found;
  while (!decoder.truncated() && found.size() < 1000) {
    const uint32_t symbol = find_symbol(cum, decoder.decode_target(total_bits));
    require(symbol < weights.size());
    decoder.consume(cum[symbol], cum[symbol + 1] - cum[symbol], total_bits);
    encoder.encode(cum[symbol], cum[symbol + 1] - cum[symbol], total_bits);
    found.push_back(symbol);
    if (weights.size() == 1) break;
  }
  const auto coded = encoder.finish();
  RangeDecoder second(coded);
  for (const uint32_t symbol : found) {
    require(find_symbol(cum, second.decode_target(total_bits)) == symbol);
    second.consume(cum[symbol], cum[symbol + 1] - cum[symbol], total_bits);
  }
  require(second.finish().ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  const std::span<const uint8_t> bytes(data + 3, size - 3);
  const uint32_t num_codebooks = 1 + data[0] % 8;
  const uint32_t sizes[] = {2, 3, 64, 600, 1024, 65536};
  const uint32_t codebook_size = sizes[data[1] % 6];
  switch (data[2] % 3) {
    case 0: decode_any(bytes, num_codebooks, codebook_size); break;
    case 1: round_trip(bytes, num_codebooks, codebook_size); break;
    default: symbols(bytes, 20 + data[0] % 5); break;
  }
  return 0;
}
