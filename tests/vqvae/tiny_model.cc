#include "tests/vqvae/tiny_model.h"

#include <cmath>
#include <vector>

#include <nlohmann/json.hpp>

namespace vqcodec::vqvae {
namespace {

// SplitMix64: integers only, so that every machine draws the same.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  // In [-scale, scale), a multiple of scale / 2^23.
  float uniform(float scale) {
    state_ += 0x9E3779B97F4A7C15ULL;
    uint64_t x = state_;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ULL;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBULL;
    x ^= x >> 31;
    const auto step = static_cast<int32_t>(x >> 40) - (1 << 23);
    return scale * (static_cast<float>(step) / static_cast<float>(1 << 23));
  }

 private:
  uint64_t state_;
};

class ModelBuilder {
 public:
  ModelBuilder(uint64_t seed, bool half) : random_(seed), half_(half) {}

  void add(const std::string& name, const runtime::Shape& shape, float scale, float offset = 0) {
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    std::vector<float> values(static_cast<size_t>(count));
    for (float& value : values) value = offset + random_.uniform(scale);
    add(name, shape, values);
  }

  void add(const std::string& name, const runtime::Shape& shape, const std::vector<float>& values) {
    half_ ? writer_.add_f16(name, shape, values) : writer_.add_f32(name, shape, values);
  }

  // Weights that keep the level of what goes through, with the names that Stack reads.
  void add_stack(const std::string& prefix, const StackConfig& config, int64_t in, int64_t out, int64_t num_sources) {
    const int64_t width = config.width, inner = width * config.expansion;
    add_linear(prefix + ".in_layer", in, width);
    if (num_sources > 0) add(prefix + ".source_embedding", {num_sources, width}, 0.5F);
    for (size_t i = 0; i < config.dilations.size(); ++i) {
      const std::string name = prefix + ".blocks." + std::to_string(i);
      add(name + ".depthwise_weight", {width, config.kernel_frames}, level(config.kernel_frames));
      add(name + ".depthwise_bias", {width}, 0.1F);
      add(name + ".norm.weight", {width}, 0.2F, 1);
      add(name + ".norm.bias", {width}, 0.1F);
      add_linear(name + ".up", width, inner);
      add_linear(name + ".down", inner, width);
    }
    add(prefix + ".norm.weight", {width}, 0.2F, 1);
    add(prefix + ".norm.bias", {width}, 0.1F);
    add_linear(prefix + ".head", width, out);
  }

  // The same for UNet.
  void add_unet(const std::string& prefix, const ModelConfig& config) {
    const UNetConfig& unet = *config.unet;
    const int64_t outputs = 2 * config.num_sources();
    add_convolution(prefix + ".in_conv", 4, unet.channels[0], unet.strides[0] + 2, 1);
    add(prefix + ".band_embedding", {config.unet_bands(0), unet.channels[0]}, 0.5F);
    for (int level = 0; level < unet.num_levels(); ++level) {
      const auto name = [&](const char* part) { return prefix + "." + part + "." + std::to_string(level); };
      const int64_t channels = unet.channels[static_cast<size_t>(level)];
      add_blocks(name("down"), channels, unet.blocks);
      if (level + 1 == unet.num_levels()) {
        add_stack(prefix + ".stack", config.encoder, config.unet_bands(level) * channels,
                  config.unet_bands(level) * channels, 0);
        break;
      }
      const int64_t below = unet.channels[static_cast<size_t>(level) + 1];
      const int64_t joined = unet.strides[static_cast<size_t>(level) + 1] * channels;
      add_linear(name("narrow"), joined, below);
      add_linear(name("widen"), below, joined);
      add_blocks(name("up"), channels, unet.blocks);
    }
    add_linear(prefix + ".head", unet.channels[0], unet.strides[0] * outputs);
    add(prefix + ".band_bias", {config.num_bands(), outputs}, 0.5F);
  }

  runtime::SafetensorsWriter& writer() { return writer_; }
  static float level(int64_t in) { return std::sqrt(3.0F / static_cast<float>(in)); }

 private:
  void add_convolution(const std::string& name, int64_t in, int64_t out, int64_t bands, float gain) {
    add(name + ".weight", {out, in, 3, bands}, gain * level(3 * bands * in));
    add(name + ".bias", {out}, 0.1F);
  }

  void add_blocks(const std::string& name, int64_t channels, int count) {
    for (int i = 0; i < count; ++i) {
      add_convolution(name + "." + std::to_string(i) + ".first", channels, channels, 3, 1.4F);
      add_convolution(name + "." + std::to_string(i) + ".second", channels, channels, 3, 1);
    }
  }

  void add_linear(const std::string& name, int64_t in, int64_t out) {
    add(name + ".weight", {out, in}, level(in));
    add(name + ".bias", {out}, 0.1F);
  }

  Random random_;
  bool half_;
  runtime::SafetensorsWriter writer_;
};

}  // namespace

ModelConfig tiny_config() {
  ModelConfig config;
  config.hop_samples = 256;
  config.num_fine_bins = 64;
  config.coarse_bins = 16;
  config.encoder = {.width = 16, .expansion = 2, .kernel_frames = 5, .dilations = {1, 2}};
  config.num_code_bins = 48;
  config.analysis = {.width = 16, .expansion = 2, .kernel_frames = 3, .dilations = {1}};
  config.synthesis = {.width = 16, .expansion = 2, .kernel_frames = 3, .dilations = {1, 2}};
  config.num_codebooks = 3;
  config.codebook_size = 32;
  config.code_dim = 8;
  return config;
}

runtime::SafetensorsWriter make_model(const ModelConfig& config, uint64_t seed, bool half) {
  ModelBuilder builder(seed, half);
  builder.writer().set_metadata("format", "vqcodec-vqvae-1");
  builder.writer().set_metadata("config", to_json(config).dump());
  builder.writer().set_metadata("name", "random-" + std::to_string(seed));
  builder.writer().set_metadata("licence", "Apache-2.0");
  const bool masks = config.encoder_kind == EncoderKind::kMasks;
  const bool residual = config.quantizer_kind == QuantizerKind::kResidual;
  const int64_t num_sources = config.num_sources(), size = 2 * config.hop_samples;
  const int64_t dim = config.code_dim, out = config.quantizer_out();
  if (config.unet) {
    builder.add_unet("encoder", config);
  } else {
    builder.add_stack("encoder", config.encoder, config.encoder_in(), config.encoder_out(), 0);
  }
  if (masks) {
    builder.add_stack("analysis", config.analysis, 2 * config.num_code_bins, config.quantizer_in(), num_sources);
    if (residual) builder.add("analysis_basis", {num_sources, dim, size}, ModelBuilder::level(size));
  }
  builder.add_stack("synthesis", config.synthesis, out, 2 * config.num_code_bins, num_sources);
  if (config.envelope_dim > 0) {
    const int64_t levels = 2 * config.num_noise_bands();
    builder.add("envelope_basis", {num_sources, dim, levels}, ModelBuilder::level(levels));
    builder.add("envelope_bias", {num_sources, dim}, 0.5F);
    builder.add("noise_basis", {num_sources, levels, out}, ModelBuilder::level(out));
    builder.add("noise_bias", {num_sources, levels}, 0.5F);
  }
  if (config.noise) builder.add_stack("noise", *config.noise, out, 2 * config.num_noise_bands(), num_sources);
  builder.add("synthesis_basis", {num_sources, size, out}, ModelBuilder::level(out));
  // Each codebook is finer than the one before it, as residual ones are.
  std::vector<float> codebooks;
  Random random(~seed);
  for (int64_t s = 0; s < num_sources; ++s) {
    float scale = 2;
    for (int h = 0; h < config.num_codebooks; ++h) {
      for (int64_t i = 0; i < config.codebook_size * dim; ++i) codebooks.push_back(random.uniform(scale));
      if (residual) scale *= 0.7F;
    }
  }
  if (config.envelope_codebook < 0) {
    builder.add("codebooks", {num_sources, config.num_codebooks, config.codebook_size, dim}, codebooks);
  } else {
    const int64_t size_of_tables = config.codebook_size, envelope = config.envelope_dim;
    builder.add("codebooks", {num_sources, config.num_codebooks - 1, size_of_tables, dim - envelope}, 1);
    builder.add("envelope_entries", {num_sources, size_of_tables, envelope}, 2);
  }
  if (config.code_costs)
    builder.add("code_costs", {num_sources, config.num_codebooks, config.codebook_size}, 0.5F, 0.5F);
  return builder.writer();
}

void write_tiny_model(const std::string& path, uint64_t seed) { make_model(tiny_config(), seed).write(path); }

}  // namespace vqcodec::vqvae
