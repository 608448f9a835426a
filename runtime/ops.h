// Layers and functions beside the matrix products. Every one is a fixed sequence of IEEE float32 operations (+, -, *, /,
// fma, sqrt) with one fixed order of reduction: the same bits on every path and every machine. All are serial; callers
// spread rows over a ThreadPool. Strides are in floats. NaN gives NaN; nothing throws.
#pragma once

#include <cstdint>

namespace vqcodec::runtime {

// Depthwise convolution over time: y[t][c] = bias[c] + sum over k ascending of x[t + k * dilation][c] * w[k][c], by fma.
// x: [frames + (kernel - 1) * dilation, channels] (the caller pads), w: [kernel, channels] (LibTorch's
// [channels, 1, kernel] transposed), bias: [channels] or null for zeros, y: [frames, channels], not overlapping x.
void depthwise_conv1d(const float* x, int64_t x_stride, int64_t frames, int64_t channels, int64_t kernel,
                      int64_t dilation, const float* w, const float* bias, float* y, int64_t y_stride);

// Layer normalisation of every row with the biased variance, as LibTorch defines it:
// y = (x - mean) / sqrt(variance + eps) * gamma + beta. x, y: [rows, width] (may be the same array), gamma, beta: [width].
void layer_norm(const float* x, int64_t x_stride, int64_t rows, int64_t width, const float* gamma, const float* beta,
                float eps, float* y, int64_t y_stride);

// Elementwise, count values; y may be x.
void gelu(const float* x, int64_t count, float* y);  // x (1 + erf(x / sqrt 2)) / 2; absolute error below 2e-7 (1 + |x|)
void erf(const float* x, int64_t count, float* y);   // absolute error below 4e-7, within [-1, 1]
void exp(const float* x, int64_t count, float* y);   // relative error below 2e-7 (normal results)
void sigmoid(const float* x, int64_t count, float* y);  // 1 / (1 + exp(-x)); relative error below 4e-7 (normal results)
void log(const float* x, int64_t count, float* y);  // natural; error below 2e-7 relative; log(0) = -inf, log(-1) = NaN
void log10(const float* x, int64_t count, float* y);  // log(x) * log10(e); error below 4e-7 relative
void sqrt(const float* x, int64_t count, float* y);   // correctly rounded

// Softmax over the width of every row, after subtracting the row's greatest value. x, y: [rows, width], width >= 1; y may
// be x. The sum is over 16 lanes (element i in lane i % 16, ascending), then lanes by halves.
void softmax(const float* x, int64_t x_stride, int64_t rows, int64_t width, float* y, int64_t y_stride);

// y = exp(x - greatest x): softmax without its division, for counts of a coder. The greatest weight is 1, unless a value
// is NaN or +inf; NaN is never the greatest. count >= 1; y may be x.
void softmax_weights(const float* x, int64_t count, float* y);

// Softmax over groups: x[g * group_stride + i] over g in [0, num_groups), for every i in [0, count) apart; sums in
// ascending g. num_groups >= 1; y has x's layout and may be x.
void softmax_groups(const float* x, int64_t group_stride, int64_t num_groups, int64_t count, float* y);

}  // namespace vqcodec::runtime
