// Range coder with a 64-bit range (G. N. N. Martin, 1979), bytes out from the most significant end, carries
// propagated into the bytes already written. The range never falls under 2^56, so that with totals up to 2^24 a
// symbol costs less than 2^-31 bits more than -log2 of its frequency.
//
// The decoder reads zero bytes after the end of its input and counts them; a whole stream is used up exactly:
// finish() says so. Nothing is ever read outside of the input.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "codec/result.h"

namespace vqcodec::codec {

inline constexpr uint32_t kMaxTotalBits = 24;

class RangeEncoder {
 public:
  // Encodes a symbol that has `freq` counts from `cum` on, of 2^total_bits in all.
  // 1 <= freq, cum + freq <= 2^total_bits, 1 <= total_bits <= kMaxTotalBits.
  void encode(uint32_t cum, uint32_t freq, uint32_t total_bits) {
    const uint64_t unit = range_ >> total_bits;
    const uint64_t start = unit * cum;
    add(start);
    // The last symbol also gets what the division leaves over; so every value of the decoder is some symbol's.
    range_ = cum + freq == uint32_t{1} << total_bits ? range_ - start : unit * freq;
    while (range_ < kMinRange) shift();
  }

  // Encodes a bit that is 0 with `zeros` counts of 2^total_bits, 1 <= zeros < 2^total_bits.
  void encode_bit(bool bit, uint32_t zeros, uint32_t total_bits) {
    const uint64_t bound = (range_ >> total_bits) * zeros;
    if (bit) {
      add(bound);
      range_ -= bound;
    } else {
      range_ = bound;
    }
    while (range_ < kMinRange) shift();
  }

  // Ends the stream with one byte more and returns it; the encoder must not be used after that.
  std::vector<uint8_t> finish() {
    // range_ >= 2^56, so a multiple of 2^56 lies in [low, low + range): its lower bytes are the zeros that the
    // decoder reads after the end.
    add(kMinRange - 1);
    bytes_.push_back(static_cast<uint8_t>(low_ >> 56));
    return std::move(bytes_);
  }

  size_t size_bytes() const { return bytes_.size(); }
  // Equal to RangeDecoder::range() after the same symbols.
  uint64_t range() const { return range_; }

 private:
  static constexpr uint64_t kMinRange = uint64_t{1} << 56;

  void add(uint64_t amount) {
    low_ += amount;
    if (low_ < amount) {  // a carry; low as a whole is a number below 1, so some byte before takes it
      for (size_t i = bytes_.size(); i > 0 && ++bytes_[i - 1] == 0; --i) {
      }
    }
  }
  void shift() {
    bytes_.push_back(static_cast<uint8_t>(low_ >> 56));
    low_ <<= 8;
    range_ <<= 8;
  }

  uint64_t low_ = 0;
  uint64_t range_ = ~uint64_t{0};
  std::vector<uint8_t> bytes_;
};

class RangeDecoder {
 public:
  // `bytes` must live as long as the decoder.
  explicit RangeDecoder(std::span<const uint8_t> bytes) : bytes_(bytes) {
    for (int i = 0; i < 8; ++i) code_ = code_ << 8 | next_byte();
  }

  // A count in [0, 2^total_bits): the next symbol is the one whose counts hold it. consume() must follow.
  uint32_t decode_target(uint32_t total_bits) const {
    const uint64_t target = code_ / (range_ >> total_bits);
    return static_cast<uint32_t>(std::min(target, (uint64_t{1} << total_bits) - 1));
  }
  // Removes the symbol that decode_target() found; its counts as in RangeEncoder::encode().
  void consume(uint32_t cum, uint32_t freq, uint32_t total_bits) {
    const uint64_t unit = range_ >> total_bits;
    const uint64_t start = unit * cum;
    code_ -= start;
    range_ = cum + freq == uint32_t{1} << total_bits ? range_ - start : unit * freq;
    while (range_ < kMinRange) shift();
  }
  bool decode_bit(uint32_t zeros, uint32_t total_bits) {
    const uint64_t bound = (range_ >> total_bits) * zeros;
    const bool bit = code_ >= bound;
    if (bit) {
      code_ -= bound;
      range_ -= bound;
    } else {
      range_ = bound;
    }
    while (range_ < kMinRange) shift();
    return bit;
  }

  // True as soon as the symbols need more bytes than there are; what was decoded since is worthless.
  bool truncated() const { return position_ > bytes_.size() + kReadAhead; }
  // After the last symbol: kTruncated if bytes are missing, kBadStream if some are left. Offsets are in `bytes`.
  Result<void> finish() const {
    const size_t used = position_ - kReadAhead;
    if (used > bytes_.size()) {
      return ErrorInfo{Errc::kTruncated, "the stream's " + std::to_string(bytes_.size()) + " bytes end too early",
                       bytes_.size()};
    }
    if (used < bytes_.size()) {
      return ErrorInfo{Errc::kBadStream,
                       std::to_string(bytes_.size() - used) + " bytes are left after the stream's last code", used};
    }
    return {};
  }
  uint64_t range() const { return range_; }

 private:
  static constexpr uint64_t kMinRange = uint64_t{1} << 56;
  static constexpr size_t kReadAhead = 7;  // the decoder holds 8 bytes, of which the encoder wrote the first

  uint8_t next_byte() {
    const size_t at = position_++;
    return at < bytes_.size() ? bytes_[at] : 0;
  }
  void shift() {
    code_ = code_ << 8 | next_byte();
    range_ <<= 8;
  }

  std::span<const uint8_t> bytes_;
  size_t position_ = 0;
  uint64_t code_ = 0;  // always below range_
  uint64_t range_ = ~uint64_t{0};
};

}  // namespace vqcodec::codec
