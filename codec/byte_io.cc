#include "codec/byte_io.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace vqcodec::codec {
namespace {

ErrorInfo system_error(const std::string& what, int error, uint64_t offset = 0) {
  return {Errc::kIo, what + ": " + std::generic_category().message(error), offset};
}

Result<void> write_all(int fd, std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return system_error("cannot write", errno);
    }
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return {};
}

ErrorInfo past_the_end(uint64_t offset, size_t wanted, uint64_t size) {
  return {Errc::kTruncated,
          "the file ends at byte " + std::to_string(size) + ", but " + std::to_string(wanted) +
              " bytes are needed at " + std::to_string(offset),
          offset};
}

}  // namespace

Result<void> MemorySource::read_at(uint64_t offset, std::span<uint8_t> out) const {
  if (offset > bytes_.size() || out.size() > bytes_.size() - offset) {
    return past_the_end(offset, out.size(), bytes_.size());
  }
  std::copy_n(bytes_.begin() + static_cast<ptrdiff_t>(offset), out.size(), out.begin());
  return {};
}

Result<size_t> MemoryStream::read_some(std::span<uint8_t> out) {
  const size_t n = std::min(out.size(), bytes_.size());
  std::copy_n(bytes_.begin(), n, out.begin());
  bytes_ = bytes_.subspan(n);
  return n;
}

Result<void> MemorySink::write(std::span<const uint8_t> bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return {};
}

Result<std::unique_ptr<FileSource>> FileSource::open(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return system_error("cannot open", errno);
  std::unique_ptr<FileSource> source(new FileSource(fd, 0));
  struct stat status {};
  if (::fstat(fd, &status) != 0) return system_error("cannot read its size", errno);
  if (S_ISDIR(status.st_mode)) return system_error("cannot open", EISDIR);
  if (!S_ISREG(status.st_mode)) return ErrorInfo{Errc::kIo, "not a regular file; read it as a stream", 0};
  source->size_ = static_cast<uint64_t>(status.st_size);
  return source;
}

FileSource::~FileSource() { ::close(fd_); }

Result<void> FileSource::read_at(uint64_t offset, std::span<uint8_t> out) const {
  if (offset > size_ || out.size() > size_ - offset) return past_the_end(offset, out.size(), size_);
  while (!out.empty()) {
    const ssize_t n = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
    if (n < 0) {
      if (errno == EINTR) continue;
      return system_error("cannot read", errno, offset);
    }
    if (n == 0) return past_the_end(offset, out.size(), offset);  // the file shrank while it was open
    out = out.subspan(static_cast<size_t>(n));
    offset += static_cast<uint64_t>(n);
  }
  return {};
}

Result<std::unique_ptr<FileSink>> FileSink::create(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return system_error("cannot create", errno);
  return std::unique_ptr<FileSink>(new FileSink(fd));
}

FileSink::~FileSink() {
  if (fd_ >= 0) ::close(fd_);
}

Result<void> FileSink::write(std::span<const uint8_t> bytes) {
  if (fd_ < 0) return ErrorInfo{Errc::kBadArgument, "write after close", 0};
  return write_all(fd_, bytes);
}

Result<void> FileSink::close() {
  if (fd_ < 0) return {};
  const int fd = fd_;
  fd_ = -1;
  if (::close(fd) != 0 && errno != EINTR) return system_error("cannot write", errno);
  return {};
}

Result<size_t> FdStream::read_some(std::span<uint8_t> out) {
  for (;;) {
    const ssize_t n = ::read(fd_, out.data(), out.size());
    if (n >= 0) return static_cast<size_t>(n);
    if (errno != EINTR) return system_error("cannot read", errno);
  }
}

Result<void> FdSink::write(std::span<const uint8_t> bytes) { return write_all(fd_, bytes); }

}  // namespace vqcodec::codec
