// Speed of the runtime's parts on every path that this machine has (or on the one that VQCODEC_CPU names), one thread,
// a few seconds in all. A matrix product is set against a plain loop over the same numbers in the same run, because
// times alone say little on a shared machine:
//   runtime_bench
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "runtime/cpu.h"
#include "runtime/fft.h"
#include "runtime/linear.h"
#include "runtime/nearest.h"
#include "runtime/ops.h"

namespace {

using namespace vqcodec::runtime;

std::vector<float> noise(int64_t count) {
  static std::mt19937 generator(1);
  std::uniform_real_distribution<float> uniform(-1.0f, 1.0f);
  std::vector<float> values(static_cast<std::size_t>(count));
  for (float& value : values) value = uniform(generator);
  return values;
}

// Seconds of one call: the best of the calls that fit in 30 ms, of three at least.
template <typename Work>
double seconds(const Work& work) {
  using Clock = std::chrono::steady_clock;
  double best = 1e9;
  double total = 0;
  for (int run = 0; run < 3 || total < 0.03; ++run) {
    const auto begin = Clock::now();
    work();
    const double time = std::chrono::duration<double>(Clock::now() - begin).count();
    best = std::min(best, time);
    total += time;
  }
  return best;
}

void bench_linear(int64_t rows, int64_t in, int64_t out) {
  ThreadPool pool(1);
  const std::vector<float> weight = noise(in * out);  // [out, in]; the plain loop takes it as [in, out]
  const std::vector<float> bias = noise(out);
  const Linear linear(in, out, weight, bias);
  const std::vector<float> x = noise(rows * in);
  std::vector<float> y(static_cast<std::size_t>(rows * out));
  const double time = seconds([&] { linear.forward(x.data(), in, rows, y.data(), out, pool); });
  const double plain = seconds([&] {
    for (int64_t r = 0; r < rows; ++r) {
      float* const sums = y.data() + r * out;
      std::copy(bias.begin(), bias.end(), sums);
      for (int64_t k = 0; k < in; ++k) {
        const float a = x[static_cast<std::size_t>(r * in + k)];
        const float* const b = weight.data() + k * out;
        for (int64_t n = 0; n < out; ++n) sums[n] += a * b[n];
      }
    }
  });
  std::printf("  linear %3lld x %4lld -> %4lld  %8.1f us  %6.1f GFLOP/s  %5.2f x the plain loop's speed\n",
              static_cast<long long>(rows), static_cast<long long>(in), static_cast<long long>(out), time * 1e6,
              2e-9 * static_cast<double>(rows * in * out) / time, plain / time);
}

template <typename Work>
void bench(const char* name, int64_t count, const Work& work) {
  const double time = seconds(work);
  std::printf("  %-26s  %8.1f us  %6.2f ns a value\n", name, time * 1e6, time * 1e9 / static_cast<double>(count));
}

void bench_path() {
  bench_linear(48, 512, 512);
  bench_linear(48, 512, 2048);
  bench_linear(48, 2048, 512);
  bench_linear(1, 512, 2048);

  constexpr int64_t kRows = 48;
  constexpr int64_t kWidth = 512;
  constexpr int64_t kCount = kRows * kWidth;
  const std::vector<float> x = noise((kRows + 6) * kWidth);
  const std::vector<float> w = noise(7 * kWidth);
  std::vector<float> y(static_cast<std::size_t>(kCount));
  bench("gelu", kCount, [&] { gelu(x.data(), kCount, y.data()); });
  bench("exp", kCount, [&] { exp(x.data(), kCount, y.data()); });
  bench("log10", kCount, [&] { log10(x.data(), kCount, y.data()); });
  bench("layer_norm, width 512", kCount,
        [&] { layer_norm(x.data(), kWidth, kRows, kWidth, w.data(), w.data() + kWidth, 1e-5f, y.data(), kWidth); });
  bench("depthwise_conv1d, 7 taps", kCount,
        [&] { depthwise_conv1d(x.data(), kWidth, kRows, kWidth, 7, 1, w.data(), nullptr, y.data(), kWidth); });
  bench("softmax, width 512", kCount, [&] { softmax(x.data(), kWidth, kRows, kWidth, y.data(), kWidth); });
  bench("softmax_groups of 4", kCount, [&] { softmax_groups(x.data(), kCount / 4, 4, kCount / 4, y.data()); });

  ThreadPool pool(1);
  const Codebook codebook(1024, 64, noise(1024 * 64));
  std::vector<uint16_t> index(kRows);
  bench("nearest of 1024, dim 64", kRows, [&] { codebook.nearest(x.data(), kWidth, kRows, index.data(), 1, pool); });
}

}  // namespace

int main() {
  const Path chosen = current_path();
  for (Path path : kBuiltPaths) {
    if (!can_run(path) || (std::getenv("VQCODEC_CPU") != nullptr && path != chosen)) continue;
    set_path(path);
    std::printf("%s\n", path_name(path));
    bench_path();
  }
  const int hop = 1024;
  Mclt mclt(hop);
  const std::vector<float> x = noise(2 * hop);
  std::vector<float> mdct(hop), mdst(hop), overlap(hop), out(hop);
  std::printf("lapped transform, hop %d\n", hop);
  bench("MDCT", hop, [&] { mclt.forward(x.data(), mdct.data(), nullptr); });
  bench("MDCT and MDST", hop, [&] { mclt.forward(x.data(), mdct.data(), mdst.data()); });
  bench("inverse MDCT", hop, [&] { mclt.inverse_overlap(mdct.data(), overlap.data(), out.data()); });
  return 0;
}
