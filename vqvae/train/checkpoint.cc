#include "vqvae/train/checkpoint.h"

#include <cmath>
#include <filesystem>
#include <sstream>

#include <nlohmann/json.hpp>

#include "base/atomic_file.h"
#include "base/error.h"
#include "runtime/safetensors.h"

namespace vqcodec::vqvae::train {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// What an exception says, without the backtrace that LibTorch adds in further lines.
std::string first_line(const std::exception& error) {
  const std::string text = error.what();
  return text.substr(0, text.find('\n'));
}

// What `read` makes of a checkpoint's archive.
template <class Read>
auto read_texts(const std::string& path, const std::string& program, const Read& read) {
  if (!fs::exists(path)) throw Error(ExitCode::kIo, path + ": there is no such checkpoint");
  try {
    torch::serialize::InputArchive archive;
    archive.load_from(path);
    return read(archive);
  } catch (const json::exception& error) {
    throw Error(ExitCode::kBadFile, path + ": the recipe in the checkpoint is damaged: " + error.what());
  } catch (const std::exception& error) {
    throw Error(ExitCode::kBadFile, path + ": not a checkpoint of " + program + ": " + first_line(error));
  }
}

}  // namespace

void begin_run(const RunOptions& options) {
  if (options.use_cuda && !torch::cuda::is_available()) {
    throw Error(ExitCode::kUsage, "--device cuda: LibTorch sees no CUDA device; use --device cpu");
  }
  if (options.num_threads > 0) torch::set_num_threads(options.num_threads);
  std::error_code error;
  fs::create_directories(options.out_folder, error);
  if (error) throw Error(ExitCode::kIo, options.out_folder + ": cannot be made: " + error.message());
}

void check_loss(int64_t step, double loss) {
  if (std::isfinite(loss)) return;
  throw Error(ExitCode::kInternal, "step " + std::to_string(step) +
                                       ": the loss is not finite; the last checkpoint is whole; try a lower learning "
                                       "rate");
}

void write_checkpoint(const std::string& path, const torch::nn::Module& network,
                      const torch::optim::Optimizer& optimizer,
                      std::initializer_list<std::pair<const char*, Tensor>> tensors,
                      std::initializer_list<std::pair<const char*, std::string>> texts, const SecondNetwork& second) {
  torch::serialize::OutputArchive archive, network_archive, optimizer_archive;
  network.save(network_archive);
  optimizer.save(optimizer_archive);
  archive.write("network", network_archive);
  archive.write("optimizer", optimizer_archive);
  if (second.network != nullptr) {
    torch::serialize::OutputArchive second_archive, second_optimizer_archive;
    second.network->save(second_archive);
    second.optimizer->save(second_optimizer_archive);
    archive.write("discriminator", second_archive);
    archive.write("discriminator_optimizer", second_optimizer_archive);
  }
  for (const auto& [key, tensor] : tensors) archive.write(key, tensor);
  for (const auto& [key, text] : texts) archive.write(key, c10::IValue(text));
  std::ostringstream bytes;
  archive.save_to(bytes);
  AtomicFile file(path, /*force=*/true);
  file.write(bytes.view().data(), bytes.view().size());
  file.commit();
}

void read_checkpoint(const std::string& path, torch::Device device, torch::nn::Module& network,
                     torch::optim::Optimizer* optimizer, std::initializer_list<std::pair<const char*, Tensor*>> tensors,
                     const SecondNetwork& second) {
  try {
    torch::serialize::InputArchive archive, network_archive, optimizer_archive;
    archive.load_from(path, device);
    archive.read("network", network_archive);
    network.load(network_archive);
    if (optimizer != nullptr) {
      archive.read("optimizer", optimizer_archive);
      optimizer->load(optimizer_archive);
    }
    if (second.network != nullptr) {
      torch::serialize::InputArchive second_archive, second_optimizer_archive;
      archive.read("discriminator", second_archive);
      second.network->load(second_archive);
      archive.read("discriminator_optimizer", second_optimizer_archive);
      second.optimizer->load(second_optimizer_archive);
    }
    for (const auto& [key, tensor] : tensors) archive.read(key, *tensor);
  } catch (const std::exception& error) {
    throw Error(ExitCode::kBadFile, path + ": not a whole checkpoint: " + first_line(error));
  }
}

bool checkpoint_has(const std::string& path, const char* key) {
  return read_texts(path, "vqtrain", [&](torch::serialize::InputArchive& archive) {
    c10::IValue text;
    return archive.try_read(key, text);
  });
}

json checkpoint_facts(const std::string& path, std::initializer_list<const char*> keys, const std::string& program) {
  return read_texts(path, program, [&](torch::serialize::InputArchive& archive) {
    json facts;
    c10::IValue text;
    for (const char* key : keys) {
      archive.read(key, text);
      facts[key] = json::parse(text.toStringRef());
    }
    archive.read("name", text);
    facts["name"] = text.toStringRef();
    return facts;
  });
}

void write_model(const std::string& path, const std::vector<std::pair<std::string, Tensor>>& tensors,
                 std::initializer_list<std::pair<const char*, std::string>> metadata, const ExportOptions& options) {
  if (fs::exists(path) && !options.force) {
    throw Error(ExitCode::kUsage, path + ": exists already; use --force to overwrite it");
  }
  runtime::SafetensorsWriter writer;
  for (const auto& [key, text] : metadata) writer.set_metadata(key, text);
  writer.set_metadata("licence", options.licence);
  if (!options.description.empty()) writer.set_metadata("description", options.description);
  for (const auto& [key, tensor] : tensors) {
    const Tensor flat = tensor.detach().to(torch::kCPU, torch::kFloat32).contiguous();
    const runtime::Shape shape(flat.sizes().begin(), flat.sizes().end());
    const std::span<const float> values(flat.data_ptr<float>(), static_cast<size_t>(flat.numel()));
    options.half ? writer.add_f16(key, shape, values) : writer.add_f32(key, shape, values);
  }
  writer.write(path);
}

}  // namespace vqcodec::vqvae::train
