#include "audio/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/error.h"

namespace vqcodec::audio {
namespace {

class FdSource : public ByteSource {
 public:
  // Takes `fd` over, but leaves standard input open. `size` is -1 for what cannot seek.
  FdSource(int fd, int64_t start, int64_t size) : fd_(fd), start_(start), size_(size) {}
  ~FdSource() override {
    if (fd_ != STDIN_FILENO) close(fd_);
  }

  int64_t read(std::span<uint8_t> bytes) noexcept override {
    for (;;) {
      const auto offset = static_cast<off_t>(start_ + position_);
      const ssize_t done =
          is_seekable() ? pread(fd_, bytes.data(), bytes.size(), offset) : ::read(fd_, bytes.data(), bytes.size());
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) {
        if (error_number_ == 0) error_number_ = errno;
        return -1;
      }
      position_ += done;
      return done;
    }
  }
  bool seek(int64_t position) noexcept override {
    if (!is_seekable() || position < 0 || position > INT64_MAX - start_) return false;
    position_ = position;
    return true;
  }
  bool is_seekable() const noexcept override { return size_ >= 0; }
  int64_t position() const noexcept override { return position_; }
  int64_t size() const noexcept override { return size_; }
  void set_size(int64_t size) { size_ = size; }

 private:
  int fd_;
  int64_t start_;
  int64_t size_;
  int64_t position_ = 0;
};

class MemorySource : public ByteSource {
 public:
  MemorySource(std::span<const uint8_t> bytes, bool is_seekable) : bytes_(bytes), is_seekable_(is_seekable) {}

  int64_t read(std::span<uint8_t> bytes) noexcept override {
    if (position_ >= static_cast<int64_t>(bytes_.size())) return 0;
    const size_t count = std::min(bytes.size(), bytes_.size() - static_cast<size_t>(position_));
    std::copy_n(bytes_.begin() + position_, count, bytes.begin());
    position_ += static_cast<int64_t>(count);
    return static_cast<int64_t>(count);
  }
  bool seek(int64_t position) noexcept override {
    if (!is_seekable_ || position < 0) return false;
    position_ = position;
    return true;
  }
  bool is_seekable() const noexcept override { return is_seekable_; }
  int64_t position() const noexcept override { return position_; }
  int64_t size() const noexcept override { return is_seekable_ ? static_cast<int64_t>(bytes_.size()) : -1; }

 private:
  std::span<const uint8_t> bytes_;
  bool is_seekable_;
  int64_t position_ = 0;
};

// Gives `prefix` and then what is left of `rest`, which cannot seek.
class PrefixedSource : public ByteSource {
 public:
  PrefixedSource(std::string prefix, std::unique_ptr<ByteSource> rest)
      : prefix_(std::move(prefix)), rest_(std::move(rest)) {
    error_number_ = rest_->error_number();
  }

  int64_t read(std::span<uint8_t> bytes) noexcept override {
    int64_t done = static_cast<int64_t>(std::min(bytes.size(), prefix_.size() - num_given_));
    if (done > 0) {
      std::memcpy(bytes.data(), prefix_.data() + num_given_, static_cast<size_t>(done));
      num_given_ += static_cast<size_t>(done);
    } else {
      done = rest_->read(bytes);
      if (done < 0) error_number_ = rest_->error_number();
    }
    position_ += std::max<int64_t>(done, 0);
    return done;
  }
  bool seek(int64_t) noexcept override { return false; }
  bool is_seekable() const noexcept override { return false; }
  int64_t position() const noexcept override { return position_; }
  int64_t size() const noexcept override { return -1; }

 private:
  std::string prefix_;
  size_t num_given_ = 0;
  std::unique_ptr<ByteSource> rest_;
  int64_t position_ = 0;
};

}  // namespace

std::unique_ptr<ByteSource> open_byte_source(const std::string& path) {
  const bool is_stdin = path == "-";
  const std::string name = is_stdin ? "standard input" : path;
  const int fd = is_stdin ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info = {};
  if (fd < 0 || fstat(fd, &info) != 0) {
    const int error_number = errno;
    if (fd > STDIN_FILENO) close(fd);
    throw Error(ExitCode::kIo, name + ": cannot be opened (" + std::strerror(error_number) + ")");
  }
  if (S_ISDIR(info.st_mode)) {
    if (!is_stdin) close(fd);
    throw Error(ExitCode::kIo, name + ": is a directory; give the name of an audio file");
  }
  if (!S_ISREG(info.st_mode)) return std::make_unique<FdSource>(fd, 0, -1);
  // Standard input may be a file of which somebody has read the beginning.
  const off_t start = std::max<off_t>(lseek(fd, 0, SEEK_CUR), 0);
  return std::make_unique<FdSource>(fd, start, std::max<int64_t>(info.st_size - start, 0));
}

std::unique_ptr<ByteSource> make_memory_source(std::span<const uint8_t> bytes, bool is_seekable) {
  return std::make_unique<MemorySource>(bytes, is_seekable);
}

std::string peek(std::unique_ptr<ByteSource>& source, size_t num_bytes) {
  std::string bytes(num_bytes, '\0');
  size_t count = 0;
  while (count < num_bytes) {
    const int64_t done = source->read({reinterpret_cast<uint8_t*>(bytes.data()) + count, num_bytes - count});
    if (done <= 0) break;
    count += static_cast<size_t>(done);
  }
  bytes.resize(count);
  if (!source->seek(0)) source = std::make_unique<PrefixedSource>(bytes, std::move(source));
  return bytes;
}

std::unique_ptr<ByteSource> spool_to_disk(ByteSource& source, const std::string& name) {
  const char* folder = std::getenv("TMPDIR");
  std::string path = std::string(folder != nullptr && *folder != '\0' ? folder : "/tmp") + "/vqcodec-XXXXXX";
  const int fd = mkstemp(path.data());
  if (fd < 0) {
    throw Error(ExitCode::kIo, name + ": needs a temporary file, and " + path + " cannot be made (" +
                                   std::strerror(errno) + "); set TMPDIR to a writable folder");
  }
  unlink(path.c_str());
  auto file = std::make_unique<FdSource>(fd, 0, 0);
  std::vector<uint8_t> block(1 << 16);
  int64_t size = 0;
  int64_t count = 0;
  while ((count = source.read(block)) > 0) {
    for (int64_t i = 0; i < count;) {
      const ssize_t done = ::write(fd, block.data() + i, static_cast<size_t>(count - i));
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) {
        throw Error(ExitCode::kIo, name + ": cannot be kept in a temporary file (" + std::strerror(errno) +
                                       "); set TMPDIR to a folder with room, or give a file instead of a pipe");
      }
      i += done;
    }
    size += count;
  }
  if (count < 0) {
    throw Error(ExitCode::kIo, name + ": cannot be read (" + std::strerror(source.error_number()) + ")");
  }
  file->set_size(size);
  return file;
}

}  // namespace vqcodec::audio
