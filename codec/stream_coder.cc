#include "codec/stream_coder.h"

#include <algorithm>

#include "codec/crc32c.h"
#include "codec/little_endian.h"
#include "codec/range_coder.h"
#include "codec/vqc_format.h"

namespace vqcodec::codec {
namespace {

constexpr size_t kPayloadHeadBytes = 3;  // gain, coder

// Codes in code_bits each, first code in the lowest bits of the first byte.
std::vector<uint8_t> pack(std::span<const uint16_t> codes, uint32_t code_bits) {
  std::vector<uint8_t> bytes((codes.size() * code_bits + 7) / 8);
  size_t at = 0;
  for (const uint16_t code : codes) {
    for (uint32_t b = 0; b < code_bits; ++b, ++at) {
      bytes[at / 8] = static_cast<uint8_t>(bytes[at / 8] | ((code >> b & 1) << (at % 8)));
    }
  }
  return bytes;
}

// `bytes` is as long as pack() made it.
void unpack(std::span<const uint8_t> bytes, uint32_t code_bits, std::span<uint16_t> codes) {
  size_t at = 0;
  for (uint16_t& code : codes) {
    uint32_t value = 0;
    for (uint32_t b = 0; b < code_bits; ++b, ++at) value |= (bytes[at / 8] >> (at % 8) & 1U) << b;
    code = static_cast<uint16_t>(value);
  }
}

void add_bits(const std::vector<double>& from, CodebookBits* to) {
  if (to == nullptr) return;
  to->bits.resize(std::max(to->bits.size(), from.size()));
  for (size_t k = 0; k < from.size(); ++k) to->bits[k] += from[k];
}

std::vector<double> raw_bits(const StreamInfo& info, size_t num_frames) {
  return std::vector<double>(info.num_codebooks, static_cast<double>(num_frames) * info.code_bits());
}

Result<void> check(const StreamInfo& info, const SourceSegment& segment) {
  const size_t size = segment.codes.size();
  if (size == 0 || size % info.num_codebooks != 0 || size / info.num_codebooks > info.segment_frames) {
    return ErrorInfo{Errc::kBadArgument,
                     std::to_string(size) + " codes are not 1.." + std::to_string(info.segment_frames) + " frames of " +
                         std::to_string(info.num_codebooks) + " codes",
                     0};
  }
  const uint32_t end = segment.gain == 0 ? 1 : info.codebook_size;
  const auto bad = std::find_if(segment.codes.begin(), segment.codes.end(), [&](uint16_t code) { return code >= end; });
  if (bad != segment.codes.end()) {
    return ErrorInfo{Errc::kBadArgument,
                     "code " + std::to_string(*bad) + " at place " + std::to_string(bad - segment.codes.begin()) +
                         (segment.gain == 0 ? " of a silent segment, expected 0"
                                            : ", expected 0.." + std::to_string(end - 1)),
                     0};
  }
  return {};
}

}  // namespace

Result<std::vector<uint8_t>> encode_stream(const StreamInfo& info, const SourceSegment& segment, AdaptiveModel& model,
                                           CodebookBits* bits) {
  if (auto fits = check(info, segment); !fits) return fits.error();
  const size_t num_frames = segment.codes.size() / info.num_codebooks;
  std::vector<uint8_t> payload;
  if (segment.gain != 0) {
    CodebookBits coded{std::vector<double>(info.num_codebooks)};
    model.reset();
    RangeEncoder encoder;
    for (size_t frame = 0; frame < num_frames; ++frame) {
      model.encode_frame(encoder, std::span(segment.codes).subspan(frame * info.num_codebooks, info.num_codebooks),
                         bits == nullptr ? nullptr : &coded);
    }
    std::vector<uint8_t> body = encoder.finish();
    StreamCoder coder = StreamCoder::kAdaptive;
    if (body.size() > (segment.codes.size() * info.code_bits() + 7) / 8) {
      coder = StreamCoder::kRaw;
      body = pack(segment.codes, info.code_bits());
      coded.bits = raw_bits(info, num_frames);
    }
    add_bits(coded.bits, bits);
    append_le(payload, segment.gain);
    payload.push_back(static_cast<uint8_t>(coder));
    payload.insert(payload.end(), body.begin(), body.end());
  }
  std::vector<uint8_t> stream;
  append_le(stream, codes_crc32c(segment));
  append_le(stream, crc32c(stream, payload));
  stream.insert(stream.end(), payload.begin(), payload.end());
  return stream;
}

Result<SourceSegment> decode_stream(const StreamInfo& info, uint32_t num_frames, std::span<const uint8_t> stream,
                                    uint64_t byte_offset, CodebookBits* bits) {
  if (stream.size() < kStreamHeadBytes) {
    return ErrorInfo{Errc::kTruncated, "a stream of " + std::to_string(stream.size()) + " bytes has no head",
                     byte_offset};
  }
  const auto payload = stream.subspan(kStreamHeadBytes);
  const auto expected_codes_crc = load_le<uint32_t>(stream, 0);
  const auto expected_crc = load_le<uint32_t>(stream, 4);
  const uint32_t found_crc = crc32c(stream.first(4), payload);
  if (found_crc != expected_crc) {
    return ErrorInfo{Errc::kBadCrc,
                     "the stream is damaged (payload CRC " + hex(found_crc) + ", expected " + hex(expected_crc) + ")",
                     byte_offset};
  }
  const uint64_t payload_offset = byte_offset + kStreamHeadBytes;
  SourceSegment segment;
  segment.codes.resize(size_t{num_frames} * info.num_codebooks);
  if (!payload.empty()) {
    if (payload.size() < kPayloadHeadBytes) {
      return ErrorInfo{Errc::kBadStream,
                       "a payload of " + std::to_string(payload.size()) + " bytes has no gain and coder",
                       payload_offset};
    }
    segment.gain = load_le<uint16_t>(payload, 0);
    if (segment.gain == 0) {
      return ErrorInfo{Errc::kBadStream, "gain 0 in a payload; silence has none", payload_offset};
    }
    const auto body = payload.subspan(kPayloadHeadBytes);
    const uint64_t body_offset = payload_offset + kPayloadHeadBytes;
    const uint8_t coder = payload[2];
    if (coder == static_cast<uint8_t>(StreamCoder::kAdaptive)) {
      AdaptiveModel model(info.num_codebooks, info.codebook_size);
      RangeDecoder decoder(body);
      for (size_t frame = 0; frame < num_frames && !decoder.truncated(); ++frame) {
        model.decode_frame(decoder, std::span(segment.codes).subspan(frame * info.num_codebooks, info.num_codebooks),
                           bits);
      }
      if (auto end = decoder.finish(); !end) {
        return ErrorInfo{end.error().code, end.error().message, body_offset + end.error().byte_offset};
      }
    } else if (coder == static_cast<uint8_t>(StreamCoder::kRaw)) {
      const size_t num_bits = segment.codes.size() * info.code_bits();
      if (body.size() != (num_bits + 7) / 8) {
        return ErrorInfo{Errc::kBadStream,
                         "raw codes of " + std::to_string(body.size()) + " bytes, expected " +
                             std::to_string((num_bits + 7) / 8),
                         body_offset};
      }
      if (num_bits % 8 != 0 && body.back() >> (num_bits % 8) != 0) {
        return ErrorInfo{Errc::kBadStream, "the bits after the last raw code are not 0", body_offset + body.size() - 1};
      }
      unpack(body, info.code_bits(), segment.codes);
      const auto largest = *std::max_element(segment.codes.begin(), segment.codes.end());
      if (largest >= info.codebook_size) {
        return ErrorInfo{Errc::kBadStream,
                         "raw code " + std::to_string(largest) + ", expected 0.." +
                             std::to_string(info.codebook_size - 1),
                         body_offset};
      }
      add_bits(raw_bits(info, num_frames), bits);
    } else {
      return ErrorInfo{Errc::kUnsupported, "stream coder " + std::to_string(coder) + " needs a newer reader or a model",
                       payload_offset + 2};
    }
  }
  if (const uint32_t found = codes_crc32c(segment); found != expected_codes_crc) {
    return ErrorInfo{Errc::kCodesCrcMismatch,
                     "the payload is undamaged but decodes to other codes (CRC " + hex(found) + ", expected " +
                         hex(expected_codes_crc) + "): it was written with another model or other numerics",
                     byte_offset};
  }
  return segment;
}

}  // namespace vqcodec::codec
