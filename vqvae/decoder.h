// From codes to samples, as a stream: segments of codes of any subset of the sources go in, blocks of audio come out.
// Every source is decoded by itself and they are summed, so that decoding two subsets apart and adding them is decoding
// both. The samples do not depend on how the stream is cut, on threads or on the CPU.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "codec/code_grid.h"
#include "runtime/thread_pool.h"
#include "vqvae/model.h"

namespace vqcodec::vqvae {

struct DecoderOptions {
  std::vector<int> sources{};  // indices into config().sources, each once; empty = all
  bool separate = false;       // one output per source instead of their sum
  int num_codebooks = 0;       // codebooks in the codes that are pushed; 0 = config().num_codebooks
  int64_t first_frame = 0;     // frame that the first pushed segment begins with
  bool fill_noise = true;      // noise in place of what the codes do not tell, if the model has it
};

class Decoder {
 public:
  // Called with interleaved stereo float32 for each output in turn: (output, samples). Output 0 is the sum, or output i
  // is sources[i] when `separate`.
  using Sink = std::function<void(int, std::span<const float>)>;

  // `pool` must outlive the decoder. Throws Error(kUsage) when an option is outside its range.
  Decoder(std::shared_ptr<const Model> model, DecoderOptions options, runtime::ThreadPool& pool, Sink sink);
  ~Decoder();

  // One SourceSegment per chosen source, all of the same number of frames. A segment of gain 0 is silence whatever its
  // codes. Throws Error(kBadFile) when the codes do not fit the model.
  void push(std::span<const codec::SourceSegment> segment);
  // Gives what is held back. F frames from frame f on give the samples from f * hop to (f + F - 1) * hop; frame 0 begins
  // one hop before the song.
  void finish();

  // Frames on either side of a frame that its samples depend on: to decode a passage exactly as it is in the whole, begin
  // this many frames earlier and end as many later.
  static int64_t context_frames(const ModelConfig& config);

  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vqcodec::vqvae
