#include "codec/adaptive_model.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

namespace vqcodec::codec {
namespace {

constexpr uint32_t kProbabilityBits = 16;
constexpr uint32_t kTableBits = 16;
// Probability one half, nothing seen. Counters are stored xor this, so that zeroed memory is a fresh model.
constexpr uint32_t kCounterStart = uint32_t{1} << 31;
constexpr uint32_t kCounterLimit = 20;  // counts of a code's bits: forgets, because music changes
constexpr uint32_t kRepeatLimit = 255;
constexpr int32_t kMaxStretch = 2840;    // ln(65535) x 256
constexpr int32_t kMaxWeight = 1 << 20;  // 16.0
constexpr int32_t kFirstWeight = 2000;   // times the confidence, 0..5
constexpr int kLearningShift = 14;

struct Tables {
  // squash_down[x] = 65536 / (1 + e^(x / 256)), x >= 0.
  std::array<int32_t, kMaxStretch + 1> squash_down;
  // stretch[q] = 256 ln(p / (1 - p)) for p = (q + 1/2) / 4096.
  std::array<int16_t, 4096> stretch;
  // 65536 / (n + 3/2): how far a counter that has seen n bits moves.
  std::array<int32_t, kRepeatLimit + 1> step;

  Tables() {
    constexpr uint64_t kDecay = 4278222805;  // floor(2^32 e^(-1/256))
    constexpr uint64_t kOne = uint64_t{1} << 32;
    uint64_t power = kOne;
    for (int32_t& value : squash_down) {
      value = std::max<int32_t>(1, static_cast<int32_t>((power << 16) / (kOne + power)));
      power = power * kDecay >> 32;
    }
    int32_t x = -kMaxStretch;
    for (int32_t q = 0; q < 4096; ++q) {
      while (x < kMaxStretch && squash(x) < 16 * q + 8) ++x;
      stretch[static_cast<size_t>(q)] = static_cast<int16_t>(x);
    }
    for (uint32_t n = 0; n < step.size(); ++n) step[n] = static_cast<int32_t>(131072 / (2 * n + 3));
  }
  int32_t squash(int32_t x) const {
    return x >= 0 ? 65536 - squash_down[static_cast<size_t>(x)] : squash_down[static_cast<size_t>(-x)];
  }
};
const Tables kTables;

// How much a counter's word is worth: 0 for one that has seen nothing, up to 5.
constexpr std::array<uint8_t, kCounterLimit + 1> kConfidence = {0, 1, 2, 3, 3, 4, 4, 4, 4, 5, 5,
                                                                5, 5, 5, 5, 5, 5, 5, 5, 5, 5};

void update(uint32_t& stored, bool bit, uint32_t limit) {
  const uint32_t counter = stored ^ kCounterStart;
  const uint32_t seen = counter & 1023;
  const auto probability = static_cast<int64_t>(counter >> 10);
  const int64_t target = bit ? (1 << 22) - 1 : 0;
  const int64_t moved = probability + ((target - probability) * kTables.step[seen] >> 16);
  stored = (static_cast<uint32_t>(moved) << 10 | std::min(seen + 1, limit)) ^ kCounterStart;
}

uint32_t slot(uint32_t codebook, uint32_t node, uint32_t context) {
  uint32_t x = codebook * 0x9E3779B1U ^ node * 0x85EBCA6BU ^ context * 0xC2B2AE35U;
  x ^= x >> 15;
  x *= 0x2C1B3C6DU;
  x ^= x >> 13;
  return x >> (32 - kTableBits);
}

double cost_bits(bool bit, uint32_t zeros) {
  return kProbabilityBits - std::log2(static_cast<double>(bit ? 65536 - zeros : zeros));
}

struct BitEncoder {
  RangeEncoder& range;
  CodebookBits* bits;
  double cost = 0.0;
  bool code(bool bit, uint32_t zeros) {
    range.encode_bit(bit, zeros, kProbabilityBits);
    if (bits != nullptr) cost += cost_bits(bit, zeros);
    return bit;
  }
};

struct BitDecoder {
  RangeDecoder& range;
  CodebookBits* bits;
  double cost = 0.0;
  bool code(bool, uint32_t zeros) {
    const bool bit = range.decode_bit(zeros, kProbabilityBits);
    if (bits != nullptr) cost += cost_bits(bit, zeros);
    return bit;
  }
};

}  // namespace

AdaptiveModel::AdaptiveModel(uint32_t num_codebooks, uint32_t codebook_size)
    : num_codebooks_(num_codebooks),
      codebook_size_(codebook_size),
      code_bits_(static_cast<uint32_t>(std::bit_width(codebook_size - 1U))),
      counters_(std::make_unique_for_overwrite<uint32_t[]>(size_t{kNumInputs} << kTableBits)) {
  reset();
}

void AdaptiveModel::reset() {
  repeat_history_ = 0;
  repeat_counters_.fill(0);
  std::memset(counters_.get(), 0, sizeof(uint32_t) * (size_t{kNumInputs} << kTableBits));
  weights_.resize(size_t{code_bits_} * kNumInputs * kNumConfidences);
  for (size_t i = 0; i < weights_.size(); ++i) {
    weights_[i] = kFirstWeight * static_cast<int32_t>(i % kNumConfidences);
  }
  previous_.assign(num_codebooks_, 0);
}

template <class BitCoder>
bool AdaptiveModel::code_bit(BitCoder& coder, bool bit, const uint32_t (&slots)[kNumInputs], uint32_t depth) {
  uint32_t* counters[kNumInputs];
  int32_t* weights[kNumInputs];
  int32_t stretched[kNumInputs];
  int64_t sum = 0;
  for (size_t i = 0; i < kNumInputs; ++i) {
    counters[i] = &counters_[(i << kTableBits) + slots[i]];
    const uint32_t counter = *counters[i] ^ kCounterStart;
    weights[i] = &weights_[(depth * kNumInputs + i) * kNumConfidences + kConfidence[counter & 1023]];
    stretched[i] = kTables.stretch[counter >> 20];
    sum += int64_t{*weights[i]} * stretched[i];
  }
  const auto x = static_cast<int32_t>(std::clamp<int64_t>(sum >> 16, -kMaxStretch, kMaxStretch));
  const int32_t ones = kTables.squash(x);
  bit = coder.code(bit, static_cast<uint32_t>(65536 - ones));
  const int64_t error = (bit ? 65536 : 0) - ones;
  for (size_t i = 0; i < kNumInputs; ++i) {
    const int64_t change = (stretched[i] * error + (1 << (kLearningShift - 1))) >> kLearningShift;
    *weights[i] = static_cast<int32_t>(std::clamp<int64_t>(*weights[i] + change, -kMaxWeight, kMaxWeight));
    update(*counters[i], bit, kCounterLimit);
  }
  return bit;
}

// `above` and `above2` are the codes of this frame in the codebook before and the one before that, 0 where none is.
template <class BitCoder>
uint32_t AdaptiveModel::code_one(BitCoder& coder, uint32_t codebook, uint32_t code, uint32_t above, uint32_t above2) {
  const uint32_t before = previous_[codebook];
  const auto above_size = static_cast<uint32_t>(std::bit_width(above));
  uint32_t node = 1;  // a one and then the code's bits so far
  uint32_t num_leading_zeros = 0;
  for (uint32_t depth = 0; depth < code_bits_; ++depth) {
    const uint32_t shift = code_bits_ - 1 - depth;
    bool bit = false;
    const uint32_t code_with_one = ((node << 1 | 1) << shift) - (uint32_t{1} << code_bits_);
    if (code_with_one < codebook_size_) {  // else a 1 would leave the codebook: the bit is 0 and costs nothing
      const uint32_t place = depth * 32 + num_leading_zeros;
      const uint32_t slots[kNumInputs] = {slot(codebook, node, 0),
                                          slot(codebook, place, above_size),
                                          slot(codebook, node, before + 1),
                                          slot(codebook, node, above + 1),
                                          slot(0, place, 0),
                                          slot(codebook, node, above2 + 1)};
      bit = code_bit(coder, (code >> shift & 1) != 0, slots, depth);
    }
    if (!bit && num_leading_zeros == depth) ++num_leading_zeros;
    node = node << 1 | static_cast<uint32_t>(bit);
  }
  return node - (uint32_t{1} << code_bits_);
}

template <class BitCoder>
void AdaptiveModel::code_frame(BitCoder& coder, std::span<uint16_t> codes) {
  const auto settle = [&](uint32_t first, uint32_t count) {
    if (coder.bits == nullptr) return;
    coder.bits->bits.resize(std::max<size_t>(coder.bits->bits.size(), num_codebooks_));
    for (uint32_t k = first; k < first + count; ++k) coder.bits->bits[k] += coder.cost / count;
    coder.cost = 0.0;
  };
  uint32_t& counter = repeat_counters_[repeat_history_];
  const uint32_t ones = std::clamp<uint32_t>((counter ^ kCounterStart) >> 16, 1, 65535);
  const bool repeat = coder.code(std::equal(codes.begin(), codes.end(), previous_.begin()), 65536 - ones);
  update(counter, repeat, kRepeatLimit);
  repeat_history_ = (repeat_history_ << 1 | static_cast<uint32_t>(repeat)) & 7;
  settle(0, num_codebooks_);
  if (!repeat) {
    uint32_t above = 0;
    uint32_t above2 = 0;
    for (uint32_t k = 0; k < num_codebooks_; ++k) {
      const uint32_t code = code_one(coder, k, codes[k], above, above2);
      previous_[k] = static_cast<uint16_t>(code);
      above2 = above;
      above = code;
      settle(k, 1);
    }
  }
  std::copy(previous_.begin(), previous_.end(), codes.begin());
}

void AdaptiveModel::encode_frame(RangeEncoder& encoder, std::span<const uint16_t> codes, CodebookBits* bits) {
  uint16_t frame[kMaxCodebooks];
  std::copy_n(codes.begin(), num_codebooks_, frame);
  BitEncoder coder{encoder, bits};
  code_frame(coder, {frame, num_codebooks_});
}

void AdaptiveModel::decode_frame(RangeDecoder& decoder, std::span<uint16_t> codes, CodebookBits* bits) {
  BitDecoder coder{decoder, bits};
  code_frame(coder, codes.first(num_codebooks_));
}

}  // namespace vqcodec::codec
