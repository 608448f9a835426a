#include "eval/fit.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>
#include <complex>
#include <kissfft.hh>
#include <limits>
#include <numbers>
#include <numeric>

#include "base/counter_random.h"
#include "base/format.h"
#include "eval/distances.h"

namespace vqcodec::eval {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kSilentDb = -60;
constexpr double kNearSeconds = 0.035;
constexpr double kHumCents = 12;
constexpr double kSoft = 0.5, kLoud = 3;  // of a usual level
constexpr double kGridSeconds = 0.5;
// Below these differences of own and other a scale says nothing: shares, shares, semitones, octaves, cents.
constexpr double kLeastScale[kNumFitMeasures] = {0.02, 0.02, 0.5, 0.05, 1};
constexpr int kMelWindow = 2048;
constexpr int kMelBands = 32;
constexpr size_t kLeastMelFrames = 64;

double wrap_cents(double cents) { return cents - 100 * std::floor((cents + 50) / 100); }

// Mean of those that are there; NaN if none is.
double mean(std::span<const double> values) {
  double sum = 0;
  int count = 0;
  for (const double value : values) {
    if (std::isnan(value)) continue;
    sum += value;
    ++count;
  }
  return count > 0 ? sum / count : kNan;
}

}  // namespace

void add_signal(std::vector<float>& sum, std::span<const float> samples) {
  sum.resize(std::max(sum.size(), samples.size()));
  for (size_t i = 0; i < samples.size(); ++i) sum[i] += samples[i];
}

bool sounds(std::span<const float> samples) {
  return std::ranges::any_of(samples, [](float value) { return std::abs(value) > 1e-4F; });
}

std::vector<float> to_mono(std::span<const float> interleaved) {
  std::vector<float> mono(interleaved.size() / 2);
  for (size_t i = 0; i < mono.size(); ++i) mono[i] = 0.5F * (interleaved[2 * i] + interleaved[2 * i + 1]);
  return mono;
}

FitContext analyse_context(std::span<const std::vector<float>> stems, std::span<const std::string> sources,
                           const std::string& source, int sample_rate_hz) {
  std::vector<float> drums, rest;
  size_t num_samples = 0;
  for (size_t s = 0; s < stems.size(); ++s) {
    num_samples = std::max(num_samples, stems[s].size() / 2);
    if (sources[s] == source) continue;
    add_signal(sources[s] == "drums" ? drums : rest, to_mono(stems[s]));
  }
  const bool has_drums = sounds(drums);
  FitContext context = analyse_rhythm(has_drums ? drums : rest, has_drums,
                                      static_cast<double>(num_samples) / sample_rate_hz, sample_rate_hz);
  context.harmony = find_harmony(rest, sample_rate_hz, context.edges);
  return context;
}

FitContext analyse_rhythm(std::span<const float> rhythm, bool are_drums, double seconds, int sample_rate_hz) {
  FitContext context;
  context.seconds = seconds;
  context.has_drums = are_drums;
  context.accents = accent_curve(rhythm, sample_rate_hz);
  const std::vector<double> beats = track_beats(onset_curve(rhythm, sample_rate_hz), &context.seconds_a_beat);
  context.edges = {0};
  for (const double beat : beats) {
    if (beat > context.edges.back()) context.edges.push_back(beat);
  }
  for (double at = kGridSeconds; beats.empty() && at < context.seconds; at += kGridSeconds) context.edges.push_back(at);
  if (context.seconds > context.edges.back()) context.edges.push_back(context.seconds);
  return context;
}

LineAnalysis analyse_line(std::span<const float> line, int sample_rate_hz, const std::string& source) {
  LineAnalysis analysis;
  for (const float value : line) analysis.energy += double{value} * value;
  analysis.num_samples = static_cast<int64_t>(line.size());
  analysis.onsets = find_onsets(onset_curve(line, sample_rate_hz));
  if (source != "drums") analysis.notes = find_notes(track_pitch(line, sample_rate_hz, pitch_options(source)));
  return analysis;
}

FitFigures measure_fit(const FitContext& context, std::span<const float> line, int sample_rate_hz,
                       const std::string& source) {
  const auto most = static_cast<size_t>(std::llround(context.seconds * sample_rate_hz));
  return measure_fit(context, analyse_line(line.first(std::min(line.size(), most)), sample_rate_hz, source), source);
}

FitFigures measure_fit(const FitContext& context, const LineAnalysis& line, const std::string& source) {
  FitFigures figures;
  figures.level_db = 10 * std::log10(line.energy / static_cast<double>(std::max<int64_t>(1, line.num_samples)));
  const std::vector<Onset>& onsets = line.onsets;
  const std::vector<double>& beat = context.accents.strength;
  if (std::ranges::all_of(beat, [](double strength) { return strength == 0; })) {
    figures.beat = kNan;
  } else {
    double sum = 0, weight = 0;
    for (const Onset& onset : onsets) {
      const auto at = [&](double seconds) {
        return static_cast<size_t>(
            std::clamp(seconds / context.accents.hop_seconds, 0.0, static_cast<double>(beat.size() - 1)));
      };
      double near = 0;
      for (size_t i = at(onset.seconds - kNearSeconds); i <= at(onset.seconds + kNearSeconds); ++i)
        near = std::max(near, beat[i]);
      const double strength = std::min(1.0, onset.strength);
      sum += strength * std::min(1.0, near);
      weight += strength;
    }
    figures.beat = weight > 0 ? sum / weight : 0;
  }
  if (source == "drums") {
    figures.chord_tones = figures.register_key = figures.tuning_cents = kNan;
    figures.notes_per_second = context.seconds > 0 ? static_cast<double>(onsets.size()) / context.seconds : 0;
    return figures;
  }

  const std::vector<Note>& notes = line.notes;
  figures.num_notes = static_cast<int>(notes.size());
  figures.notes_per_second = context.seconds > 0 ? static_cast<double>(notes.size()) / context.seconds : 0;
  figures.register_key = figures.tuning_cents = kNan;
  const bool has_harmony = std::ranges::any_of(context.harmony.chord, [](const auto& chord) {
    return std::ranges::find(chord, true) != chord.end();
  });
  figures.chord_tones = has_harmony ? 0 : kNan;
  if (notes.empty()) return figures;
  std::vector<std::pair<int, double>> keys;
  double total = 0, in_chord = 0, in_harmony = 0;
  std::complex<double> tuning = 0;
  for (const Note& note : notes) {
    const double seconds = note.end_seconds - note.start_seconds;
    keys.emplace_back(note.key, seconds);
    total += seconds;
    tuning += std::polar(seconds, 2 * std::numbers::pi * note.cents / 100);
    // The key in the others' tuning.
    const auto key = static_cast<int>(std::lround(note.key + (note.cents - context.harmony.tuning_cents) / 100));
    for (size_t k = 0; k + 1 < context.edges.size(); ++k) {
      const double overlap =
          std::min(note.end_seconds, context.edges[k + 1]) - std::max(note.start_seconds, context.edges[k]);
      const auto& chord = context.harmony.chord[k];
      if (overlap <= 0 || std::ranges::find(chord, true) == chord.end()) continue;
      in_harmony += overlap;
      if (chord[static_cast<size_t>((key % 12 + 12) % 12)]) in_chord += overlap;
    }
  }
  if (in_harmony > 0) figures.chord_tones = in_chord / in_harmony;
  figures.tuning_cents =
      wrap_cents(100 * std::arg(tuning) / (2 * std::numbers::pi) - (has_harmony ? context.harmony.tuning_cents : 0));
  std::ranges::sort(keys);
  double passed = 0;
  for (const auto& [key, seconds] : keys) {
    passed += seconds;
    figures.register_key = key;
    if (passed >= total / 2) break;
  }
  return figures;
}

KeyRange expected_range(const FitFigures& own, const std::string& source) {
  if (!std::isnan(own.register_key) && own.num_notes > 0) return {own.register_key - 12, own.register_key + 12};
  if (source == "bass") return {28, 55};  // E1, the lowest string, to G3
  return {43, 84};
}

double chord_balance(const FitContext& context, const PitchTrack& track, double track_seconds, double from_seconds,
                     double to_seconds, const KeyRange& range, double frame_hz, double usual_level) {
  const std::vector<double>& edges = context.edges;
  double balance = 0;
  int count = 0;
  for (size_t i = 0; i < track.hz.size(); ++i) {
    const double at = track_seconds + static_cast<double>(i) * track.hop_seconds;
    if (at < from_seconds || at >= to_seconds) continue;
    ++count;
    if (usual_level > 0 && track.level[i] > kLoud * usual_level) {
      --balance;
      continue;
    }
    const auto beat = static_cast<size_t>(std::ranges::upper_bound(edges, at) - edges.begin());
    if (track.hz[i] <= 0 || beat < 1 || beat > context.harmony.chord.size()) continue;
    const auto& chord = context.harmony.chord[beat - 1];
    if (std::ranges::find(chord, true) == chord.end()) continue;
    const double key = 69 + 12 * std::log2(track.hz[i] / 440) - context.harmony.tuning_cents / 100;
    const double multiple = frame_hz > 0 ? std::round(track.hz[i] / frame_hz) : 0;
    const bool hums = multiple > 0 && std::abs(1200 * std::log2(track.hz[i] / (multiple * frame_hz))) < kHumCents;
    const bool fits = !hums && key > range.low - 0.5 && key < range.high + 0.5 &&
                      chord[static_cast<size_t>((std::lround(key) % 12 + 12) % 12)];
    const double weight = usual_level > 0 ? std::min(1.0, track.level[i] / (kSoft * usual_level)) : 1;
    balance += fits ? weight : -weight;
  }
  return count > 0 ? balance / count : 0;
}

Json fit_figures_json(const FitFigures& figures) {
  return {{"chord_tones", number_or_null(figures.chord_tones)},
          {"beat", number_or_null(figures.beat)},
          {"register_key", number_or_null(figures.register_key)},
          {"notes_per_second", number_or_null(figures.notes_per_second)},
          {"tuning_cents", number_or_null(figures.tuning_cents)},
          {"level_db", number_or_null(figures.level_db)},
          {"notes", figures.num_notes}};
}

std::array<double, kNumFitMeasures> fit_measures(const FitFigures& figures, const FitFigures& own) {
  const double density = figures.notes_per_second > 0 && own.notes_per_second > 0
                             ? -std::abs(std::log2(figures.notes_per_second / own.notes_per_second))
                             : kNan;
  return {figures.chord_tones, figures.beat, -std::abs(figures.register_key - own.register_key), density,
          -std::abs(figures.tuning_cents)};
}

namespace {

// What a song gives to a measure: means over its lines and over the others; NaN where something is not there.
struct SongMeasure {
  double line = kNan, own = kNan, other = kNan;
  bool whole() const { return !std::isnan(line) && !std::isnan(own) && !std::isnan(other); }
};

SongMeasure song_measure(const FitSong& song, size_t m) {
  if (!(song.own.level_db > kSilentDb)) return {};  // there is nothing to be as good as
  const auto mean_of = [&](const std::vector<FitFigures>& lines) {
    std::vector<double> values;
    values.reserve(lines.size());
    for (const FitFigures& figures : lines) values.push_back(fit_measures(figures, song.own)[m]);
    return mean(values);
  };
  return {mean_of(song.lines), fit_measures(song.own, song.own)[m], mean_of(song.others)};
}

double scaled(double line, double own, double other, size_t m) {
  return own - other >= kLeastScale[m] ? (line - other) / (own - other) : kNan;
}

// By the sums over the songs `drawn`.
double scaled(std::span<const SongMeasure> songs, std::span<const size_t> drawn, size_t m) {
  SongMeasure sum{0, 0, 0};
  double count = 0;
  for (const size_t i : drawn) {
    if (!songs[i].whole()) continue;
    sum.line += songs[i].line;
    sum.own += songs[i].own;
    sum.other += songs[i].other;
    ++count;
  }
  return count > 0 ? scaled(sum.line / count, sum.own / count, sum.other / count, m) : kNan;
}

}  // namespace

Json fit_json(std::span<const FitSong> songs, int num_resamples, uint64_t seed) {
  Json report = {{"songs", Json::array()}, {"measures", Json::object()}};
  std::array<std::vector<SongMeasure>, kNumFitMeasures> measures;
  for (const FitSong& song : songs) {
    Json item = {{"name", song.name}, {"own", fit_figures_json(song.own)}, {"lines", Json::array()}};
    Json scales = Json::object();
    for (size_t i = 0; i < song.lines.size(); ++i) {
      Json line = fit_figures_json(song.lines[i]);
      if (i < song.files.size()) line["file"] = song.files[i];
      item["lines"].push_back(line);
    }
    item["num_others"] = song.others.size();
    for (size_t m = 0; m < kNumFitMeasures; ++m) {
      const SongMeasure measure = song_measure(song, m);
      measures[m].push_back(measure);
      item["measures"][kFitMeasures[m]] = {{"line", number_or_null(measure.line)},
                                           {"own", number_or_null(measure.own)},
                                           {"other", number_or_null(measure.other)}};
      scales[kFitMeasures[m]] = number_or_null(scaled(measure.line, measure.own, measure.other, m));
    }
    item["scaled"] = scales;
    report["songs"].push_back(item);
  }
  for (size_t m = 0; m < kNumFitMeasures; ++m) {
    std::vector<double> line, own, other;
    std::vector<size_t> all(songs.size());
    std::iota(all.begin(), all.end(), size_t{0});
    for (const SongMeasure& measure : measures[m]) {
      line.push_back(measure.line);
      own.push_back(measure.own);
      other.push_back(measure.other);
    }
    std::vector<double> resampled;
    CounterRandom random(seed, m, 0);
    for (int i = 0; i < num_resamples && songs.size() > 1; ++i) {
      std::vector<size_t> drawn;
      for (size_t k = 0; k < songs.size(); ++k) drawn.push_back(random.below(songs.size()));
      const double value = scaled(measures[m], drawn, m);
      if (!std::isnan(value)) resampled.push_back(value);
    }
    std::ranges::sort(resampled);
    const auto percentile = [&](double share) {
      if (resampled.empty()) return kNan;
      return resampled[static_cast<size_t>(std::lround(share * static_cast<double>(resampled.size() - 1)))];
    };
    report["measures"][kFitMeasures[m]] = {{"line", number_or_null(mean(line))},
                                           {"own", number_or_null(mean(own))},
                                           {"other", number_or_null(mean(other))},
                                           {"scaled", number_or_null(scaled(measures[m], all, m))},
                                           {"low", number_or_null(percentile(0.025))},
                                           {"high", number_or_null(percentile(0.975))}};
  }
  return report;
}

std::string fit_text(const Json& report) {
  std::string text;
  const auto number = [](const Json& value) {
    std::string result;
    value.is_null() ? append(result, "%9s", "-") : append(result, "%9.3f", value.get<double>());
    return result;
  };
  append(text, "%-12s %9s %9s %9s %9s  %s\n", "", "line", "own", "other", "scaled", "95 % of resampled sets");
  for (const auto& [name, measure] : report["measures"].items()) {
    append(text, "%-12s %s %s %s %s  %s to %s\n", name.c_str(), number(measure["line"]).c_str(),
           number(measure["own"]).c_str(), number(measure["other"]).c_str(), number(measure["scaled"]).c_str(),
           number(measure["low"]).c_str(), number(measure["high"]).c_str());
  }
  if (report.contains("distances")) {
    for (const auto& [name, value] : report["distances"].items()) {
      if (!value.is_object()) continue;
      append(text, "%-24s", name.c_str());
      for (const auto& [which, figure] : value.items()) append(text, "  %s %s", which.c_str(), number(figure).c_str());
      text += "\n";
    }
  }
  append(text, "%zu songs\n", report["songs"].size());
  return text;
}

double mel_frechet_distance(std::span<const std::vector<float>> a, std::span<const std::vector<float>> b,
                            int sample_rate_hz) {
  const std::vector<MelBand> bands = mel_bands(sample_rate_hz, kMelWindow, kMelBands);
  const kissfft<float> fft(kMelWindow, false);
  struct Statistics {
    Eigen::VectorXd mean = Eigen::VectorXd::Zero(kMelBands);
    Eigen::MatrixXd covariance = Eigen::MatrixXd::Zero(kMelBands, kMelBands);
    size_t count = 0;
  };
  const auto statistics = [&](std::span<const std::vector<float>> signals) {
    Statistics result;
    std::vector<std::complex<float>> in(kMelWindow), out(kMelWindow);
    for (const std::vector<float>& signal : signals) {
      for (size_t at = 0; at + kMelWindow <= signal.size(); at += kMelWindow / 2) {
        double energy = 0;
        for (size_t i = 0; i < kMelWindow; ++i) {
          const auto shape =
              static_cast<float>(0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) / kMelWindow));
          in[i] = signal[at + i] * shape;
          energy += double{signal[at + i]} * signal[at + i];
        }
        if (energy < kMelWindow * 1e-6) continue;  // below -60 dB
        fft.transform(in.data(), out.data());
        Eigen::VectorXd frame(kMelBands);
        for (size_t k = 0; k < bands.size(); ++k) {
          float sum = 0;
          for (size_t i = 0; i < bands[k].weights.size(); ++i)
            sum += std::abs(out[static_cast<size_t>(bands[k].first_bin) + i]) * bands[k].weights[i];
          frame[static_cast<long>(k)] = std::log10(std::max(sum, 1e-5F));
        }
        result.mean += frame;
        result.covariance += frame * frame.transpose();
        ++result.count;
      }
    }
    if (result.count > 0) {
      result.mean /= static_cast<double>(result.count);
      result.covariance = result.covariance / static_cast<double>(result.count) - result.mean * result.mean.transpose();
    }
    return result;
  };
  const Statistics left = statistics(a), right = statistics(b);
  if (left.count < kLeastMelFrames || right.count < kLeastMelFrames) return kNan;
  const auto root = [](const Eigen::MatrixXd& matrix) -> Eigen::MatrixXd {
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(0.5 * (matrix + matrix.transpose()));
    const Eigen::VectorXd values = solver.eigenvalues().cwiseMax(0).cwiseSqrt();
    return solver.eigenvectors() * values.asDiagonal() * solver.eigenvectors().transpose();
  };
  const Eigen::MatrixXd half = root(left.covariance);
  const double shared = root(half * right.covariance * half).trace();
  return std::max(0.0, (left.mean - right.mean).squaredNorm() + left.covariance.trace() + right.covariance.trace() -
                           2 * shared);
}

double jensen_shannon_bits(std::span<const int64_t> a, std::span<const int64_t> b) {
  const double sum_a = static_cast<double>(std::accumulate(a.begin(), a.end(), int64_t{0}));
  const double sum_b = static_cast<double>(std::accumulate(b.begin(), b.end(), int64_t{0}));
  if (sum_a == 0 || sum_b == 0) return kNan;
  double bits = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const double p = static_cast<double>(a[i]) / sum_a, q = static_cast<double>(b[i]) / sum_b, middle = (p + q) / 2;
    if (p > 0) bits += 0.5 * p * std::log2(p / middle);
    if (q > 0) bits += 0.5 * q * std::log2(q / middle);
  }
  return bits;
}

std::vector<uint32_t> copy_keys(std::span<const uint16_t> codes, int num_codebooks, std::span<const uint8_t> sounds) {
  std::vector<uint32_t> keys;
  bool after_silence = true;
  for (size_t t = 0; t < sounds.size(); ++t) {
    if (sounds[t] == 0) {
      after_silence = true;
      continue;
    }
    const size_t at = t * static_cast<size_t>(num_codebooks);
    const uint32_t key = uint32_t{codes[at]} << 16 | (num_codebooks > 1 ? codes[at + 1] : 0U);
    if (after_silence || keys.back() != key) keys.push_back(key);
    after_silence = false;
  }
  return keys;
}

CopyFinder::CopyFinder(std::span<const uint32_t> line) {
  states_.emplace_back();
  int last = 0;
  for (const uint32_t key : line) {
    const auto added = static_cast<int>(states_.size());
    states_.push_back({states_[static_cast<size_t>(last)].length + 1, 0, {}});
    int at = last;
    while (at >= 0 && next_of(at, key) < 0) {
      set_next(at, key, added);
      at = states_[static_cast<size_t>(at)].link;
    }
    if (at >= 0) {
      const int to = next_of(at, key);
      const int64_t length = states_[static_cast<size_t>(at)].length + 1;
      if (states_[static_cast<size_t>(to)].length == length) {
        states_[static_cast<size_t>(added)].link = to;
      } else {
        const auto copy = static_cast<int>(states_.size());
        State state = states_[static_cast<size_t>(to)];
        state.length = length;
        states_.push_back(std::move(state));
        while (at >= 0 && next_of(at, key) == to) {
          set_next(at, key, copy);
          at = states_[static_cast<size_t>(at)].link;
        }
        states_[static_cast<size_t>(to)].link = copy;
        states_[static_cast<size_t>(added)].link = copy;
      }
    }
    last = added;
  }
}

int CopyFinder::next_of(int state, uint32_t key) const {
  const auto& next = states_[static_cast<size_t>(state)].next;
  const auto at = std::ranges::lower_bound(next, key, {}, &std::pair<uint32_t, int>::first);
  return at == next.end() || at->first != key ? -1 : at->second;
}

void CopyFinder::set_next(int state, uint32_t key, int to) {
  auto& next = states_[static_cast<size_t>(state)].next;
  const auto at = std::ranges::lower_bound(next, key, {}, &std::pair<uint32_t, int>::first);
  if (at != next.end() && at->first == key) {
    at->second = to;
  } else {
    next.insert(at, {key, to});
  }
}

int64_t CopyFinder::longest_run(std::span<const uint32_t> keys) const {
  int64_t longest = 0, length = 0;
  int state = 0;
  for (const uint32_t key : keys) {
    while (state != 0 && next_of(state, key) < 0) {
      state = states_[static_cast<size_t>(state)].link;
      length = states_[static_cast<size_t>(state)].length;
    }
    if (const int to = next_of(state, key); to >= 0) {
      state = to;
      ++length;
    } else {
      length = 0;
    }
    longest = std::max(longest, length);
  }
  return longest;
}

}  // namespace vqcodec::eval
