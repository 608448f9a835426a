#include "codec/cdf.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "codec/range_coder.h"

namespace vqcodec::codec {
namespace {

// Steps 1 and 2 of the rule. Loops are written so that compilers can run them over several weights at once; every sum
// is one of integers, so that its order does not matter.
class Quantiser {
 public:
  explicit Quantiser(std::span<const float> weights) : weights_(weights) {
    constexpr size_t kLanes = 16;
    float lanes[kLanes] = {};
    size_t i = 0;
    for (; i + kLanes <= weights.size(); i += kLanes) {
      for (size_t lane = 0; lane < kLanes; ++lane) {
        const float weight = weights[i + lane];
        lanes[lane] = weight > lanes[lane] ? weight : lanes[lane];  // false for NaN
      }
    }
    for (; i < weights.size(); ++i) lanes[0] = weights[i] > lanes[0] ? weights[i] : lanes[0];
    largest_ = *std::max_element(lanes, lanes + kLanes);
  }

  // q[begin] + ... + q[end - 1], at most 2^16 * 2^23.
  uint64_t sum(size_t begin, size_t end) const {
    uint64_t total = 0;
    if (largest_ == 1.0F) {  // as the weights of a softmax are: the quotient is the weight
      for (size_t i = begin; i < end; ++i) {
        const float weight = weights_[i] > 0.0F ? weights_[i] : 0.0F;
        total += static_cast<uint32_t>(static_cast<int32_t>(weight * kOne));  // a power of two: the product is exact
      }
    } else if (largest_ == 0.0F) {
      total = (end - begin) * static_cast<uint64_t>(kOne);
    } else if (largest_ == std::numeric_limits<float>::infinity()) {
      for (size_t i = begin; i < end; ++i) total += weights_[i] == largest_ ? static_cast<uint64_t>(kOne) : 0;
    } else {
      const auto largest = static_cast<double>(largest_);
      for (size_t i = begin; i < end; ++i) {
        const auto weight = static_cast<double>(weights_[i] > 0.0F ? weights_[i] : 0.0F);
        total += static_cast<uint32_t>(static_cast<int32_t>(weight / largest * static_cast<double>(kOne)));
      }
    }
    return total;
  }

 private:
  static constexpr float kOne = 8388608.0F;  // 2^23
  std::span<const float> weights_;
  float largest_ = 0.0F;
};

bool is_possible(size_t num_weights, uint32_t total_bits) {
  return num_weights >= 1 && num_weights <= 65536 && total_bits >= kMinCdfTotalBits && total_bits <= kMaxTotalBits;
}

ErrorInfo bad_argument(const std::string& found) {
  return {Errc::kBadArgument,
          found + "; expected 1..65536 weights, one count more, symbols and targets below the ends, and 2^20..2^24", 0};
}

// cum[i], where `before` is Q[i].
uint32_t cum_of(size_t i, uint64_t before, uint64_t sum, size_t num_weights, uint32_t total_bits) {
  // Q[i] <= 2^16 * 2^23 and 2^k - n < 2^24: the product fits 64 bits.
  const uint64_t spare = (uint64_t{1} << total_bits) - num_weights;
  return static_cast<uint32_t>(i + before * spare / sum);
}

}  // namespace

Result<void> build_cdf(std::span<const float> weights, uint32_t total_bits, std::span<uint32_t> cum) {
  const size_t n = weights.size();
  if (!is_possible(n, total_bits) || cum.size() != n + 1) {
    return bad_argument("a table of " + std::to_string(n) + " weights, " + std::to_string(cum.size()) +
                        " counts and total 2^" + std::to_string(total_bits));
  }
  const Quantiser quantiser(weights);
  const uint64_t sum = quantiser.sum(0, n);
  uint64_t before = 0;
  for (size_t i = 0; i < n; ++i) {
    cum[i] = cum_of(i, before, sum, n, total_bits);
    before += quantiser.sum(i, i + 1);
  }
  cum[n] = uint32_t{1} << total_bits;
  return {};
}

uint32_t find_symbol(std::span<const uint32_t> cum, uint32_t target) {
  return static_cast<uint32_t>(std::upper_bound(cum.begin(), cum.end(), target) - cum.begin() - 1);
}

Result<SymbolCounts> counts_of_symbol(std::span<const float> weights, uint32_t total_bits, uint32_t symbol) {
  const size_t n = weights.size();
  if (!is_possible(n, total_bits) || symbol >= n) {
    return bad_argument("symbol " + std::to_string(symbol) + " of " + std::to_string(n) + " weights and total 2^" +
                        std::to_string(total_bits));
  }
  const Quantiser quantiser(weights);
  const uint64_t before = quantiser.sum(0, symbol);
  const uint64_t after = before + quantiser.sum(symbol, symbol + 1);
  const uint64_t sum = after + quantiser.sum(symbol + 1, n);
  const uint32_t cum = cum_of(symbol, before, sum, n, total_bits);
  return SymbolCounts{symbol, cum, cum_of(symbol + 1, after, sum, n, total_bits) - cum};
}

Result<SymbolCounts> symbol_at(std::span<const float> weights, uint32_t total_bits, uint32_t target) {
  const size_t n = weights.size();
  if (!is_possible(n, total_bits) || target >> total_bits != 0) {
    return bad_argument("target " + std::to_string(target) + " among " + std::to_string(n) + " weights and total 2^" +
                        std::to_string(total_bits));
  }
  const Quantiser quantiser(weights);
  const uint64_t sum = quantiser.sum(0, n);
  // cum rises with i: first the block whose counts hold the target, then the symbol within it.
  constexpr size_t kBlock = 64;
  size_t begin = 0;
  uint64_t before = 0;
  while (begin + kBlock < n) {
    const uint64_t next = before + quantiser.sum(begin, begin + kBlock);
    if (cum_of(begin + kBlock, next, sum, n, total_bits) > target) break;
    before = next;
    begin += kBlock;
  }
  uint32_t cum = cum_of(begin, before, sum, n, total_bits);
  for (size_t i = begin; i < n; ++i) {
    before += quantiser.sum(i, i + 1);
    const uint32_t next = cum_of(i + 1, before, sum, n, total_bits);
    if (next > target) return SymbolCounts{static_cast<uint32_t>(i), cum, next - cum};
    cum = next;
  }
  // Not reached: cum[n] is 2^total_bits.
  return bad_argument("target " + std::to_string(target));
}

}  // namespace vqcodec::codec
