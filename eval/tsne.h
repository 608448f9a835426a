// Exact t-SNE (van der Maaten and Hinton, "Visualizing Data using t-SNE", JMLR 9, 2008): points of many dimensions on a
// map of two on which neighbours stay neighbours. Every pair is counted, in double, so time and memory grow with the
// square of the number of points: meant for some thousands.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "runtime/thread_pool.h"

namespace vqcodec::eval {

// The defaults are scikit-learn's.
struct TsneOptions {
  double perplexity = 30;              // neighbours that a point is to have, in [1, n - 1]
  int num_iterations = 1000;           // >= 1
  int num_exaggerated = 250;           // the first of them, with P times `exaggeration` and little momentum
  double exaggeration = 12;            // >= 1
  double learning_rate = 0;            // 0 = max(50, n / exaggeration / 4)
  bool pca_start = true;               // else from Gaussian noise
  uint64_t seed = 1;                   // of the noise; the start from PCA has a little too, to part equal points
  std::function<void(int)> on_step{};  // iterations done
};

struct TsneResult {
  std::vector<double> map;            // [n, 2]
  std::vector<double> kl_divergence;  // of P and Q, nats, every 50 iterations and after the last
};

// points: [n, num_dims], finite, n >= 4. The result does not depend on the number of threads. Throws Error(kUsage) for
// options outside their ranges and points that are too few or not finite.
TsneResult tsne(std::span<const float> points, int64_t num_dims, const TsneOptions& options, runtime::ThreadPool& pool);

// p(j|i), [n, n], rows that sum to 1 with 0 on the diagonal: Gaussians around each point whose width gives the row the
// perplexity 2^H that is asked, found by bisection. Where a point has more equals than that, its row is uniform over
// them.
// squared_distances: [n, n], finite, >= 0. 1 <= perplexity <= n - 1.
std::vector<double> conditional_affinities(std::span<const double> squared_distances, int64_t n, double perplexity,
                                           runtime::ThreadPool& pool);

// [n, n]. points: [n, num_dims].
std::vector<double> squared_distances(std::span<const float> points, int64_t n, int64_t num_dims,
                                      runtime::ThreadPool& pool);

}  // namespace vqcodec::eval
