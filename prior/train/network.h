// The prior as LibTorch modules: what prior/network.h computes, differentiable (docs/PRIOR.md). The names of parameters are
// the names of the tensors in an exported prior.
//
// Shapes: B stretches of one source, T frames, H codebooks of K codes, D = embedding_dim.
#pragma once

#include <vector>

#include "prior/config.h"
#include "vqvae/train/torch.h"

namespace vqcodec::prior::train {

using torch::Tensor;

struct LayerImpl : torch::nn::Module {
  explicit LayerImpl(const Config& config);
  // x: [B, T, width]; cos, sin: [T, head_dim / 2]; mask: [T, T], true = seen.
  Tensor forward(const Tensor& x, const Tensor& cos, const Tensor& sin, const Tensor& mask, double dropout);
  torch::nn::LayerNorm norm1{nullptr}, norm2{nullptr};
  torch::nn::Linear qkv{nullptr}, proj{nullptr}, fc1{nullptr}, fc2{nullptr};
  int64_t num_heads_;
};
TORCH_MODULE(Layer);

// Codes of another source, of the same frames.
struct ContextCodes {
  int source = 0;
  Tensor codes;    // [B, T, kept] int64
  Tensor present;  // [B] float32: 1 = given for this stretch, 0 = not
};

struct NetworkImpl : torch::nn::Module {
  explicit NetworkImpl(const Config& config);

  // -log2 of the probability of each code: [B, T, kept]. codes: [B, T, kept] int64, kept in 1..H.
  Tensor bits(int source, const Tensor& codes, const std::vector<ContextCodes>& context, double dropout);
  // Logits of each code, [B, T, kept, K]. Takes kept * K floats a frame: for tests.
  Tensor logits(int source, const Tensor& codes, const std::vector<ContextCodes>& context);

  const Config config;
  Tensor embedding;        // [S, H, K, D]
  Tensor code_bias;        // [S, H, K]
  Tensor start, source;    // [S, width]
  Tensor quality;          // [H, width]
  Tensor context_present;  // [S, width]
  torch::nn::Linear input{nullptr};
  std::vector<Tensor> context_weights;  // [lookahead] of [S, width, D]
  torch::nn::ModuleList layers;
  torch::nn::LayerNorm norm{nullptr};
  std::vector<torch::nn::Linear> code_fc1, code_fc2;  // [H]
  bool autocast = false;                              // in training, products in bfloat16

 private:
  // Calls visit(h, logits [B, T, K]) for every kept codebook.
  template <class Visit>
  void run(int source, const Tensor& codes, const std::vector<ContextCodes>& context, double dropout, Visit&& visit);
  Tensor cos_, sin_, mask_;  // of the longest stretch so far
};
TORCH_MODULE(Network);

}  // namespace vqcodec::prior::train
