#include "codec/crc32c.h"

#include <array>
#include <bit>
#include <cstring>

namespace vqcodec::codec {

namespace {

// Eight tables, so that eight bytes go in at a time (Kounavis and Berry 2005): table k is for a byte with k more behind it.
constexpr auto kTables = [] {
  std::array<std::array<uint32_t, 256>, 8> tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) * 0x82F63B78U);  // the polynomial, reflected
    tables[0][byte] = crc;
  }
  for (size_t k = 1; k < 8; ++k) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xFF];
    }
  }
  return tables;
}();

uint32_t update(uint32_t crc, std::span<const uint8_t> bytes) {
  size_t at = 0;
  if constexpr (std::endian::native == std::endian::little) {
    for (; at + 8 <= bytes.size(); at += 8) {
      uint32_t low = 0, high = 0;
      std::memcpy(&low, bytes.data() + at, 4);
      std::memcpy(&high, bytes.data() + at + 4, 4);
      low ^= crc;
      crc = kTables[7][low & 0xFF] ^ kTables[6][(low >> 8) & 0xFF] ^ kTables[5][(low >> 16) & 0xFF] ^
            kTables[4][low >> 24] ^ kTables[3][high & 0xFF] ^ kTables[2][(high >> 8) & 0xFF] ^
            kTables[1][(high >> 16) & 0xFF] ^ kTables[0][high >> 24];
    }
  }
  for (; at < bytes.size(); ++at) crc = (crc >> 8) ^ kTables[0][(crc ^ bytes[at]) & 0xFF];
  return crc;
}

}  // namespace

uint32_t crc32c(std::span<const uint8_t> first, std::span<const uint8_t> second) {
  return ~update(update(~0U, first), second);
}

uint32_t crc32c(std::span<const uint8_t> bytes) { return crc32c(bytes, {}); }

}  // namespace vqcodec::codec
