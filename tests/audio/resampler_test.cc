#include "audio/resampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

namespace vqcodec::audio {
namespace {

// Through the resampler in blocks of `block_frames`, in and out.
std::vector<float> resample(const std::vector<float>& in, int in_hz, int out_hz, size_t block_frames) {
  Resampler resampler(in_hz, out_hz);
  std::vector<float> out;
  std::vector<float> block(2 * block_frames);
  std::span<const float> rest(in);
  while (!rest.empty()) {
    const auto progress = resampler.process(rest.first(std::min(rest.size(), 2 * block_frames)), block);
    rest = rest.subspan(2 * progress.num_frames_read);
    out.insert(out.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(2 * progress.num_frames_written));
  }
  while (const size_t count = resampler.flush(block)) {
    out.insert(out.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(2 * count));
  }
  return out;
}

// Left a sine, right a cosine, so that a shift in time or a swap of channels shows.
std::vector<float> tone(double frequency_hz, int sample_rate_hz, int64_t num_frames) {
  std::vector<float> samples;
  for (int64_t i = 0; i < num_frames; ++i) {
    const double phase = 2 * std::numbers::pi * frequency_hz * static_cast<double>(i) / sample_rate_hz;
    samples.push_back(static_cast<float>(0.5 * std::sin(phase)));
    samples.push_back(static_cast<float>(0.5 * std::cos(phase)));
  }
  return samples;
}

TEST(Resampler, NumFramesIsRoundedAndDoesNotOverflow) {
  EXPECT_EQ(resampled_num_frames(0, 48000, 44100), 0);
  EXPECT_EQ(resampled_num_frames(1, 48000, 44100), 1);
  EXPECT_EQ(resampled_num_frames(1, 192000, 44100), 0);
  EXPECT_EQ(resampled_num_frames(2, 8000, 44100), 11);
  EXPECT_EQ(resampled_num_frames(1, 2, 1), 1);  // a half, up
  EXPECT_EQ(resampled_num_frames(48000, 48000, 44100), 44100);
  EXPECT_EQ(resampled_num_frames(int64_t{1} << 40, 768000, 1000), 1431655765);
  EXPECT_EQ(resampled_num_frames(int64_t{768000} << 38, 768000, 768000), int64_t{768000} << 38);
}

struct Rates {
  int in_hz;
  int out_hz;
};

class ResamplerRatesTest : public testing::TestWithParam<Rates> {};

TEST_P(ResamplerRatesTest, ToneStaysInPhaseAtFullLevel) {
  const auto [in_hz, out_hz] = GetParam();
  const int64_t num_frames = in_hz + in_hz / 3 + 1;
  const auto out = resample(tone(997, in_hz, num_frames), in_hz, out_hz, 1000);
  ASSERT_EQ(static_cast<int64_t>(out.size()) / 2, resampled_num_frames(num_frames, in_hz, out_hz));
  const auto expected = tone(997, out_hz, static_cast<int64_t>(out.size()) / 2);
  const size_t edge = static_cast<size_t>(out_hz) / 10;  // the tone's sudden start and end ring
  for (size_t i = edge; i + edge < out.size(); ++i) ASSERT_NEAR(out[i], expected[i], 1e-4) << i;
}

TEST_P(ResamplerRatesTest, ImpulseStaysInPlace) {
  const auto [in_hz, out_hz] = GetParam();
  std::vector<float> in(2 * static_cast<size_t>(in_hz));
  const int64_t position = in_hz / 2;
  in[2 * static_cast<size_t>(position)] = 1.0F;  // left
  const auto out = resample(in, in_hz, out_hz, 777);
  size_t loudest = 0;
  for (size_t i = 0; i < out.size(); i += 2) {
    if (std::abs(out[i]) > std::abs(out[loudest])) loudest = i;
    ASSERT_EQ(out[i + 1], 0.0F);
  }
  EXPECT_EQ(static_cast<int64_t>(loudest / 2), resampled_num_frames(position, in_hz, out_hz));
}

TEST_P(ResamplerRatesTest, BlockSizeDoesNotMatter) {
  const auto [in_hz, out_hz] = GetParam();
  const auto in = tone(440, in_hz, in_hz / 4);
  const auto once = resample(in, in_hz, out_hz, 1 << 20);
  EXPECT_EQ(resample(in, in_hz, out_hz, 1), once);
  EXPECT_EQ(resample(in, in_hz, out_hz, 313), once);
}

TEST_P(ResamplerRatesTest, ShortInputsHaveTheExactLength) {
  const auto [in_hz, out_hz] = GetParam();
  for (int64_t num_frames : {0, 1, 2, 3, 10, 101, 4095, 4096, 4097}) {
    const auto out = resample(tone(100, in_hz, num_frames), in_hz, out_hz, 64);
    EXPECT_EQ(static_cast<int64_t>(out.size()) / 2, resampled_num_frames(num_frames, in_hz, out_hz)) << num_frames;
    EXPECT_TRUE(std::ranges::all_of(out, [](float x) { return std::abs(x) < 1.0F; })) << num_frames;
  }
}

INSTANTIATE_TEST_SUITE_P(Rates, ResamplerRatesTest,
                         testing::Values(Rates{48000, 44100}, Rates{8000, 44100}, Rates{192000, 44100},
                                         Rates{44100, 48000}, Rates{11025, 44100}),
                         [](const auto& test) {
                           return std::to_string(test.param.in_hz) + "To" + std::to_string(test.param.out_hz);
                         });

}  // namespace
}  // namespace vqcodec::audio
