// How a network that knows how likely codes are is handed to the coder. codec/ knows no network: prior/coder.h gives one.
//
// The coder turns weights into counts (codec/cdf.h), so two programs agree as long as their weights have the same bits.
// A predictor is made for the files of one StreamInfo: sources are indices into its `sources`, and every segment has its
// num_codebooks codes a frame.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace vqcodec::codec {

class CodePredictor {
 public:
  virtual ~CodePredictor() = default;

  // What a file's header tells of it: SHA-256 of the weights, not all zero, and the arithmetic, not 0.
  virtual const std::array<uint8_t, 32>& prior_id() const = 0;
  virtual uint32_t numerics_id() const = 0;

  // A source of a segment.
  struct Sequence {
    uint32_t source = 0;
    uint32_t num_frames = 0;
    struct Given {
      uint32_t source = 0;
      std::span<const uint16_t> codes;  // [num_frames, num_codebooks]; owned by the caller
    };
    std::vector<Given> given;  // other sources of the same segment, in ascending order
  };

  // Called for every code with the weights of all codes that could stand there, [codebook_size], any floats: the rule of
  // codec/cdf.h makes valid counts of them. `place` is the code's index in [num_frames, num_codebooks]. Called from
  // several threads at once; for one sequence from one thread at a time.
  using Visit = std::function<void(size_t sequence, size_t place, std::span<const float> weights)>;

  // The weights of codes that are known: codes[i] is [num_frames, num_codebooks] of sequences[i], all below
  // codebook_size. The places of a sequence come in any order.
  virtual void predict(std::span<const Sequence> sequences, std::span<const std::span<const uint16_t>> codes,
                       const Visit& visit) = 0;

  // As Visit, but gives the code that stands there, or nothing to end this sequence. The places of a sequence come in
  // ascending order.
  using Choose =
      std::function<std::optional<uint16_t>(size_t sequence, size_t place, std::span<const float> weights)>;

  // The weights of codes that are found one after another, for all sequences side by side, as far as memory goes. They
  // have the bits that predict() gives for the same codes, whatever else is in the batch.
  virtual void generate(std::span<const Sequence> sequences, const Choose& choose) = 0;
};

}  // namespace vqcodec::codec
