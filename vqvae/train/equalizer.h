// Training items in other colours: stands for other instruments, microphones and mixes than those of the songs.
#pragma once

#include "vqvae/config.h"
#include "vqvae/train/torch.h"

namespace vqcodec::vqvae::train {

// Factors for the lapped coefficients of every source of every item, [batch_size, sources, hop] float32: smooth curves over
// log frequency, each drawn anew, whose levels in dB have a root mean square of about `deviation_db` over the spectrum. They
// are so smooth that multiplying coefficients is filtering. The same seed and step give the same curves.
torch::Tensor equalizer_factors(const ModelConfig& model, int64_t batch_size, double deviation_db, uint64_t seed,
                                int64_t step);

}  // namespace vqcodec::vqvae::train
