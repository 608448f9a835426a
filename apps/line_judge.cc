#include "apps/line_judge.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace vqcodec::apps {

namespace {

constexpr int kStretchesPerBeat = 2;
// How likely the tones of a chord are beside each other.
constexpr double kRootWeight = 2, kStayWeight = 8, kStayOffBeatWeight = 3;
constexpr double kKeysToHalve = 6;  // by which a tone is away from the middle of the range, or from the one before
constexpr double kUsualLevel = 1;   // of lines decoded at the unit level
constexpr int64_t kPastFrames = 4;  // that the pitch tracker hears before the stretch
constexpr double kLeastSamplesPerPeriod = 10;
constexpr double kTrackHopSeconds = 0.012;

eval::PitchOptions pitch_options(const std::string& source) {
  eval::PitchOptions options = eval::pitch_options(source);
  options.hop_seconds = kTrackHopSeconds;
  return options;
}

generate::LowBand low_band(const std::shared_ptr<const vqvae::Model>& model, const codec::StreamInfo& info, int source,
                           const eval::PitchOptions& options) {
  const int factor = generate::LowBand::factor_for(model->config(), kLeastSamplesPerPeriod * options.max_hz);
  return {model, source, static_cast<int>(info.num_codebooks), factor};
}

}  // namespace

LineJudge::LineJudge(const std::shared_ptr<const vqvae::Model>& model, const codec::StreamInfo& info, int source,
                     const eval::FitContext& context, const eval::FitFigures& own)
    : info_(info),
      pitch_options_(pitch_options(info.sources[static_cast<size_t>(source)])),
      low_band_(low_band(model, info, source, pitch_options_)),
      context_(context),
      range_(eval::expected_range(own, info.sources[static_cast<size_t>(source)])) {
  const auto key_of = [](double hz) { return 69 + 12 * std::log2(hz / 440); };
  low_key_ = static_cast<int>(std::ceil(std::max(range_.low, key_of(pitch_options_.min_hz) + 1)));
  high_key_ = static_cast<int>(
      std::floor(std::min(range_.high, key_of(std::min(pitch_options_.max_hz, info.sample_rate_hz / 8.0)) - 1)));
}

eval::LineAnalysis LineJudge::hear_line(const std::shared_ptr<const vqvae::Model>& model, const codec::StreamInfo& info,
                                        int source, std::span<const uint16_t> codes,
                                        std::span<const float> amplitudes) {
  const eval::PitchOptions options = pitch_options(info.sources[static_cast<size_t>(source)]);
  const generate::LowBand band = low_band(model, info, source, options);
  eval::LineAnalysis analysis;
  analysis.notes = eval::find_notes(eval::track_pitch(band.decode(codes, amplitudes), band.sample_rate_hz(), options));
  return analysis;
}

std::vector<double> LineJudge::pitches_hz() const {
  std::vector<double> pitches;
  for (int key = low_key_; key <= high_key_; ++key) {
    const double hz = 440 * std::exp2((key - 69 + context_.harmony.tuning_cents / 100) / 12);
    pitches.push_back(std::round(hz * 4096) / 4096);
  }
  return pitches;
}

int LineJudge::choose_pitch(int64_t from, int64_t to, int previous, int attempt, uint64_t random) const {
  const double middle = static_cast<double>(from + to) / 2 * info_.hop_samples / info_.sample_rate_hz;
  const std::vector<double>& edges = context_.edges;
  const auto beat = static_cast<size_t>(std::ranges::upper_bound(edges, middle) - edges.begin());
  if (beat < 1 || beat > context_.harmony.chord.size()) return previous;
  const auto& chord = context_.harmony.chord[beat - 1];
  const auto is_tone = [&](int key) { return chord[static_cast<size_t>((key % 12 + 12) % 12)]; };
  const bool on_beat = middle < (edges[beat - 1] + edges[beat]) / 2;
  const double centre = (low_key_ + high_key_) / 2.0;
  std::vector<uint64_t> weights;
  for (int key = low_key_; key <= high_key_; ++key) {
    double weight = 0;
    if (is_tone(key)) {
      weight = is_tone(key + 7) ? kRootWeight : 1;  // the root has its fifth above it
      weight *= std::exp2(-std::abs(key - centre) / kKeysToHalve);
      const int leap = std::abs(key - low_key_ - previous);
      if (previous >= 0 && leap > 0) weight *= std::exp2(-leap / kKeysToHalve);
      if (previous >= 0 && leap == 0) weight *= attempt == 0 ? kStayWeight : on_beat ? 1 : kStayOffBeatWeight;
    }
    weights.push_back(static_cast<uint64_t>(std::llround(1024 * weight)));
  }
  const uint64_t sum = std::accumulate(weights.begin(), weights.end(), uint64_t{0});
  if (sum == 0) return previous;
  uint64_t left = (random >> 32) * sum >> 32;
  int pitch = 0;
  while (left >= weights[static_cast<size_t>(pitch)]) left -= weights[static_cast<size_t>(pitch++)];
  return pitch;
}

std::vector<int64_t> LineJudge::stretch_ends() const {
  std::vector<int64_t> frames;
  const auto add = [&](double seconds) {
    const int64_t frame = std::llround(seconds * info_.sample_rate_hz / info_.hop_samples);
    if (frames.empty() || frame > frames.back()) frames.push_back(frame);
  };
  for (size_t k = 0; k + 1 < context_.edges.size(); ++k) {
    const double seconds = context_.edges[k + 1] - context_.edges[k];
    for (int i = 0; i < kStretchesPerBeat; ++i) add(context_.edges[k] + seconds * i / kStretchesPerBeat);
  }
  return frames;
}

double LineJudge::operator()(std::span<const uint16_t> codes, int64_t first_frame, int64_t from, int64_t to) const {
  const double hop_seconds = static_cast<double>(info_.hop_samples) / info_.sample_rate_hz;
  const int64_t begin = std::max(first_frame, from - kPastFrames);
  const auto heard = codes.subspan(static_cast<size_t>((begin - first_frame) * info_.num_codebooks));
  const eval::PitchTrack track = eval::track_pitch(low_band_.decode(heard), low_band_.sample_rate_hz(), pitch_options_);
  const double balance =
      eval::chord_balance(context_, track, static_cast<double>(begin) * hop_seconds,
                          static_cast<double>(from) * hop_seconds, static_cast<double>(to) * hop_seconds, range_,
                          1 / hop_seconds, kUsualLevel);
  return std::round(64 * balance);
}

}  // namespace vqcodec::apps
