// Models with seeded random weights for the tests: as small as wanted, and the same file on every machine. What they
// decode is no music, but every code and every weight matters to it.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/safetensors.h"
#include "vqvae/config.h"

namespace vqcodec::vqvae {

// hop 256, width 16, vocals, bass, drums and other, 3 residual codebooks of 32 entries, masks.
ModelConfig tiny_config();

// A whole model of `config`, which must be valid. `half` stores float16 as exported models do, else float32.
runtime::SafetensorsWriter make_model(const ModelConfig& config, uint64_t seed, bool half = true);

// The tiny model of `seed` as a file.
void write_tiny_model(const std::string& path, uint64_t seed = 1);

}  // namespace vqcodec::vqvae
