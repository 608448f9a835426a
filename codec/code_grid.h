// What a .vqc file holds, as plain data: what kind of stream it is, and the codes of one source in one segment.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "codec/result.h"

namespace vqcodec::codec {

// Limits of format version 1 (codec/FORMAT.md, "Limits").
inline constexpr uint32_t kMaxSampleRateHz = 768000;
inline constexpr uint32_t kMaxChannels = 8;
inline constexpr uint32_t kMaxSources = 16;
inline constexpr uint32_t kMaxSourceNameBytes = 32;
inline constexpr uint32_t kMaxCodebooks = 32;
inline constexpr uint32_t kMinCodebookSize = 2;
inline constexpr uint32_t kMaxCodebookSize = 65536;
inline constexpr uint32_t kMaxHopSamples = 65536;
inline constexpr uint32_t kMaxSegmentFrames = 65536;
inline constexpr uint32_t kMaxCodesPerStream = 1U << 20;  // segment_frames x num_codebooks
inline constexpr uint32_t kMaxSegments = 1U << 20;
inline constexpr uint32_t kMaxMetadataBytes = 1U << 20;  // before compression

struct StreamInfo {
  uint32_t sample_rate_hz = 0;         // 1..kMaxSampleRateHz
  uint32_t num_channels = 0;           // 1..kMaxChannels
  uint32_t hop_samples = 0;            // samples of one channel a frame, 1..kMaxHopSamples
  std::vector<std::string> sources;    // 1..kMaxSources unique names, each 1..kMaxSourceNameBytes bytes of UTF-8
                                       // without control characters
  uint32_t num_codebooks = 0;          // codes a frame and source, 1..kMaxCodebooks
  uint32_t codebook_size = 0;          // codes lie in [0, codebook_size), kMinCodebookSize..kMaxCodebookSize
  uint32_t segment_frames = 0;         // frames of every segment but the last, 1..kMaxSegmentFrames, and
                                       // segment_frames x num_codebooks <= kMaxCodesPerStream
  std::array<uint8_t, 32> model_id{};  // SHA-256 of the model that gave the codes; all zero when there is none
  // Of the prior that codes streams; numerics_id is 0, prior_id all zero and source_order empty when there is none.
  uint32_t numerics_id = 0;               // arithmetic of its probabilities
  std::array<uint8_t, 32> prior_id{};     // SHA-256 of its file
  std::vector<uint32_t> source_order{};   // joint coding: all sources, each coded given those before it; else empty

  // Known at the end of the file: a writer ignores them, a stream reader has 0 until it has seen the end.
  uint64_t num_frames = 0;   // frames of the whole file
  uint64_t num_samples = 0;  // samples of one channel, at most num_frames x hop_samples

  // ceil(log2(codebook_size)), 1..16: the bits of one code stored raw.
  uint32_t code_bits() const;
  bool has_prior() const { return numerics_id != 0; }
  bool is_joint() const { return !source_order.empty(); }
  // Segments of a file of num_frames frames.
  uint64_t num_segments() const;
  bool operator==(const StreamInfo&) const = default;
};

// kBadArgument, naming the field, its value and its limits, if a field of the header is outside its limits.
Result<void> validate(const StreamInfo& info);
// kBadArgument if the fields of the prior contradict each other.
Result<void> validate_prior(const StreamInfo& info);

// One source in one segment.
struct SourceSegment {
  uint16_t gain = 0;            // level index; its meaning is the model's, except that 0 is silence and all codes are 0
  std::vector<uint16_t> codes;  // [num_frames, num_codebooks], frame-major, each in [0, codebook_size)
  bool operator==(const SourceSegment&) const = default;
};

// CRC32C of gain and then codes, each as two bytes, low byte first.
uint32_t codes_crc32c(const SourceSegment& segment);

// Bits that a stream's codes cost by the probabilities that coded them: the sum of -log2 p, a codebook each.
struct CodebookBits {
  std::vector<double> bits;  // [num_codebooks]; calls add to it
};

}  // namespace vqcodec::codec
