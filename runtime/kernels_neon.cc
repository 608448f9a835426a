// 64-bit Arm, where NEON and the fused multiply-add always are.
#include "runtime/kernels.h"

#include <arm_neon.h>

namespace {

constexpr int kLanes = 4;
typedef float Lanes __attribute__((vector_size(16)));

inline __attribute__((always_inline)) Lanes fma_lanes(Lanes a, Lanes b, Lanes c) {
  return (Lanes)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
}
inline __attribute__((always_inline)) Lanes sqrt_lanes(Lanes a) { return (Lanes)vsqrtq_f32((float32x4_t)a); }

// 24 of 32 registers hold sums.
constexpr int kTileRows = 6;
constexpr int kTileVecs = 1;

}  // namespace

#include "runtime/kernels_impl.h"

namespace vqcodec::runtime {
const Kernels* neon_kernels() { return &kTable; }
}  // namespace vqcodec::runtime
