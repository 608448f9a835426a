// Writes a .vqc file from its first byte to its last, never going back: the sink may be a pipe. Holds one segment and
// the index (8 bytes and 4 a source for every segment).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/adaptive_model.h"
#include "codec/byte_io.h"
#include "codec/code_grid.h"
#include "codec/result.h"

namespace vqcodec::codec {

// Where a file's bytes go; the members add up to file_bytes.
struct FileStats {
  uint64_t header_bytes = 0;
  uint64_t metadata_bytes = 0;         // its section
  uint64_t segment_head_bytes = 0;     // section headers and heads of all segments
  uint64_t index_bytes = 0;            // index and end mark
  uint64_t other_bytes = 0;            // skipped optional sections, or what a damaged file has between sections
  std::vector<uint64_t> source_bytes;  // [num_sources], all streams of a source
  uint64_t file_bytes = 0;
};

class VqcWriter {
 public:
  // Writes the header and, if `metadata_json` is not empty, the metadata (JSON text of at most kMaxMetadataBytes).
  // `sink` must outlive the writer. kBadArgument: `info` or the metadata is outside the limits, or
  // info.numerics_id is not 0; kIo.
  static Result<VqcWriter> create(ByteSink& sink, const StreamInfo& info, std::string_view metadata_json = {});

  // One item a source, in the order of info.sources, all of the same number of frames: segment_frames, or fewer in
  // the last segment. kBadArgument says which source or code is wrong; kIo. After an error the file is lost.
  Result<void> write_segment(std::span<const SourceSegment> sources);

  // Writes index and end mark. num_samples, of one channel, is at most num_frames x hop_samples. Once.
  Result<void> finish(uint64_t num_samples);

  uint64_t num_frames() const { return info_.num_frames; }
  const FileStats& stats() const { return stats_; }  // whole after finish()
  // What each codebook of each source cost by the coder's own probabilities, [num_sources].
  const std::vector<CodebookBits>& bits() const { return bits_; }

 private:
  VqcWriter(ByteSink& sink, const StreamInfo& info);
  Result<void> write(std::span<const uint8_t> bytes, uint64_t& count);

  ByteSink* sink_;
  StreamInfo info_;
  AdaptiveModel model_;
  std::vector<uint8_t> index_;
  FileStats stats_;
  std::vector<CodebookBits> bits_;
  bool closed_ = false;  // finished, or failed
  bool last_ = false;    // a short segment was written
};

}  // namespace vqcodec::codec
