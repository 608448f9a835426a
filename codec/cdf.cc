#include "codec/cdf.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "codec/range_coder.h"

namespace vqcodec::codec {

Result<void> build_cdf(std::span<const float> weights, uint32_t total_bits, std::span<uint32_t> cum) {
  const size_t n = weights.size();
  if (n < 1 || n > 65536 || total_bits < kMinCdfTotalBits || total_bits > kMaxTotalBits || cum.size() != n + 1) {
    return ErrorInfo{Errc::kBadArgument,
                     "a table of " + std::to_string(n) + " weights, " + std::to_string(cum.size()) +
                         " counts and total 2^" + std::to_string(total_bits) +
                         "; expected 1..65536 weights, one count more and 2^20..2^24",
                     0};
  }
  float largest = 0.0F;
  for (const float weight : weights) {
    if (weight > largest) largest = weight;  // false for NaN
  }
  const bool has_infinity = largest == std::numeric_limits<float>::infinity();
  const auto quantise = [&](float weight) -> uint64_t {
    constexpr uint64_t kOne = uint64_t{1} << 23;
    if (largest == 0.0F) return kOne;
    if (has_infinity) return weight == largest ? kOne : 0;
    if (!(weight > 0.0F)) return 0;
    return static_cast<uint64_t>(static_cast<double>(weight) / static_cast<double>(largest) *
                                 static_cast<double>(kOne));
  };
  uint64_t sum = 0;
  for (const float weight : weights) sum += quantise(weight);
  // Q[i] <= 2^16 * 2^23 and 2^k - n < 2^24: the product fits 64 bits.
  const uint64_t spare = (uint64_t{1} << total_bits) - n;
  uint64_t before = 0;
  for (size_t i = 0; i < n; ++i) {
    cum[i] = static_cast<uint32_t>(i + before * spare / sum);
    before += quantise(weights[i]);
  }
  cum[n] = uint32_t{1} << total_bits;
  return {};
}

uint32_t find_symbol(std::span<const uint32_t> cum, uint32_t target) {
  return static_cast<uint32_t>(std::upper_bound(cum.begin(), cum.end(), target) - cum.begin() - 1);
}

}  // namespace vqcodec::codec
