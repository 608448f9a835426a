#include "generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"
#include "base/format.h"
#include "runtime/nearest.h"
#include "runtime/ops.h"

namespace vqcodec::generate {

namespace {

__extension__ using Wide = unsigned __int128;

constexpr double kUnitWeight = 0x1p40;
constexpr float kLeast = -1e30f, kMost = 1e30f;  // what logits are cut to; their differences are finite

[[noreturn]] void fail(const char* name, double value, const std::string& expected) {
  std::string text;
  append(text, "%s %g: expected ", name, value);
  throw Error(ExitCode::kUsage, text + expected);
}

void make_finite(std::span<float> logits) {
  for (float& value : logits) {
    // NaN compares as false.
    if (!(value >= kLeast)) value = kLeast;
    if (value > kMost) value = kMost;
  }
}

}  // namespace

void check(const SamplingOptions& options) {
  if (!(options.temperature >= 0 && options.temperature <= kMaxTemperature))
    fail("temperature", options.temperature, "0 to 1e9");
  if (options.top_k < 0 || options.top_k > 65536) fail("top-k", options.top_k, "0 (all) to 65536 codes");
  if (!(options.top_p > 0 && options.top_p <= 1)) fail("top-p", options.top_p, "above 0, at most 1");
}

void guide(std::span<float> logits, std::span<const float> without, float guidance) {
  for (size_t i = 0; i < logits.size(); ++i) {
    const float difference = logits[i] - without[i];
    const float scaled = guidance * difference;
    logits[i] = without[i] + scaled;
  }
}

// Integers of the softmax's weights; their sum, at least 2^40, below 2^57. Integers add up the same in any order.
uint64_t Sampler::weigh(std::span<float> logits) {
  runtime::softmax_weights(logits.data(), static_cast<int64_t>(logits.size()), logits.data());
  weights_.resize(logits.size());
  uint64_t sum = 0;
  for (size_t i = 0; i < logits.size(); ++i) {
    // Signed: processors convert to that, and not to the other, in one instruction.
    weights_[i] = static_cast<uint64_t>(static_cast<int64_t>(static_cast<double>(logits[i]) * kUnitWeight));
    sum += weights_[i];
  }
  return sum;
}

uint16_t Sampler::draw(std::span<float> logits, const SamplingOptions& options, uint64_t random) {
  make_finite(logits);
  const auto size = static_cast<int64_t>(logits.size());
  uint16_t likeliest = 0;
  runtime::argmax(logits.data(), size, 1, size, &likeliest, 1);
  const auto temperature = static_cast<float>(options.temperature);
  if (temperature == 0 || options.top_k == 1) return likeliest;
  const float greatest = logits[likeliest];
  for (float& value : logits) value = (value - greatest) / temperature;
  uint64_t sum = weigh(logits);
  const auto pick = [random](uint64_t total) { return static_cast<uint64_t>(Wide{random} * total >> 64); };
  const bool all = options.top_k == 0 || static_cast<size_t>(options.top_k) >= logits.size();
  if (all && options.top_p == 1) {
    uint64_t left = pick(sum);
    size_t code = 0;
    while (left >= weights_[code]) left -= weights_[code++];
    return static_cast<uint16_t>(code);
  }
  ranked_.clear();
  // Codes lighter than this have less than 1 - top_p together: top_p never comes to them.
  const auto least = all ? static_cast<uint64_t>(0.99 * (1 - options.top_p) * static_cast<double>(sum) /
                                                 static_cast<double>(weights_.size()))
                         : 0;
  for (size_t i = 0; i < weights_.size(); ++i) {
    if (weights_[i] > least) ranked_.push_back(weights_[i] << 16 | (65535 - i));
  }
  if (!all && ranked_.size() > static_cast<size_t>(options.top_k)) {
    std::ranges::nth_element(ranked_, ranked_.begin() + options.top_k - 1, std::greater<>());
    ranked_.resize(static_cast<size_t>(options.top_k));
    sum = 0;
    for (const uint64_t key : ranked_) sum += key >> 16;
  }
  // A heap gives the likeliest one after another; of most distributions few are needed.
  std::ranges::make_heap(ranked_);
  const auto wanted = std::max<uint64_t>(1, static_cast<uint64_t>(options.top_p * static_cast<double>(sum)));
  uint64_t kept = 0;
  auto end = ranked_.end();
  while (kept < wanted && end != ranked_.begin()) {
    std::ranges::pop_heap(ranked_.begin(), end);
    kept += *--end >> 16;
  }
  // From the likeliest, which is the last, on.
  uint64_t left = pick(kept);
  auto at = ranked_.end() - 1;
  for (; left >= *at >> 16; --at) left -= *at >> 16;
  return static_cast<uint16_t>(65535 - (*at & 0xFFFF));
}

double Sampler::cost_bits(std::span<float> logits, uint16_t code) {
  make_finite(logits);
  const uint64_t sum = weigh(logits);
  const auto probability =
      static_cast<float>(static_cast<double>(std::max<uint64_t>(weights_[code], 1)) / static_cast<double>(sum));
  float log = 0;
  runtime::log(&probability, 1, &log);
  return static_cast<double>(log) * -1.4426950408889634;
}

RepetitionGuard::RepetitionGuard(int64_t unit_frames, int64_t max_lag_frames)
    : unit_frames_(unit_frames), runs_(static_cast<size_t>(max_lag_frames) + 1) {}

void RepetitionGuard::append(uint16_t code) {
  const size_t num_lags = std::min(runs_.size() - 1, codes_.size());
  for (size_t lag = 1; lag <= num_lags; ++lag) {
    runs_[lag] = codes_[codes_.size() - lag] == code ? runs_[lag] + 1 : 0;
  }
  codes_.push_back(code);
}

void RepetitionGuard::penalize(std::span<float> logits, float penalty) const {
  // The most units that speak against each code.
  std::vector<std::pair<uint16_t, int64_t>> units;
  const size_t num_lags = std::min(runs_.size() - 1, codes_.size());
  for (size_t lag = 1; lag <= num_lags; ++lag) {
    const int64_t count = std::min(runs_[lag] / unit_frames_, kMaxUnits);
    if (count > 0) units.emplace_back(codes_[codes_.size() - lag], count);
  }
  std::ranges::sort(units, std::greater<>());
  for (size_t i = 0; i < units.size(); ++i) {
    if (i > 0 && units[i].first == units[i - 1].first) continue;
    const float loss = penalty * static_cast<float>(units[i].second);
    logits[units[i].first] -= loss;
  }
}

}  // namespace vqcodec::generate
