#include "dataset/compare.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>

#include "base/format.h"
#include "runtime/fft.h"
#include "runtime/thread_pool.h"

namespace vqcodec::dataset {

namespace {

constexpr int kHop = 4096;  // 5.4 Hz a bin at 44.1 kHz, so the lowest octave has four bins
constexpr size_t kMinSeconds = 3;
constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();

double db(double energy) { return 10 * std::log10(std::max(energy, 1e-12)); }

// What one source of one song is measured to be.
struct Measurement {
  std::array<double, kOctaveHz.size()> octave_db{};
  double rms_db = 0, crest_db = 0, range_db = 0, side_db = 0, share = 0, below_mixture_db = 0;
  double seconds = 0;
};

// The value with `share` of the sorted values below it, between neighbours by a straight line.
double quantile(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return kNothing;
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

Spread spread(std::vector<double> values) {
  std::ranges::sort(values);
  return {quantile(values, 0.1), quantile(values, 0.5), quantile(values, 0.9)};
}

Measurement measure(const Song& song, size_t source, size_t num_sources, const ProfileOptions& options) {
  const auto& active = song.active_frames[source];
  const auto rate = static_cast<size_t>(song.sample_rate_hz);
  size_t count = active.size();
  if (options.max_seconds > 0) count = std::min(count, static_cast<size_t>(std::max(options.max_seconds, 3.0)));
  runtime::Mclt transform(kHop);
  std::vector<int16_t> samples(2 * rate), others(2 * rate);
  std::vector<double> sum(2 * rate);
  std::vector<float> middle(std::max(rate, size_t{2} * kHop)), side(middle.size()), cosines(kHop), sines(kHop);
  std::array<double, kOctaveHz.size()> octaves{};
  std::vector<double> levels;
  double energy = 0, side_energy = 0, middle_energy = 0, mixture_energy = 0, peak = 0;
  for (size_t i = 0; i < count; ++i) {
    const int64_t start = active[i * active.size() / count];
    song.read(source, start, samples);
    double second = 0;
    for (size_t k = 0; k < rate; ++k) {
      const double left = samples[2 * k] / 32768.0, right = samples[2 * k + 1] / 32768.0;
      second += left * left + right * right;
      peak = std::max({peak, std::abs(left), std::abs(right)});
      middle[k] = static_cast<float>(0.5 * (left + right));
      side[k] = static_cast<float>(0.5 * (left - right));
      middle_energy += double{middle[k]} * middle[k];
      side_energy += double{side[k]} * side[k];
    }
    energy += second;
    levels.push_back(db(second / static_cast<double>(2 * rate)));
    for (const auto* channel : {&middle, &side}) {
      for (size_t at = 0; at + 2 * kHop <= middle.size(); at += kHop) {
        transform.forward(channel->data() + at, cosines.data(), sines.data());
        for (size_t bin = 0; bin < kHop; ++bin) {
          const double hz = (static_cast<double>(bin) + 0.5) * static_cast<double>(rate) / (2.0 * kHop);
          const auto octave = std::clamp(std::lround(std::log2(hz / kOctaveHz[0])), 0L, long{kOctaveHz.size() - 1});
          octaves[static_cast<size_t>(octave)] += double{cosines[bin]} * cosines[bin] + double{sines[bin]} * sines[bin];
        }
      }
    }
    std::ranges::fill(sum, 0.0);
    for (size_t other = 0; other < num_sources; ++other) {
      if (!song.has(other)) continue;
      song.read(other, start, others);
      for (size_t k = 0; k < sum.size(); ++k) sum[k] += others[k] / 32768.0;
    }
    for (const double sample : sum) mixture_energy += sample * sample;
  }
  Measurement result;
  double total = 0;
  for (const double octave : octaves) total += octave;
  for (size_t k = 0; k < octaves.size(); ++k) result.octave_db[k] = db(octaves[k] / std::max(total, 1e-30));
  const double mean = energy / static_cast<double>(2 * rate * count);
  result.rms_db = db(mean);
  result.crest_db = db(peak * peak) - result.rms_db;
  std::ranges::sort(levels);
  result.range_db = quantile(levels, 0.9) - quantile(levels, 0.1);
  result.side_db = std::max(-90.0, db(side_energy / std::max(middle_energy, 1e-30)));
  result.share = static_cast<double>(active.size()) /
                 std::max(1.0, std::floor(static_cast<double>(song.num_frames) / static_cast<double>(rate)));
  result.below_mixture_db = db(energy) - db(mixture_energy);
  result.seconds = static_cast<double>(active.size());
  return result;
}

}  // namespace

std::vector<SourceProfile> profile_songs(const std::vector<Song>& songs, const ProfileOptions& options) {
  const size_t num_sources = options.sources.size();
  std::vector<std::vector<Measurement>> found(songs.size() * num_sources);
  runtime::ThreadPool pool(options.num_threads);
  pool.parallel_for(static_cast<int64_t>(found.size()), 1, [&](int64_t begin, int64_t) {
    const auto job = static_cast<size_t>(begin);
    const Song& song = songs[job / num_sources];
    const size_t source = job % num_sources;
    if (!song.has(source) || song.active_frames[source].size() < kMinSeconds) return;
    found[job].push_back(measure(song, source, num_sources, options));
  });
  std::vector<SourceProfile> profiles;
  for (size_t s = 0; s < num_sources; ++s) {
    SourceProfile& profile = profiles.emplace_back();
    profile.source = options.sources[s];
    std::vector<Measurement> songs_of;
    for (size_t i = s; i < found.size(); i += num_sources) songs_of.insert(songs_of.end(), found[i].begin(), found[i].end());
    profile.num_songs = songs_of.size();
    const auto over = [&](auto&& get) {
      std::vector<double> values;
      for (const Measurement& measurement : songs_of) values.push_back(get(measurement));
      return spread(std::move(values));
    };
    for (const Measurement& measurement : songs_of) profile.seconds_sounding += measurement.seconds;
    for (size_t k = 0; k < kOctaveHz.size(); ++k) {
      profile.octave_db[k] = over([k](const Measurement& m) { return m.octave_db[k]; });
    }
    profile.rms_db = over([](const Measurement& m) { return m.rms_db; });
    profile.crest_db = over([](const Measurement& m) { return m.crest_db; });
    profile.range_db = over([](const Measurement& m) { return m.range_db; });
    profile.side_db = over([](const Measurement& m) { return m.side_db; });
    profile.share = over([](const Measurement& m) { return m.share; });
    profile.below_mixture_db = over([](const Measurement& m) { return m.below_mixture_db; });
  }
  return profiles;
}

nlohmann::ordered_json to_json(const SourceProfile& profile) {
  const auto number = [](double value) {
    return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
  };
  const auto three = [&](const Spread& values) {
    return nlohmann::ordered_json{
        {"low", number(values.low)}, {"median", number(values.median)}, {"high", number(values.high)}};
  };
  nlohmann::ordered_json json = {{"source", profile.source},
                                 {"songs", profile.num_songs},
                                 {"seconds_sounding", profile.seconds_sounding}};
  json["octave_hz"] = kOctaveHz;
  for (const Spread& octave : profile.octave_db) json["octave_db"].push_back(three(octave));
  json["rms_db"] = three(profile.rms_db);
  json["crest_db"] = three(profile.crest_db);
  json["range_db"] = three(profile.range_db);
  json["side_db"] = three(profile.side_db);
  json["share"] = three(profile.share);
  json["below_mixture_db"] = three(profile.below_mixture_db);
  return json;
}

std::string compare_table(const std::vector<SourceProfile>& first, const std::vector<SourceProfile>& second) {
  std::string text;
  for (size_t s = 0; s < std::min(first.size(), second.size()); ++s) {
    const SourceProfile &a = first[s], &b = second[s];
    append(text, "%s%s: %zu songs with %.0f s, and %zu with %.0f s\n", s > 0 ? "\n" : "", a.source.c_str(), a.num_songs,
           a.seconds_sounding, b.num_songs, b.seconds_sounding);
    if (a.num_songs == 0 || b.num_songs == 0) {
      text += "  nothing to compare\n";
      continue;
    }
    text += "                          first  second  difference   first: a tenth is below and above\n";
    const auto line = [&](const std::string& name, const Spread& x, const Spread& y) {
      append(text, "  %-22s %6.1f  %6.1f      %+6.1f   %6.1f  %6.1f\n", name.c_str(), x.median, y.median,
             y.median - x.median, x.low, x.high);
    };
    for (size_t k = 0; k < kOctaveHz.size(); ++k) {
      std::string name;
      append(name, "octave at %g Hz, dB", kOctaveHz[k]);
      line(name, a.octave_db[k], b.octave_db[k]);
    }
    line("rms, dB", a.rms_db, b.rms_db);
    line("under the mixture, dB", a.below_mixture_db, b.below_mixture_db);
    line("peak over rms, dB", a.crest_db, b.crest_db);
    line("range of seconds, dB", a.range_db, b.range_db);
    line("side over middle, dB", a.side_db, b.side_db);
    const auto percent = [](const Spread& x) { return Spread{100 * x.low, 100 * x.median, 100 * x.high}; };
    line("sounds, % of the song", percent(a.share), percent(b.share));
  }
  return text;
}

}  // namespace vqcodec::dataset
