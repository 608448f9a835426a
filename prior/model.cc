#include "prior/model.h"

#include <filesystem>
#include <span>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace vqcodec::prior {

using runtime::Linear;
using runtime::Safetensors;
using runtime::Shape;

namespace {

std::span<const float> part(const std::vector<float>& all, int64_t index, int64_t length) {
  return std::span<const float>(all).subspan(static_cast<size_t>(index * length), static_cast<size_t>(length));
}

Linear load_linear(Safetensors& file, const std::string& name, int64_t in, int64_t out) {
  return Linear(in, out, file.floats(name + ".weight", {out, in}), file.floats(name + ".bias", {out}));
}

// Columns [begin, end) of a matrix of `width` columns.
std::vector<float> columns(const std::vector<float>& matrix, int64_t width, int64_t begin, int64_t end) {
  std::vector<float> result;
  for (size_t row = 0; row < matrix.size(); row += static_cast<size_t>(width)) {
    const auto at = matrix.begin() + static_cast<int64_t>(row);
    result.insert(result.end(), at + begin, at + end);
  }
  return result;
}

}  // namespace

Config config_of(const Safetensors& file) {
  file.check_format(kFormatName);
  try {
    return parse_config(nlohmann::json::parse(file.metadata("config")), file.name() + ": config");
  } catch (const nlohmann::json::exception& error) {
    throw Error(ExitCode::kBadFile, file.name() + ": config is not JSON: " + error.what());
  }
}

std::shared_ptr<const Model> Model::load(const std::string& path) {
  if (!std::filesystem::exists(path)) {
    throw Error(ExitCode::kModel, path + ": there is no such prior; give one with --prior, or code with --no-prior");
  }
  return from_file(Safetensors::open(path));
}

std::shared_ptr<const Model> Model::from_file(Safetensors file) {
  std::shared_ptr<Model> model(new Model);
  model->id_ = file.sha256();
  model->metadata_ = file.metadata();
  model->config_ = config_of(file);
  const Config& config = model->config_;
  const int64_t num_sources = config.num_sources(), num_codebooks = config.num_codebooks;
  const int64_t num_codes = config.codebook_size, dim = config.embedding_dim;
  const int64_t width = config.width, hidden = config.hidden_width(), frame_width = config.frame_width;
  const int64_t lookahead = config.lookahead_frames;
  Weights& weights = model->weights_;

  // floats() compares the shape with the file's before it makes room for the values.
  weights.embedding = file.floats("embedding", {num_sources, num_codebooks, num_codes, dim});
  const std::vector<float> code_bias = file.floats("code_bias", {num_sources, num_codebooks, num_codes});
  for (int64_t i = 0; i < num_sources * num_codebooks; ++i) {
    weights.logits.emplace_back(dim, num_codes, part(weights.embedding, i, num_codes * dim),
                                part(code_bias, i, num_codes));
  }
  weights.start = file.floats("start", {num_sources, width});
  weights.source = file.floats("source", {num_sources, width});
  weights.quality = file.floats("quality", {num_codebooks, width});
  const int64_t input_size = num_codebooks * dim;
  weights.input = Linear(input_size, width, file.floats("input.weight", {width, input_size}), {});

  const std::vector<float> present = file.floats("context_present", {num_sources, width});
  std::vector<std::vector<float>> context;
  for (int64_t j = 0; j < lookahead; ++j)
    context.push_back(file.floats("context." + std::to_string(j) + ".weight", {num_sources, width, dim}));
  for (int64_t source = 0; source < num_sources; ++source) {
    std::vector<float> rows;  // [width, lookahead * D]
    for (int64_t n = 0; n < width; ++n) {
      for (int64_t j = 0; j < lookahead; ++j) {
        const auto row = part(context[static_cast<size_t>(j)], source * width + n, dim);
        rows.insert(rows.end(), row.begin(), row.end());
      }
    }
    weights.context.emplace_back(lookahead * dim, width, rows, part(present, source, width));
  }

  for (int i = 0; i < config.num_layers; ++i) {
    const std::string name = "layers." + std::to_string(i);
    Layer layer;
    layer.norm1_weight = file.floats(name + ".norm1.weight", {width});
    layer.norm1_bias = file.floats(name + ".norm1.bias", {width});
    layer.qkv = load_linear(file, name + ".qkv", width, 3 * width);
    layer.proj = load_linear(file, name + ".proj", width, width);
    layer.norm2_weight = file.floats(name + ".norm2.weight", {width});
    layer.norm2_bias = file.floats(name + ".norm2.bias", {width});
    layer.fc1 = load_linear(file, name + ".fc1", width, hidden);
    layer.fc2 = load_linear(file, name + ".fc2", hidden, width);
    weights.layers.push_back(std::move(layer));
  }
  weights.norm_weight = file.floats("norm.weight", {width});
  weights.norm_bias = file.floats("norm.bias", {width});

  for (int h = 0; h < config.num_codebooks; ++h) {
    const std::string name = "code." + std::to_string(h);
    const std::vector<float> fc1 = file.floats(name + ".fc1.weight", {frame_width, width + dim});
    CodeHead head;
    head.from_frame =
        Linear(width, frame_width, columns(fc1, width + dim, 0, width), file.floats(name + ".fc1.bias", {frame_width}));
    head.from_codes = Linear(dim, frame_width, columns(fc1, width + dim, width, width + dim), {});
    head.fc2 = load_linear(file, name + ".fc2", frame_width, dim);
    weights.codes.push_back(std::move(head));
  }
  file.check_all_used();
  return model;
}

}  // namespace vqcodec::prior
