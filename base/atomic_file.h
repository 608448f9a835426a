// An output file that is either whole or not there. It is written under a temporary name beside its target
// (".<name>.<pid>.tmp") and renamed by commit(); without commit() the destructor removes it, and so does an interrupt
// (base/interrupt.h).
//
// A target that exists and is no regular file (/dev/null, a named pipe), and "-", standard output, cannot be replaced
// and are written directly.
#pragma once

#include <cstddef>
#include <string>

namespace vqcodec {

class AtomicFile {
 public:
  // Opens the temporary file. Throws Error(kUsage) when `path` exists and `force` is false, Error(kIo) when it is a
  // directory or cannot be made. A target that is a symbolic link keeps the link; a replaced file keeps its mode.
  explicit AtomicFile(const std::string& path, bool force = false);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // Open for writing. The caller may write, seek and truncate through it, and must not close it.
  int fd() const { return fd_; }
  // Where the bytes go until commit(): for code that must open a file by name. "-" for standard output.
  const std::string& temporary_path() const { return temporary_path_; }
  // The path as the caller gave it, for messages.
  const std::string& path() const { return path_; }
  bool is_seekable() const { return is_seekable_; }

  // Appends at the file's position, all of it. Throws Error(kIo), for example on a full disk.
  void write(const void* bytes, size_t num_bytes);
  // Overwrites at `offset` from where the file was when opened, and leaves the position. Needs is_seekable().
  void write_at(size_t offset, const void* bytes, size_t num_bytes);
  // Flushes to the disk, closes and renames. Throws Error(kIo), and Error(kUsage) when without `force` somebody made
  // the target meanwhile. Call it once. Without `flush` a power cut can leave an empty file: for thousands of small files
  // that can be made again, since each flush takes as long as a disk does.
  void commit(bool flush = true);

  // Throws Error(kIo): cannot write to path(), for the reason of `error_number` (errno).
  [[noreturn]] void throw_write_error(int error_number) const;

 private:
  void discard();

  std::string path_;
  std::string target_path_;  // symbolic links resolved
  std::string temporary_path_;
  bool force_;
  bool is_direct_ = false;
  bool is_seekable_ = false;
  long long start_offset_ = 0;
  int fd_ = -1;
  int slot_ = -1;
};

}  // namespace vqcodec
