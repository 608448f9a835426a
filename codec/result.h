// Errors of codec/: bytes from outside are data, so nothing here throws or aborts because of them.
#pragma once

#include <cassert>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

namespace vqcodec::codec {

enum class Errc {
  kTruncated,         // the bytes end before what they announce
  kBadMagic,          // not a .vqc file, or one that went through a text-mode transfer
  kBadVersion,        // a format version that this reader does not know
  kBadHeader,         // a header field outside its limits
  kBadSection,        // a section that is malformed, unexpected here, or out of order
  kBadIndex,          // the index contradicts the file
  kBadEnd,            // no end mark at the end of the file, bytes after it, or totals that cannot be
  kBadCrc,            // a checksum does not match: the bytes are damaged
  kBadStream,         // a stream's bytes are undamaged but break the rules of their coder
  kCodesCrcMismatch,  // undamaged bytes decode to other codes: another model, or a defect
  kBadMetadata,       // the metadata is not zstd-compressed JSON of the announced size
  kMissingSegment,    // a segment that a damaged file no longer has
  kUnsupported,       // valid, but needs a newer reader
  kNeedsPrior,        // coded with a prior that is not at hand: there is none, another, or one of other numerics
  kIo,                // the operating system could not read or write
  kBadArgument,       // the caller asked for something impossible; says what
};

// The name of `code` without its k, as in tests/data/bad/expected.json: "Truncated".
const char* errc_name(Errc code);

struct ErrorInfo {
  Errc code;
  std::string message;       // what was found, what was expected; one line, no file name
  uint64_t byte_offset = 0;  // where in the file the trouble is; 0 for kBadArgument
};

// A T or the reason why there is none. Check ok() before value(); taking the value of a failure is a defect of
// the caller.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(ErrorInfo error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() & {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  const T& value() const& {
    assert(ok());
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    assert(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const ErrorInfo& error() const {
    assert(!ok());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, ErrorInfo> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(ErrorInfo error) : error_(std::move(error)), ok_(false) {}

  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  const ErrorInfo& error() const {
    assert(!ok_);
    return error_;
  }

 private:
  ErrorInfo error_{Errc::kBadArgument, {}, 0};
  bool ok_ = true;
};

}  // namespace vqcodec::codec
