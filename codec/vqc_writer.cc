#include "codec/vqc_writer.h"

#include "codec/crc32c.h"
#include "codec/little_endian.h"
#include "codec/stream_coder.h"
#include "codec/vqc_format.h"

namespace vqcodec::codec {

VqcWriter::VqcWriter(ByteSink& sink, const StreamInfo& info)
    : sink_(&sink), info_(info), model_(info.num_codebooks, info.codebook_size) {
  info_.num_frames = 0;
  info_.num_samples = 0;
  stats_.source_bytes.resize(info.sources.size());
  bits_.assign(info.sources.size(), CodebookBits{std::vector<double>(info.num_codebooks)});
}

Result<VqcWriter> VqcWriter::create(ByteSink& sink, const StreamInfo& info, std::string_view metadata_json) {
  if (auto valid = validate(info); !valid) return valid.error();
  if (info.numerics_id != 0) {
    return ErrorInfo{Errc::kBadArgument, "numerics_id is " + hex(info.numerics_id) + ", expected 0", 0};
  }
  std::vector<uint8_t> metadata;
  if (!metadata_json.empty()) {
    auto body = make_metadata_body(metadata_json);
    if (!body) return body.error();
    metadata = make_section_header(kMetadataTag, body->size());
    metadata.insert(metadata.end(), body->begin(), body->end());
  }
  VqcWriter writer(sink, info);
  if (auto r = writer.write(make_header(info), writer.stats_.header_bytes); !r) return r.error();
  if (auto r = writer.write(metadata, writer.stats_.metadata_bytes); !r) return r.error();
  return writer;
}

Result<void> VqcWriter::write(std::span<const uint8_t> bytes, uint64_t& count) {
  if (bytes.empty()) return {};
  auto written = sink_->write(bytes);
  if (!written) {
    closed_ = true;
    return ErrorInfo{written.error().code, written.error().message, stats_.file_bytes};
  }
  count += bytes.size();
  stats_.file_bytes += bytes.size();
  return {};
}

Result<void> VqcWriter::write_segment(std::span<const SourceSegment> sources) {
  const auto refuse = [](std::string message) { return ErrorInfo{Errc::kBadArgument, std::move(message), 0}; };
  if (closed_) return refuse("the file is finished, or an earlier write failed");
  if (last_) return refuse("a segment after one that was shorter than segment_frames");
  if (sources.size() != info_.sources.size()) {
    return refuse(std::to_string(sources.size()) + " sources, expected " + std::to_string(info_.sources.size()));
  }
  SegmentHead head;
  head.index = static_cast<uint32_t>(info_.num_segments());
  if (head.index >= kMaxSegments) return refuse("more than " + std::to_string(kMaxSegments) + " segments");
  std::vector<std::vector<uint8_t>> streams;
  uint64_t total = segment_head_bytes(info_);
  for (size_t i = 0; i < sources.size(); ++i) {
    if (sources[i].codes.size() != sources[0].codes.size()) {
      return refuse(info_.sources[i] + " has " + std::to_string(sources[i].codes.size()) + " codes, expected " +
                    std::to_string(sources[0].codes.size()) + " as " + info_.sources[0]);
    }
    auto stream = encode_stream(info_, sources[i], model_, &bits_[i]);
    if (!stream) return refuse(info_.sources[i] + ": " + stream.error().message);
    head.stream_bytes.push_back(static_cast<uint32_t>(stream->size()));
    total += stream->size();
    streams.push_back(std::move(stream).value());
  }
  head.num_frames = static_cast<uint32_t>(sources[0].codes.size() / info_.num_codebooks);
  append_index_entry(index_, stats_.file_bytes, head);
  if (auto r = write(make_section_header(kSegmentTag, total), stats_.segment_head_bytes); !r) return r;
  if (auto r = write(make_segment_head(head), stats_.segment_head_bytes); !r) return r;
  for (size_t i = 0; i < streams.size(); ++i) {
    if (auto r = write(streams[i], stats_.source_bytes[i]); !r) return r;
  }
  info_.num_frames += head.num_frames;
  last_ = head.num_frames < info_.segment_frames;
  return {};
}

Result<void> VqcWriter::finish(uint64_t num_samples) {
  if (closed_) return ErrorInfo{Errc::kBadArgument, "the file is finished, or an earlier write failed", 0};
  if (num_samples > info_.num_frames * info_.hop_samples) {
    return ErrorInfo{Errc::kBadArgument,
                     std::to_string(num_samples) + " samples do not fit into " + std::to_string(info_.num_frames) +
                         " frames of " + std::to_string(info_.hop_samples),
                     0};
  }
  info_.num_samples = num_samples;
  append_le(index_, crc32c(index_));
  if (auto r = write(make_section_header(kIndexTag, index_.size()), stats_.index_bytes); !r) return r;
  if (auto r = write(index_, stats_.index_bytes); !r) return r;
  if (auto r = write(make_end(info_), stats_.index_bytes); !r) return r;
  closed_ = true;
  return {};
}

}  // namespace vqcodec::codec
