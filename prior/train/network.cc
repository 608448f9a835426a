#include "prior/train/network.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "vqvae/train/autocast.h"

namespace vqcodec::prior::train {

namespace F = torch::nn::functional;

namespace {

torch::nn::LayerNorm layer_norm(int64_t width) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({width}).eps(1e-5));
}

void set_zero(torch::nn::Linear& linear) {
  torch::NoGradGuard no_grad;
  linear->weight.zero_();
  linear->bias.zero_();
}

}  // namespace

LayerImpl::LayerImpl(const Config& config) : num_heads_(config.num_heads) {
  norm1 = register_module("norm1", layer_norm(config.width));
  qkv = register_module("qkv", torch::nn::Linear(config.width, 3 * config.width));
  proj = register_module("proj", torch::nn::Linear(config.width, config.width));
  norm2 = register_module("norm2", layer_norm(config.width));
  fc1 = register_module("fc1", torch::nn::Linear(config.width, config.hidden_width()));
  fc2 = register_module("fc2", torch::nn::Linear(config.hidden_width(), config.width));
  // A layer begins as the identity.
  set_zero(proj);
  set_zero(fc2);
}

Tensor LayerImpl::forward(const Tensor& x, const Tensor& cos, const Tensor& sin, const Tensor& mask, double dropout) {
  const int64_t batch = x.size(0), frames = x.size(1), width = x.size(2);
  const auto parts = qkv(norm1(x)).view({batch, frames, 3, num_heads_, width / num_heads_}).permute({2, 0, 3, 1, 4});
  const auto rotate = [&](const Tensor& a) {
    const auto half = a.chunk(2, -1);
    return torch::cat({half[0] * cos - half[1] * sin, half[1] * cos + half[0] * sin}, -1);
  };
  const Tensor attended = at::scaled_dot_product_attention(rotate(parts[0]), rotate(parts[1]), parts[2], mask)
                              .transpose(1, 2)
                              .reshape({batch, frames, width});
  const auto drop = [&](const Tensor& a) { return dropout > 0 ? torch::dropout(a, dropout, is_training()) : a; };
  const Tensor after = x + drop(proj(attended));
  return after + drop(fc2(F::gelu(fc1(norm2(after)))));
}

NetworkImpl::NetworkImpl(const Config& prior) : config(prior) {
  const int64_t num_sources = config.num_sources(), num_codebooks = config.num_codebooks;
  const int64_t size = config.codebook_size, dim = config.embedding_dim, width = config.width;
  embedding = register_parameter("embedding", torch::randn({num_sources, num_codebooks, size, dim}) /
                                                  std::sqrt(static_cast<double>(dim)));
  code_bias = register_parameter("code_bias", torch::zeros({num_sources, num_codebooks, size}));
  start = register_parameter("start", torch::zeros({num_sources, width}));
  source = register_parameter("source", torch::randn({num_sources, width}) * 0.02);
  quality = register_parameter("quality", torch::zeros({num_codebooks, width}));
  context_present = register_parameter("context_present", torch::zeros({num_sources, width}));
  input = register_module("input", torch::nn::Linear(torch::nn::LinearOptions(num_codebooks * dim, width).bias(false)));
  auto context = register_module("context", torch::nn::ModuleList());
  for (int j = 0; j < config.lookahead_frames; ++j) {
    auto frame = std::make_shared<torch::nn::Module>();
    context_weights.push_back(frame->register_parameter("weight", torch::randn({num_sources, width, dim}) * 0.02));
    context->push_back(frame);
  }
  layers = register_module("layers", torch::nn::ModuleList());
  for (int i = 0; i < config.num_layers; ++i) layers->push_back(Layer(config));
  norm = register_module("norm", layer_norm(width));
  auto code = register_module("code", torch::nn::ModuleList());
  for (int h = 0; h < config.num_codebooks; ++h) {
    auto head = std::make_shared<torch::nn::Module>();
    code_fc1.push_back(head->register_module("fc1", torch::nn::Linear(width + dim, config.frame_width)));
    code_fc2.push_back(head->register_module("fc2", torch::nn::Linear(config.frame_width, dim)));
    set_zero(code_fc2.back());  // the first prediction is the bias
    code->push_back(head);
  }
}

template <class Visit>
void NetworkImpl::run(int s, const Tensor& codes, const std::vector<ContextCodes>& context, double dropout,
                      Visit&& visit) {
  const int64_t batch = codes.size(0), frames = codes.size(1), kept = codes.size(2);
  const int64_t dim = config.embedding_dim, width = config.width;
  if (!cos_.defined() || cos_.size(0) < frames) {
    const auto options = torch::TensorOptions().dtype(torch::kFloat64);
    const int64_t half = config.head_dim() / 2;
    const Tensor frequency = torch::pow(10000.0, torch::arange(half, options) * (-1.0 / static_cast<double>(half)));
    const Tensor angle = torch::arange(frames, options).unsqueeze(1) * frequency;
    cos_ = angle.cos().to(codes.device(), torch::kFloat32);
    sin_ = angle.sin().to(codes.device(), torch::kFloat32);
    const Tensor at = torch::arange(frames, codes.options());
    const Tensor age = at.unsqueeze(1) - at;
    mask_ = (age >= 0).logical_and(age < config.window_frames);
  }
  std::vector<Tensor> entries;  // [B, T, D] of each codebook
  for (int64_t h = 0; h < kept; ++h) entries.push_back(F::embedding(codes.select(2, h), embedding[s][h]));
  std::vector<Tensor> before(entries);
  for (int64_t h = kept; h < config.num_codebooks; ++h) before.push_back(torch::zeros_like(entries[0]));
  const Tensor previous = torch::cat(before, -1).narrow(1, 0, frames - 1);
  Tensor x = torch::cat({start[s].expand({batch, 1, width}), input(previous) + source[s]}, 1) + quality[kept - 1];
  for (const ContextCodes& other : context) {
    Tensor latents = torch::zeros({batch, frames, dim}, x.options());
    for (int64_t h = 0; h < other.codes.size(2); ++h) {
      latents = latents + F::embedding(other.codes.select(2, h), embedding[other.source][h]);
    }
    Tensor added = context_present[other.source].expand({batch, frames, width});
    for (int64_t j = 0; j < std::min<int64_t>(config.lookahead_frames, frames); ++j) {
      const Tensor ahead = F::pad(latents.narrow(1, j, frames - j), F::PadFuncOptions({0, 0, 0, j}));
      added = added + torch::matmul(ahead, context_weights[static_cast<size_t>(j)][other.source].t());
    }
    x = x + added * other.present.view({batch, 1, 1});
  }
  if (dropout > 0) x = torch::dropout(x, dropout, is_training());
  const Tensor cos = cos_.narrow(0, 0, frames), sin = sin_.narrow(0, 0, frames);
  const Tensor mask = mask_.narrow(0, 0, frames).narrow(1, 0, frames);
  const vqvae::train::AutocastRegion region(autocast && is_training(), codes.device());
  for (const auto& layer : *layers) x = layer->as<Layer>()->forward(x, cos, sin, mask, dropout);
  const Tensor z = norm(x);
  Tensor sum = torch::zeros({batch, frames, dim}, x.options());
  for (int64_t h = 0; h < kept; ++h) {
    const auto at = static_cast<size_t>(h);
    const Tensor query = code_fc2[at](F::gelu(code_fc1[at](torch::cat({z, sum}, -1))));
    visit(h, torch::matmul(query, embedding[s][h].t()).to(torch::kFloat32) + code_bias[s][h]);
    sum = sum + entries[at];
  }
}

Tensor NetworkImpl::bits(int s, const Tensor& codes, const std::vector<ContextCodes>& context, double dropout) {
  std::vector<Tensor> all;
  run(s, codes, context, dropout, [&](int64_t h, const Tensor& logits) {
    const Tensor nats = F::cross_entropy(logits.flatten(0, 1), codes.select(2, h).flatten(),
                                         F::CrossEntropyFuncOptions().reduction(torch::kNone));
    all.push_back(nats.view({codes.size(0), codes.size(1)}) * std::numbers::log2e);
  });
  return torch::stack(all, 2);
}

Tensor NetworkImpl::logits(int s, const Tensor& codes, const std::vector<ContextCodes>& context) {
  std::vector<Tensor> all;
  run(s, codes, context, 0, [&](int64_t, const Tensor& logits) { all.push_back(logits); });
  return torch::stack(all, 2);
}

}  // namespace vqcodec::prior::train
