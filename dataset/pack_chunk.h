// The chunks of a packed set (dataset/pack.h): stereo int16 to bytes and back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "dataset/pack.h"

namespace vqcodec::dataset {

inline constexpr size_t kMinChunkFrames = 4096;
inline constexpr size_t kMaxChunkFrames = 1 << 20;

// The longest chunk that a reader takes.
size_t max_chunk_bytes(PackEncoding encoding, size_t num_frames);

// Appends the frames [first, first + num_frames) of `stem`, interleaved stereo, to `bytes`.
void encode_chunk(PackEncoding encoding, std::span<const int16_t> stem, size_t first, size_t num_frames,
                  int sample_rate_hz, int opus_bps, std::vector<uint8_t>& bytes);

// Fills `out`, interleaved stereo, with frames from `skip` on of a chunk of `num_frames`. Throws Error(kBadFile).
void decode_chunk(PackEncoding encoding, std::span<const uint8_t> bytes, size_t num_frames, size_t skip,
                  std::span<int16_t> out);

}  // namespace vqcodec::dataset
