// How a model behaves on input that music seldom is: what goes in, what comes out, and whether anything there is louder than
// it should be. A codec may sound dull on such input; it must not give samples that are not finite, or bursts.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "eval/json_output.h"
#include "runtime/thread_pool.h"
#include "vqvae/model.h"

namespace vqcodec::eval {

struct HardInput {
  std::string name;
  std::vector<float> samples;  // interleaved stereo, full scale 1
};

// Made up, `seconds` of each, the same on every machine up to the C library's sine: silence; white noise at -18 dBFS; the
// same at -70 dBFS; a sine that sweeps from 10 Hz to 22 kHz (or just under half the rate) at -6 dBFS; a master driven 12 dB over
// full scale and clipped; single samples of full scale; a constant of half scale; one side alone; sides of opposite sign.
std::vector<HardInput> made_inputs(int sample_rate_hz, double seconds);

struct HardResult {
  std::string name;
  double seconds = 0;
  double input_rms_db = 0, output_rms_db = 0;  // dBFS, -infinity for silence
  int64_t num_bad_samples = 0;                 // of the output, not finite
  // The most by which the root mean square of 20 ms of the output is above the greatest of the input in windows that begin
  // within 60 ms of it, both at least -60 dBFS; what a frame spreads over its length is no burst.
  double rise_db = 0;
  double rise_at_seconds = 0;
  double si_sdr_db = 0;
  bool is_clean() const { return num_bad_samples == 0 && rise_db <= 6; }
};

// Encodes and decodes with all codebooks.
HardResult measure_hard_input(const std::shared_ptr<const vqvae::Model>& model, const HardInput& input,
                              runtime::ThreadPool& pool);
// The measures alone. Throws Error(kInternal) if the lengths differ.
HardResult compare_hard_input(const HardInput& input, std::span<const float> output, int sample_rate_hz);

Json hard_inputs_json(const std::vector<HardResult>& results);

}  // namespace vqcodec::eval
