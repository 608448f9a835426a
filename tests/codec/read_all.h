// Reads a whole .vqc file the way a careful program would: header, index, metadata, every stream. For the tests, the
// fixtures and the fuzzers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "codec/vqc_reader.h"

namespace vqcodec::codec {

struct Contents {
  StreamInfo info;
  std::string metadata;
  std::vector<std::vector<SourceSegment>> segments;  // [segment][source]; an unreadable one has no codes
  std::vector<ErrorInfo> errors;                     // in the order of reading; empty when all is well

  std::string code_name() const { return errors.empty() ? "Ok" : errc_name(errors[0].code); }
  std::string describe() const {
    return errors.empty() ? "Ok"
                          : code_name() + " at " + std::to_string(errors[0].byte_offset) + ": " + errors[0].message;
  }
};

inline Contents read_all(const ByteSource& source, VqcReader::Mode mode = VqcReader::Mode::kStrict) {
  Contents contents;
  auto reader = VqcReader::open(source, mode);
  if (!reader) {
    contents.errors.push_back(reader.error());
    return contents;
  }
  contents.info = reader->info();
  if (reader->damage()) contents.errors.push_back(*reader->damage());
  auto metadata = reader->read_metadata();
  if (metadata) {
    contents.metadata = *metadata;
  } else {
    contents.errors.push_back(metadata.error());
  }
  for (uint32_t i = 0; i < reader->num_segments(); ++i) {
    contents.segments.emplace_back();
    for (uint32_t s = 0; s < reader->info().sources.size(); ++s) {
      auto segment = reader->read_source_segment(i, s);
      contents.segments.back().push_back(segment ? *segment : SourceSegment{});
      if (!segment) contents.errors.push_back(segment.error());
    }
  }
  return contents;
}

inline Contents read_all(ByteStream& stream) {
  Contents contents;
  auto reader = VqcStreamReader::open(stream);
  if (!reader) {
    contents.errors.push_back(reader.error());
    return contents;
  }
  if (reader->metadata()) {
    contents.metadata = *reader->metadata();
  } else {
    contents.errors.push_back(reader->metadata().error());
  }
  for (;;) {
    auto next = reader->next();
    if (!next) {
      contents.errors.push_back(next.error());
      if (!reader->can_continue()) break;
      contents.segments.emplace_back(reader->info().sources.size());
      continue;
    }
    if (!*next) break;
    contents.segments.emplace_back();
    for (uint32_t s = 0; s < reader->info().sources.size(); ++s) {
      auto segment = (*next)->decode_source(reader->info(), s);
      contents.segments.back().push_back(segment ? *segment : SourceSegment{});
      if (!segment) contents.errors.push_back(segment.error());
    }
  }
  contents.info = reader->info();
  return contents;
}

}  // namespace vqcodec::codec
