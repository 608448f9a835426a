// Any bytes through both readers, strict and recovering: no crash, no hang, and the two agree where both accept.
#include <cstdlib>
#include <span>

#include "tests/codec/fuzz/crc_mutator.h"
#include "tests/codec/read_all.h"

using vqcodec::codec::Contents;
using vqcodec::codec::MemorySource;
using vqcodec::codec::MemoryStream;
using vqcodec::codec::read_all;
using vqcodec::codec::VqcReader;

namespace {

// A header may announce a million codes a stream and silence needs no bytes for them: valid, but too slow to fuzz.
bool is_large(std::span<const uint8_t> bytes) {
  const MemorySource source(bytes);
  const auto reader = VqcReader::open(source, VqcReader::Mode::kRecover);
  return reader && (reader->info().segment_frames * reader->info().num_codebooks > 4096 || reader->num_segments() > 64);
}

}  // namespace

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  if (seed % 8 != 0) vqcodec::codec::repair_crcs({data, size});
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const uint8_t> bytes(data, size);
  if (is_large(bytes)) return 0;
  const MemorySource source(bytes);
  const Contents seek = read_all(source);
  read_all(source, VqcReader::Mode::kRecover);
  MemoryStream stream(bytes);
  const Contents streamed = read_all(stream);
  if (seek.errors.empty() && streamed.errors.empty() &&
      (seek.segments != streamed.segments || seek.info != streamed.info || seek.metadata != streamed.metadata)) {
    std::abort();
  }
  return 0;
}
