// The LibTorch network against the runtime's.
#include "vqvae/train/torch.h"

#include "prior/train/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "prior/train/trainer.h"
#include "tests/prior/prior_test_util.h"

namespace vqcodec::prior::train {
namespace {

// A network whose every parameter matters (a new one has layers of zero), and the same as a prior of the runtime.
struct Pair {
  Network network{nullptr};
  std::shared_ptr<const Model> model;

  explicit Pair(const Config& config) : network(config) {
    torch::NoGradGuard no_grad;
    auto file = runtime::Safetensors::open_memory(make_random_prior(config, 3, false).bytes(), "pair");
    for (auto& item : network->named_parameters()) {
      const auto shape = item.value().sizes().vec();
      item.value().copy_(torch::tensor(file.floats(item.key(), shape)).view(shape));
    }
    file.check_all_used();  // the names of all tensors are those of parameters
    model = random_prior(config, 3, false);
    network->eval();
  }
};

Tensor tensor_of(std::span<const uint16_t> codes, int64_t kept) {
  const std::vector<int64_t> values(codes.begin(), codes.end());
  return torch::tensor(values).view({1, -1, kept});
}

class PriorNetworkTest : public testing::Test {
 protected:
  PriorNetworkTest() { torch::set_num_threads(1); }

  void expect_same(const Config& config, const Batch& batch) {
    Pair pair(config);
    torch::NoGradGuard no_grad;
    runtime::ThreadPool pool(1);
    const Logits ours = whole_logits(*pair.model, batch.segments, pool);
    for (size_t i = 0; i < batch.segments.size(); ++i) {
      const Segment& segment = batch.segments[i];
      std::vector<ContextCodes> context;
      for (const Context& other : segment.context) {
        context.push_back({other.source, tensor_of(other.codes, other.num_codebooks), torch::ones({1})});
      }
      const Tensor codes = tensor_of(segment.codes, segment.num_codebooks);
      const Tensor theirs = pair.network->logits(segment.source, codes, context).flatten();
      ASSERT_EQ(theirs.numel(), static_cast<int64_t>(ours[i].size()));
      const Tensor difference = theirs - torch::tensor(ours[i]);
      EXPECT_LT(difference.abs().max().item<double>(), 2e-4) << "segment " << i;
      EXPECT_GT(theirs.abs().max().item<double>(), 1);
      // The bits are those of these logits.
      const Tensor bits = pair.network->bits(segment.source, codes, context, 0).flatten();
      const Tensor expected =
          -torch::log_softmax(theirs.view({-1, config.codebook_size}), 1).gather(1, codes.view({-1, 1})).flatten() /
          std::log(2.0);
      EXPECT_LT((bits - expected).abs().max().item<double>(), 1e-4);
    }
  }
};

TEST_F(PriorNetworkTest, IsTheRuntimes) {
  const Config config = small_config();
  Batch batch;
  batch.add(config, 0, 3, 60);  // longer than the window
  batch.add(config, 1, 2, 60);
  batch.add(config, 2, 1, 20);
  batch.add(config, 2, 3, 1);
  batch.add(config, 2, 3, 60, {{0, 3, *batch.codes[0]}});
  batch.add(config, 2, 3, 60, {{0, 3, *batch.codes[0]}, {1, 2, *batch.codes[1]}});
  expect_same(config, batch);
}

TEST_F(PriorNetworkTest, IsTheRuntimesAtFullSize) {
  Config config;
  config.codebook_size = 64;
  config.num_layers = 3;
  config.model_id.assign(64, '0');
  Batch batch;
  batch.add(config, 3, 8, 150);
  batch.add(config, 1, 5, 150, {{3, 8, *batch.codes[0]}});
  expect_same(config, batch);
}

TEST_F(PriorNetworkTest, ItemsOfABatchAreApart) {
  const Config config = small_config();
  Pair pair(config);
  torch::NoGradGuard no_grad;
  const auto codes = [&](uint64_t seed) { return tensor_of(random_codes(config, 30, 3, seed), 3); };
  const Tensor a = codes(1), b = codes(2), other = codes(3);
  const ContextCodes both{1, torch::cat({other, other}), torch::tensor({0.0f, 1.0f})};
  const Tensor bits = pair.network->bits(0, torch::cat({a, b}), {both}, 0);
  const Tensor first = pair.network->bits(0, a, {}, 0)[0];
  const Tensor second = pair.network->bits(0, b, {{1, other, torch::ones({1})}}, 0)[0];
  EXPECT_LT((bits[0] - first).abs().max().item<double>(), 1e-4);
  EXPECT_LT((bits[1] - second).abs().max().item<double>(), 1e-4);
  EXPECT_GT((pair.network->bits(0, b, {}, 0)[0] - second).abs().max().item<double>(), 0.01);
}

TEST_F(PriorNetworkTest, ANewOnePredictsByTheBiasAlone) {
  const Config config = small_config();
  torch::manual_seed(1);
  Network network(config);
  torch::NoGradGuard no_grad;
  const Tensor codes = tensor_of(random_codes(config, 30, 3, 1), 3);
  EXPECT_NEAR(network->bits(1, codes, {}, 0).mean().item<double>(), std::log2(21.0), 1e-5);
}

}  // namespace
}  // namespace vqcodec::prior::train
