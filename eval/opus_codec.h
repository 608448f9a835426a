// Opus in process, as opusenc would: the rival of every rate. libopus at 48 kHz stereo, audio, unconstrained VBR, frames of
// 20 ms, complexity 10. The encoder's delay is taken out, so that what is decoded lies where the input lay.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace vqcodec::eval {

struct OpusStream {
  std::vector<std::vector<uint8_t>> packets;  // 960 samples each, at 48 kHz
  int sample_rate_hz = 0;                     // of the input
  int64_t num_samples = 0;                    // of one channel of the input
  int64_t num_samples_48k = 0;
  int pre_skip_samples = 0;  // decoded samples before the first of the input, at 48 kHz

  int64_t packet_bytes() const;
};

// interleaved: stereo float32, full scale 1. bitrate_bps: 500..512000, what the encoder aims at; what it takes is the size
// of its packets. Throws Error(kUsage) for another bitrate, Error(kInternal) for what libopus refuses.
OpusStream encode_opus(std::span<const float> interleaved, int sample_rate_hz, int bitrate_bps);

// At the input's rate, [2 * num_samples].
std::vector<float> decode_opus(const OpusStream& stream);

// The stream as a whole Ogg Opus file (RFC 7845) with pages of one second, as opusenc makes them, and no tags: its size is
// what the music takes on a disk.
std::vector<uint8_t> ogg_opus_file(const OpusStream& stream);

// "libopus 1.3.1"
std::string opus_version();

}  // namespace vqcodec::eval
