#include "codec/code_grid.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <string_view>

#include "codec/crc32c.h"

namespace vqcodec::codec {
namespace {

ErrorInfo out_of_limits(const char* field, uint64_t value, uint64_t low, uint64_t high) {
  return {Errc::kBadArgument,
          std::string(field) + " is " + std::to_string(value) + ", expected " + std::to_string(low) + ".." +
              std::to_string(high),
          0};
}

// Well-formed UTF-8 (RFC 3629) without the control characters U+0000..U+001F and U+007F.
bool is_printable_utf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<uint8_t>(text[i++]);
    if (lead < 0x80) {
      if (lead < 0x20 || lead == 0x7F) return false;
      continue;
    }
    const int extra = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    if (lead < 0xC2 || lead > 0xF4) return false;
    uint32_t point = lead & (0x3FU >> extra);
    for (int k = 0; k < extra; ++k) {
      if (i >= text.size() || (static_cast<uint8_t>(text[i]) & 0xC0) != 0x80) return false;
      point = point << 6 | (static_cast<uint8_t>(text[i++]) & 0x3FU);
    }
    const uint32_t smallest = extra == 1 ? 0x80U : extra == 2 ? 0x800U : 0x10000U;
    if (point < smallest || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) return false;
  }
  return true;
}

}  // namespace

uint32_t StreamInfo::code_bits() const { return static_cast<uint32_t>(std::bit_width(codebook_size - 1U)); }

uint64_t StreamInfo::num_segments() const {
  return segment_frames == 0 ? 0 : num_frames / segment_frames + (num_frames % segment_frames != 0);
}

Result<void> validate(const StreamInfo& info) {
  const struct {
    const char* field;
    uint64_t value, low, high;
  } checks[] = {
      {"sample_rate_hz", info.sample_rate_hz, 1, kMaxSampleRateHz},
      {"num_channels", info.num_channels, 1, kMaxChannels},
      {"hop_samples", info.hop_samples, 1, kMaxHopSamples},
      {"number of sources", info.sources.size(), 1, kMaxSources},
      {"num_codebooks", info.num_codebooks, 1, kMaxCodebooks},
      {"codebook_size", info.codebook_size, kMinCodebookSize, kMaxCodebookSize},
      {"segment_frames", info.segment_frames, 1, kMaxSegmentFrames},
      {"segment_frames x num_codebooks", uint64_t{info.segment_frames} * info.num_codebooks, 1, kMaxCodesPerStream},
  };
  for (const auto& check : checks) {
    if (check.value < check.low || check.value > check.high) {
      return out_of_limits(check.field, check.value, check.low, check.high);
    }
  }
  for (size_t i = 0; i < info.sources.size(); ++i) {
    const std::string& name = info.sources[i];
    if (name.empty() || name.size() > kMaxSourceNameBytes) {
      return out_of_limits("length of a source's name", name.size(), 1, kMaxSourceNameBytes);
    }
    if (!is_printable_utf8(name)) {
      return ErrorInfo{Errc::kBadArgument, "the name of source " + std::to_string(i) + " is not printable UTF-8", 0};
    }
    if (std::find(info.sources.begin(), info.sources.begin() + static_cast<ptrdiff_t>(i), name) !=
        info.sources.begin() + static_cast<ptrdiff_t>(i)) {
      return ErrorInfo{Errc::kBadArgument, "two sources have the name " + name, 0};
    }
  }
  return {};
}

Result<void> validate_prior(const StreamInfo& info) {
  const bool has_id = info.prior_id != std::array<uint8_t, 32>{};
  if (has_id != info.has_prior()) {
    return ErrorInfo{Errc::kBadArgument,
                     has_id ? "a prior without its numerics" : "the prior's id is all zero, which names none", 0};
  }
  if (info.is_joint() && !info.has_prior()) {
    return ErrorInfo{Errc::kBadArgument, "an order for joint coding, which needs a prior", 0};
  }
  if (info.is_joint()) {
    std::vector<uint32_t> sorted = info.source_order;
    std::sort(sorted.begin(), sorted.end());
    std::vector<uint32_t> all(info.sources.size());
    std::iota(all.begin(), all.end(), 0U);
    if (sorted != all) {
      return ErrorInfo{Errc::kBadArgument,
                       "the order of the sources does not name each of the " + std::to_string(all.size()) + " once", 0};
    }
  }
  return {};
}

uint32_t codes_crc32c(const SourceSegment& segment) {
  std::vector<uint8_t> bytes;
  bytes.reserve(2 * (segment.codes.size() + 1));
  bytes.push_back(static_cast<uint8_t>(segment.gain));
  bytes.push_back(static_cast<uint8_t>(segment.gain >> 8));
  for (const uint16_t code : segment.codes) {
    bytes.push_back(static_cast<uint8_t>(code));
    bytes.push_back(static_cast<uint8_t>(code >> 8));
  }
  return crc32c(bytes);
}

}  // namespace vqcodec::codec
