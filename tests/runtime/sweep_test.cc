// The elementwise functions at a dense sample of all float32: every 2^32 / 61th bit pattern with 61 coprime to 2, some 70
// million, so every sign and exponent with 137,000 significands each. The best path against double, all paths against
// each other.
#include <gtest/gtest.h>

#include <algorithm>

#include "runtime/ops.h"
#include "runtime/thread_pool.h"
#include "tests/runtime/runtime_test_util.h"

namespace vqcodec::runtime {
namespace {

using Function = void (*)(const float*, int64_t, float*);

constexpr int64_t kStep = 61;
constexpr int64_t kBlock = 1 << 14;
constexpr int64_t kCount = (int64_t{1} << 32) / kStep;

struct Case {
  const char* name;
  Function function;
  double (*reference)(double);
  // Largest error for the argument and the exact result; see ops.h.
  double (*tolerance)(double x, double y);
};

double relative(double y, double factor) { return factor * std::abs(y); }

const Case kCases[] = {
    {"exp", exp, [](double x) { return std::exp(x); },
     [](double, double y) { return relative(y, 2e-7) + (y < 0x1p-126 ? 0x1p-149 : 0.0); }},
    {"sigmoid", sigmoid, [](double x) { return 1 / (1 + std::exp(-x)); },
     // exp(-x) is infinite below -88.7, where the result is subnormal: 0 comes out.
     [](double, double y) { return y < 0x1p-126 ? 0x1p-126 : relative(y, 4e-7); }},
    {"log", log, [](double x) { return std::log(x); }, [](double, double y) { return relative(y, 2e-7); }},
    {"log10", log10, [](double x) { return std::log10(x); }, [](double, double y) { return relative(y, 4e-7); }},
    {"sqrt", sqrt, [](double x) { return static_cast<double>(std::sqrt(static_cast<float>(x))); },
     [](double, double) { return 0.0; }},
    {"erf", erf, [](double x) { return std::erf(x); }, [](double, double) { return 4e-7; }},
    {"gelu", gelu, [](double x) { return x * std::erfc(-x / std::sqrt(2.0)) / 2; },
     [](double x, double) { return 2e-7 * (1 + std::abs(x)); }},
};

class Sweep : public ::testing::TestWithParam<Case> {
 protected:
  void TearDown() override { set_path(before_); }

 private:
  const Path before_ = current_path();
};

// Arguments of a block, in order of their bits.
std::vector<float> arguments(int64_t block) {
  std::vector<float> x(static_cast<std::size_t>(std::min(kBlock, kCount - block * kBlock)));
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = std::bit_cast<float>(static_cast<uint32_t>((block * kBlock + static_cast<int64_t>(i)) * kStep));
  return x;
}

uint64_t digest(const std::vector<float>& values) {
  uint64_t sum = 0;
  for (const float value : values)
    sum = (sum ^ (std::isnan(value) ? 0x7fc00000U : std::bit_cast<uint32_t>(value))) * 0x9E3779B97F4A7C15ULL;
  return sum;
}

TEST_P(Sweep, IsWithinItsBoundAndTheSameOnAllPaths) {
  const Case& test = GetParam();
  ThreadPool pool(0);
  constexpr int64_t kNumBlocks = (kCount + kBlock - 1) / kBlock;
  std::vector<uint64_t> wanted;
  for (const Path path : kBuiltPaths) {
    if (!can_run(path)) continue;
    set_path(path);
    std::vector<uint64_t> digests(kNumBlocks);
    std::vector<float> wrong(kNumBlocks, kNan);  // an argument of the block whose result is too far off
    pool.parallel_for(kNumBlocks, 16, [&](int64_t begin, int64_t end) {
      for (int64_t block = begin; block < end; ++block) {
        const std::vector<float> x = arguments(block);
        std::vector<float> y(x.size());
        test.function(x.data(), static_cast<int64_t>(x.size()), y.data());
        digests[static_cast<std::size_t>(block)] = digest(y);
        if (path != best_path()) continue;
        for (std::size_t i = 0; i < x.size(); ++i) {
          const double exact = test.reference(static_cast<double>(x[i]));
          const bool fits =
              std::isnan(exact) ? std::isnan(y[i])
              : std::isinf(static_cast<float>(exact))
                  ? y[i] == static_cast<float>(exact)
                  : std::abs(static_cast<double>(y[i]) - exact) <= test.tolerance(static_cast<double>(x[i]), exact);
          if (!fits) wrong[static_cast<std::size_t>(block)] = x[i];
        }
      }
    });
    int num_wrong = 0;
    for (const float x : wrong) {
      if (std::isnan(x) || ++num_wrong > 5) continue;
      float y = 0.0f;
      test.function(&x, 1, &y);
      ADD_FAILURE() << std::hexfloat << test.name << "(" << x << ") is " << y << ", expected "
                    << test.reference(static_cast<double>(x));
    }
    if (wanted.empty()) wanted = digests;
    for (std::size_t block = 0; block < digests.size(); ++block) {
      ASSERT_EQ(digests[block], wanted[block]) << test.name << " on " << path_name(path) << " from " << std::hexfloat
                                               << arguments(static_cast<int64_t>(block))[0];
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Function, Sweep, ::testing::ValuesIn(kCases),
                         [](const ::testing::TestParamInfo<Case>& tested) { return std::string(tested.param.name); });

}  // namespace
}  // namespace vqcodec::runtime
