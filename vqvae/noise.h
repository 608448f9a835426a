// Noise filling: what encoder, decoder and training have to do alike.
#pragma once

#include <cstdint>

namespace vqcodec::vqvae {

// Natural logarithm of the amplitude of noise relative to the source's level: beyond any signal.
inline constexpr float kMinNoiseLog = -20.0f, kMaxNoiseLog = 5.0f;

// A fixed function of place, so that the same codes decode to the same samples whatever is decoded with them and wherever
// decoding begins: 64 signs, those of bins [64 * word, 64 * word + 64) from the lowest bit on; 1 = negative. source < 16, channel < 2 (mid,
// side), word < 128. The finalizer is SplitMix64's (Steele, Lea, Flood 2014).
inline uint64_t noise_signs(uint64_t source, int64_t frame, uint64_t channel, uint64_t word) {
  uint64_t z = (static_cast<uint64_t>(frame) << 12 | source << 8 | channel << 7 | word) * 0x9E3779B97F4A7C15u;
  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
  z = (z ^ z >> 27) * 0x94D049BB133111EBu;
  return z ^ z >> 31;
}

// Added to the mean energy of a coefficient, relative to the source's level, before its logarithm: -60 dB.
inline constexpr float kLevelFloor = 1e-6f;

}  // namespace vqcodec::vqvae
