// Files and codes for the tests of codec/.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "codec/code_grid.h"

namespace vqcodec::codec {

inline std::filesystem::path source_dir() {
  const char* dir = std::getenv("VQCODEC_SOURCE_DIR");
  return dir != nullptr ? dir : ".";
}

inline std::vector<uint8_t> read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file.is_open()) << path;
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::vector<uint8_t> golden(const std::string& name) {
  return read_bytes(source_dir() / "tests/data/golden" / (name + ".vqc"));
}

inline StreamInfo make_info(uint32_t num_sources = 2, uint32_t num_codebooks = 3, uint32_t codebook_size = 64,
                            uint32_t segment_frames = 16) {
  StreamInfo info;
  info.sample_rate_hz = 44100;
  info.num_channels = 2;
  info.hop_samples = 1024;
  for (uint32_t s = 0; s < num_sources; ++s) info.sources.push_back("source " + std::to_string(s));
  info.num_codebooks = num_codebooks;
  info.codebook_size = codebook_size;
  info.segment_frames = segment_frames;
  return info;
}

// Integers with P(i) as 1 / (i + 1)^exponent, i in [0, size): how often codes ordered by use occur. Exponent 0 is
// uniform.
class Zipf {
 public:
  Zipf(uint32_t size, double exponent) {
    std::vector<double> weights;
    for (uint32_t i = 0; i < size; ++i) weights.push_back(std::pow(i + 1.0, -exponent));
    distribution_ = std::discrete_distribution<uint32_t>(weights.begin(), weights.end());
  }
  uint16_t operator()(std::mt19937& random) { return static_cast<uint16_t>(distribution_(random)); }

 private:
  std::discrete_distribution<uint32_t> distribution_;
};

// [num_frames, num_codebooks]: Zipf codes, each the same as in the frame before with probability `repeat`.
inline std::vector<uint16_t> make_codes(uint32_t num_frames, uint32_t num_codebooks, uint32_t codebook_size,
                                        double exponent, double repeat, uint32_t seed) {
  std::mt19937 random(seed);
  Zipf zipf(codebook_size, exponent);
  std::bernoulli_distribution again(repeat);
  std::vector<uint16_t> codes(size_t{num_frames} * num_codebooks);
  for (size_t i = 0; i < codes.size(); ++i) {
    codes[i] = i >= num_codebooks && again(random) ? codes[i - num_codebooks] : zipf(random);
  }
  return codes;
}

}  // namespace vqcodec::codec
