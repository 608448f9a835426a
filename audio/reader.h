// Reads any audio file as interleaved stereo float32 at one sample rate, in blocks: the whole never sits in memory.
//
// WAV (PCM of 8 to 32 bits, float, RF64, W64), FLAC, Ogg Vorbis and Opus by libsndfile; MP3, M4A/AAC, stem.mp4 and the
// rest, and nearly all that comes by a pipe, by libav. Mono goes to both channels. The delay that encoders put before the
// first sample is removed where the file tells of it, as the two libraries do.
//
// Errors are Error (base/error.h): kIo for what cannot be opened or read, kBadFile for what is no audio or damaged,
// kUsage for more than two channels without `downmix` and for a stream that is not there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace vqcodec::audio {

class ByteSource;
class Decoder;
class Resampler;

struct ReaderOptions {
  // Resampled to this; 0 keeps the file's own. In [1000, 768000].
  int sample_rate_hz = 44100;
  // More than two channels: mixed down by ITU-R BS.775 (values may exceed +-1) when true, refused when false.
  bool downmix = false;
  // Which of the file's audio streams, counted from 0 (a stem.mp4 has five: the mixture and four stems).
  int stream_index = 0;
};

struct AudioInfo {
  int source_sample_rate_hz = 0;
  int source_num_channels = 0;
  int64_t source_num_frames = -1;  // as the file's header says; -1 unknown
  int num_audio_streams = 1;
  std::string format;  // container and encoding, for people
};

class AudioReader {
 public:
  // `path` "-" is standard input, which need not be seekable (an MP4 that comes so is first copied to a temporary
  // file, because its index may be at its end). An MP3 from a pipe keeps its padding at the end.
  static std::unique_ptr<AudioReader> open(const std::string& path, const ReaderOptions& options = {});
  // `name` stands for the path in messages.
  static std::unique_ptr<AudioReader> open_source(std::unique_ptr<ByteSource> source, const std::string& name,
                                                  const ReaderOptions& options = {});
  ~AudioReader();
  AudioReader(const AudioReader&) = delete;
  AudioReader& operator=(const AudioReader&) = delete;

  // Fills [num_frames, 2] interleaved, num_frames = interleaved_stereo.size() / 2. Returns the number of frames
  // written: fewer than asked for only at the end, 0 after it. Full scale is +-1; louder samples are kept.
  size_t read(std::span<float> interleaved_stereo);

  const AudioInfo& info() const { return info_; }
  int sample_rate_hz() const { return sample_rate_hz_; }
  // Frames that read() will give in all, by the file's header; -1 unknown. For progress display only.
  int64_t estimated_num_frames() const;
  // Samples so far that were NaN, infinite or beyond +-2^31 in the file (0 is given for them).
  int64_t num_bad_samples() const { return num_bad_samples_; }
  // Parts of the file so far that libav did not decode: the audio has a gap there, or ends early. Worth a warning.
  int64_t num_damaged_packets() const;

 private:
  AudioReader(std::unique_ptr<ByteSource> source, std::unique_ptr<Decoder> decoder, const std::string& name,
              const ReaderOptions& options);
  bool fill_block();

  std::unique_ptr<ByteSource> source_;
  std::unique_ptr<Decoder> decoder_;
  std::unique_ptr<Resampler> resampler_;  // null when the rates are equal
  std::string name_;
  AudioInfo info_;
  int sample_rate_hz_;
  std::vector<float> decoded_;   // [kBlockFrames, source channels]
  std::vector<float> block_;     // [kBlockFrames, 2] at the source's rate
  std::span<const float> rest_;  // what of block_ is not yet read
  bool ended_ = false;
  int64_t num_bad_samples_ = 0;
};

}  // namespace vqcodec::audio
