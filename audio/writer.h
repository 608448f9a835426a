// Writes interleaved float32 audio as WAV or FLAC, in blocks. A file appears under its name only when finish() has
// succeeded (base/atomic_file.h).
//
// The container is chosen by the extension: .wav or .flac. "-" is WAV on standard output; where that is a pipe the
// sizes in the header are 0xFFFFFFFF, as ffmpeg and sox write them and read them. A WAV file past 4 GiB becomes RF64
// (EBU Tech 3306): room for its extra header is kept in a JUNK chunk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace vqcodec::audio {

enum class SampleFormat { kPcm16, kPcm24, kFloat32 };

struct WriterOptions {
  int sample_rate_hz = 44100;  // in [1000, 768000]; FLAC up to 655350
  int num_channels = 2;        // in [1, 64]; FLAC up to 8
  SampleFormat sample_format = SampleFormat::kPcm16;
  bool force = false;  // overwrite an existing file
  int flac_level = 5;  // 0 (fastest) to 8 (smallest), as the flac program's
  // Larger WAV files become RF64. Only a test needs another value.
  uint64_t max_riff_bytes = 0xFFFFFFFF;
};

class AudioWriter {
 public:
  // Throws Error(kUsage) for an unknown extension, options that the container cannot hold (float in FLAC) and an
  // existing file without `force`; Error(kIo) for what cannot be made.
  static std::unique_ptr<AudioWriter> open(const std::string& path, const WriterOptions& options = {});
  virtual ~AudioWriter() = default;  // without finish() nothing is left of the file
  AudioWriter(const AudioWriter&) = delete;
  AudioWriter& operator=(const AudioWriter&) = delete;

  // [num_frames, num_channels] interleaved, full scale +-1. PCM is rounded to the nearest step (halves to even) after
  // clipping to +-1; NaN becomes 0. Float is written as it is. Throws Error(kIo) when the disk is full.
  virtual void write(std::span<const float> interleaved) = 0;
  // Completes the header, flushes and gives the file its name. Call it once, last. Throws Error(kIo).
  virtual void finish() = 0;

  // Samples so far that were outside +-1 or NaN. 0 for float.
  int64_t num_clipped_samples() const { return num_clipped_samples_; }

 protected:
  AudioWriter() = default;
  // The step of `sample` in [-2^(num_bits-1), 2^(num_bits-1) - 1].
  int32_t quantize(float sample, int num_bits);

  int64_t num_clipped_samples_ = 0;
};

}  // namespace vqcodec::audio
