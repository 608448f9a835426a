#include "runtime/fft.h"

#include <gtest/gtest.h>

#include <numbers>
#include <utility>

#include "tests/base/expect_error.h"
#include "tests/runtime/runtime_test_util.h"

namespace vqcodec::runtime {
namespace {

using ::testing::HasSubstr;

struct Spectra {
  std::vector<double> mdct, mdst;
};

// The definition in fft.h, term by term.
Spectra direct(const std::vector<float>& x, int hop) {
  const double pi = std::numbers::pi;
  Spectra spectra{std::vector<double>(static_cast<std::size_t>(hop)),
                  std::vector<double>(static_cast<std::size_t>(hop))};
  for (int k = 0; k < hop; ++k) {
    double c = 0, s = 0;
    for (int n = 0; n < 2 * hop; ++n) {
      const double windowed =
          std::sin(pi / (2.0 * hop) * (n + 0.5)) * static_cast<double>(x[static_cast<std::size_t>(n)]);
      const double phase = pi / hop * (n + 0.5 + hop / 2.0) * (k + 0.5);
      c += windowed * std::cos(phase);
      s += windowed * std::sin(phase);
    }
    spectra.mdct[static_cast<std::size_t>(k)] = std::sqrt(2.0 / hop) * c;
    spectra.mdst[static_cast<std::size_t>(k)] = std::sqrt(2.0 / hop) * s;
  }
  return spectra;
}

double rms(const std::vector<float>& x) {
  double sum = 0;
  for (float v : x) sum += static_cast<double>(v) * static_cast<double>(v);
  return std::sqrt(sum / static_cast<double>(x.size()));
}

TEST(Mclt, AgreesWithItsDefinition) {
  for (int hop : {16, 32, 64, 256, 1024}) {
    const std::vector<float> x = Noise(static_cast<uint32_t>(hop)).values(2 * hop);
    const Spectra exact = direct(x, hop);
    const auto size = static_cast<std::size_t>(hop);
    std::vector<float> mdct(size), mdst(size);
    Mclt mclt(hop);
    EXPECT_EQ(mclt.hop_samples(), hop);
    mclt.forward(x.data(), mdct.data(), mdst.data());
    const double tolerance = 1e-6 * rms(x) * std::sqrt(hop);
    for (std::size_t k = 0; k < size; ++k) {
      ASSERT_NEAR(mdct[k], exact.mdct[k], tolerance) << "hop " << hop << ", k " << k;
      ASSERT_NEAR(mdst[k], exact.mdst[k], tolerance) << "hop " << hop << ", k " << k;
    }
    // One alone is the same as both together.
    std::vector<float> alone(size);
    mclt.forward(x.data(), alone.data(), nullptr);
    EXPECT_TRUE(same_bits(alone, mdct));
    mclt.forward(x.data(), nullptr, alone.data());
    EXPECT_TRUE(same_bits(alone, mdst));
  }
}

TEST(Mclt, AWholeCosineOfABinHasItsEnergyThere) {
  constexpr int kHop = 512;
  constexpr int kBin = 40;
  std::vector<float> x(2 * kHop);
  for (int n = 0; n < 2 * kHop; ++n)
    x[static_cast<std::size_t>(n)] =
        static_cast<float>(std::cos(std::numbers::pi / kHop * (n + 0.5 + kHop / 2.0) * (kBin + 0.5)));
  std::vector<float> mdct(kHop), mdst(kHop);
  Mclt(kHop).forward(x.data(), mdct.data(), mdst.data());
  double total = 0, near = 0;
  for (int k = 0; k < kHop; ++k) {
    const auto at = static_cast<std::size_t>(k);
    const double power = static_cast<double>(mdct[at] * mdct[at] + mdst[at] * mdst[at]);
    total += power;
    if (std::abs(k - kBin) <= 2) near += power;
  }
  EXPECT_GT(near, 0.997 * total);  // 0.9979 by the definition
}

TEST(Mclt, InverseGivesTheSamplesBack) {
  for (int hop : {16, 128, 1024, 65536}) {
    const int frames = hop > 10000 ? 3 : 8;
    const auto size = static_cast<std::size_t>(hop);
    // Frame t begins at sample (t - 1) * hop: zeros before and after the signal.
    const std::vector<float> signal = Noise(2).values(int64_t{frames} * hop);
    std::vector<float> padded(size * static_cast<std::size_t>(frames + 2), 0.0f);
    std::copy(signal.begin(), signal.end(), padded.begin() + hop);
    Mclt mclt(hop);
    std::vector<float> mdct(size), overlap(size, 0.0f), out(size);
    double energy_in = 0, energy_of_coefficients = 0;
    for (float v : signal) energy_in += static_cast<double>(v) * static_cast<double>(v);
    for (int t = 0; t <= frames; ++t) {
      const std::size_t begin = static_cast<std::size_t>(t) * size;
      mclt.forward(padded.data() + begin, mdct.data(), nullptr);
      for (float v : mdct) energy_of_coefficients += static_cast<double>(v) * static_cast<double>(v);
      mclt.inverse_overlap(mdct.data(), overlap.data(), out.data());
      for (std::size_t n = 0; n < size; ++n)
        ASSERT_NEAR(out[n], padded[begin + n], 1e-6) << "hop " << hop << ", frame " << t;
    }
    EXPECT_NEAR(energy_of_coefficients / energy_in, 1.0, 1e-6) << "hop " << hop;  // orthonormal
  }
}

TEST(Mclt, MovedObjectWorks) {
  const std::vector<float> x = Noise(3).values(64);
  std::vector<float> a(32), b(32);
  Mclt mclt(32);
  mclt.forward(x.data(), a.data(), nullptr);
  Mclt moved = std::move(mclt);
  moved.forward(x.data(), b.data(), nullptr);
  EXPECT_TRUE(same_bits(a, b));
}

TEST(Mclt, HopsThatAreNoPowerOfTwoOrOutOfRangeAreRefused) {
  for (int hop : {0, -16, 1, 8, 15, 48, 1000, 131072})
    EXPECT_ERROR(Mclt{hop}, ExitCode::kInternal, HasSubstr("expected a power of two in [16, 65536]"));
}

}  // namespace
}  // namespace vqcodec::runtime
