// Reads .vqc files: VqcReader where any byte can be reached, VqcStreamReader from a pipe. Neither throws or crashes
// on any bytes, and neither allocates more than the limits of format version 1 allow.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codec/byte_io.h"
#include "codec/code_grid.h"
#include "codec/result.h"
#include "codec/stream_coder.h"
#include "codec/vqc_format.h"
#include "codec/vqc_writer.h"

namespace vqcodec::codec {

class VqcReader {
 public:
  enum class Mode {
    kStrict,   // needs header, index and end mark undamaged
    kRecover,  // if index, end mark or a section's header is damaged or missing, looks for segments from the start on
  };

  // Reads header, index and end mark (and in kRecover of a damaged file the head of every segment). `source` must
  // outlive the reader. Every error of the header, the sections before the first segment, the index and the end
  // mark: see FORMAT.md, "What a reader must refuse". kRecover fails only for the header's.
  static Result<VqcReader> open(const ByteSource& source, Mode mode = Mode::kStrict);

  // All fields are set. When totals_known() is false, num_frames is what was found and num_samples the most that they
  // can hold.
  const StreamInfo& info() const { return info_; }
  bool totals_known() const { return totals_known_; }
  // Why kRecover had to look for the segments.
  const std::optional<ErrorInfo>& damage() const { return damage_; }

  uint32_t num_segments() const { return static_cast<uint32_t>(info_.num_segments()); }
  // Frames of `segment` < num_segments(): info().segment_frames but in the last one.
  uint32_t num_frames(uint32_t segment) const;

  // Reads and decodes one stream that no prior codes, and no other bytes. Safe to call from several threads. Errors of
  // decode_stream(),
  // the message naming segment and source; kMissingSegment if kRecover did not find it; kBadArgument if there is no
  // such segment or source; kIo.
  Result<SourceSegment> read_source_segment(uint32_t segment, uint32_t source, CodebookBits* bits = nullptr) const;
  // Reads the streams of `sources` for decode_segments(), which in a joint file needs all of sources_to_read().
  // kMissingSegment, kBadArgument, kIo, the message naming the segment.
  Result<EncodedSegment> read_segment(uint32_t segment, std::span<const uint32_t> sources) const;
  // The coder of that stream, nothing for silence. Reads a few bytes and checks none. kMissingSegment, kBadStream, kIo.
  Result<std::optional<uint8_t>> read_coder(uint32_t segment, uint32_t source) const;
  // Bytes of that stream in the file, 0 if it is missing.
  uint32_t stream_bytes(uint32_t segment, uint32_t source) const;

  // The JSON text, empty if the file has none. kBadCrc, kBadMetadata, kIo.
  Result<std::string> read_metadata() const;

  const FileStats& stats() const { return stats_; }

 private:
  struct Entry {
    uint32_t segment = 0;
    uint64_t offset = 0;  // of the section
    std::vector<uint32_t> stream_bytes;
  };

  explicit VqcReader(const ByteSource& source) : source_(&source) {}
  Result<void> read_header();
  Result<void> read_index();
  Result<void> scan();
  Result<void> walk_preamble(uint64_t end);
  Result<void> read_prior(const Section& section, uint64_t offset);
  void count_bytes();
  const Entry* find(uint32_t segment) const;

  const ByteSource* source_;
  StreamInfo info_;
  uint64_t header_bytes_ = 0;
  uint32_t prior_bytes_ = 0;      // of the body; 0: none
  uint64_t metadata_offset_ = 0;  // of the section's body
  uint32_t metadata_bytes_ = 0;   // of the body; 0: none
  std::vector<Entry> entries_;    // ascending segments
  bool totals_known_ = false;
  std::optional<ErrorInfo> damage_;
  FileStats stats_;
};

class VqcStreamReader {
 public:
  // Reads the header and what comes before the first segment. `stream` must outlive the reader.
  static Result<VqcStreamReader> open(ByteStream& stream);

  // num_frames and num_samples are 0 until totals_known().
  const StreamInfo& info() const { return info_; }
  // True at the latest when next() has returned the last segment of an undamaged file.
  bool totals_known() const { return totals_known_; }
  // The JSON text, empty if the file has none. kBadCrc, kBadMetadata.
  const Result<std::string>& metadata() const { return metadata_; }

  // The next segment; nothing after the last one, once the end of the file was found to be right. After an error,
  // can_continue() says whether only that segment was lost: then next() goes on with the one after it.
  Result<std::optional<EncodedSegment>> next();
  bool can_continue() const { return can_continue_; }
  // Number of the segment that next() will return or report.
  uint32_t next_index() const { return next_index_; }

 private:
  explicit VqcStreamReader(ByteStream& stream) : stream_(&stream) {}
  // Fills `out`; kTruncated, naming `what`.
  Result<void> read(std::span<uint8_t> out, const char* what);
  Result<std::vector<uint8_t>> read_body(uint32_t size, const char* what);
  Result<void> skip(uint64_t size);
  // Goes to the next segment's head or past the end mark.
  Result<void> advance();
  Result<void> read_end(const Section& index);

  ByteStream* stream_;
  uint64_t offset_ = 0;
  StreamInfo info_;
  bool totals_known_ = false;
  Result<std::string> metadata_{std::string()};
  bool metadata_seen_ = false;
  bool prior_seen_ = false;
  uint32_t num_preamble_sections_ = 0;
  uint32_t next_index_ = 0;
  bool in_segments_ = false;
  uint64_t section_offset_ = 0;
  uint32_t segment_body_bytes_ = 0;  // of the segment that stream_ is at; 0 after the last one
  uint64_t num_frames_seen_ = 0;
  bool short_segment_seen_ = false;
  bool lost_segment_ = false;
  std::vector<uint8_t> index_;  // what the file's index must be
  std::optional<ErrorInfo> pending_;
  bool can_continue_ = false;
};

}  // namespace vqcodec::codec
