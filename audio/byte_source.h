// Where the bytes of an audio file come from: a file, a pipe or memory. Nothing here throws once the source is open,
// because C libraries call it from their callbacks; a failure is kept in error_number() for the caller to look at.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace vqcodec::audio {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  // Number of bytes read, 0 at the end, -1 on an error.
  virtual int64_t read(std::span<uint8_t> bytes) noexcept = 0;
  // False on an impossible position or a source that cannot seek.
  virtual bool seek(int64_t position) noexcept = 0;
  virtual bool is_seekable() const noexcept = 0;
  virtual int64_t position() const noexcept = 0;
  virtual int64_t size() const noexcept = 0;  // bytes; -1 when not seekable
  // errno of the first read that failed, 0 when none did.
  int error_number() const { return error_number_; }

 protected:
  int error_number_ = 0;
};

// "-" is standard input. Throws Error(kIo) for what cannot be opened (nothing there, no permission, a directory).
std::unique_ptr<ByteSource> open_byte_source(const std::string& path);

// The bytes are not copied and must outlive the source. `is_seekable` false behaves as a pipe does.
std::unique_ptr<ByteSource> make_memory_source(std::span<const uint8_t> bytes, bool is_seekable);

// The first bytes of the source, fewer only when it is shorter or fails, without consuming them. A source that cannot
// seek is replaced by one that gives them again.
std::string peek(std::unique_ptr<ByteSource>& source, size_t num_bytes);

// Copies the rest of the source into a nameless temporary file (in $TMPDIR, else /tmp), for formats that need to seek.
// Throws Error(kIo).
std::unique_ptr<ByteSource> spool_to_disk(ByteSource& source, const std::string& name);

}  // namespace vqcodec::audio
