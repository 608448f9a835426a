#include "generate/low_band.h"

#include <algorithm>
#include <cmath>

#include "base/counter_random.h"
#include "eval/pitch.h"
#include "tests/base/expect_error.h"
#include "tests/generate/shipped_model.h"

namespace vqcodec::generate {
namespace {

using testing::HasSubstr;

// With all bins it is the decoder; with few it is what a low-pass leaves of that.
TEST(LowBand, IsWhatTheDecoderGivesBelow) {
  const int num_codebooks = 5;
  std::vector<uint16_t> codes;
  for (uint64_t i = 0; i < 40 * num_codebooks; ++i)
    codes.push_back(static_cast<uint16_t>(CounterRandom(1, 2, i / 2).next() % 1024));
  const std::vector<float> whole = decode_bass(codes, num_codebooks);
  const LowBand all(shipped(), kBassSlot, num_codebooks, 1);
  const std::vector<float> same = all.decode(codes);
  ASSERT_EQ(same.size(), whole.size());
  double energy = 0, error = 0;
  for (size_t i = 0; i < whole.size(); ++i) {
    energy += double{whole[i]} * whole[i];
    error += (double{whole[i]} - same[i]) * (double{whole[i]} - same[i]);
  }
  EXPECT_GT(energy, 1e-3);
  EXPECT_LT(error, 1e-9 * energy);

  const LowBand low(shipped(), kBassSlot, num_codebooks, 8);
  EXPECT_EQ(low.sample_rate_hz(), 44100 / 8.0);
  const std::vector<float> few = low.decode(codes);
  ASSERT_EQ(few.size(), whole.size() / 8);
  // Every eighth sample of a low-pass at 0.9 of the new band, so at 8 i; the others are at 8 i + 3.5. Interpolated by shifting
  // the input: the mean of the samples 3 and 4 later.
  std::vector<float> shifted(whole.size());
  for (size_t i = 0; i + 4 < whole.size(); ++i) shifted[i] = (whole[i + 3] + whole[i + 4]) / 2;
  const std::vector<float> filtered = eval::decimate(shifted, 8);
  double along = 0, a = 0, b = 0;
  for (size_t i = 100; i + 100 < few.size(); ++i) {
    along += double{few[i]} * filtered[i];
    a += double{few[i]} * few[i];
    b += double{filtered[i]} * filtered[i];
  }
  EXPECT_GT(along / std::sqrt(a * b), 0.98);
  EXPECT_NEAR(a / b, 1, 0.1);
}

TEST(LowBand, AmplitudesAreOfFramesAndSilenceHasNoCodes) {
  const LowBand low(shipped(), kBassSlot, 2, 8);
  std::vector<uint16_t> codes;
  for (uint64_t i = 0; i < 2 * 300; ++i) codes.push_back(static_cast<uint16_t>(CounterRandom(1, 3, i).next() % 1024));
  const std::vector<float> whole = low.decode(codes), half = low.decode(codes, std::vector<float>(300, 0.5F));
  ASSERT_EQ(half.size(), whole.size());
  for (size_t i = 0; i < whole.size(); ++i) ASSERT_NEAR(half[i], 0.5F * whole[i], 1e-6F) << i;
  std::vector<float> amplitudes(300, 1);
  std::fill(amplitudes.begin() + 200, amplitudes.end(), 0.0F);
  std::vector<uint16_t> other = codes;
  std::fill(other.begin() + 400, other.end(), uint16_t{9});
  const std::vector<float> begun = low.decode(codes, amplitudes);
  EXPECT_EQ(low.decode(other, amplitudes), begun);
  for (size_t i = 0; i < begun.size(); ++i) {
    if (i < 128 * 150 || i >= 128 * 200) {
      ASSERT_EQ(begun[i], i < 128 * 150 ? whole[i] : 0) << i;
    }
  }
}

TEST(LowBand, TheRateIsAtLeastTheOneAskedFor) {
  EXPECT_EQ(LowBand::factor_for(shipped()->config(), 4000), 8);
  EXPECT_EQ(LowBand::factor_for(shipped()->config(), 11000), 4);
  EXPECT_EQ(LowBand::factor_for(shipped()->config(), 11025), 4);
  EXPECT_EQ(LowBand::factor_for(shipped()->config(), 50000), 1);
  EXPECT_EQ(LowBand::factor_for(shipped()->config(), 1), 64);
}

TEST(LowBand, WhatDoesNotFitIsRefused) {
  EXPECT_ERROR(LowBand(shipped(), kBassSlot, 13, 8), ExitCode::kInternal, HasSubstr("low band"));
  EXPECT_ERROR(LowBand(shipped(), 4, 12, 8), ExitCode::kInternal, HasSubstr("low band"));
  EXPECT_ERROR(LowBand(shipped(), kBassSlot, 12, 6), ExitCode::kInternal, HasSubstr("low band"));
  EXPECT_ERROR(LowBand(shipped(), kBassSlot, 12, 128), ExitCode::kInternal, HasSubstr("low band"));
}

}  // namespace
}  // namespace vqcodec::generate
