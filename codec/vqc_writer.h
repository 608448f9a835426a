// Writes a .vqc file from its first byte to its last, never going back: the sink may be a pipe. Holds one segment, or with
// a prior a batch of them, and the index (8 bytes and 4 a source for every segment).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "codec/byte_io.h"
#include "codec/code_grid.h"
#include "codec/result.h"
#include "codec/stream_coder.h"

namespace vqcodec::codec {

// Where a file's bytes go; the members add up to file_bytes.
struct FileStats {
  uint64_t header_bytes = 0;
  uint64_t prior_bytes = 0;            // the section that names the prior
  uint64_t metadata_bytes = 0;         // its section
  uint64_t segment_head_bytes = 0;     // section headers and heads of all segments
  uint64_t index_bytes = 0;            // index and end mark
  uint64_t other_bytes = 0;            // skipped optional sections, or what a damaged file has between sections
  std::vector<uint64_t> source_bytes;  // [num_sources], all streams of a source
  uint64_t file_bytes = 0;
};

struct WriterOptions {
  CodingTools tools{};  // with a predictor, streams that are shortest by the prior are coded with it
  // With a predictor: each source is coded given those before it in this order, of all sources; empty: each by itself.
  std::vector<uint32_t> source_order{};
  // With a predictor: segments wait until there are so many codes, and are coded together. Does not change the bytes.
  size_t max_batch_codes = 1U << 18;
};

class VqcWriter {
 public:
  // Writes the header, the section of the prior and, if `metadata_json` is not empty, the metadata (JSON text of at most
  // kMaxMetadataBytes). `sink` and the predictor must outlive the writer. `info` tells of no prior: what the file tells is
  // the predictor's. kBadArgument: `info`, the order or the metadata is outside the limits; kIo.
  static Result<VqcWriter> create(ByteSink& sink, const StreamInfo& info, std::string_view metadata_json = {},
                                  WriterOptions options = {});

  // One item a source, in the order of info.sources, all of the same number of frames: segment_frames, or fewer in
  // the last segment. kBadArgument says which source or code is wrong; kIo. After an error the file is lost.
  Result<void> write_segment(std::span<const SourceSegment> sources);

  // Writes index and end mark. num_samples, of one channel, is at most num_frames x hop_samples. Once.
  Result<void> finish(uint64_t num_samples);

  uint64_t num_frames() const { return info_.num_frames; }
  // What the file's header says.
  const StreamInfo& info() const { return info_; }
  const FileStats& stats() const { return stats_; }  // whole after finish()
  // What each codebook of each source cost by the coder's own probabilities, [num_sources].
  const std::vector<CodebookBits>& bits() const { return bits_; }

 private:
  VqcWriter(ByteSink& sink, const StreamInfo& info, WriterOptions options);
  Result<void> write(std::span<const uint8_t> bytes, uint64_t& count);
  Result<void> write_waiting();

  ByteSink* sink_;
  StreamInfo info_;
  WriterOptions options_;
  std::vector<std::vector<SourceSegment>> waiting_;  // [segment][source]
  size_t num_waiting_codes_ = 0;
  uint32_t num_written_ = 0;  // segments
  std::vector<uint8_t> index_;
  FileStats stats_;
  std::vector<CodebookBits> bits_;
  bool closed_ = false;  // finished, or failed
  bool last_ = false;    // a short segment was written
};

}  // namespace vqcodec::codec
