// Stereo to another sample rate, in blocks: libsoxr at its HQ setting (linear phase, 20 bits). The output is aligned
// with the input, and in all it has exactly round(in_frames * out_hz / in_hz) frames.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

struct soxr;

namespace vqcodec::audio {

// round(num_frames * out_hz / in_hz), halves up. num_frames >= 0, rates in [1, 2^20].
int64_t resampled_num_frames(int64_t num_frames, int in_hz, int out_hz);

class Resampler {
 public:
  Resampler(int in_hz, int out_hz);
  ~Resampler();
  Resampler(const Resampler&) = delete;
  Resampler& operator=(const Resampler&) = delete;

  struct Progress {
    size_t num_frames_read;
    size_t num_frames_written;
  };
  // Both spans hold interleaved stereo. Reads and writes as much as it can; call again with what is left.
  Progress process(std::span<const float> in, std::span<float> out);
  // After the last input: the number of frames written, 0 when all is out.
  size_t flush(std::span<float> out);

 private:
  int in_hz_;
  int out_hz_;
  int64_t num_frames_in_ = 0;
  int64_t num_frames_out_ = 0;
  soxr* soxr_ = nullptr;
};

}  // namespace vqcodec::audio
