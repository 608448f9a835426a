#include "eval/hard_inputs.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/base/expect_error.h"
#include "tests/vqvae/codec_test_util.h"

namespace vqcodec::eval {
namespace {

constexpr int kRate = 44100;

HardInput tone(double seconds, double level) {
  HardInput input{"tone", {}};
  for (int i = 0; i < seconds * kRate; ++i) {
    const auto value = static_cast<float>(level * std::sin(0.1 * i));
    input.samples.insert(input.samples.end(), {value, value});
  }
  return input;
}

const HardInput& named(const std::vector<HardInput>& inputs, const std::string& name) {
  for (const HardInput& input : inputs) {
    if (input.name.starts_with(name)) return input;
  }
  throw std::runtime_error(name + " is not there");
}

TEST(HardInputs, HaveTheLevelsThatTheyAreNamedFor) {
  const std::vector<HardInput> inputs = made_inputs(kRate, 2);
  const auto rms_db = [&](const std::string& name) {
    const HardInput& input = named(inputs, name);
    EXPECT_EQ(input.samples.size(), size_t{4 * kRate}) << name;
    return compare_hard_input(input, input.samples, kRate).input_rms_db;
  };
  EXPECT_EQ(rms_db("silence"), -std::numeric_limits<double>::infinity());
  EXPECT_NEAR(rms_db("white noise, -18"), -18, 0.1);
  EXPECT_NEAR(rms_db("white noise, -70"), -70, 0.1);
  EXPECT_NEAR(rms_db("sweep"), -9, 0.1);  // a sine of -6 dBFS peak
  EXPECT_NEAR(rms_db("constant"), -6, 0.1);
  const std::vector<float>& clipped = named(inputs, "clipped").samples;
  EXPECT_GT(std::ranges::count(clipped, 1.0f), static_cast<int>(clipped.size() / 10));
  const std::vector<float>& one_side = named(inputs, "left").samples;
  const std::vector<float>& opposite = named(inputs, "sides").samples;
  for (size_t i = 0; i < one_side.size(); i += 2) {
    ASSERT_EQ(one_side[i + 1], 0.0f);
    ASSERT_EQ(opposite[i + 1], -opposite[i]);
  }
  // The sweep ends at 22 kHz: its samples change sign nearly every time there, and seldom at its begin.
  const std::vector<float>& sweep = named(inputs, "sweep").samples;
  const auto crossings = [&](size_t from) {
    int count = 0;
    for (size_t i = from; i < from + 1000; ++i) count += (sweep[2 * i] < 0) != (sweep[2 * i + 2] < 0) ? 1 : 0;
    return count;
  };
  EXPECT_LE(crossings(0), 1);
  EXPECT_GT(crossings(2 * kRate - 1002), 950);
}

TEST(HardInputs, FindABurstAndWhereItIs) {
  const HardInput input = tone(1, 0.1);
  std::vector<float> output = input.samples;
  EXPECT_NEAR(compare_hard_input(input, output, kRate).rise_db, 0, 0.1);
  for (int i = 0; i < 2 * 882; ++i) output[2 * 22050 + static_cast<size_t>(i)] *= 4;  // 20 ms, 12 dB
  const HardResult result = compare_hard_input(input, output, kRate);
  EXPECT_NEAR(result.rise_db, 12, 0.3);
  EXPECT_NEAR(result.rise_at_seconds, 0.5, 0.011);
  EXPECT_FALSE(result.is_clean());
}

TEST(HardInputs, NeitherSpreadOverAFrameNorWhatIsInaudibleIsABurst) {
  HardInput click{"click", std::vector<float>(2 * kRate)};
  click.samples[kRate] = 1;
  std::vector<float> output(2 * kRate);
  for (size_t i = 0; i < 2000; ++i) output[kRate - 2000 + i] = 1e-2f;  // 23 ms before it
  EXPECT_TRUE(compare_hard_input(click, output, kRate).is_clean());
  const HardInput silence{"silence", std::vector<float>(2 * kRate)};
  std::vector<float> faint(2 * kRate, 1e-3f);
  EXPECT_NEAR(compare_hard_input(silence, faint, kRate).rise_db, 0, 0.1);
  for (float& sample : faint) sample = 0.01f;
  EXPECT_NEAR(compare_hard_input(silence, faint, kRate).rise_db, 20, 0.1);
}

TEST(HardInputs, CountSamplesThatAreNotFinite) {
  const HardInput input = tone(0.5, 0.1);
  std::vector<float> output = input.samples;
  output[7] = std::numeric_limits<float>::quiet_NaN();
  output[9] = std::numeric_limits<float>::infinity();
  const HardResult result = compare_hard_input(input, output, kRate);
  EXPECT_EQ(result.num_bad_samples, 2);
  EXPECT_FALSE(result.is_clean());
  EXPECT_TRUE(std::isfinite(result.output_rms_db));
  output.pop_back();
  EXPECT_ERROR(compare_hard_input(input, output, kRate), ExitCode::kInternal, testing::HasSubstr("length"));
}

TEST(HardInputs, GoThroughAModel) {
  runtime::ThreadPool pool(1);
  const auto model = vqvae::load_model(vqvae::tiny_config());
  for (const HardInput& input : made_inputs(kRate, 1)) {
    const HardResult result = measure_hard_input(model, input, pool);
    EXPECT_EQ(result.num_bad_samples, 0) << result.name;
    EXPECT_EQ(result.seconds, 1) << result.name;
  }
  EXPECT_EQ(measure_hard_input(model, {"silence", std::vector<float>(2 * kRate)}, pool).output_rms_db,
            -std::numeric_limits<double>::infinity());
}

}  // namespace
}  // namespace vqcodec::eval
