#include "eval/code_map.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace vqcodec::eval {
namespace {

nlohmann::json reference() {
  std::ifstream file(std::string(std::getenv("VQCODEC_SOURCE_DIR")) + "/tests/eval/tsne_reference.json");
  return nlohmann::json::parse(file);
}

TEST(Silhouette, AgreesWithScikitLearn) {
  const auto expected = reference();
  runtime::ThreadPool pool(2);
  EXPECT_NEAR(silhouette(expected["points"].get<std::vector<float>>(), expected["num_dims"].get<int64_t>(),
                         expected["labels"].get<std::vector<int>>(), pool),
              expected["silhouette"].get<double>(), 1e-6);
}

TEST(Silhouette, SmallCasesByHand) {
  runtime::ThreadPool pool(1);
  // On a line: 0 and 1 of class 0, 4 of class 1 alone. (4 - 1) / 4, (3 - 1) / 3, 0.
  EXPECT_NEAR(silhouette(std::vector<float>{0, 1, 4}, 1, std::vector<int>{0, 0, 1}, pool), (0.75 + 2.0 / 3) / 3, 1e-12);
  EXPECT_EQ(silhouette(std::vector<float>(8, 1.0F), 2, std::vector<int>{0, 0, 3, 3}, pool), 0);
  EXPECT_TRUE(std::isnan(silhouette(std::vector<float>{0, 1}, 1, std::vector<int>{2, 2}, pool)));
  EXPECT_TRUE(std::isnan(silhouette({}, 1, {}, pool)));
}

// Both minimise the same strictly convex function, so objectives agree closely and accuracy up to a point that lies on
// the border: tolerance one point of the 45 of a fold.
TEST(LinearProbe, AgreesWithScikitLearn) {
  const auto expected = reference();
  const auto points = expected["points"].get<std::vector<float>>();
  const auto dims = expected["num_dims"].get<int64_t>();
  const auto labels = expected["labels"].get<std::vector<int>>();
  const auto folds = expected["folds"].get<std::vector<int>>();
  const int num_folds = expected["num_folds"].get<int>();
  runtime::ThreadPool pool(2);
  const ProbeResult result = cross_validate(points, dims, labels, 4, folds, num_folds, pool);
  EXPECT_TRUE(result.converged);
  ASSERT_EQ(result.fold_accuracy.size(), static_cast<size_t>(num_folds));
  double mean = 0;
  for (int fold = 0; fold < num_folds; ++fold) {
    const auto at = static_cast<size_t>(fold);
    EXPECT_NEAR(result.fold_accuracy[at], expected["fold_accuracy"][at].get<double>(), 1.0 / 45 + 1e-9);
    mean += expected["fold_accuracy"][at].get<double>() / num_folds;
    std::vector<float> train;
    std::vector<int> train_labels;
    for (size_t i = 0; i < labels.size(); ++i) {
      if (folds[i] == fold) continue;
      train.insert(train.end(), points.begin() + static_cast<std::ptrdiff_t>(i) * dims,
                   points.begin() + static_cast<std::ptrdiff_t>(i + 1) * dims);
      train_labels.push_back(labels[i]);
    }
    EXPECT_NEAR(LinearProbe(train, dims, train_labels, 4).objective(), expected["fold_objective"][at].get<double>(),
                1e-6);
  }
  EXPECT_NEAR(result.accuracy, mean, 0.006);
  EXPECT_NEAR(result.chance, 60.0 / 180, 1e-12);
}

TEST(LinearProbe, NoiseIsAtChanceAndABorderIsFound) {
  runtime::ThreadPool pool(1);
  std::mt19937 random(1);
  std::vector<float> noise, split;
  std::vector<int> labels, folds;
  for (int i = 0; i < 600; ++i) {
    labels.push_back(i % 3);
    folds.push_back(i / 3 % 5);
    for (int k = 0; k < 4; ++k) noise.push_back(static_cast<float>(random()) / 4294967296.0F);
    split.push_back(static_cast<float>(labels.back()) * 2 + noise.back());
    split.push_back(7);  // a feature that tells nothing and has no deviation
  }
  const ProbeResult at_chance = cross_validate(noise, 4, labels, 3, folds, 5, pool);
  EXPECT_NEAR(at_chance.accuracy, 1.0 / 3, 0.06);
  EXPECT_NEAR(at_chance.chance, 1.0 / 3, 1e-12);
  const ProbeResult exact = cross_validate(split, 2, labels, 3, folds, 5, pool);
  EXPECT_EQ(exact.accuracy, 1);
  EXPECT_EQ(exact.balanced_accuracy, 1);
}

TEST(LinearProbe, BalancedAccuracyCountsClassesAlike) {
  // Nothing to learn from: the probe says the larger class.
  runtime::ThreadPool pool(1);
  std::vector<int> labels(100, 0), folds(100);
  for (size_t i = 0; i < 100; ++i) {
    labels[i] = i < 90 ? 0 : 1;
    folds[i] = static_cast<int>(i % 5);
  }
  const ProbeResult result = cross_validate(std::vector<float>(100, 0.1F), 1, labels, 2, folds, 5, pool);
  EXPECT_NEAR(result.accuracy, 0.9, 1e-12);
  EXPECT_NEAR(result.balanced_accuracy, 0.5, 1e-12);
  EXPECT_NEAR(result.chance, 0.9, 1e-12);
}

TEST(AssignFolds, KeepsGroupsWholeAndClassesEven) {
  std::vector<int> groups, labels;
  for (int group = 0; group < 47; ++group) {
    for (int i = 0; i < 20 + group % 3; ++i) {
      groups.push_back(group);
      labels.push_back(group % 3);
    }
  }
  const auto folds = assign_folds(groups, labels, 5, 1);
  std::map<int, std::set<int>> folds_of_group;
  std::map<std::pair<int, int>, int> counts;
  for (size_t i = 0; i < folds.size(); ++i) {
    ASSERT_TRUE(folds[i] >= 0 && folds[i] < 5);
    folds_of_group[groups[i]].insert(folds[i]);
    ++counts[{folds[i], labels[i]}];
  }
  for (const auto& [group, found] : folds_of_group) EXPECT_EQ(found.size(), 1U) << group;
  EXPECT_EQ(counts.size(), 15U);
  for (const auto& [key, count] : counts) EXPECT_TRUE(count >= 3 * 20 && count <= 4 * 22) << count;
  EXPECT_EQ(folds, assign_folds(groups, labels, 5, 1));
  EXPECT_NE(folds, assign_folds(groups, labels, 5, 2));
}

TEST(CodeUse, CountsEntriesAndTheirSpread) {
  EXPECT_EQ(code_use({}, 8).perplexity, 0);
  const CodeUse one = code_use(std::vector<uint16_t>(30, 5), 8);
  EXPECT_EQ(one.num_used, 1);
  EXPECT_EQ(one.num_codes, 30);
  EXPECT_EQ(one.share, 0.125);
  EXPECT_NEAR(one.perplexity, 1, 1e-12);
  EXPECT_NEAR(code_use(std::vector<uint16_t>{0, 1, 2, 7}, 8).perplexity, 4, 1e-12);
  // 1/2, 1/4, 1/4: 1.5 bits.
  EXPECT_NEAR(code_use(std::vector<uint16_t>{3, 3, 0, 1}, 4).perplexity, std::exp2(1.5), 1e-12);
}

}  // namespace
}  // namespace vqcodec::eval
