#include "eval/sdr.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <cstdio>
#include <kissfft.hh>
#include <limits>
#include <map>
#include <numbers>
#include <set>

#include "base/error.h"
#include "eval/bss_eval.h"
#include "eval/codec_sdr.h"
#include "eval/distances.h"

namespace vqcodec::eval {

namespace {

using Complex = std::complex<double>;
using Signal = std::span<const float>;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

constexpr std::array<const char*, 4> kBssMetrics = {"sdr", "isr", "sir", "sar"};
constexpr std::array<const char*, 7> kMetrics = {"sdr", "isr", "sir", "sar", "si_sdr", "whole_sdr", "windowed_sdr"};

Json exact_json(double value) {
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return number_or_null(value);
}

double exact_number(const Json& value) {
  if (value.is_number()) return value.get<double>();
  if (value == "inf") return std::numeric_limits<double>::infinity();
  if (value == "-inf") return -std::numeric_limits<double>::infinity();
  return kNan;
}

Json exact_list(const std::vector<double>& values) {
  Json list = Json::array();
  for (const double value : values) list.push_back(exact_json(value));
  return list;
}

std::vector<double> exact_numbers(const Json& list) {
  std::vector<double> values;
  for (const Json& value : list) values.push_back(exact_number(value));
  return values;
}

bool has_equal_channels(Signal interleaved) {
  for (size_t i = 0; i + 1 < interleaved.size(); i += 2) {
    if (interleaved[i] != interleaved[i + 1]) return false;
  }
  return true;
}

std::vector<float> left_channel(Signal interleaved) {
  std::vector<float> left(interleaved.size() / 2);
  for (size_t i = 0; i < left.size(); ++i) left[i] = interleaved[2 * i];
  return left;
}

// "0-3, 7, 9-12" of numbers that rise.
std::string ranges(const std::vector<int64_t>& numbers) {
  std::string text;
  for (size_t i = 0; i < numbers.size();) {
    size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    if (!text.empty()) text += ", ";
    text += std::to_string(numbers[i]);
    if (last > i) {
      text += '-';
      text += std::to_string(numbers[last]);
    }
    i = last + 1;
  }
  return text;
}

bool is_trivial(const std::string& row) { return row == "mixture" || row == "silence" || row == "ideal_ratio_mask"; }

class TrackScorer {
 public:
  TrackScorer(const Track& track, const std::vector<std::string>& sources, const SdrOptions& options,
              runtime::ThreadPool& pool)
      : track_(track), names_(sources), options_(options), pool_(pool) {
    for (const std::string& remark : track.remarks) leave_out("", "", remark);
    windows_ = {.num_channels = 2, .window_frames = track.sample_rate_hz, .hop_frames = track.sample_rate_hz};
    for (size_t s = 0; s < names_.size(); ++s) {
      if (track.stems[s].empty()) continue;
      if (is_silent(track.stems[s], 2)) {
        if (options.skip_silent_sources) {
          leave_out(names_[s], "", "silent throughout; skipped");
          continue;
        }
        silent_ += (silent_.empty() ? "" : ", ") + names_[s];
        leave_out(names_[s], "",
                  "the reference is silent throughout, so BSSEval is not defined for this track (museval refuses it)");
      }
      sources_.push_back(s);
    }
    if (!silent_.empty()) return;
    if (options.bss && sources_.size() < 2) {
      leave_out("", "", "BSSEval needs two sources, this track has " + std::to_string(sources_.size()));
    }
    std::set<int64_t> silent;
    for (const size_t s : sources_) {
      const auto windows = note_silent_windows(s, track.stems[s], "the reference is silent");
      silent.insert(windows.begin(), windows.end());
    }
    silent_windows_ = std::move(silent);
  }

  Json score(const std::vector<SdrRow>& rows) {
    Json result = {{"track", track_.name},
                   {"sample_rate_hz", track_.sample_rate_hz},
                   {"num_frames", track_.num_frames},
                   {"num_windows", num_windows(track_.num_frames, windows_)}};
    result["rows"] = Json::object();
    for (size_t r = 0; r < rows.size(); ++r) {
      progress(r, rows.size(), 0);
      result["rows"][rows[r].id] = score_row(rows[r], r, rows.size());
    }
    result["left_out"] = left_out_;
    return result;
  }

 private:
  void leave_out(const std::string& source, const std::string& window, const std::string& why) {
    Json item = {{"track", track_.name}};
    if (!source.empty()) item["source"] = source;
    if (!window.empty()) item["window"] = window;
    item["why"] = why;
    left_out_.push_back(item);
  }

  // Returns the windows. Those that a silent reference has taken already are passed over.
  std::vector<int64_t> note_silent_windows(size_t source, Signal signal, const std::string& what) {
    std::vector<int64_t> silent;
    if (!options_.bss) return silent;
    const auto length = 2 * static_cast<size_t>(std::min<int64_t>(windows_.window_frames, track_.num_frames));
    for (int64_t w = 0; w < num_windows(track_.num_frames, windows_); ++w) {
      if (silent_windows_.contains(w)) continue;
      if (is_silent(signal.subspan(2 * static_cast<size_t>(w * windows_.hop_frames), length), 2)) silent.push_back(w);
    }
    if (!silent.empty()) leave_out(names_[source], ranges(silent), what + ": no BSSEval of any source there");
    return silent;
  }

  void progress(size_t row, size_t num_rows, double share) const {
    if (options_.on_progress) {
      options_.on_progress((static_cast<double>(row) + share) / static_cast<double>(num_rows));
    }
  }

  Json plain_scores(Signal reference, Signal estimate) const {
    return {{"windowed_sdr", exact_list(windowed_sdr(reference, estimate, track_.sample_rate_hz))},
            {"si_sdr", exact_json(si_sdr_db(reference, estimate))},
            {"whole_sdr", exact_json(is_silent(reference, 2) ? kNan : whole_sdr_db(reference, estimate))}};
  }

  Json score_row(const SdrRow& row, size_t index, size_t num_rows) {
    Estimates estimates = row.estimate();
    if (estimates.signals.size() != names_.size()) {
      throw Error(ExitCode::kInternal, "row " + row.id + " has " + std::to_string(estimates.signals.size()) +
                                           " estimates for " + std::to_string(names_.size()) + " sources");
    }
    for (const std::string& remark : estimates.remarks) leave_out("", "", row.id + ": " + remark);
    progress(index, num_rows, 0.3);
    const size_t size = 2 * static_cast<size_t>(track_.num_frames);
    std::vector<std::vector<float>> resized;
    resized.reserve(names_.size());
    std::vector<size_t> scored;
    for (const size_t s : sources_) {
      Signal& signal = estimates.signals[s];
      if (signal.empty()) {
        leave_out(names_[s], "", row.id + ": there is no estimate");
        continue;
      }
      if (signal.size() != size) {
        leave_out(names_[s], "",
                  row.id + ": the estimate has " + std::to_string(signal.size() / 2) + " samples, the reference " +
                      std::to_string(track_.num_frames) + (signal.size() > size ? "; cut" : "; padded with silence"));
        if (signal.size() > size) {
          signal = signal.first(size);
        } else {
          auto& padded = resized.emplace_back(signal.begin(), signal.end());
          padded.resize(size);
          signal = padded;
        }
      }
      scored.push_back(s);
    }
    Json result = {{"sources", Json::object()}};
    for (const size_t s : scored) {
      result["sources"][names_[s]] = plain_scores(track_.stems[s], estimates.signals[s]);
    }
    if (scored.size() == sources_.size() && !scored.empty() && !is_trivial(row.id)) {
      std::vector<float> sum(size);
      for (const size_t s : scored) {
        for (size_t i = 0; i < size; ++i) sum[i] += estimates.signals[s][i];
      }
      result["mixture"] = plain_scores(track_.mixture, sum);
    }
    progress(index, num_rows, 0.4);
    if (options_.bss && silent_.empty() && scored.size() >= 2) add_bss(row.id, scored, estimates, result);
    return result;
  }

  void add_bss(const std::string& row, const std::vector<size_t>& scored, const Estimates& estimates, Json& result) {
    bool mono = true;
    for (const size_t s : scored) {
      if (is_silent(estimates.signals[s], 2)) {
        // Silence is meant to be silent.
        if (row != "silence") {
          leave_out(names_[s], "",
                    row +
                        ": the estimate is silent throughout, so BSSEval is not defined for this track (museval "
                        "refuses it)");
        }
        return;
      }
      mono = mono && has_equal_channels(track_.stems[s]) && has_equal_channels(estimates.signals[s]);
    }
    for (const size_t s : scored) {
      // What the reference explains is noted already, and in the mixture it is nobody's silence.
      if (row != "mixture") note_silent_windows(s, estimates.signals[s], row + ": the estimate is silent");
    }
    std::vector<Signal> references, signals;
    std::vector<std::vector<float>> channels;
    channels.reserve(2 * scored.size());
    std::map<const float*, size_t> known;  // of signals that stand for several sources
    for (const size_t s : scored) {
      references.push_back(mono ? Signal(channels.emplace_back(left_channel(track_.stems[s])))
                                : Signal(track_.stems[s]));
    }
    for (const size_t s : scored) {
      const Signal signal = estimates.signals[s];
      const auto [same, is_new] = known.try_emplace(signal.data(), signals.size());
      if (!is_new) {
        signals.push_back(Signal(signals[same->second]));
      } else {
        signals.push_back(mono ? Signal(channels.emplace_back(left_channel(signal))) : signal);
      }
    }
    BssOptions options = windows_;
    options.num_channels = mono ? 1 : 2;
    // The analysis of the references serves all rows that score the same ones.
    const std::pair<std::vector<size_t>, bool> key = {scored, mono};
    if (!bss_ || bss_key_ != key) {
      bss_.reset();
      mono_references_ = mono ? std::move(channels) : std::vector<std::vector<float>>();
      bss_ = std::make_unique<BssEval>(references, options, pool_);
      bss_key_ = key;
    }
    const BssScores scores = bss_->evaluate(signals);
    for (size_t i = 0; i < scored.size(); ++i) {
      Json& target = result["sources"][names_[scored[i]]];
      target["sdr"] = exact_list(scores.sdr[i]);
      target["isr"] = exact_list(scores.isr[i]);
      target["sir"] = exact_list(scores.sir[i]);
      target["sar"] = exact_list(scores.sar[i]);
    }
  }

  const Track& track_;
  const std::vector<std::string>& names_;
  const SdrOptions& options_;
  runtime::ThreadPool& pool_;
  BssOptions windows_;
  std::vector<size_t> sources_;       // that take part
  std::string silent_;                // names of silent ones
  std::set<int64_t> silent_windows_;  // in which a reference is silent
  std::unique_ptr<BssEval> bss_;
  std::pair<std::vector<size_t>, bool> bss_key_;
  std::vector<std::vector<float>> mono_references_;
  Json left_out_ = Json::array();
};

// The median of a metric of one source or mixture of a track; NaN if there is none.
double track_value(const Json& scores, const std::string& metric) {
  const auto found = scores.find(metric);
  if (found == scores.end()) return kNan;
  if (!found->is_array()) return exact_number(*found);
  std::vector<double> values = exact_numbers(*found);
  // As museval, to which an infinity in a window is no number.
  std::erase_if(values, [](double v) { return !std::isfinite(v); });
  return median_of_numbers(std::move(values));
}

Json medians(const Json& scores) {
  Json result = Json::object();
  for (const char* metric : kMetrics) {
    if (scores.contains(metric)) result[metric] = number_or_null(track_value(scores, metric));
  }
  if (scores.contains("sdr")) {
    result["num_windows"] = std::ranges::count_if(scores["sdr"], [](const Json& value) { return value.is_number(); });
  }
  return result;
}

// Over tracks: the median of each metric and how many tracks it is of.
struct Collected {
  std::map<std::string, std::vector<double>> values;

  void add(const Json& scores) {
    for (const char* metric : kMetrics) {
      const double value = track_value(scores, metric);
      if (!std::isnan(value)) values[metric].push_back(value);
    }
  }
  Json json() const {
    Json result = Json::object(), counts = Json::object();
    for (const char* metric : kMetrics) {
      const auto found = values.find(metric);
      if (found == values.end()) continue;
      result[metric] = number_or_null(median_of_numbers(found->second));
      counts[metric] = found->second.size();
    }
    if (const auto found = values.find("whole_sdr"); found != values.end()) {
      double sum = 0;
      for (const double value : found->second) sum += value;
      result["whole_sdr_mean"] = number_or_null(sum / static_cast<double>(found->second.size()));
    }
    result["num_tracks"] = counts;
    return result;
  }
};

std::string table_cell(const Json& scores, const std::string& metric) {
  std::array<char, 64> text{};
  const auto found = scores.find(metric);
  if (found == scores.end() || !found->is_number()) return "         -";
  std::snprintf(text.data(), text.size(), "%10.3f", found->get<double>());
  return text.data();
}

}  // namespace

double whole_sdr_db(Signal reference, Signal estimate) {
  constexpr double kEpsilon = 1e-7;
  double energy = 0, error = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const double r = reference[i], d = r - estimate[i];
    energy += r * r;
    error += d * d;
  }
  return 10 * std::log10((energy + kEpsilon) / (error + kEpsilon));
}

std::vector<std::vector<float>> ideal_ratio_masks(Signal mixture, const std::vector<std::vector<float>>& sources,
                                                  runtime::ThreadPool& pool) {
  constexpr int64_t kWindow = 2048, kHop = 512, kChunkFrames = 64;
  // The squares of the window at four hops add up to this.
  constexpr double kOverlap = 1.5;
  const auto num_frames = static_cast<int64_t>(mixture.size() / 2);
  std::vector<std::vector<float>> result(sources.size());
  std::vector<size_t> there;
  for (size_t s = 0; s < sources.size(); ++s) {
    if (sources[s].empty()) continue;
    result[s].resize(mixture.size());
    there.push_back(s);
  }
  std::vector<double> window(kWindow);
  for (size_t n = 0; n < window.size(); ++n) {
    window[n] = 0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(n) / static_cast<double>(kWindow));
  }
  constexpr int64_t kChunk = kChunkFrames * kHop;
  pool.parallel_for((num_frames + kChunk - 1) / kChunk, 1, [&](int64_t first_chunk, int64_t end_chunk) {
    const kissfft<double> forward(kWindow, false), inverse(kWindow, true);
    std::vector<Complex> in(kWindow), out(kWindow), mixed(kWindow);
    // Both channels at once, left as the real part; per source the magnitudes of left and right.
    std::vector<std::vector<std::array<double, 2>>> magnitudes(sources.size());
    for (auto& all : magnitudes) all.resize(kWindow / 2 + 1);
    const auto spectrum = [&](Signal signal, int64_t begin, std::vector<Complex>& spectrum_out) {
      const auto num_signal_frames = static_cast<int64_t>(signal.size() / 2);
      for (int64_t n = 0; n < kWindow; ++n) {
        const int64_t t = begin + n;
        const bool inside = t >= 0 && t < num_signal_frames;
        const double w = window[static_cast<size_t>(n)];
        in[static_cast<size_t>(n)] =
            inside ? Complex(w * signal[static_cast<size_t>(2 * t)], w * signal[static_cast<size_t>(2 * t + 1)])
                   : Complex();
      }
      forward.transform(in.data(), spectrum_out.data());
    };
    const auto channels = [&](const std::vector<Complex>& z, size_t k) -> std::array<Complex, 2> {
      const Complex a = z[k], b = std::conj(z[k == 0 ? 0 : kWindow - k]);
      return {(a + b) / 2.0, (a - b) / Complex(0, 2)};
    };
    std::vector<std::vector<double>> sums(sources.size());
    for (int64_t chunk = first_chunk; chunk < end_chunk; ++chunk) {
      const int64_t begin = chunk * kChunk, end = std::min(num_frames, begin + kChunk);
      for (const size_t s : there) sums[s].assign(2 * static_cast<size_t>(end - begin), 0.0);
      for (int64_t at = begin - kWindow + kHop; at < end; at += kHop) {
        spectrum(mixture, at, mixed);
        for (const size_t s : there) {
          spectrum(sources[s], at, out);
          for (size_t k = 0; k <= kWindow / 2; ++k) {
            const auto both = channels(out, k);
            magnitudes[s][k] = {std::abs(both[0]), std::abs(both[1])};
          }
        }
        std::vector<std::array<double, 2>> total(kWindow / 2 + 1);
        for (const size_t s : there) {
          for (size_t k = 0; k <= kWindow / 2; ++k) {
            for (size_t c = 0; c < 2; ++c) total[k][c] += magnitudes[s][k][c];
          }
        }
        for (const size_t s : there) {
          for (size_t k = 0; k <= kWindow / 2; ++k) {
            auto both = channels(mixed, k);
            for (size_t c = 0; c < 2; ++c) both[c] *= total[k][c] > 0 ? magnitudes[s][k][c] / total[k][c] : 0.0;
            in[k] = both[0] + Complex(0, 1) * both[1];
            if (k > 0) in[kWindow - k] = std::conj(both[0]) + Complex(0, 1) * std::conj(both[1]);
          }
          inverse.transform(in.data(), out.data());
          for (int64_t t = std::max(at, begin); t < std::min(at + kWindow, end); ++t) {
            const auto n = static_cast<size_t>(t - at);
            const double w = window[n] / (kOverlap * static_cast<double>(kWindow));
            sums[s][static_cast<size_t>(2 * (t - begin))] += w * out[n].real();
            sums[s][static_cast<size_t>(2 * (t - begin) + 1)] += w * out[n].imag();
          }
        }
      }
      for (const size_t s : there) {
        for (size_t i = 0; i < sums[s].size(); ++i) {
          result[s][2 * static_cast<size_t>(begin) + i] = static_cast<float>(sums[s][i]);
        }
      }
    }
  });
  return result;
}

Estimates make_estimates(std::vector<std::vector<float>> signals) {
  Estimates estimates;
  estimates.storage = std::move(signals);
  estimates.signals.assign(estimates.storage.begin(), estimates.storage.end());
  return estimates;
}

std::vector<SdrRow> trivial_rows(const Track& track, runtime::ThreadPool& pool) {
  const auto for_all = [num_sources = track.stems.size()](std::vector<float> signal) {
    Estimates estimates;
    estimates.storage.push_back(std::move(signal));
    estimates.signals.assign(num_sources, estimates.storage[0]);
    return estimates;
  };
  return {{"mixture", [&track, for_all] { return for_all(track.mixture); }},
          {"silence", [&track, for_all] { return for_all(std::vector<float>(track.mixture.size())); }},
          {"ideal_ratio_mask",
           [&track, &pool] { return make_estimates(ideal_ratio_masks(track.mixture, track.stems, pool)); }}};
}

Json score_track(const Track& track, const std::vector<std::string>& sources, const std::vector<SdrRow>& rows,
                 const SdrOptions& options, runtime::ThreadPool& pool) {
  if (track.stems.size() != sources.size()) {
    throw Error(ExitCode::kInternal, track.name + ": " + std::to_string(track.stems.size()) + " stems for " +
                                         std::to_string(sources.size()) + " sources");
  }
  if (track.num_frames == 0) throw Error(ExitCode::kBadFile, track.name + ": there are no samples");
  return TrackScorer(track, sources, options, pool).score(rows);
}

std::string museval_json(const Json& scored_track, const std::vector<std::string>& sources, const std::string& row) {
  const Json& scores = scored_track.at("rows").at(row).at("sources");
  std::string text = "{\n  \"targets\": [";
  bool any = false;
  const auto value = [](const Json& number) -> std::string {
    if (!number.is_number()) return "NaN";
    std::array<char, 400> digits{};
    std::snprintf(digits.data(), digits.size(), "%.5f", number.get<double>());
    return digits.data();
  };
  for (const std::string& source : sources) {
    if (!scores.contains(source) || !scores[source].contains("sdr")) continue;
    text += std::string(any ? "," : "") + "\n    {\n      \"name\": " + Json(source).dump() + ",\n      \"frames\": [";
    any = true;
    const Json& target = scores[source];
    for (size_t w = 0; w < target["sdr"].size(); ++w) {
      const auto metric = [&](const char* name) { return value(target.at(name).at(w)); };
      text += std::string(w > 0 ? "," : "") + "\n        {\n          \"time\": " + std::to_string(w) +
              ".0,\n          \"duration\": 1.0,\n          \"metrics\": {\n            \"SDR\": " + metric("sdr") +
              ",\n            \"SIR\": " + metric("sir") + ",\n            \"SAR\": " + metric("sar") +
              ",\n            \"ISR\": " + metric("isr") + "\n          }\n        }";
    }
    text += "\n      ]\n    }";
  }
  if (!any) return "";
  return text + "\n  ],\n  \"museval_version\": \"0.4.1\"\n}";
}

Json summarize(const std::vector<Json>& scored_tracks, const std::vector<std::string>& sources) {
  std::vector<std::string> ids;
  std::map<std::string, std::map<std::string, Collected>> by_source;
  std::map<std::string, Collected> mixtures;
  Json summary = {{"rows", Json::array()}, {"tracks", Json::array()}, {"left_out", Json::array()}};
  for (const Json& track : scored_tracks) {
    Json item = {{"track", track.at("track")},
                 {"seconds", track.at("num_frames").get<double>() / track.at("sample_rate_hz").get<double>()},
                 {"num_windows", track.at("num_windows")},
                 {"rows", Json::object()}};
    for (const auto& [id, row] : track.at("rows").items()) {
      if (std::ranges::find(ids, id) == ids.end()) ids.push_back(id);
      Json& target = item["rows"][id];
      target["sources"] = Json::object();
      for (const std::string& source : sources) {
        if (!row.at("sources").contains(source)) continue;
        target["sources"][source] = medians(row["sources"][source]);
        by_source[id][source].add(row["sources"][source]);
      }
      if (row.contains("mixture")) {
        target["mixture"] = medians(row["mixture"]);
        mixtures[id].add(row["mixture"]);
      }
    }
    summary["tracks"].push_back(item);
    for (const Json& entry : track.at("left_out")) summary["left_out"].push_back(entry);
  }
  for (const std::string& id : ids) {
    Json row = {{"id", id}, {"sources", Json::object()}, {"average", Json::object()}};
    for (const std::string& source : sources) row["sources"][source] = by_source[id][source].json();
    for (const char* metric : {"sdr", "isr", "sir", "sar", "si_sdr", "whole_sdr", "windowed_sdr", "whole_sdr_mean"}) {
      double sum = 0;
      bool any = false;
      for (const std::string& source : sources) {
        const Json& scores = row["sources"][source];
        const bool there = scores.contains(metric) && scores[metric].is_number();
        any = any || there;
        sum += there ? scores[metric].get<double>() : kNan;
      }
      if (any) row["average"][metric] = number_or_null(sum / static_cast<double>(sources.size()));
    }
    if (mixtures.contains(id)) row["mixture"] = mixtures[id].json();
    summary["rows"].push_back(row);
  }
  return summary;
}

Json published_rows() {
  return {{{"id", "kim2021"},
           {"name", "VQ-VAE, Kim et al. 2021"},
           {"data", "MUSDB18 test"},
           {"sources", {{"vocals", 1.270}, {"bass", 1.761}, {"drums", 1.403}, {"other", 0.812}}},
           {"average", 1.311}},
          {{"id", "demucs"},
           {"name", "Demucs, as that paper quotes it"},
           {"data", "MUSDB18 test"},
           {"sources", {{"vocals", 6.84}, {"bass", 7.01}, {"drums", 6.86}, {"other", 4.42}}},
           {"average", 6.28}}};
}

std::string sdr_tables(const Json& summary, const std::vector<std::string>& sources, const std::string& name) {
  static const std::map<std::string, std::string> kNames = {
      {"mixture", "mixture as estimate"},
      {"silence", "silence"},
      {"ideal_ratio_mask", "ideal ratio mask"},
      {"true_own_slot", "true source alone, its slot"},
      {"true_all_slots", "true source alone, all slots"},
  };
  constexpr std::array<std::pair<const char*, const char*>, 8> kTables = {{
      {"sdr", "SDR (BSSEval v4: median over windows of 1 s, then over tracks)"},
      {"isr", "ISR (BSSEval v4)"},
      {"sir", "SIR (BSSEval v4)"},
      {"sar", "SAR (BSSEval v4)"},
      {"windowed_sdr", "SDR, plain, of windows of 1 s that sound (medians)"},
      {"si_sdr", "SI-SDR (median over tracks)"},
      {"whole_sdr", "SDR of whole tracks, plain (median over tracks)"},
      {"whole_sdr_mean", "SDR of whole tracks, plain (mean over tracks)"},
  }};
  std::string text;
  const auto label = [](std::string words) {
    words.resize(std::max<size_t>(words.size(), 33), ' ');
    return words;
  };
  for (const auto& [metric, title] : kTables) {
    const bool any = std::ranges::any_of(summary.at("rows"), [metric = metric](const Json& row) {
      return row["average"].contains(metric);
    });
    if (!any) continue;
    text += std::string(title) + ", dB\n" + label("");
    for (const std::string& source : sources) {
      text += std::string(source.size() < 10 ? 10 - source.size() : 1, ' ') + source;
    }
    text += "   average    (mixture)\n";
    for (const Json& row : summary["rows"]) {
      const std::string id = row["id"].get<std::string>();
      if (!row["average"].contains(metric)) continue;
      text += label(id == "estimate" ? name : kNames.contains(id) ? kNames.at(id) : id);
      for (const std::string& source : sources) text += table_cell(row["sources"][source], metric);
      text += table_cell(row["average"], metric);
      if (row.contains("mixture") && row["mixture"].contains(metric))
        text += "   " + table_cell(row["mixture"], metric);
      text += "\n";
    }
    if (std::string(metric) == "sdr") {
      for (const Json& row : published_rows()) {
        text += label(row["name"].get<std::string>());
        for (const std::string& source : sources) text += table_cell(row["sources"], source);
        text += table_cell(row, "average") + "   (on " + row["data"].get<std::string>() + ")\n";
      }
    }
    text += "\n";
  }
  return text;
}

}  // namespace vqcodec::eval
