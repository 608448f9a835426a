// Any bytes as a recipe: a Recipe or an Error(kBadFile), nothing else; a recipe that is accepted survives being written
// and read again.
#include <cstdint>
#include <cstdlib>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "vqvae/train/train_config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vqcodec;
  const auto json = nlohmann::json::parse(data, data + size, nullptr, false);
  if (json.is_discarded()) return 0;
  try {
    const auto recipe = vqvae::train::parse_recipe(json, "fuzz", "fuzz.json");
    const auto again = vqvae::train::parse_recipe(vqvae::train::to_json(recipe), "fuzz", "again.json");
    if (to_json(again) != to_json(recipe)) std::abort();
  } catch (const Error& error) {
    if (error.code() != ExitCode::kBadFile) std::abort();
  }
  return 0;
}
