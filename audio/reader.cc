#include "audio/reader.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <initializer_list>

#include "audio/byte_source.h"
#include "audio/decoder.h"
#include "audio/resampler.h"
#include "base/error.h"

namespace vqcodec::audio {
namespace {

// Floats beyond this are damage: it is what 32-bit integers written without scaling reach. Sums of larger ones would
// overflow in the resampler.
constexpr float kMaxSample = 2147483648.0F;
constexpr size_t kBlockFrames = 4096;
constexpr size_t kNumPeekedBytes = 12;

bool starts_with_any(const std::string& head, std::initializer_list<const char*> magics) {
  return std::ranges::any_of(magics, [&](const char* magic) { return head.starts_with(magic); });
}

// libsndfile has some twenty more formats, several of them with a history of trouble and none of them needed.
bool is_for_sndfile(const std::string& head) {
  return starts_with_any(head, {"RIFF", "RIFX", "RF64", "riff", "fLaC", "OggS"});
}

// libav reads these, because libsndfile's MPEG decoder writes warnings to stderr. A frame's header says layer 3 (0 would
// be AAC).
bool is_mp3(const std::string& head) {
  return head.starts_with("ID3") ||
         (head.size() >= 2 && head[0] == '\xff' && (static_cast<unsigned char>(head[1]) & 0xe6) == 0xe2);
}

// An MP4's index may be at its end; libav takes RIFX for little-endian, which libsndfile does not, and cannot stream
// all CAF files.
bool needs_seeking(const std::string& head) {
  return (head.size() >= 8 && head.compare(4, 4, "ftyp") == 0) || starts_with_any(head, {"RIFX", "caff"});
}

std::unique_ptr<Decoder> open_decoder(ByteSource& source, const std::string& head, const std::string& name,
                                      int stream_index) {
  std::string sndfile_reason;
  std::string libav_reason;
  std::unique_ptr<Decoder> decoder;
  if (source.is_seekable() && stream_index == 0 && is_for_sndfile(head)) {
    decoder = open_sndfile_decoder(source, name, sndfile_reason);
    // libsndfile does not say for every kind of file which channel is which.
    if (decoder != nullptr && decoder->format().num_channels > 2) decoder = nullptr;
  }
  if (decoder == nullptr) decoder = open_libav_decoder(source, name, stream_index, is_mp3(head), libav_reason);
  if (source.error_number() != 0) {
    throw Error(ExitCode::kIo, name + ": cannot be read (" + std::strerror(source.error_number()) + ")");
  }
  if (decoder == nullptr) {
    throw Error(ExitCode::kBadFile, name + ": is not audio that can be read (" + sndfile_reason +
                                        (sndfile_reason.empty() ? "" : "; ") + libav_reason +
                                        "); expected WAV, FLAC, Ogg, Opus, MP3, M4A or another common audio file");
  }
  return decoder;
}

}  // namespace

void check_limits(const DecoderFormat& format, const std::string& name) {
  if (format.num_channels < 1 || format.num_channels > kMaxNumChannels) {
    throw Error(ExitCode::kBadFile, name + ": says that it has " + std::to_string(format.num_channels) +
                                        " channels (expected 1 to " + std::to_string(kMaxNumChannels) +
                                        "); the file is damaged or no music");
  }
  if (format.sample_rate_hz < kMinSampleRateHz || format.sample_rate_hz > kMaxSampleRateHz) {
    throw Error(ExitCode::kBadFile, name + ": says that its sample rate is " + std::to_string(format.sample_rate_hz) +
                                        " Hz (expected " + std::to_string(kMinSampleRateHz) + " to " +
                                        std::to_string(kMaxSampleRateHz) + "); the file is damaged or no music");
  }
}

std::unique_ptr<AudioReader> AudioReader::open(const std::string& path, const ReaderOptions& options) {
  return open_source(open_byte_source(path), path == "-" ? "standard input" : path, options);
}

std::unique_ptr<AudioReader> AudioReader::open_source(std::unique_ptr<ByteSource> source, const std::string& name,
                                                      const ReaderOptions& options) {
  if (options.sample_rate_hz != 0 &&
      (options.sample_rate_hz < kMinSampleRateHz || options.sample_rate_hz > kMaxSampleRateHz)) {
    throw Error(ExitCode::kUsage, "a sample rate of " + std::to_string(options.sample_rate_hz) +
                                      " Hz was asked for; expected " + std::to_string(kMinSampleRateHz) + " to " +
                                      std::to_string(kMaxSampleRateHz));
  }
  if (options.stream_index < 0) {
    throw Error(ExitCode::kUsage,
                "audio stream " + std::to_string(options.stream_index) + " was asked for; streams are counted from 0");
  }
  const std::string head = peek(source, kNumPeekedBytes);
  if (source->error_number() != 0) {
    throw Error(ExitCode::kIo, name + ": cannot be read (" + std::strerror(source->error_number()) + ")");
  }
  if (head.empty()) throw Error(ExitCode::kBadFile, name + ": is empty (0 bytes); expected an audio file");
  if (!source->is_seekable() && needs_seeking(head)) source = spool_to_disk(*source, name);
  auto decoder = open_decoder(*source, head, name, options.stream_index);
  return std::unique_ptr<AudioReader>(new AudioReader(std::move(source), std::move(decoder), name, options));
}

AudioReader::AudioReader(std::unique_ptr<ByteSource> source, std::unique_ptr<Decoder> decoder, const std::string& name,
                         const ReaderOptions& options)
    : source_(std::move(source)), decoder_(std::move(decoder)), name_(name) {
  const DecoderFormat& format = decoder_->format();
  if (format.num_channels > 2 && !options.downmix) {
    throw Error(ExitCode::kUsage, name + ": has " + std::to_string(format.num_channels) + " channels" +
                                      (format.layout.empty() ? "" : " (" + format.layout + ")") +
                                      "; expected mono or stereo; mix it down first, or use --downmix");
  }
  info_ = {.source_sample_rate_hz = format.sample_rate_hz,
           .source_num_channels = format.num_channels,
           .source_num_frames = format.num_frames,
           .num_audio_streams = format.num_audio_streams,
           .format = format.description};
  sample_rate_hz_ = options.sample_rate_hz == 0 ? format.sample_rate_hz : options.sample_rate_hz;
  if (sample_rate_hz_ != format.sample_rate_hz) {
    resampler_ = std::make_unique<Resampler>(format.sample_rate_hz, sample_rate_hz_);
  }
  decoded_.resize(kBlockFrames * static_cast<size_t>(format.num_channels));
  block_.resize(kBlockFrames * 2);
}

AudioReader::~AudioReader() = default;

int64_t AudioReader::estimated_num_frames() const {
  return info_.source_num_frames < 0
             ? -1
             : resampled_num_frames(info_.source_num_frames, info_.source_sample_rate_hz, sample_rate_hz_);
}

int64_t AudioReader::num_damaged_packets() const { return decoder_->num_damaged_packets(); }

// Decodes the next block into block_ and rest_. False at the end.
bool AudioReader::fill_block() {
  if (ended_) return false;
  const size_t num_frames = decoder_->read(decoded_.data(), kBlockFrames);
  if (source_->error_number() != 0) {
    throw Error(ExitCode::kIo, name_ + ": cannot be read (" + std::strerror(source_->error_number()) + ")");
  }
  if (num_frames == 0) {
    ended_ = true;
    return false;
  }
  const auto num_channels = static_cast<size_t>(info_.source_num_channels);
  const std::span<float> samples(decoded_.data(), num_frames * num_channels);
  for (float& sample : samples) {
    if (std::abs(sample) <= kMaxSample) continue;  // NaN is not
    sample = 0.0F;
    ++num_bad_samples_;
  }
  if (num_channels == 1) {
    for (size_t i = 0; i < num_frames; ++i) block_[2 * i] = block_[2 * i + 1] = samples[i];
  } else if (num_channels == 2) {
    std::copy(samples.begin(), samples.end(), block_.begin());
  } else {
    const std::vector<StereoGain>& gains = decoder_->format().downmix;
    for (size_t i = 0; i < num_frames; ++i) {
      float left = 0.0F;
      float right = 0.0F;
      for (size_t c = 0; c < num_channels; ++c) {
        left += gains[c].left * samples[i * num_channels + c];
        right += gains[c].right * samples[i * num_channels + c];
      }
      block_[2 * i] = left;
      block_[2 * i + 1] = right;
    }
  }
  rest_ = std::span<const float>(block_).first(2 * num_frames);
  return true;
}

size_t AudioReader::read(std::span<float> interleaved_stereo) {
  std::span<float> out = interleaved_stereo.first(interleaved_stereo.size() / 2 * 2);
  while (!out.empty()) {
    const bool has_input = !rest_.empty() || fill_block();
    size_t num_written = 0;
    if (resampler_ == nullptr) {
      if (!has_input) break;
      num_written = std::min(rest_.size(), out.size()) / 2;
      std::copy_n(rest_.begin(), 2 * num_written, out.begin());
      rest_ = rest_.subspan(2 * num_written);
    } else if (has_input) {
      const Resampler::Progress progress = resampler_->process(rest_, out);
      rest_ = rest_.subspan(2 * progress.num_frames_read);
      num_written = progress.num_frames_written;
    } else {
      num_written = resampler_->flush(out);
      if (num_written == 0) break;
    }
    out = out.subspan(2 * num_written);
  }
  return (interleaved_stereo.size() - out.size()) / 2;
}

}  // namespace vqcodec::audio
