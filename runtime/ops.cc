#include "runtime/ops.h"

#include "runtime/kernels.h"

namespace vqcodec::runtime {

void depthwise_conv1d(const float* x, int64_t x_stride, int64_t frames, int64_t channels, int64_t kernel,
                      int64_t dilation, const float* w, const float* bias, float* y, int64_t y_stride) {
  kernels().depthwise_conv1d(x, x_stride, frames, channels, kernel, dilation, w, bias, y, y_stride);
}

void layer_norm(const float* x, int64_t x_stride, int64_t rows, int64_t width, const float* gamma, const float* beta,
                float eps, float* y, int64_t y_stride) {
  kernels().layer_norm(x, x_stride, rows, width, gamma, beta, eps, y, y_stride);
}

void gelu(const float* x, int64_t count, float* y) { kernels().gelu(x, count, y); }
void erf(const float* x, int64_t count, float* y) { kernels().erf(x, count, y); }
void exp(const float* x, int64_t count, float* y) { kernels().exp(x, count, y); }
void sigmoid(const float* x, int64_t count, float* y) { kernels().sigmoid(x, count, y); }
void log(const float* x, int64_t count, float* y) { kernels().log(x, count, y); }
void log10(const float* x, int64_t count, float* y) { kernels().log10(x, count, y); }
void sqrt(const float* x, int64_t count, float* y) { kernels().sqrt(x, count, y); }

void softmax(const float* x, int64_t x_stride, int64_t rows, int64_t width, float* y, int64_t y_stride) {
  kernels().softmax(x, x_stride, rows, width, y, y_stride);
}

void softmax_weights(const float* x, int64_t count, float* y) { kernels().softmax_weights(x, count, y); }

void softmax_groups(const float* x, int64_t group_stride, int64_t num_groups, int64_t count, float* y) {
  kernels().softmax_groups(x, group_stride, num_groups, count, y);
}

}  // namespace vqcodec::runtime
