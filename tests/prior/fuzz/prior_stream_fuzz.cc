// Any bytes as a .vqc file whose streams a small prior codes: no crash, no hang, the same codes whatever the batch, and
// codes that write and read back.
#include <cstdlib>
#include <memory>
#include <span>

#include "base/error.h"
#include "codec/vqc_reader.h"
#include "codec/vqc_writer.h"
#include "prior/coder.h"
#include "tests/codec/fuzz/crc_mutator.h"
#include "tests/prior/golden_prior.h"

namespace {

using namespace vqcodec;

// The weights of the golden files' prior, so that those files decode.
const std::shared_ptr<const prior::Model>& small_prior() {
  static const auto model = [] {
    const auto bytes = prior::make_random_prior(prior::golden_sizes(), prior::kGoldenPriorSeed).bytes();
    return prior::Model::from_file(runtime::Safetensors::open_memory(bytes, "fuzz"));
  }();
  return model;
}

using Decoded = std::vector<std::vector<codec::Result<codec::SourceSegment>>>;

bool same(const Decoded& a, const Decoded& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    for (size_t s = 0; s < a[i].size(); ++s) {
      if (a[i][s].ok() != b[i][s].ok()) return false;
      if (a[i][s].ok() && *a[i][s] != *b[i][s]) return false;
      if (!a[i][s].ok() && a[i][s].error().message != b[i][s].error().message) return false;
    }
  }
  return true;
}

}  // namespace

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned int seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  if (seed % 8 != 0) codec::repair_crcs({data, size});
  return size;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const codec::MemorySource source({data, size});
  const auto reader = codec::VqcReader::open(source, codec::VqcReader::Mode::kRecover);
  if (!reader) return 0;
  // A header may announce a million codes a stream: valid, but too slow to fuzz.
  if (reader->info().segment_frames * reader->info().num_codebooks > 512 || reader->num_segments() > 8) return 0;
  codec::StreamInfo info = reader->info();
  if (!info.has_prior()) info.source_order.clear();
  info.numerics_id = prior::kNumericsId;
  info.prior_id = small_prior()->id();
  info.model_id = {};
  runtime::ThreadPool pool(1);
  std::unique_ptr<prior::Coder> many, one;
  try {
    many = std::make_unique<prior::Coder>(small_prior(), info, pool);
    one = std::make_unique<prior::Coder>(small_prior(), info, pool, prior::CoderOptions{.max_rows = 1});
  } catch (const Error&) {
    return 0;  // sources or codebooks that the prior does not have
  }
  std::vector<uint32_t> all;
  for (uint32_t s = 0; s < info.sources.size(); ++s) all.push_back(s);
  std::vector<codec::EncodedSegment> segments;
  for (uint32_t i = 0; i < reader->num_segments(); ++i) {
    auto segment = reader->read_segment(i, all);
    if (segment) segments.push_back(std::move(segment).value());
  }
  const Decoded decoded = codec::decode_segments(info, segments, all, {many.get(), {}});
  if (!same(decoded, codec::decode_segments(info, segments, all, {one.get(), {}}))) std::abort();
  for (size_t i = 0; i < segments.size(); ++i) {
    std::vector<codec::SourceSegment> sources;
    for (const auto& result : decoded[i]) {
      if (result) sources.push_back(*result);
    }
    if (sources.size() != all.size()) continue;
    const auto streams = codec::encode_segments(info, {&sources, 1}, {many.get(), {}});
    if (!streams) std::abort();
    codec::EncodedSegment again{0, segments[i].num_frames, (*streams)[0], std::vector<uint64_t>(all.size())};
    const Decoded back = codec::decode_segments(info, {&again, 1}, all, {many.get(), {}});
    for (const uint32_t s : all) {
      if (!back[0][s] || *back[0][s] != sources[s]) std::abort();
    }
  }
  return 0;
}
