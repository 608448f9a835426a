// A safetensors file taken apart, so that one thing can be made wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

#include <nlohmann/json.hpp>

namespace vqcodec::runtime {

struct SafetensorsParts {
  nlohmann::json header;
  std::string data;

  explicit SafetensorsParts(std::span<const std::byte> bytes) {
    uint64_t size = 0;
    std::memcpy(&size, bytes.data(), 8);
    const auto* text = reinterpret_cast<const char*>(bytes.data()) + 8;
    header = nlohmann::json::parse(text, text + size);
    data.assign(text + size, bytes.size() - 8 - size);
  }
  std::string bytes() const {
    const std::string text = header.dump();
    const uint64_t size = text.size();
    return std::string(reinterpret_cast<const char*>(&size), 8) + text + data;
  }
  nlohmann::json& metadata() { return header["__metadata__"]; }
};

}  // namespace vqcodec::runtime
