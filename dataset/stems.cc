#include "dataset/stems.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <numbers>

#include "audio/reader.h"
#include "base/error.h"

namespace vqcodec::dataset {

namespace fs = std::filesystem;

namespace {

constexpr double kActiveRms = 0.00316;  // -50 dBFS

std::vector<int16_t> read_stem(const std::string& path, const LoadOptions& options) {
  auto reader = audio::AudioReader::open(path, {.sample_rate_hz = options.sample_rate_hz});
  const int64_t max_samples =
      options.max_seconds > 0 ? 2 * static_cast<int64_t>(options.max_seconds * options.sample_rate_hz) : INT64_MAX;
  std::vector<int16_t> samples;
  std::vector<float> block(2 * 65536);
  while (static_cast<int64_t>(samples.size()) < max_samples) {
    const size_t num_frames = reader->read(block);
    if (num_frames == 0) break;
    for (size_t i = 0; i < 2 * num_frames; ++i) {
      samples.push_back(static_cast<int16_t>(std::lround(std::clamp(block[i], -1.0f, 1.0f) * 32767.0f)));
    }
  }
  if (static_cast<int64_t>(samples.size()) > max_samples) samples.resize(static_cast<size_t>(max_samples));
  samples.shrink_to_fit();
  return samples;
}

std::vector<int64_t> find_active(const std::vector<int16_t>& samples, int sample_rate_hz) {
  std::vector<int64_t> starts;
  const size_t window = 2 * static_cast<size_t>(sample_rate_hz);
  for (size_t begin = 0; begin + window <= samples.size(); begin += window) {
    double energy = 0;
    for (size_t i = begin; i < begin + window; ++i) energy += static_cast<double>(samples[i]) * samples[i];
    if (std::sqrt(energy / static_cast<double>(window)) / 32768.0 > kActiveRms) {
      starts.push_back(static_cast<int64_t>(begin / 2));
    }
  }
  return starts;
}

std::string find_stem(const fs::path& folder, const std::string& source, const LoadOptions& options) {
  std::vector<std::string> paths;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->is_regular_file(ignored) && it->path().stem() == source) paths.push_back(it->path().string());
  }
  if (error) throw Error(ExitCode::kIo, folder.string() + ": cannot be read: " + error.message());
  if (paths.empty()) return {};
  std::ranges::sort(paths);  // a folder's order is not the same on every machine
  for (size_t i = 1; i < paths.size() && options.on_remark; ++i) {
    options.on_remark(paths[i] + ": left out; " + source + " is read from " + paths[0]);
  }
  return paths[0];
}

}  // namespace

std::vector<Song> load_songs(const std::string& root, const LoadOptions& options) {
  std::error_code error;
  std::vector<fs::path> folders;
  for (fs::directory_iterator it(root, error), end; !error && it != end; it.increment(error)) {
    std::error_code ignored;
    if (it->is_directory(ignored)) folders.push_back(it->path());
  }
  if (error) throw Error(ExitCode::kIo, root + ": cannot be read as a folder of songs: " + error.message());
  std::ranges::sort(folders);
  std::vector<Song> songs;
  size_t num_done = 0;
  for (const fs::path& folder : folders) {
    Song song;
    song.name = folder.filename().string();
    bool any = false;
    int64_t shortest = INT64_MAX;
    for (const std::string& source : options.sources) {
      const std::string path = find_stem(folder, source, options);
      song.stems.push_back(path.empty() ? std::vector<int16_t>{} : read_stem(path, options));
      if (path.empty()) continue;
      any = true;
      const int64_t num_frames = static_cast<int64_t>(song.stems.back().size() / 2);
      song.num_frames = std::max(song.num_frames, num_frames);
      shortest = std::min(shortest, num_frames);
    }
    ++num_done;
    if (any && song.num_frames > 0) {
      if (shortest != song.num_frames && options.on_remark) {
        options.on_remark(folder.string() + ": stems differ in length by " +
                          std::to_string(song.num_frames - shortest) + " samples; the shorter are padded with silence");
      }
      for (auto& stem : song.stems) {
        if (!stem.empty()) stem.resize(2 * static_cast<size_t>(song.num_frames));
        song.active_frames.push_back(find_active(stem, options.sample_rate_hz));
      }
      songs.push_back(std::move(song));
    }
    if (options.on_progress) options.on_progress(num_done, folders.size());
  }
  if (songs.empty()) {
    throw Error(ExitCode::kBadFile, root + ": no song found; expected folders " + root + "/<song>/ with files named " +
                                        options.sources.front() + ".wav (or .flac, .opus, ...)");
  }
  return songs;
}

namespace {

uint64_t mix_bits(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

}  // namespace

CounterRandom::CounterRandom(uint64_t seed, uint64_t stream, uint64_t item)
    : state_(mix_bits(mix_bits(mix_bits(seed + 0x9E3779B97F4A7C15ULL) ^ stream) ^ (item + 0x632BE59BD9B4E019ULL))) {}

uint64_t CounterRandom::next() {
  state_ += 0x9E3779B97F4A7C15ULL;
  return mix_bits(state_);
}

double CounterRandom::uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

double CounterRandom::normal() {
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

uint64_t CounterRandom::below(uint64_t bound) { return static_cast<uint64_t>(uniform() * static_cast<double>(bound)); }

Mixer::Mixer(const std::vector<WeightedSongs>& sets, int num_sources, uint64_t seed, MixOptions options)
    : num_sources_(num_sources), seed_(seed), options_(options), by_source_(static_cast<size_t>(num_sources)) {
  // Within a set a song counts by the seconds in which the source sounds.
  double coherent_total = 0;
  for (const WeightedSongs& set : sets) {
    double set_seconds = 0;
    for (const Song& song : set.songs) set_seconds += static_cast<double>(song.num_frames);
    for (const Song& song : set.songs) {
      const auto num_active = std::ranges::count_if(song.active_frames, [](const auto& a) { return !a.empty(); });
      if (num_active < 2) continue;
      coherent_total += set.weight * static_cast<double>(song.num_frames) / set_seconds;
      coherent_.push_back({&song, coherent_total});
    }
  }
  for (size_t source = 0; source < by_source_.size(); ++source) {
    double total = 0;
    for (const WeightedSongs& set : sets) {
      double set_seconds = 0;
      for (const Song& song : set.songs) set_seconds += static_cast<double>(song.active_frames[source].size());
      for (const Song& song : set.songs) {
        if (song.active_frames[source].empty()) continue;
        total += set.weight * static_cast<double>(song.active_frames[source].size()) / set_seconds;
        by_source_[source].push_back({&song, total});
      }
    }
    if (by_source_[source].empty()) {
      throw Error(ExitCode::kBadFile, "source " + std::to_string(source) + " sounds in no song of the training data");
    }
  }
}

const Song& Mixer::choose(const std::vector<Choice>& choices, CounterRandom& random) const {
  const double at = random.uniform() * choices.back().cumulative;
  const auto it = std::ranges::find_if(choices, [&](const Choice& c) { return at < c.cumulative; });
  return *(it == choices.end() ? choices.back() : *it).song;
}

void Mixer::copy_source(const Song& song, size_t source, int64_t start, double speed, float gain, bool swap,
                        std::span<float> out) const {
  const std::vector<int16_t>& stem = song.stems[source];
  const int64_t num_out = static_cast<int64_t>(out.size() / 2);
  float* left = out.data();
  float* right = out.data() + num_out;
  if (swap) std::swap(left, right);
  std::ranges::fill(out, 0.0f);
  if (stem.empty()) return;
  const float scale = gain / 32768.0f;
  if (speed == 1.0) {
    const int64_t begin = std::max<int64_t>(0, -start);
    const int64_t end = std::min(num_out, song.num_frames - start);
    for (int64_t i = begin; i < end; ++i) {
      left[i] = static_cast<float>(stem[static_cast<size_t>(2 * (start + i))]) * scale;
      right[i] = static_cast<float>(stem[static_cast<size_t>(2 * (start + i) + 1)]) * scale;
    }
    return;
  }
  // Four-point Hermite interpolation: enough for speeds near 1, and cheap.
  for (int64_t i = 0; i < num_out; ++i) {
    const double at = static_cast<double>(start) + static_cast<double>(i) * speed;
    const int64_t base = static_cast<int64_t>(std::floor(at));
    if (base < 1 || base + 2 >= song.num_frames) continue;
    const float t = static_cast<float>(at - static_cast<double>(base));
    for (int channel = 0; channel < 2; ++channel) {
      std::array<float, 4> p{};
      for (size_t j = 0; j < 4; ++j) {
        p[j] = static_cast<float>(stem[2 * (static_cast<size_t>(base) + j - 1) + static_cast<size_t>(channel)]);
      }
      const float a = 0.5f * (p[3] - p[0]) + 1.5f * (p[1] - p[2]);
      const float b = p[0] - 2.5f * p[1] + 2.0f * p[2] - 0.5f * p[3];
      const float c = 0.5f * (p[2] - p[0]);
      (channel == 0 ? left : right)[i] = (((a * t + b) * t + c) * t + p[1]) * scale;
    }
  }
}

void Mixer::draw(uint64_t step, uint64_t item, int64_t num_frames, std::span<float> out) const {
  CounterRandom random(seed_, step, item);
  const size_t source_size = 2 * static_cast<size_t>(num_frames);
  const double item_gain_db = options_.song_gain_deviation_db * random.normal();
  const bool coherent = !coherent_.empty() && random.chance(options_.coherent_share);
  const Song* song = nullptr;
  int64_t start = 0;
  const auto draw_start = [&](const Song& from, size_t source) {
    const auto& active = from.active_frames[source];
    const int64_t last = std::max<int64_t>(1, from.num_frames - num_frames);
    if (!active.empty() && random.chance(options_.active_probability)) {
      // Some frames before or into an active second, so that the source sounds somewhere in the crop.
      const int64_t at = active[random.below(active.size())];
      const int64_t shift = static_cast<int64_t>(random.below(static_cast<uint64_t>(num_frames)));
      return std::clamp<int64_t>(at - shift + num_frames / 4, 0, last);
    }
    return static_cast<int64_t>(random.below(static_cast<uint64_t>(last)));
  };
  if (coherent) {
    song = &choose(coherent_, random);
    size_t source = random.below(static_cast<uint64_t>(num_sources_));
    start = draw_start(*song, source);
  }
  const double coherent_speed = options_.min_speed + (options_.max_speed - options_.min_speed) * random.uniform();
  bool any = false;
  for (size_t source = 0; source < static_cast<size_t>(num_sources_); ++source) {
    std::span<float> target = out.subspan(source * source_size, source_size);
    double speed = coherent_speed;
    if (!coherent) {
      song = &choose(by_source_[source], random);
      start = draw_start(*song, source);
      speed = options_.min_speed + (options_.max_speed - options_.min_speed) * random.uniform();
    }
    const double gain_db = item_gain_db + options_.gain_deviation_db * random.normal();
    const bool swap = options_.swap_channels && random.chance(0.5);
    const bool flip = options_.flip_polarity && random.chance(0.5);
    const bool last_chance = source + 1 == static_cast<size_t>(num_sources_) && !any;
    if (!coherent && random.chance(options_.silent_probability) && !last_chance) {
      std::ranges::fill(target, 0.0f);
      continue;
    }
    any = true;
    const float gain = static_cast<float>(std::pow(10.0, gain_db / 20)) * (flip ? -1.0f : 1.0f);
    copy_source(*song, source, start, speed, gain, swap, target);
    if (options_.channel_gain_deviation_db > 0) {
      const double half_db = 0.5 * options_.channel_gain_deviation_db * random.normal();
      for (const auto& [part, db] :
           {std::pair(target.first(source_size / 2), half_db), std::pair(target.last(source_size / 2), -half_db)}) {
        const float factor = static_cast<float>(std::pow(10.0, db / 20));
        for (float& sample : part) sample *= factor;
      }
    }
  }
}

}  // namespace vqcodec::dataset
