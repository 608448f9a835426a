// From samples to codes, as a stream: blocks of audio go in, segments of codes come out, in bounded memory whatever the
// length of the song. The codes do not depend on how the audio is cut into blocks, on threads or on the CPU.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "codec/code_grid.h"
#include "runtime/fft.h"
#include "runtime/thread_pool.h"
#include "vqvae/model.h"

namespace vqcodec::vqvae {

struct EncoderOptions {
  int num_codebooks = 0;     // codebooks kept, 1..config.num_codebooks; 0 = all
  int segment_frames = 512;  // frames a segment (about 12 s at 44.1 kHz and hop 1024)
};

class Encoder {
 public:
  // Called with one SourceSegment per source, in the order of config().sources, for each segment in turn.
  using Sink = std::function<void(const std::vector<codec::SourceSegment>&)>;

  // `pool` must outlive the encoder. Throws Error(kUsage) when an option is outside its range.
  Encoder(std::shared_ptr<const Model> model, EncoderOptions options, runtime::ThreadPool& pool, Sink sink);
  ~Encoder();

  // Interleaved stereo float32 at config().sample_rate_hz, full scale 1. Values that are not finite count as 0, values
  // beyond +-64 as +-64. Any number of frames.
  void push(std::span<const float> interleaved);
  // Encodes what is left and gives the last segment. A song of n > 0 samples has ceil(n / hop) + 1 frames; of 0, none.
  void finish();

  // Header of a .vqc file for this encoder (num_frames and num_samples as far as known).
  codec::StreamInfo stream_info() const;
  int64_t num_samples() const;  // per channel, pushed so far

  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vqcodec::vqvae
