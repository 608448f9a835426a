#include "eval/tsne.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>

#include "base/error.h"

namespace vqcodec::eval {

namespace {

constexpr int64_t kLanes = 8;  // sums over j are kept in lanes of fixed order, which the compiler can vectorise

// std::normal_distribution differs between libraries; this does not.
class Gaussian {
 public:
  explicit Gaussian(uint64_t seed) : random_(seed) {}
  double next() {
    const double u = (static_cast<double>(random_() >> 11) + 0.5) * 0x1p-53;
    const double v = static_cast<double>(random_() >> 11) * 0x1p-53;
    return std::sqrt(-2 * std::log(u)) * std::cos(2 * M_PI * v);
  }

 private:
  std::mt19937_64 random_;
};

double sum_of(const double (&lanes)[kLanes]) {
  double sum = 0;
  for (double lane : lanes) sum += lane;
  return sum;
}

// The scores of the first two principal components by power iteration, [n, 2]. They only have to be good enough to
// start from: components of nearly equal variance may come mixed.
std::vector<double> principal_scores(std::span<const float> points, int64_t n, int64_t num_dims, Gaussian& random) {
  const auto dims = static_cast<size_t>(num_dims);
  std::vector<double> centred(points.begin(), points.end()), covariance(dims * dims, 0.0);
  for (size_t k = 0; k < dims; ++k) {
    double mean = 0;
    for (int64_t i = 0; i < n; ++i) mean += centred[static_cast<size_t>(i) * dims + k];
    mean /= static_cast<double>(n);
    for (int64_t i = 0; i < n; ++i) centred[static_cast<size_t>(i) * dims + k] -= mean;
  }
  for (int64_t i = 0; i < n; ++i) {
    const double* row = centred.data() + static_cast<size_t>(i) * dims;
    for (size_t k = 0; k < dims; ++k) {
      for (size_t l = 0; l < dims; ++l) covariance[k * dims + l] += row[k] * row[l];
    }
  }
  std::vector<double> scores(static_cast<size_t>(2 * n), 0.0);
  std::vector<double> first(dims, 0.0), vector(dims), product(dims);
  for (size_t component = 0; component < std::min<size_t>(2, dims); ++component) {
    for (double& value : vector) value = random.next();
    for (int iteration = 0; iteration < 300; ++iteration) {
      double along = 0, norm = 0;
      for (size_t k = 0; k < dims; ++k) along += vector[k] * first[k];
      for (size_t k = 0; k < dims; ++k) vector[k] -= along * first[k];
      for (size_t k = 0; k < dims; ++k) {
        product[k] = 0;
        for (size_t l = 0; l < dims; ++l) product[k] += covariance[k * dims + l] * vector[l];
        norm += product[k] * product[k];
      }
      if (norm == 0) return scores;  // no variance is left
      norm = std::sqrt(norm);
      for (size_t k = 0; k < dims; ++k) vector[k] = product[k] / norm;
    }
    for (int64_t i = 0; i < n; ++i) {
      double score = 0;
      for (size_t k = 0; k < dims; ++k) score += centred[static_cast<size_t>(i) * dims + k] * vector[k];
      scores[static_cast<size_t>(2 * i) + component] = score;
    }
    if (component == 0) first = vector;
  }
  return scores;
}

// [2, n], x then y: a small cloud of standard deviation 1e-4 along x.
std::vector<double> start_map(std::span<const float> points, int64_t n, int64_t num_dims, const TsneOptions& options) {
  constexpr double kDeviation = 1e-4, kJitter = 1e-6;
  Gaussian random(options.seed);
  std::vector<double> map(static_cast<size_t>(2 * n));
  double scale = 0, jitter = kDeviation;
  std::vector<double> scores(map.size(), 0.0);
  if (options.pca_start) {
    scores = principal_scores(points, n, num_dims, random);
    double energy = 0;
    for (int64_t i = 0; i < n; ++i) energy += scores[static_cast<size_t>(2 * i)] * scores[static_cast<size_t>(2 * i)];
    if (energy > 0) {
      scale = kDeviation / std::sqrt(energy / static_cast<double>(n));
      jitter = kJitter;
    }
  }
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t c = 0; c < 2; ++c) {
      map[static_cast<size_t>(c * n + i)] = scores[static_cast<size_t>(2 * i + c)] * scale + jitter * random.next();
    }
  }
  return map;
}

// One evaluation of the gradient of KL(P || Q) and, if asked, of its value.
class Gradient {
 public:
  Gradient(const std::vector<double>& p, int64_t n)
      : p_(p),
        n_(n),
        attraction_(static_cast<size_t>(2 * n)),
        repulsion_(attraction_.size()),
        normaliser_(static_cast<size_t>(n)) {}

  // map: [2, n]. gradient: [2, n]. P counts `exaggeration` times.
  void evaluate(const std::vector<double>& map, double exaggeration, std::vector<double>& gradient,
                runtime::ThreadPool& pool) {
    const double* x = map.data();
    const double* y = map.data() + n_;
    pool.parallel_for(n_, 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) row(i, x, y);
    });
    z_ = 0;
    for (double row_sum : normaliser_) z_ += row_sum;  // the diagonal, where q is 1 before the division, is left out
    z_ -= static_cast<double>(n_);
    for (size_t k = 0; k < gradient.size(); ++k) gradient[k] = 4 * (exaggeration * attraction_[k] - repulsion_[k] / z_);
  }

  // For the map of the last evaluate().
  double kl_divergence(const std::vector<double>& map, runtime::ThreadPool& pool) const {
    std::vector<double> rows(static_cast<size_t>(n_), 0.0);
    pool.parallel_for(n_, 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        for (int64_t j = 0; j < n_; ++j) {
          const double p = p_[static_cast<size_t>(i * n_ + j)];
          if (i == j || p <= 0) continue;
          const double dx = map[static_cast<size_t>(i)] - map[static_cast<size_t>(j)];
          const double dy = map[static_cast<size_t>(n_ + i)] - map[static_cast<size_t>(n_ + j)];
          rows[static_cast<size_t>(i)] += p * std::log(p * (1 + dx * dx + dy * dy) * z_);
        }
      }
    });
    double sum = 0;
    for (double value : rows) sum += value;
    return sum;
  }

 private:
  void row(int64_t i, const double* x, const double* y) {
    const double* p = p_.data() + i * n_;
    const double xi = x[i], yi = y[i];
    double z[kLanes] = {}, ax[kLanes] = {}, ay[kLanes] = {}, rx[kLanes] = {}, ry[kLanes] = {};
    const auto pair = [&](int64_t j, int64_t lane) {
      const double dx = xi - x[j], dy = yi - y[j];
      const double q = 1 / (1 + dx * dx + dy * dy);
      const double pull = p[j] * q, push = q * q;
      z[lane] += q;
      ax[lane] += pull * dx;
      ay[lane] += pull * dy;
      rx[lane] += push * dx;
      ry[lane] += push * dy;
    };
    int64_t j = 0;
    for (; j + kLanes <= n_; j += kLanes) {
      for (int64_t lane = 0; lane < kLanes; ++lane) pair(j + lane, lane);
    }
    for (; j < n_; ++j) pair(j, 0);
    const auto at = static_cast<size_t>(i), n = static_cast<size_t>(n_);
    normaliser_[at] = sum_of(z);
    attraction_[at] = sum_of(ax);
    attraction_[n + at] = sum_of(ay);
    repulsion_[at] = sum_of(rx);
    repulsion_[n + at] = sum_of(ry);
  }

  const std::vector<double>& p_;
  int64_t n_;
  std::vector<double> attraction_, repulsion_, normaliser_;
  double z_ = 1;
};

}  // namespace

std::vector<double> squared_distances(std::span<const float> points, int64_t n, int64_t num_dims,
                                      runtime::ThreadPool& pool) {
  std::vector<double> distances(static_cast<size_t>(n * n), 0.0);
  pool.parallel_for(n, 8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* a = points.data() + i * num_dims;
      for (int64_t j = 0; j < n; ++j) {
        const float* b = points.data() + j * num_dims;
        double lanes[kLanes] = {};
        int64_t k = 0;
        for (; k + kLanes <= num_dims; k += kLanes) {
          for (int64_t lane = 0; lane < kLanes; ++lane) {
            const double d = static_cast<double>(a[k + lane]) - static_cast<double>(b[k + lane]);
            lanes[lane] += d * d;
          }
        }
        for (; k < num_dims; ++k) {
          const double d = static_cast<double>(a[k]) - static_cast<double>(b[k]);
          lanes[0] += d * d;
        }
        distances[static_cast<size_t>(i * n + j)] = sum_of(lanes);
      }
    }
  });
  return distances;
}

std::vector<double> conditional_affinities(std::span<const double> squared_distances, int64_t n, double perplexity,
                                           runtime::ThreadPool& pool) {
  constexpr int kBisections = 200;
  constexpr double kTolerance = 1e-10;  // nats
  const double wanted = std::log(perplexity);
  std::vector<double> affinities(static_cast<size_t>(n * n), 0.0);
  pool.parallel_for(n, 8, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const double* distances = squared_distances.data() + i * n;
      double* row = affinities.data() + i * n;
      double nearest = std::numeric_limits<double>::infinity(), mean = 0;
      for (int64_t j = 0; j < n; ++j) {
        if (j == i) continue;
        nearest = std::min(nearest, distances[j]);
        mean += distances[j] / static_cast<double>(n - 1);
      }
      // Exponents are relative to the nearest point, so that the sum is never 0; entropy falls with beta.
      double beta = mean > nearest ? 1 / (mean - nearest) : 1, low = 0;
      double high = std::numeric_limits<double>::infinity();
      for (int step = 0; step < kBisections; ++step) {
        double sum = 0, weighted = 0;
        for (int64_t j = 0; j < n; ++j) {
          if (j == i) continue;
          const double distance = distances[j] - nearest;
          row[j] = std::exp(-beta * distance);
          sum += row[j];
          weighted += row[j] * distance;
        }
        const double entropy = std::log(sum) + beta * weighted / sum;
        for (int64_t j = 0; j < n; ++j) row[j] /= sum;
        if (std::abs(entropy - wanted) < kTolerance) break;
        (entropy > wanted ? low : high) = beta;
        beta = std::isinf(high) ? beta * 2 : (low + high) / 2;
        if (!std::isfinite(beta)) break;
      }
    }
  });
  return affinities;
}

TsneResult tsne(std::span<const float> points, int64_t num_dims, const TsneOptions& options,
                runtime::ThreadPool& pool) {
  const int64_t n = num_dims > 0 ? static_cast<int64_t>(points.size()) / num_dims : 0;
  if (n < 4 || n * num_dims != static_cast<int64_t>(points.size())) {
    throw Error(ExitCode::kUsage, "a map needs 4 points or more, found " + std::to_string(n));
  }
  if (!(options.perplexity >= 1 && options.perplexity <= static_cast<double>(n - 1))) {
    throw Error(ExitCode::kUsage, "perplexity " + std::to_string(options.perplexity) + ": expected 1 to " +
                                      std::to_string(n - 1) + " for " + std::to_string(n) + " points");
  }
  if (options.num_iterations < 1 || !(options.exaggeration >= 1) || !(options.learning_rate >= 0)) {
    throw Error(ExitCode::kUsage, "a map needs an iteration, an exaggeration of 1 or more and a learning rate above 0");
  }
  for (float value : points) {
    if (!std::isfinite(value)) throw Error(ExitCode::kUsage, "a map needs points that are finite");
  }

  std::vector<double> p;
  {
    const std::vector<double> conditional =
        conditional_affinities(squared_distances(points, n, num_dims, pool), n, options.perplexity, pool);
    p.resize(conditional.size());
    pool.parallel_for(n, 32, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        for (int64_t j = 0; j < n; ++j) {
          p[static_cast<size_t>(i * n + j)] =
              (conditional[static_cast<size_t>(i * n + j)] + conditional[static_cast<size_t>(j * n + i)]) /
              (2 * static_cast<double>(n));
        }
      }
    });
  }

  constexpr double kMinGain = 0.01, kGainStep = 0.2, kGainDecay = 0.8;
  const double learning_rate = options.learning_rate > 0
                                   ? options.learning_rate
                                   : std::max(50.0, static_cast<double>(n) / options.exaggeration / 4);
  std::vector<double> map = start_map(points, n, num_dims, options);
  std::vector<double> velocity(map.size(), 0.0), gains(map.size(), 1.0), slope(map.size());
  Gradient gradient(p, n);
  TsneResult result;
  for (int step = 0; step < options.num_iterations; ++step) {
    const bool early = step < options.num_exaggerated;
    if (step == options.num_exaggerated) {  // another function from here on: what was learnt of the slopes is void
      std::ranges::fill(velocity, 0.0);
      std::ranges::fill(gains, 1.0);
    }
    gradient.evaluate(map, early ? options.exaggeration : 1, slope, pool);
    if (step % 50 == 0) result.kl_divergence.push_back(gradient.kl_divergence(map, pool));
    const double momentum = early ? 0.5 : 0.8;
    for (size_t k = 0; k < map.size(); ++k) {
      const bool turned = velocity[k] * slope[k] < 0;  // the step still goes downhill
      gains[k] = std::max(kMinGain, turned ? gains[k] + kGainStep : gains[k] * kGainDecay);
      velocity[k] = momentum * velocity[k] - learning_rate * gains[k] * slope[k];
      map[k] += velocity[k];
    }
    if (options.on_step) options.on_step(step + 1);
  }
  gradient.evaluate(map, 1, slope, pool);
  result.kl_divergence.push_back(gradient.kl_divergence(map, pool));
  result.map.resize(map.size());
  for (int64_t c = 0; c < 2; ++c) {
    double mean = 0;
    for (int64_t i = 0; i < n; ++i) mean += map[static_cast<size_t>(c * n + i)] / static_cast<double>(n);
    for (int64_t i = 0; i < n; ++i)
      result.map[static_cast<size_t>(2 * i + c)] = map[static_cast<size_t>(c * n + i)] - mean;
  }
  return result;
}

}  // namespace vqcodec::eval
