#include "apps/line_judge.h"

#include <algorithm>
#include <cmath>

#include "runtime/thread_pool.h"
#include "vqvae/decoder.h"

namespace vqcodec::apps {

namespace {

constexpr int kStretchesPerBeat = 2;
constexpr int64_t kPastFrames = 4;  // that the pitch tracker hears before the stretch

}  // namespace

LineJudge::LineJudge(std::shared_ptr<const vqvae::Model> model, const codec::StreamInfo& info, int source,
                     const eval::FitContext& context, const eval::FitFigures& own)
    : model_(std::move(model)),
      info_(info),
      source_(source),
      context_(context),
      range_(eval::expected_range(own, info.sources[static_cast<size_t>(source)])) {}

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
  std::vector<float> samples;
  runtime::ThreadPool pool(1);
  vqvae::Decoder decoder(model_,
                         {.sources = {source_},
                          .num_codebooks = static_cast<int>(info_.num_codebooks),
                          .first_frame = begin,
                          .fill_noise = false},
                         pool, [&](int, std::span<const float> block) {
                           const auto mono = eval::to_mono(block);
                           samples.insert(samples.end(), mono.begin(), mono.end());
                         });
  const codec::SourceSegment segment{vqvae::kUnitGain, {heard.begin(), heard.end()}};
  decoder.push(std::span(&segment, 1));
  decoder.finish();

  const eval::PitchTrack track = eval::track_pitch(samples, static_cast<int>(info_.sample_rate_hz),
                                                   eval::pitch_options(info_.sources[static_cast<size_t>(source_)]));
  const double balance = eval::chord_balance(context_, track, static_cast<double>(begin) * hop_seconds,
                                             static_cast<double>(from) * hop_seconds,
                                             static_cast<double>(to) * hop_seconds, range_, 1 / hop_seconds);
  return std::round(64 * balance);
}

}  // namespace vqcodec::apps
