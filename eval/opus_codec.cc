#include "eval/opus_codec.h"

#include <opus.h>

#include <algorithm>
#include <array>
#include <memory>

#include "audio/resampler.h"
#include "base/error.h"

namespace vqcodec::eval {

namespace {

constexpr int kOpusRateHz = 48000;
constexpr int kPacketSamples = 960;
constexpr size_t kMaxPacketBytes = 1275 * 3;  // RFC 6716: a packet of 20 ms is smaller
constexpr int64_t kPageSamples = kOpusRateHz;
constexpr size_t kMaxPageSegments = 255;

// What libopus returns where it returns an error below 0.
int checked(int result, const char* what) {
  if (result < 0) throw Error(ExitCode::kInternal, std::string("libopus: ") + what + ": " + opus_strerror(result));
  return result;
}

// Stereo at another rate, with `num_out` samples a channel.
std::vector<float> resample(std::span<const float> in, int in_hz, int out_hz, int64_t num_out) {
  std::vector<float> out;
  if (in_hz == out_hz) {
    out.assign(in.begin(), in.end());
  } else {
    out.resize(2 * static_cast<size_t>(num_out) + 64);
    audio::Resampler resampler(in_hz, out_hz);
    size_t num_written = 0;
    while (!in.empty()) {
      const auto step = resampler.process(in, std::span(out).subspan(2 * num_written));
      num_written += step.num_frames_written;
      in = in.subspan(2 * step.num_frames_read);
      if (step.num_frames_read == 0 && step.num_frames_written == 0) break;  // `out` is full: the rest is cut off
    }
    while (const size_t count = resampler.flush(std::span(out).subspan(2 * num_written))) num_written += count;
    out.resize(2 * num_written);
  }
  out.resize(2 * static_cast<size_t>(num_out));
  return out;
}

// Ogg's CRC: polynomial 0x04C11DB7, most significant bit first, from 0 (RFC 3533).
uint32_t ogg_crc(std::span<const uint8_t> bytes) {
  static const auto table = [] {
    std::array<uint32_t, 256> entries{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t value = i << 24;
      for (int bit = 0; bit < 8; ++bit) value = (value << 1) ^ ((value >> 31) * 0x04C11DB7U);
      entries[i] = value;
    }
    return entries;
  }();
  uint32_t crc = 0;
  for (const uint8_t byte : bytes) crc = (crc << 8) ^ table[(crc >> 24) ^ byte];
  return crc;
}

void put(std::vector<uint8_t>& out, uint64_t value, int num_bytes) {
  for (int i = 0; i < num_bytes; ++i) out.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

void put(std::vector<uint8_t>& out, std::string_view text) {
  for (const char c : text) out.push_back(static_cast<uint8_t>(c));
}

size_t num_segments(size_t packet_bytes) { return packet_bytes / 255 + 1; }

constexpr uint8_t kFirstPage = 2, kLastPage = 4;

void put_page(std::vector<uint8_t>& file, std::span<const std::vector<uint8_t>> packets, int64_t granule,
              uint32_t number, uint8_t flags) {
  const size_t begin = file.size();
  put(file, "OggS");
  put(file, 0, 1);
  put(file, flags, 1);
  put(file, static_cast<uint64_t>(granule), 8);
  put(file, 1, 4);  // serial number of the stream
  put(file, number, 4);
  put(file, 0, 4);  // CRC, below
  size_t count = 0;
  for (const auto& packet : packets) count += num_segments(packet.size());
  put(file, count, 1);
  for (const auto& packet : packets) {
    file.insert(file.end(), packet.size() / 255, 255);
    put(file, packet.size() % 255, 1);
  }
  for (const auto& packet : packets) file.insert(file.end(), packet.begin(), packet.end());
  const uint32_t crc = ogg_crc(std::span(file).subspan(begin));
  for (size_t i = 0; i < 4; ++i) file[begin + 22 + i] = static_cast<uint8_t>(crc >> (8 * i));
}

}  // namespace

int64_t OpusStream::packet_bytes() const {
  int64_t sum = 0;
  for (const auto& packet : packets) sum += static_cast<int64_t>(packet.size());
  return sum;
}

OpusStream encode_opus(std::span<const float> interleaved, int sample_rate_hz, int bitrate_bps) {
  if (bitrate_bps < 500 || bitrate_bps > 512000) {
    throw Error(ExitCode::kUsage, "Opus at " + std::to_string(bitrate_bps) + " bit/s: expected 500 to 512000");
  }
  OpusStream stream;
  stream.sample_rate_hz = sample_rate_hz;
  stream.num_samples = static_cast<int64_t>(interleaved.size() / 2);
  stream.num_samples_48k = audio::resampled_num_frames(stream.num_samples, sample_rate_hz, kOpusRateHz);
  std::vector<float> samples = resample(interleaved, sample_rate_hz, kOpusRateHz, stream.num_samples_48k);

  int error = 0;
  const std::unique_ptr<OpusEncoder, decltype(&opus_encoder_destroy)> encoder(
      opus_encoder_create(kOpusRateHz, 2, OPUS_APPLICATION_AUDIO, &error), opus_encoder_destroy);
  checked(error, "encoder");
  checked(opus_encoder_ctl(encoder.get(), OPUS_SET_BITRATE(bitrate_bps)), "bitrate");
  checked(opus_encoder_ctl(encoder.get(), OPUS_SET_VBR(1)), "VBR");
  checked(opus_encoder_ctl(encoder.get(), OPUS_SET_VBR_CONSTRAINT(0)), "VBR");
  checked(opus_encoder_ctl(encoder.get(), OPUS_SET_COMPLEXITY(10)), "complexity");
  checked(opus_encoder_ctl(encoder.get(), OPUS_GET_LOOKAHEAD(&stream.pre_skip_samples)), "delay");

  const int64_t num_packets = (stream.num_samples_48k + stream.pre_skip_samples + kPacketSamples - 1) / kPacketSamples;
  samples.resize(2 * static_cast<size_t>(num_packets * kPacketSamples));
  std::vector<uint8_t> packet(kMaxPacketBytes);
  for (int64_t i = 0; i < num_packets; ++i) {
    const int num_bytes =
        checked(opus_encode_float(encoder.get(), &samples[2 * static_cast<size_t>(i * kPacketSamples)], kPacketSamples,
                                  packet.data(), static_cast<int>(packet.size())),
                "encoding");
    stream.packets.emplace_back(packet.begin(), packet.begin() + num_bytes);
  }
  return stream;
}

std::vector<float> decode_opus(const OpusStream& stream) {
  int error = 0;
  const std::unique_ptr<OpusDecoder, decltype(&opus_decoder_destroy)> decoder(opus_decoder_create(kOpusRateHz, 2,
                                                                                                  &error),
                                                                              opus_decoder_destroy);
  checked(error, "decoder");
  std::vector<float> samples(2 * kPacketSamples * stream.packets.size());
  size_t at = 0;
  for (const auto& packet : stream.packets) {
    const int count = checked(opus_decode_float(decoder.get(), packet.data(), static_cast<opus_int32>(packet.size()),
                                                &samples[at], kPacketSamples, 0),
                              "decoding");
    at += 2 * static_cast<size_t>(count);
  }
  const size_t skip = std::min(samples.size(), 2 * static_cast<size_t>(stream.pre_skip_samples));
  samples.erase(samples.begin(), samples.begin() + static_cast<std::ptrdiff_t>(skip));
  samples.resize(2 * static_cast<size_t>(stream.num_samples_48k));
  return resample(samples, kOpusRateHz, stream.sample_rate_hz, stream.num_samples);
}

std::vector<uint8_t> ogg_opus_file(const OpusStream& stream) {
  std::vector<uint8_t> head, tags;
  put(head, "OpusHead");
  put(head, 1, 1);  // version
  put(head, 2, 1);  // channels
  put(head, static_cast<uint64_t>(stream.pre_skip_samples), 2);
  put(head, static_cast<uint64_t>(stream.sample_rate_hz), 4);
  put(head, 0, 3);  // no gain, mapping family 0
  put(tags, "OpusTags");
  put(tags, opus_version().size(), 4);
  put(tags, opus_version());
  put(tags, 0, 4);

  std::vector<uint8_t> file;
  put_page(file, {&head, 1}, 0, 0, kFirstPage);
  put_page(file, {&tags, 1}, 0, 1, 0);
  uint32_t number = 2;
  const std::span all(stream.packets);
  for (size_t begin = 0; begin < all.size();) {
    size_t end = begin, segments = 0;
    while (end < all.size() && static_cast<int64_t>(end - begin) * kPacketSamples < kPageSamples &&
           segments + num_segments(all[end].size()) <= kMaxPageSegments) {
      segments += num_segments(all[end++].size());
    }
    const bool last = end == all.size();
    const int64_t granule =
        last ? stream.pre_skip_samples + stream.num_samples_48k : static_cast<int64_t>(end) * kPacketSamples;
    put_page(file, all.subspan(begin, end - begin), granule, number++, last ? kLastPage : uint8_t{0});
    begin = end;
  }
  return file;
}

std::string opus_version() { return opus_get_version_string(); }

}  // namespace vqcodec::eval
