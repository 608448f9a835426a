// What the sound phase needs beside the network and its discriminator: noise as the decoder makes it, and the distance
// of waveforms by ear.
#pragma once

#include <vector>

#include "vqvae/train/torch.h"

namespace vqcodec::vqvae::train {

using torch::Tensor;

// Noise of these amplitudes with the signs of vqvae/noise.h, as vqvae/decoder.cc adds it. amplitudes: [B, S, T, 2,
// bands] of mid and side, in the bands [edges[i], edges[i + 1]) of hop_samples bins in all; first_frames: B numbers,
// the frame of the song that each item begins at. -> MDCT of mid and side [B, S, T, 2, edges.back()], with gradient to
// the amplitudes.
Tensor fill_noise(const Tensor& amplitudes, const std::vector<int>& edges, const std::vector<int64_t>& first_frames);

// Mel distance of the DAC paper (eval/distances.h), but of frames that lie within the signal, and deaf to what is soft: the
// mean absolute difference of log10 of mel magnitudes, to each of which those of white noise of the level `floor_level`
// are added, summed over windows of 32 to 2048 samples; those longer than the signal are left out. Without the floor,
// near silence decides: there a logarithm's slope is steepest.
class MelDistance {
 public:
  MelDistance(int sample_rate_hz, double floor_level, torch::Device device);
  // [B, 2, samples] each -> scalar, with gradient to `decoded`.
  Tensor operator()(const Tensor& decoded, const Tensor& target) const;

 private:
  struct Scale {
    int64_t window_samples;
    Tensor window;  // [window_samples]
    Tensor bands;   // [bins, mel bands]
    Tensor floor;   // [mel bands]
  };
  std::vector<Scale> scales_;
};

}  // namespace vqcodec::vqvae::train
