// Any bytes as a shard of a packed set: Error(kBadFile), or songs of which every stretch reads or gives Error(kBadFile).
// The checksums of header, table, index and chunks are set to what they should be, so that what is behind them is tried.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "base/error.h"
#include "codec/crc32c.h"
#include "codec/little_endian.h"
#include "dataset/pack.h"

namespace {

void store(std::vector<uint8_t>& bytes, size_t at, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<uint8_t>(value >> (8 * i));
}

void mend(std::vector<uint8_t>& bytes) {
  using namespace vqcodec::codec;
  if (bytes.size() < 64) return;
  const auto table = load_le<uint64_t>(bytes, 32), count = load_le<uint64_t>(bytes, 40);
  if (table >= 64 && table <= bytes.size()) {
    for (uint64_t i = 0; i < count && table + 16 * (i + 1) <= bytes.size(); ++i) {
      const auto offset = load_le<uint64_t>(bytes, table + 16 * i);
      const auto size = load_le<uint32_t>(bytes, table + 16 * i + 8);
      if (size == 0 || offset > bytes.size() || size > bytes.size() - offset) continue;
      store(bytes, table + 16 * i + 12, crc32c(std::span(bytes).subspan(offset, size)));
    }
    store(bytes, 56, crc32c(std::span(bytes).subspan(table)));
  }
  store(bytes, 60, crc32c(std::span(bytes).first(60)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vqcodec;
  std::vector<uint8_t> bytes(data, data + size);
  if (size % 2 == 0) mend(bytes);
  try {
    const auto shard = std::make_shared<const dataset::PackedShard>(std::span<const uint8_t>(bytes), nullptr, "fuzz");
    for (size_t i = 0; i < std::min<size_t>(shard->songs().size(), 4); ++i) {
      const dataset::Song song = dataset::packed_song(shard, i, shard->sources());
      std::vector<int16_t> samples(2 * 6000);
      for (size_t s = 0; s < shard->sources().size(); ++s) {
        for (const int64_t start : {int64_t{-100}, song.num_frames / 2, song.num_frames - 1000}) {
          try {
            song.read(s, start, samples);
          } catch (const Error& error) {
            if (error.code() != ExitCode::kBadFile) std::abort();
          }
        }
      }
    }
  } catch (const Error& error) {
    if (error.code() != ExitCode::kBadFile) std::abort();
  }
  return 0;
}
