#include "prior/network.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>

#include "base/error.h"
#include "runtime/ops.h"

namespace vqcodec::prior {

using runtime::AlignedFloats;
using runtime::ThreadPool;

namespace {

constexpr float kNormEps = 1e-5f;  // LibTorch's default
constexpr int64_t kRowGrain = 16;
// Floats of logits at once, beside one row: they stay in the second cache until they are used.
constexpr int64_t kMaxLogits = 48 * 1024;
constexpr int64_t kMaxLogitRows = 48;

// Grows only; what is in it is not kept.
float* room(AlignedFloats& floats, int64_t count) {
  if (static_cast<int64_t>(floats.size()) < count) floats.resize(static_cast<size_t>(count));
  return floats.data();
}

void add(float* sum, const float* values, int64_t count) {
  for (int64_t i = 0; i < count; ++i) sum[i] += values[i];
}

void norm(const float* x, int64_t rows, int64_t width, const std::vector<float>& weight, const std::vector<float>& bias,
          float* y, ThreadPool& pool) {
  pool.parallel_for(rows, kRowGrain, [&](int64_t begin, int64_t end) {
    runtime::layer_norm(x + begin * width, width, end - begin, width, weight.data(), bias.data(), kNormEps,
                        y + begin * width, width);
  });
}

void gelu(float* x, int64_t rows, int64_t width, ThreadPool& pool) {
  pool.parallel_for(rows, kRowGrain, [&](int64_t begin, int64_t end) {
    runtime::gelu(x + begin * width, (end - begin) * width, x + begin * width);
  });
}

[[noreturn]] void fail(const std::string& what) { throw Error(ExitCode::kInternal, "prior: " + what); }

}  // namespace

void check_codes(const Model& model, int num_codebooks, std::span<const uint16_t> codes) {
  if (num_codebooks < 1 || num_codebooks > model.config().num_codebooks) {
    fail(std::to_string(num_codebooks) + " codebooks, expected 1.." + std::to_string(model.config().num_codebooks));
  }
  if (codes.size() % static_cast<size_t>(num_codebooks) != 0) {
    fail(std::to_string(codes.size()) + " codes in frames of " + std::to_string(num_codebooks));
  }
  for (const uint16_t code : codes) {
    if (code >= model.config().codebook_size) {
      fail("code " + std::to_string(code) + ", expected below " + std::to_string(model.config().codebook_size));
    }
  }
}

void check_sequence(const Model& model, int source, int num_codebooks, const std::vector<Context>& context) {
  std::set<int> sources;
  const auto check_source = [&](int index) {
    if (index < 0 || index >= model.config().num_sources()) {
      fail("source " + std::to_string(index) + ", expected below " + std::to_string(model.config().num_sources()));
    }
    if (!sources.insert(index).second) fail("source " + std::to_string(index) + " given twice");
  };
  check_source(source);
  check_codes(model, num_codebooks, {});
  for (const Context& other : context) {
    check_source(other.source);
    check_codes(model, other.num_codebooks, other.codes);
    if (!other.given.empty() && static_cast<int64_t>(other.given.size()) != other.num_frames()) {
      fail("context of " + std::to_string(other.num_frames()) + " frames, given in " +
           std::to_string(other.given.size()));
    }
  }
}

Sequence::Sequence(const Model& model, int source, int num_codebooks, std::vector<Context> context,
                   int64_t max_block_frames)
    : source_(source), num_codebooks_(num_codebooks), context_(std::move(context)) {
  const Config& config = model.config();
  std::ranges::sort(context_, {}, &Context::source);
  for (int i = 0; i < config.num_layers; ++i)
    layers_.emplace_back(config.num_heads, config.head_dim(), config.window_frames, max_block_frames);
}

Network::Network(const Model& model) : model_(model), rotary_(model.config().head_dim()) {}

void Network::run_frames(std::span<const Row> rows, ThreadPool& pool) {
  const Config& config = model_.config();
  const Model::Weights& weights = model_.weights();
  const int64_t width = config.width, dim = config.embedding_dim;
  const auto num_rows = static_cast<int64_t>(rows.size());
  rows_.assign(rows.begin(), rows.end());
  runs_.clear();
  for (int64_t r = 0; r < num_rows; ++r) {
    const Sequence* sequence = rows[static_cast<size_t>(r)].sequence;
    if (r == 0 || sequence != rows[static_cast<size_t>(r - 1)].sequence) {
      runs_.push_back({r, r, sequence->layers_[0].num_frames()});
    } else if (const int64_t frame = runs_.back().first_frame + r - runs_.back().begin;
               std::ranges::any_of(sequence->context_, [frame](const Context& context) {
                 return context.is_given(frame) != context.is_given(frame - 1);
               })) {
      runs_.push_back({r, r, frame});
    }
    runs_.back().end = r + 1;
  }
  if (num_rows == 0) return;

  // What the layers get. The codes of the frame before, one embedding beside the other: zeros for those not kept, and in
  // frame 0.
  const int64_t input_size = config.num_codebooks * dim, half = config.head_dim() / 2;
  float* const x = room(x_, num_rows * width);
  float* const input = room(wide_, num_rows * std::max<int64_t>({input_size, 3 * width, config.hidden_width()}));
  float* const cos = room(cos_, num_rows * half);
  float* const sin = room(sin_, num_rows * half);
  room(normed_, num_rows * width);
  room(attended_, num_rows * width);
  std::fill_n(input, num_rows * input_size, 0.0f);
  for (const Run& run : runs_) {
    for (int64_t r = run.begin; r < run.end; ++r) {
      const Row& row = rows[static_cast<size_t>(r)];
      const int source = row.sequence->source_, kept = row.sequence->num_codebooks_;
      const std::vector<float>& base = row.previous == nullptr ? weights.start : weights.source;
      std::copy_n(base.data() + source * width, width, x + r * width);
      add(x + r * width, weights.quality.data() + (kept - 1) * width, width);
      for (int h = 0; h < kept && row.previous != nullptr; ++h)
        std::copy_n(model_.embedding(source, h, row.previous[h]), dim, input + r * input_size + h * dim);
      rotary_.angles(run.first_frame + r - run.begin, cos + r * half, sin + r * half);
    }
  }
  weights.input.forward_add(input, input_size, num_rows, x, width, pool);
  add_context(pool);
  for (size_t i = 0; i < weights.layers.size(); ++i) run_layer(i, pool);
  norm(x, num_rows, width, weights.norm_weight, weights.norm_bias, normed_.data(), pool);
}

// x += what is known of other sources, in ascending order of those sources.
void Network::add_context(ThreadPool& pool) {
  const Config& config = model_.config();
  const int64_t width = config.width, dim = config.embedding_dim, lookahead = config.lookahead_frames;
  for (int source = 0; source < config.num_sources(); ++source) {
    const auto context_of = [&](const Run& run) -> const Context* {
      for (const Context& context : rows_[static_cast<size_t>(run.begin)].sequence->context_)
        if (context.source == source && context.is_given(run.first_frame)) return &context;
      return nullptr;
    };
    for (size_t begin = 0, end = 0; begin < runs_.size(); begin = end) {
      end = begin + 1;
      if (context_of(runs_[begin]) == nullptr) continue;
      // One product for one run of many frames, whose rows share the frames that they look ahead to, or for many runs of
      // one frame, each with its own.
      const auto num_frames = [&](size_t run) { return runs_[run].end - runs_[run].begin; };
      if (num_frames(begin) == 1)
        while (end < runs_.size() && num_frames(end) == 1 && context_of(runs_[end]) != nullptr) ++end;
      const int64_t num_runs = static_cast<int64_t>(end - begin);
      const int64_t run_frames = num_frames(begin) + lookahead - 1;
      latents_.assign(static_cast<size_t>(num_runs * run_frames * dim), 0.0f);
      for (int64_t r = 0; r < num_runs; ++r) {
        const Run& run = runs_[begin + static_cast<size_t>(r)];
        const Context& context = *context_of(run);
        for (int64_t f = 0; f < run_frames && run.first_frame + f < context.num_frames(); ++f) {
          if (!context.is_given(run.first_frame + f)) continue;
          float* const latent = latents_.data() + (r * run_frames + f) * dim;
          const uint16_t* const codes = context.codes.data() + (run.first_frame + f) * context.num_codebooks;
          for (int h = 0; h < context.num_codebooks; ++h) add(latent, model_.embedding(source, h, codes[h]), dim);
        }
      }
      model_.weights().context[static_cast<size_t>(source)].forward_add(latents_.data(),
                                                                        num_runs == 1 ? dim : run_frames * dim,
                                                                        runs_[end - 1].end - runs_[begin].begin,
                                                                        x_.data() + runs_[begin].begin * width, width,
                                                                        pool);
    }
  }
}

void Network::run_layer(size_t index, ThreadPool& pool) {
  const Config& config = model_.config();
  const Model::Layer& layer = model_.weights().layers[index];
  const int64_t width = config.width, hidden = config.hidden_width(), half = config.head_dim() / 2;
  const auto num_rows = static_cast<int64_t>(rows_.size());
  float* const x = x_.data();
  float* const normed = normed_.data();
  float* const wide = wide_.data();

  norm(x, num_rows, width, layer.norm1_weight, layer.norm1_bias, normed, pool);
  layer.qkv.forward(normed, width, num_rows, wide, 3 * width, pool);
  const float scale = 1.0f / std::sqrt(static_cast<float>(config.head_dim()));
  pool.parallel_for(num_rows, kRowGrain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      float* const query = wide + r * 3 * width;
      rotary_.rotate(query, 2 * config.num_heads, cos_.data() + r * half, sin_.data() + r * half);  // and the keys
      for (int64_t i = 0; i < width; ++i) query[i] *= scale;
    }
  });
  for (const Run& run : runs_) {
    runtime::AttentionCache& cache = rows_[static_cast<size_t>(run.begin)].sequence->layers_[index];
    const float* const queries = wide + run.begin * 3 * width;
    cache.append(queries + width, queries + 2 * width, 3 * width, run.end - run.begin);
    cache.attend(queries, 3 * width, run.end - run.begin, attended_.data() + run.begin * width, width, pool);
  }
  layer.proj.forward_add(attended_.data(), width, num_rows, x, width, pool);

  norm(x, num_rows, width, layer.norm2_weight, layer.norm2_bias, normed, pool);
  layer.fc1.forward(normed, width, num_rows, wide, hidden, pool);
  gelu(wide, num_rows, hidden, pool);
  layer.fc2.forward_add(wide, hidden, num_rows, x, width, pool);
}

void Network::run_codes(const ChooseCode& choose, ThreadPool& pool, int64_t group_rows) {
  const Config& config = model_.config();
  const Model::Weights& weights = model_.weights();
  const int64_t width = config.width, dim = config.embedding_dim, frame_width = config.frame_width;
  const int64_t num_codes = config.codebook_size;
  const auto num_rows = static_cast<int64_t>(rows_.size());
  const auto sequence = [&](int64_t r) -> const Sequence& { return *rows_[static_cast<size_t>(r)].sequence; };
  int most_kept = 0;
  for (int64_t r = 0; r < num_rows; ++r) most_kept = std::max(most_kept, sequence(r).num_codebooks_);
  const int64_t logit_rows =
      std::max<int64_t>(1, std::clamp<int64_t>(kMaxLogits / num_codes, 1, kMaxLogitRows) / group_rows) * group_rows;

  float* const before = room(before_, num_rows * dim);  // sum of the embeddings of the frame's codes so far
  float* const hidden = room(hidden_, num_rows * frame_width);
  float* const query = room(query_, num_rows * dim);
  float* const logits = room(logits_, std::min(logit_rows, num_rows) * num_codes);
  std::fill_n(before, num_rows * dim, 0.0f);
  for (int h = 0; h < most_kept; ++h) {
    const Model::CodeHead& head = weights.codes[static_cast<size_t>(h)];
    head.from_frame.forward(normed_.data(), width, num_rows, hidden, frame_width, pool);
    if (h > 0) head.from_codes.forward_add(before, dim, num_rows, hidden, frame_width, pool);
    gelu(hidden, num_rows, frame_width, pool);
    head.fc2.forward(hidden, frame_width, num_rows, query, dim, pool);
    // Rows side by side of one source share its table.
    for (int64_t begin = 0, end = 0; begin < num_rows; begin = end) {
      const int source = sequence(begin).source_;
      end = begin + group_rows;
      if (sequence(begin).num_codebooks_ <= h) continue;
      while (end < num_rows && end - begin < logit_rows && sequence(end).source_ == source &&
             sequence(end).num_codebooks_ > h)
        end += group_rows;
      const auto table = static_cast<size_t>(source * config.num_codebooks + h);
      weights.logits[table].forward(query + begin * dim, dim, end - begin, logits, num_codes, pool);
      pool.parallel_for((end - begin) / group_rows, 4, [&](int64_t first, int64_t last) {
        for (int64_t r = first * group_rows; r < last * group_rows; r += group_rows) {
          const uint16_t code =
              choose(begin + r, h, {logits + r * num_codes, static_cast<size_t>(group_rows * num_codes)});
          if (code >= num_codes) {
            fail("code " + std::to_string(code) + " chosen, expected below " + std::to_string(num_codes));
          }
          for (int64_t i = r; i < r + group_rows; ++i)
            add(before + (begin + i) * dim, model_.embedding(source, h, code), dim);
        }
      });
    }
  }
}

}  // namespace vqcodec::prior
