// .vqc files as the programs read them: from a file or a pipe, strictly or past damage, with errors as Error.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "codec/byte_io.h"
#include "codec/vqc_reader.h"
#include "runtime/thread_pool.h"

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

  // The next segment from number `first` on, with the streams of `sources`; nothing after the last one. Segments before
  // `first` and other sources are not decoded, and of a file not read.
  std::optional<Segment> next(uint32_t first, std::span<const uint32_t> sources, runtime::ThreadPool& pool);

  VqcInput(const VqcInput&) = delete;
  VqcInput& operator=(const VqcInput&) = delete;

 private:
  using ReadStream = std::function<codec::Result<codec::SourceSegment>(uint32_t source)>;
  Segment decode(uint32_t index, uint32_t num_frames, std::span<const uint32_t> sources, const ReadStream& read,
                 runtime::ThreadPool& pool);
  std::optional<Segment> next_of_file(uint32_t first, std::span<const uint32_t> sources, runtime::ThreadPool& pool);
  std::optional<Segment> next_of_pipe(uint32_t first, std::span<const uint32_t> sources, runtime::ThreadPool& pool);
  std::string stretch(uint32_t index, uint32_t num_frames) const;

  std::string name_;
  bool keep_going_;
  Warn warn_;
  std::unique_ptr<codec::ByteSource> source_;
  std::optional<codec::VqcReader> reader_;
  int fd_ = -1;  // of a pipe, if it is ours to close
  std::unique_ptr<codec::ByteStream> stream_;
  std::optional<codec::VqcStreamReader> stream_reader_;
  uint32_t next_index_ = 0;  // of a file
  uint64_t num_frames_ = 0;  // of a pipe so far
  bool broken_off_ = false;  // a pipe that ended before its end
};

}  // namespace vqcodec::apps
