#include "audio/writer.h"

#include <sndfile.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cerrno>
#include <cmath>
#include <filesystem>
#include <vector>

#include "audio/decoder.h"
#include "base/atomic_file.h"
#include "base/error.h"

namespace vqcodec::audio {
namespace {

static_assert(std::endian::native == std::endian::little, "samples go to the file as they are in memory");

constexpr size_t kBlockSamples = 16384;
constexpr uint32_t kUnknownSize = 0xFFFFFFFF;
constexpr int kMaxFlacSampleRateHz = 655350;
constexpr int kMaxFlacChannels = 8;

int bits_of(SampleFormat format) {
  return format == SampleFormat::kPcm16 ? 16 : format == SampleFormat::kPcm24 ? 24 : 32;
}

class WavWriter : public AudioWriter {
 public:
  WavWriter(const std::string& path, const WriterOptions& options) : options_(options), file_(path, options.force) {
    write_header(false);
  }

  void write(std::span<const float> interleaved) override {
    const int num_bits = bits_of(options_.sample_format);
    const auto sample_bytes = static_cast<size_t>(num_bits / 8);
    while (!interleaved.empty()) {
      const auto part = interleaved.first(std::min(kBlockSamples, interleaved.size()));
      interleaved = interleaved.subspan(part.size());
      bytes_.resize(part.size() * sample_bytes);
      uint8_t* next = bytes_.data();
      for (const float sample : part) {
        const uint32_t value = options_.sample_format == SampleFormat::kFloat32
                                   ? std::bit_cast<uint32_t>(sample)
                                   : static_cast<uint32_t>(quantize(sample, num_bits));
        for (size_t i = 0; i < sample_bytes; ++i) *next++ = static_cast<uint8_t>(value >> (8 * i));
      }
      file_.write(bytes_.data(), bytes_.size());
      num_data_bytes_ += bytes_.size();
    }
  }

  void finish() override {
    if (file_.is_seekable()) {
      if (num_data_bytes_ % 2 != 0) file_.write("", 1);  // chunks begin at even bytes
      write_header(true);
    }
    file_.commit();
  }

 private:
  void put_tag(const char* tag) { header_.insert(header_.end(), tag, tag + 4); }
  void put(uint64_t value, int num_bytes) {
    for (int i = 0; i < num_bytes; ++i) header_.push_back(static_cast<uint8_t>(value >> (8 * i)));
  }

  // Always of the same length: RIFF, room for ds64, fmt, fact (float only), data.
  void write_header(bool is_final) {
    const bool is_float = options_.sample_format == SampleFormat::kFloat32;
    const int num_bits = bits_of(options_.sample_format);
    const auto frame_bytes = static_cast<uint64_t>(options_.num_channels) * static_cast<uint64_t>(num_bits / 8);
    const uint64_t header_bytes = is_float ? 94 : 80;
    const uint64_t riff_bytes = header_bytes - 8 + num_data_bytes_ + num_data_bytes_ % 2;
    const uint64_t num_frames = num_data_bytes_ / frame_bytes;
    const bool is_rf64 = is_final && riff_bytes > std::min<uint64_t>(options_.max_riff_bytes, kUnknownSize - 1);
    const bool has_sizes = is_final && !is_rf64;
    // A file that will get its sizes says 0 until then: nobody should take it for whole.
    const uint32_t open_size = is_rf64 || !file_.is_seekable() ? kUnknownSize : 0;
    const auto size = [&](uint64_t value) { return has_sizes ? value : open_size; };

    header_.clear();
    put_tag(is_rf64 ? "RF64" : "RIFF");
    put(size(riff_bytes), 4);
    put_tag("WAVE");
    put_tag(is_rf64 ? "ds64" : "JUNK");
    put(28, 4);
    put(is_rf64 ? riff_bytes : 0, 8);
    put(is_rf64 ? num_data_bytes_ : 0, 8);
    put(is_rf64 ? num_frames : 0, 8);
    put(0, 4);  // no table of other chunks' sizes
    put_tag("fmt ");
    put(is_float ? 18 : 16, 4);
    put(is_float ? 3 : 1, 2);
    put(static_cast<uint64_t>(options_.num_channels), 2);
    put(static_cast<uint64_t>(options_.sample_rate_hz), 4);
    put(static_cast<uint64_t>(options_.sample_rate_hz) * frame_bytes, 4);
    put(frame_bytes, 2);
    put(static_cast<uint64_t>(num_bits), 2);
    if (is_float) {
      put(0, 2);  // no extension
      put_tag("fact");
      put(4, 4);
      put(size(num_frames), 4);
    }
    put_tag("data");
    put(size(num_data_bytes_), 4);
    if (is_final) {
      file_.write_at(0, header_.data(), header_.size());
    } else {
      file_.write(header_.data(), header_.size());
    }
  }

  WriterOptions options_;
  AtomicFile file_;
  uint64_t num_data_bytes_ = 0;
  std::vector<uint8_t> header_;
  std::vector<uint8_t> bytes_;
};

class FlacWriter : public AudioWriter {
 public:
  FlacWriter(const std::string& path, const WriterOptions& options) : options_(options), file_(path, options.force) {
    if (!file_.is_seekable()) {
      throw Error(ExitCode::kUsage,
                  path + ": is a pipe, and FLAC cannot be written there; give a file, or \"-\" for WAV");
    }
    SF_VIRTUAL_IO io = {get_length, seek, read, write_bytes, tell};
    SF_INFO info = {};
    info.samplerate = options.sample_rate_hz;
    info.channels = options.num_channels;
    info.format =
        SF_FORMAT_FLAC | (options.sample_format == SampleFormat::kPcm16 ? SF_FORMAT_PCM_16 : SF_FORMAT_PCM_24);
    flac_ = sf_open_virtual(&io, SFM_WRITE, &info, this);
    if (flac_ == nullptr) {
      throw Error(ExitCode::kInternal, path + ": libsndfile refuses to write FLAC (" + sf_strerror(nullptr) + ")");
    }
    double level = options.flac_level / 8.0;
    sf_command(flac_, SFC_SET_COMPRESSION_LEVEL, &level, sizeof level);
  }
  ~FlacWriter() override {
    if (flac_ != nullptr) sf_close(flac_);
  }

  void write(std::span<const float> interleaved) override {
    const int num_bits = bits_of(options_.sample_format);
    const auto num_channels = static_cast<size_t>(options_.num_channels);
    const size_t max_samples = kBlockSamples / num_channels * num_channels;
    while (!interleaved.empty()) {
      const auto part = interleaved.first(std::min(max_samples, interleaved.size()));
      interleaved = interleaved.subspan(part.size());
      steps_.clear();
      // libsndfile takes the upper bits of an int32.
      for (const float sample : part) steps_.push_back(quantize(sample, num_bits) * (1 << (32 - num_bits)));
      const auto count = static_cast<sf_count_t>(steps_.size());
      const bool is_written = sf_write_int(flac_, steps_.data(), count) == count;
      if (error_number_ != 0) file_.throw_write_error(error_number_);
      if (!is_written) throw_flac_error(sf_strerror(flac_));
    }
  }

  void finish() override {
    // Without a sample libsndfile would not even write the header.
    if (size_ == 0) sf_command(flac_, SFC_UPDATE_HEADER_NOW, nullptr, 0);
    const int code = sf_close(flac_);
    flac_ = nullptr;
    if (error_number_ != 0) file_.throw_write_error(error_number_);
    if (code != 0) throw_flac_error(sf_error_number(code));
    file_.commit();
  }

 private:
  [[noreturn]] void throw_flac_error(const char* reason) const {
    throw Error(ExitCode::kIo, file_.path() + ": cannot be written as FLAC (" + reason + ")");
  }

  static FlacWriter& self(void* user_data) { return *static_cast<FlacWriter*>(user_data); }
  static sf_count_t get_length(void* user_data) noexcept { return self(user_data).size_; }
  static sf_count_t tell(void* user_data) noexcept { return self(user_data).position_; }
  static sf_count_t seek(sf_count_t offset, int whence, void* user_data) noexcept {
    FlacWriter& writer = self(user_data);
    const sf_count_t base = whence == SEEK_CUR ? writer.position_ : whence == SEEK_END ? writer.size_ : 0;
    if (base + offset < 0) return -1;
    return writer.position_ = base + offset;
  }
  static sf_count_t read(void*, sf_count_t, void*) noexcept { return 0; }
  static sf_count_t write_bytes(const void* bytes, sf_count_t count, void* user_data) noexcept {
    FlacWriter& writer = self(user_data);
    if (writer.error_number_ != 0) return 0;
    try {
      writer.file_.write_at(static_cast<size_t>(writer.position_), bytes, static_cast<size_t>(count));
    } catch (const std::exception&) {
      writer.error_number_ = errno == 0 ? EIO : errno;
      return 0;
    }
    writer.position_ += count;
    writer.size_ = std::max(writer.size_, writer.position_);
    return count;
  }

  WriterOptions options_;
  AtomicFile file_;
  SNDFILE* flac_ = nullptr;
  sf_count_t position_ = 0;
  sf_count_t size_ = 0;
  int error_number_ = 0;
  std::vector<int> steps_;
};

}  // namespace

int32_t AudioWriter::quantize(float sample, int num_bits) {
  if (!(sample >= -1.0F && sample <= 1.0F)) {
    ++num_clipped_samples_;
    if (std::isnan(sample)) return 0;
    sample = std::clamp(sample, -1.0F, 1.0F);
  }
  const double full_scale = static_cast<double>(int64_t{1} << (num_bits - 1));
  return static_cast<int32_t>(std::min(std::nearbyint(static_cast<double>(sample) * full_scale), full_scale - 1));
}

std::unique_ptr<AudioWriter> AudioWriter::open(const std::string& path, const WriterOptions& options) {
  std::string extension = std::filesystem::path(path).extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const bool is_flac = extension == ".flac";
  // /dev/null and its like have no extension and take WAV.
  std::error_code code;
  const bool is_special = path == "-" || std::filesystem::is_other(path, code);
  if (!is_flac && extension != ".wav" && !is_special) {
    throw Error(ExitCode::kUsage, path + ": its extension \"" + extension +
                                      "\" names no format that can be written; use .wav or .flac, or \"-\" for WAV on "
                                      "standard output");
  }
  if (is_flac && options.sample_format == SampleFormat::kFloat32) {
    throw Error(ExitCode::kUsage, path + ": FLAC has no float samples; use 16 or 24 bits, or .wav");
  }
  const int max_rate_hz = is_flac ? kMaxFlacSampleRateHz : kMaxSampleRateHz;
  const int max_channels = is_flac ? kMaxFlacChannels : kMaxNumChannels;
  if (options.sample_rate_hz < kMinSampleRateHz || options.sample_rate_hz > max_rate_hz || options.num_channels < 1 ||
      options.num_channels > max_channels) {
    throw Error(ExitCode::kUsage, path + ": cannot hold " + std::to_string(options.sample_rate_hz) + " Hz and " +
                                      std::to_string(options.num_channels) + " channel(s); expected " +
                                      std::to_string(kMinSampleRateHz) + " to " + std::to_string(max_rate_hz) +
                                      " Hz and 1 to " + std::to_string(max_channels));
  }
  if (is_flac) return std::make_unique<FlacWriter>(path, options);
  return std::make_unique<WavWriter>(path, options);
}

}  // namespace vqcodec::audio
