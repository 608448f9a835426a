// The discriminator, its losses, the mel distance and the noise of the sound phase.
#include "vqvae/train/torch.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/vqvae/codec_test_util.h"
#include "vqvae/noise.h"
#include "vqvae/train/discriminator.h"
#include "vqvae/train/sound.h"

namespace vqcodec::vqvae::train {
namespace {

class Sound : public testing::Test {
 protected:
  Sound() {
    torch::set_num_threads(1);
    torch::manual_seed(3);
  }
  static Judgement judgement(const std::vector<double>& logits, const std::vector<Tensor>& features) {
    Judgement result;
    for (const double value : logits) result.logits.push_back(torch::full({1, 1, 2, 3}, value));
    result.features = features;
    return result;
  }
};

TEST_F(Sound, HingeLossesAreTheirDefinition) {
  const Judgement decoded = judgement({-2, 0.5}, {}), target = judgement({0.25, 3}, {});
  // Decoded: 0 and 1.5; target: 0.75 and 0.
  EXPECT_NEAR(discriminator_hinge(decoded, target).item<double>(), 0.5 * (0 + 1.5) + 0.5 * (0.75 + 0), 1e-6);
  EXPECT_NEAR(decoder_hinge(decoded).item<double>(), 0.5 * (3 + 0.5), 1e-6);
  // Of four judgements one is wrong: 0.5 is above 0.
  EXPECT_NEAR(discriminator_accuracy(decoded, target), 0.75, 1e-6);
}

TEST_F(Sound, FeatureMatchingIsRelativeToTheTarget) {
  const Tensor a = torch::full({2, 3}, 2.0), b = torch::full({2, 3}, -4.0);
  const Judgement target = judgement({}, {a, b});
  EXPECT_EQ(feature_matching(target, target).item<double>(), 0);
  const Judgement decoded = judgement({}, {a + 1, b * 2});
  EXPECT_NEAR(feature_matching(decoded, target).item<double>(), 0.5 * (1.0 / 2 + 4.0 / 4), 1e-6);
  const Tensor constant = torch::ones({2, 3}).requires_grad_(true), moved = torch::zeros({2, 3}).requires_grad_(true);
  feature_matching(judgement({}, {moved}), judgement({}, {constant})).backward();
  EXPECT_FALSE(constant.grad().defined());
  EXPECT_TRUE(moved.grad().defined());
}

TEST_F(Sound, ADiscriminatorLearnsToTellNoiseFromTones) {
  Discriminator discriminator(4);
  torch::optim::Adam optimizer(discriminator->parameters(), torch::optim::AdamOptions(3e-3));
  const Tensor time = torch::arange(4096, torch::kFloat32);
  const Tensor tones = torch::sin(time * 0.1).expand({2, 2, 4096}) * 0.14;
  double first = 0, accuracy = 0;
  for (int i = 0; i < 40; ++i) {
    const Tensor noise = torch::randn({2, 2, 4096}) * 0.1;
    const Judgement decoded = discriminator->judge(noise), target = discriminator->judge(tones);
    EXPECT_EQ(target.logits.size(), 3U);
    EXPECT_EQ(target.features.size(), 12U);
    const Tensor loss = discriminator_hinge(decoded, target);
    if (i == 0) first = loss.item<double>();
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    accuracy = discriminator_accuracy(decoded, target);
    if (i == 39) {
      EXPECT_LT(loss.item<double>(), 0.5 * first);
    }
  }
  EXPECT_GT(accuracy, 0.9);
}

TEST_F(Sound, JudgementsComeInBfloat16AndDependOnBothChannels) {
  Discriminator discriminator(8);
  Tensor wave = torch::randn({1, 2, 4096}) * 0.1;
  const auto logits = [&] { return discriminator->judge(wave).logits[1]; };
  torch::NoGradGuard no_grad;
  const Tensor whole = logits();
  discriminator->autocast = true;
  const double difference = (logits() - whole).abs().max().item<double>();
  EXPECT_GT(difference, 0);
  EXPECT_LT(difference, 0.05 * whole.abs().max().item<double>() + 0.02);
  discriminator->autocast = false;
  for (const int64_t channel : {0, 1}) {
    wave[0][channel].mul_(-1);
    EXPECT_GT((logits() - whole).abs().max().item<double>(), 1e-3);
  }
}

TEST_F(Sound, MelDistanceIsZeroForTheSameAndCountsLevels) {
  const MelDistance distance(44100, 1e-5, torch::kCPU);
  const Tensor wave = torch::randn({2, 2, 8192}) * 0.1;
  EXPECT_EQ(distance(wave, wave).item<double>(), 0);
  // 20 dB are 1 in log10 at each of seven windows, where a window has bins for all of its bands; less where it has not.
  const double louder = distance(wave * 10, wave).item<double>();
  EXPECT_LT(louder, 7.01);
  EXPECT_GT(louder, 5);
  EXPECT_NEAR(distance(wave, wave * 10).item<double>(), louder, 1e-4);
  EXPECT_GT(distance(torch::randn({2, 2, 8192}) * 0.1, wave).item<double>(), 0.1);
  // What is under the floor hardly counts.
  const MelDistance deaf(44100, 10, torch::kCPU);
  EXPECT_LT(deaf(wave * 10, wave).item<double>(), 0.5);
  // Windows that are longer than the signal are left out; silence has a finite gradient.
  EXPECT_GT(distance(wave.narrow(2, 0, 600), wave.narrow(2, 1000, 600)).item<double>(), 0);
  const Tensor silence = torch::zeros({1, 2, 4096}).requires_grad_(true);
  distance(silence, wave.narrow(0, 0, 1).narrow(2, 0, 4096)).backward();
  EXPECT_TRUE(torch::isfinite(silence.grad()).all().item<bool>());
}

TEST_F(Sound, NoiseHasTheSignsOfItsPlaceAndAGradient) {
  const std::vector<int> edges = {16, 24, 100, 128};
  const Tensor amplitudes = torch::rand({2, 3, 4, 2, 3}).requires_grad_(true);
  const std::vector<int64_t> first_frames = {0, 1000};
  const Tensor noise = fill_noise(amplitudes, edges, first_frames);
  EXPECT_EQ(noise.sizes(), (std::vector<int64_t>{2, 3, 4, 2, 128}));
  for (int64_t b = 0; b < 2; ++b) {
    for (const int64_t k : {0, 15, 16, 23, 24, 63, 64, 99, 100, 127}) {
      const int64_t band = k < 16 ? -1 : k < 24 ? 0 : k < 100 ? 1 : 2;
      const uint64_t signs = noise_signs(2, first_frames[static_cast<size_t>(b)] + 3, 1, static_cast<uint64_t>(k) / 64);
      const double sign = (signs >> (k % 64) & 1) != 0 ? -1 : 1;
      const double expected = band < 0 ? 0 : sign * amplitudes[b][2][3][1][band].item<double>();
      EXPECT_NEAR(noise[b][2][3][1][k].item<double>(), expected, 1e-6) << "item " << b << " bin " << k;
    }
  }
  noise.square().sum().backward();
  const Tensor widths = torch::tensor({8.0F, 76.0F, 28.0F});
  // Sums of up to 76 floats, up to 152; their order is LibTorch's.
  EXPECT_LT((amplitudes.grad() - 2 * amplitudes.detach() * widths).abs().max().item<double>(), 1e-3);
}

}  // namespace
}  // namespace vqcodec::vqvae::train
