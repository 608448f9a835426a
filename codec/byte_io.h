// Where .vqc bytes come from and go to. A source has a size and can be read anywhere; a stream (a pipe) can only be
// read forward; a sink only written forward. Nothing here closes a descriptor that it did not open.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "codec/result.h"

namespace vqcodec::codec {

class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual uint64_t size() const = 0;
  // Fills all of `out` from `offset`. kTruncated when the range passes the end, kIo when the system fails.
  // Safe to call from several threads at once.
  virtual Result<void> read_at(uint64_t offset, std::span<uint8_t> out) const = 0;
};

class ByteStream {
 public:
  virtual ~ByteStream() = default;
  // Reads 1..out.size() bytes and returns how many; 0 at the end. `out` is not empty.
  virtual Result<size_t> read_some(std::span<uint8_t> out) = 0;
};

class ByteSink {
 public:
  virtual ~ByteSink() = default;
  virtual Result<void> write(std::span<const uint8_t> bytes) = 0;
};

// Bytes in memory that the caller keeps alive.
class MemorySource final : public ByteSource {
 public:
  explicit MemorySource(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  uint64_t size() const override { return bytes_.size(); }
  Result<void> read_at(uint64_t offset, std::span<uint8_t> out) const override;

 private:
  std::span<const uint8_t> bytes_;
};

class MemoryStream final : public ByteStream {
 public:
  explicit MemoryStream(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  Result<size_t> read_some(std::span<uint8_t> out) override;

 private:
  std::span<const uint8_t> bytes_;
};

class MemorySink final : public ByteSink {
 public:
  Result<void> write(std::span<const uint8_t> bytes) override;
  const std::vector<uint8_t>& bytes() const { return bytes_; }

 private:
  std::vector<uint8_t> bytes_;
};

// A regular file, opened for reading. Its size is what it was when it was opened.
class FileSource final : public ByteSource {
 public:
  // kIo when the file cannot be opened or is not a regular file (a pipe or a directory).
  static Result<std::unique_ptr<FileSource>> open(const std::string& path);
  ~FileSource() override;
  FileSource(const FileSource&) = delete;
  FileSource& operator=(const FileSource&) = delete;
  uint64_t size() const override { return size_; }
  Result<void> read_at(uint64_t offset, std::span<uint8_t> out) const override;

 private:
  FileSource(int fd, uint64_t size) : fd_(fd), size_(size) {}
  int fd_;
  uint64_t size_;
};

// A file that is made, or emptied if it exists. close() reports what the system only says at the end (a full disk);
// the destructor closes without a word.
class FileSink final : public ByteSink {
 public:
  static Result<std::unique_ptr<FileSink>> create(const std::string& path);
  ~FileSink() override;
  FileSink(const FileSink&) = delete;
  FileSink& operator=(const FileSink&) = delete;
  Result<void> write(std::span<const uint8_t> bytes) override;
  Result<void> close();

 private:
  explicit FileSink(int fd) : fd_(fd) {}
  int fd_;
};

// An open descriptor, such as stdin or stdout, that stays the caller's.
class FdStream final : public ByteStream {
 public:
  explicit FdStream(int fd) : fd_(fd) {}
  Result<size_t> read_some(std::span<uint8_t> out) override;

 private:
  int fd_;
};

class FdSink final : public ByteSink {
 public:
  explicit FdSink(int fd) : fd_(fd) {}
  Result<void> write(std::span<const uint8_t> bytes) override;

 private:
  int fd_;
};

}  // namespace vqcodec::codec
