// Any bytes as a safetensors file: opened, every tensor asked for in several ways, or refused with an Error; nothing else.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>

#include "base/error.h"
#include "runtime/safetensors.h"

using vqcodec::Error;
using vqcodec::ExitCode;
using vqcodec::runtime::Dtype;
using vqcodec::runtime::Safetensors;
using vqcodec::runtime::Shape;

namespace {

template <typename Read>
void expect_read_or_model_error(const Read& read) {
  try {
    read();
  } catch (const Error& error) {
    if (error.code() != ExitCode::kModel) std::abort();
  }
}

void use(Safetensors& file) {
  static const Shape kShapes[] = {{}, {1}, {2}, {3}, {2, 3}, {0, 4}, {4, 1, 1}};
  for (const std::string& name : file.tensor_names()) {
    for (const Shape& shape : kShapes) {
      expect_read_or_model_error([&] { file.floats(name, shape); });
      expect_read_or_model_error([&] { file.integers(name, shape); });
      expect_read_or_model_error([&] {
        // Every byte is read, so that the sanitizer sees a span that leaves the file.
        unsigned sum = 0;
        for (std::byte byte : file.tensor(name, shape, {Dtype::kBool, Dtype::kU32, Dtype::kF64, Dtype::kF32}).bytes)
          sum += static_cast<unsigned>(byte);
        volatile unsigned sink = sum;
        (void)sink;
      });
    }
  }
  for (const auto& [key, value] : file.metadata())
    if (file.metadata(key) != value) std::abort();
  expect_read_or_model_error([&] { file.check_all_used(); });
}

}  // namespace

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

// Mostly makes the header's length right again, up to the last brace: else few files get past it.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  constexpr size_t kLengthBytes = 8;
  size = LLVMFuzzerMutate(data, size, max_size);
  if (seed % 8 == 0) return size;
  for (size_t at = size; at > kLengthBytes; --at) {
    if (data[at - 1] != '}') continue;
    const uint64_t length = at - kLengthBytes;
    std::memcpy(data, &length, kLengthBytes);
    break;
  }
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    Safetensors file = Safetensors::open_memory(std::as_bytes(std::span(data, size)), "fuzz");
    use(file);
  } catch (const Error& error) {
    if (error.code() != ExitCode::kBadFile) std::abort();
  }
  return 0;
}
