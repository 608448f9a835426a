#include "prior/random_prior.h"

#include <cmath>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace vqcodec::prior {
namespace {

class Builder {
 public:
  Builder(uint64_t seed, bool half) : random_(seed), half_(half) {}

  void add(const std::string& name, const runtime::Shape& shape, float scale, float offset = 0) {
    int64_t count = 1;
    for (const int64_t size : shape) count *= size;
    std::vector<float> values(static_cast<size_t>(count));
    for (float& value : values) value = offset + random_.uniform(scale);
    half_ ? writer_.add_f16(name, shape, values) : writer_.add_f32(name, shape, values);
  }
  // Keeps the level of what goes through, times `gain`.
  void add_linear(const std::string& name, int64_t in, int64_t out, float gain = 1) {
    add(name + ".weight", {out, in}, gain * std::sqrt(3.0f / static_cast<float>(in)));
    add(name + ".bias", {out}, 0.1f);
  }
  void add_norm(const std::string& name, int64_t width) {
    add(name + ".weight", {width}, 0.2f, 1);
    add(name + ".bias", {width}, 0.1f);
  }
  runtime::SafetensorsWriter& writer() { return writer_; }

 private:
  SplitMix64 random_;
  bool half_;
  runtime::SafetensorsWriter writer_;
};

}  // namespace

runtime::SafetensorsWriter make_random_prior(const Config& config, uint64_t seed, bool half) {
  Config whole = config;
  if (whole.model_id.empty()) whole.model_id.assign(64, '0');
  const int64_t num_sources = config.num_sources(), num_codebooks = config.num_codebooks;
  const int64_t num_codes = config.codebook_size, dim = config.embedding_dim, width = config.width;
  Builder builder(seed, half);
  builder.writer().set_metadata("format", kFormatName);
  builder.writer().set_metadata("config", to_json(whole).dump());
  builder.writer().set_metadata("name", "random-" + std::to_string(seed));
  builder.add("embedding", {num_sources, num_codebooks, num_codes, dim}, 1);
  builder.add("code_bias", {num_sources, num_codebooks, num_codes}, 1);
  builder.add("start", {num_sources, width}, 1);
  builder.add("source", {num_sources, width}, 1);
  builder.add("quality", {num_codebooks, width}, 0.5f);
  builder.add("input.weight", {width, num_codebooks * dim}, std::sqrt(3.0f / static_cast<float>(num_codebooks * dim)));
  builder.add("context_present", {num_sources, width}, 0.5f);
  for (int j = 0; j < config.lookahead_frames; ++j) {
    builder.add("context." + std::to_string(j) + ".weight", {num_sources, width, dim},
                0.5f / std::sqrt(static_cast<float>(dim)));
  }
  for (int i = 0; i < config.num_layers; ++i) {
    const std::string name = "layers." + std::to_string(i);
    builder.add_norm(name + ".norm1", width);
    builder.add_linear(name + ".qkv", width, 3 * width);
    builder.add_linear(name + ".proj", width, width);
    builder.add_norm(name + ".norm2", width);
    builder.add_linear(name + ".fc1", width, config.hidden_width());
    builder.add_linear(name + ".fc2", config.hidden_width(), width);
  }
  builder.add_norm("norm", width);
  for (int h = 0; h < config.num_codebooks; ++h) {
    const std::string name = "code." + std::to_string(h);
    builder.add_linear(name + ".fc1", width + dim, config.frame_width);
    builder.add_linear(name + ".fc2", config.frame_width, dim, 1.5f);
  }
  return builder.writer();
}

}  // namespace vqcodec::prior
