#include "audio/resampler.h"

#include <soxr.h>

#include <algorithm>
#include <string>

#include "base/error.h"

namespace vqcodec::audio {
namespace {

void check(soxr_error_t error) {
  if (error != nullptr) throw Error(ExitCode::kInternal, "the resampler fails (" + std::string(error) + ")");
}

}  // namespace

int64_t resampled_num_frames(int64_t num_frames, int in_hz, int out_hz) {
  // In two parts, so that nothing overflows.
  const int64_t whole = num_frames / in_hz;
  const int64_t rest = num_frames % in_hz;
  return whole * out_hz + (2 * rest * out_hz + in_hz) / (2 * static_cast<int64_t>(in_hz));
}

Resampler::Resampler(int in_hz, int out_hz) : in_hz_(in_hz), out_hz_(out_hz) {
  const soxr_io_spec_t io = soxr_io_spec(SOXR_FLOAT32_I, SOXR_FLOAT32_I);
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
  const soxr_runtime_spec_t runtime = soxr_runtime_spec(1);
  soxr_error_t error = nullptr;
  soxr_ = soxr_create(in_hz, out_hz, 2, &error, &io, &quality, &runtime);
  check(error);
}

Resampler::~Resampler() { soxr_delete(soxr_); }

Resampler::Progress Resampler::process(std::span<const float> in, std::span<float> out) {
  if (in.size() < 2 || out.size() < 2) return {0, 0};
  Progress progress = {0, 0};
  check(soxr_process(soxr_, in.data(), in.size() / 2, &progress.num_frames_read, out.data(), out.size() / 2,
                     &progress.num_frames_written));
  num_frames_in_ += static_cast<int64_t>(progress.num_frames_read);
  num_frames_out_ += static_cast<int64_t>(progress.num_frames_written);
  return progress;
}

size_t Resampler::flush(std::span<float> out) {
  const int64_t left = resampled_num_frames(num_frames_in_, in_hz_, out_hz_) - num_frames_out_;
  const size_t wanted = std::min(out.size() / 2, static_cast<size_t>(std::max<int64_t>(left, 0)));
  if (wanted == 0) return 0;
  size_t written = 0;
  check(soxr_process(soxr_, nullptr, 0, nullptr, out.data(), wanted, &written));
  // soxr may round the length down by a frame.
  std::ranges::fill(out.first(2 * wanted).subspan(2 * written), 0.0F);
  num_frames_out_ += static_cast<int64_t>(wanted);
  return wanted;
}

}  // namespace vqcodec::audio
