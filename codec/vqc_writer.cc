#include "codec/vqc_writer.h"

#include "codec/crc32c.h"
#include "codec/little_endian.h"
#include "codec/vqc_format.h"

namespace vqcodec::codec {

VqcWriter::VqcWriter(ByteSink& sink, const StreamInfo& info, WriterOptions options)
    : sink_(&sink), info_(info), options_(std::move(options)) {
  info_.num_frames = 0;
  info_.num_samples = 0;
  stats_.source_bytes.resize(info.sources.size());
  bits_.assign(info.sources.size(), CodebookBits{std::vector<double>(info.num_codebooks)});
}

Result<VqcWriter> VqcWriter::create(ByteSink& sink, const StreamInfo& info, std::string_view metadata_json,
                                    WriterOptions options) {
  if (auto valid = validate(info); !valid) return valid.error();
  if (info.has_prior() || info.is_joint()) {
    return ErrorInfo{Errc::kBadArgument,
                     "numerics_id is " + hex(info.numerics_id) + " or there is an order of sources; the writer takes "
                     "both from its options",
                     0};
  }
  StreamInfo whole = info;
  whole.source_order = options.source_order;
  if (options.tools.predictor != nullptr) {
    whole.numerics_id = options.tools.predictor->numerics_id();
    whole.prior_id = options.tools.predictor->prior_id();
  } else {
    whole.prior_id = {};
  }
  if (auto valid = validate_prior(whole); !valid) return valid.error();
  std::vector<uint8_t> prior, metadata;
  if (whole.has_prior()) {
    const std::vector<uint8_t> body = make_prior_body(whole);
    prior = make_section_header(kPriorTag, body.size());
    prior.insert(prior.end(), body.begin(), body.end());
  }
  if (!metadata_json.empty()) {
    auto body = make_metadata_body(metadata_json);
    if (!body) return body.error();
    metadata = make_section_header(kMetadataTag, body->size());
    metadata.insert(metadata.end(), body->begin(), body->end());
  }
  VqcWriter writer(sink, whole, std::move(options));
  if (auto r = writer.write(make_header(whole), writer.stats_.header_bytes); !r) return r.error();
  if (auto r = writer.write(prior, writer.stats_.prior_bytes); !r) return r.error();
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
  if (info_.num_segments() >= kMaxSegments) return refuse("more than " + std::to_string(kMaxSegments) + " segments");
  if (auto fit = check_segment(info_, sources); !fit) return fit;
  waiting_.emplace_back(sources.begin(), sources.end());
  const size_t num_codes = sources[0].codes.size();
  num_waiting_codes_ += num_codes * sources.size();
  info_.num_frames += num_codes / info_.num_codebooks;
  last_ = num_codes / info_.num_codebooks < info_.segment_frames;
  if (options_.tools.predictor != nullptr && num_waiting_codes_ < options_.max_batch_codes) return {};
  return write_waiting();
}

Result<void> VqcWriter::write_waiting() {
  auto streams = encode_segments(info_, waiting_, options_.tools, &bits_);
  if (!streams) {
    closed_ = true;
    return streams.error();
  }
  for (size_t w = 0; w < waiting_.size(); ++w) {
    SegmentHead head{num_written_++, static_cast<uint32_t>(waiting_[w][0].codes.size() / info_.num_codebooks), {}};
    uint64_t total = segment_head_bytes(info_);
    for (const std::vector<uint8_t>& stream : (*streams)[w]) {
      head.stream_bytes.push_back(static_cast<uint32_t>(stream.size()));
      total += stream.size();
    }
    append_index_entry(index_, stats_.file_bytes, head);
    if (auto r = write(make_section_header(kSegmentTag, total), stats_.segment_head_bytes); !r) return r;
    if (auto r = write(make_segment_head(head), stats_.segment_head_bytes); !r) return r;
    for (size_t s = 0; s < head.stream_bytes.size(); ++s) {
      if (auto r = write((*streams)[w][s], stats_.source_bytes[s]); !r) return r;
    }
  }
  waiting_.clear();
  num_waiting_codes_ = 0;
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
  if (auto r = write_waiting(); !r) return r;
  info_.num_samples = num_samples;
  append_le(index_, crc32c(index_));
  if (auto r = write(make_section_header(kIndexTag, index_.size()), stats_.index_bytes); !r) return r;
  if (auto r = write(index_, stats_.index_bytes); !r) return r;
  if (auto r = write(make_end(info_), stats_.index_bytes); !r) return r;
  closed_ = true;
  return {};
}

}  // namespace vqcodec::codec
