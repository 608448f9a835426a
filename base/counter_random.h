// A counter-based generator: the same (seed, stream, item) gives the same draws on every machine, so that a training
// run resumes by its step number alone and a draw does not depend on those before it. SplitMix64 (Steele, Lea, Flood
// 2014) over a hashed key.
#pragma once

#include <cstdint>

namespace vqcodec {

class CounterRandom {
 public:
  CounterRandom(uint64_t seed, uint64_t stream, uint64_t item);
  uint64_t next();
  double uniform();                // in [0, 1)
  double normal();                 // mean 0, deviation 1 (Box-Muller)
  uint64_t below(uint64_t bound);  // in [0, bound), bound >= 1
  bool chance(double probability) { return uniform() < probability; }

 private:
  uint64_t state_;
};

}  // namespace vqcodec
