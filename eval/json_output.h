// What every report of vqeval begins with, and how numbers go into JSON.
#pragma once

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "runtime/sha256.h"
#include "vqvae/model.h"

namespace vqcodec::eval {

using Json = nlohmann::ordered_json;

// JSON has no NaN and no infinity: they are null.
inline Json number_or_null(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

// {kind, vqcodec_version, command}: `command` is the words as they were given, from the program on.
inline Json report_header(const std::string& kind, const std::string& version, const std::string& command) {
  return {{"kind", kind}, {"vqcodec_version", version}, {"command", command}};
}

// {id, name, file} of a model; `file` without its folder.
inline Json model_json(const vqvae::Model& model, const std::string& path) {
  const auto name = model.metadata().find("name");
  return {{"id", runtime::to_hex(model.id())},
          {"name", name == model.metadata().end() ? "unnamed" : name->second},
          {"file", std::filesystem::path(path).filename().string()}};
}

// The last part of a folder's path, whatever way it was given.
inline std::string folder_name(const std::filesystem::path& folder) {
  const auto whole = std::filesystem::weakly_canonical(folder);
  return whole.has_filename() ? whole.filename().string() : whole.parent_path().filename().string();
}

// Text that is whole or not there; an existing file is replaced. Throws Error(kIo).
inline void write_text_file(const std::filesystem::path& path, const std::string& text) {
  AtomicFile file(path.string(), true);
  file.write(text.data(), text.size());
  file.commit();
}

// As text, indented; bytes that are no UTF-8 are replaced.
inline std::string json_text(const Json& json) {
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace vqcodec::eval
