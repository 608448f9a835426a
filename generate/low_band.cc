#include "generate/low_band.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "runtime/fft.h"
#include "runtime/thread_pool.h"
#include "vqvae/stack.h"

namespace vqcodec::generate {

namespace {

constexpr int kLeastBins = 16;        // of runtime::Mclt
constexpr size_t kBlockFrames = 128;  // through the network at a time

// The first `num_bins` outputs of a layer without bias.
runtime::Linear first_outputs(const runtime::Linear& whole, int64_t num_bins, runtime::ThreadPool& pool) {
  const int64_t in = whole.in(), out = whole.out();
  std::vector<float> identity(static_cast<size_t>(in * in)), columns(static_cast<size_t>(in * out));
  for (int64_t i = 0; i < in; ++i) identity[static_cast<size_t>(i * in + i)] = 1;
  whole.forward(identity.data(), in, in, columns.data(), out, pool);
  std::vector<float> weights;
  for (int64_t k = 0; k < num_bins; ++k) {
    for (int64_t i = 0; i < in; ++i) weights.push_back(columns[static_cast<size_t>(i * out + k)]);
  }
  return {in, num_bins, weights, {}};
}

}  // namespace

LowBand::LowBand(std::shared_ptr<const vqvae::Model> model, int source, int num_codebooks, int factor)
    : model_(std::move(model)), source_(source), num_codebooks_(num_codebooks), factor_(factor) {
  const vqvae::ModelConfig& config = model_->config();
  const bool is_factor = factor >= 1 && (factor & (factor - 1)) == 0 && config.hop_samples / factor >= kLeastBins;
  if (!is_factor || source < 0 || source >= config.num_sources() || num_codebooks < 1 ||
      num_codebooks > config.num_codebooks) {
    throw Error(ExitCode::kInternal, "low band of codes that the model does not have, or of too few bins");
  }
  num_bins_ = config.hop_samples / factor;
  runtime::ThreadPool pool(1);
  basis_ = first_outputs(model_->source(static_cast<size_t>(source)).synthesis_basis, num_bins_, pool);
}

int LowBand::factor_for(const vqvae::ModelConfig& config, double sample_rate_hz) {
  int factor = 1;
  while (config.hop_samples / (2 * factor) >= kLeastBins && config.sample_rate_hz >= 2 * factor * sample_rate_hz)
    factor *= 2;
  return factor;
}

double LowBand::sample_rate_hz() const { return static_cast<double>(model_->config().sample_rate_hz) / factor_; }

std::vector<float> LowBand::decode(std::span<const uint16_t> codes, std::span<const float> amplitudes) const {
  const vqvae::ModelConfig& config = model_->config();
  const vqvae::Model::SourceWeights& weights = model_->source(static_cast<size_t>(source_));
  const auto per_frame = static_cast<size_t>(num_codebooks_), dim = static_cast<size_t>(config.code_dim);
  const size_t num_frames = codes.size() / per_frame;
  const int64_t width = config.quantizer_out();
  const bool residual = config.quantizer_kind == vqvae::QuantizerKind::kResidual;
  std::vector<float> values(num_frames * static_cast<size_t>(width));
  for (size_t t = 0; t < num_frames; ++t) {
    if (!amplitudes.empty() && amplitudes[t] == 0) continue;  // silence, whatever its codes
    float* const row = values.data() + static_cast<int64_t>(t) * width;
    for (size_t h = 0; h < per_frame; ++h) {
      const float* const entry = weights.entries[h].data() + codes[t * per_frame + h] * dim;
      float* const to = residual ? row : row + h * dim;
      for (size_t k = 0; k < dim; ++k) to[k] += entry[k];
    }
  }
  runtime::ThreadPool pool(1);
  std::vector<float> details;  // [F, 2 * num_code_bins]
  vqvae::StackStream stack(model_->synthesis(), source_);
  for (size_t t = 0; t < num_frames; t += kBlockFrames) {
    stack.push(values.data() + static_cast<int64_t>(t) * width,
               static_cast<int64_t>(std::min(kBlockFrames, num_frames - t)), pool, details);
  }
  stack.finish(pool, details);
  std::vector<float> spectra(num_frames * static_cast<size_t>(num_bins_));
  basis_.forward(values.data(), width, static_cast<int64_t>(num_frames), spectra.data(), num_bins_, pool);

  // Left and right are (middle + side) / sqrt 2 and its difference, so their mean is the middle over sqrt 2.
  const auto scale = static_cast<float>(std::sqrt(0.5 / factor_));
  const int64_t num_details = std::min<int64_t>(num_bins_, config.num_code_bins);
  std::vector<float> samples(num_frames * static_cast<size_t>(num_bins_)), overlap(static_cast<size_t>(num_bins_));
  runtime::Mclt transform(static_cast<int>(num_bins_));
  for (size_t t = 0; t < num_frames; ++t) {
    float* const row = spectra.data() + static_cast<int64_t>(t) * num_bins_;
    const float* const detail = details.data() + t * 2 * static_cast<size_t>(config.num_code_bins);
    for (int64_t k = 0; k < num_details; ++k) row[k] += detail[k];
    const float amplitude = amplitudes.empty() ? scale : scale * amplitudes[t];
    for (int64_t k = 0; k < num_bins_; ++k) row[k] *= amplitude;
    transform.inverse_overlap(row, overlap.data(), samples.data() + static_cast<int64_t>(t) * num_bins_);
  }
  samples.erase(samples.begin(), samples.begin() + num_bins_);  // the first half has nothing to overlap with
  return samples;
}

}  // namespace vqcodec::generate
