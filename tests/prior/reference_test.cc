// The network of docs/PRIOR.md written out plainly in double, straight from the file's tensors, against the runtime's.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "tests/prior/prior_test_util.h"

namespace vqcodec::prior {
namespace {

using Doubles = std::vector<double>;

class Reference {
 public:
  explicit Reference(const std::vector<std::byte>& bytes)
      : file_(runtime::Safetensors::open_memory(bytes, "reference")), config_(load_prior(bytes)->config()) {
    for (const std::string& name : file_.tensor_names()) {
      const std::vector<float> values = file_.floats(name, file_.shape(name));
      tensors_[name] = Doubles(values.begin(), values.end());
    }
  }

  // [frames * kept][codebook_size]
  std::vector<Doubles> logits(const Segment& segment) const {
    const auto kept = static_cast<size_t>(segment.num_codebooks);
    const size_t num_frames = segment.codes.size() / kept, width = at(config_.width);
    const auto source = static_cast<size_t>(segment.source);
    std::vector<Doubles> x;
    for (size_t t = 0; t < num_frames; ++t) {
      Doubles concat;
      for (size_t h = 0; h < at(config_.num_codebooks); ++h) {
        const Doubles e = t > 0 && h < kept ? embedding(source, h, segment.codes[(t - 1) * kept + h])
                                            : Doubles(at(config_.embedding_dim), 0.0);
        concat.insert(concat.end(), e.begin(), e.end());
      }
      Doubles row = t == 0 ? slice("start", source, width) : product(tensors_.at("input.weight"), concat);
      if (t > 0) add(row, slice("source", source, width));
      add(row, slice("quality", kept - 1, width));
      for (const Context& context : segment.context) {
        const auto u = static_cast<size_t>(context.source);
        add(row, slice("context_present", u, width));
        for (size_t j = 0; j < at(config_.lookahead_frames); ++j) {
          const size_t frame = t + j;
          if (frame >= static_cast<size_t>(context.num_frames())) continue;
          Doubles sum(at(config_.embedding_dim), 0.0);
          for (size_t h = 0; h < static_cast<size_t>(context.num_codebooks); ++h)
            add(sum, embedding(u, h, context.codes[frame * static_cast<size_t>(context.num_codebooks) + h]));
          add(row,
              product(slice("context." + std::to_string(j) + ".weight", u, width * at(config_.embedding_dim)), sum));
        }
      }
      x.push_back(row);
    }
    for (int i = 0; i < config_.num_layers; ++i) layer("layers." + std::to_string(i), x);
    std::vector<Doubles> result;
    for (size_t t = 0; t < num_frames; ++t) {
      const Doubles z = norm("norm", x[t]);
      Doubles before(at(config_.embedding_dim), 0.0);
      for (size_t h = 0; h < kept; ++h) {
        Doubles in = z;
        in.insert(in.end(), before.begin(), before.end());
        const std::string name = "code." + std::to_string(h);
        const Doubles q = linear(name + ".fc2", gelu(linear(name + ".fc1", in)));
        Doubles row = slice("code_bias", source * at(config_.num_codebooks) + h, at(config_.codebook_size));
        for (size_t c = 0; c < row.size(); ++c) {
          const Doubles e = embedding(source, h, c);
          for (size_t d = 0; d < e.size(); ++d) row[c] += e[d] * q[d];
        }
        result.push_back(row);
        add(before, embedding(source, h, segment.codes[t * kept + h]));
      }
    }
    return result;
  }

 private:
  static size_t at(int value) { return static_cast<size_t>(value); }
  static void add(Doubles& sum, const Doubles& values) {
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += values[i];
  }
  // Row `index` of a tensor whose rows have `size` values.
  Doubles slice(const std::string& name, size_t index, size_t size) const {
    const auto begin = tensors_.at(name).begin() + static_cast<int64_t>(index * size);
    return Doubles(begin, begin + static_cast<int64_t>(size));
  }
  Doubles embedding(size_t source, size_t codebook, size_t code) const {
    return slice("embedding", (source * at(config_.num_codebooks) + codebook) * at(config_.codebook_size) + code,
                 at(config_.embedding_dim));
  }
  static Doubles product(const Doubles& weight, const Doubles& x) {
    Doubles y(weight.size() / x.size(), 0.0);
    for (size_t n = 0; n < y.size(); ++n)
      for (size_t k = 0; k < x.size(); ++k) y[n] += weight[n * x.size() + k] * x[k];
    return y;
  }
  Doubles linear(const std::string& name, const Doubles& x) const {
    Doubles y = product(tensors_.at(name + ".weight"), x);
    add(y, tensors_.at(name + ".bias"));
    return y;
  }
  static Doubles gelu(Doubles x) {
    for (double& v : x) v = v * std::erfc(-v / std::sqrt(2.0)) / 2;
    return x;
  }
  Doubles norm(const std::string& name, Doubles x) const {
    double mean = 0, variance = 0;
    for (const double v : x) mean += v / static_cast<double>(x.size());
    for (const double v : x) variance += (v - mean) * (v - mean) / static_cast<double>(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
      x[i] = (x[i] - mean) / std::sqrt(variance + 1e-5) * tensors_.at(name + ".weight")[i] +
             tensors_.at(name + ".bias")[i];
    }
    return x;
  }
  void rotate(Doubles& x, size_t begin, size_t position) const {
    const size_t half = at(config_.head_dim()) / 2;
    for (size_t i = 0; i < half; ++i) {
      const double exponent = -2.0 * static_cast<double>(i) / static_cast<double>(2 * half);
      const double angle = static_cast<double>(position) * std::pow(10000.0, exponent);
      const double a = x[begin + i], b = x[begin + i + half];
      x[begin + i] = a * std::cos(angle) - b * std::sin(angle);
      x[begin + i + half] = a * std::sin(angle) + b * std::cos(angle);
    }
  }
  void layer(const std::string& name, std::vector<Doubles>& x) const {
    const size_t width = at(config_.width), head_dim = at(config_.head_dim());
    std::vector<Doubles> qkv;
    for (size_t t = 0; t < x.size(); ++t) {
      qkv.push_back(linear(name + ".qkv", norm(name + ".norm1", x[t])));
      for (size_t head = 0; head < at(config_.num_heads); ++head) {
        rotate(qkv[t], head * head_dim, t);
        rotate(qkv[t], width + head * head_dim, t);
      }
    }
    for (size_t t = 0; t < x.size(); ++t) {
      const size_t window = at(config_.window_frames), oldest = t + 1 > window ? t + 1 - window : 0;
      Doubles attended(width, 0.0);
      for (size_t head = 0; head < at(config_.num_heads); ++head) {
        Doubles weights;
        double total = 0;
        for (size_t s = oldest; s <= t; ++s) {
          double score = 0;
          for (size_t d = head * head_dim; d < (head + 1) * head_dim; ++d) score += qkv[t][d] * qkv[s][width + d];
          weights.push_back(std::exp(score / std::sqrt(static_cast<double>(head_dim))));
          total += weights.back();
        }
        for (size_t s = oldest; s <= t; ++s)
          for (size_t d = head * head_dim; d < (head + 1) * head_dim; ++d)
            attended[d] += weights[s - oldest] / total * qkv[s][2 * width + d];
      }
      add(x[t], linear(name + ".proj", attended));
    }
    for (Doubles& row : x) add(row, linear(name + ".fc2", gelu(linear(name + ".fc1", norm(name + ".norm2", row)))));
  }

  runtime::Safetensors file_;
  Config config_;
  std::map<std::string, Doubles> tensors_;
};

void expect_close(const Config& config, const Batch& batch) {
  const auto bytes = make_random_prior(config, 7, false).bytes();
  const Reference reference(bytes);
  const auto model = load_prior(bytes);
  runtime::ThreadPool pool(2);
  const Logits logits = whole_logits(*model, batch.segments, pool);
  for (size_t i = 0; i < batch.segments.size(); ++i) {
    const auto wanted = reference.logits(batch.segments[i]);
    double largest = 0;
    for (size_t at = 0; at < logits[i].size(); ++at) {
      const auto size = static_cast<size_t>(config.codebook_size);
      const double exact = wanted[at / size][at % size];
      largest = std::max(largest, std::abs(exact));
      ASSERT_NEAR(logits[i][at], exact, 1e-4) << "segment " << i << ", logit " << at;
    }
    EXPECT_GT(largest, 1.0);  // something was compared
  }
}

TEST(Reference, SmallPriorIsCloseToDouble) {
  const Config config = small_config();
  Batch batch;
  batch.add(config, 0, 3, 110);
  batch.add(config, 1, 2, 40);
  batch.add(config, 2, 1, 20, {{0, 3, *batch.codes[0]}});
  batch.add(config, 2, 3, 45, {{0, 3, *batch.codes[0]}, {1, 2, *batch.codes[1]}});
  expect_close(config, batch);
}

TEST(Reference, DefaultPriorIsCloseToDouble) {
  Config config;
  config.codebook_size = 200;
  Batch batch;
  batch.add(config, 2, 8, 140);
  batch.add(config, 1, 8, 6, {{2, 8, *batch.codes[0]}});
  expect_close(config, batch);
}

}  // namespace
}  // namespace vqcodec::prior
