#include "apps/inspect.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "apps/prior_file.h"
#include "base/format.h"
#include "base/progress.h"
#include "codec/vqc_format.h"
#include "runtime/sha256.h"

namespace vqcodec::apps {

using codec::Errc;
using nlohmann::ordered_json;

namespace {

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

constexpr const char* kVerifyHint = "; \"vqcodec verify\" lists all damage";

// Sum over all segments of what each codebook costs, [num_sources][num_codebooks].
std::vector<codec::CodebookBits> count_bits(const codec::VqcReader& reader, const std::string& name,
                                            const codec::CodingTools& tools) {
  const codec::StreamInfo& info = reader.info();
  const auto num_sources = static_cast<uint32_t>(info.sources.size());
  std::vector<uint32_t> all(num_sources);
  std::iota(all.begin(), all.end(), 0U);
  std::vector<codec::CodebookBits> sums(num_sources, {std::vector<double>(info.num_codebooks)});
  const auto batch = static_cast<uint32_t>(segments_at_once(info, num_sources));
  for (uint32_t first = 0; first < reader.num_segments(); first += std::min(batch, reader.num_segments() - first)) {
    std::vector<codec::EncodedSegment> segments;
    for (uint32_t i = first; i < reader.num_segments() && i - first < batch; ++i) {
      auto segment = reader.read_segment(i, all);
      if (!segment) throw to_error(name, codec::name_stream(segment.error(), info, i, 0), kVerifyHint);
      segments.push_back(std::move(segment).value());
    }
    std::vector<std::vector<codec::CodebookBits>> bits;
    const auto decoded = codec::decode_segments(info, segments, all, tools, &bits);
    // Added in the order of the file, so that the sums do not depend on the threads.
    for (size_t i = 0; i < decoded.size(); ++i) {
      for (uint32_t s = 0; s < num_sources; ++s) {
        if (!decoded[i][s]) throw to_error(name, decoded[i][s].error(), kVerifyHint);
        for (size_t h = 0; h < info.num_codebooks; ++h) sums[s].bits[h] += bits[i][s].bits[h];
      }
    }
  }
  return sums;
}

// How many streams of each source have which coder.
std::vector<ordered_json> count_coders(const codec::VqcReader& reader, const std::string& name) {
  constexpr const char* kNames[] = {"raw", "adaptive", "prior"};
  const size_t num_sources = reader.info().sources.size();
  std::vector<ordered_json> counts(num_sources, {{"silent", 0}, {"raw", 0}, {"adaptive", 0}, {"prior", 0}});
  for (uint32_t segment = 0; segment < reader.num_segments(); ++segment) {
    for (uint32_t s = 0; s < num_sources; ++s) {
      const auto coder = take(name, reader.read_coder(segment, s));
      const size_t number = coder.value_or(0);
      const char* key = !coder ? "silent" : number < std::size(kNames) ? kNames[number] : "unknown";
      counts[s][key] = counts[s].value(key, 0) + 1;
    }
  }
  return counts;
}

}  // namespace

ordered_json file_info(const std::string& path, const InfoOptions& options, runtime::ThreadPool& pool) {
  const std::string name = input_name(path);
  const auto bytes = open_vqc_bytes(path);
  auto opened = codec::VqcReader::open(*bytes);
  if (!opened) throw to_error(name, opened.error(), kVerifyHint);
  const codec::VqcReader& reader = *opened;
  const codec::StreamInfo& info = reader.info();
  const codec::FileStats& stats = reader.stats();
  const auto metadata = reader.read_metadata();
  std::vector<codec::CodebookBits> bits;
  if (!info.has_prior() || options.codebooks) {
    const Coding coding(load_prior_of(info, metadata ? *metadata : "", name, options.prior), info, name, pool);
    bits = count_bits(reader, name, coding.tools());
  }
  const std::vector<ordered_json> coders = count_coders(reader, name);

  const double seconds = static_cast<double>(info.num_samples) / info.sample_rate_hz;
  const double raw_codebook_bytes = static_cast<double>(info.num_frames) * std::log2(info.codebook_size) / 8;
  const double raw_source_bytes = raw_codebook_bytes * info.num_codebooks;
  ordered_json sources = ordered_json::array();
  for (size_t s = 0; s < info.sources.size(); ++s) {
    ordered_json codebooks = ordered_json::array();
    for (const double codebook_bits : bits.empty() ? std::vector<double>() : bits[s].bits) {
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
                       {"streams", coders[s]},
                       {"codebooks", std::move(codebooks)}});
  }
  ordered_json prior;
  if (info.has_prior()) {
    ordered_json order = ordered_json::array();
    for (const uint32_t s : info.source_order) order.push_back(info.sources[s]);
    prior = {{"id", runtime::to_hex(info.prior_id)},
             {"numerics_id", info.numerics_id},
             {"joint_order", std::move(order)}};
  }
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
          {"prior", std::move(prior)},
          {"metadata", metadata ? parse_metadata(*metadata) : ordered_json()},
          {"overhead",
           {{"header_bytes", stats.header_bytes},
            {"prior_bytes", stats.prior_bytes},
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
  if (const ordered_json& prior = info["prior"]; !prior.is_null()) {
    append(text, "  prior     %s, numerics %llu\n", prior["id"].get<std::string>().c_str(),
           integer(prior, "numerics_id"));
    std::string order;
    for (const auto& source : prior["joint_order"]) order += (order.empty() ? "" : ", ") + source.get<std::string>();
    if (!order.empty()) {
      text += "  joint     " + order + ": to decode one, those before it are decoded too\n";
    }
  }
  for (const auto& [key, value] : info["metadata"].items()) {
    const std::string shown = value.is_string() ? value.get<std::string>()
                                                : value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
    text += "  metadata  " + printable(key) + ": " + printable(shown) + "\n";
  }
  const bool has_prior = !info["prior"].is_null(), has_codebooks = !info["sources"][0]["codebooks"].empty();
  text += "\n  source                  bytes  raw bytes   saved  kbit/s";
  if (has_prior) text += "  streams by prior, adaptive, raw, silent";
  text += has_codebooks ? "  kbit/s of each codebook\n" : "\n";
  for (const auto& source : info["sources"]) {
    append(text, "  %-17s %11llu %10.0f %5.1f %% %7.2f ", source["name"].get<std::string>().c_str(),
           integer(source, "bytes"), number(source, "raw_bytes"), saved(source), number(source, "kbit_per_second"));
    if (has_prior) {
      const ordered_json& streams = source["streams"];
      append(text, " %7llu %9llu %9llu %10llu ", integer(streams, "prior"), integer(streams, "adaptive"),
             integer(streams, "raw"), integer(streams, "silent"));
    }
    for (const auto& codebook : source["codebooks"]) append(text, " %.2f", number(codebook, "kbit_per_second"));
    text += "\n";
  }
  unsigned long long overhead = 0;
  for (const auto& part : info["overhead"]) overhead += part.get<uint64_t>();
  append(text, "  %-17s %11llu  (header %llu, metadata %llu, segment heads %llu, index %llu, other %llu)\n", "overhead",
         overhead, integer(info["overhead"], "header_bytes") + integer(info["overhead"], "prior_bytes"),
         integer(info["overhead"], "metadata_bytes"),
         integer(info["overhead"], "segment_head_bytes"), integer(info["overhead"], "index_bytes"),
         integer(info["overhead"], "other_bytes"));
  return text;
}

VerifyReport verify(const std::string& path, const std::string& prior, runtime::ThreadPool& pool) {
  const std::string name = input_name(path);
  const auto bytes = open_vqc_bytes(path);
  VerifyReport report;
  const auto note = [&](const codec::ErrorInfo& error) {
    Error damage = to_error(name, error);
    if (error.code == Errc::kIo) throw damage;
    report.damage.push_back(std::move(damage));
  };
  std::optional<Coding> coding;
  std::vector<uint32_t> all;
  size_t batch = 1;
  bool is_reported = false;      // that the prior is not at hand
  std::optional<Error> lacking;  // why the prior is not at hand; to be reported where a stream needs it
  const auto begin = [&](const codec::StreamInfo& info, const std::string& metadata) {
    report.num_sources = static_cast<uint32_t>(info.sources.size());
    report.model_id = info.model_id;
    all.resize(report.num_sources);
    std::iota(all.begin(), all.end(), 0U);
    batch = segments_at_once(info, all.size());
    try {
      coding.emplace(load_prior_of(info, metadata, name, prior), info, name, pool);
    } catch (const Error& error) {
      if (!is_reported) lacking = error;
      coding.emplace(std::nullopt, info, name, pool);
    }
    // Of a damaged section that should name it one has heard.
    is_reported = is_reported || (info.has_prior() && info.prior_id == std::array<uint8_t, 32>{});
  };
  std::vector<codec::EncodedSegment> waiting;
  const auto check_waiting = [&](const codec::StreamInfo& info) {
    for (const auto& segment : codec::decode_segments(info, waiting, all, coding->tools())) {
      for (const auto& result : segment) {
        if (result) continue;
        if (result.error().code != Errc::kNeedsPrior) {
          note(result.error());
        } else if (!is_reported) {
          is_reported = true;
          lacking ? report.damage.push_back(*lacking) : note(result.error());
        }
      }
    }
    waiting.clear();
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
    begin(reader.info(), reader.metadata() ? *reader.metadata() : "");
    if (!reader.metadata()) note(reader.metadata().error());
    for (;;) {
      next_segment = reader.next_index();
      auto segment = reader.next();
      if (!segment) {
        check_waiting(reader.info());
        note(segment.error());
        if (reader.can_continue()) continue;
        broke_off = true;
        break;
      }
      if (!*segment) break;
      ++report.num_segments;
      waiting.push_back(std::move(**segment));
      if (waiting.size() == batch) check_waiting(reader.info());
    }
    check_waiting(reader.info());
  }
  if (!broke_off) return report;

  // What lies behind the place where the file cannot be read on.
  auto recovered = codec::VqcReader::open(*bytes, codec::VqcReader::Mode::kRecover);
  if (!recovered) {
    if (opened) note(recovered.error());
    return report;
  }
  const auto metadata = recovered->read_metadata();
  begin(recovered->info(), metadata ? *metadata : "");
  for (uint32_t segment = next_segment; segment < recovered->num_segments(); ++segment) {
    ++report.num_segments;
    auto encoded = recovered->read_segment(segment, all);
    if (encoded) {
      waiting.push_back(std::move(encoded).value());
    } else {
      check_waiting(recovered->info());
      for (const uint32_t source : all) note(codec::name_stream(encoded.error(), recovered->info(), segment, source));
    }
    if (waiting.size() == batch) check_waiting(recovered->info());
  }
  check_waiting(recovered->info());
  return report;
}

}  // namespace vqcodec::apps
