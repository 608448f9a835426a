// .vqc files as the programs read them: from a file or a pipe, strictly or past damage, with errors as Error.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "codec/byte_io.h"
#include "codec/stream_coder.h"
#include "codec/vqc_reader.h"

namespace vqcodec::apps {

using Warn = std::function<void(const std::string&)>;

// What `error` is to a program: "<name>: <message>, at byte <offset><hint>" with the exit code that fits.
Error to_error(const std::string& name, const codec::ErrorInfo& error, const std::string& hint = {});

// The value of `result`; throws to_error() if there is none.
template <class T>
T take(const std::string& name, codec::Result<T> result) {
  if (!result) throw to_error(name, result.error());
  return std::move(result).value();
}
void take(const std::string& name, const codec::Result<void>& result);

// "standard input" for "-".
std::string input_name(const std::string& path);

// All of a .vqc for random access: the file, or the bytes of a pipe in memory (at most 1 GiB). Throws Error(kIo).
std::unique_ptr<codec::ByteSource> open_vqc_bytes(const std::string& path);

// Metadata as JSON; null if it is empty or no JSON, and what is nested deeper than 32 levels is left out.
nlohmann::ordered_json parse_metadata(std::string_view text);

// `text` without control characters, for a terminal.
std::string printable(std::string text);

// How many segments to decode at once, `num_sources` of each: what is worth while for a prior, and bounded memory.
size_t segments_at_once(const codec::StreamInfo& info, size_t num_sources);

// The segments of a .vqc in order. A pipe is read as it comes. Without `keep_going` every damage throws; with it,
// damaged streams become silence, a file that breaks off ends there, and each is told to `warn`.
class VqcInput {
 public:
  struct Segment {
    uint32_t index = 0;
    uint32_t num_frames = 0;
    std::vector<codec::SourceSegment> sources;  // those asked for
  };

  // Throws Error(kIo) for what cannot be read, and Error(kBadFile) for a header, or without `keep_going` an index or
  // end, that is damaged.
  VqcInput(const std::string& path, bool keep_going, Warn warn);
  ~VqcInput();

  const std::string& name() const { return name_; }
  const codec::StreamInfo& info() const;
  // The JSON text; empty if there is none or it is damaged.
  std::string metadata() const;
  // Samples of one channel; of a pipe known at the latest with its last segment.
  std::optional<int64_t> num_samples() const;

  struct Selection {
    // Segments before `first` and sources that are not needed are not decoded, and of a file not read; what comes from
    // `end` on is not waited for.
    uint32_t first = 0, end = std::numeric_limits<uint32_t>::max();
    std::vector<uint32_t> sources;  // ascending
    codec::CodingTools tools;
  };
  // Once, before next().
  void select(Selection selection);

  // The next segment that was selected, with the streams of the selected sources; nothing after the last one. Where a prior
  // codes, segments are read ahead and decoded together: few at first, so that the first comes soon.
  std::optional<Segment> next();

  VqcInput(const VqcInput&) = delete;
  VqcInput& operator=(const VqcInput&) = delete;

 private:
  // What next() gives or throws.
  struct Item {
    uint32_t index = 0;
    uint32_t num_frames = 0;
    std::optional<Error> fatal;        // nothing comes after it
    std::vector<std::string> warnings;
    bool has_segment = true;           // else it only warns
    std::optional<codec::EncodedSegment> encoded;
    std::vector<codec::Result<codec::SourceSegment>> sources;  // those selected; empty: all are silent
  };
  std::optional<Item> read_file();
  std::optional<Item> read_pipe();
  void read_batch();
  std::string stretch(uint32_t index, uint32_t num_frames) const;

  std::string name_;
  bool keep_going_;
  Warn warn_;
  std::unique_ptr<codec::ByteSource> source_;
  std::optional<codec::VqcReader> reader_;
  int fd_ = -1;  // of a pipe, if it is ours to close
  std::unique_ptr<codec::ByteStream> stream_;
  std::optional<codec::VqcStreamReader> stream_reader_;
  Selection selection_;
  std::deque<Item> ready_;
  size_t batch_segments_ = 1, most_segments_ = 1;
  uint32_t next_index_ = 0;  // of a file
  uint64_t num_frames_ = 0;  // of a pipe so far
  bool broken_off_ = false;  // a pipe that ended before its end
};

}  // namespace vqcodec::apps
