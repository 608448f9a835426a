// SHA-256 (FIPS 180-4), by OpenSSL.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace vqcodec::runtime {

using Sha256 = std::array<uint8_t, 32>;

Sha256 sha256(std::span<const std::byte> bytes);

// Throws Error(kIo) if the file cannot be read.
Sha256 sha256_file(const std::filesystem::path& path);

// 64 lower-case hexadecimal digits.
std::string to_hex(const Sha256& digest);

// The SHA-256 of a text in such digits.
std::string hex_digest(std::string_view text);

}  // namespace vqcodec::runtime
