// The path for any machine with IEEE arithmetic: four lanes, which SSE2 and NEON have.
#include "runtime/kernels.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace {

constexpr int kLanes = 4;
typedef float Lanes __attribute__((vector_size(16)));

#ifdef __FP_FAST_FMAF
inline __attribute__((always_inline)) Lanes fma_lanes(Lanes a, Lanes b, Lanes c) {
  Lanes y;
  for (int i = 0; i < kLanes; ++i) y[i] = __builtin_fmaf(a[i], b[i], c[i]);
  return y;
}
#else
// Without the instruction, by double: the product of two floats is exact there; the sum is rounded to odd, which makes
// the second rounding, to float, the only one that counts (Boldo and Melquiond 2008, "Emulation of FMA and correctly
// rounded sums: proved algorithms using rounding to odd").
typedef double Doubles __attribute__((vector_size(16)));
typedef int64_t Longs __attribute__((vector_size(16)));

inline __attribute__((always_inline)) Doubles fma_rounded_to_odd(Doubles a, Doubles b, Doubles c) {
  const Doubles product = a * b;
  const Doubles sum = product + c;
  const Doubles part = sum - product;
  const Doubles error = (product - (sum - part)) + (c - part);  // sum + error is exact (Knuth's two-sum)
  // If there is an error (NaN, from an infinite sum, is none) and the last bit is even, one step towards the error: away
  // from zero, that is up in bits, if the error has the sign of the sum. Sums of 0 are exact.
  const Longs bits = (Longs)sum;
  const Longs is_odd = Longs{} - (bits & 1);
  const Longs up = (Longs)((error > 0.0) & (sum > 0.0)) | (Longs)((error < 0.0) & (sum < 0.0));
  const Longs down = (Longs)((error < 0.0) & (sum > 0.0)) | (Longs)((error > 0.0) & (sum < 0.0));
  return (Doubles)(bits + (~is_odd & (down - up)));
}

#ifdef __SSE2__
inline __attribute__((always_inline)) Lanes fma_lanes(Lanes a, Lanes b, Lanes c) {
  const Doubles low = fma_rounded_to_odd(_mm_cvtps_pd(a), _mm_cvtps_pd(b), _mm_cvtps_pd(c));
  const Doubles high = fma_rounded_to_odd(_mm_cvtps_pd(_mm_movehl_ps(a, a)), _mm_cvtps_pd(_mm_movehl_ps(b, b)),
                                          _mm_cvtps_pd(_mm_movehl_ps(c, c)));
  return _mm_movelh_ps(_mm_cvtpd_ps(low), _mm_cvtpd_ps(high));
}
#else
inline __attribute__((always_inline)) Lanes fma_lanes(Lanes a, Lanes b, Lanes c) {
  const Doubles low = fma_rounded_to_odd(Doubles{a[0], a[1]}, Doubles{b[0], b[1]}, Doubles{c[0], c[1]});
  const Doubles high = fma_rounded_to_odd(Doubles{a[2], a[3]}, Doubles{b[2], b[3]}, Doubles{c[2], c[3]});
  return Lanes{static_cast<float>(low[0]), static_cast<float>(low[1]), static_cast<float>(high[0]),
               static_cast<float>(high[1])};
}
#endif
#endif

inline __attribute__((always_inline)) Lanes sqrt_lanes(Lanes a) {
  Lanes y;
  for (int i = 0; i < kLanes; ++i) y[i] = __builtin_sqrtf(a[i]);
  return y;
}

#ifdef __FP_FAST_FMAF
constexpr int kTileRows = 4;
#else
constexpr int kTileRows = 1;  // the emulation needs the registers
#endif
constexpr int kTileVecs = 1;

}  // namespace

#include "runtime/kernels_impl.h"

namespace vqcodec::runtime {
const Kernels* portable_kernels() { return &kTable; }
}  // namespace vqcodec::runtime
