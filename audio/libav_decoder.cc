// libavformat and libavcodec: M4A/AAC, stem.mp4, and whatever libsndfile does not read; also all that comes by a pipe.
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/channel_layout.h>
#include <libavutil/log.h>
#include <libavutil/mem.h>
}

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <limits>
#include <mutex>

#include "audio/decoder.h"
#include "base/error.h"

namespace vqcodec::audio {
namespace {

// Containers that music comes in. libav has some hundred more (games, subtitles, playlists that open other files); they
// are left out so that a wrong file is refused and not guessed at.
constexpr const char* kDemuxers =
    "aac,ac3,aiff,alaw,amr,ape,asf,au,avi,caf,dsf,dts,dtshd,eac3,flac,flv,iff,loas,matroska,webm,mov,mp4,mp3,mpc,mpc8,"
    "mpeg,mpegts,mulaw,ogg,rm,shn,tak,truehd,tta,voc,w64,wav,wv,xwma";
constexpr size_t kMaxAllocationBytes = size_t{1} << 28;  // of libav, at once: a whole song's index takes far less
constexpr int kIoBufferBytes = 1 << 15;
constexpr int kMaxFailedReads = 16;  // in a row; then the file is taken to end here
constexpr int kMinProbeScore = 2;    // 1 is something like one frame header, which any bytes can have

thread_local std::string last_log_line;

// libav's last complaint often says more than its return code ("moov atom not found"). Nothing goes to stderr.
void keep_log_line(void*, int level, const char* format, va_list arguments) {
  if (level > AV_LOG_ERROR) return;
  char line[512];
  std::vsnprintf(line, sizeof(line), format, arguments);
  std::string text(line);
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || static_cast<unsigned char>(c) >= 0x7f) c = ' ';
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '.')) text.pop_back();
  if (!text.empty()) last_log_line = text;
}

void set_up_once() {
  static std::once_flag flag;
  std::call_once(flag, [] {
    av_log_set_callback(keep_log_line);
    av_max_alloc(kMaxAllocationBytes);
  });
}

std::string error_text(int code) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, text, sizeof(text));
  return last_log_line.empty() ? std::string(text) : std::string(text) + ": " + last_log_line;
}

int read_source(void* opaque, uint8_t* bytes, int count) noexcept {
  auto& source = *static_cast<ByteSource*>(opaque);
  const int64_t done = source.read({bytes, static_cast<size_t>(count)});
  return done > 0 ? static_cast<int>(done) : done == 0 ? AVERROR_EOF : AVERROR(source.error_number());
}

int64_t seek_source(void* opaque, int64_t offset, int whence) noexcept {
  auto& source = *static_cast<ByteSource*>(opaque);
  whence &= ~AVSEEK_FORCE;
  if (whence == AVSEEK_SIZE) return source.size();
  const int64_t base = whence == SEEK_CUR ? source.position() : whence == SEEK_END ? source.size() : 0;
  int64_t position = 0;
  if (__builtin_add_overflow(base, offset, &position) || !source.seek(position)) return AVERROR(EINVAL);
  return position;
}

// A file may not make us open another one.
int refuse_to_open(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) noexcept {
  return AVERROR(EPERM);
}

// ITU-R BS.775-4, table 2: centre and surrounds at -3 dB, no LFE; back centre goes to both surrounds at -3 dB.
StereoGain gain_of(AVChannel channel, unsigned index, unsigned num_channels) {
  constexpr float kMinus3Db = 0.70710678F;
  switch (channel) {
    case AV_CHAN_FRONT_LEFT:
    case AV_CHAN_FRONT_LEFT_OF_CENTER:
    case AV_CHAN_WIDE_LEFT:
    case AV_CHAN_STEREO_LEFT: return {1.0F, 0.0F};
    case AV_CHAN_FRONT_RIGHT:
    case AV_CHAN_FRONT_RIGHT_OF_CENTER:
    case AV_CHAN_WIDE_RIGHT:
    case AV_CHAN_STEREO_RIGHT: return {0.0F, 1.0F};
    case AV_CHAN_FRONT_CENTER:
    case AV_CHAN_TOP_FRONT_CENTER: return {kMinus3Db, kMinus3Db};
    case AV_CHAN_BACK_LEFT:
    case AV_CHAN_SIDE_LEFT:
    case AV_CHAN_TOP_FRONT_LEFT:
    case AV_CHAN_TOP_SIDE_LEFT:
    case AV_CHAN_TOP_BACK_LEFT: return {kMinus3Db, 0.0F};
    case AV_CHAN_BACK_RIGHT:
    case AV_CHAN_SIDE_RIGHT:
    case AV_CHAN_TOP_FRONT_RIGHT:
    case AV_CHAN_TOP_SIDE_RIGHT:
    case AV_CHAN_TOP_BACK_RIGHT: return {0.0F, kMinus3Db};
    case AV_CHAN_BACK_CENTER:
    case AV_CHAN_TOP_CENTER:
    case AV_CHAN_TOP_BACK_CENTER: return {0.5F, 0.5F};
    case AV_CHAN_LOW_FREQUENCY:
    case AV_CHAN_LOW_FREQUENCY_2: return {0.0F, 0.0F};
    default: break;
  }
  // Nobody knows where it belongs: pairs of left and right, at a level that adds up to full scale.
  const float share = 2.0F / static_cast<float>(num_channels + num_channels % 2);
  return index % 2 == 0 ? StereoGain{share, 0.0F} : StereoGain{0.0F, share};
}

template <typename T>
float to_float(T value) {
  if constexpr (std::is_same_v<T, uint8_t>) {
    return static_cast<float>(value - 128) * (1.0F / 128.0F);
  } else if constexpr (std::is_integral_v<T>) {
    constexpr double kScale = 1.0 / -static_cast<double>(std::numeric_limits<T>::min());
    return static_cast<float>(static_cast<double>(value) * kScale);
  } else {
    return static_cast<float>(value);
  }
}

template <typename T>
void copy_samples(const AVFrame& frame, bool is_planar, int num_channels, size_t first, size_t count, float* out) {
  for (int c = 0; c < num_channels; ++c) {
    const auto* plane = reinterpret_cast<const T*>(frame.extended_data[is_planar ? c : 0]);
    const size_t step = is_planar ? 1 : static_cast<size_t>(num_channels);
    const size_t offset = is_planar ? 0 : static_cast<size_t>(c);
    for (size_t i = 0; i < count; ++i) {
      out[i * static_cast<size_t>(num_channels) + static_cast<size_t>(c)] =
          to_float(plane[(first + i) * step + offset]);
    }
  }
}

class LibavDecoder : public Decoder {
 public:
  LibavDecoder(ByteSource& source, const std::string& name) : source_(source), name_(name) {}

  ~LibavDecoder() override {
    av_frame_free(&frame_);
    av_packet_free(&packet_);
    avcodec_free_context(&codec_);
    avformat_close_input(&container_);
    if (io_ != nullptr) av_freep(&io_->buffer);
    avio_context_free(&io_);
  }

  // False with a reason when this is nothing that libav reads.
  bool open(int stream_index, bool begins_as_mp3, std::string& reason) {
    set_up_once();
    last_log_line.clear();
    const auto fail = [&](int code) {
      reason = error_text(code);
      return false;
    };
    auto* buffer = static_cast<uint8_t*>(av_malloc(kIoBufferBytes));
    if (buffer == nullptr) throw std::bad_alloc();
    io_ = avio_alloc_context(buffer, kIoBufferBytes, 0, &source_, read_source, nullptr, seek_source);
    if (io_ == nullptr) {
      av_free(buffer);
      throw std::bad_alloc();
    }
    io_->seekable = source_.is_seekable() ? AVIO_SEEKABLE_NORMAL : 0;

    const AVInputFormat* demuxer = nullptr;
    const int score = av_probe_input_buffer2(io_, &demuxer, "", nullptr, 0, 0);
    if (score < 0) return fail(score);
    if (score < kMinProbeScore && !begins_as_mp3) {
      reason = "no known audio format";
      return false;
    }
    container_ = avformat_alloc_context();
    if (container_ == nullptr) throw std::bad_alloc();
    container_->pb = io_;
    container_->io_open = refuse_to_open;
    container_->flags |= AVFMT_FLAG_CUSTOM_IO;
    container_->format_whitelist = av_strdup(kDemuxers);
    // On failure this frees the container and sets it to null.
    if (const int code = avformat_open_input(&container_, "", demuxer, nullptr); code < 0) return fail(code);
    if (const int code = avformat_find_stream_info(container_, nullptr); code < 0) return fail(code);

    format_.num_audio_streams = 0;
    for (unsigned i = 0; i < container_->nb_streams; ++i) {
      AVStream* stream = container_->streams[i];
      stream->discard = AVDISCARD_ALL;
      if (stream->codecpar->codec_type != AVMEDIA_TYPE_AUDIO) continue;
      if (format_.num_audio_streams++ == stream_index) stream_ = stream;
    }
    if (format_.num_audio_streams == 0) {
      reason = std::string(container_->iformat->long_name) + " without an audio stream";
      return false;
    }
    if (stream_ == nullptr) {
      throw Error(ExitCode::kUsage, name_ + ": has " + std::to_string(format_.num_audio_streams) +
                                        " audio stream(s); there is no stream " + std::to_string(stream_index) +
                                        " (the first is 0)");
    }
    stream_->discard = AVDISCARD_DEFAULT;

    const AVCodec* decoder = avcodec_find_decoder(stream_->codecpar->codec_id);
    if (decoder == nullptr) {
      reason = std::string("no decoder for ") + avcodec_get_name(stream_->codecpar->codec_id);
      return false;
    }
    codec_ = avcodec_alloc_context3(decoder);
    packet_ = av_packet_alloc();
    frame_ = av_frame_alloc();
    if (codec_ == nullptr || packet_ == nullptr || frame_ == nullptr) throw std::bad_alloc();
    if (const int code = avcodec_parameters_to_context(codec_, stream_->codecpar); code < 0) return fail(code);
    codec_->pkt_timebase = stream_->time_base;  // needed to drop the encoder's delay and padding
    codec_->thread_count = 1;
    if (const int code = avcodec_open2(codec_, decoder, nullptr); code < 0) return fail(code);

    // The first frame says the rate and channels that really come out (they differ from the header's with HE-AAC).
    const bool has_audio = next_frame();
    if (!has_audio && num_damaged_packets_ > 0) {
      reason = "no packet of its " + std::string(decoder->long_name != nullptr ? decoder->long_name : decoder->name) +
               " stream decodes";
      return false;
    }
    const AVChannelLayout& layout = has_audio ? frame_->ch_layout : stream_->codecpar->ch_layout;
    format_.sample_rate_hz = has_audio ? frame_->sample_rate : stream_->codecpar->sample_rate;
    format_.num_channels = layout.nb_channels;
    check_limits(format_, name_);
    describe(layout);
    return true;
  }

  size_t read(float* interleaved, size_t max_frames) override {
    size_t done = 0;
    const auto num_channels = static_cast<size_t>(format_.num_channels);
    while (done < max_frames) {
      if (!has_frame_ && !next_frame()) break;
      if (frame_->sample_rate != format_.sample_rate_hz || frame_->ch_layout.nb_channels != format_.num_channels) {
        throw Error(ExitCode::kBadFile, name_ + ": changes from " + std::to_string(format_.sample_rate_hz) +
                                            " Hz and " + std::to_string(format_.num_channels) + " channel(s) to " +
                                            std::to_string(frame_->sample_rate) + " Hz and " +
                                            std::to_string(frame_->ch_layout.nb_channels) + " after " +
                                            std::to_string(num_frames_read_ + static_cast<int64_t>(done)) +
                                            " samples; convert it to one rate and layout first");
      }
      const size_t count = std::min(max_frames - done, static_cast<size_t>(frame_->nb_samples) - frame_offset_);
      convert(count, interleaved + done * num_channels);
      frame_offset_ += count;
      done += count;
      has_frame_ = frame_offset_ < static_cast<size_t>(frame_->nb_samples);
    }
    num_frames_read_ += static_cast<int64_t>(done);
    return done;
  }

 private:
  // Decodes into frame_. False at the end.
  bool next_frame() {
    has_frame_ = false;
    frame_offset_ = 0;
    while (!ended_) {
      const int received = avcodec_receive_frame(codec_, frame_);
      if (received == 0) {
        if (frame_->nb_samples <= 0) continue;
        has_frame_ = true;
        return true;
      }
      if (received == AVERROR_EOF) {
        ended_ = true;
        break;
      }
      if (received != AVERROR(EAGAIN)) {
        note_damage(received);
        if (draining_) ended_ = true;
        continue;
      }
      feed();
    }
    return false;
  }

  // One packet to the decoder, or the word that there are no more.
  void feed() {
    for (;;) {
      const int code = av_read_frame(container_, packet_);
      if (code == AVERROR_INVALIDDATA) {
        note_damage(code);
        if (++num_failed_reads_ < kMaxFailedReads) continue;  // many demuxers find the next packet by themselves
      }
      if (code == AVERROR_EOF || code == AVERROR_INVALIDDATA) {
        draining_ = true;
        avcodec_send_packet(codec_, nullptr);
        return;
      }
      if (code < 0 && source_.error_number() != 0) {
        throw Error(ExitCode::kIo, name_ + ": cannot be read (" + std::strerror(source_.error_number()) + ")");
      }
      if (code < 0) {
        throw Error(ExitCode::kBadFile, name_ + ": cannot be read after " + std::to_string(num_frames_read_) +
                                            " samples (" + error_text(code) + "); the file is damaged or cut off");
      }
      num_failed_reads_ = 0;
      const bool is_ours = packet_->stream_index == stream_->index;
      const int sent = is_ours ? avcodec_send_packet(codec_, packet_) : 0;
      av_packet_unref(packet_);
      if (!is_ours) continue;
      if (sent < 0) note_damage(sent);
      return;
    }
  }

  void note_damage(int code) {
    if (code == AVERROR(ENOMEM)) throw std::bad_alloc();
    ++num_damaged_packets_;
  }

  void convert(size_t count, float* out) const {
    const auto format = static_cast<AVSampleFormat>(frame_->format);
    const bool planar = av_sample_fmt_is_planar(format) != 0;
    const int channels = format_.num_channels;
    switch (av_get_packed_sample_fmt(format)) {
      case AV_SAMPLE_FMT_U8: return copy_samples<uint8_t>(*frame_, planar, channels, frame_offset_, count, out);
      case AV_SAMPLE_FMT_S16: return copy_samples<int16_t>(*frame_, planar, channels, frame_offset_, count, out);
      case AV_SAMPLE_FMT_S32: return copy_samples<int32_t>(*frame_, planar, channels, frame_offset_, count, out);
      case AV_SAMPLE_FMT_S64: return copy_samples<int64_t>(*frame_, planar, channels, frame_offset_, count, out);
      case AV_SAMPLE_FMT_FLT: return copy_samples<float>(*frame_, planar, channels, frame_offset_, count, out);
      case AV_SAMPLE_FMT_DBL: return copy_samples<double>(*frame_, planar, channels, frame_offset_, count, out);
      default: throw Error(ExitCode::kBadFile, name_ + ": has samples of an unknown type");
    }
  }

  void describe(const AVChannelLayout& layout) {
    const AVCodec* decoder = codec_->codec;
    format_.description = std::string(container_->iformat->long_name) + ", " +
                          (decoder->long_name != nullptr ? decoder->long_name : decoder->name);
    if (stream_->duration > 0) {
      format_.num_frames = av_rescale_q(stream_->duration, stream_->time_base, {1, format_.sample_rate_hz});
    } else if (container_->duration > 0) {
      format_.num_frames = av_rescale(container_->duration, format_.sample_rate_hz, AV_TIME_BASE);
    }

    AVChannelLayout known = {};
    if (layout.order == AV_CHANNEL_ORDER_UNSPEC) {
      av_channel_layout_default(&known, layout.nb_channels);
    } else if (av_channel_layout_copy(&known, &layout) < 0) {
      throw std::bad_alloc();
    }
    char text[128] = {};
    if (av_channel_layout_describe(&known, text, sizeof(text)) > 0) format_.layout = text;
    const auto num_channels = static_cast<unsigned>(format_.num_channels);
    for (unsigned i = 0; num_channels > 2 && i < num_channels; ++i) {
      format_.downmix.push_back(gain_of(av_channel_layout_channel_from_index(&known, i), i, num_channels));
    }
    av_channel_layout_uninit(&known);
  }

  ByteSource& source_;
  std::string name_;
  AVIOContext* io_ = nullptr;
  AVFormatContext* container_ = nullptr;
  AVStream* stream_ = nullptr;
  AVCodecContext* codec_ = nullptr;
  AVPacket* packet_ = nullptr;
  AVFrame* frame_ = nullptr;
  size_t frame_offset_ = 0;  // frames of frame_ given out already
  bool has_frame_ = false;
  bool draining_ = false;
  bool ended_ = false;
  int num_failed_reads_ = 0;  // in a row
  int64_t num_frames_read_ = 0;
};

}  // namespace

std::unique_ptr<Decoder> open_libav_decoder(ByteSource& source, const std::string& name, int stream_index,
                                            bool begins_as_mp3, std::string& reason) {
  source.seek(0);
  auto decoder = std::make_unique<LibavDecoder>(source, name);
  if (!decoder->open(stream_index, begins_as_mp3, reason)) return nullptr;
  return decoder;
}

}  // namespace vqcodec::audio
