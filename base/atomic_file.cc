#include "base/atomic_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "base/interrupt.h"

namespace vqcodec {
namespace {

constexpr int kMaxNameTries = 100;
constexpr size_t kMaxNameBytes = 200;  // of the target's name within the temporary one; a name has at most 255

std::string reason(int error_number) { return std::strerror(error_number); }

[[noreturn]] void throw_exists(const std::string& path) {
  throw Error(ExitCode::kUsage, path + ": exists already; give another name, or --force to overwrite it");
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path, bool force) : path_(path), target_path_(path), force_(force) {
  if (path.empty()) throw Error(ExitCode::kUsage, "the name of the output file is empty");
  struct stat info = {};
  const bool exists = path != "-" && stat(path.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) {
    throw Error(ExitCode::kIo, path + ": is a directory; give the name of a file to write");
  }
  is_direct_ = path == "-" || (exists && !S_ISREG(info.st_mode));
  if (is_direct_) {
    temporary_path_ = path;
    fd_ = path == "-" ? STDOUT_FILENO : open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (fd_ < 0) throw_write_error(errno);
    // With O_APPEND a header could not be patched.
    const int flags = fcntl(fd_, F_GETFL);
    const off_t offset = lseek(fd_, 0, SEEK_CUR);
    is_seekable_ = offset >= 0 && flags >= 0 && !(flags & O_APPEND) && !isatty(fd_);
    start_offset_ = is_seekable_ ? offset : 0;
    return;
  }
  if (exists && !force) throw_exists(path);
  if (exists) {
    std::error_code code;
    const auto resolved = std::filesystem::canonical(path, code);
    if (!code) target_path_ = resolved.string();
  }

  const std::filesystem::path target(target_path_);
  const std::string name = target.filename().string();
  if (name.empty()) throw Error(ExitCode::kIo, path + ": is the name of a directory; give the name of a file to write");
  const MakingFile making;
  for (int i = 0; i < kMaxNameTries && fd_ < 0; ++i) {
    std::string temporary(".");
    temporary.append(name, 0, kMaxNameBytes).append(".").append(std::to_string(getpid()));
    if (i > 0) temporary.append("-").append(std::to_string(i));
    temporary_path_ = (target.parent_path() / temporary.append(".tmp")).string();
    fd_ = open(temporary_path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd_ < 0 && errno != EEXIST) break;
  }
  if (fd_ < 0) {
    throw Error(ExitCode::kIo,
                path + ": cannot be made (" + reason(errno) + "); give a folder that exists and can be written to");
  }
  slot_ = register_temporary_file(temporary_path_);
  is_seekable_ = true;
  // A file that was private stays private.
  if (exists && fchmod(fd_, info.st_mode & 07777) != 0) {
    const int error_number = errno;
    discard();
    throw_write_error(error_number);
  }
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::discard() {
  if (fd_ < 0) return;
  if (fd_ != STDOUT_FILENO) close(fd_);
  fd_ = -1;
  if (is_direct_) return;
  unlink(temporary_path_.c_str());
  unregister_temporary_file(slot_);
}

void AtomicFile::throw_write_error(int error_number) const {
  throw Error(ExitCode::kIo, (path_ == "-" ? std::string("standard output") : path_) + ": cannot be written (" +
                                 reason(error_number) + ")" +
                                 (error_number == ENOSPC ? "; free some space or write to another disk" : ""));
}

void AtomicFile::write(const void* bytes, size_t num_bytes) {
  const char* next = static_cast<const char*>(bytes);
  while (num_bytes > 0) {
    const ssize_t done = ::write(fd_, next, num_bytes);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) throw_write_error(errno);
    next += done;
    num_bytes -= static_cast<size_t>(done);
  }
}

void AtomicFile::write_at(size_t offset, const void* bytes, size_t num_bytes) {
  const char* next = static_cast<const char*>(bytes);
  off_t position = static_cast<off_t>(start_offset_) + static_cast<off_t>(offset);
  while (num_bytes > 0) {
    const ssize_t done = pwrite(fd_, next, num_bytes, position);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) throw_write_error(errno);
    next += done;
    position += done;
    num_bytes -= static_cast<size_t>(done);
  }
}

void AtomicFile::commit(bool flush) {
  if (is_direct_) {
    const int closed = fd_ == STDOUT_FILENO ? 0 : close(fd_);
    fd_ = -1;
    if (closed != 0) throw_write_error(errno);
    return;
  }
  try {
    // EINVAL: a file system that cannot flush.
    if (flush && fsync(fd_) != 0 && errno != EINVAL && errno != ENOTSUP) throw_write_error(errno);
    if (!force_) {
      int failed = renameat2(AT_FDCWD, temporary_path_.c_str(), AT_FDCWD, target_path_.c_str(), RENAME_NOREPLACE);
      if (failed != 0 && errno == EEXIST) throw_exists(path_);
      // File systems without RENAME_NOREPLACE: the check when the file was opened has to do.
      if (failed != 0 && (errno == EINVAL || errno == ENOSYS || errno == ENOTSUP)) {
        failed = rename(temporary_path_.c_str(), target_path_.c_str());
      }
      if (failed != 0) throw_write_error(errno);
    } else if (rename(temporary_path_.c_str(), target_path_.c_str()) != 0) {
      throw_write_error(errno);
    }
  } catch (...) {
    discard();
    throw;
  }
  unregister_temporary_file(slot_);
  const int closed = close(fd_);  // after fsync nothing is left to fail but a broken file system
  fd_ = -1;
  if (closed != 0 && errno != EINTR) throw_write_error(errno);
}

}  // namespace vqcodec
