// Writes a .vqc into an AtomicFile.
#pragma once

#include <cstdint>
#include <span>

#include "base/atomic_file.h"
#include "codec/byte_io.h"

namespace vqcodec::apps {

// AtomicFile's errors pass through the writer, which after them is not used any more.
class AtomicSink final : public codec::ByteSink {
 public:
  explicit AtomicSink(AtomicFile& file) : file_(file) {}
  codec::Result<void> write(std::span<const uint8_t> bytes) override {
    file_.write(bytes.data(), bytes.size());
    return {};
  }

 private:
  AtomicFile& file_;
};

}  // namespace vqcodec::apps
