#include "dataset/stems.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstdio>
#include <numbers>

#include <ebur128.h>

#include "audio/reader.h"
#include "base/error.h"
#include "dataset/layout.h"
#include "dataset/pack.h"

namespace vqcodec::dataset {

namespace {

constexpr size_t kBlockFrames = 65536;
constexpr double kLowestTiltHz = 30;

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

void require_good_metadata(const Listing& listing) {
  if (listing.bad_songs.empty()) return;
  const size_t num_more = listing.bad_songs.size() - 1;
  throw Error(ExitCode::kBadFile,
              listing.bad_songs[0] + (num_more > 0 ? "; and " + std::to_string(num_more) + " more such songs" : ""));
}

std::unique_ptr<audio::AudioReader> open_audio(const AudioFile& file, int sample_rate_hz) {
  try {
    return audio::AudioReader::open(file.path, {.sample_rate_hz = sample_rate_hz, .stream_index = file.stream_index});
  } catch (const Error& error) {
    if (error.code() != ExitCode::kUsage) throw;
    throw Error(ExitCode::kBadFile, error.what());  // nobody asked for it but the layout
  }
}

bool Song::has(size_t source) const { return audio ? audio->has(source) : !stems[source].empty(); }

void Song::read(size_t source, int64_t start, std::span<int16_t> interleaved) const {
  const auto num_wanted = static_cast<int64_t>(interleaved.size() / 2);
  const int64_t begin = std::clamp<int64_t>(-start, 0, num_wanted);
  const int64_t end = std::clamp<int64_t>(num_frames - start, begin, num_wanted);
  if (begin == end || !has(source)) {
    std::ranges::fill(interleaved, int16_t{0});
    return;
  }
  const auto inside = interleaved.subspan(2 * static_cast<size_t>(begin), 2 * static_cast<size_t>(end - begin));
  std::fill(interleaved.begin(), interleaved.begin() + 2 * begin, int16_t{0});
  std::fill(interleaved.begin() + 2 * end, interleaved.end(), int16_t{0});
  if (audio) {
    audio->read(source, start + begin, inside);
  } else {
    std::copy_n(stems[source].begin() + 2 * (start + begin), inside.size(), inside.begin());
  }
}

void measure_loudness(Song& song) {
  struct Free {
    void operator()(ebur128_state* state) const { ebur128_destroy(&state); }
  };
  const auto check = [&](bool good) {
    if (!good) throw Error(ExitCode::kInternal, song.name + ": libebur128 failed");
  };
  const auto begin = [&] {
    std::unique_ptr<ebur128_state, Free> state(
        ebur128_init(2, static_cast<unsigned long>(song.sample_rate_hz), EBUR128_MODE_I | EBUR128_MODE_HISTOGRAM));
    check(state != nullptr);
    return state;
  };
  const auto finish = [&](ebur128_state* state) {
    double loudness_lufs = 0;
    check(ebur128_loudness_global(state, &loudness_lufs) == EBUR128_SUCCESS);
    return loudness_lufs;
  };
  const size_t num_sources = song.active_frames.size();
  const auto whole = begin();
  std::vector<std::unique_ptr<ebur128_state, Free>> states;
  for (size_t s = 0; s < num_sources; ++s) states.push_back(song.has(s) ? begin() : nullptr);
  std::vector<int16_t> block(2 * kBlockFrames);
  std::vector<float> sum(2 * kBlockFrames);
  for (int64_t at = 0; at < song.num_frames; at += kBlockFrames) {
    const size_t num_frames = std::min(kBlockFrames, static_cast<size_t>(song.num_frames - at));
    std::ranges::fill(sum, 0.0f);
    for (size_t s = 0; s < num_sources; ++s) {
      if (!states[s]) continue;
      song.read(s, at, std::span(block).first(2 * num_frames));
      check(ebur128_add_frames_short(states[s].get(), block.data(), num_frames) == EBUR128_SUCCESS);
      for (size_t i = 0; i < 2 * num_frames; ++i) sum[i] += static_cast<float>(block[i]) / 32768.0f;
    }
    check(ebur128_add_frames_float(whole.get(), sum.data(), num_frames) == EBUR128_SUCCESS);
  }
  song.source_loudness_lufs.clear();
  for (const auto& state : states) song.source_loudness_lufs.push_back(state ? finish(state.get()) : -HUGE_VAL);
  song.loudness_lufs = finish(whole.get());
}

std::optional<Song> load_song(const SongFiles& files, const Layout& layout, const std::string& root,
                              const LoadOptions& options) {
  const SongReader reader{options, root + ": " + (files.split.empty() ? "" : files.split + "/") + files.name};
  for (const std::string& text : files.remarks) {
    if (options.on_remark) options.on_remark(text);
  }
  for (const std::string& missing : files.missing) {
    reader.remark(missing + " is not there; " + (missing == "mixture" ? "not needed" : "taken as silence"));
  }
  Song song;
  song.name = files.name;
  song.sample_rate_hz = options.sample_rate_hz;
  int64_t shortest = INT64_MAX;
  for (size_t s = 0; s < options.sources.size(); ++s) {
    song.stems.emplace_back();
    if (files.sources[s].empty()) continue;
    song.stems.back() = reader.read_stem(options.sources[s], files.sources[s]);
    const auto num_frames = static_cast<int64_t>(song.stems.back().size() / 2);
    song.num_frames = std::max(song.num_frames, num_frames);
    shortest = std::min(shortest, num_frames);
  }
  if (song.num_frames == 0) {
    reader.remark("its files hold no audio; left out");
    return std::nullopt;
  }
  if (shortest != song.num_frames) {
    reader.remark("stems differ in length by " + std::to_string(song.num_frames - shortest) +
                  " samples; the shorter are padded with silence");
  }
  for (auto& stem : song.stems) {
    if (!stem.empty()) stem.resize(2 * static_cast<size_t>(song.num_frames));
    song.active_frames.push_back(find_active(stem, options.sample_rate_hz));
  }
  const bool has_all = std::ranges::all_of(layout.groups(), [&](const std::string& group) {
    return std::ranges::find(options.sources, group) != options.sources.end();
  });
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
  if (options.measure_loudness) measure_loudness(song);
  return song;
}

std::vector<Song> load_songs(const std::string& root, const LoadOptions& options) {
  if (is_packed_set(root)) return open_packed_songs(root, options);
  const Layout layout = choose_layout(options.layout, root, options.sources);
  const Listing listing = layout.list(root, options.sources);
  require_good_metadata(listing);
  const std::vector<SongFiles> all_files = select_splits(listing, options.splits, root);
  std::vector<Song> songs;
  size_t num_done = 0, num_bleeding = 0;
  for (const SongFiles& files : all_files) {
    num_bleeding += files.has_bleed;
    if (auto song = load_song(files, layout, root, options)) songs.push_back(*std::move(song));
    if (options.on_progress) options.on_progress(++num_done, all_files.size());
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

Mixer::Mixer(const std::vector<WeightedSongs>& sets, int num_sources, uint64_t seed, MixOptions options)
    : sets_(sets),
      num_sources_(num_sources),
      seed_(seed),
      options_(options),
      by_source_(static_cast<size_t>(num_sources)) {
  for (const WeightedSongs& set : sets) {
    for (const Song& song : set.songs) {
      if (!options.level_by_loudness || song.source_loudness_lufs.size() == song.active_frames.size()) continue;
      throw Error(ExitCode::kUsage, song.name + ": its loudness was not measured, by which the mix is to be levelled");
    }
  }
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
  const auto it = std::ranges::upper_bound(choices, at, {}, &Choice::cumulative);
  return *(it == choices.end() ? choices.back() : *it).song;
}

void Mixer::execute(const SourcePlan& plan, size_t source, std::span<float> out) {
  std::ranges::fill(out, 0.0f);
  if (plan.song == nullptr || !plan.song->has(source)) return;
  const Song& song = *plan.song;
  const auto num_out = static_cast<int64_t>(out.size() / 2);
  float* left = out.data();
  float* right = out.data() + num_out;
  if (plan.swap_channels) std::swap(left, right);
  const float scale = plan.gain / 32768.0f;
  thread_local std::vector<int16_t> frames;  // of the song; kept, since fresh memory costs more than the mixing
  if (plan.speed == 1.0) {
    frames.resize(2 * static_cast<size_t>(num_out));
    song.read(source, plan.start_frame, frames);
    for (int64_t i = 0; i < num_out; ++i) {
      left[i] = static_cast<float>(frames[static_cast<size_t>(2 * i)]) * scale;
      right[i] = static_cast<float>(frames[static_cast<size_t>(2 * i + 1)]) * scale;
    }
  } else {
    // Four-point Hermite interpolation: enough for speeds near 1, and cheap. What would need a frame outside the song is
    // silence.
    const int64_t first = plan.start_frame - 1;
    const double span = static_cast<double>(num_out) * plan.speed;
    frames.resize(2 * (static_cast<size_t>(std::ceil(span)) + 5));
    song.read(source, first, frames);
    for (int64_t i = 0; i < num_out; ++i) {
      const double at = static_cast<double>(plan.start_frame) + static_cast<double>(i) * plan.speed;
      const auto base = static_cast<int64_t>(std::floor(at));
      if (base < 1 || base + 2 >= song.num_frames) continue;
      const float t = static_cast<float>(at - static_cast<double>(base));
      for (size_t channel = 0; channel < 2; ++channel) {
        std::array<float, 4> p{};
        for (size_t j = 0; j < 4; ++j) {
          p[j] = static_cast<float>(frames[2 * (static_cast<size_t>(base - 1 - first) + j) + channel]);
        }
        const float a = 0.5f * (p[3] - p[0]) + 1.5f * (p[1] - p[2]);
        const float b = p[0] - 2.5f * p[1] + 2.0f * p[2] - 0.5f * p[3];
        const float c = 0.5f * (p[2] - p[0]);
        (channel == 0 ? left : right)[i] = (((a * t + b) * t + c) * t + p[1]) * scale;
      }
    }
  }
  const auto channels = {std::pair(out.first(out.size() / 2), plan.left_gain),
                         std::pair(out.last(out.size() / 2), plan.right_gain)};
  for (const auto& [samples, gain] : channels) {
    if (gain == 1.0f) continue;
    for (float& sample : samples) sample *= gain;
  }
  if (plan.tilt_db_per_octave != 0) {
    const TiltFilter filter(plan.tilt_db_per_octave, song.sample_rate_hz);
    for (const auto& [samples, gain] : channels) filter.apply(samples);
  }
}

std::vector<SourcePlan> Mixer::plan(uint64_t step, uint64_t item, int64_t num_frames) const {
  CounterRandom random(seed_, step, item);
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
  const auto level_db = [](double target_lufs, double loudness_lufs) {
    return std::isfinite(loudness_lufs) ? std::clamp(target_lufs - loudness_lufs, -kMaxLevelDb, kMaxLevelDb) : 0;
  };
  if (coherent) {
    song = &choose(coherent_, random);
    size_t source = random.below(static_cast<uint64_t>(num_sources_));
    start = draw_start(*song, source);
  }
  const double coherent_speed = options_.min_speed + (options_.max_speed - options_.min_speed) * random.uniform();
  std::vector<SourcePlan> plans(static_cast<size_t>(num_sources_));
  bool any = false;
  for (size_t source = 0; source < plans.size(); ++source) {
    SourcePlan& plan = plans[source];
    plan.speed = coherent_speed;
    if (!coherent) {
      song = &choose(by_source_[source], random);
      start = draw_start(*song, source);
      plan.speed = options_.min_speed + (options_.max_speed - options_.min_speed) * random.uniform();
    }
    double gain_db = item_gain_db + options_.gain_deviation_db * random.normal();
    if (options_.level_by_loudness) {
      gain_db += coherent ? level_db(options_.song_loudness_lufs, song->loudness_lufs)
                          : level_db(options_.source_loudness_lufs, song->source_loudness_lufs[source]);
    }
    plan.swap_channels = options_.swap_channels && random.chance(0.5);
    const bool flip = options_.flip_polarity && random.chance(0.5);
    const bool last_chance = source + 1 == plans.size() && !any;
    if (!coherent && random.chance(options_.silent_probability) && !last_chance) continue;
    any = true;
    plan.song = song;
    plan.start_frame = start;
    plan.gain = static_cast<float>(std::pow(10.0, gain_db / 20)) * (flip ? -1.0f : 1.0f);
    if (options_.channel_gain_deviation_db > 0) {
      const double half_db = 0.5 * options_.channel_gain_deviation_db * random.normal();
      plan.left_gain = static_cast<float>(std::pow(10.0, half_db / 20));
      plan.right_gain = static_cast<float>(std::pow(10.0, -half_db / 20));
    }
    // Drawn only where it is asked for, so that other draws stay what they were without it.
    if (options_.tilt_deviation_db_per_octave > 0) {
      plan.tilt_db_per_octave =
          std::clamp(options_.tilt_deviation_db_per_octave * random.normal(), -kMaxTiltDb, kMaxTiltDb);
    }
  }
  return plans;
}

void Mixer::draw(uint64_t step, uint64_t item, int64_t num_frames, std::span<float> out) const {
  const std::vector<SourcePlan> plans = plan(step, item, num_frames);
  const size_t source_size = 2 * static_cast<size_t>(num_frames);
  for (size_t source = 0; source < plans.size(); ++source) {
    execute(plans[source], source, out.subspan(source * source_size, source_size));
  }
}

TiltFilter::TiltFilter(double db_per_octave, int sample_rate_hz) {
  // A pair of a pole and a zero at distance d octaves makes a step of d * 6.02 dB, one an octave.
  const double octaves = db_per_octave / (20 * std::log10(2.0));
  const auto warp = [&](double hz) { return std::tan(std::numbers::pi * hz / sample_rate_hz); };
  const double highest_hz = 0.4 * sample_rate_hz;
  for (double hz = kLowestTiltHz; hz * std::numbers::sqrt2 <= highest_hz; hz *= 2) {
    // The bilinear transform of (s + zero) / (s + pole).
    const double pole = warp(hz * std::exp2(octaves / 2)), zero = warp(hz * std::exp2(-octaves / 2));
    sections.push_back({(1 + zero) / (1 + pole), (zero - 1) / (1 + pole), (pole - 1) / (1 + pole)});
  }
  const std::complex<double> delay = std::polar(1.0, -2 * std::numbers::pi * 1000 / sample_rate_hz);
  for (const Section& section : sections) {
    gain /= std::abs((section.b0 + section.b1 * delay) / (1.0 + section.a1 * delay));
  }
}

void TiltFilter::apply(std::span<float> samples) const {
  constexpr double kNoDenormals = 1e-30;
  std::vector<double> before(sections.size() + 1, 0.0);  // the last input of every section, and the last output
  for (float& sample : samples) {
    double value = gain * static_cast<double>(sample) + kNoDenormals;
    for (size_t i = 0; i < sections.size(); ++i) {
      const double out = sections[i].b0 * value + sections[i].b1 * before[i] - sections[i].a1 * before[i + 1];
      before[i] = value;
      value = out;
    }
    before.back() = value;
    sample = static_cast<float>(value);
  }
}

}  // namespace vqcodec::dataset
