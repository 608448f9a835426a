// The byte layout of .vqc version 1, for the reader and the writer: codec/FORMAT.md says what each part is for.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/code_grid.h"
#include "codec/result.h"

namespace vqcodec::codec {

inline constexpr uint8_t kMagic[8] = {0x89, 'V', 'Q', 'C', 0x0D, 0x0A, 0x1A, 0x0A};
inline constexpr uint16_t kFormatVersion = 1;
inline constexpr uint32_t kHeaderFixedBytes = 76;  // up to the sources' names
inline constexpr uint32_t kHeaderStartBytes = 16;  // magic, version, flags, size: what is read first
inline constexpr uint32_t kMinHeaderBytes = kHeaderFixedBytes + 2 + 4;
inline constexpr uint32_t kMaxHeaderBytes = kHeaderFixedBytes + kMaxSources * (1 + kMaxSourceNameBytes) + 4;
inline constexpr uint32_t kSectionHeaderBytes = 16;
inline constexpr uint32_t kStreamHeadBytes = 8;
inline constexpr uint32_t kEndBodyBytes = 20;
inline constexpr uint32_t kEndBytes = kSectionHeaderBytes + kEndBodyBytes;
inline constexpr uint32_t kMinMetadataBodyBytes = 8;  // size and CRC
inline constexpr uint32_t kMaxMetadataBodyBytes = kMaxMetadataBytes + (1U << 16);
inline constexpr uint32_t kMaxPreambleSections = 64;  // between header and first segment
inline constexpr uint32_t kCriticalFlag = 1;

inline constexpr std::string_view kPriorTag = "PRIO";
inline constexpr std::string_view kMetadataTag = "META";
inline constexpr std::string_view kSegmentTag = "SEGM";
inline constexpr std::string_view kIndexTag = "INDX";
inline constexpr std::string_view kEndTag = "VEND";

// Header.
std::vector<uint8_t> make_header(const StreamInfo& info);
// Size of the whole header from its first kHeaderStartBytes bytes; fewer bytes are kTruncated or kBadMagic.
Result<uint32_t> parse_header_size(std::span<const uint8_t> start);
// `header` has the size that parse_header_size() gave.
Result<StreamInfo> parse_header(std::span<const uint8_t> header);

// Sections.
struct Section {
  std::string tag;     // four of A-Z, 0-9
  bool known = false;  // one of the tags above; else an optional one, to be skipped
  uint32_t body_bytes = 0;
};
std::vector<uint8_t> make_section_header(std::string_view tag, uint64_t body_bytes);
// kBadCrc, kBadSection (tag or flags that no version 1 writer makes), kUnsupported (reserved flags; unknown and
// critical). `bytes` is kSectionHeaderBytes long and lies at `offset` of the file.
Result<Section> parse_section_header(std::span<const uint8_t> bytes, uint64_t offset);
// The four bytes at the end of a section's body are the CRC32C of what is before; kBadCrc naming `what` if not.
Result<void> check_trailing_crc(std::span<const uint8_t> body, std::string_view what, uint64_t offset);

// Segments: a head, then one stream a source.
inline uint32_t segment_head_bytes(const StreamInfo& info) {
  return 12 + 4 * static_cast<uint32_t>(info.sources.size());
}
struct SegmentHead {
  uint32_t index = 0;
  uint32_t num_frames = 0;
  std::vector<uint32_t> stream_bytes;  // [num_sources], the stream's own head included
};
std::vector<uint8_t> make_segment_head(const SegmentHead& head);
// `bytes` is segment_head_bytes() long. kBadCrc; kBadSection if the sizes do not add up to `body_bytes` or a number
// is outside its limits.
Result<SegmentHead> parse_segment_head(std::span<const uint8_t> bytes, const StreamInfo& info, uint32_t body_bytes,
                                       uint64_t offset);
// The longest stream that num_frames frames may have: what they take when stored raw.
uint32_t max_stream_bytes(const StreamInfo& info, uint32_t num_frames);

// Index: an entry a segment. The index is directly before the end mark, so its place follows from the totals.
inline uint32_t index_entry_bytes(const StreamInfo& info) { return 8 + 4 * static_cast<uint32_t>(info.sources.size()); }
uint64_t index_body_bytes(const StreamInfo& info);
void append_index_entry(std::vector<uint8_t>& index, uint64_t segment_offset, const SegmentHead& head);

// End mark: the last kEndBytes of the file.
std::vector<uint8_t> make_end(const StreamInfo& info);
// Sets info.num_frames and info.num_samples from the end mark's body. kBadCrc, kBadEnd.
Result<void> parse_end(std::span<const uint8_t> body, uint64_t offset, StreamInfo& info);

// Prior: which one, and how the sources depend on each other.
uint32_t max_prior_body_bytes(const StreamInfo& info);
std::vector<uint8_t> make_prior_body(const StreamInfo& info);
// Sets info.prior_id and info.source_order; the rest of `info` is the header's. kBadCrc, kBadSection.
Result<void> parse_prior_body(std::span<const uint8_t> body, uint64_t offset, StreamInfo& info);
// kUnsupported if the header names the numerics of a prior and no section named the prior.
Result<void> check_prior_is_named(const StreamInfo& info);

// Metadata: JSON text. kBadArgument if `json` is not JSON or too long.
Result<std::vector<uint8_t>> make_metadata_body(std::string_view json);
// `body` has kMinMetadataBodyBytes or more. kBadCrc, kBadMetadata.
Result<std::string> parse_metadata_body(std::span<const uint8_t> body, uint64_t offset);

// "0x1A2B" with as many digits as needed, for messages.
std::string hex(uint64_t value);

}  // namespace vqcodec::codec
