// Integers as bytes, low byte first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace vqcodec::codec {

template <class T>
void append_le(std::vector<uint8_t>& bytes, T value) {
  for (size_t i = 0; i < sizeof(T); ++i) bytes.push_back(static_cast<uint8_t>(uint64_t{value} >> (8 * i)));
}

// The caller has checked that sizeof(T) bytes are there.
template <class T>
T load_le(std::span<const uint8_t> bytes, size_t offset) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) value |= uint64_t{bytes[offset + i]} << (8 * i);
  return static_cast<T>(value);
}

}  // namespace vqcodec::codec
