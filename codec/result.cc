#include "codec/result.h"

namespace vqcodec::codec {

const char* errc_name(Errc code) {
  switch (code) {
    case Errc::kTruncated: return "Truncated";
    case Errc::kBadMagic: return "BadMagic";
    case Errc::kBadVersion: return "BadVersion";
    case Errc::kBadHeader: return "BadHeader";
    case Errc::kBadSection: return "BadSection";
    case Errc::kBadIndex: return "BadIndex";
    case Errc::kBadEnd: return "BadEnd";
    case Errc::kBadCrc: return "BadCrc";
    case Errc::kBadStream: return "BadStream";
    case Errc::kCodesCrcMismatch: return "CodesCrcMismatch";
    case Errc::kBadMetadata: return "BadMetadata";
    case Errc::kMissingSegment: return "MissingSegment";
    case Errc::kUnsupported: return "Unsupported";
    case Errc::kNeedsPrior: return "NeedsPrior";
    case Errc::kIo: return "Io";
    case Errc::kBadArgument: return "BadArgument";
  }
  return "Unknown";
}

}  // namespace vqcodec::codec
