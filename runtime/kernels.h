// Internal: the table of inner loops that each path fills. Plain types only: the files of a path are compiled for its
// instruction set and must not share inline functions with the rest of the program.
#pragma once

#include <cstdint>

namespace vqcodec::runtime {

inline constexpr int64_t kPanelWidth = 32;  // outputs side by side in packed weights

struct Kernels {
  // One matrix product, whole in k: for every r < rows and n < columns
  //   y[r][n] = chain over ascending k < depth of fma(x[r][k], panel[n / 32][k][n % 32], .)
  // from start[n], from y[r][n] if start is null, or from y[r][n] + start[n] if add.
  // panels: 64-byte aligned; start: padded to whole panels. Outputs beyond columns are not written.
  void (*gemm)(const float* x, int64_t x_stride, int64_t rows, int64_t depth, const float* panels, int64_t panel_stride,
               const float* start, bool add, float* y, int64_t y_stride, int64_t columns);

  void (*depthwise_conv1d)(const float* x, int64_t x_stride, int64_t frames, int64_t channels, int64_t kernel,
                           int64_t dilation, const float* w, const float* bias, float* y, int64_t y_stride);
  void (*layer_norm)(const float* x, int64_t x_stride, int64_t rows, int64_t width, const float* gamma,
                     const float* beta, float eps, float* y, int64_t y_stride);
  void (*gelu)(const float* x, int64_t count, float* y);
  void (*erf)(const float* x, int64_t count, float* y);
  void (*exp)(const float* x, int64_t count, float* y);
  void (*sigmoid)(const float* x, int64_t count, float* y);
  void (*log)(const float* x, int64_t count, float* y);
  void (*log10)(const float* x, int64_t count, float* y);
  void (*sqrt)(const float* x, int64_t count, float* y);
  void (*softmax)(const float* x, int64_t x_stride, int64_t rows, int64_t width, float* y, int64_t y_stride);
  void (*softmax_weights)(const float* x, int64_t count, float* y);
  void (*softmax_groups)(const float* x, int64_t group_stride, int64_t num_groups, int64_t count, float* y);
  void (*argmin)(const float* x, int64_t x_stride, int64_t rows, int64_t width, uint16_t* index, int64_t index_stride);
  void (*argmax)(const float* x, int64_t x_stride, int64_t rows, int64_t width, uint16_t* index, int64_t index_stride);
};

// Each is there where its path is built: the portable one everywhere, the others for their kind of CPU.
const Kernels* portable_kernels();
const Kernels* avx2_kernels();
const Kernels* avx512_kernels();
const Kernels* neon_kernels();

// Those of current_path().
const Kernels& kernels();

}  // namespace vqcodec::runtime
