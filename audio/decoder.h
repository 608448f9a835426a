// What AudioReader asks of a library that decodes: the samples as they are in the file, at the file's rate and with
// the file's channels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "audio/byte_source.h"

namespace vqcodec::audio {

// Limits on what a file may say about itself; beyond them it is damaged or no music.
inline constexpr int kMinSampleRateHz = 1000;
inline constexpr int kMaxSampleRateHz = 768000;
inline constexpr int kMaxNumChannels = 64;

// How much of a channel goes to the left and to the right when a file is mixed down to stereo.
struct StereoGain {
  float left;
  float right;
};

struct DecoderFormat {
  int sample_rate_hz = 0;   // in [kMinSampleRateHz, kMaxSampleRateHz]
  int num_channels = 0;     // in [1, kMaxNumChannels]
  int64_t num_frames = -1;  // as the file says, which a damaged or lossy file may say wrongly; -1 unknown
  int num_audio_streams = 1;
  std::string description;          // container and encoding, for people
  std::string layout;               // name of the channel layout, for people
  std::vector<StereoGain> downmix;  // one a channel; empty for one or two channels
};

class Decoder {
 public:
  virtual ~Decoder() = default;
  const DecoderFormat& format() const { return format_; }
  // Parts of the file so far that did not decode: the audio has a gap there, or ends early.
  int64_t num_damaged_packets() const { return num_damaged_packets_; }
  // Writes at most `max_frames` frames to `interleaved` [max_frames, num_channels], full scale +-1. Returns their
  // number, at least 1 before the end and 0 from then on. Throws Error(kBadFile) when the file breaks off in a way
  // that the library does not pass over.
  virtual size_t read(float* interleaved, size_t max_frames) = 0;

 protected:
  DecoderFormat format_;
  int64_t num_damaged_packets_ = 0;
};

// Both open `source` at its beginning and keep a reference to it. They return nullptr, with the library's words in
// `reason`, when the library does not know the format or finds the header damaged, and throw Error(kBadFile) for a file
// that it reads but that is beyond the limits above. `name` is for messages.
std::unique_ptr<Decoder> open_sndfile_decoder(ByteSource& source, const std::string& name, std::string& reason);
// `stream_index` counts the file's audio streams from 0; Error(kUsage) when there are not so many. `begins_as_mp3` lets
// libav take less than four MPEG frames for an MP3.
std::unique_ptr<Decoder> open_libav_decoder(ByteSource& source, const std::string& name, int stream_index,
                                            bool begins_as_mp3, std::string& reason);

// Throws Error(kBadFile) when rate or channels are beyond the limits.
void check_limits(const DecoderFormat& format, const std::string& name);

}  // namespace vqcodec::audio
