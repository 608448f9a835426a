// Any bytes as a prior: a model or an Error that a file may give, nothing else. The first byte says what the rest is: a
// whole file, or a config that is put before the weights of a small prior. A prior that is accepted predicts.
#include <cstdint>
#include <cstdlib>
#include <span>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "prior/predictor.h"
#include "prior/random_prior.h"
#include "tests/runtime/safetensors_parts.h"

namespace {

using namespace vqcodec;

prior::Config small_config() {
  prior::Config config;
  config.sources = {"a", "b"};
  config.num_codebooks = 2;
  config.codebook_size = 5;
  config.embedding_dim = 4;
  config.width = 8;
  config.num_heads = 2;
  config.num_layers = 1;
  config.mlp_ratio = 1;
  config.window_frames = 3;
  config.frame_width = 3;
  config.lookahead_frames = 2;
  return config;
}

void try_bytes(std::span<const std::byte> bytes) {
  try {
    const auto model = prior::Model::from_file(runtime::Safetensors::open_memory(bytes, "fuzz"));
    if (prior::parse_config(prior::to_json(model->config()), "again") != model->config()) std::abort();
    if (model->config().codebook_size * int64_t{model->config().width} > 1 << 20) return;
    static runtime::ThreadPool pool(1);
    const std::vector<uint16_t> codes(static_cast<size_t>(4 * model->config().num_codebooks));
    const prior::Segment segment = {0, model->config().num_codebooks, codes, {}};
    const auto counts = prior::count_codes(*model, {&segment, 1}, 24, pool);
    for (const auto& count : counts[0])
      if (count.freq == 0) std::abort();
  } catch (const Error& error) {
    if (error.code() != ExitCode::kBadFile && error.code() != ExitCode::kModel) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  if (data[0] % 2 == 0) {
    try_bytes(std::as_bytes(std::span(data + 1, size - 1)));
    return 0;
  }
  // The config by itself, and in front of weights.
  const auto json = nlohmann::json::parse(data + 1, data + size, nullptr, false);
  if (json.is_discarded()) return 0;
  try {
    prior::parse_config(json, "fuzz");
  } catch (const Error& error) {
    if (error.code() != ExitCode::kBadFile) std::abort();
    return 0;
  }
  static const runtime::SafetensorsParts kWhole(prior::make_random_prior(small_config(), 1, false).bytes());
  runtime::SafetensorsParts parts = kWhole;
  parts.metadata()["config"] = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const std::string bytes = parts.bytes();
  try_bytes(std::as_bytes(std::span(bytes)));
  return 0;
}
