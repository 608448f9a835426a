// What codes of a source sound like below a low frequency, mono and at as low a sample rate: enough to track a pitch in,
// for a small part of the decoder's work.
//
// Of an MDCT's first N / f values the inverse of N / f points makes every f-th sample of what the inverse of N points makes
// of them with zeros above, times sqrt(f), because windows and cosines of both agree there (as in downscaled decoding of
// AAC-ELD, ISO/IEC 14496-3, 4.6.17.2.7). So the samples are those of vqvae::Decoder without noise and without what is
// above, taken at sample (i + 1/2) f - 1/2.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/linear.h"
#include "vqvae/model.h"

namespace vqcodec::generate {

class LowBand {
 public:
  // source: index into the model's. num_codebooks: in the codes that are decoded, 1..config.num_codebooks. factor: a power
  // of two, the hop over it 16 or more. Throws Error(kInternal) for others.
  LowBand(std::shared_ptr<const vqvae::Model> model, int source, int num_codebooks, int factor);

  // The largest factor for which the new sample rate is at least `sample_rate_hz`, or 1.
  static int factor_for(const vqvae::ModelConfig& config, double sample_rate_hz);

  double sample_rate_hz() const;

  // codes: [F, num_codebooks], each below codebook_size; F of 1 or more. amplitudes: [F], of each frame; empty = 1. Gives
  // (F - 1) * hop / factor samples: the mean of left and right, from the begin of the second half of the first frame on.
  // Callable from several threads at once.
  std::vector<float> decode(std::span<const uint16_t> codes, std::span<const float> amplitudes = {}) const;

 private:
  std::shared_ptr<const vqvae::Model> model_;
  int source_, num_codebooks_, factor_;
  int64_t num_bins_;       // per frame, hop / factor
  runtime::Linear basis_;  // quantizer_out -> num_bins of the middle
};

}  // namespace vqcodec::generate
