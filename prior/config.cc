#include "prior/config.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "vqvae/config.h"

namespace vqcodec::prior {

using nlohmann::json;

namespace {

constexpr const char* kType = "prior";
constexpr int kVersion = 1;
constexpr int64_t kMaxCacheFloats = int64_t{1} << 23;

}  // namespace

Config parse_config(const json& object, const std::string& where) {
  Config config;
  vqvae::FieldReader reader(object, where);
  std::string type;
  reader.text("type", type);
  if (type != kType) reader.fail("type", json(type).dump(-1, ' ', false, json::error_handler_t::replace), "\"prior\"");
  int version = 0;
  reader.integer("version", version, kVersion, kVersion);
  if (version != kVersion) reader.fail("version", "missing", std::to_string(kVersion));
  reader.source_names("sources", config.sources);
  reader.integer("num_codebooks", config.num_codebooks, 1, kMaxPriorCodebooks);
  reader.integer("codebook_size", config.codebook_size, 2, 65536);
  reader.integer("embedding_dim", config.embedding_dim, 1, 1024);
  reader.integer("width", config.width, 8, 2048);
  reader.integer("num_heads", config.num_heads, 1, 64);
  reader.integer("num_layers", config.num_layers, 1, 32);
  reader.integer("mlp_ratio", config.mlp_ratio, 1, 8);
  reader.integer("window_frames", config.window_frames, 1, 4096);
  reader.integer("frame_width", config.frame_width, 1, 4096);
  reader.integer("lookahead_frames", config.lookahead_frames, 1, 64);
  reader.text("model_id", config.model_id);
  if (config.width % config.num_heads != 0 || config.head_dim() % 2 != 0 || config.head_dim() > 256) {
    reader.fail("num_heads", std::to_string(config.num_heads),
                "a number that divides width, " + std::to_string(config.width) + ", into even parts of at most 256");
  }
  if (int64_t{config.num_layers} * config.window_frames * config.width > kMaxCacheFloats) {
    reader.fail("window_frames", std::to_string(config.window_frames),
                "num_layers x window_frames x width of at most 2^23");
  }
  const bool is_hex = config.model_id.size() == 64 && std::ranges::all_of(config.model_id, [](char c) {
                        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                      });
  if (!is_hex) {
    reader.fail("model_id", json(config.model_id.substr(0, 80)).dump(-1, ' ', false, json::error_handler_t::replace),
                "64 lower-case hexadecimal digits, the SHA-256 of the model that gave the codes");
  }
  reader.finish();
  return config;
}

json to_json(const Config& config) {
  return {{"type", kType},
          {"version", kVersion},
          {"sources", config.sources},
          {"num_codebooks", config.num_codebooks},
          {"codebook_size", config.codebook_size},
          {"embedding_dim", config.embedding_dim},
          {"width", config.width},
          {"num_heads", config.num_heads},
          {"num_layers", config.num_layers},
          {"mlp_ratio", config.mlp_ratio},
          {"window_frames", config.window_frames},
          {"frame_width", config.frame_width},
          {"lookahead_frames", config.lookahead_frames},
          {"model_id", config.model_id}};
}

}  // namespace vqcodec::prior
