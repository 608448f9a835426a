// From logits to a code: guidance, penalties and the draw. All that decides a code is a fixed sequence of float32
// operations of runtime/ops.h and of IEEE +, -, *, /, then integers, so the same logits and the same random number
// give the same code on every path and every machine.
//
// References: nucleus sampling (top-p): A. Holtzman et al., "The curious case of neural text degeneration" (ICLR
// 2020); classifier-free guidance: J. Ho and T. Salimans, "Classifier-free diffusion guidance" (2022), of logits as in
// G. Sanchez et al., "Stay on topic with classifier-free guidance" (2023).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace vqcodec::generate {

inline constexpr double kMaxTemperature = 1e9;
inline constexpr double kMaxGuidance = 100;
inline constexpr double kMaxRepetitionPenalty = 100;

struct SamplingOptions {
  // Logits are divided by it: 0 = always the likeliest code, 1 = as the prior says, 1e9 = nearly uniform.
  // 0..kMaxTemperature.
  double temperature = 1;
  int top_k = 0;     // only the k likeliest codes; 0 = all; 0..65536
  double top_p = 1;  // after top_k: only the likeliest codes that together have this share; above 0, at most 1
};

// Throws Error(kUsage) that names the option, its value and its limits.
void check(const SamplingOptions& options);

// logits = without + guidance (logits - without), elementwise. guidance 1 changes nothing but the rounding; above it,
// what the context says counts for more than the prior would let it. Both [codebook_size].
void guide(std::span<float> logits, std::span<const float> without, float guidance);

class Sampler {
 public:
  // The code that `random`, uniform in 64 bits, draws. logits: [codebook_size], 1..65536; they are overwritten. Of
  // equally likely codes the lower counts as the likelier. NaN counts as impossible, infinity as very likely; if
  // nothing is left, all codes are alike.
  uint16_t draw(std::span<float> logits, const SamplingOptions& options, uint64_t random);

  // -log2 of the probability of `code` by the logits, which are overwritten: the same bits everywhere, error below
  // 1e-5, at most 56 (what is less likely counts as 2^-40 of the likeliest).
  double cost_bits(std::span<float> logits, uint16_t code);

 private:
  uint64_t weigh(std::span<float> logits);
  std::vector<uint64_t> weights_;  // [codebook_size], of 2^40 for the likeliest
  std::vector<uint64_t> ranked_;   // weight << 16 | (65535 - code)
};

// Remembers the codes of a line's first codebook and finds where it repeats itself: the passage before the next code
// is compared with the passage `lag` frames earlier, for every lag up to `max_lag_frames`. Each whole `unit_frames`
// for which both agree without a break costs the code that would go on like that once the penalty, at most kMaxUnits
// times. With a second as the unit and lags of some bars this says nothing against a figure that comes back, as
// figures in music do, each time played a little differently; it acts on copies frame by frame and on codes that stay.
class RepetitionGuard {
 public:
  static constexpr int64_t kMaxUnits = 4;

  // Both 1 or more.
  RepetitionGuard(int64_t unit_frames, int64_t max_lag_frames);

  void append(uint16_t code);
  // Takes the penalty, in nats, from the logits of the codes that would go on with a repetition.
  void penalize(std::span<float> logits, float penalty) const;

 private:
  int64_t unit_frames_;
  std::vector<uint16_t> codes_;
  std::vector<int64_t> runs_;  // [max_lag_frames + 1]: frames that agree with those `lag` before them, up to the last
};

}  // namespace vqcodec::generate
