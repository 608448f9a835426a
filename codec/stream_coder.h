// One stream: the bytes of one source in one segment, and their way back to codes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "codec/adaptive_model.h"
#include "codec/code_grid.h"
#include "codec/result.h"

namespace vqcodec::codec {

// How a stream's codes are coded: the third byte of its payload.
enum class StreamCoder : uint8_t { kRaw = 0, kAdaptive = 1 };

// The stream of a segment that fits `info`: codes' CRC, stream's CRC, payload. `model` is reset first. Codes that the
// adaptive model would lengthen are stored raw. `bits`, if any, gets what each codebook costs.
// kBadArgument if the codes do not fit.
Result<std::vector<uint8_t>> encode_stream(const StreamInfo& info, const SourceSegment& segment, AdaptiveModel& model,
                                           CodebookBits* bits = nullptr);

// The codes of a stream that lies at `byte_offset` of its file. kTruncated, kBadCrc (damaged), kBadStream (undamaged,
// but no writer makes it), kUnsupported (an unknown coder), kCodesCrcMismatch.
Result<SourceSegment> decode_stream(const StreamInfo& info, uint32_t num_frames, std::span<const uint8_t> stream,
                                    uint64_t byte_offset, CodebookBits* bits = nullptr);

}  // namespace vqcodec::codec
