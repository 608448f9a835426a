// Streams: the bytes of one source in one segment, and their way back to codes. Many at once where a prior codes them,
// which is what makes that fast.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "codec/adaptive_model.h"
#include "codec/code_grid.h"
#include "codec/code_predictor.h"
#include "codec/result.h"

namespace vqcodec::codec {

// How a stream's codes are coded: the third byte of its payload.
enum class StreamCoder : uint8_t { kRaw = 0, kAdaptive = 1, kPrior = 2 };

// Counts of a code by a prior are of 2^24.
inline constexpr uint32_t kPriorTotalBits = 24;

// Calls body(0) .. body(count - 1), in any order, on any threads; returns when all are done.
using ParallelFor = std::function<void(size_t count, const std::function<void(size_t)>& body)>;

// With what streams are coded. What the predictor and the loop throw comes out of the functions that use them.
struct CodingTools {
  CodePredictor* predictor = nullptr;  // null: prior-coded streams are not written, and not read
  ParallelFor parallel_for{};          // empty: one after another
};

// The stream of a segment that fits `info`: codes' CRC, stream's CRC, payload. `model` is reset first. Codes that the
// adaptive model would lengthen are stored raw. `bits`, if any, gets what each codebook costs.
// kBadArgument if the codes do not fit.
Result<std::vector<uint8_t>> encode_stream(const StreamInfo& info, const SourceSegment& segment, AdaptiveModel& model,
                                           CodebookBits* bits = nullptr);

// kBadArgument, naming the source, if these are not the sources of a segment that fits `info`.
Result<void> check_segment(const StreamInfo& info, std::span<const SourceSegment> sources);

// [segment][source] streams of segments that fit `info`, of [num_sources] each. With a predictor a stream is the shortest
// of what adaptive model, raw codes and prior give; of equal ones that which needs the least. In a joint file the prior is given
// the sources before in info.source_order that are not silent. The bytes do not depend on what else is in the batch. `bits`, if any, is
// [num_sources] and gets what each codebook costs. As check_segment(), and kNeedsPrior if `info` names another prior.
Result<std::vector<std::vector<std::vector<uint8_t>>>> encode_segments(
    const StreamInfo& info, std::span<const std::vector<SourceSegment>> segments, const CodingTools& tools,
    std::vector<CodebookBits>* bits = nullptr);

// The codes of a stream that lies at `byte_offset` of its file. kTruncated, kBadCrc (damaged), kBadStream (undamaged,
// but no writer makes it), kUnsupported (an unknown coder), kNeedsPrior, kCodesCrcMismatch.
Result<SourceSegment> decode_stream(const StreamInfo& info, uint32_t num_frames, std::span<const uint8_t> stream,
                                    uint64_t byte_offset, CodebookBits* bits = nullptr);

// One segment with its streams not yet decoded.
struct EncodedSegment {
  uint32_t index = 0;
  uint32_t num_frames = 0;
  std::vector<std::vector<uint8_t>> streams;  // [num_sources]; empty: not read
  std::vector<uint64_t> byte_offsets;         // [num_sources], where each lies in the file

  // decode_stream(), the message naming segment and source; kBadArgument if there is no such source.
  Result<SourceSegment> decode_source(const StreamInfo& info, uint32_t source, CodebookBits* bits = nullptr) const;
};

// `error` with a message that names segment and source.
ErrorInfo name_stream(const ErrorInfo& error, const StreamInfo& info, uint32_t segment, uint32_t source);

// The sources whose streams decode_segments() needs for `sources`, ascending: in a joint file those before them too.
std::vector<uint32_t> sources_to_read(const StreamInfo& info, std::span<const uint32_t> sources);

// [segment][i]: the codes of sources[i], each below num_sources and there once, or why there are none: as
// EncodedSegment::decode_source() says, and kNeedsPrior for what the predictor does not fit. A stream of a joint file that
// needs a source which cannot be decoded has that source's error. `bits`, if any, is made [segment][i].
std::vector<std::vector<Result<SourceSegment>>> decode_segments(
    const StreamInfo& info, std::span<const EncodedSegment> segments, std::span<const uint32_t> sources,
    const CodingTools& tools, std::vector<std::vector<CodebookBits>>* bits = nullptr);

// Whether streams of `info` can be decoded with `predictor`; kNeedsPrior, naming both priors or both numerics.
Result<void> check_predictor(const StreamInfo& info, const CodePredictor* predictor);

}  // namespace vqcodec::codec
