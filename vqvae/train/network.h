// The VQ-VAE as LibTorch modules: what vqvae/encoder.h and decoder.h compute, differentiable. The names of parameters
// and buffers are the names of the tensors in an exported model.
//
// Shapes: B items, S sources, T frames, N = hop_samples, H codebooks of m entries, D = code_dim. float32 throughout
// (inside an autocast region the linear layers compute in bfloat16).
#pragma once

#include <string>
#include <vector>

#include "vqvae/config.h"
#include "vqvae/train/torch.h"

namespace vqcodec::vqvae::train {

using torch::Tensor;

// MDCT and MDST with the sine window, orthonormal, in the conventions of runtime/fft.h.
class LappedTransform {
 public:
  LappedTransform(int hop_samples, torch::Device device);
  // samples [R, (T + 1) N] -> MDCT [R, T, N]; frame t spans samples [t N, (t + 2) N).
  Tensor mdct(const Tensor& samples) const;
  Tensor mdst(const Tensor& samples) const;
  // MDCT [R, T, N] -> samples [R, (T - 1) N], those covered by two frames: from N to T N of mdct's input.
  Tensor inverse(const Tensor& coefficients) const;

 private:
  Tensor frames(const Tensor& samples) const;  // [R, T, 2N], windowed
  Tensor dct4(const Tensor& folded) const;     // [R, T, N] -> [R, T, N], orthonormal
  int64_t hop_;
  Tensor window_, twiddle_;  // [2N] float, [N / 2] complex
  Tensor alternating_;       // [N]: 1, -1, 1, ...
};

// Depthwise convolution over frames, layer norm, linear, GELU, linear, sum (Liu et al. 2022, ConvNeXt, in one dimension).
struct BlockImpl : torch::nn::Module {
  BlockImpl(const StackConfig& config, int dilation);
  Tensor forward(const Tensor& x);          // [R, T, width] -> the same
  Tensor depthwise_weight, depthwise_bias;  // [width, kernel], [width]
  torch::nn::LayerNorm norm{nullptr};
  torch::nn::Linear up{nullptr}, down{nullptr};
  int dilation_;
};
TORCH_MODULE(Block);

// Linear, blocks, layer norm, linear. With num_sources > 0 a learned vector per source is added after the first linear.
struct StackImpl : torch::nn::Module {
  StackImpl(const StackConfig& config, int in, int out, int num_sources, bool zero_head);
  // [B, T, in] -> [B, T, out], or with source vectors [B, S, T, in] -> [B, S, T, out].
  Tensor forward(const Tensor& x);
  torch::nn::Linear in_layer{nullptr}, head{nullptr};
  torch::nn::LayerNorm norm{nullptr};
  torch::nn::ModuleList blocks;
  Tensor source_embedding;  // [S, width] or undefined
};
TORCH_MODULE(Stack);

// Two convolutions of 3 frames and 3 bands with a ReLU between, summed to what they are given.
struct ResidualImpl : torch::nn::Module {
  explicit ResidualImpl(int64_t channels);
  Tensor forward(const Tensor& x);  // [B, C, T, F] -> the same
  torch::nn::Conv2d first{nullptr}, second{nullptr};
};
TORCH_MODULE(Residual);

// See vqvae/unet.h.
struct UNetImpl : torch::nn::Module {
  explicit UNetImpl(const ModelConfig& config);
  Tensor forward(const Tensor& features);  // [B, T, 4 * bands] -> logits of masks [B, T, S * 2 * bands]
  const ModelConfig config;
  torch::nn::Conv2d in_conv{nullptr};
  Tensor band_embedding, band_bias;                  // [F_0, C_0], [bands, 2 S]
  torch::nn::ModuleList down{nullptr}, up{nullptr};  // of Sequential, one a level
  torch::nn::ModuleList narrow{nullptr}, widen{nullptr};
  Stack stack{nullptr};
  torch::nn::Linear head{nullptr};
};
TORCH_MODULE(UNet);

struct Analysis {
  Tensor estimates;  // [B, S, T, 2, N] MDCT of left and right of each source's estimate; undefined for direct encoders
  Tensor scale;      // [B, S] root mean square that the latents are relative to (1 for direct encoders), no gradient
  Tensor latents;    // [B, S, T, quantizer_in]
};

struct Quantized {
  Tensor values;      // [B, S, T, quantizer_out], with gradient (straight through for residual)
  Tensor codes;       // [B, S, T, H] int64
  Tensor commitment;  // scalar; undefined for gumbel
};

struct QuantizeOptions {
  Tensor num_kept{};              // [B] int64 in 1..H: codebooks kept; undefined = all
  bool quantize = true;           // false: latents pass unchanged (residual)
  bool update_codebooks = false;  // moving averages and restarts (residual), Gumbel noise (gumbel)
  double temperature = 1;
  double decay = 0.99;
  double dead_entry_share = 0.03;
  double rate_weight = 0, envelope_rate_weight = 0;  // see TrainConfig
};

struct NetworkImpl : torch::nn::Module {
  explicit NetworkImpl(const ModelConfig& config);

  // mdct, mdst: [B, 2, T, N] of the mixture's left and right -> features [B, T, 4 * num_bands]: log power per band of
  // left, right, mid and side.
  Tensor mixture_features(const Tensor& mdct, const Tensor& mdst) const;
  // What the encoder's network sees, [B, T, encoder_in]: for a direct encoder also the mixture's signed features.
  Tensor encoder_features(const Tensor& mdct, const Tensor& mdst) const;
  // -> estimates [B, S, T, 2, N]. Masks only.
  Tensor separate(const Tensor& mdct, const Tensor& mdst);
  // Estimates -> scale and latents. Masks only.
  Analysis analyse(const Tensor& estimates);
  // The whole encoder of either kind.
  Analysis encode(const Tensor& mdct, const Tensor& mdst);
  Quantized quantize(const Tensor& latents, const QuantizeOptions& options);
  // [B, S, T, quantizer_out] and scale [B, S] -> MDCT of left and right of each source, [B, S, T, 2, N].
  Tensor decode(const Tensor& values, const Tensor& scale);

  // Levels in the bands of noise, natural logarithms of amplitudes: mid and side [..., 2, N] -> [..., 2 * noise bands].
  Tensor band_levels(const Tensor& normalised_mid_side) const;
  // Amplitude of the noise of each source, in each band of mid and side: [B, S, T, 2, noise bands]. Arguments as decode's.
  Tensor noise_amplitudes(const Tensor& values, const Tensor& scale);

  // Mid and side [..., 2, N], compressed: the input of the analysis network, [..., 2 * num_code_bins].
  Tensor analysis_features(const Tensor& normalised_mid_side) const;

  const ModelConfig config;
  Stack encoder{nullptr}, analysis{nullptr}, synthesis{nullptr};
  UNet unet{nullptr};      // named "encoder" too: with config.unet, in place of the stack
  Stack noise{nullptr};    // only with config.noise
  Tensor analysis_basis;   // [S, D, 2N]: linear path from MDCT (mid, then side) to latent; residual with masks only
  Tensor synthesis_basis;  // [S, 2N, quantizer_out]: linear path from codes to MDCT (mid, then side)
  // Only with config.envelope_dim: linear path from levels to latent and from codes to levels of noise, [S, D, 2 bands], [S, D],
  // [S, 2 bands, D], [S, 2 bands].
  Tensor envelope_basis, envelope_bias, noise_basis, noise_bias;
  Tensor codebooks;               // [S, H, m, D]; a buffer for residual, a parameter for gumbel
  Tensor code_counts, code_sums;  // moving averages [S, H, m], [S, H, m, D]; residual only
  // Only with config.code_costs: what entries cost in halved squared distance [S, H, m]; and a moving average of the energy
  // that all codebooks leave of a latent, [S, 2], in the envelope's dimensions and in the others.
  Tensor code_costs, distortion;
  bool autocast = false;  // linear layers in bfloat16

  // Which dimensions codebook h may hold, [D], ones and zeros; undefined = all.
  Tensor dims_of_codebook(int64_t h) const;

 private:
  void update_code_costs(int64_t source, const Tensor& rest, const QuantizeOptions& options);
  Quantized quantize_residual(const Tensor& latents, const QuantizeOptions& options);
  Quantized quantize_gumbel(const Tensor& logits, const QuantizeOptions& options);
};
TORCH_MODULE(Network);

struct ExportOptions;
// Writes the weights as a model file; see export_checkpoint in trainer.h. `facts` is the "training" entry of the metadata.
// Reorders the codebooks of `network`.
void export_network(NetworkImpl& network, const std::string& name, const std::string& facts,
                    const std::string& model_path, const ExportOptions& options);

// How many bins each of the bands [edges[i], edges[i + 1]) has.
std::vector<int64_t> band_widths(const std::vector<int>& edges);
// Energies in these bands: [..., N] -> [..., bands].
Tensor band_energies(const Tensor& x, const std::vector<int>& edges);

// Left and right [..., 2, N] <-> mid and side, orthonormal (its own inverse).
Tensor swap_mid_side(const Tensor& x);

// Index of the entry of `codebook` [m, D] that is nearest, with costs [m] if defined as in runtime/nearest.h, for each row of
// x [R, D]: [R] int64. On CPU by the runtime, so that training and use agree.
Tensor nearest_entries(const Tensor& x, const Tensor& codebook, const Tensor& costs = {});

}  // namespace vqcodec::vqvae::train
