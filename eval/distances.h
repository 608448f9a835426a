// How far decoded audio is from the original: spectral distances and SI-SDR. Signals are interleaved stereo float32,
// [2 * num_samples], full scale 1, reference and estimate equally long and aligned.
//
// - Mel distance: R. Kumar et al., "High-Fidelity Audio Compression with Improved RVQGAN" (NeurIPS 2023), section 4.4 with
//   the configuration of section 3.5: log10 of mel magnitudes, each clamped below at 1e-5, of 7 windows of 32 to 2048
//   samples with 5 to 320 mel bands; the mean absolute difference of each window, summed over the windows.
// - Mel distance of two scales: what the same authors' program computes when it is given no configuration (windows of 2048
//   and 512 samples, 150 and 80 bands): of the log10 of squared magnitudes, and beside it of the magnitudes.
// - For both: periodic Hann window, hop of a quarter window, frames centred with the signal reflected at its ends, mel
//   bands of librosa's default (Slaney's scale, areas of 1), means over channels, bands and frames.
// - Log-spectral distance: A. Gray and J. Markel, "Distance measures for speech processing" (IEEE ASSP 24, 1976): root
//   mean square over the bins of the difference of the levels in dB, mean over frames and channels. Window 2048, hop 512,
//   as above. Levels below -100 dB count as -100 dB; a sine of full scale has 0 dB.
// - SI-SDR: J. Le Roux et al., "SDR - half-baked or well done?" (ICASSP 2019), both channels as one vector, means kept.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/thread_pool.h"

namespace vqcodec::eval {

struct Distances {
  double mel = 0;
  double mel_two_scales = 0;
  double log_spectral_db = 0;
  double si_sdr_db = 0;
};

// All of them. The spectral ones are NaN for signals of 1024 samples or fewer, which cannot be reflected. The result does
// not depend on the threads. Throws Error(kInternal) if the lengths differ.
Distances distances(std::span<const float> reference, std::span<const float> estimate, int sample_rate_hz,
                    runtime::ThreadPool& pool);

// 10 log10 of the energy of the reference's part in the estimate over the energy of the rest. NaN for a silent reference;
// -infinity for an estimate that holds nothing of the reference (a silent one, for example); +infinity for an exact
// multiple. Any number of values, the same of both; Throws Error(kInternal) if the lengths differ.
double si_sdr_db(std::span<const float> reference, std::span<const float> estimate);

// One mel band: weights of the bins from first_bin on. A band narrower than the bins' distance may have none.
struct MelBand {
  int first_bin = 0;
  std::vector<float> weights;
};
// Bands from 0 Hz to half the rate, as librosa.filters.mel(sr, n_fft, n_mels).
std::vector<MelBand> mel_bands(int sample_rate_hz, int window_samples, int num_bands);

}  // namespace vqcodec::eval
