#include "apps/inspect.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/format.h"
#include "base/progress.h"
#include "codec/vqc_format.h"
#include "runtime/sha256.h"

namespace vqcodec::apps {

using codec::Errc;
using nlohmann::ordered_json;

namespace {

constexpr uint32_t kBatchSegments = 64;

double kbit_per_second(double bytes, double seconds) { return seconds > 0 ? bytes * 8e-3 / seconds : 0; }

// The bytes of a source read from start to end.
class SourceStream final : public codec::ByteStream {
 public:
  explicit SourceStream(const codec::ByteSource& source) : source_(source) {}
  codec::Result<size_t> read_some(std::span<uint8_t> out) override {
    const size_t count = static_cast<size_t>(std::min<uint64_t>(out.size(), source_.size() - position_));
    if (auto r = source_.read_at(position_, out.first(count)); !r) return r.error();
    position_ += count;
    return count;
  }

 private:
  const codec::ByteSource& source_;
  uint64_t position_ = 0;
};

// Sum over all segments of what each codebook costs, [num_sources][num_codebooks].
std::vector<codec::CodebookBits> count_bits(const codec::VqcReader& reader, const std::string& name,
                                            runtime::ThreadPool& pool) {
  const codec::StreamInfo& info = reader.info();
  const size_t num_sources = info.sources.size();
  std::vector<codec::CodebookBits> sums(num_sources, {std::vector<double>(info.num_codebooks)});
  for (uint32_t first = 0; first < reader.num_segments(); first += kBatchSegments) {
    const size_t count = std::min(kBatchSegments, reader.num_segments() - first) * num_sources;
    std::vector<codec::CodebookBits> bits(count, {std::vector<double>(info.num_codebooks)});
    std::vector<codec::Result<void>> results(count);
    pool.parallel_for(static_cast<int64_t>(count), 1, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
        auto segment = reader.read_source_segment(first + static_cast<uint32_t>(i / num_sources),
                                                  static_cast<uint32_t>(i % num_sources), &bits[i]);
        if (!segment) results[i] = segment.error();
      }
    });
    // Added in the order of the file, so that the sums do not depend on the threads.
    for (size_t i = 0; i < count; ++i) {
      if (!results[i]) throw to_error(name, results[i].error(), "; \"vqcodec verify\" lists all damage");
      for (size_t h = 0; h < info.num_codebooks; ++h) sums[i % num_sources].bits[h] += bits[i].bits[h];
    }
  }
  return sums;
}

}  // namespace

ordered_json file_info(const std::string& path, runtime::ThreadPool& pool) {
  const std::string name = input_name(path);
  const auto bytes = open_vqc_bytes(path);
  auto opened = codec::VqcReader::open(*bytes);
  if (!opened) throw to_error(name, opened.error(), "; \"vqcodec verify\" lists all damage");
  const codec::VqcReader& reader = *opened;
  const codec::StreamInfo& info = reader.info();
  const codec::FileStats& stats = reader.stats();
  const std::vector<codec::CodebookBits> bits = count_bits(reader, name, pool);

  const double seconds = static_cast<double>(info.num_samples) / info.sample_rate_hz;
  const double raw_codebook_bytes = static_cast<double>(info.num_frames) * std::log2(info.codebook_size) / 8;
  const double raw_source_bytes = raw_codebook_bytes * info.num_codebooks;
  ordered_json sources = ordered_json::array();
  for (size_t s = 0; s < info.sources.size(); ++s) {
    ordered_json codebooks = ordered_json::array();
    for (const double codebook_bits : bits[s].bits) {
      codebooks.push_back({{"bytes", codebook_bits / 8},
                           {"raw_bytes", raw_codebook_bytes},
                           {"kbit_per_second", kbit_per_second(codebook_bits / 8, seconds)}});
    }
    const auto source_bytes = static_cast<double>(stats.source_bytes[s]);
    sources.push_back({{"name", info.sources[s]},
                       {"bytes", stats.source_bytes[s]},
                       {"raw_bytes", raw_source_bytes},
                       {"duration_seconds", seconds},
                       {"kbit_per_second", kbit_per_second(source_bytes, seconds)},
                       {"codebooks", std::move(codebooks)}});
  }
  const auto metadata = reader.read_metadata();
  return {{"file", path},
          {"format_version", codec::kFormatVersion},
          {"bytes", stats.file_bytes},
          {"raw_bytes", raw_source_bytes * static_cast<double>(info.sources.size())},
          {"duration_seconds", seconds},
          {"kbit_per_second", kbit_per_second(static_cast<double>(stats.file_bytes), seconds)},
          {"sample_rate_hz", info.sample_rate_hz},
          {"num_channels", info.num_channels},
          {"num_samples", info.num_samples},
          {"num_frames", info.num_frames},
          {"hop_samples", info.hop_samples},
          {"num_segments", info.num_segments()},
          {"segment_frames", info.segment_frames},
          {"num_codebooks", info.num_codebooks},
          {"codebook_size", info.codebook_size},
          {"model_id", runtime::to_hex(info.model_id)},
          {"metadata", metadata ? parse_metadata(*metadata) : ordered_json()},
          {"overhead",
           {{"header_bytes", stats.header_bytes},
            {"metadata_bytes", stats.metadata_bytes},
            {"segment_head_bytes", stats.segment_head_bytes},
            {"index_bytes", stats.index_bytes},
            {"other_bytes", stats.other_bytes}}},
          {"sources", std::move(sources)}};
}

std::string format_info(const ordered_json& info) {
  const auto number = [](const ordered_json& json, const char* key) { return json[key].get<double>(); };
  const auto integer = [](const ordered_json& json, const char* key) {
    return static_cast<unsigned long long>(json[key].get<uint64_t>());
  };
  const auto saved = [&](const ordered_json& json) {
    return number(json, "raw_bytes") > 0 ? 100 * (1 - number(json, "bytes") / number(json, "raw_bytes")) : 0;
  };
  std::string text = printable(info["file"].get<std::string>()) + "\n";
  append(text, "  length    %s (%llu samples at %llu Hz, %llu channels)\n",
         format_duration(number(info, "duration_seconds")).c_str(), integer(info, "num_samples"),
         integer(info, "sample_rate_hz"), integer(info, "num_channels"));
  append(text, "  size      %llu bytes, %.2f kbit/s; raw codes would take %.0f bytes (%.1f %% saved)\n",
         integer(info, "bytes"), number(info, "kbit_per_second"), number(info, "raw_bytes"), saved(info));
  append(text, "  codes     %llu frames of %llu samples, %llu segments, %llu codebooks of %llu entries\n",
         integer(info, "num_frames"), integer(info, "hop_samples"), integer(info, "num_segments"),
         integer(info, "num_codebooks"), integer(info, "codebook_size"));
  text += "  model     " + info["model_id"].get<std::string>() + "\n";
  for (const auto& [key, value] : info["metadata"].items()) {
    const std::string shown = value.is_string() ? value.get<std::string>()
                                                : value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
    text += "  metadata  " + printable(key) + ": " + printable(shown) + "\n";
  }
  text += "\n  source                  bytes  raw bytes   saved  kbit/s  kbit/s of each codebook\n";
  for (const auto& source : info["sources"]) {
    append(text, "  %-17s %11llu %10.0f %5.1f %% %7.2f ", source["name"].get<std::string>().c_str(),
           integer(source, "bytes"), number(source, "raw_bytes"), saved(source), number(source, "kbit_per_second"));
    for (const auto& codebook : source["codebooks"]) append(text, " %.2f", number(codebook, "kbit_per_second"));
    text += "\n";
  }
  unsigned long long overhead = 0;
  for (const auto& part : info["overhead"]) overhead += part.get<uint64_t>();
  append(text, "  %-17s %11llu  (header %llu, metadata %llu, segment heads %llu, index %llu, other %llu)\n", "overhead",
         overhead, integer(info["overhead"], "header_bytes"), integer(info["overhead"], "metadata_bytes"),
         integer(info["overhead"], "segment_head_bytes"), integer(info["overhead"], "index_bytes"),
         integer(info["overhead"], "other_bytes"));
  return text;
}

VerifyReport verify(const std::string& path, runtime::ThreadPool& pool) {
  const std::string name = input_name(path);
  const auto bytes = open_vqc_bytes(path);
  VerifyReport report;
  const auto note = [&](const codec::ErrorInfo& error) {
    Error damage = to_error(name, error);
    if (error.code == Errc::kIo) throw damage;
    report.damage.push_back(std::move(damage));
  };
  const auto check_streams = [&](const std::function<codec::Result<codec::SourceSegment>(uint32_t)>& read) {
    std::vector<codec::Result<codec::SourceSegment>> results(report.num_sources, codec::SourceSegment());
    pool.parallel_for(report.num_sources, 1, [&](int64_t begin, int64_t end) {
      for (auto i = begin; i < end; ++i) results[static_cast<size_t>(i)] = read(static_cast<uint32_t>(i));
    });
    for (const auto& result : results) {
      if (!result) note(result.error());
    }
  };

  // From the first byte to the last: this reads every byte and compares the index with the segments.
  SourceStream stream(*bytes);
  auto opened = codec::VqcStreamReader::open(stream);
  bool broke_off = !opened;
  uint32_t next_segment = 0;
  if (!opened) {
    note(opened.error());
  } else {
    codec::VqcStreamReader& reader = *opened;
    report.num_sources = static_cast<uint32_t>(reader.info().sources.size());
    report.model_id = reader.info().model_id;
    if (!reader.metadata()) note(reader.metadata().error());
    for (;;) {
      next_segment = reader.next_index();
      auto segment = reader.next();
      if (!segment) {
        note(segment.error());
        if (reader.can_continue()) continue;
        broke_off = true;
        break;
      }
      if (!*segment) break;
      ++report.num_segments;
      check_streams([&](uint32_t source) { return (*segment)->decode_source(reader.info(), source); });
    }
  }
  if (!broke_off) return report;

  // What lies behind the place where the file cannot be read on.
  auto recovered = codec::VqcReader::open(*bytes, codec::VqcReader::Mode::kRecover);
  if (!recovered) {
    if (opened) note(recovered.error());
    return report;
  }
  report.num_sources = static_cast<uint32_t>(recovered->info().sources.size());
  report.model_id = recovered->info().model_id;
  for (uint32_t segment = next_segment; segment < recovered->num_segments(); ++segment) {
    ++report.num_segments;
    check_streams([&](uint32_t source) { return recovered->read_source_segment(segment, source); });
  }
  return report;
}

}  // namespace vqcodec::apps
