#include "apps/encode.h"

#include <unistd.h>
#include <cstdio>

#include "apps/atomic_sink.h"
#include "apps/audio_input.h"
#include "apps/model_file.h"
#include "base/error.h"
#include "codec/vqc_writer.h"

namespace vqcodec::apps {

namespace {

double kbit_per_second(uint64_t bytes, double seconds) {
  return seconds > 0 ? static_cast<double>(bytes) * 8e-3 / seconds : 0;
}

}  // namespace

void encode(const EncodeOptions& options, const Warn& warn) {
  const std::string output_name = options.output == "-" ? "standard output" : options.output;
  if (options.output == "-" && isatty(STDOUT_FILENO) == 1) {
    throw Error(ExitCode::kUsage, "standard output is a terminal; give a file with -o, or a pipe");
  }
  runtime::ThreadPool pool(options.num_threads);
  const LoadedModel loaded = load_model(options.model);
  const auto reader = audio::AudioReader::open(options.input, {.sample_rate_hz = loaded.model->config().sample_rate_hz,
                                                               .downmix = options.downmix});

  std::optional<codec::VqcWriter> writer;
  vqvae::Encoder encoder(loaded.model, {.num_codebooks = options.num_codebooks}, pool,
                         [&](const std::vector<codec::SourceSegment>& segment) {
                           take(output_name, writer->write_segment(segment));
                         });
  const codec::StreamInfo info = encoder.stream_info();
  const std::optional<LoadedPrior> prior = choose_prior(options.prior, info, [&](const std::string& remark) {
    if (!options.quiet) std::fprintf(stderr, "vqcodec: %s\n", remark.c_str());
  });
  const Coding coding(prior, info, prior ? prior->path : output_name, pool);
  AtomicFile file(options.output, options.force);
  AtomicSink sink(file);
  nlohmann::ordered_json metadata = {{"encoder", "vqcodec " VQCODEC_VERSION},
                                     {"model_name", model_name(*loaded.model)}};
  if (prior) metadata["prior_name"] = prior_name(*prior->model);
  metadata["input"] = input_json(*reader);
  const std::string metadata_json = metadata.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  codec::WriterOptions writer_options{.tools = coding.tools()};
  if (options.prior.joint) writer_options.source_order = prior::joint_order(*prior->model, info.sources);
  writer.emplace(take(output_name, codec::VqcWriter::create(sink, info, metadata_json, std::move(writer_options))));

  {
    Progress progress("encoding " + input_name(options.input), options.quiet);
    encode_all(*reader, encoder, progress);
    take(output_name, writer->finish(static_cast<uint64_t>(encoder.num_samples())));
    file.commit();
  }

  warn_of_damage(*reader, input_name(options.input), warn);
  if (options.quiet) return;
  const double seconds = static_cast<double>(encoder.num_samples()) / info.sample_rate_hz;
  const codec::FileStats& stats = writer->stats();
  std::fprintf(stderr, "%s: %s of music, %llu bytes, %.2f kbit/s (", output_name.c_str(),
               format_duration(seconds).c_str(), static_cast<unsigned long long>(stats.file_bytes),
               kbit_per_second(stats.file_bytes, seconds));
  for (size_t s = 0; s < info.sources.size(); ++s) {
    std::fprintf(stderr, "%s%s %.2f", s == 0 ? "" : ", ", info.sources[s].c_str(),
                 kbit_per_second(stats.source_bytes[s], seconds));
  }
  std::fprintf(stderr, ")\n");
}

}  // namespace vqcodec::apps
