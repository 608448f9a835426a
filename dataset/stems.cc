#include "dataset/stems.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <numbers>

#include "audio/reader.h"
#include "base/error.h"
#include "dataset/layout.h"

namespace vqcodec::dataset {

namespace {

constexpr size_t kBlockFrames = 65536;

// The sum of files, in blocks.
class SummedFiles {
 public:
  SummedFiles(const std::vector<AudioFile>& files, int sample_rate_hz) : files_(files), part_(2 * kBlockFrames) {
    for (const AudioFile& file : files) readers_.push_back(open_audio(file, sample_rate_hz));
  }

  // Fills interleaved stereo and returns the frames of the longest file that are left, at most the block's; what is
  // beyond the end of a shorter one is silence.
  size_t read(std::span<float> block) {
    std::ranges::fill(block, 0.0f);
    size_t num_frames = 0;
    for (size_t i = 0; i < readers_.size(); ++i) {
      const auto part = std::span(part_).first(block.size());
      const size_t got = readers_[i]->read(part);
      const auto gain = static_cast<float>(files_[i].gain);
      for (size_t j = 0; j < 2 * got; ++j) block[j] += gain * part[j];
      num_frames = std::max(num_frames, got);
    }
    return num_frames;
  }

  int64_t num_damaged_packets() const {
    int64_t count = 0;
    for (const auto& reader : readers_) count += reader->num_damaged_packets();
    return count;
  }

 private:
  const std::vector<AudioFile>& files_;
  std::vector<std::unique_ptr<audio::AudioReader>> readers_;
  std::vector<float> part_;
};

std::string decimal(double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f", value);
  return text.data();
}

// What a song's files have in common while they are read.
struct SongReader {
  const LoadOptions& options;
  const std::string label;  // for remarks
  const int64_t max_frames = options.max_seconds > 0 ? static_cast<int64_t>(options.max_seconds* options.sample_rate_hz)
                                                     : INT64_MAX / 4;

  void remark(const std::string& text) const {
    if (options.on_remark) options.on_remark(label + ": " + text);
  }

  std::vector<int16_t> read_stem(const std::string& source, const std::vector<AudioFile>& files) const {
    SummedFiles sum(files, options.sample_rate_hz);
    std::vector<int16_t> samples;
    std::vector<float> block(2 * kBlockFrames);
    int64_t num_clipped = 0;
    while (static_cast<int64_t>(samples.size() / 2) < max_frames) {
      const size_t num_frames = sum.read(block);
      if (num_frames == 0) break;
      for (size_t i = 0; i < 2 * num_frames; ++i) {
        num_clipped += std::abs(block[i]) > 1.0f;
        samples.push_back(static_cast<int16_t>(std::lround(std::clamp(block[i], -1.0f, 1.0f) * 32767.0f)));
      }
    }
    if (static_cast<int64_t>(samples.size() / 2) > max_frames) samples.resize(2 * static_cast<size_t>(max_frames));
    samples.shrink_to_fit();
    if (files.size() > 1 && num_clipped > 0) {
      remark(source + ": " + std::to_string(num_clipped) + " samples of the sum of its " +
             std::to_string(files.size()) + " files are beyond full scale; clipped");
    }
    if (sum.num_damaged_packets() > 0) {
      remark(source + ": " + std::to_string(sum.num_damaged_packets()) +
             " damaged parts of its files were left out; the rest is used");
    }
    return samples;
  }

  // Energy of the mixture less the stems, over the mixture's, in dB; NaN when the mixture is silent.
  double residual_db(const Song& song, const std::vector<AudioFile>& mixture) const {
    SummedFiles sum(mixture, options.sample_rate_hz);
    std::vector<float> block(2 * kBlockFrames);
    double energy = 0, residual = 0;
    size_t at = 0;
    const size_t end = 2 * static_cast<size_t>(song.num_frames);
    while (at < end) {
      const size_t num_samples = std::min(2 * sum.read(block), end - at);
      if (num_samples == 0) break;
      for (size_t i = 0; i < num_samples; ++i) {
        double difference = block[i];
        energy += difference * difference;
        for (const auto& stem : song.stems) {
          if (!stem.empty()) difference -= stem[at + i] / 32767.0;
        }
        residual += difference * difference;
      }
      at += num_samples;
    }
    if (energy == 0) return NAN;
    return 10 * std::log10(std::max(residual / energy, 1e-20));
  }
};

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

}  // namespace

std::unique_ptr<audio::AudioReader> open_audio(const AudioFile& file, int sample_rate_hz) {
  try {
    return audio::AudioReader::open(file.path, {.sample_rate_hz = sample_rate_hz, .stream_index = file.stream_index});
  } catch (const Error& error) {
    if (error.code() != ExitCode::kUsage) throw;
    throw Error(ExitCode::kBadFile, error.what());  // nobody asked for it but the layout
  }
}

std::vector<Song> load_songs(const std::string& root, const LoadOptions& options) {
  const Layout layout = choose_layout(options.layout, root, options.sources);
  const Listing listing = layout.list(root, options.sources);
  if (!listing.bad_songs.empty()) {
    const size_t num_more = listing.bad_songs.size() - 1;
    throw Error(ExitCode::kBadFile,
                listing.bad_songs[0] + (num_more > 0 ? "; and " + std::to_string(num_more) + " more such songs" : ""));
  }
  const std::vector<SongFiles> all_files = select_splits(listing, options.splits, root);
  const bool has_all = std::ranges::all_of(layout.groups(), [&](const std::string& group) {
    return std::ranges::find(options.sources, group) != options.sources.end();
  });
  std::vector<Song> songs;
  size_t num_done = 0, num_bleeding = 0;
  for (const SongFiles& files : all_files) {
    const SongReader reader{options, root + ": " + (files.split.empty() ? "" : files.split + "/") + files.name};
    for (const std::string& text : files.remarks) {
      if (options.on_remark) options.on_remark(text);
    }
    for (const std::string& missing : files.missing) {
      reader.remark(missing + " is not there; " + (missing == "mixture" ? "not needed" : "taken as silence"));
    }
    num_bleeding += files.has_bleed;
    Song song;
    song.name = files.name;
    int64_t shortest = INT64_MAX;
    for (size_t s = 0; s < options.sources.size(); ++s) {
      song.stems.emplace_back();
      if (files.sources[s].empty()) continue;
      song.stems.back() = reader.read_stem(options.sources[s], files.sources[s]);
      const auto num_frames = static_cast<int64_t>(song.stems.back().size() / 2);
      song.num_frames = std::max(song.num_frames, num_frames);
      shortest = std::min(shortest, num_frames);
    }
    ++num_done;
    if (song.num_frames > 0) {
      if (shortest != song.num_frames) {
        reader.remark("stems differ in length by " + std::to_string(song.num_frames - shortest) +
                      " samples; the shorter are padded with silence");
      }
      for (auto& stem : song.stems) {
        if (!stem.empty()) stem.resize(2 * static_cast<size_t>(song.num_frames));
        song.active_frames.push_back(find_active(stem, options.sample_rate_hz));
      }
      if (options.check_sums && has_all && !files.mixture.empty() && layout.sum_tolerance_db()) {
        const double residual_db = reader.residual_db(song, files.mixture);
        if (std::isnan(residual_db)) {
          reader.remark("the mixture is silent; its stems are used all the same");
        } else if (residual_db > *layout.sum_tolerance_db()) {
          reader.remark("the mixture and the sum of the stems differ by " + decimal(residual_db) +
                        " dB relative to the mixture, expected at most " + decimal(*layout.sum_tolerance_db()) +
                        " dB; the stems are used all the same");
        }
      }
      songs.push_back(std::move(song));
    } else {
      reader.remark("its files hold no audio; left out");
    }
    if (options.on_progress) options.on_progress(num_done, all_files.size());
  }
  if (num_bleeding > 0 && options.on_remark) {
    options.on_remark(root + ": " + std::to_string(num_bleeding) + " of " + std::to_string(all_files.size()) +
                      " songs have other sources in their stems, by their metadata; used all the same");
  }
  if (songs.empty()) {
    throw Error(ExitCode::kBadFile,
                root + ": no song found; layout " + layout.name() + " expects " + layout.description());
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
