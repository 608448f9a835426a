// Small audio files for the tests, made by libsndfile and by the ffmpeg program, and ways to read them.
#pragma once

#include <gtest/gtest.h>
#include <sndfile.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "audio/reader.h"
#include "tests/base/temp_dir.h"

namespace vqcodec::audio {

// [num_frames, num_channels] in (-0.5, 0.5), smooth enough for lossy codecs; seeded by its size.
inline std::vector<float> make_noise(size_t num_frames, size_t num_channels) {
  std::mt19937 random(static_cast<uint32_t>(num_frames * 31 + num_channels));
  std::vector<float> samples(num_frames * num_channels);
  for (size_t c = 0; c < num_channels; ++c) {
    float once = 0.0F;
    float twice = 0.0F;
    for (size_t i = 0; i < num_frames; ++i) {
      const float white = static_cast<float>(random()) / 4294967296.0F - 0.5F;
      once += 0.1F * (white - once);
      twice += 0.1F * (once - twice);
      samples[i * num_channels + c] = 2.0F * twice;
    }
  }
  return samples;
}

// As libsndfile writes it; `format` is SF_FORMAT_WAV | SF_FORMAT_PCM_16 and the like.
inline void write_sndfile(const std::string& path, int format, int sample_rate_hz, int num_channels,
                          const std::vector<float>& interleaved, const std::vector<int>& channel_map = {}) {
  SF_INFO info = {};
  info.samplerate = sample_rate_hz;
  info.channels = num_channels;
  info.format = format;
  SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
  if (file == nullptr) throw std::runtime_error(path + ": " + sf_strerror(nullptr));
  if (!channel_map.empty()) {
    auto map = channel_map;
    sf_command(file, SFC_SET_CHANNEL_MAP_INFO, map.data(), static_cast<int>(map.size() * sizeof(int)));
  }
  const auto count = static_cast<sf_count_t>(interleaved.size());
  const bool is_written = sf_write_float(file, interleaved.data(), count) == count;
  sf_close(file);
  if (!is_written) throw std::runtime_error(path + ": libsndfile cannot write");
}

inline bool has_ffmpeg() { return std::system("ffmpeg -hide_banner -version >/dev/null 2>&1") == 0; }

// `arguments` go between the program's name and the end.
inline void run_ffmpeg(const std::string& arguments) {
  const std::string command = "ffmpeg -nostdin -hide_banner -loglevel error -y " + arguments + " </dev/null";
  if (std::system(command.c_str()) != 0) throw std::runtime_error("fails: " + command);
}

struct Audio {
  std::vector<float> samples;  // interleaved stereo
  AudioInfo info;
  int64_t estimated_num_frames = -1;
  int64_t num_bad_samples = 0;
  int64_t num_damaged_packets = 0;
  size_t num_frames() const { return samples.size() / 2; }
};

inline Audio read_all(AudioReader& reader, size_t block_frames = 1000) {
  Audio audio;
  audio.info = reader.info();
  audio.estimated_num_frames = reader.estimated_num_frames();
  std::vector<float> block(2 * block_frames);
  for (;;) {
    const size_t done = reader.read(block);
    audio.samples.insert(audio.samples.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(2 * done));
    if (done < block_frames) break;
  }
  EXPECT_EQ(reader.read(block), 0U) << "after the end";
  audio.num_bad_samples = reader.num_bad_samples();
  audio.num_damaged_packets = reader.num_damaged_packets();
  return audio;
}

inline Audio read_all(const std::string& path, const ReaderOptions& options = {.sample_rate_hz = 0}) {
  return read_all(*AudioReader::open(path, options));
}

inline std::vector<float> to_stereo(const std::vector<float>& mono) {
  std::vector<float> stereo;
  for (const float sample : mono) stereo.insert(stereo.end(), 2, sample);
  return stereo;
}

// 10 log10 of the power of `expected` over that of the difference, over the length of the shorter.
inline double snr_db(std::span<const float> expected, std::span<const float> actual) {
  double power = 1e-30;
  double error = 1e-30;
  for (size_t i = 0; i < std::min(expected.size(), actual.size()); ++i) {
    power += static_cast<double>(expected[i]) * expected[i];
    const double difference = static_cast<double>(expected[i]) - actual[i];
    error += difference * difference;
  }
  return 10 * std::log10(power / error);
}

}  // namespace vqcodec::audio
