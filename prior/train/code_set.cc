#include "prior/train/code_set.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "runtime/safetensors.h"
#include "vqvae/encoder.h"

namespace vqcodec::prior::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using nlohmann::ordered_json;

constexpr const char* kMetadataKey = "code_set";

int64_t num_segments(int64_t num_frames, int segment_frames) {
  return (num_frames + segment_frames - 1) / segment_frames;
}

std::string shard_name(size_t index) {
  char text[32];
  std::snprintf(text, sizeof text, "codes-%05zu.safetensors", index);
  return text;
}

// How a variant is made of its song, the same for all of its sources.
dataset::SourcePlan plan_of(const dataset::Song& song, size_t song_index, int variant, int hop_samples,
                            const ExtractOptions& options) {
  dataset::SourcePlan plan{.song = &song};
  if (variant == 0) return plan;
  dataset::CounterRandom random(options.seed, song_index, static_cast<uint64_t>(variant));
  // The start moves segments and frames against the song.
  const auto most = std::min<int64_t>(int64_t{options.segment_frames} * hop_samples, song.num_frames / 4);
  plan.start_frame = static_cast<int64_t>(random.below(static_cast<uint64_t>(most) + 1));
  plan.speed = 1 + options.speed_deviation * (2 * random.uniform() - 1);
  plan.gain = static_cast<float>(std::pow(10.0, options.gain_deviation_db * random.normal() / 20));
  plan.swap_channels = random.chance(0.5);
  if (random.chance(0.5)) plan.gain = -plan.gain;
  return plan;
}

// Interleaved stereo of one source, added to `mixture` [2 * num_frames].
void add_source(const dataset::SourcePlan& plan, size_t source, std::vector<float>& planes,
                std::vector<float>& mixture) {
  if (!plan.song->has(source)) return;
  const size_t num_frames = mixture.size() / 2;
  planes.resize(mixture.size());
  dataset::Mixer::execute(plan, source, planes);
  for (size_t t = 0; t < num_frames; ++t) {
    mixture[2 * t] += planes[t];
    mixture[2 * t + 1] += planes[num_frames + t];
  }
}

// Adds to `song` the codes of `interleaved`, of all sources or of one. The codes are [sources, frames, codebooks].
void encode(const std::shared_ptr<const vqvae::Model>& model, const std::vector<float>& interleaved, int segment_frames,
            int only_source, CodeSong& song, runtime::ThreadPool& pool) {
  const auto num_sources = static_cast<int>(model->config().sources.size());
  const auto num_codebooks = static_cast<size_t>(model->config().num_codebooks);
  size_t segment = 0;
  vqvae::Encoder encoder(
      model, {.segment_frames = segment_frames}, pool, [&](const std::vector<codec::SourceSegment>& coded) {
        for (int s = 0; s < num_sources; ++s) {
          if (only_source >= 0 && s != only_source) continue;
          const auto source = static_cast<size_t>(s);
          std::ranges::copy(coded[source].codes,
                            song.codes.begin() +
                                static_cast<std::ptrdiff_t>((source * static_cast<size_t>(song.num_frames) +
                                                             segment * static_cast<size_t>(segment_frames)) *
                                                            num_codebooks));
          song.gains[source * song.gains.size() / static_cast<size_t>(num_sources) + segment] = coded[source].gain;
        }
        ++segment;
      });
  encoder.push(interleaved);
  encoder.finish();
}

CodeSong encode_variant(const std::shared_ptr<const vqvae::Model>& model, const dataset::Song& song, size_t song_index,
                        int variant, const ExtractOptions& options, runtime::ThreadPool& pool) {
  const vqvae::ModelConfig& config = model->config();
  const size_t num_sources = config.sources.size();
  const dataset::SourcePlan plan = plan_of(song, song_index, variant, config.hop_samples, options);
  const auto num_samples = static_cast<int64_t>(static_cast<double>(song.num_frames - plan.start_frame) / plan.speed);
  CodeSong coded{.name = song.name, .variant = variant};
  coded.num_frames = num_samples == 0 ? 0 : (num_samples + config.hop_samples - 1) / config.hop_samples + 1;
  coded.codes.resize(num_sources * static_cast<size_t>(coded.num_frames * config.num_codebooks));
  coded.gains.resize(num_sources * static_cast<size_t>(num_segments(coded.num_frames, options.segment_frames)));
  std::vector<float> planes, samples(2 * static_cast<size_t>(num_samples));
  if (options.origin == CodeOrigin::kMixture) {
    for (size_t s = 0; s < num_sources; ++s) add_source(plan, s, planes, samples);
    encode(model, samples, options.segment_frames, -1, coded, pool);
    return coded;
  }
  for (size_t s = 0; s < num_sources; ++s) {
    if (!song.has(s)) continue;
    std::ranges::fill(samples, 0.0f);
    add_source(plan, s, planes, samples);
    encode(model, samples, options.segment_frames, static_cast<int>(s), coded, pool);
  }
  return coded;
}

ordered_json to_json(const CodeSetInfo& info) {
  return {{"model_id", info.model_id},
          {"sources", info.sources},
          {"num_codebooks", info.num_codebooks},
          {"codebook_size", info.codebook_size},
          {"segment_frames", info.segment_frames},
          {"sample_rate_hz", info.sample_rate_hz},
          {"hop_samples", info.hop_samples}};
}

CodeSetInfo info_of(const json& object) {
  CodeSetInfo info;
  object.at("model_id").get_to(info.model_id);
  object.at("sources").get_to(info.sources);
  object.at("num_codebooks").get_to(info.num_codebooks);
  object.at("codebook_size").get_to(info.codebook_size);
  object.at("segment_frames").get_to(info.segment_frames);
  object.at("sample_rate_hz").get_to(info.sample_rate_hz);
  object.at("hop_samples").get_to(info.hop_samples);
  return info;
}

void require_sane(const CodeSetInfo& info, const std::string& name) {
  const auto in = [](int64_t value, int64_t least, int64_t most) { return value >= least && value <= most; };
  if (info.sources.empty() || info.sources.size() > codec::kMaxSources ||
      !in(info.num_codebooks, 1, codec::kMaxCodebooks) ||
      !in(info.codebook_size, codec::kMinCodebookSize, codec::kMaxCodebookSize) ||
      !in(info.segment_frames, 1, codec::kMaxSegmentFrames) || !in(info.sample_rate_hz, 1, codec::kMaxSampleRateHz) ||
      !in(info.hop_samples, 1, codec::kMaxHopSamples)) {
    throw Error(ExitCode::kBadFile, name + ": its \"" + kMetadataKey + "\" has sizes outside their limits");
  }
}

std::vector<uint16_t> to_u16(const std::vector<int32_t>& values, int end, const std::string& what) {
  std::vector<uint16_t> result(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] < 0 || values[i] >= end) {
      throw Error(ExitCode::kBadFile, what + ": " + std::to_string(values[i]) + " at place " + std::to_string(i) +
                                          ", expected 0.." + std::to_string(end - 1));
    }
    result[i] = static_cast<uint16_t>(values[i]);
  }
  return result;
}

}  // namespace

void extract_codes(const std::shared_ptr<const vqvae::Model>& model, const std::vector<dataset::Song>& songs,
                   const fs::path& folder, const ExtractOptions& options, runtime::ThreadPool& pool) {
  if (options.variants < 1 || options.variants > 1000) throw Error(ExitCode::kUsage, "variants: expected 1 to 1000");
  if (options.songs_per_shard < 1) throw Error(ExitCode::kUsage, "songs a shard: expected 1 or more");
  if (!(options.speed_deviation >= 0 && options.speed_deviation <= 0.5)) {
    throw Error(ExitCode::kUsage, "speed deviation: expected 0 to 0.5");
  }
  const vqvae::ModelConfig& config = model->config();
  const CodeSetInfo info{.model_id = runtime::to_hex(model->id()),
                         .sources = config.sources,
                         .num_codebooks = config.num_codebooks,
                         .codebook_size = config.codebook_size,
                         .segment_frames = options.segment_frames,
                         .sample_rate_hz = config.sample_rate_hz,
                         .hop_samples = config.hop_samples};
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw Error(ExitCode::kIo, folder.string() + ": cannot be made: " + error.message());

  const size_t total = songs.size() * static_cast<size_t>(options.variants);
  const auto per_shard = static_cast<size_t>(options.songs_per_shard);
  for (size_t begin = 0, shard = 0; begin < total; begin += per_shard, ++shard) {
    const size_t end = std::min(total, begin + per_shard);
    const fs::path path = folder / shard_name(shard);
    // Whole songs first, then their variants, so that a longer extraction keeps the shards of a shorter one.
    ordered_json recipe = {{"origin", options.origin == CodeOrigin::kMixture ? "mixture" : "stems"},
                           {"seed", options.seed},
                           {"gain_deviation_db", options.gain_deviation_db},
                           {"speed_deviation", options.speed_deviation},
                           {"songs", ordered_json::array()}};
    for (size_t i = begin; i < end; ++i) {
      recipe["songs"].push_back({{"name", songs[i % songs.size()].name},
                                 {"variant", i / songs.size()},
                                 {"num_samples", songs[i % songs.size()].num_frames}});
    }
    ordered_json metadata = to_json(info);
    metadata["recipe"] = recipe;
    if (fs::exists(path)) {
      const auto there = json::parse(runtime::Safetensors::open(path).metadata(kMetadataKey), nullptr, false);
      bool same = there.is_object() && there.contains("recipe") && there.at("recipe") == json(recipe);
      const json wanted = to_json(info);
      for (const auto& [key, value] : wanted.items()) same = same && there.contains(key) && there.at(key) == value;
      if (!same) {
        throw Error(ExitCode::kUsage, path.string() +
                                          ": is there already, of other songs, options or of another model; "
                                          "remove it or name another folder");
      }
      if (options.on_progress) options.on_progress(end, total);
      continue;
    }
    runtime::SafetensorsWriter writer;
    for (size_t i = begin; i < end; ++i) {
      const CodeSong coded = encode_variant(model, songs[i % songs.size()], i % songs.size(),
                                            static_cast<int>(i / songs.size()), options, pool);
      const auto num_sources = static_cast<int64_t>(info.sources.size());
      const std::string key = std::to_string(i - begin);
      writer.add_u16(key + "/codes", {num_sources, coded.num_frames, info.num_codebooks}, coded.codes);
      writer.add_u16(key + "/gains", {num_sources, num_segments(coded.num_frames, info.segment_frames)}, coded.gains);
      metadata["recipe"]["songs"][i - begin]["num_frames"] = coded.num_frames;
      if (options.on_progress) options.on_progress(i + 1, total);
    }
    metadata["songs"] = metadata["recipe"]["songs"];
    metadata["recipe"] = recipe;
    writer.set_metadata(kMetadataKey, metadata.dump());
    writer.write(path);
  }
}

CodeSet load_code_set(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with("codes-") && name.ends_with(".safetensors")) paths.push_back(it->path());
  }
  if (error) throw Error(ExitCode::kIo, folder.string() + ": cannot be read: " + error.message());
  if (paths.empty()) {
    throw Error(ExitCode::kBadFile, folder.string() + ": holds no codes-*.safetensors (vqtrain codes makes them)");
  }
  std::ranges::sort(paths);
  CodeSet set;
  for (const fs::path& path : paths) {
    auto shard = runtime::Safetensors::open(path);
    const json metadata = json::parse(shard.metadata(kMetadataKey), nullptr, false);
    CodeSetInfo info;
    std::vector<CodeSong> songs;
    try {
      info = info_of(metadata);
      for (const json& entry : metadata.at("songs")) {
        songs.push_back({.name = entry.at("name").get<std::string>(),
                         .variant = entry.at("variant").get<int>(),
                         .num_frames = entry.at("num_frames").get<int64_t>()});
      }
    } catch (const json::exception& e) {
      throw Error(ExitCode::kBadFile, path.string() + ": its \"" + kMetadataKey + "\" is damaged: " + e.what());
    }
    require_sane(info, path.string());
    if (set.info.model_id.empty()) set.info = info;
    if (!(info == set.info)) {
      throw Error(ExitCode::kBadFile, path.string() + ": is of model " + info.model_id + ", but " + paths[0].string() +
                                          " is of " + set.info.model_id + " (or has other segments)");
    }
    const auto num_sources = static_cast<int64_t>(info.sources.size());
    for (size_t i = 0; i < songs.size(); ++i) {
      CodeSong& song = songs[i];
      const std::string key = std::to_string(i), where = path.string() + ", song " + song.name;
      if (song.num_frames < 0 || song.num_frames > int64_t{1} << 32) {
        throw Error(ExitCode::kBadFile, where + ": has " + std::to_string(song.num_frames) + " frames");
      }
      song.codes = to_u16(shard.integers(key + "/codes", {num_sources, song.num_frames, info.num_codebooks}),
                          info.codebook_size, where + ", codes");
      song.gains =
          to_u16(shard.integers(key + "/gains", {num_sources, num_segments(song.num_frames, info.segment_frames)}),
                 65536, where + ", gains");
      set.songs.push_back(std::move(song));
    }
    shard.check_all_used();
  }
  return set;
}

}  // namespace vqcodec::prior::train
