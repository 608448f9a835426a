#include "codec/vqc_format.h"

#include <zstd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "codec/crc32c.h"
#include "codec/little_endian.h"

namespace vqcodec::codec {
namespace {

void append_text(std::vector<uint8_t>& bytes, std::string_view text) {
  bytes.insert(bytes.end(), text.begin(), text.end());
}

}  // namespace

std::string hex(uint64_t value) {
  std::string digits;
  do {
    digits.insert(digits.begin(), "0123456789abcdef"[value & 15]);
    value >>= 4;
  } while (value != 0);
  return "0x" + digits;
}

std::vector<uint8_t> make_header(const StreamInfo& info) {
  size_t size = kHeaderFixedBytes + 4;
  for (const std::string& name : info.sources) size += 1 + name.size();
  std::vector<uint8_t> bytes(std::begin(kMagic), std::end(kMagic));
  append_le<uint16_t>(bytes, kFormatVersion);
  append_le<uint16_t>(bytes, 0);
  append_le(bytes, static_cast<uint32_t>(size));
  append_le(bytes, info.sample_rate_hz);
  append_le(bytes, info.hop_samples);
  append_le(bytes, static_cast<uint16_t>(info.num_channels));
  append_le(bytes, static_cast<uint16_t>(info.sources.size()));
  append_le(bytes, info.num_codebooks);
  append_le(bytes, info.codebook_size);
  append_le(bytes, info.segment_frames);
  append_le(bytes, info.numerics_id);
  bytes.insert(bytes.end(), info.model_id.begin(), info.model_id.end());
  for (const std::string& name : info.sources) {
    bytes.push_back(static_cast<uint8_t>(name.size()));
    append_text(bytes, name);
  }
  append_le(bytes, crc32c(bytes));
  return bytes;
}

Result<uint32_t> parse_header_size(std::span<const uint8_t> start) {
  const size_t num_magic = std::min(start.size(), std::size(kMagic));
  if (!std::equal(start.begin(), start.begin() + static_cast<ptrdiff_t>(num_magic), std::begin(kMagic))) {
    const bool name_is_there = start.size() >= 4 && start[1] == 'V' && start[2] == 'Q' && start[3] == 'C';
    return ErrorInfo{Errc::kBadMagic,
                     name_is_there ? "the first 8 bytes of a .vqc file were changed, as a transfer in text mode does; "
                                     "get the file again in binary mode"
                                   : "not a .vqc file: it does not begin with 89 56 51 43 0d 0a 1a 0a",
                     0};
  }
  if (start.size() < kHeaderStartBytes) {
    return ErrorInfo{Errc::kTruncated,
                     start.empty()
                         ? "the file is empty"
                         : "the file ends inside its header, after " + std::to_string(start.size()) + " bytes",
                     start.size()};
  }
  const auto version = load_le<uint16_t>(start, 8);
  if (version != kFormatVersion) {
    return ErrorInfo{Errc::kBadVersion,
                     "format version " + std::to_string(version) + "; this reader knows version " +
                         std::to_string(kFormatVersion),
                     8};
  }
  const auto size = load_le<uint32_t>(start, 12);
  if (size < kMinHeaderBytes || size > kMaxHeaderBytes) {
    return ErrorInfo{Errc::kBadHeader,
                     "the header's size is " + std::to_string(size) + ", expected " + std::to_string(kMinHeaderBytes) +
                         ".." + std::to_string(kMaxHeaderBytes),
                     12};
  }
  return size;
}

Result<StreamInfo> parse_header(std::span<const uint8_t> header) {
  if (auto crc = check_trailing_crc(header, "the header", 0); !crc) return crc.error();
  if (const auto flags = load_le<uint16_t>(header, 10); flags != 0) {
    return ErrorInfo{Errc::kUnsupported, "header flags " + hex(flags) + " need a newer reader", 10};
  }
  StreamInfo info;
  info.sample_rate_hz = load_le<uint32_t>(header, 16);
  info.hop_samples = load_le<uint32_t>(header, 20);
  info.num_channels = load_le<uint16_t>(header, 24);
  const size_t num_sources = load_le<uint16_t>(header, 26);
  info.num_codebooks = load_le<uint32_t>(header, 28);
  info.codebook_size = load_le<uint32_t>(header, 32);
  info.segment_frames = load_le<uint32_t>(header, 36);
  info.numerics_id = load_le<uint32_t>(header, 40);
  std::copy_n(header.begin() + 44, info.model_id.size(), info.model_id.begin());
  if (num_sources < 1 || num_sources > kMaxSources) {
    return ErrorInfo{Errc::kBadHeader,
                     "number of sources is " + std::to_string(num_sources) + ", expected 1.." +
                         std::to_string(kMaxSources),
                     26};
  }
  const size_t end = header.size() - 4;
  size_t at = kHeaderFixedBytes;
  while (at < end && info.sources.size() < num_sources) {
    const size_t length = header[at];
    if (length > end - at - 1) break;
    info.sources.emplace_back(header.begin() + static_cast<ptrdiff_t>(at) + 1,
                              header.begin() + static_cast<ptrdiff_t>(at + 1 + length));
    at += 1 + length;
  }
  if (at != end || info.sources.size() != num_sources) {
    return ErrorInfo{Errc::kBadHeader,
                     "the names of " + std::to_string(num_sources) + " sources do not fill the header exactly", at};
  }
  if (auto valid = validate(info); !valid) return ErrorInfo{Errc::kBadHeader, valid.error().message, 16};
  return info;
}

std::vector<uint8_t> make_section_header(std::string_view tag, uint64_t body_bytes) {
  std::vector<uint8_t> bytes;
  append_text(bytes, tag);
  append_le<uint32_t>(bytes, tag == kMetadataTag ? 0 : kCriticalFlag);
  append_le(bytes, static_cast<uint32_t>(body_bytes));
  append_le(bytes, crc32c(bytes));
  return bytes;
}

Result<Section> parse_section_header(std::span<const uint8_t> bytes, uint64_t offset) {
  if (auto crc = check_trailing_crc(bytes, "a section's header", offset); !crc) return crc.error();
  Section section;
  section.tag.assign(bytes.begin(), bytes.begin() + 4);
  const auto flags = load_le<uint32_t>(bytes, 4);
  section.body_bytes = load_le<uint32_t>(bytes, 8);
  if (!std::all_of(section.tag.begin(), section.tag.end(),
                   [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); })) {
    return ErrorInfo{Errc::kBadSection,
                     "a section's tag " + hex(load_le<uint32_t>(bytes, 0)) + " is not four of A-Z and 0-9", offset};
  }
  if ((flags & ~kCriticalFlag) != 0) {
    return ErrorInfo{Errc::kUnsupported, "flags " + hex(flags) + " of section " + section.tag + " need a newer reader",
                     offset + 4};
  }
  const bool critical = flags == kCriticalFlag;
  const bool must_be_critical = section.tag == kSegmentTag || section.tag == kIndexTag || section.tag == kEndTag ||
                                section.tag == kPriorTag;
  section.known = must_be_critical || section.tag == kMetadataTag;
  if (section.known && critical != must_be_critical) {
    return ErrorInfo{Errc::kBadSection,
                     "section " + section.tag + " is marked " + (critical ? "critical" : "optional") +
                         ", which it is not",
                     offset + 4};
  }
  if (!section.known && critical) {
    return ErrorInfo{Errc::kUnsupported,
                     "section " + section.tag + " is needed to decode this file; get a newer reader", offset};
  }
  return section;
}

Result<void> check_trailing_crc(std::span<const uint8_t> body, std::string_view what, uint64_t offset) {
  if (body.size() < 4) {
    return ErrorInfo{Errc::kBadSection, std::string(what) + " is too short for its CRC", offset};
  }
  const auto expected = load_le<uint32_t>(body, body.size() - 4);
  const uint32_t found = crc32c(body.first(body.size() - 4));
  if (found == expected) return {};
  return ErrorInfo{Errc::kBadCrc,
                   std::string(what) + " at byte " + std::to_string(offset) + " is damaged (CRC " + hex(found) +
                       ", expected " + hex(expected) + ")",
                   offset};
}

std::vector<uint8_t> make_segment_head(const SegmentHead& head) {
  std::vector<uint8_t> bytes;
  append_le(bytes, head.index);
  append_le(bytes, head.num_frames);
  for (const uint32_t size : head.stream_bytes) append_le(bytes, size);
  append_le(bytes, crc32c(bytes));
  return bytes;
}

Result<SegmentHead> parse_segment_head(std::span<const uint8_t> bytes, const StreamInfo& info, uint32_t body_bytes,
                                       uint64_t offset) {
  if (auto crc = check_trailing_crc(bytes, "a segment's head", offset); !crc) return crc.error();
  SegmentHead head;
  head.index = load_le<uint32_t>(bytes, 0);
  head.num_frames = load_le<uint32_t>(bytes, 4);
  if (head.index >= kMaxSegments || head.num_frames < 1 || head.num_frames > info.segment_frames) {
    return ErrorInfo{Errc::kBadSection,
                     "segment " + std::to_string(head.index) + " has " + std::to_string(head.num_frames) +
                         " frames, expected 1.." + std::to_string(info.segment_frames) + " and a segment below " +
                         std::to_string(kMaxSegments),
                     offset};
  }
  uint64_t total = bytes.size();
  for (size_t i = 0; i < info.sources.size(); ++i) {
    const auto size = load_le<uint32_t>(bytes, 8 + 4 * i);
    if (size < kStreamHeadBytes || size > max_stream_bytes(info, head.num_frames)) {
      return ErrorInfo{Errc::kBadSection,
                       "the stream of " + info.sources[i] + " in segment " + std::to_string(head.index) + " has " +
                           std::to_string(size) + " bytes, expected " + std::to_string(kStreamHeadBytes) + ".." +
                           std::to_string(max_stream_bytes(info, head.num_frames)),
                       offset + 8 + 4 * i};
    }
    head.stream_bytes.push_back(size);
    total += size;
  }
  if (total != body_bytes) {
    return ErrorInfo{Errc::kBadSection,
                     "segment " + std::to_string(head.index) + " has " + std::to_string(body_bytes) +
                         " bytes, but its parts have " + std::to_string(total),
                     offset};
  }
  return head;
}

uint32_t max_stream_bytes(const StreamInfo& info, uint32_t num_frames) {
  return kStreamHeadBytes + 3 + (num_frames * info.num_codebooks * info.code_bits() + 7) / 8;
}

uint64_t index_body_bytes(const StreamInfo& info) { return info.num_segments() * index_entry_bytes(info) + 4; }

void append_index_entry(std::vector<uint8_t>& index, uint64_t segment_offset, const SegmentHead& head) {
  append_le(index, segment_offset);
  for (const uint32_t size : head.stream_bytes) append_le(index, size);
}

std::vector<uint8_t> make_end(const StreamInfo& info) {
  std::vector<uint8_t> bytes = make_section_header(kEndTag, kEndBodyBytes);
  std::vector<uint8_t> body;
  append_le(body, info.num_frames);
  append_le(body, info.num_samples);
  append_le(body, crc32c(body));
  bytes.insert(bytes.end(), body.begin(), body.end());
  return bytes;
}

Result<void> parse_end(std::span<const uint8_t> body, uint64_t offset, StreamInfo& info) {
  if (auto crc = check_trailing_crc(body, "the end mark", offset); !crc) return crc.error();
  StreamInfo totals = info;
  totals.num_frames = load_le<uint64_t>(body, 0);
  totals.num_samples = load_le<uint64_t>(body, 8);
  if (totals.num_segments() > kMaxSegments || totals.num_samples > totals.num_frames * totals.hop_samples) {
    return ErrorInfo{Errc::kBadEnd,
                     "the end mark says " + std::to_string(totals.num_frames) + " frames and " +
                         std::to_string(totals.num_samples) + " samples; with " + std::to_string(info.segment_frames) +
                         " frames a segment and " + std::to_string(info.hop_samples) +
                         " samples a frame that cannot be",
                     offset};
  }
  info = std::move(totals);
  return {};
}

uint32_t max_prior_body_bytes(const StreamInfo& info) { return 32 + 1 + static_cast<uint32_t>(info.sources.size()) + 4; }

std::vector<uint8_t> make_prior_body(const StreamInfo& info) {
  std::vector<uint8_t> body(info.prior_id.begin(), info.prior_id.end());
  body.push_back(static_cast<uint8_t>(info.source_order.size()));
  for (const uint32_t source : info.source_order) body.push_back(static_cast<uint8_t>(source));
  append_le(body, crc32c(body));
  return body;
}

Result<void> parse_prior_body(std::span<const uint8_t> body, uint64_t offset, StreamInfo& info) {
  if (auto crc = check_trailing_crc(body, "the section PRIO", offset); !crc) return crc.error();
  const size_t num_ordered = body.size() < 37 ? 0 : body[32];
  if (body.size() != 37 + num_ordered) {
    return ErrorInfo{Errc::kBadSection,
                     "the section PRIO has " + std::to_string(body.size()) + " bytes, expected 37 and one a source",
                     offset};
  }
  StreamInfo found = info;
  std::copy_n(body.begin(), found.prior_id.size(), found.prior_id.begin());
  const auto order = body.subspan(33, num_ordered);
  found.source_order.assign(order.begin(), order.end());
  if (auto valid = validate_prior(found); !valid) {
    return ErrorInfo{Errc::kBadSection, "the section PRIO: " + valid.error().message, offset};
  }
  info = std::move(found);
  return {};
}

Result<void> check_prior_is_named(const StreamInfo& info) {
  if (!info.has_prior() || info.prior_id != std::array<uint8_t, 32>{}) return {};
  return ErrorInfo{Errc::kUnsupported,
                   "the header names the numerics " + hex(info.numerics_id) + " of a prior, but no section PRIO says of "
                   "which",
                   40};
}

Result<std::vector<uint8_t>> make_metadata_body(std::string_view json) {
  if (json.size() > kMaxMetadataBytes) {
    return ErrorInfo{Errc::kBadArgument,
                     "metadata of " + std::to_string(json.size()) + " bytes, expected at most " +
                         std::to_string(kMaxMetadataBytes),
                     0};
  }
  if (!nlohmann::json::accept(json)) return ErrorInfo{Errc::kBadArgument, "the metadata is not JSON", 0};
  std::vector<uint8_t> body;
  append_le(body, static_cast<uint32_t>(json.size()));
  body.resize(4 + ZSTD_compressBound(json.size()));
  const size_t size = ZSTD_compress(body.data() + 4, body.size() - 4, json.data(), json.size(), 19);
  if (ZSTD_isError(size)) {
    return ErrorInfo{Errc::kBadArgument, std::string("zstd cannot compress the metadata: ") + ZSTD_getErrorName(size),
                     0};
  }
  body.resize(4 + size);
  append_le(body, crc32c(body));
  return body;
}

Result<std::string> parse_metadata_body(std::span<const uint8_t> body, uint64_t offset) {
  if (auto crc = check_trailing_crc(body, "the metadata", offset); !crc) return crc.error();
  const auto size = load_le<uint32_t>(body, 0);
  if (size > kMaxMetadataBytes) {
    return ErrorInfo{Errc::kBadMetadata,
                     "the metadata has " + std::to_string(size) + " bytes, expected at most " +
                         std::to_string(kMaxMetadataBytes),
                     offset};
  }
  std::string json(size, '\0');
  const size_t found = ZSTD_decompress(json.data(), json.size(), body.data() + 4, body.size() - 8);
  if (ZSTD_isError(found)) {
    return ErrorInfo{Errc::kBadMetadata, std::string("the metadata does not decompress: ") + ZSTD_getErrorName(found),
                     offset + 4};
  }
  if (found != size) {
    return ErrorInfo{Errc::kBadMetadata,
                     "the metadata decompresses to " + std::to_string(found) + " bytes, expected " +
                         std::to_string(size),
                     offset + 4};
  }
  if (!nlohmann::json::accept(json)) return ErrorInfo{Errc::kBadMetadata, "the metadata is not JSON", offset + 4};
  return json;
}

}  // namespace vqcodec::codec
