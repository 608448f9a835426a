// Small operations on spectra that encoder and decoder share.
#pragma once

#include <cstdint>

namespace vqcodec::vqvae {

// Left and right [2 * hop] <-> mid and side, orthonormal and its own inverse.
inline void swap_mid_side(float* spectrum, int64_t hop) {
  constexpr float kRootHalf = 0.70710678f;
  for (int64_t k = 0; k < hop; ++k) {
    const float a = spectrum[k], b = spectrum[hop + k];
    spectrum[k] = (a + b) * kRootHalf;
    spectrum[hop + k] = (a - b) * kRootHalf;
  }
}

}  // namespace vqcodec::vqvae
