#include "vqvae/train/equalizer.h"

#include <cmath>
#include <numbers>

#include "dataset/stems.h"

namespace vqcodec::vqvae::train {

using torch::Tensor;

namespace {

constexpr uint64_t kStream = uint64_t{1} << 42;  // of the counter-based generator, beside the trainer's
constexpr int kNumTerms = 6;
constexpr double kCornerHz = 60;  // from here on up the axis is logarithmic

}  // namespace

Tensor equalizer_factors(const ModelConfig& model, int64_t batch_size, double deviation_db, uint64_t seed,
                         int64_t step) {
  const int64_t hop = model.hop_samples, num_sources = model.num_sources();
  const double half_rate = 0.5 * model.sample_rate_hz;
  const Tensor hz = (torch::arange(hop, torch::kFloat32) + 0.5) * (half_rate / static_cast<double>(hop));
  const Tensor at = torch::log1p(hz / kCornerHz) / std::log1p(half_rate / kCornerHz);  // 0..1
  const Tensor order = torch::arange(1, kNumTerms + 1, torch::kFloat32).unsqueeze(1);
  const Tensor terms = torch::cos(order * at * std::numbers::pi);  // [terms, hop]
  Tensor weights = torch::empty({batch_size, num_sources, kNumTerms});
  float* weight = weights.data_ptr<float>();
  const double term_db = deviation_db * std::sqrt(2.0 / kNumTerms);
  for (int64_t item = 0; item < batch_size; ++item) {
    dataset::CounterRandom random(seed, kStream + static_cast<uint64_t>(step), static_cast<uint64_t>(item));
    for (int64_t i = 0; i < num_sources * kNumTerms; ++i) *weight++ = static_cast<float>(term_db * random.normal());
  }
  return torch::pow(10.0, torch::matmul(weights, terms) / 20);
}

}  // namespace vqcodec::vqvae::train
