// Songs and whole encodings for the tests of encoder and decoder.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tests/vqvae/tiny_model.h"
#include "vqvae/decoder.h"
#include "vqvae/encoder.h"

namespace vqcodec::vqvae {

using Segments = std::vector<std::vector<codec::SourceSegment>>;

// Two triangle waves of unlike pitch left and right, noise, and a level that changes. Integers only, so that every
// machine has the same. Interleaved stereo, [2 * num_samples], below 0.5.
inline std::vector<float> synthetic_song(int64_t num_samples, uint64_t seed = 1) {
  std::vector<float> song;
  song.reserve(static_cast<size_t>(2 * num_samples));
  uint64_t state = seed * 0x9E3779B97F4A7C15ULL + 1;
  const auto triangle = [](int64_t t, int64_t period) {
    const int64_t at = t % period;
    return (at < period / 2 ? at : period - at) * 4 * 4096 / period - 4096;
  };
  for (int64_t t = 0; t < num_samples; ++t) {
    const int64_t level = 1 + t / 16384 % 4;
    for (int64_t channel = 0; channel < 2; ++channel) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      const auto noise = static_cast<int64_t>(state >> 52) - 2048;
      const int64_t tones = triangle(t, 401 + 3 * channel) + triangle(t, 97 - 2 * channel) / 2;
      song.push_back(static_cast<float>((tones + noise / 2) * level) / 65536.0F);
    }
  }
  return song;
}

inline std::shared_ptr<const Model> load_model(const ModelConfig& config, uint64_t seed = 1, bool half = true) {
  return Model::from_file(runtime::Safetensors::open_memory(make_model(config, seed, half).bytes(), "test model"));
}

// The segments of `song`, pushed `block_samples` samples at a time (0 = all at once).
inline Segments encode(const std::shared_ptr<const Model>& model, std::span<const float> song, EncoderOptions options,
                       runtime::ThreadPool& pool, int64_t block_samples = 0) {
  Segments segments;
  Encoder encoder(model, options, pool, [&](const auto& segment) { segments.push_back(segment); });
  const size_t block = block_samples == 0 ? std::max<size_t>(song.size(), 1) : static_cast<size_t>(2 * block_samples);
  for (size_t at = 0; at < song.size(); at += block) encoder.push(song.subspan(at, std::min(block, song.size() - at)));
  encoder.finish();
  return segments;
}

// Samples of every output.
inline std::vector<std::vector<float>> decode(const std::shared_ptr<const Model>& model, const Segments& segments,
                                              const DecoderOptions& options, runtime::ThreadPool& pool) {
  const size_t num_sources =
      options.sources.empty() ? static_cast<size_t>(model->config().num_sources()) : options.sources.size();
  std::vector<std::vector<float>> outputs(options.separate ? num_sources : 1);
  Decoder decoder(model, options, pool, [&](int output, std::span<const float> samples) {
    auto& all = outputs[static_cast<size_t>(output)];
    all.insert(all.end(), samples.begin(), samples.end());
  });
  for (const auto& segment : segments) {
    if (options.sources.empty()) {
      decoder.push(segment);
      continue;
    }
    std::vector<codec::SourceSegment> chosen;
    for (const int source : options.sources) chosen.push_back(segment[static_cast<size_t>(source)]);
    decoder.push(chosen);
  }
  decoder.finish();
  return outputs;
}

// The codes of one source over all segments, [frames * num_codebooks].
inline std::vector<uint16_t> codes_of(const Segments& segments, size_t source) {
  std::vector<uint16_t> codes;
  for (const auto& segment : segments) {
    codes.insert(codes.end(), segment[source].codes.begin(), segment[source].codes.end());
  }
  return codes;
}

inline ModelConfig tiny_config_of(EncoderKind encoder, QuantizerKind quantizer) {
  ModelConfig config = tiny_config();
  config.encoder_kind = encoder;
  config.quantizer_kind = quantizer;
  return config;
}

// All kinds of model, with names for parameterised tests.
struct KindOfModel {
  const char* name;
  EncoderKind encoder;
  QuantizerKind quantizer;
  bool noise = false;
  int envelope_dim = 0;
  bool costs = false;  // and a codebook for the envelope alone
  bool unet = false;
  ModelConfig config() const {
    ModelConfig config = tiny_config_of(encoder, quantizer);
    if (noise) {
      config.noise = StackConfig{.width = 16, .expansion = 2, .kernel_frames = 5, .dilations = {1, 2}};
      config.noise_begin_bin = 20;
      config.envelope_dim = envelope_dim;
    }
    if (costs) {
      config.envelope_codebook = 1;
      config.code_costs = true;
    }
    if (unet) config.unet = UNetConfig{.channels = {6, 10, 9}, .strides = {2, 1, 2}, .blocks = 2};
    return config;
  }
};
inline constexpr KindOfModel kKinds[] = {
    {"MasksResidual", EncoderKind::kMasks, QuantizerKind::kResidual},
    {"MasksGumbel", EncoderKind::kMasks, QuantizerKind::kGumbel},
    {"DirectResidual", EncoderKind::kDirect, QuantizerKind::kResidual},
    {"DirectGumbel", EncoderKind::kDirect, QuantizerKind::kGumbel},
    {"MasksResidualNoise", EncoderKind::kMasks, QuantizerKind::kResidual, true},
    {"MasksResidualEnvelope", EncoderKind::kMasks, QuantizerKind::kResidual, true, 3},
    {"MasksResidualCosts", EncoderKind::kMasks, QuantizerKind::kResidual, true, 3, true},
    {"UNetMasksResidual", EncoderKind::kMasks, QuantizerKind::kResidual, false, 0, false, true},
};

}  // namespace vqcodec::vqvae
