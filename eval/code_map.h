// How well points of several classes are told apart, and how much of a codebook is used: the measures of vqeval codes.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/thread_pool.h"

namespace vqcodec::eval {

// Mean silhouette (Rousseeuw, "Silhouettes", 1987) with Euclidean distances: over the points, (b - a) / max(a, b), where
// a is the mean distance to the other points of its class and b the least mean distance to another class. In [-1, 1]; 0
// for a point alone in its class or with a = b = 0. NaN with fewer than 2 classes. points: [n, num_dims]; labels: [n],
// >= 0.
double silhouette(std::span<const float> points, int64_t num_dims, std::span<const int> labels,
                  runtime::ThreadPool& pool);

// A fold in [0, num_folds) for every point, such that no group is cut and every class is spread evenly: groups in a
// shuffled order, large ones first, each into the fold whose shares of the classes it leaves most even. groups, labels:
// [n].
std::vector<int> assign_folds(std::span<const int> groups, std::span<const int> labels, int num_folds, uint64_t seed);

struct LinearProbeOptions {
  double inverse_penalty = 1;        // scikit-learn's C, > 0
  double gradient_tolerance = 1e-7;  // of the mean loss, greatest component
  int max_iterations = 2000;
};

// Multinomial logistic regression: minimises mean cross entropy + |W|^2 / (2 C n) over weights W and offsets, which are
// free, by L-BFGS. Features are standardised first by mean and deviation of the points that it is trained on.
class LinearProbe {
 public:
  // points: [n, num_dims]; labels: [n] in [0, num_classes); classes may be absent.
  LinearProbe(std::span<const float> points, int64_t num_dims, std::span<const int> labels, int num_classes,
              const LinearProbeOptions& options = {});

  int predict(const float* point) const;           // [num_dims]
  double objective() const { return objective_; }  // at the end, nats
  bool converged() const { return converged_; }

 private:
  int64_t num_dims_, num_classes_;
  std::vector<double> mean_, inverse_deviation_;
  std::vector<double> weights_;  // [num_classes, num_dims + 1], the offset last
  double objective_ = 0;
  bool converged_ = false;
};

struct ProbeResult {
  double accuracy = 0;           // share of the points whose class is found by a probe trained on the other folds
  double balanced_accuracy = 0;  // mean over the classes
  double chance = 0;             // share of the largest class
  std::vector<double> fold_accuracy;
  bool converged = true;  // every probe
};

// Cross-validated; folds: [n] in [0, num_folds). A fold without points is left out.
ProbeResult cross_validate(std::span<const float> points, int64_t num_dims, std::span<const int> labels,
                           int num_classes, std::span<const int> folds, int num_folds, runtime::ThreadPool& pool,
                           const LinearProbeOptions& options = {});

struct CodeUse {
  int64_t num_codes = 0;  // counted
  int64_t num_used = 0;   // different ones
  double share = 0;       // num_used / codebook_size
  double perplexity = 0;  // 2^entropy of their distribution, in [1, num_used]; 0 without codes
};

// codes: each in [0, codebook_size).
CodeUse code_use(std::span<const uint16_t> codes, int codebook_size);

}  // namespace vqcodec::eval
