// The paths against each other, bit for bit, at sizes around every width; and against bits that were written down once,
// so that other machines and compilers are compared too.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstring>
#include <functional>
#include <map>
#include <span>

#include "runtime/linear.h"
#include "runtime/nearest.h"
#include "runtime/ops.h"
#include "runtime/sha256.h"
#include "tests/base/expect_error.h"
#include "tests/runtime/runtime_test_util.h"

namespace vqcodec::runtime {
namespace {

using ::testing::HasSubstr;
using Function = void (*)(const float*, int64_t, float*);

// Every operation at one size, on inputs from `draw`, which is called in a fixed order.
std::map<std::string, std::vector<float>> run_all(int64_t size,
                                                  const std::function<std::vector<float>(int64_t)>& draw) {
  std::map<std::string, std::vector<float>> results;
  const auto count = static_cast<std::size_t>(size);
  const std::vector<float> x = draw(size);
  const std::map<std::string, Function> functions = {{"gelu", gelu},       {"erf", erf}, {"exp", exp},
                                                     {"sigmoid", sigmoid}, {"log", log}, {"log10", log10},
                                                     {"sqrt", sqrt}};
  for (const auto& [name, function] : functions) {
    std::vector<float>& y = results[name];
    y.resize(count);
    function(x.data(), size, y.data());
  }
  constexpr int64_t kRows = 5;
  const std::vector<float> rows = draw(kRows * size);
  const std::vector<float> gamma = draw(size);
  const std::vector<float> beta = draw(size);
  std::vector<float>& normed = results["layer_norm"];
  normed.resize(count * kRows);
  layer_norm(rows.data(), size, kRows, size, gamma.data(), beta.data(), 1e-5f, normed.data(), size);
  std::vector<float>& soft = results["softmax"];
  soft.resize(count * kRows);
  softmax(rows.data(), size, kRows, size, soft.data(), size);
  std::vector<float>& groups = results["softmax_groups"];
  groups.resize(count * kRows);
  softmax_groups(rows.data(), size, kRows, size, groups.data());
  const std::vector<float> taps = draw(3 * size);
  std::vector<float>& convolved = results["depthwise_conv1d"];
  convolved.resize(count * 3);
  depthwise_conv1d(rows.data(), size, 3, size, 3, 1, taps.data(), beta.data(), convolved.data(), size);

  ThreadPool pool(1);
  constexpr int64_t kOther = 37;
  const std::vector<float> weight = draw(kOther * size);
  const Linear narrow(size, kOther, weight, draw(kOther));
  const Linear wide(kOther, size, weight, {});
  for (int64_t batch : {1, 4, 5}) {
    std::vector<float>& y = results["linear of " + std::to_string(batch)];
    y.resize(static_cast<std::size_t>(batch * kOther));
    narrow.forward(rows.data(), size, batch, y.data(), kOther, pool);
    std::vector<float>& sum = results["linear added to " + std::to_string(batch)];
    sum = std::vector<float>(rows.begin(), rows.begin() + batch * size);
    wide.forward_add(y.data(), kOther, batch, sum.data(), size, pool);
  }
  const Codebook codebook(kOther, size, weight);
  std::vector<uint16_t> nearest(kRows), greatest(kRows);
  codebook.nearest(rows.data(), size, kRows, nearest.data(), 1, pool);
  argmax(rows.data(), size, kRows, size, greatest.data(), 1);
  results["nearest"] = std::vector<float>(nearest.begin(), nearest.end());
  results["argmax"] = std::vector<float>(greatest.begin(), greatest.end());
  return results;
}

class Paths : public EveryPath {};

TEST_P(Paths, GiveThePortableBits) {
  for (int64_t size : kAwkwardSizes) {
    for (int round = 0; round < 6; ++round) {
      const auto run_on = [&](Path path) {
        set_path(path);
        Noise noise(static_cast<uint32_t>(100 * size + round));
        // Tame values, wide ones, and anything at all.
        return run_all(size, [&](int64_t count) {
          return round < 2 ? noise.values(count) : round < 4 ? noise.values(count, 50.0f) : noise.anything(count);
        });
      };
      const auto portable = run_on(Path::kPortable);
      const auto here = run_on(GetParam());
      for (const auto& [name, values] : portable)
        ASSERT_TRUE(same_bits(here.at(name), values)) << name << ", size " << size << ", round " << round;
    }
  }
}

TEST_P(Paths, ElementwiseResultsDoNotDependOnTheCountOrAlignment) {
  Noise noise(50);
  const std::vector<float> x = noise.anything(200);
  for (Function function : {static_cast<Function>(gelu), static_cast<Function>(exp), static_cast<Function>(log10)}) {
    std::vector<float> one_by_one(x.size());
    for (std::size_t i = 0; i < x.size(); ++i) function(&x[i], 1, &one_by_one[i]);
    for (std::size_t begin : {0U, 1U, 3U}) {
      for (std::size_t count : {16U, 31U, 100U, 197U}) {
        std::vector<float> y(count);
        function(x.data() + begin, static_cast<int64_t>(count), y.data());
        for (std::size_t i = 0; i < count; ++i) ASSERT_TRUE(same_bits(y[i], one_by_one[begin + i]));
      }
    }
  }
}

// If this fails on a new machine or compiler, files coded there cannot be read elsewhere.
TEST_P(Paths, GiveTheBitsWrittenDown) {
  std::vector<float> all;
  for (int64_t size : kAwkwardSizes) {
    Noise noise(static_cast<uint32_t>(size));
    for (const auto& [name, values] : run_all(size, [&](int64_t count) { return noise.values(count, 4.0f); }))
      for (float v : values) all.push_back(std::isnan(v) ? 0.0f : v);  // the logarithm's; the sign of NaN is free
  }
  EXPECT_EQ(to_hex(sha256(std::as_bytes(std::span(all)))),
            "be1cf482d2a6ad5757eb7e406953bd6301b4ff6455b707eaa5c26f436380ddd4");
}

VQCODEC_ON_EVERY_PATH(Paths);

TEST(Cpu, TheEnvironmentChoosesThePath) {
  // The choice is made once a process, so each case runs in a process of its own.
  const auto run_with = [](const char* path, const std::function<bool()>& check) {
    EXPECT_EXIT(
        {
          setenv("VQCODEC_CPU", path, 1);
          _exit(check() ? 0 : 1);
        },
        ::testing::ExitedWithCode(0), "")
        << path;
  };
  ::testing::FLAGS_gtest_death_test_style = "threadsafe";
  run_with("portable", [] { return current_path() == Path::kPortable; });
  run_with("", [] { return current_path() == best_path(); });
  run_with("sse9", [] {
    try {
      current_path();
    } catch (const Error& error) {
      return error.code() == ExitCode::kUsage &&
             std::strstr(error.what(), "expected portable, avx2, avx512 or neon") != nullptr;
    }
    return false;
  });
}

TEST(Cpu, PathsUpToTheBestCanBeSetAndOthersAreRefused) {
  const Path before = current_path();
  for (Path path : {Path::kPortable, Path::kAvx2, Path::kAvx512, Path::kNeon}) {
    if (can_run(path)) {
      set_path(path);
      EXPECT_EQ(current_path(), path);
    } else {
      EXPECT_ERROR(set_path(path), ExitCode::kUsage, HasSubstr("this machine cannot run the path '"));
    }
  }
  set_path(before);
}

}  // namespace
}  // namespace vqcodec::runtime
