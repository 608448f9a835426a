#include "apps/model_file.h"

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "apps/vqc_input.h"
#include "base/error.h"
#include "runtime/sha256.h"

namespace vqcodec::apps {

namespace fs = std::filesystem;

namespace {

std::string find_model(const std::string& option) {
  if (!option.empty()) return option;
  // A model that was asked for and is not there is an error: another one would give other codes.
  const char* variable = std::getenv("VQCODEC_MODEL");
  if (variable != nullptr && *variable != '\0') return variable;
  std::error_code code;
  const fs::path folder = fs::read_symlink("/proc/self/exe", code).parent_path();
  std::string looked = "$VQCODEC_MODEL (not set)";
  for (const char* place : {"../share/vqcodec/models/default.safetensors", "../../../models/default.safetensors"}) {
    const std::string path = (folder / place).lexically_normal().string();
    if (fs::exists(path, code)) return path;
    looked += ", " + path;
  }
  throw Error(ExitCode::kModel, "no model was found; looked at " + looked +
                                    ". Name one with --model FILE or in the environment variable VQCODEC_MODEL");
}

}  // namespace

LoadedModel load_model(const std::string& option) {
  const std::string path = find_model(option);
  try {
    return {path, vqvae::Model::load(path)};
  } catch (const Error& error) {
    // Whatever is wrong with the file, the model is what the user has to look at.
    throw Error(ExitCode::kModel, error.what());
  }
}

std::string model_name(const vqvae::Model& model) {
  const auto name = model.metadata().find("name");
  return name == model.metadata().end() || name->second.empty() ? "unnamed" : name->second.substr(0, 100);
}

std::string short_id(const std::array<uint8_t, 32>& id) { return runtime::to_hex(id).substr(0, 12); }

void check_model(const codec::StreamInfo& info, std::string_view metadata_json, const std::string& name,
                 const LoadedModel& loaded) {
  const vqvae::Model& model = *loaded.model;
  if (info.model_id != model.id()) {
    const nlohmann::ordered_json metadata = parse_metadata(metadata_json);
    std::string theirs = short_id(info.model_id);
    if (metadata.contains("model_name") && metadata["model_name"].is_string()) {
      theirs += " (" + printable(metadata["model_name"].get<std::string>()) + ")";
    }
    throw Error(ExitCode::kModel, name + ": was written with model " + theirs + ", but " + loaded.path + " is model " +
                                      short_id(model.id()) + " (" + printable(model_name(model)) +
                                      "); give the model of the file with --model");
  }
  const vqvae::ModelConfig& config = model.config();
  if (info.sample_rate_hz != static_cast<uint32_t>(config.sample_rate_hz) || info.num_channels != 2 ||
      info.hop_samples != static_cast<uint32_t>(config.hop_samples) || info.sources != config.sources ||
      info.codebook_size != static_cast<uint32_t>(config.codebook_size) ||
      info.num_codebooks > static_cast<uint32_t>(config.num_codebooks)) {
    throw Error(ExitCode::kBadFile, name + ": its header contradicts the model that it names, " + loaded.path +
                                        " (rate, channels, hop, sources or codebooks); vqcodec did not write it");
  }
}

}  // namespace vqcodec::apps
