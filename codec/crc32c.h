// CRC32C (Castagnoli, as in RFC 3720 section 12.1): polynomial 0x1EDC6F41, reflected, start and final xor all ones.
#pragma once

#include <cstdint>
#include <span>

namespace vqcodec::codec {

uint32_t crc32c(std::span<const uint8_t> bytes);
// The checksum of two pieces that follow each other.
uint32_t crc32c(std::span<const uint8_t> first, std::span<const uint8_t> second);

}  // namespace vqcodec::codec
