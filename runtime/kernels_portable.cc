// The path for any machine with IEEE arithmetic: four lanes, which SSE2 and NEON have.
#include "runtime/kernels.h"

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
inline __attribute__((always_inline)) Lanes fma_lanes(Lanes a, Lanes b, Lanes c) {
  typedef double Doubles __attribute__((vector_size(32)));
  typedef int64_t Longs __attribute__((vector_size(32)));
  const Doubles product = __builtin_convertvector(a, Doubles) * __builtin_convertvector(b, Doubles);
  const Doubles addend = __builtin_convertvector(c, Doubles);
  const Doubles sum = product + addend;
  const Doubles part = sum - product;
  const Doubles error = (product - (sum - part)) + (addend - part);  // sum + error is exact (Knuth's two-sum)
  const Longs bits = (Longs)sum;
  const Doubles zero = {};
  // -1 where the error is there (NaN, from an infinite sum, is not) and the last bit is even; then one step towards the
  // error: away from zero, that is up in bits, if the error has the sign of the sum.
  const Longs is_even = (bits & 1) - 1;
  const Longs up = ((Longs)(error > zero) & (Longs)(sum > zero)) | ((Longs)(error < zero) & (Longs)(sum < zero));
  const Longs down = ((Longs)(error < zero) & (Longs)(sum > zero)) | ((Longs)(error > zero) & (Longs)(sum < zero));
  const Longs odd = bits + (is_even & (down - up));
  return __builtin_convertvector((Doubles)odd, Lanes);
}
#endif

inline __attribute__((always_inline)) Lanes sqrt_lanes(Lanes a) {
  Lanes y;
  for (int i = 0; i < kLanes; ++i) y[i] = __builtin_sqrtf(a[i]);
  return y;
}

constexpr int kTileRows = 4;
constexpr int kTileVecs = 1;

}  // namespace

#include "runtime/kernels_impl.h"

namespace vqcodec::runtime {
const Kernels* portable_kernels() { return &kTable; }
}  // namespace vqcodec::runtime
