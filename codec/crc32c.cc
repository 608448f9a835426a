#include "codec/crc32c.h"

#include <boost/crc.hpp>

namespace vqcodec::codec {

uint32_t crc32c(std::span<const uint8_t> first, std::span<const uint8_t> second) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(first.data(), first.size());
  crc.process_bytes(second.data(), second.size());
  return crc.checksum();
}

uint32_t crc32c(std::span<const uint8_t> bytes) { return crc32c(bytes, {}); }

}  // namespace vqcodec::codec
