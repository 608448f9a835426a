#include "apps/decode.h"

#include <unistd.h>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>

#include "apps/model_file.h"
#include "apps/prior_file.h"
#include "base/error.h"
#include "base/progress.h"
#include "vqvae/decoder.h"

namespace vqcodec::apps {

namespace fs = std::filesystem;

namespace {

// Indices into the file's sources, ascending.
std::vector<uint32_t> choose_sources(const DecodeOptions& options, const codec::StreamInfo& info,
                                     const std::string& name) {
  if (!options.sources.empty() && !options.without.empty()) {
    throw Error(ExitCode::kUsage, "--sources and --without exclude each other; give one of them");
  }
  const bool keep = !options.sources.empty();
  std::vector<bool> chosen(info.sources.size(), !keep);
  for (const std::string& wanted : keep ? options.sources : options.without) {
    const auto at = std::find(info.sources.begin(), info.sources.end(), wanted);
    if (at == info.sources.end()) {
      std::string all;
      for (const std::string& source : info.sources) all += (all.empty() ? "" : ", ") + source;
      throw Error(ExitCode::kUsage, name + ": has no source \"" + printable(wanted) + "\"; it has " + all);
    }
    chosen[static_cast<size_t>(at - info.sources.begin())] = keep;
  }
  std::vector<uint32_t> indices;
  for (uint32_t i = 0; i < chosen.size(); ++i) {
    if (chosen[i]) indices.push_back(i);
  }
  if (indices.empty()) throw Error(ExitCode::kUsage, "--without leaves no source to decode");
  return indices;
}

int64_t to_samples(double seconds, const char* option, uint32_t sample_rate_hz) {
  const double samples = seconds * sample_rate_hz;
  if (!(samples >= 0 && samples < 9e15)) {
    throw Error(ExitCode::kUsage, std::string(option) + ": expected a time of 0 s or more");
  }
  return std::llround(samples);
}

// Folder for stems that goes again if nothing comes of it.
class StemsFolder {
 public:
  explicit StemsFolder(const std::string& path) : path_(path) {
    if (path.empty()) return;
    std::error_code code;
    made_ = fs::create_directories(path, code);
    if (code || !fs::is_directory(path, code)) {
      throw Error(ExitCode::kIo, path + ": cannot be made a folder" + (code ? " (" + code.message() + ")" : ""));
    }
  }
  ~StemsFolder() {
    std::error_code code;
    if (made_) fs::remove(path_, code);  // fails, as it should, when there is a file in it
  }
  StemsFolder(const StemsFolder&) = delete;
  StemsFolder& operator=(const StemsFolder&) = delete;

 private:
  std::string path_;
  bool made_ = false;
};

// The outputs of one decoder, each cut to the samples [from, to) of the song.
class Cutter {
 public:
  Cutter(std::vector<std::unique_ptr<audio::AudioWriter>> writers, int64_t decoder_begin, int64_t from)
      : writers_(std::move(writers)), positions_(writers_.size(), decoder_begin), from_(from) {}

  void write(size_t output, std::span<const float> interleaved, int64_t to) {
    const int64_t begin = positions_[output], end = begin + static_cast<int64_t>(interleaved.size() / 2);
    positions_[output] = end;
    const int64_t first = std::max(begin, from_), last = std::min(end, to);
    if (first >= last) return;
    written_end_ = last;
    writers_[output]->write(
        interleaved.subspan(static_cast<size_t>(2 * (first - begin)), static_cast<size_t>(2 * (last - first))));
  }
  int64_t position() const { return positions_[0]; }
  int64_t written_end() const { return written_end_; }

  // Silence up to `to`: a file may promise one hop more than its frames give.
  void fill(int64_t to) {
    const std::vector<float> silence(2 * 4096);
    for (size_t i = 0; i < writers_.size(); ++i) {
      while (positions_[i] < to) {
        write(i, std::span(silence).first(2 * static_cast<size_t>(std::min<int64_t>(4096, to - positions_[i]))), to);
      }
    }
  }

  int64_t finish() {
    int64_t num_clipped = 0;
    for (const auto& writer : writers_) {
      writer->finish();
      num_clipped += writer->num_clipped_samples();
    }
    return num_clipped;
  }

 private:
  std::vector<std::unique_ptr<audio::AudioWriter>> writers_;
  std::vector<int64_t> positions_;  // in the song, of the next sample that the decoder gives
  int64_t from_;
  int64_t written_end_ = 0;
};

std::string seconds_text(int64_t samples, uint32_t sample_rate_hz) {
  char text[64];
  std::snprintf(text, sizeof text, "%.3f s", static_cast<double>(samples) / sample_rate_hz);
  return text;
}

}  // namespace

void decode(const DecodeOptions& options, const Warn& warn) {
  if (options.output.empty() == options.stems_folder.empty()) {
    throw Error(ExitCode::kUsage, "expected either an output file (-o) or a folder for the stems (--stems)");
  }
  if (options.output == "-" && isatty(STDOUT_FILENO) == 1) {
    throw Error(ExitCode::kUsage, "standard output is a terminal; give a file with -o, or a pipe");
  }
  runtime::ThreadPool pool(options.num_threads);
  VqcInput input(options.input, options.keep_going, warn);
  const codec::StreamInfo& info = input.info();
  const LoadedModel loaded = load_model(options.model);
  check_model(info, input.metadata(), input.name(), loaded);
  const Coding coding(load_prior_of(info, input.metadata(), input.name(), options.prior), info, input.name(), pool);
  const std::vector<uint32_t> sources = choose_sources(options, info, input.name());

  const int64_t from = to_samples(options.from_seconds, "--from", info.sample_rate_hz);
  int64_t wanted_end = std::numeric_limits<int64_t>::max();
  if (options.to_seconds) {
    wanted_end = to_samples(*options.to_seconds, "--to", info.sample_rate_hz);
    if (wanted_end <= from) throw Error(ExitCode::kUsage, "--to is not after --from: nothing is left to decode");
  }
  // The end as far as it is known now; of a pipe it is known with the last segment.
  const auto end = [&] { return std::min(wanted_end, input.num_samples().value_or(wanted_end)); };
  const auto check_from = [&] {
    const auto total = input.num_samples();
    if (!total || from == 0 || from < *total) return;
    throw Error(ExitCode::kUsage, "--from " + seconds_text(from, info.sample_rate_hz) + " is beyond the end: " +
                                      input.name() + " has " + seconds_text(*total, info.sample_rate_hz));
  };
  check_from();

  const bool separate = !options.stems_folder.empty();
  const StemsFolder folder(options.stems_folder);
  std::vector<std::unique_ptr<audio::AudioWriter>> writers;
  const audio::WriterOptions writer_options = {.sample_rate_hz = static_cast<int>(info.sample_rate_hz),
                                               .num_channels = static_cast<int>(info.num_channels),
                                               .sample_format = options.sample_format,
                                               .force = options.force};
  for (const uint32_t source : sources) {
    // check_model() compared the names with the model's, which are plain words.
    const std::string path =
        separate ? (fs::path(options.stems_folder) / (info.sources[source] + "." + options.stems_extension)).string()
                 : options.output;
    writers.push_back(audio::AudioWriter::open(path, writer_options));
    if (!separate) break;
  }

  const int64_t hop = info.hop_samples;
  const int64_t context_frames = vqvae::Decoder::context_frames(loaded.model->config());
  const int64_t first_frame = std::max<int64_t>(0, from / hop - context_frames);
  // Samples up to n come from the frames up to ceil(n / hop).
  const int64_t end_frame = wanted_end == std::numeric_limits<int64_t>::max()
                                ? wanted_end
                                : (wanted_end + hop - 1) / hop + 1 + context_frames;
  Cutter cutter(std::move(writers), first_frame * hop, from);
  Progress progress("decoding " + input.name(), options.quiet);
  vqvae::Decoder decoder(loaded.model,
                         {.sources = {sources.begin(), sources.end()},
                          .separate = separate,
                          .num_codebooks = static_cast<int>(info.num_codebooks),
                          .first_frame = first_frame},
                         pool, [&](int output, std::span<const float> samples) {
                           cutter.write(static_cast<size_t>(output), samples, end());
                           progress.update(static_cast<double>(cutter.position() - from),
                                           input.num_samples() ? static_cast<double>(end() - from) : 0);
                         });
  const int64_t segment_frames = info.segment_frames;
  const int64_t end_segment = end_frame / segment_frames + (end_frame % segment_frames != 0);
  input.select({.first = static_cast<uint32_t>(first_frame / segment_frames),
                .end = static_cast<uint32_t>(std::min<int64_t>(end_segment, codec::kMaxSegments)),
                .sources = sources,
                .tools = coding.tools()});
  for (int64_t next_frame = first_frame; next_frame < end_frame;) {
    auto segment = input.next();
    if (!segment) break;
    const int64_t begin = segment->index * segment_frames;
    const int64_t skipped = std::max<int64_t>(0, first_frame - begin);
    const int64_t kept = std::max(skipped, std::min<int64_t>(segment->num_frames, end_frame - begin));
    next_frame = begin + segment->num_frames;
    for (size_t i = 0; i < sources.size(); ++i) {
      codec::SourceSegment& source = segment->sources[i];
      if (source.gain >= vqvae::kNumGains) {
        const std::string what = input.name() + ": segment " + std::to_string(segment->index) + " of " +
                                 info.sources[sources[i]] + " has level " + std::to_string(source.gain) +
                                 ", expected less than " + std::to_string(vqvae::kNumGains);
        if (!options.keep_going) throw Error(ExitCode::kBadFile, what);
        warn(what + "; it is silent");
        source.gain = 0;
      }
      source.codes.resize(static_cast<size_t>(kept * info.num_codebooks));
      source.codes.erase(source.codes.begin(), source.codes.begin() + skipped * info.num_codebooks);
    }
    decoder.push(segment->sources);
  }
  decoder.finish();
  check_from();
  if (input.num_samples()) {
    if (cutter.written_end() > end()) {
      // Only a file that vqcodec did not write promises less than all but its last segment hold.
      const std::string what = input.name() + ": its end mark says that the song has " + std::to_string(end()) +
                               " samples, but more came before it; decode it from a file, not from a pipe";
      if (!options.keep_going) throw Error(ExitCode::kBadFile, what);
      warn(what);
    }
    cutter.fill(end());
  }
  const int64_t num_clipped = cutter.finish();
  if (num_clipped > 0) {
    warn(std::to_string(num_clipped) +
         " samples were louder than full scale and were clipped; --bits float keeps them");
  }
}

}  // namespace vqcodec::apps
