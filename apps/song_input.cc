#include "apps/song_input.h"

#include <algorithm>
#include <fstream>
#include <numeric>

#include "apps/audio_input.h"
#include "apps/prior_file.h"
#include "codec/vqc_format.h"
#include "runtime/sha256.h"

namespace vqcodec::apps {

namespace {

CodedSong decode_codes(const std::string& path, const SongInputOptions& options, runtime::ThreadPool& pool,
                       const Warn& warn) {
  VqcInput input(path, /*keep_going=*/false, warn);
  CodedSong result;
  result.model = load_model(options.model);
  check_model(input.info(), input.metadata(), input.name(), result.model);
  result.metadata = parse_metadata(input.metadata());
  const bool at_hand = input.info().has_prior() && !options.prior.empty() &&
                       runtime::sha256_file(options.prior) == input.info().prior_id;
  const Coding coding(load_prior_of(input.info(), input.metadata(), input.name(),
                                    at_hand ? options.prior : std::string()),
                      input.info(), input.name(), pool);
  generate::Song& song = result.song;
  std::vector<uint32_t> sources(input.info().sources.size());
  std::iota(sources.begin(), sources.end(), 0U);
  input.select({.sources = sources, .tools = coding.tools()});
  Progress progress("reading " + input.name(), options.quiet);
  while (auto segment = input.next()) {
    for (size_t s = 0; s < sources.size(); ++s) {
      if (segment->sources[s].gain < vqvae::kNumGains) continue;
      throw Error(ExitCode::kBadFile, input.name() + ": segment " + std::to_string(segment->index) + " of " +
                                          input.info().sources[s] + " has level " +
                                          std::to_string(segment->sources[s].gain) + ", expected less than " +
                                          std::to_string(vqvae::kNumGains));
    }
    song.segments.push_back(std::move(segment->sources));
    progress.update(static_cast<double>(song.segments.size()), static_cast<double>(input.info().num_segments()));
  }
  song.info = input.info();
  song.info.numerics_id = 0;
  song.info.prior_id = {};
  song.info.source_order.clear();
  return result;
}

CodedSong encode_audio(const std::string& path, const SongInputOptions& options, runtime::ThreadPool& pool,
                       const Warn& warn) {
  CodedSong result;
  result.model = load_model(options.model);
  const vqvae::ModelConfig& config = result.model.model->config();
  const auto reader = audio::AudioReader::open(path, {.sample_rate_hz = config.sample_rate_hz});
  const int num_codebooks = std::min(options.num_codebooks, config.num_codebooks);
  vqvae::Encoder encoder(result.model.model, {.num_codebooks = num_codebooks}, pool,
                         [&](const auto& segment) { result.song.segments.push_back(segment); });
  Progress progress("encoding " + path, options.quiet);
  encode_all(*reader, encoder, progress);
  result.song.info = encoder.stream_info();
  result.song.info.num_samples = static_cast<uint64_t>(encoder.num_samples());
  result.song.info.num_frames = static_cast<uint64_t>(result.song.num_frames());
  result.metadata = {{"encoder", "vqcodec " VQCODEC_VERSION},
                     {"model_name", model_name(*result.model.model)},
                     {"input", input_json(*reader)}};
  warn_of_damage(*reader, path, warn);
  return result;
}

}  // namespace

bool is_vqc(const std::string& path) {
  if (path.ends_with(".vqc")) return true;
  char start[sizeof codec::kMagic] = {};
  std::ifstream(path, std::ios::binary).read(start, sizeof start);
  return std::equal(std::begin(start), std::end(start), std::begin(codec::kMagic),
                    [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; });
}

CodedSong read_song(const std::string& path, const SongInputOptions& options, runtime::ThreadPool& pool,
                    const Warn& warn) {
  if (path == "-") throw Error(ExitCode::kUsage, "the song cannot be standard input; save it as a file first");
  return is_vqc(path) ? decode_codes(path, options, pool, warn) : encode_audio(path, options, pool, warn);
}

}  // namespace vqcodec::apps
