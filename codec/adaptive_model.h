// The integer adaptive model: a probability for every bit of every code, learned from the codes before it in the
// same stream. It needs no network and only integer arithmetic, so it gives the same on every machine.
// codec/FORMAT.md, "Coder 1", is its specification.
//
// A frame begins with one bit that says whether it repeats the frame before. Otherwise each code is coded from its
// most significant bit down. Six counters see each bit in different contexts (the bits before it, with the code of the
// frame before, of the two codebooks before, or neither); a gated logistic mixer weighs them (M. Mahoney's PAQ
// family), with weights that also depend on how much a counter has seen, because streams are short. Codes should be
// ordered by frequency of use, most frequent first: then the bits near the top are learned quickest.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "codec/code_grid.h"
#include "codec/range_coder.h"

namespace vqcodec::codec {

class AdaptiveModel {
 public:
  // Limits as StreamInfo's. Holds about 1.5 MiB whatever they are.
  AdaptiveModel(uint32_t num_codebooks, uint32_t codebook_size);

  // Forgets everything; every stream begins so.
  void reset();

  // Codes one frame, codes: [num_codebooks] in [0, codebook_size). `bits`, if any, gets what each codebook cost; the
  // repeat bit is shared among them.
  void encode_frame(RangeEncoder& encoder, std::span<const uint16_t> codes, CodebookBits* bits = nullptr);
  // Fills codes: [num_codebooks]. Whatever the decoder's bytes are, the codes lie in [0, codebook_size).
  void decode_frame(RangeDecoder& decoder, std::span<uint16_t> codes, CodebookBits* bits = nullptr);

 private:
  static constexpr int kNumInputs = 6;
  static constexpr int kNumConfidences = 6;

  template <class BitCoder>
  void code_frame(BitCoder& coder, std::span<uint16_t> codes);
  template <class BitCoder>
  uint32_t code_one(BitCoder& coder, uint32_t codebook, uint32_t code, uint32_t above, uint32_t above2);
  template <class BitCoder>
  bool code_bit(BitCoder& coder, bool bit, const uint32_t (&slots)[kNumInputs], uint32_t depth);

  uint32_t num_codebooks_;
  uint32_t codebook_size_;
  uint32_t code_bits_;
  uint32_t repeat_history_ = 0;  // the last three repeat bits
  std::array<uint32_t, 8> repeat_counters_;
  // [kNumInputs, 2^16], as repeat_counters_: 22 bits of probability that the bit is 1, 10 of count.
  std::unique_ptr<uint32_t[]> counters_;
  std::vector<int32_t> weights_;    // [code_bits, kNumInputs, kNumConfidences], 65536 is 1.0
  std::vector<uint16_t> previous_;  // [num_codebooks], the frame before; zeros at first
};

}  // namespace vqcodec::codec
