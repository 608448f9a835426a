// x86-64 with AVX2 and FMA.
#include "runtime/kernels.h"

#include <immintrin.h>

namespace {

constexpr int kLanes = 8;
typedef float Lanes __attribute__((vector_size(32)));

inline __attribute__((always_inline)) Lanes fma_lanes(Lanes a, Lanes b, Lanes c) { return _mm256_fmadd_ps(a, b, c); }
inline __attribute__((always_inline)) Lanes sqrt_lanes(Lanes a) { return _mm256_sqrt_ps(a); }

// 12 of 16 registers hold sums.
constexpr int kTileRows = 6;
constexpr int kTileVecs = 1;

}  // namespace

#include "runtime/kernels_impl.h"

namespace vqcodec::runtime {
const Kernels* avx2_kernels() { return &kTable; }
}  // namespace vqcodec::runtime
