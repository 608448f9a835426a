#include "apps/prior_file.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "apps/model_file.h"
#include "apps/vqc_input.h"
#include "base/error.h"
#include "runtime/sha256.h"

namespace vqcodec::apps {

namespace fs = std::filesystem;

namespace {

constexpr const char* kModelFolders[] = {"../share/vqcodec/models", "../../../models"};
constexpr const char* kDefaultPrior = "prior.safetensors";

std::vector<fs::path> model_folders() {
  std::error_code code;
  const fs::path folder = fs::read_symlink("/proc/self/exe", code).parent_path();
  std::vector<fs::path> folders;
  for (const char* place : kModelFolders) folders.push_back((folder / place).lexically_normal());
  return folders;
}

std::string variable_path() {
  const char* variable = std::getenv("VQCODEC_PRIOR");
  return variable == nullptr ? std::string() : variable;
}

LoadedPrior load(const std::string& path) {
  try {
    return {path, prior::Model::load(path)};
  } catch (const Error& error) {
    // Whatever is wrong with the file, the prior is what the user has to look at.
    throw Error(ExitCode::kModel, error.what());
  }
}

std::string describe(const LoadedPrior& loaded) {
  return loaded.path + " (prior " + short_id(loaded.model->id()) + ", " + printable(prior_name(*loaded.model)) + ")";
}

std::string hex_number(uint32_t number) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%x", number);
  return text;
}

}  // namespace

std::optional<LoadedPrior> load_prior(const std::string& option) {
  if (!option.empty()) return load(option);
  // A prior that was asked for and is not there is an error.
  if (const std::string path = variable_path(); !path.empty()) return load(path);
  std::error_code code;
  for (const fs::path& folder : model_folders()) {
    if (fs::exists(folder / kDefaultPrior, code)) return load((folder / kDefaultPrior).string());
  }
  return std::nullopt;
}

std::optional<LoadedPrior> choose_prior(const PriorChoice& choice, const codec::StreamInfo& info,
                                        const std::function<void(const std::string&)>& tell) {
  if (choice.none && !choice.option.empty()) throw Error(ExitCode::kUsage, "--prior and --no-prior exclude each other");
  if (choice.none && choice.joint) throw Error(ExitCode::kUsage, "--joint needs a prior; it excludes --no-prior");
  if (choice.none) return std::nullopt;
  std::optional<LoadedPrior> loaded = load_prior(choice.option);
  std::string why = "no prior was found";
  if (loaded && loaded->model->config().model_id != runtime::to_hex(info.model_id)) {
    why = describe(*loaded) + " is for codes of model " + loaded->model->config().model_id.substr(0, 12) +
          ", but these are of model " + short_id(info.model_id);
    if (!choice.option.empty()) throw Error(ExitCode::kModel, why);
    loaded.reset();
  }
  if (loaded) return loaded;
  if (choice.joint) throw Error(ExitCode::kModel, why + "; --joint needs a prior: name one with --prior FILE");
  tell(why + ", so the adaptive model codes alone");
  return std::nullopt;
}

std::optional<LoadedPrior> load_prior_of(const codec::StreamInfo& info, std::string_view metadata_json,
                                         const std::string& name, const std::string& option) {
  if (!info.has_prior()) return std::nullopt;
  const nlohmann::ordered_json metadata = parse_metadata(metadata_json);
  std::string theirs = short_id(info.prior_id);
  if (metadata.contains("prior_name") && metadata["prior_name"].is_string()) {
    theirs += " (" + printable(metadata["prior_name"].get<std::string>()) + ")";
  }
  if (info.numerics_id != prior::kNumericsId) {
    throw Error(ExitCode::kModel, name + ": was coded with prior " + theirs + " in numerics " +
                                      hex_number(info.numerics_id) + ", but this program computes numerics " +
                                      hex_number(prior::kNumericsId) + "; only a program with the file's can read it");
  }
  // Read past damage: what no prior codes can still be had.
  if (info.prior_id == std::array<uint8_t, 32>{}) return std::nullopt;
  std::string found;
  std::error_code code;
  std::vector<std::string> paths;
  if (!option.empty()) {
    paths = {option};
  } else {
    if (const std::string path = variable_path(); !path.empty()) paths.push_back(path);
    for (const fs::path& folder : model_folders()) {
      std::vector<std::string> names;
      for (auto it = fs::directory_iterator(folder, code); !code && it != fs::directory_iterator(); it.increment(code)) {
        const std::string file = it->path().filename().string();
        if (file.starts_with("prior") && file.ends_with(".safetensors")) names.push_back(it->path().string());
      }
      std::ranges::sort(names);
      paths.insert(paths.end(), names.begin(), names.end());
    }
  }
  for (const std::string& path : paths) {
    std::array<uint8_t, 32> id;
    try {
      id = runtime::sha256_file(path);
    } catch (const Error& error) {
      if (!option.empty()) throw Error(ExitCode::kModel, error.what());
      found += (found.empty() ? "" : ", ") + std::string(error.what());
      continue;
    }
    if (id == info.prior_id) return load(path);
    found += (found.empty() ? "" : ", ") + path + " is prior " + short_id(id);
  }
  throw Error(ExitCode::kModel, name + ": was coded with prior " + theirs + ", but " +
                                    (found.empty() ? "no prior was found" : found) +
                                    "; give the prior of the file with --prior");
}

std::string prior_name(const prior::Model& model) {
  const auto name = model.metadata().find("name");
  return name == model.metadata().end() || name->second.empty() ? "unnamed" : name->second.substr(0, 100);
}

Coding::Coding(const std::optional<LoadedPrior>& loaded, const codec::StreamInfo& info, const std::string& name,
               runtime::ThreadPool& pool) {
  tools_.parallel_for = [&pool](size_t count, const std::function<void(size_t)>& body) {
    pool.parallel_for(static_cast<int64_t>(count), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) body(static_cast<size_t>(i));
    });
  };
  if (!loaded) return;
  try {
    coder_ = std::make_unique<prior::Coder>(loaded->model, info, pool);
  } catch (const Error& error) {
    throw Error(error.code(), name + ": " + error.what());
  }
  tools_.predictor = coder_.get();
}

}  // namespace vqcodec::apps
