#include "apps/transcode.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <numeric>

#include "apps/atomic_sink.h"
#include "base/error.h"
#include "base/format.h"
#include "base/progress.h"
#include "codec/vqc_writer.h"
#include "runtime/sha256.h"

namespace vqcodec::apps {

namespace {

// Digest of all codes in the order of the file: each segment's digest is of the digest before and its sources.
class CodesDigest {
 public:
  void add(const std::vector<codec::SourceSegment>& sources) {
    std::vector<uint16_t> words;
    for (const codec::SourceSegment& source : sources) {
      words.push_back(source.gain);
      words.insert(words.end(), source.codes.begin(), source.codes.end());
    }
    const std::array<runtime::Sha256, 2> both = {digest_, runtime::sha256(std::as_bytes(std::span(words)))};
    digest_ = runtime::sha256(std::as_bytes(std::span(both)));
  }
  bool operator==(const CodesDigest&) const = default;

 private:
  runtime::Sha256 digest_{};
};

std::vector<uint32_t> all_sources(const codec::StreamInfo& info) {
  std::vector<uint32_t> all(info.sources.size());
  std::iota(all.begin(), all.end(), 0U);
  return all;
}

}  // namespace

void transcode(const TranscodeOptions& options, const Warn& warn) {
  if (options.output == "-") {
    throw Error(ExitCode::kUsage, "transcode reads its output back before it counts, so it cannot be standard output");
  }
  std::error_code code;
  const auto status = std::filesystem::status(options.output, code);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw Error(ExitCode::kUsage, options.output + ": is no regular file, and transcode reads its output back");
  }
  runtime::ThreadPool pool(options.num_threads);
  VqcInput input(options.input, /*keep_going=*/false, warn);
  const std::string metadata_text = input.metadata();
  const std::optional<LoadedPrior> old_prior =
      load_prior_of(input.info(), metadata_text, input.name(), options.from_prior);
  const Coding old_coding(old_prior, input.info(), input.name(), pool);

  codec::StreamInfo info = input.info();
  info.numerics_id = 0;
  info.prior_id = {};
  info.source_order.clear();
  const std::optional<LoadedPrior> prior = choose_prior(options.prior, info, [&](const std::string& remark) {
    if (!options.quiet) std::fprintf(stderr, "vqcodec: %s\n", remark.c_str());
  });
  const Coding coding(prior, info, prior ? prior->path : options.output, pool);
  std::string metadata_json = metadata_text;
  if (nlohmann::ordered_json metadata = parse_metadata(metadata_text); metadata.is_object()) {
    metadata.erase("prior_name");
    if (prior) metadata["prior_name"] = prior_name(*prior->model);
    metadata_json = metadata.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  codec::WriterOptions writer_options{.tools = coding.tools()};
  if (options.prior.joint) writer_options.source_order = prior::joint_order(*prior->model, info.sources);

  AtomicFile file(options.output, options.force);
  AtomicSink sink(file);
  auto writer = take(options.output, codec::VqcWriter::create(sink, info, metadata_json, std::move(writer_options)));
  CodesDigest wanted, found;
  uint64_t num_segments = 0;
  input.select({.sources = all_sources(info), .tools = old_coding.tools()});
  {
    Progress progress("transcoding " + input.name(), options.quiet);
    const auto update = [&](double done) {
      // Writing, then reading back.
      progress.update(done, 2 * static_cast<double>(input.info().num_segments()));
    };
    while (const auto segment = input.next()) {
      take(options.output, writer.write_segment(segment->sources));
      wanted.add(segment->sources);
      update(static_cast<double>(++num_segments));
    }
    take(options.output, writer.finish(input.info().num_samples));

    VqcInput back(file.temporary_path(), /*keep_going=*/false, warn);
    codec::StreamInfo expected = writer.info();
    expected.num_samples = input.info().num_samples;
    back.select({.sources = all_sources(info), .tools = coding.tools()});
    uint64_t num_back = 0;
    while (const auto segment = back.next()) {
      found.add(segment->sources);
      update(static_cast<double>(num_segments + ++num_back));
    }
    if (found != wanted || num_back != num_segments || back.info() != expected) {
      throw Error(ExitCode::kInternal, options.output + ": reads back as other codes than " + input.name() +
                                           " has; it was not written");
    }
    file.commit();
  }
  if (options.quiet) return;
  const double seconds = static_cast<double>(input.info().num_samples) / info.sample_rate_hz;
  std::fprintf(stderr, "%s: %s of music, %llu bytes, the same codes as %s\n", options.output.c_str(),
               format_duration(seconds).c_str(), static_cast<unsigned long long>(writer.stats().file_bytes),
               input.name().c_str());
}

}  // namespace vqcodec::apps
