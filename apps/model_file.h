// Where vqcodec finds its model, and whether a .vqc file was written with it.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>

#include "codec/code_grid.h"
#include "vqvae/model.h"

namespace vqcodec::apps {

struct LoadedModel {
  std::string path;
  std::shared_ptr<const vqvae::Model> model;
};

// Loads the model of `option` (--model) or, if that is empty, the first that exists of $VQCODEC_MODEL,
// <folder of the program>/../share/vqcodec/models/default.safetensors and, in a source tree,
// <folder of the program>/../../../models/default.safetensors. Throws Error(kModel) that says where it looked, or what
// is wrong with the file.
LoadedModel load_model(const std::string& option);

// Name in the model's metadata; "unnamed" if it has none.
std::string model_name(const vqvae::Model& model);

// The first 12 hex digits, for messages.
std::string short_id(const std::array<uint8_t, 32>& id);

// Throws Error(kModel), naming both ids, if `name` was written with another model, and Error(kBadFile) if its header
// does not fit the model that it names. `metadata_json` is the file's, or empty.
void check_model(const codec::StreamInfo& info, std::string_view metadata_json, const std::string& name,
                 const LoadedModel& loaded);

}  // namespace vqcodec::apps
