// Opus in process: as long as the input and where the input lay, at about the rate asked for, and in a file that other
// programs read.
#include "eval/opus_codec.h"

#include <cmath>
#include <fstream>
#include <numeric>

#include <gtest/gtest.h>

#include "audio/reader.h"
#include "base/error.h"
#include "eval/distances.h"
#include "tests/base/temp_dir.h"

namespace vqcodec::eval {
namespace {

// Tones that glide, different left and right, with noise bursts; interleaved.
std::vector<float> make_music(int sample_rate_hz, size_t num_samples) {
  std::vector<float> samples(2 * num_samples);
  uint64_t state = 5;
  for (size_t i = 0; i < num_samples; ++i) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    const double t = static_cast<double>(i) / sample_rate_hz;
    const double noise = static_cast<double>(state >> 40) / 16777216 - 0.5;
    const double burst = 0.2 * noise * std::exp(-12 * std::fmod(t, 0.25));
    samples[2 * i] = static_cast<float>(0.3 * std::sin(2 * M_PI * (220 * t + 40 * t * t)) + burst);
    samples[2 * i + 1] = static_cast<float>(0.2 * std::sin(2 * M_PI * 330 * t) - burst);
  }
  return samples;
}

TEST(OpusCodec, GivesWhatItGotAtItsPlace) {
  for (const int rate : {44100, 48000, 32000}) {
    const auto music = make_music(rate, static_cast<size_t>(3 * rate) + 17);
    const OpusStream stream = encode_opus(music, rate, 128000);
    EXPECT_EQ(stream.pre_skip_samples, 312);
    const auto decoded = decode_opus(stream);
    ASSERT_EQ(decoded.size(), music.size());
    const double db = si_sdr_db(music, decoded);
    EXPECT_GT(db, 12) << rate;
    // One sample late or early is worse.
    const std::span<const float> all(decoded);
    const std::span<const float> original(music);
    EXPECT_LT(si_sdr_db(original.subspan(2), all.first(all.size() - 2)), db) << rate;
    EXPECT_LT(si_sdr_db(original.first(all.size() - 2), all.subspan(2)), db) << rate;
  }
}

TEST(OpusCodec, TakesAboutTheRateThatWasAskedFor) {
  const auto music = make_music(44100, 10 * 44100);
  int64_t last = 0;
  double last_db = -100;
  for (const int bitrate : {6000, 12000, 24000, 64000}) {
    const OpusStream stream = encode_opus(music, 44100, bitrate);
    const double bps = static_cast<double>(stream.packet_bytes()) * 8 / 10;
    EXPECT_GT(bps, 0.5 * bitrate);
    EXPECT_LT(bps, 2 * bitrate);  // unconstrained: more for music that is hard to code
    EXPECT_GT(stream.packet_bytes(), last);
    last = stream.packet_bytes();
    const double db = si_sdr_db(music, decode_opus(stream));
    EXPECT_GT(db, last_db - 3) << bitrate;
    last_db = db;
  }
  EXPECT_THROW(encode_opus(music, 44100, 499), Error);
  EXPECT_THROW(encode_opus(music, 44100, 512001), Error);
}

TEST(OpusCodec, FileIsReadByOthersWithTheSameSamples) {
  const TempDir dir;
  // At 512 kbit/s packets are of several segments, and pages end before a second is full.
  for (const int bitrate : {8000, 64000, 512000}) {
    const auto music = make_music(48000, 3 * 48000 + 501);
    const OpusStream stream = encode_opus(music, 48000, bitrate);
    const auto file = ogg_opus_file(stream);
    const std::string path = dir / (std::to_string(bitrate) + ".opus");
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(file.data()), static_cast<std::streamsize>(file.size()));
    const auto reader = audio::AudioReader::open(path, {.sample_rate_hz = 0});
    EXPECT_EQ(reader->info().source_sample_rate_hz, 48000);
    std::vector<float> read(music.size() + 9600);
    const size_t count = reader->read(read);
    EXPECT_EQ(count, music.size() / 2);
    EXPECT_EQ(reader->num_damaged_packets(), 0);
    read.resize(2 * count);
    const auto decoded = decode_opus(stream);
    ASSERT_EQ(decoded.size(), read.size());
    for (size_t i = 0; i < read.size(); ++i) ASSERT_NEAR(read[i], decoded[i], 1e-3) << bitrate << ' ' << i;
    if (bitrate > 64000) continue;
    // Two pages of headers, then one a second: 27 bytes each, and a byte for each packet below 255 bytes.
    const size_t headers = 27 + 1 + 19 + 27 + 1 + 16 + opus_version().size();
    const size_t num_pages = (stream.packets.size() + 49) / 50;
    size_t packets = 0, segments = 0;
    for (const auto& packet : stream.packets) {
      packets += packet.size();
      segments += packet.size() / 255 + 1;
    }
    EXPECT_EQ(file.size(), headers + 27 * num_pages + segments + packets);
    EXPECT_EQ(static_cast<int64_t>(packets), stream.packet_bytes());
  }
}

TEST(OpusCodec, TakesSilenceAndVeryShortInput) {
  for (const size_t num_samples : {0, 1, 100, 5000}) {
    const std::vector<float> silence(2 * num_samples);
    const OpusStream stream = encode_opus(silence, 44100, 16000);
    const auto decoded = decode_opus(stream);
    ASSERT_EQ(decoded.size(), silence.size());
    for (const float value : decoded) EXPECT_NEAR(value, 0, 1e-4);
    EXPECT_GT(ogg_opus_file(stream).size(), 80U);
  }
}

}  // namespace
}  // namespace vqcodec::eval
