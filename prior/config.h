// What a prior is made of: the config that its file carries in the metadata. Every field is validated, so that every
// size that follows from it is bounded; unknown keys are refused. docs/PRIOR.md describes the network.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace vqcodec::prior {

inline constexpr const char* kFormatName = "vqcodec-prior-1";  // "format" in the metadata of a prior's file
inline constexpr int kMaxPriorCodebooks = 16;

struct Config {
  std::vector<std::string> sources = {"vocals", "bass", "drums", "other"};  // 1..16 names
  int num_codebooks = 8;     // H, 1..16: the most that a segment may keep
  int codebook_size = 1024;  // K, 2..65536
  int embedding_dim = 64;    // D, 1..1024: of a code, at the input and at the output
  int width = 192;           // of the Transformer, 8..2048, a multiple of num_heads
  int num_heads = 6;         // 1..64; width / num_heads is even and at most 256
  int num_layers = 4;        // 1..32
  int mlp_ratio = 4;         // inner width of a layer's network over width, 1..8
  int window_frames = 128;   // frames that attention sees, the frame's own included, 1..4096;
                             // num_layers x window_frames x width <= 2^23
  int frame_width = 128;     // hidden width of the networks within a frame, 1..4096
  int lookahead_frames = 4;  // frames of other sources that are seen, from the frame's own on, 1..64
  std::string model_id;      // SHA-256 of the model that gave the codes, 64 hexadecimal digits

  int num_sources() const { return static_cast<int>(sources.size()); }
  int head_dim() const { return width / num_heads; }
  int hidden_width() const { return mlp_ratio * width; }
  bool operator==(const Config&) const = default;
};

// Throws Error(kBadFile) that names the key, what was found and what is allowed. "type", "version" and "model_id" have to be there,
// other keys have the defaults above. `where` names the file in messages.
Config parse_config(const nlohmann::json& json, const std::string& where);
nlohmann::json to_json(const Config& config);

}  // namespace vqcodec::prior
