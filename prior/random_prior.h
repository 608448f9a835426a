// Priors of seeded random weights: the same file on every machine. They predict nothing, but every code and every weight
// matters to what they say. For the self-test, for tests and for benchmarks.
#pragma once

#include <cstdint>

#include "prior/config.h"
#include "runtime/safetensors.h"

namespace vqcodec::prior {

// SplitMix64 (Steele, Lea and Flood 2014): integers only, the same on every machine.
class SplitMix64 {
 public:
  explicit SplitMix64(uint64_t seed) : state_(seed) {}
  uint64_t next() {
    state_ += 0x9E3779B97F4A7C15ULL;
    uint64_t x = state_;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    return x ^ (x >> 31);
  }
  // In [-scale, scale): scale times a multiple of 2^-23, rounded once.
  float uniform(float scale) {
    return scale * (static_cast<float>(static_cast<int32_t>(next() >> 40) - (1 << 23)) * 0x1p-23f);
  }
  // In [0, count), count below 2^32.
  uint32_t below(uint32_t count) { return static_cast<uint32_t>((next() >> 32) * count >> 32); }

 private:
  uint64_t state_;
};

// A whole prior of `config`, which must be valid but may lack model_id, which is then all zeros. `half` stores float16,
// else float32.
runtime::SafetensorsWriter make_random_prior(const Config& config, uint64_t seed, bool half = true);

}  // namespace vqcodec::prior
