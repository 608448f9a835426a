#include "base/counter_random.h"

#include <cmath>
#include <numbers>

namespace vqcodec {

namespace {

uint64_t mix_bits(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
  return z ^ (z >> 31);
}

}  // namespace

CounterRandom::CounterRandom(uint64_t seed, uint64_t stream, uint64_t item)
    : state_(mix_bits(mix_bits(mix_bits(seed + 0x9E3779B97F4A7C15ULL) ^ stream) ^ (item + 0x632BE59BD9B4E019ULL))) {}

uint64_t CounterRandom::next() {
  state_ += 0x9E3779B97F4A7C15ULL;
  return mix_bits(state_);
}

double CounterRandom::uniform() { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

double CounterRandom::normal() {
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

uint64_t CounterRandom::below(uint64_t bound) { return static_cast<uint64_t>(uniform() * static_cast<double>(bound)); }

}  // namespace vqcodec
