// The one rule that turns a network's probabilities into the counts that the range coder uses. Everything after
// step 2 is integer arithmetic; steps 1 and 2 are single IEEE operations, so that equal floats give equal counts on
// every machine.
//
//   1. A weight that is NaN, zero or negative counts as 0. If some weight is +infinity, those weigh 1 each and all
//      others 0. If nothing is left (all 0), every weight is 1. m is the largest weight.
//   2. q[i] = floor(double(w[i]) / double(m) * 2^23): the one rounding (the quotient's, to nearest even; the scaling
//      is exact), then a floor.
//   3. Q[i] = q[0] + ... + q[i-1], S = Q[n].
//   4. cum[i] = i + floor(Q[i] * (2^k - n) / S). So cum[0] = 0, cum[n] = 2^k and cum[i+1] - cum[i] >= 1: rounding
//      the sums instead of the counts leaves no remainder to hand out.
#pragma once

#include <cstdint>
#include <span>

#include "codec/result.h"

namespace vqcodec::codec {

inline constexpr uint32_t kMinCdfTotalBits = 20;

// Writes cum[0..n] for weights[0..n), which need not sum to 1. 1 <= n <= 65536,
// kMinCdfTotalBits <= total_bits <= kMaxTotalBits, cum.size() == n + 1; kBadArgument otherwise.
// Symbol i has cum[i+1] - cum[i] counts from cum[i] on.
Result<void> build_cdf(std::span<const float> weights, uint32_t total_bits, std::span<uint32_t> cum);

// The symbol whose counts hold `target` < cum.back().
uint32_t find_symbol(std::span<const uint32_t> cum, uint32_t target);

// One symbol of the table that build_cdf() gives, without building it: a coder needs no more, and the table's integer
// divisions cost more than all else.
struct SymbolCounts {
  uint32_t symbol = 0;
  uint32_t cum = 0;
  uint32_t freq = 0;
  bool operator==(const SymbolCounts&) const = default;
};

// cum[symbol], and cum[symbol + 1] - cum[symbol]. Limits as build_cdf(), and symbol < n; kBadArgument otherwise.
Result<SymbolCounts> counts_of_symbol(std::span<const float> weights, uint32_t total_bits, uint32_t symbol);

// The symbol whose counts hold `target`. Limits as build_cdf(), and target < 2^total_bits; kBadArgument otherwise.
Result<SymbolCounts> symbol_at(std::span<const float> weights, uint32_t total_bits, uint32_t target);

}  // namespace vqcodec::codec
