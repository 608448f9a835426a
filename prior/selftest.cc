#include "prior/selftest.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <span>

#include "prior/predictor.h"
#include "prior/random_prior.h"
#include "runtime/attention.h"
#include "runtime/linear.h"
#include "runtime/nearest.h"
#include "runtime/ops.h"
#include "runtime/rotary.h"
#include "runtime/sha256.h"

namespace vqcodec::prior {
namespace {

using Floats = std::vector<float>;
using runtime::ThreadPool;

// Around the widths of registers, panels and tiles.
constexpr int64_t kSizes[] = {1, 3, 8, 15, 16, 17, 31, 33, 64, 97};

template <typename T>
std::string digest(const std::vector<T>& values) {
  return runtime::to_hex(runtime::sha256(std::as_bytes(std::span(values))));
}

// NaN has many bit patterns, of which any may come out.
std::string digest_floats(Floats values) {
  for (float& value : values)
    if (std::isnan(value)) value = std::numeric_limits<float>::quiet_NaN();
  return digest(values);
}

Floats draw(SplitMix64& random, int64_t count, float scale = 1) {
  Floats values(static_cast<size_t>(count));
  for (float& value : values) value = random.uniform(scale);
  return values;
}

// Every sign and exponent, with some significands each.
Floats all_magnitudes() {
  SplitMix64 random(1);
  Floats values;
  for (uint32_t top = 0; top < 512; ++top) {
    for (int i = 0; i < 24; ++i) {
      const auto bits = static_cast<uint32_t>(top << 23 | random.next() >> 41);
      values.push_back(std::bit_cast<float>(bits));
    }
  }
  for (int i = 0; i < 4096; ++i) values.push_back(random.uniform(20));
  return values;
}

std::string of_function(void (*function)(const float*, int64_t, float*)) {
  Floats values = all_magnitudes();
  function(values.data(), static_cast<int64_t>(values.size()), values.data());
  return digest_floats(values);
}

// operation(random, size, results) for every size.
template <typename Operation>
std::string of_sizes(const Operation& operation) {
  SplitMix64 random(2);
  Floats results;
  for (const int64_t size : kSizes) operation(random, size, results);
  return digest_floats(results);
}

void append(Floats& results, const Floats& values) { results.insert(results.end(), values.begin(), values.end()); }

std::string of_linear() {
  ThreadPool pool(1);
  return of_sizes([&](SplitMix64& random, int64_t size, Floats& results) {
    for (const int64_t rows : {1, 5, 13}) {
      const Floats weight = draw(random, size * 50), bias = draw(random, 50);  // one after the other, everywhere
      const runtime::Linear linear(size, 50, weight, bias);
      Floats y = draw(random, rows * 50);
      const Floats x = draw(random, rows * size);
      linear.forward_add(x.data(), size, rows, y.data(), 50, pool);
      append(results, y);
      linear.forward(x.data(), size, rows, y.data(), 50, pool);
      append(results, y);
    }
  });
}

std::string of_attention() {
  ThreadPool pool(1);
  SplitMix64 random(3);
  Floats results;
  for (const int64_t head_dim : {6, 32, 40}) {
    runtime::AttentionCache cache(2, head_dim, 37, 20);
    const int64_t width = 2 * head_dim;
    for (const int64_t frames : {1, 20, 3, 20, 20, 1, 17}) {
      const Floats x = draw(random, frames * 3 * width, 2);
      Floats y(static_cast<size_t>(frames * width));
      cache.append(x.data() + width, x.data() + 2 * width, 3 * width, frames);
      cache.attend(x.data(), 3 * width, frames, y.data(), width, pool);
      append(results, y);
    }
  }
  return digest_floats(results);
}

std::string of_rotary() {
  Floats results;
  for (const int64_t head_dim : {2, 32, 96}) {
    const runtime::Rotary rotary(head_dim);
    for (const int64_t position : {0, 1, 2, 3, 100, 511, 4095, 65535}) {
      Floats cos(static_cast<size_t>(head_dim / 2)), sin(cos.size()), x(static_cast<size_t>(3 * head_dim), 0.75f);
      rotary.angles(position, cos.data(), sin.data());
      rotary.rotate(x.data(), 3, cos.data(), sin.data());
      append(results, cos);
      append(results, sin);
      append(results, x);
    }
  }
  return digest_floats(results);
}

struct SmallPrior {
  SmallPrior() : random(5) {
    Config config;
    config.sources = {"a", "b", "c"};
    config.num_codebooks = 4;
    config.codebook_size = 300;
    config.embedding_dim = 24;
    config.width = 96;
    config.num_heads = 3;
    config.num_layers = 2;
    config.mlp_ratio = 2;
    config.window_frames = 20;
    config.frame_width = 40;
    config.lookahead_frames = 3;
    model = Model::from_file(
        runtime::Safetensors::open_memory(make_random_prior(config, 4).bytes(), "the self-test's prior"));
    for (int i = 0; i < 5; ++i) {  // the last two with context, of other lengths
      codes.emplace_back();
      const int kept = i == 1 ? 2 : 4;
      for (int n = 0; n < (40 + 5 * i) * kept; ++n) codes.back().push_back(static_cast<uint16_t>(random.below(300)));
    }
    for (int i = 0; i < 5; ++i) segments.push_back({i % 3, i == 1 ? 2 : 4, codes[static_cast<size_t>(i)], {}});
    segments[3].context = {{1, 4, codes[4]}, {2, 4, codes[2]}};
    segments[4].context = {{0, 4, codes[3]}};
  }
  SplitMix64 random;
  std::shared_ptr<const Model> model;
  std::vector<std::vector<uint16_t>> codes;
  std::vector<Segment> segments;
};

std::string join(const std::vector<Floats>& parts) {
  Floats all;
  for (const Floats& part : parts) append(all, part);
  return digest_floats(all);
}

// [segment][code, logit] flat
std::vector<Floats> room_for_logits(const SmallPrior& prior) {
  std::vector<Floats> logits;
  for (const auto& codes : prior.codes)
    logits.emplace_back(codes.size() * static_cast<size_t>(prior.model->config().codebook_size));
  return logits;
}

std::string of_full(const SmallPrior& prior) {
  ThreadPool pool(1);
  std::vector<Floats> all = room_for_logits(prior);
  evaluate(
      *prior.model, prior.segments,
      [&](size_t segment, int64_t frame, int codebook, std::span<float> logits) {
        const int64_t at = frame * prior.segments[segment].num_codebooks + codebook;
        std::ranges::copy(logits, all[segment].begin() + at * static_cast<int64_t>(logits.size()));
      },
      pool);
  return join(all);
}

std::string of_steps(const SmallPrior& prior) {
  ThreadPool pool(1);
  std::vector<Floats> all = room_for_logits(prior);
  std::vector<Stepper::Row> rows;
  for (const Segment& segment : prior.segments) {
    const auto num_frames = static_cast<int64_t>(segment.codes.size()) / segment.num_codebooks;
    rows.push_back({segment.source, segment.num_codebooks, num_frames, segment.context});
  }
  Stepper stepper(prior.model, rows, pool);
  while (stepper.step([&](int64_t row, int codebook, std::span<float> logits) {
    const Segment& segment = prior.segments[static_cast<size_t>(row)];
    const int64_t at = stepper.num_frames_done() * segment.num_codebooks + codebook;
    std::ranges::copy(logits, all[static_cast<size_t>(row)].begin() + at * static_cast<int64_t>(logits.size()));
    return segment.codes[static_cast<size_t>(at)];
  })) {
  }
  return join(all);
}

std::string of_counts(const SmallPrior& prior) {
  ThreadPool pool(1);
  std::vector<uint32_t> all;
  for (const auto& counts : count_codes(*prior.model, prior.segments, 24, pool)) {
    for (const CodeCounts& count : counts) all.insert(all.end(), {count.cum, count.freq});
  }
  return digest(all);
}

constexpr const char* kPriorLogits = "8c45a4d3aba9e1444dcad2764e0b2b4ba5020baa5211986717be6e0848ee4f87";

}  // namespace

std::vector<SelftestCheck> run_selftest() {
  const auto layer_norm = [](SplitMix64& random, int64_t size, Floats& results) {
    Floats x = draw(random, 3 * size, 4);
    const Floats gamma = draw(random, size), beta = draw(random, size);
    runtime::layer_norm(x.data(), size, 3, size, gamma.data(), beta.data(), 1e-5f, x.data(), size);
    append(results, x);
  };
  const auto softmax = [](SplitMix64& random, int64_t size, Floats& results) {
    Floats x = draw(random, 3 * size, 30);
    runtime::softmax(x.data(), size, 3, size, x.data(), size);
    append(results, x);
  };
  const auto softmax_weights = [](SplitMix64& random, int64_t size, Floats& results) {
    Floats x = draw(random, size, 30);
    runtime::softmax_weights(x.data(), size, x.data());
    append(results, x);
  };
  const auto softmax_groups = [](SplitMix64& random, int64_t size, Floats& results) {
    Floats x = draw(random, 4 * size, 30);
    runtime::softmax_groups(x.data(), size, 4, size, x.data());
    append(results, x);
  };
  const auto depthwise = [](SplitMix64& random, int64_t size, Floats& results) {
    const Floats x = draw(random, 10 * size), w = draw(random, 3 * size), bias = draw(random, size);
    Floats y(static_cast<size_t>(6 * size));
    runtime::depthwise_conv1d(x.data(), size, 6, size, 3, 2, w.data(), bias.data(), y.data(), size);
    append(results, y);
  };
  const auto nearest = [](SplitMix64& random, int64_t size, Floats& results) {
    ThreadPool pool(1);
    const runtime::Codebook codebook(200, size, draw(random, 200 * size));
    const Floats x = draw(random, 20 * size);
    uint16_t index[20];
    codebook.nearest(x.data(), size, 20, index, 1, pool);
    results.insert(results.end(), index, index + 20);
    runtime::argmax(x.data(), size, 20, size, index, 1);
    results.insert(results.end(), index, index + 20);
  };
  const SmallPrior prior;
  return {
      {"exp", of_function(runtime::exp), "a99b82e0940afc1fe372ea00ec7e60ea066f925919382a6ec8fbca6dd6610cbc"},
      {"log", of_function(runtime::log), "6ac7d47c235ec543da807d55061f13fbd42050156cad5d7fe1fac314ccf0edd3"},
      {"log10", of_function(runtime::log10), "c8ea092c6f18b6b889737f7f8cc976083bd893d68b90aa7fc996f4c400dc3c29"},
      {"sqrt", of_function(runtime::sqrt), "06f0d5dfbb901ce04494570458ae570aa2becbd04294341611bb314cbb2ad369"},
      {"erf", of_function(runtime::erf), "50047090bc52ac4aa059330ea54a40a33d003d29ea040774ba59bb23af79f840"},
      {"gelu", of_function(runtime::gelu), "8e74a244f9c4762451b0c4dcf821442bfabc8edf0f5ac01dfc85310d7d07f42f"},
      {"sigmoid", of_function(runtime::sigmoid), "42e86ef0026f9ba45c94c04212a50d07657b2e4db763f79b80e76371189e79dd"},
      {"linear", of_linear(), "8c71dcab79e255d8c8895b503cb24a51591365efaa5cf043a865cbc23630883d"},
      {"layer_norm", of_sizes(layer_norm), "fbb188b646b7331a445167a1ebdc641bffc615ed81ed64f46be475c3bf4df13a"},
      {"softmax", of_sizes(softmax), "ffa73dab150cafc54129e836e34556ce065950c3c0c9c40653c2c049a8577903"},
      {"softmax_weights", of_sizes(softmax_weights),
       "7df7d4898b22ba23e6d56f3defd7e3adef41404f1204777c86976af66ac24b16"},
      {"softmax_groups", of_sizes(softmax_groups), "5054865b181bb7724894d6114b5a9298a573516052a5350c70c208359b09f4b9"},
      {"depthwise_conv1d", of_sizes(depthwise), "d5bacc33a14d8b67388cdbcc7ac505d75973d79e3f8b259c773c6af50e6d6db8"},
      {"nearest", of_sizes(nearest), "446fca0e59173c19b9bc598b80d39c8336e575b51d9ef0e0557ce2e82176d9a1"},
      {"attention", of_attention(), "c3ebaad65d074e592f1d646f73443d32c6681532ba4b7c31702439f49a5d032e"},
      {"rotary", of_rotary(), "1f978598ecdc574e25ddca82886bba220bb3d3e373471736db7368616a99fdbe"},
      {"prior, whole segments", of_full(prior), kPriorLogits},
      {"prior, by steps", of_steps(prior), kPriorLogits},
      {"prior, counts", of_counts(prior), "194379bcbc0e7ab9af8357ee7a83460166d2387b89f9a3633f1206eb7161b2e1"},
  };
}

}  // namespace vqcodec::prior
