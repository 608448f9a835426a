// After a mutation puts the CRCs of a .vqc file right again, so that the fuzzer gets behind them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "codec/crc32c.h"
#include "codec/little_endian.h"
#include "codec/vqc_format.h"

namespace vqcodec::codec {

inline void store_le32(std::span<uint8_t> bytes, size_t at, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<uint8_t>(value >> (8 * i));
}

// The CRC of bytes[start, end) is stored at `end`.
inline void seal_at(std::span<uint8_t> bytes, size_t start, size_t end) {
  store_le32(bytes, end, crc32c(bytes.subspan(start, end - start)));
}

inline void repair_crcs(std::span<uint8_t> bytes) {
  if (bytes.size() < kMinHeaderBytes) return;
  const uint32_t header_bytes = load_le<uint32_t>(bytes, 12);
  if (header_bytes < kMinHeaderBytes || header_bytes > std::min<size_t>(kMaxHeaderBytes, bytes.size())) return;
  seal_at(bytes, 0, header_bytes - 4);
  const size_t num_sources = load_le<uint16_t>(bytes, 26);
  size_t at = header_bytes;
  while (bytes.size() - at >= kSectionHeaderBytes) {
    seal_at(bytes, at, at + 12);
    const bool is_segment = bytes[at] == 'S';
    const size_t size = load_le<uint32_t>(bytes, at + 8);
    at += kSectionHeaderBytes;
    if (size > bytes.size() - at) return;
    const auto body = bytes.subspan(at, size);
    const size_t head = 12 + 4 * num_sources;
    if (is_segment && size >= head) {
      seal_at(body, 0, head - 4);
      size_t stream_at = head;
      for (size_t s = 0; s < num_sources; ++s) {
        const size_t stream_bytes = load_le<uint32_t>(body, 8 + 4 * s);
        if (stream_bytes < kStreamHeadBytes || stream_bytes > size - stream_at) break;
        const auto stream = body.subspan(stream_at, stream_bytes);
        store_le32(stream, 4, crc32c(stream.first(4), stream.subspan(8)));
        stream_at += stream_bytes;
      }
    } else if (!is_segment && size >= 4) {
      seal_at(body, 0, size - 4);
    }
    at += size;
  }
}

}  // namespace vqcodec::codec
