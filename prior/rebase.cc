#include "prior/rebase.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "prior/model.h"
#include "runtime/safetensors.h"
#include "vqvae/model.h"

namespace vqcodec::prior {

namespace fs = std::filesystem;
using runtime::Dtype;
using runtime::Safetensors;

namespace {

Safetensors open_model(const std::string& path) {
  if (!fs::exists(path)) throw Error(ExitCode::kModel, path + ": there is no such model");
  vqvae::Model::load(path);  // refuses what is no whole model
  return Safetensors::open(path);
}

const runtime::TensorView& tensor_of(Safetensors& file, const std::string& name) {
  return file.tensor(name, file.shape(name), {Dtype::kF16, Dtype::kBF16, Dtype::kF32});
}

void check_same_codes(Safetensors& from, Safetensors& to) {
  const auto refuse = [&](const std::string& what) {
    throw Error(ExitCode::kModel, to.name() + ": gives other codes than " + from.name() + ": " + what +
                                      "; a prior of its own is needed (vqtrain codes, vqtrain prior)");
  };
  if (vqvae::config_of(from) != vqvae::config_of(to)) refuse("the configs differ");
  std::set<std::string> names;
  for (const Safetensors* file : {&from, &to}) {
    for (const std::string& name : file->tensor_names()) {
      if (!serves_decoding_alone(name)) names.insert(name);
    }
  }
  for (const std::string& name : names) {
    for (const Safetensors* file : {&from, &to}) {
      if (!file->contains(name)) refuse(file->name() + " lacks " + name);
    }
    const runtime::TensorView &a = tensor_of(from, name), &b = tensor_of(to, name);
    if (a.dtype != b.dtype || a.shape != b.shape || !std::ranges::equal(a.bytes, b.bytes)) refuse(name + " differs");
  }
}

}  // namespace

bool serves_decoding_alone(const std::string& tensor) {
  return tensor.starts_with("synthesis") || tensor.starts_with("noise");
}

void rebase(const std::string& prior_path, const std::string& from_model, const std::string& to_model,
            const std::string& out, bool force) {
  if (!force && fs::exists(out)) {
    throw Error(ExitCode::kUsage, out + ": exists already; use --force to overwrite it");
  }
  Config config = Model::load(prior_path)->config();
  Safetensors from = open_model(from_model), to = open_model(to_model);
  const std::string from_id = runtime::to_hex(from.sha256());
  if (config.model_id != from_id) {
    throw Error(ExitCode::kModel, prior_path + ": is for codes of model " + config.model_id.substr(0, 12) + ", but " +
                                      from_model + " is " + from_id.substr(0, 12) +
                                      "; give the model that the prior was trained for");
  }
  check_same_codes(from, to);
  config.model_id = runtime::to_hex(to.sha256());

  Safetensors prior = Safetensors::open(prior_path);
  runtime::SafetensorsWriter writer;
  for (const auto& [key, text] : prior.metadata()) {
    writer.set_metadata(key, key == "config" ? to_json(config).dump() : text);
  }
  for (const std::string& name : prior.tensor_names()) {
    const runtime::Shape shape = prior.shape(name);
    const Dtype dtype = prior.tensor(name, shape, {Dtype::kF16, Dtype::kF32}).dtype;
    const std::vector<float> values = prior.floats(name, shape);  // exact, and so is the way back
    dtype == Dtype::kF16 ? writer.add_f16(name, shape, values) : writer.add_f32(name, shape, values);
  }
  writer.write(out);
}

}  // namespace vqcodec::prior
