// The learning rate over the steps of a phase.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace vqcodec::vqvae::train {

// At step 0..`steps`: linear to `peak` over `warmup_steps`, then a cosine over all steps to `peak` * `final_ratio`.
inline double scheduled_learning_rate(int64_t step, int64_t steps, double peak, int64_t warmup_steps,
                                      double final_ratio) {
  if (step < warmup_steps) return peak * static_cast<double>(step + 1) / static_cast<double>(warmup_steps);
  const double progress = static_cast<double>(step) / static_cast<double>(std::max<int64_t>(1, steps));
  return peak * (final_ratio + (1 - final_ratio) * 0.5 * (1 + std::cos(std::numbers::pi * progress)));
}

}  // namespace vqcodec::vqvae::train
