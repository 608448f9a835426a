#include "eval/code_map.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <map>
#include <numeric>
#include <random>

namespace vqcodec::eval {

namespace {

double dot(const std::vector<double>& a, const std::vector<double>& b) {
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
}

// Mean cross entropy with penalty, and its gradient, over standardised rows [n, width] whose last column is 1.
class Objective {
 public:
  Objective(std::vector<double> rows, int64_t width, std::span<const int> labels, int64_t num_classes, double penalty)
      : rows_(std::move(rows)), width_(width), labels_(labels), num_classes_(num_classes), penalty_(penalty) {}

  double operator()(const std::vector<double>& weights, std::vector<double>& gradient) const {
    const auto n = static_cast<int64_t>(labels_.size());
    std::ranges::fill(gradient, 0.0);
    std::vector<double> logits(static_cast<size_t>(num_classes_));
    double loss = 0, square = 0;
    for (int64_t i = 0; i < n; ++i) {
      const double* row = rows_.data() + i * width_;
      double greatest = -std::numeric_limits<double>::infinity(), sum = 0;
      for (int64_t c = 0; c < num_classes_; ++c) {
        double lanes[4] = {};
        const double* w = weights.data() + c * width_;
        int64_t k = 0;
        for (; k + 4 <= width_; k += 4) {
          for (int64_t lane = 0; lane < 4; ++lane) lanes[lane] += w[k + lane] * row[k + lane];
        }
        for (; k < width_; ++k) lanes[0] += w[k] * row[k];
        logits[static_cast<size_t>(c)] = (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
        greatest = std::max(greatest, logits[static_cast<size_t>(c)]);
      }
      const auto label = static_cast<size_t>(labels_[static_cast<size_t>(i)]);
      loss += greatest - logits[label];
      for (double& logit : logits) sum += logit = std::exp(logit - greatest);
      loss += std::log(sum);
      for (int64_t c = 0; c < num_classes_; ++c) {
        const auto at = static_cast<size_t>(c);
        const double error = (logits[at] / sum - (at == label ? 1 : 0)) / static_cast<double>(n);
        double* g = gradient.data() + c * width_;
        for (int64_t k = 0; k < width_; ++k) g[k] += error * row[k];
      }
    }
    for (int64_t c = 0; c < num_classes_; ++c) {
      for (int64_t k = 0; k + 1 < width_; ++k) {
        const auto at = static_cast<size_t>(c * width_ + k);
        square += weights[at] * weights[at];
        gradient[at] += penalty_ * weights[at];
      }
    }
    return loss / static_cast<double>(n) + penalty_ / 2 * square;
  }

 private:
  std::vector<double> rows_;
  int64_t width_;
  std::span<const int> labels_;
  int64_t num_classes_;
  double penalty_;
};

double greatest_component(const std::vector<double>& values) {
  double greatest = 0;
  for (double value : values) greatest = std::max(greatest, std::abs(value));
  return greatest;
}

// L-BFGS (Liu and Nocedal 1989) with a line search that halves until the loss falls enough (Armijo). True when the
// gradient has become small.
bool minimise(const Objective& objective, const LinearProbeOptions& options, std::vector<double>& weights,
              double& value) {
  constexpr size_t kMemory = 10;
  struct Pair {
    std::vector<double> step, change;  // of the weights, of the gradient
    double inverse_curvature;
  };
  std::deque<Pair> memory;
  std::vector<double> gradient(weights.size()), next_gradient(weights.size()), next(weights.size());
  value = objective(weights, gradient);
  for (int iteration = 0; iteration < options.max_iterations; ++iteration) {
    if (greatest_component(gradient) < options.gradient_tolerance) return true;
    std::vector<double> direction = gradient;
    std::vector<double> shares(memory.size());
    for (size_t m = memory.size(); m-- > 0;) {
      shares[m] = dot(memory[m].step, direction) * memory[m].inverse_curvature;
      for (size_t k = 0; k < direction.size(); ++k) direction[k] -= shares[m] * memory[m].change[k];
    }
    if (!memory.empty()) {
      const Pair& last = memory.back();
      const double scale = 1 / (last.inverse_curvature * dot(last.change, last.change));
      for (double& d : direction) d *= scale;
    }
    for (size_t m = 0; m < memory.size(); ++m) {
      const double share = shares[m] - dot(memory[m].change, direction) * memory[m].inverse_curvature;
      for (size_t k = 0; k < direction.size(); ++k) direction[k] += share * memory[m].step[k];
    }
    const double slope = dot(gradient, direction);
    double length = 1, next_value = 0;
    bool fell = false;
    for (int halving = 0; halving < 60 && !fell; ++halving, length /= 2) {
      for (size_t k = 0; k < next.size(); ++k) next[k] = weights[k] - length * direction[k];
      next_value = objective(next, next_gradient);
      fell = next_value <= value - 1e-4 * length * slope;
    }
    if (!fell) {
      if (memory.empty()) return false;  // rounding is all that is left
      memory.clear();
      continue;
    }
    Pair pair{next, next_gradient, 0};
    for (size_t k = 0; k < next.size(); ++k) {
      pair.step[k] -= weights[k];
      pair.change[k] -= gradient[k];
    }
    const double curvature = dot(pair.step, pair.change);
    if (curvature > 0) {
      pair.inverse_curvature = 1 / curvature;
      memory.push_back(std::move(pair));
      if (memory.size() > kMemory) memory.pop_front();
    }
    weights.swap(next);
    gradient.swap(next_gradient);
    value = next_value;
  }
  return false;
}

}  // namespace

double silhouette(std::span<const float> points, int64_t num_dims, std::span<const int> labels,
                  runtime::ThreadPool& pool) {
  const auto n = static_cast<int64_t>(labels.size());
  const int num_classes = n == 0 ? 0 : *std::ranges::max_element(labels) + 1;
  std::vector<int64_t> sizes(static_cast<size_t>(num_classes), 0);
  for (int label : labels) ++sizes[static_cast<size_t>(label)];
  if (std::ranges::count_if(sizes, [](int64_t size) { return size > 0; }) < 2) {
    return std::numeric_limits<double>::quiet_NaN();
  }
  std::vector<double> values(static_cast<size_t>(n), 0.0);
  pool.parallel_for(n, 8, [&](int64_t begin, int64_t end) {
    std::vector<double> sums(sizes.size());
    for (int64_t i = begin; i < end; ++i) {
      std::ranges::fill(sums, 0.0);
      const float* a = points.data() + i * num_dims;
      for (int64_t j = 0; j < n; ++j) {
        const float* b = points.data() + j * num_dims;
        double square = 0;
        for (int64_t k = 0; k < num_dims; ++k) {
          const double d = static_cast<double>(a[k]) - static_cast<double>(b[k]);
          square += d * d;
        }
        sums[static_cast<size_t>(labels[static_cast<size_t>(j)])] += std::sqrt(square);
      }
      const auto own = static_cast<size_t>(labels[static_cast<size_t>(i)]);
      if (sizes[own] < 2) continue;
      const double within = sums[own] / static_cast<double>(sizes[own] - 1);
      double nearest = std::numeric_limits<double>::infinity();
      for (size_t c = 0; c < sums.size(); ++c) {
        if (c != own && sizes[c] > 0) nearest = std::min(nearest, sums[c] / static_cast<double>(sizes[c]));
      }
      const double greater = std::max(within, nearest);
      if (greater > 0) values[static_cast<size_t>(i)] = (nearest - within) / greater;
    }
  });
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(n);
}

std::vector<int> assign_folds(std::span<const int> groups, std::span<const int> labels, int num_folds, uint64_t seed) {
  std::map<int, std::map<int, double>> shares;  // of each class in each group
  std::map<int, double> totals, sizes;
  for (size_t i = 0; i < labels.size(); ++i) totals[labels[i]] += 1;
  for (size_t i = 0; i < labels.size(); ++i) {
    shares[groups[i]][labels[i]] += 1 / totals[labels[i]];
    sizes[groups[i]] += 1 / totals[labels[i]];
  }
  std::vector<int> order;
  for (const auto& [group, size] : sizes) order.push_back(group);
  std::mt19937_64 random(seed);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random() % i]);
  std::ranges::stable_sort(order, [&](int a, int b) { return sizes[a] > sizes[b]; });
  std::vector<std::map<int, double>> filled(static_cast<size_t>(num_folds));
  std::map<int, int> fold_of;
  for (int group : order) {
    double least = std::numeric_limits<double>::infinity(), least_total = least;
    int best = 0;
    for (int fold = 0; fold < num_folds; ++fold) {
      // What the squares of the shares grow by; of equals, the emptier fold.
      double growth = 0, total = 0;
      for (const auto& [label, share] : shares[group]) growth += share * filled[static_cast<size_t>(fold)][label];
      for (const auto& [label, share] : filled[static_cast<size_t>(fold)]) total += share;
      if (growth < least || (growth == least && total < least_total)) {
        least = growth;
        least_total = total;
        best = fold;
      }
    }
    for (const auto& [label, share] : shares[group]) filled[static_cast<size_t>(best)][label] += share;
    fold_of[group] = best;
  }
  std::vector<int> folds;
  for (int group : groups) folds.push_back(fold_of[group]);
  return folds;
}

LinearProbe::LinearProbe(std::span<const float> points, int64_t num_dims, std::span<const int> labels, int num_classes,
                         const LinearProbeOptions& options)
    : num_dims_(num_dims), num_classes_(num_classes) {
  const auto n = static_cast<int64_t>(labels.size());
  const auto dims = static_cast<size_t>(num_dims);
  mean_.assign(dims, 0.0);
  inverse_deviation_.assign(dims, 0.0);
  for (size_t k = 0; k < dims; ++k) {
    double square = 0;
    for (int64_t i = 0; i < n; ++i) mean_[k] += points[static_cast<size_t>(i) * dims + k];
    mean_[k] /= static_cast<double>(n);
    for (int64_t i = 0; i < n; ++i) {
      const double d = points[static_cast<size_t>(i) * dims + k] - mean_[k];
      square += d * d;
    }
    const double deviation = std::sqrt(square / static_cast<double>(n));
    // A feature that is always the same is left at 0, rounding of its mean or not.
    inverse_deviation_[k] = deviation > 1e-9 * std::abs(mean_[k]) && deviation > 0 ? 1 / deviation : 0;
  }
  const int64_t width = num_dims + 1;
  std::vector<double> rows(static_cast<size_t>(n * width), 1.0);
  for (int64_t i = 0; i < n; ++i) {
    for (size_t k = 0; k < dims; ++k) {
      rows[static_cast<size_t>(i * width) + k] =
          (points[static_cast<size_t>(i) * dims + k] - mean_[k]) * inverse_deviation_[k];
    }
  }
  weights_.assign(static_cast<size_t>(num_classes * width), 0.0);
  const Objective objective(std::move(rows), width, labels, num_classes,
                            1 / (options.inverse_penalty * static_cast<double>(n)));
  converged_ = minimise(objective, options, weights_, objective_);
}

int LinearProbe::predict(const float* point) const {
  int best = 0;
  double best_logit = -std::numeric_limits<double>::infinity();
  for (int64_t c = 0; c < num_classes_; ++c) {
    const double* w = weights_.data() + c * (num_dims_ + 1);
    double logit = w[num_dims_];
    for (int64_t k = 0; k < num_dims_; ++k) {
      const auto at = static_cast<size_t>(k);
      logit += w[k] * (static_cast<double>(point[k]) - mean_[at]) * inverse_deviation_[at];
    }
    if (logit > best_logit) {
      best_logit = logit;
      best = static_cast<int>(c);
    }
  }
  return best;
}

ProbeResult cross_validate(std::span<const float> points, int64_t num_dims, std::span<const int> labels,
                           int num_classes, std::span<const int> folds, int num_folds, runtime::ThreadPool& pool,
                           const LinearProbeOptions& options) {
  const size_t n = labels.size();
  const auto dims = static_cast<size_t>(num_dims);
  std::vector<char> right(n, 0), converged(static_cast<size_t>(num_folds), 1);
  pool.parallel_for(num_folds, 1, [&](int64_t begin, int64_t end) {
    for (int64_t fold = begin; fold < end; ++fold) {
      std::vector<float> train;
      std::vector<int> train_labels;
      for (size_t i = 0; i < n; ++i) {
        if (folds[i] == fold) continue;
        train.insert(train.end(), points.begin() + static_cast<std::ptrdiff_t>(i * dims),
                     points.begin() + static_cast<std::ptrdiff_t>((i + 1) * dims));
        train_labels.push_back(labels[i]);
      }
      if (train_labels.empty() || train_labels.size() == n) continue;
      const LinearProbe probe(train, num_dims, train_labels, num_classes, options);
      converged[static_cast<size_t>(fold)] = probe.converged() ? 1 : 0;
      for (size_t i = 0; i < n; ++i) {
        if (folds[i] == fold) right[i] = probe.predict(points.data() + i * dims) == labels[i] ? 1 : 0;
      }
    }
  });
  ProbeResult result;
  std::vector<double> class_right(static_cast<size_t>(num_classes), 0.0), class_size(class_right.size(), 0.0);
  for (int fold = 0; fold < num_folds; ++fold) {
    double fold_right = 0, fold_size = 0;
    for (size_t i = 0; i < n; ++i) {
      if (folds[i] != fold) continue;
      fold_size += 1;
      fold_right += right[i];
      class_size[static_cast<size_t>(labels[i])] += 1;
      class_right[static_cast<size_t>(labels[i])] += right[i];
    }
    if (fold_size > 0) result.fold_accuracy.push_back(fold_right / fold_size);
    result.accuracy += fold_right / static_cast<double>(n);
    result.converged = result.converged && converged[static_cast<size_t>(fold)] != 0;
  }
  double present = 0;
  for (size_t c = 0; c < class_size.size(); ++c) {
    if (class_size[c] == 0) continue;
    present += 1;
    result.balanced_accuracy += class_right[c] / class_size[c];
    result.chance = std::max(result.chance, class_size[c] / static_cast<double>(n));
  }
  result.balanced_accuracy /= std::max(1.0, present);
  return result;
}

CodeUse code_use(std::span<const uint16_t> codes, int codebook_size) {
  std::vector<int64_t> counts(static_cast<size_t>(codebook_size), 0);
  for (uint16_t code : codes) ++counts[code];
  CodeUse use;
  use.num_codes = static_cast<int64_t>(codes.size());
  double entropy = 0;
  for (int64_t count : counts) {
    if (count == 0) continue;
    ++use.num_used;
    const double share = static_cast<double>(count) / static_cast<double>(codes.size());
    entropy -= share * std::log2(share);
  }
  use.share = static_cast<double>(use.num_used) / codebook_size;
  use.perplexity = codes.empty() ? 0 : std::exp2(entropy);
  return use;
}

}  // namespace vqcodec::eval
