// Starting points set from data, so that training improves on a working codec instead of looking for one.
#pragma once

#include <functional>
#include <string>

#include "vqvae/train/network.h"
#include "vqvae/train/train_config.h"

namespace vqcodec::vqvae::train {

// A batch as the network and the losses see it.
struct Spectra {
  Tensor sources;         // [B, S, T, 2, N] MDCT of left and right
  Tensor mdct, mdst;      // of the mixture, [B, 2, T, N]
  Tensor mixture_energy;  // [B, T]
};

struct FitInput {
  std::function<Spectra(int64_t)> draw;  // the batch of an index, the same each time
  int64_t num_batches = 0;
  std::function<void(const std::string&)> on_log;
};

// Residual quantizers. With masks the linear paths become the KLT of each source, of true sources and estimates alike;
// the codebooks become residual k-means of the latents. Codebooks whose `kept` is true stay as they are, and with any of
// them the spectrum's linear paths, with the envelope's own codebook the envelope's. `kept`: [H], or empty for none.
// Throws Error(kBadFile) when a source is silent in every batch.
void fit_residual(NetworkImpl& network, const TrainConfig& training, const FitInput& input,
                  const std::vector<bool>& kept = {});

// A direct encoder with a Gumbel quantizer, whose random codes would tell nothing of their input, so that the plain L1
// losses would lead it to silence. The first layer gets, per source, the directions of the mixture's signed features that
// best predict the source's (reduced-rank regression, Izenman 1975); the head finds the nearest of k-means centroids in
// the dimensions of each codebook; entries and synthesis basis become the least-squares decoder of these codes. The
// blocks between start as identities. A network narrower than one dimension per source and codebook stays as it is.
void fit_gumbel(NetworkImpl& network, const TrainConfig& training, const FitInput& input);

}  // namespace vqcodec::vqvae::train
