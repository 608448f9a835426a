// x86-64 with AVX-512 F, BW, DQ and VL.
#include "runtime/kernels.h"

#include <immintrin.h>

namespace {

constexpr int kLanes = 16;
typedef float Lanes __attribute__((vector_size(64)));

inline __attribute__((always_inline)) Lanes fma_lanes(Lanes a, Lanes b, Lanes c) { return _mm512_fmadd_ps(a, b, c); }
inline __attribute__((always_inline)) Lanes sqrt_lanes(Lanes a) { return _mm512_maskz_sqrt_ps(0xffff, a); }

// 24 of 32 registers hold sums.
constexpr int kTileRows = 12;
constexpr int kTileVecs = 2;

}  // namespace

#include "runtime/kernels_impl.h"

namespace vqcodec::runtime {
const Kernels* avx512_kernels() { return &kTable; }
}  // namespace vqcodec::runtime
