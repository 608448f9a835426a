#include "eval/tracks.h"

#include <algorithm>
#include <cmath>

#include "audio/reader.h"
#include "base/error.h"
#include "eval/json_output.h"
#include "vqvae/decoder.h"
#include "vqvae/encoder.h"

namespace vqcodec::eval {

namespace fs = std::filesystem;

namespace {

// The first audio file by name of this stem, or an empty path.
fs::path find_file(const fs::path& folder, const std::string& stem) {
  fs::path found;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const fs::path& path = entry.path();
    if (path.stem() != stem || path.extension().empty() || entry.is_directory()) continue;
    if (path.extension() == ".json" || path.extension() == ".vqc" || path.extension() == ".txt") continue;
    if (found.empty() || path < found) found = path;
  }
  return found;
}

std::vector<float> read_file(const fs::path& path, const ReadOptions& options, Track& track) {
  std::vector<std::string>& remarks = track.remarks;
  const auto reader = audio::AudioReader::open(path.string(), {.sample_rate_hz = options.sample_rate_hz});
  const std::string name = path.filename().string();
  const int rate = reader->info().source_sample_rate_hz;
  if (rate != options.sample_rate_hz) {
    remarks.push_back(name + ": resampled from " + std::to_string(rate) + " to " +
                      std::to_string(options.sample_rate_hz) + " Hz");
  }
  if (reader->info().source_num_channels == 1) remarks.push_back(name + ": mono, taken as two equal channels");
  const double rate_hz = options.sample_rate_hz;
  auto skip = static_cast<int64_t>(std::llround(options.from_seconds * rate_hz));
  const int64_t most = options.max_seconds > 0 ? std::llround(options.max_seconds * rate_hz) : INT64_MAX / 4;
  std::vector<float> block(2 * 65536), samples;
  while (static_cast<int64_t>(samples.size()) / 2 < most) {
    const auto got = static_cast<int64_t>(reader->read(block));
    if (got == 0) break;
    const int64_t skipped = std::min(skip, got);
    skip -= skipped;
    const int64_t taken = std::min(got - skipped, most - static_cast<int64_t>(samples.size()) / 2);
    samples.insert(samples.end(), block.begin() + 2 * skipped, block.begin() + 2 * (skipped + taken));
  }
  track.num_bad_samples += reader->num_bad_samples();
  if (reader->num_bad_samples() > 0) {
    remarks.push_back(name + ": " + std::to_string(reader->num_bad_samples()) +
                      " samples that are no numbers, taken as 0");
  }
  if (reader->num_damaged_packets() > 0) remarks.push_back(name + ": damaged, parts of it are missing");
  return samples;
}

}  // namespace

std::vector<TrackFolder> list_tracks(const fs::path& root, const std::vector<std::string>& names) {
  const auto is_track = [&](const fs::path& folder) {
    return std::ranges::any_of(names, [&](const std::string& name) { return !find_file(folder, name).empty(); });
  };
  std::error_code error;
  const fs::directory_iterator entries(root, error);
  if (error) throw Error(ExitCode::kIo, root.string() + ": cannot be read: " + error.message());
  if (is_track(root)) return {{folder_name(root), root}};
  std::vector<TrackFolder> tracks;
  for (const fs::directory_entry& entry : entries) {
    if (entry.is_directory() && is_track(entry.path()))
      tracks.push_back({entry.path().filename().string(), entry.path()});
  }
  if (tracks.empty()) {
    std::string expected;
    for (const std::string& name : names) expected += (expected.empty() ? "" : ",") + name;
    throw Error(ExitCode::kBadFile,
                root.string() + ": holds no track; expected <track>/{" + expected + "}.wav or the like");
  }
  std::ranges::sort(tracks, {}, &TrackFolder::name);
  return tracks;
}

Track read_track(const TrackFolder& folder, const std::vector<std::string>& sources, const ReadOptions& options) {
  Track track;
  track.name = folder.name;
  track.sample_rate_hz = options.sample_rate_hz;
  std::vector<std::vector<float>*> all;
  std::vector<std::string> names;
  const auto read = [&](const std::string& name, std::vector<float>& samples) {
    const fs::path path = find_file(folder.path, name);
    if (path.empty()) return false;
    samples = read_file(path, options, track);
    track.num_frames = std::max(track.num_frames, static_cast<int64_t>(samples.size() / 2));
    all.push_back(&samples);
    names.push_back(path.filename().string());
    return true;
  };
  track.stems.resize(sources.size());
  std::vector<bool> there(sources.size());
  for (size_t s = 0; s < sources.size(); ++s) {
    there[s] = read(sources[s], track.stems[s]);
    if (!there[s]) track.remarks.push_back(sources[s] + ": no such file");
  }
  const bool has_mixture = read("mixture", track.mixture);
  for (size_t i = 0; i < all.size(); ++i) {
    const int64_t missing = track.num_frames - static_cast<int64_t>(all[i]->size() / 2);
    if (missing == 0) continue;
    track.remarks.push_back(names[i] + ": " + std::to_string(missing) +
                            " samples shorter than the longest file, padded");
    all[i]->resize(2 * static_cast<size_t>(track.num_frames));
  }
  if (!has_mixture) {
    track.mixture.assign(2 * static_cast<size_t>(track.num_frames), 0.0f);
    for (size_t s = 0; s < sources.size(); ++s) {
      for (size_t i = 0; i < track.stems[s].size(); ++i) track.mixture[i] += track.stems[s][i];
    }
  }
  return track;
}

CodedSong encode_song(const std::shared_ptr<const vqvae::Model>& model, std::span<const float> interleaved,
                      int num_codebooks, runtime::ThreadPool& pool) {
  CodedSong song;
  vqvae::Encoder encoder(model, {.num_codebooks = num_codebooks}, pool,
                         [&](const std::vector<codec::SourceSegment>& segment) { song.segments.push_back(segment); });
  encoder.push(interleaved);
  encoder.finish();
  song.info = encoder.stream_info();
  return song;
}

std::vector<std::vector<float>> decode_sources(const std::shared_ptr<const vqvae::Model>& model, const CodedSong& song,
                                               runtime::ThreadPool& pool) {
  std::vector<std::vector<float>> decoded(model->config().sources.size());
  vqvae::Decoder decoder(model, {.separate = true, .num_codebooks = static_cast<int>(song.info.num_codebooks)}, pool,
                         [&](int source, std::span<const float> samples) {
                           auto& all = decoded[static_cast<size_t>(source)];
                           all.insert(all.end(), samples.begin(), samples.end());
                         });
  for (const auto& segment : song.segments) decoder.push(segment);
  decoder.finish();
  for (auto& samples : decoded) samples.resize(2 * static_cast<size_t>(song.info.num_samples));
  return decoded;
}

std::vector<float> sum_of(std::span<const std::vector<float>> signals) {
  std::vector<float> sum;
  for (const auto& signal : signals) {
    sum.resize(std::max(sum.size(), signal.size()));
    for (size_t i = 0; i < signal.size(); ++i) sum[i] += signal[i];
  }
  return sum;
}

}  // namespace vqcodec::eval
