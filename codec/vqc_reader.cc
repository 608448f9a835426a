#include "codec/vqc_reader.h"

#include <algorithm>
#include <array>

#include "codec/crc32c.h"
#include "codec/little_endian.h"

namespace vqcodec::codec {
namespace {

ErrorInfo no_such_stream(const StreamInfo& info, uint64_t segment, uint64_t num_segments, uint32_t source) {
  return {Errc::kBadArgument,
          "segment " + std::to_string(segment) + " of source " + std::to_string(source) + "; the file has " +
              std::to_string(num_segments) + " segments of " + std::to_string(info.sources.size()) + " sources",
          0};
}

ErrorInfo misplaced(const Section& section, uint64_t offset) {
  return {Errc::kBadSection, "section " + section.tag + " is not allowed at byte " + std::to_string(offset), offset};
}

ErrorInfo too_many_sections(uint64_t offset) {
  return {Errc::kBadSection,
          "more than " + std::to_string(kMaxPreambleSections) + " sections between header and first segment", offset};
}

Result<void> check_prior_section(const StreamInfo& info, const Section& section, uint64_t offset) {
  if (!info.has_prior()) {
    return ErrorInfo{Errc::kBadSection, "section PRIO in a file whose header names no numerics of a prior", offset};
  }
  if (section.body_bytes <= max_prior_body_bytes(info)) return {};
  return ErrorInfo{Errc::kBadSection,
                   "the section PRIO has " + std::to_string(section.body_bytes) + " bytes, expected at most " +
                       std::to_string(max_prior_body_bytes(info)),
                   offset};
}

Result<void> check_metadata_size(const Section& section, uint64_t offset) {
  if (section.body_bytes >= kMinMetadataBodyBytes && section.body_bytes <= kMaxMetadataBodyBytes) return {};
  return ErrorInfo{Errc::kBadMetadata,
                   "the metadata section has " + std::to_string(section.body_bytes) + " bytes, expected " +
                       std::to_string(kMinMetadataBodyBytes) + ".." + std::to_string(kMaxMetadataBodyBytes),
                   offset};
}

}  // namespace

// VqcReader

Result<VqcReader> VqcReader::open(const ByteSource& source, Mode mode) {
  VqcReader reader(source);
  if (auto r = reader.read_header(); !r) return r.error();
  if (auto r = reader.read_index(); !r) {
    if (mode == Mode::kStrict || r.error().code == Errc::kIo) return r.error();
    reader.damage_ = r.error();
    if (auto s = reader.scan(); !s) return s.error();
  }
  reader.count_bytes();
  return reader;
}

Result<void> VqcReader::read_header() {
  std::vector<uint8_t> bytes(std::min<uint64_t>(source_->size(), kHeaderStartBytes));
  if (auto r = source_->read_at(0, bytes); !r) return r;
  auto size = parse_header_size(bytes);
  if (!size) return size.error();
  if (source_->size() < *size) {
    return ErrorInfo{Errc::kTruncated,
                     "the file ends inside its header, after " + std::to_string(source_->size()) + " of " +
                         std::to_string(*size) + " bytes",
                     source_->size()};
  }
  bytes.resize(*size);
  if (auto r = source_->read_at(0, bytes); !r) return r;
  auto info = parse_header(bytes);
  if (!info) return info.error();
  info_ = std::move(info).value();
  header_bytes_ = *size;
  return {};
}

Result<void> VqcReader::read_index() {
  const uint64_t size = source_->size();
  const auto no_end = [&](const std::string& why) {
    return ErrorInfo{Errc::kBadEnd,
                     "the last " + std::to_string(kEndBytes) + " bytes are no end mark (" + why +
                         "): the file was cut short, damaged, or has other bytes after it",
                     size < kEndBytes ? 0 : size - kEndBytes};
  };
  if (size - header_bytes_ < kEndBytes) return no_end("the file has " + std::to_string(size) + " bytes");
  const uint64_t end_offset = size - kEndBytes;
  std::array<uint8_t, kEndBytes> end;
  if (auto r = source_->read_at(end_offset, end); !r) return r;
  const auto end_header = std::span(end).first(kSectionHeaderBytes);
  auto end_section = parse_section_header(end_header, end_offset);
  if (!std::equal(kEndTag.begin(), kEndTag.end(), end.begin())) return no_end("they do not begin with VEND");
  if (!end_section) return no_end(end_section.error().message);
  if (end_section->tag != kEndTag || end_section->body_bytes != kEndBodyBytes) {
    return no_end("section " + end_section->tag + " of " + std::to_string(end_section->body_bytes) + " bytes");
  }
  if (auto r = parse_end(std::span(end).subspan(kSectionHeaderBytes), end_offset + kSectionHeaderBytes, info_); !r) {
    return r;
  }
  totals_known_ = true;

  const uint64_t body_bytes = index_body_bytes(info_);
  if (end_offset - header_bytes_ < kSectionHeaderBytes + body_bytes) {
    return ErrorInfo{Errc::kBadIndex,
                     "the file is too short for the index of its " + std::to_string(info_.num_segments()) + " segments",
                     end_offset};
  }
  const uint64_t index_offset = end_offset - body_bytes - kSectionHeaderBytes;
  std::array<uint8_t, kSectionHeaderBytes> header;
  if (auto r = source_->read_at(index_offset, header); !r) return r;
  auto section = parse_section_header(header, index_offset);
  if (!std::equal(kIndexTag.begin(), kIndexTag.end(), header.begin())) {
    return ErrorInfo{Errc::kBadIndex,
                     "no index of " + std::to_string(info_.num_segments()) + " segments before the end mark",
                     index_offset};
  }
  if (!section) return ErrorInfo{Errc::kBadIndex, section.error().message, index_offset};
  if (section->tag != kIndexTag || section->body_bytes != body_bytes) {
    return ErrorInfo{Errc::kBadIndex,
                     "section " + section->tag + " of " + std::to_string(section->body_bytes) +
                         " bytes before the end mark, expected an index of " + std::to_string(body_bytes),
                     index_offset};
  }
  std::vector<uint8_t> body(body_bytes);
  const uint64_t body_offset = index_offset + kSectionHeaderBytes;
  if (auto r = source_->read_at(body_offset, body); !r) return r;
  if (auto r = check_trailing_crc(body, "the index", body_offset); !r) return r;

  const size_t num_sources = info_.sources.size();
  std::vector<Entry> entries;
  entries.reserve(info_.num_segments());
  uint64_t free_from = header_bytes_;
  size_t at = 0;
  for (uint32_t i = 0; i < info_.num_segments(); ++i) {
    const size_t entry_offset = at;
    Entry entry{i, load_le<uint64_t>(body, at), {}};
    at += 8;
    uint64_t section_bytes = kSectionHeaderBytes + segment_head_bytes(info_);
    bool fits = entry.offset >= free_from && entry.offset <= index_offset;
    entry.stream_bytes.reserve(num_sources);
    for (size_t s = 0; s < num_sources; ++s, at += 4) {
      const auto bytes = load_le<uint32_t>(body, at);
      fits = fits && bytes >= kStreamHeadBytes && bytes <= max_stream_bytes(info_, num_frames(i));
      section_bytes += bytes;
      entry.stream_bytes.push_back(bytes);
    }
    if (!fits || section_bytes > index_offset - entry.offset) {
      return ErrorInfo{Errc::kBadIndex,
                       "the index puts segment " + std::to_string(i) + " at byte " + std::to_string(entry.offset) +
                           ", where it or its streams do not fit",
                       body_offset + entry_offset};
    }
    free_from = entry.offset + section_bytes;
    entries.push_back(std::move(entry));
  }
  if (auto r = walk_preamble(entries.empty() ? index_offset : entries[0].offset); !r) return r;
  entries_ = std::move(entries);
  return {};
}

Result<void> VqcReader::walk_preamble(uint64_t end) {
  uint64_t at = header_bytes_;
  for (uint32_t count = 0; at != end; ++count) {
    if (count == kMaxPreambleSections) return too_many_sections(at);
    std::array<uint8_t, kSectionHeaderBytes> header;
    if (end - at < kSectionHeaderBytes) {
      return ErrorInfo{Errc::kBadIndex, "the index puts the first segment inside another section", at};
    }
    if (auto r = source_->read_at(at, header); !r) return r;
    auto section = parse_section_header(header, at);
    if (!section) return section.error();
    const bool allowed = (section->tag == kMetadataTag && metadata_bytes_ == 0) ||
                         (section->tag == kPriorTag && prior_bytes_ == 0);
    if (section->known && !allowed) return misplaced(*section, at);
    if (section->body_bytes > end - at - kSectionHeaderBytes) {
      return ErrorInfo{Errc::kBadIndex, "the index puts the first segment inside section " + section->tag, at};
    }
    if (section->tag == kPriorTag) {
      if (auto r = read_prior(*section, at); !r) return r;
    } else if (section->known) {
      if (auto r = check_metadata_size(*section, at); !r) return r;
      metadata_offset_ = at + kSectionHeaderBytes;
      metadata_bytes_ = section->body_bytes;
    }
    at += kSectionHeaderBytes + section->body_bytes;
  }
  return check_prior_is_named(info_);
}

Result<void> VqcReader::read_prior(const Section& section, uint64_t offset) {
  if (auto r = check_prior_section(info_, section, offset); !r) return r;
  std::vector<uint8_t> body(section.body_bytes);
  if (auto r = source_->read_at(offset + kSectionHeaderBytes, body); !r) return r;
  if (auto r = parse_prior_body(body, offset + kSectionHeaderBytes, info_); !r) return r;
  prior_bytes_ = section.body_bytes;
  return {};
}

// Goes from section to section; where there is none, to the next place that looks like one.
Result<void> VqcReader::scan() {
  const uint64_t size = source_->size();
  metadata_bytes_ = 0;
  prior_bytes_ = 0;
  info_.prior_id = {};
  info_.source_order.clear();
  bool found_end = false;
  StreamInfo totals = info_;
  uint64_t num_frames_found = 0;
  uint64_t at = header_bytes_;
  std::vector<uint8_t> chunk;
  std::vector<uint8_t> head_bytes(segment_head_bytes(info_));
  while (at < size && size - at >= kSectionHeaderBytes) {
    std::array<uint8_t, kSectionHeaderBytes> header;
    if (auto r = source_->read_at(at, header); !r) return r;
    auto section = parse_section_header(header, at);
    if (!section && section.error().code == Errc::kUnsupported) return section.error();
    if (!section) {
      // The next of the known tags with an undamaged header, at at + 1 or later. Chunks overlap by a header less a byte.
      uint64_t from = at + 1;
      at = size;
      while (at == size && size - from >= kSectionHeaderBytes) {
        chunk.resize(std::min<uint64_t>(size - from, 1U << 16));
        if (auto r = source_->read_at(from, chunk); !r) return r;
        const size_t last = chunk.size() - kSectionHeaderBytes;
        for (size_t i = 0; i <= last; ++i) {
          const uint8_t first = chunk[i];
          if (first != 'S' && first != 'I' && first != 'V' && first != 'M' && first != 'P') continue;
          auto candidate = parse_section_header(std::span(chunk).subspan(i, kSectionHeaderBytes), from + i);
          if (candidate && candidate->known) {
            at = from + i;
            break;
          }
        }
        from += last + 1;
      }
      continue;
    }
    const uint64_t body = at + kSectionHeaderBytes;
    const uint64_t there = size - body;
    if (section->tag == kMetadataTag && metadata_bytes_ == 0 && entries_.empty() && section->body_bytes <= there &&
        check_metadata_size(*section, at)) {
      metadata_offset_ = body;
      metadata_bytes_ = section->body_bytes;
    } else if (section->tag == kPriorTag && prior_bytes_ == 0 && entries_.empty() && section->body_bytes <= there) {
      // Without it, what the prior coded is lost and the rest is not.
      if (auto r = read_prior(*section, at); !r && r.error().code == Errc::kIo) return r;
    } else if (section->tag == kSegmentTag && there >= head_bytes.size()) {
      if (auto r = source_->read_at(body, head_bytes); !r) return r;
      auto head = parse_segment_head(head_bytes, info_, section->body_bytes, body);
      if (head && (entries_.empty() || head->index > entries_.back().segment)) {
        num_frames_found = uint64_t{head->index} * info_.segment_frames + head->num_frames;
        entries_.push_back({head->index, at, std::move(head->stream_bytes)});
      }
    } else if (section->tag == kEndTag && section->body_bytes == kEndBodyBytes && there >= kEndBodyBytes) {
      std::array<uint8_t, kEndBodyBytes> end;
      if (auto r = source_->read_at(body, end); !r) return r;
      totals = info_;
      found_end = parse_end(end, body, totals).ok();
    }
    at = body + section->body_bytes;
  }
  totals_known_ = found_end && totals.num_frames >= num_frames_found;
  if (totals_known_) {
    info_ = totals;
  } else {
    info_.num_frames = num_frames_found;
    info_.num_samples = num_frames_found * info_.hop_samples;
  }
  return {};
}

void VqcReader::count_bytes() {
  stats_.file_bytes = source_->size();
  stats_.header_bytes = header_bytes_;
  stats_.prior_bytes = prior_bytes_ == 0 ? 0 : kSectionHeaderBytes + prior_bytes_;
  stats_.metadata_bytes = metadata_bytes_ == 0 ? 0 : kSectionHeaderBytes + metadata_bytes_;
  stats_.segment_head_bytes = entries_.size() * (kSectionHeaderBytes + segment_head_bytes(info_));
  stats_.index_bytes = damage_ ? 0 : kSectionHeaderBytes + index_body_bytes(info_) + kEndBytes;
  stats_.source_bytes.assign(info_.sources.size(), 0);
  uint64_t counted = stats_.header_bytes + stats_.prior_bytes + stats_.metadata_bytes + stats_.segment_head_bytes + stats_.index_bytes;
  for (const Entry& entry : entries_) {
    for (size_t s = 0; s < entry.stream_bytes.size(); ++s) {
      stats_.source_bytes[s] += entry.stream_bytes[s];
      counted += entry.stream_bytes[s];
    }
  }
  // A segment at the end of a cut file counts whole.
  stats_.other_bytes = counted < stats_.file_bytes ? stats_.file_bytes - counted : 0;
}

const VqcReader::Entry* VqcReader::find(uint32_t segment) const {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), segment,
                                   [](const Entry& entry, uint32_t wanted) { return entry.segment < wanted; });
  return at != entries_.end() && at->segment == segment ? &*at : nullptr;
}

uint32_t VqcReader::num_frames(uint32_t segment) const {
  const uint64_t start = uint64_t{segment} * info_.segment_frames;
  return start >= info_.num_frames
             ? 0
             : static_cast<uint32_t>(std::min<uint64_t>(info_.segment_frames, info_.num_frames - start));
}

uint32_t VqcReader::stream_bytes(uint32_t segment, uint32_t source) const {
  const Entry* entry = find(segment);
  return entry == nullptr || source >= entry->stream_bytes.size() ? 0 : entry->stream_bytes[source];
}

Result<SourceSegment> VqcReader::read_source_segment(uint32_t segment, uint32_t source, CodebookBits* bits) const {
  auto encoded = read_segment(segment, {&source, 1});
  if (!encoded && source < info_.sources.size() && segment < num_segments()) {
    return name_stream(encoded.error(), info_, segment, source);
  }
  if (!encoded) return encoded.error();
  return encoded->decode_source(info_, source, bits);
}

Result<EncodedSegment> VqcReader::read_segment(uint32_t segment, std::span<const uint32_t> sources) const {
  for (const uint32_t source : sources) {
    if (segment >= num_segments() || source >= info_.sources.size()) {
      return no_such_stream(info_, segment, num_segments(), source);
    }
  }
  const Entry* entry = find(segment);
  if (entry == nullptr) return ErrorInfo{Errc::kMissingSegment, "damaged or missing in this file", 0};
  EncodedSegment encoded{segment, num_frames(segment), {}, {}};
  encoded.streams.resize(info_.sources.size());
  uint64_t offset = entry->offset + kSectionHeaderBytes + segment_head_bytes(info_);
  for (uint32_t s = 0; s < info_.sources.size(); ++s) {
    encoded.byte_offsets.push_back(offset);
    offset += entry->stream_bytes[s];
  }
  for (const uint32_t source : sources) {
    encoded.streams[source].resize(entry->stream_bytes[source]);
    if (auto r = source_->read_at(encoded.byte_offsets[source], encoded.streams[source]); !r) return r.error();
  }
  return encoded;
}

Result<std::optional<uint8_t>> VqcReader::read_coder(uint32_t segment, uint32_t source) const {
  if (segment >= num_segments() || source >= info_.sources.size()) {
    return no_such_stream(info_, segment, num_segments(), source);
  }
  const Entry* entry = find(segment);
  if (entry == nullptr) {
    return name_stream({Errc::kMissingSegment, "damaged or missing in this file", 0}, info_, segment, source);
  }
  const uint32_t size = entry->stream_bytes[source];
  if (size == kStreamHeadBytes) return std::optional<uint8_t>();
  uint64_t offset = entry->offset + kSectionHeaderBytes + segment_head_bytes(info_) + kStreamHeadBytes;
  for (uint32_t s = 0; s < source; ++s) offset += entry->stream_bytes[s];
  std::array<uint8_t, 3> head;
  if (size < kStreamHeadBytes + head.size()) {
    return name_stream({Errc::kBadStream, "a payload without gain and coder", offset}, info_, segment, source);
  }
  if (auto r = source_->read_at(offset, head); !r) return name_stream(r.error(), info_, segment, source);
  return std::optional(head[2]);
}

Result<std::string> VqcReader::read_metadata() const {
  if (metadata_bytes_ == 0) return std::string();
  std::vector<uint8_t> body(metadata_bytes_);
  if (auto r = source_->read_at(metadata_offset_, body); !r) return r.error();
  return parse_metadata_body(body, metadata_offset_);
}

// VqcStreamReader

Result<VqcStreamReader> VqcStreamReader::open(ByteStream& stream) {
  VqcStreamReader reader(stream);
  // The first bytes one read at a time, so that a short file of another kind is called that.
  std::vector<uint8_t> header(kHeaderStartBytes);
  size_t have = 0;
  while (have < header.size()) {
    auto n = stream.read_some(std::span(header).subspan(have));
    if (!n) return n.error();
    if (*n == 0) break;
    have += *n;
  }
  header.resize(have);
  reader.offset_ = have;
  auto size = parse_header_size(header);
  if (!size) return size.error();
  header.resize(*size);
  if (auto r = reader.read(std::span(header).subspan(have), "its header"); !r) return r.error();
  auto info = parse_header(header);
  if (!info) return info.error();
  reader.info_ = std::move(info).value();
  if (auto r = reader.advance(); !r) return r.error();
  reader.can_continue_ = true;
  return reader;
}

Result<void> VqcStreamReader::read(std::span<uint8_t> out, const char* what) {
  while (!out.empty()) {
    auto n = stream_->read_some(out);
    if (!n) return ErrorInfo{n.error().code, n.error().message, offset_};
    if (*n == 0) {
      return ErrorInfo{Errc::kTruncated,
                       "the file ends inside " + std::string(what) + ", at byte " + std::to_string(offset_), offset_};
    }
    offset_ += *n;
    out = out.subspan(*n);
  }
  return {};
}

// Grows as the bytes come, so that a size that lies costs no memory.
Result<std::vector<uint8_t>> VqcStreamReader::read_body(uint32_t size, const char* what) {
  std::vector<uint8_t> bytes;
  while (bytes.size() < size) {
    const size_t have = bytes.size();
    bytes.resize(have + std::min<size_t>(size - have, 1U << 20));
    if (auto r = read(std::span(bytes).subspan(have), what); !r) return r.error();
  }
  return bytes;
}

Result<void> VqcStreamReader::skip(uint64_t size) {
  std::array<uint8_t, 4096> waste;
  while (size > 0) {
    const auto part = std::span(waste).first(std::min<uint64_t>(size, waste.size()));
    if (auto r = read(part, "a section"); !r) return r;
    size -= part.size();
  }
  return {};
}

Result<void> VqcStreamReader::advance() {
  segment_body_bytes_ = 0;
  for (;;) {
    section_offset_ = offset_;
    std::array<uint8_t, kSectionHeaderBytes> header;
    if (auto r = read(header, "a section's header, before its end mark"); !r) return r;
    auto section = parse_section_header(header, section_offset_);
    if (!section) return section.error();
    if (!in_segments_ && (section->tag == kSegmentTag || section->tag == kIndexTag)) {
      if (auto r = check_prior_is_named(info_); !r) return r;
    }
    if (section->tag == kSegmentTag) {
      in_segments_ = true;
      if (section->body_bytes < segment_head_bytes(info_)) {
        return ErrorInfo{Errc::kBadSection, "a segment of " + std::to_string(section->body_bytes) + " bytes",
                         section_offset_};
      }
      segment_body_bytes_ = section->body_bytes;
      return {};
    }
    if (section->tag == kIndexTag) return read_end(*section);
    if (!in_segments_ && num_preamble_sections_++ == kMaxPreambleSections) return too_many_sections(section_offset_);
    if (section->tag == kPriorTag && !in_segments_ && !prior_seen_) {
      prior_seen_ = true;
      if (auto r = check_prior_section(info_, *section, section_offset_); !r) return r;
      const uint64_t body_offset = offset_;
      auto body = read_body(section->body_bytes, "the section PRIO");
      if (!body) return body.error();
      if (auto r = parse_prior_body(*body, body_offset, info_); !r) return r;
    } else if (section->tag == kMetadataTag && !in_segments_ && !metadata_seen_) {
      metadata_seen_ = true;
      if (auto r = check_metadata_size(*section, section_offset_); !r) return r;
      const uint64_t body_offset = offset_;
      auto body = read_body(section->body_bytes, "the metadata");
      if (!body) return body.error();
      metadata_ = parse_metadata_body(*body, body_offset);
    } else if (section->known) {
      return misplaced(*section, section_offset_);
    } else if (auto r = skip(section->body_bytes); !r) {
      return r;
    }
  }
}

Result<void> VqcStreamReader::read_end(const Section& index) {
  const uint64_t index_offset = section_offset_;
  append_le(index_, crc32c(index_));
  if (!lost_segment_ && index.body_bytes != index_.size()) {
    return ErrorInfo{Errc::kBadIndex,
                     "the index has " + std::to_string(index.body_bytes) + " bytes, but that of the " +
                         std::to_string(next_index_) + " segments before it has " + std::to_string(index_.size()),
                     index_offset};
  }
  auto body = read_body(index.body_bytes, "the index");
  if (!body) return body.error();
  if (auto r = check_trailing_crc(*body, "the index", index_offset + kSectionHeaderBytes); !r) return r;
  if (!lost_segment_ && *body != index_) {
    return ErrorInfo{Errc::kBadIndex, "the index says something else than the segments before it", index_offset};
  }
  const uint64_t end_offset = offset_;
  std::array<uint8_t, kEndBytes> end;
  if (auto r = read(end, "its end mark"); !r) return r;
  auto section = parse_section_header(std::span(end).first(kSectionHeaderBytes), end_offset);
  if (!section) return section.error();
  if (section->tag != kEndTag || section->body_bytes != kEndBodyBytes) {
    return ErrorInfo{Errc::kBadEnd, "section " + section->tag + " after the index, expected the end mark", end_offset};
  }
  StreamInfo totals = info_;
  if (auto r = parse_end(std::span(end).subspan(kSectionHeaderBytes), end_offset + kSectionHeaderBytes, totals); !r) {
    return r;
  }
  if (!lost_segment_ && totals.num_frames != num_frames_seen_) {
    return ErrorInfo{Errc::kBadEnd,
                     "the end mark says " + std::to_string(totals.num_frames) + " frames, but the segments have " +
                         std::to_string(num_frames_seen_),
                     end_offset};
  }
  info_ = std::move(totals);
  totals_known_ = true;
  uint8_t more;
  auto n = stream_->read_some({&more, 1});
  if (!n) return n.error();
  if (*n != 0) return ErrorInfo{Errc::kBadEnd, "there are bytes after the end mark", offset_};
  return {};
}

Result<std::optional<EncodedSegment>> VqcStreamReader::next() {
  if (pending_) {
    can_continue_ = false;
    return *pending_;
  }
  if (segment_body_bytes_ == 0) return std::optional<EncodedSegment>();
  const uint32_t index = next_index_++;
  const uint64_t body_offset = offset_;
  const uint64_t segment_offset = section_offset_;
  const auto fail = [&](const ErrorInfo& error) {
    pending_ = error;
    can_continue_ = false;
    return error;
  };
  std::vector<uint8_t> head_bytes(segment_head_bytes(info_));
  if (auto r = read(head_bytes, "a segment's head"); !r) return fail(r.error());
  const uint64_t rest = segment_body_bytes_ - head_bytes.size();
  auto head = parse_segment_head(head_bytes, info_, segment_body_bytes_, body_offset);
  if (!head) {
    // The section's own header was right, so that the next section is where it says.
    lost_segment_ = true;
    if (auto r = skip(rest); !r) return fail(r.error());
    if (auto r = advance(); !r) pending_ = r.error();
    return head.error();
  }
  if (head->index != index || short_segment_seen_) {
    return fail({Errc::kBadSection,
                 "segment " + std::to_string(head->index) + " where segment " + std::to_string(index) +
                     (short_segment_seen_ ? " cannot be, after a short one" : " was expected"),
                 body_offset});
  }
  append_index_entry(index_, segment_offset, *head);
  num_frames_seen_ += head->num_frames;
  short_segment_seen_ = head->num_frames < info_.segment_frames;
  EncodedSegment segment{head->index, head->num_frames, {}, {}};
  for (const uint32_t size : head->stream_bytes) {
    segment.byte_offsets.push_back(offset_);
    auto stream = read_body(size, "a segment");
    if (!stream) return fail(stream.error());
    segment.streams.push_back(std::move(stream).value());
  }
  if (auto r = advance(); !r) pending_ = r.error();
  return std::optional(std::move(segment));
}

}  // namespace vqcodec::codec
