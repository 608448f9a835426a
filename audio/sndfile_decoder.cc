// libsndfile: WAV, FLAC, Ogg Vorbis, Opus.
#include <sndfile.h>

#include <cstdio>

#include "audio/decoder.h"
#include "base/error.h"

namespace vqcodec::audio {
namespace {

ByteSource& source_of(void* user_data) { return *static_cast<ByteSource*>(user_data); }

sf_count_t get_length(void* user_data) noexcept { return source_of(user_data).size(); }

sf_count_t seek_source(sf_count_t offset, int whence, void* user_data) noexcept {
  ByteSource& source = source_of(user_data);
  const int64_t base = whence == SEEK_CUR ? source.position() : whence == SEEK_END ? source.size() : 0;
  int64_t position = 0;
  if (__builtin_add_overflow(base, offset, &position) || !source.seek(position)) return -1;
  return position;
}

sf_count_t read_source(void* bytes, sf_count_t count, void* user_data) noexcept {
  auto* next = static_cast<uint8_t*>(bytes);
  sf_count_t total = 0;
  while (total < count) {
    const int64_t done = source_of(user_data).read({next + total, static_cast<size_t>(count - total)});
    if (done <= 0) break;
    total += done;
  }
  return total;
}

sf_count_t write_nothing(const void*, sf_count_t, void*) noexcept { return 0; }

sf_count_t tell_source(void* user_data) noexcept { return source_of(user_data).position(); }

std::string describe(int format) {
  std::string text;
  for (const int part : {format & SF_FORMAT_TYPEMASK, format & SF_FORMAT_SUBMASK}) {
    SF_FORMAT_INFO info = {};
    info.format = part;
    if (sf_command(nullptr, SFC_GET_FORMAT_INFO, &info, sizeof(info)) != 0 || info.name == nullptr) continue;
    text += (text.empty() ? "" : ", ") + std::string(info.name);
  }
  return text;
}

class SndfileDecoder : public Decoder {
 public:
  SndfileDecoder(SNDFILE* file, const SF_INFO& info, const std::string& name) : file_(file), name_(name) {
    format_.sample_rate_hz = info.samplerate;
    format_.num_channels = info.channels;
    // libsndfile says SF_COUNT_MAX when it does not know.
    format_.num_frames = info.frames >= 0 && info.frames < SF_COUNT_MAX ? static_cast<int64_t>(info.frames) : -1;
    format_.description = describe(info.format);
  }
  ~SndfileDecoder() override { sf_close(file_); }

  size_t read(float* interleaved, size_t max_frames) override {
    const sf_count_t done = sf_readf_float(file_, interleaved, static_cast<sf_count_t>(max_frames));
    if (done > 0) {
      num_frames_read_ += done;
      return static_cast<size_t>(done);
    }
    if (sf_error(file_) != SF_ERR_NO_ERROR) {
      throw Error(ExitCode::kBadFile, name_ + ": cannot be decoded after " + std::to_string(num_frames_read_) +
                                          " samples (" + sf_strerror(file_) + "); the file is damaged");
    }
    return 0;
  }

 private:
  SNDFILE* file_;
  std::string name_;
  int64_t num_frames_read_ = 0;
};

}  // namespace

std::unique_ptr<Decoder> open_sndfile_decoder(ByteSource& source, const std::string& name, std::string& reason) {
  SF_VIRTUAL_IO io = {get_length, seek_source, read_source, write_nothing, tell_source};
  SF_INFO info = {};
  source.seek(0);
  SNDFILE* file = sf_open_virtual(&io, SFM_READ, &info, &source);
  if (file == nullptr) {
    reason = sf_strerror(nullptr);
    while (!reason.empty() && (reason.back() == '\n' || reason.back() == '.')) reason.pop_back();
    return nullptr;
  }
  auto decoder = std::make_unique<SndfileDecoder>(file, info, name);
  check_limits(decoder->format(), name);
  return decoder;
}

}  // namespace vqcodec::audio
