// Terms of the training loss, all on differences of MDCT spectra or of the waveforms they stand for. The transforms are
// linear, so the L1 distance of two waveforms, or of two STFTs, is that of the transformed difference.
#pragma once

#include <vector>

#include "vqvae/train/network.h"

namespace vqcodec::vqvae::train {

// Mean over items, sources and windows of |error|^2 / (|target|^2 + d), where d is 5 dB above the mixture: quiet sources
// count a little more than by their energy. With a low d, leaks into silent sources would decide everything. The best
// answer where it is not known which of two sources sounds is the mean of both, which the logarithm below would not give:
// that is lowest when one is taken for certain, and then new songs have whole sources in the wrong place. Arguments as
// below.
Tensor normalised_error(const Tensor& error, const Tensor& target, const Tensor& mixture_energy, int64_t window_frames);

// Mean over items, sources and windows of log10((|error|^2 + d) / (|target|^2 + d)): the error relative to the target in
// units of 10 dB. error, target: [B, S, T, 2, N]; mixture_energy: [B, T], energy of the whole mixture per frame, sets the
// floor d (20 dB below the mixture) under which neither error nor target counts. Windows of `window_frames` frames.
Tensor relative_error(const Tensor& error, const Tensor& target, const Tensor& mixture_energy, int64_t window_frames);

// [B, 1, T, 2, N]: the mean of `weights` [S] by the sources' shares of the energy of each bin. sources: [B, S, T, 2, N].
Tensor weights_of_bins(const Tensor& sources, const Tensor& weights);

struct NoiseTerms {
  Tensor envelope;  // mean absolute difference of the levels in the bands of noise, dB
  Tensor sdr_loss;  // what the noise adds to the error, dB, mean over windows
};
// decoded, sources: MDCT of mid and side [B, S, T, 2, N] without noise; amplitudes: [B, S, T, 2, bands]; edges: of the
// bands. Half of each term is of the single sources, half of their sum. Noise adds to energies, being independent of all
// else. Levels 40 dB below the mixture's in the same band, or under -90 dBFS a coefficient, count as alike. Windows of
// `window_frames` frames.
NoiseTerms noise_terms(const Tensor& decoded, const Tensor& sources, const Tensor& amplitudes,
                       const std::vector<int>& edges, const Tensor& mixture_energy, int64_t window_frames);

struct WaveformTerms {
  Tensor waveform;  // mean absolute error of samples
  Tensor stft;  // mean absolute value of the STFT of the error, 2048 points, hop 512, Hann; undefined if not asked for
};
// error: [B, T, 2, N] MDCT of left and right.
WaveformTerms waveform_terms(const LappedTransform& transform, const Tensor& error, bool with_stft);

}  // namespace vqcodec::vqvae::train
