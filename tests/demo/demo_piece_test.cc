// The piece of music under demo/ is what its README says: four audible sources that sum to it exactly.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "audio/reader.h"

namespace vqcodec::audio {
namespace {

constexpr int kSampleRateHz = 44100;
constexpr int kMinSeconds = 20;
const std::vector<std::string> kSources = {"vocals", "bass", "drums", "other"};

std::string demo_path(const std::string& name) {
  const char* root = std::getenv("VQCODEC_SOURCE_DIR");
  if (root == nullptr) throw std::runtime_error("VQCODEC_SOURCE_DIR is not set; run by ctest");
  return std::string(root) + "/demo/" + name;
}

// [num_frames, 2] interleaved, as the 16-bit file has them. Expects stereo at 44.1 kHz.
std::vector<int> read_samples(const std::string& name) {
  const auto reader = AudioReader::open(demo_path(name), {.sample_rate_hz = 0});
  EXPECT_EQ(reader->info().source_sample_rate_hz, kSampleRateHz) << name;
  EXPECT_EQ(reader->info().source_num_channels, 2) << name;
  std::vector<int> samples;
  std::vector<float> block(size_t{2} * kSampleRateHz);
  for (size_t num_frames = 1; num_frames > 0;) {
    num_frames = reader->read(block);
    for (size_t i = 0; i < 2 * num_frames; ++i) {
      const float scaled = block[i] * 32768.0F;
      const int sample = static_cast<int>(std::lrint(scaled));
      EXPECT_EQ(scaled, static_cast<float>(sample)) << name << " is not of 16 bits";
      samples.push_back(sample);
    }
  }
  EXPECT_EQ(reader->num_bad_samples(), 0) << name;
  EXPECT_EQ(reader->num_damaged_packets(), 0) << name;
  return samples;
}

double rms_dbfs(const std::vector<int>& samples) {
  double power = 1e-9;
  for (const int sample : samples) power += static_cast<double>(sample) * sample;
  return 10 * std::log10(power / static_cast<double>(samples.size())) - 20 * std::log10(32768.0);
}

double peak_dbfs(const std::vector<int>& samples) {
  int peak = 1;
  for (const int sample : samples) peak = std::max(peak, std::abs(sample));
  return 20 * std::log10(peak / 32768.0);
}

TEST(DemoPiece, IsLongEnoughAndLeavesOneDecibelOfRoom) {
  const auto piece = read_samples("piece.flac");
  EXPECT_GE(piece.size(), size_t{2} * kMinSeconds * kSampleRateHz);
  EXPECT_NEAR(peak_dbfs(piece), -1.0, 0.05);
  EXPECT_GT(rms_dbfs(piece), -20.0);
}

TEST(DemoPiece, EverySourceIsAudible) {
  for (const auto& source : kSources) {
    const auto stem = read_samples("stems/" + source + ".flac");
    EXPECT_GT(rms_dbfs(stem), -24.0) << source;
    EXPECT_LT(peak_dbfs(stem), 0.0) << source;
  }
}

TEST(DemoPiece, StemsSumToThePieceExactly) {
  const auto piece = read_samples("piece.flac");
  std::vector<int> sum(piece.size(), 0);
  for (const auto& source : kSources) {
    const auto stem = read_samples("stems/" + source + ".flac");
    ASSERT_EQ(stem.size(), piece.size()) << source;
    for (size_t i = 0; i < stem.size(); ++i) sum[i] += stem[i];
  }
  const auto [summed, wanted] = std::mismatch(sum.begin(), sum.end(), piece.begin());
  EXPECT_TRUE(summed == sum.end()) << "sample " << summed - sum.begin() << ": " << *summed << ", piece has " << *wanted;
}

}  // namespace
}  // namespace vqcodec::audio
