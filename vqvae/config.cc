#include "vqvae/config.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <set>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace vqcodec::vqvae {

using nlohmann::json;

namespace {

constexpr double kGainStepDb = 1.5;
constexpr double kGainOffsetDb = -97.5;

const std::vector<std::string> kEncoderNames = {"masks", "direct"};
const std::vector<std::string> kQuantizerNames = {"residual", "gumbel"};

std::string short_dump(const json& value) {
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  return text.size() > 60 ? text.substr(0, 57) + "..." : text;
}

StackConfig parse_stack(const json& object, const std::string& where) {
  StackConfig stack;
  FieldReader reader(object, where);
  reader.integer("width", stack.width, 8, 4096);
  reader.integer("expansion", stack.expansion, 1, 8);
  reader.integer("kernel_frames", stack.kernel_frames, 1, 31);
  reader.integers("dilations", stack.dilations, 1, 64, 32);
  if (stack.kernel_frames % 2 == 0) {
    reader.fail("kernel_frames", std::to_string(stack.kernel_frames), "an odd number");
  }
  reader.finish();
  return stack;
}

UNetConfig parse_unet(const json& object, const std::string& where, int num_bands) {
  UNetConfig unet;
  FieldReader reader(object, where);
  reader.integers("channels", unet.channels, 1, 1024, 6);
  reader.integers("strides", unet.strides, 1, 16, 6);
  reader.integer("blocks", unet.blocks, 1, 8);
  if (unet.channels.empty()) reader.fail("channels", "[]", "one number a level, 1 to 6 levels");
  if (unet.strides.size() != unet.channels.size()) {
    reader.fail("strides", json(unet.strides).dump(), "as many numbers as channels, " + json(unet.channels).dump());
  }
  int product = 1;
  for (int stride : unet.strides) product *= stride;
  if (num_bands % product != 0) {
    reader.fail("strides", json(unet.strides).dump(),
                "a product that divides the number of bands, " + std::to_string(num_bands));
  }
  reader.finish();
  return unet;
}

json stack_json(const StackConfig& stack) {
  return {{"width", stack.width},
          {"expansion", stack.expansion},
          {"kernel_frames", stack.kernel_frames},
          {"dilations", stack.dilations}};
}

}  // namespace

int StackConfig::context_frames() const {
  int frames = 0;
  for (int dilation : dilations) frames += dilation * (kernel_frames / 2);
  return frames;
}

int ModelConfig::unet_bands(int level) const {
  int bands = num_bands();
  for (int i = 0; i <= level; ++i) bands /= unet->strides[static_cast<size_t>(i)];
  return bands;
}

std::vector<int> ModelConfig::noise_band_edges() const {
  if (!noise) return {};
  std::vector<int> edges = {noise_begin_bin};
  while (edges.back() < hop_samples)
    edges.push_back(std::min(hop_samples, edges.back() + std::max(8, edges.back() / 8)));
  return edges;
}

ModelConfig parse_model_config(const json& object, const std::string& where) {
  ModelConfig config;
  config.encoder = {.width = 384, .dilations = {1, 2, 4, 8, 1, 2, 4, 8}};
  config.analysis = {.width = 192, .dilations = {1, 2}};
  config.synthesis = {.width = 256, .dilations = {1, 2, 4}};
  FieldReader reader(object, where);
  reader.integer("sample_rate_hz", config.sample_rate_hz, 8000, 192000);
  reader.integer("hop_samples", config.hop_samples, 64, 8192);
  if (!std::has_single_bit(static_cast<unsigned>(config.hop_samples))) {
    reader.fail("hop_samples", std::to_string(config.hop_samples), "a power of two");
  }
  reader.source_names("sources", config.sources);
  {
    FieldReader encoder(reader.object("encoder"), where + ".encoder");
    int kind = static_cast<int>(config.encoder_kind);
    encoder.choice("kind", kind, kEncoderNames);
    config.encoder_kind = static_cast<EncoderKind>(kind);
    encoder.integer("num_fine_bins", config.num_fine_bins, 0, config.hop_samples);
    encoder.integer("coarse_bins", config.coarse_bins, 1, config.hop_samples);
    if ((config.hop_samples - config.num_fine_bins) % config.coarse_bins != 0) {
      encoder.fail("coarse_bins", std::to_string(config.coarse_bins), "a divisor of hop_samples - num_fine_bins");
    }
    const json& stack = encoder.object("stack");
    if (!stack.empty()) config.encoder = parse_stack(stack, where + ".encoder.stack");
    if (const json& unet = encoder.object("unet"); !unet.empty()) {
      config.unet = parse_unet(unet, where + ".encoder.unet", config.num_bands());
      if (config.encoder_kind != EncoderKind::kMasks) {
        encoder.fail("unet", short_dump(unet), "none but for masks");
      }
    }
    encoder.finish();
  }
  reader.integer("num_code_bins", config.num_code_bins, 1, config.hop_samples);
  if (const json& stack = reader.object("analysis"); !stack.empty()) {
    config.analysis = parse_stack(stack, where + ".analysis");
  }
  if (const json& stack = reader.object("synthesis"); !stack.empty()) {
    config.synthesis = parse_stack(stack, where + ".synthesis");
  }
  if (const json& object_of_noise = reader.object("noise"); !object_of_noise.empty()) {
    FieldReader noise(object_of_noise, where + ".noise");
    noise.integer("begin_bin", config.noise_begin_bin, 8, config.hop_samples - 8);
    config.noise = StackConfig{.width = 128, .kernel_frames = 5, .dilations = {1, 2}};
    noise.integer("envelope_dim", config.envelope_dim, 0, 1023);
    noise.integer("envelope_codebook", config.envelope_codebook, -1, 31);
    if (const json& stack = noise.object("stack"); !stack.empty()) {
      config.noise = parse_stack(stack, where + ".noise.stack");
    }
    noise.finish();
  }
  {
    FieldReader quantizer(reader.object("quantizer"), where + ".quantizer");
    int kind = static_cast<int>(config.quantizer_kind);
    quantizer.choice("kind", kind, kQuantizerNames);
    config.quantizer_kind = static_cast<QuantizerKind>(kind);
    quantizer.integer("num_codebooks", config.num_codebooks, 1, 32);
    quantizer.integer("codebook_size", config.codebook_size, 2, 65536);
    quantizer.integer("code_dim", config.code_dim, 1, 1024);
    quantizer.boolean("code_costs", config.code_costs);
    if (config.code_costs && config.quantizer_kind != QuantizerKind::kResidual) {
      quantizer.fail("code_costs", "true", "false but for residual codes");
    }
    quantizer.finish();
  }
  if (config.envelope_dim > 0 &&
      (config.encoder_kind != EncoderKind::kMasks || config.quantizer_kind != QuantizerKind::kResidual)) {
    reader.fail("noise.envelope_dim", std::to_string(config.envelope_dim), "0 but for masks with residual codes");
  }
  if (config.envelope_dim >= config.code_dim) {
    reader.fail("noise.envelope_dim", std::to_string(config.envelope_dim),
                "less than quantizer.code_dim, " + std::to_string(config.code_dim));
  }
  if (config.envelope_codebook >= (config.envelope_dim > 0 ? config.num_codebooks : 0)) {
    reader.fail("noise.envelope_codebook", std::to_string(config.envelope_codebook),
                "-1, or with envelope_dim less than quantizer.num_codebooks, " + std::to_string(config.num_codebooks));
  }
  reader.finish();
  return config;
}

json to_json(const ModelConfig& config) {
  json object = {{"sample_rate_hz", config.sample_rate_hz},
                 {"hop_samples", config.hop_samples},
                 {"sources", config.sources},
                 {"encoder",
                  {{"kind", kEncoderNames[static_cast<size_t>(config.encoder_kind)]},
                   {"num_fine_bins", config.num_fine_bins},
                   {"coarse_bins", config.coarse_bins},
                   {"stack", stack_json(config.encoder)}}},
                 {"num_code_bins", config.num_code_bins},
                 {"analysis", stack_json(config.analysis)},
                 {"synthesis", stack_json(config.synthesis)},
                 {"quantizer",
                  {{"kind", kQuantizerNames[static_cast<size_t>(config.quantizer_kind)]},
                   {"num_codebooks", config.num_codebooks},
                   {"codebook_size", config.codebook_size},
                   {"code_dim", config.code_dim}}}};
  if (config.unet) {
    object["encoder"]["unet"] = {{"channels", config.unet->channels},
                                 {"strides", config.unet->strides},
                                 {"blocks", config.unet->blocks}};
  }
  if (config.code_costs) object["quantizer"]["code_costs"] = true;
  if (config.noise) {
    object["noise"] = {{"begin_bin", config.noise_begin_bin},
                       {"envelope_dim", config.envelope_dim},
                       {"stack", stack_json(*config.noise)}};
    if (config.envelope_codebook >= 0) object["noise"]["envelope_codebook"] = config.envelope_codebook;
  }
  return object;
}

int gain_index(double root_mean_square) {
  if (!(root_mean_square > 0)) return 0;
  const double index = std::round((20 * std::log10(root_mean_square) - kGainOffsetDb) / kGainStepDb);
  return static_cast<int>(std::clamp(index, 0.0, kNumGains - 1.0));
}

float gain_scale(int index) {
  if (index <= 0) return 0.0f;
  return static_cast<float>(std::pow(10.0, (kGainStepDb * std::min(index, kNumGains - 1) + kGainOffsetDb) / 20));
}

FieldReader::FieldReader(const json& object, std::string where) : json_(object), where_(std::move(where)) {
  if (!json_.is_object()) {
    throw Error(ExitCode::kBadFile, where_ + ": found " + short_dump(json_) + ", expected a JSON object");
  }
}

FieldReader::~FieldReader() = default;

void FieldReader::fail(const std::string& key, const std::string& found, const std::string& expected) const {
  throw Error(ExitCode::kBadFile, where_ + ": \"" + key + "\" is " + found + ", expected " + expected);
}

const json* FieldReader::find(const char* key) {
  known_.emplace_back(key);
  const auto it = json_.find(key);
  return it == json_.end() ? nullptr : &*it;
}

void FieldReader::integer(const char* key, int64_t& value, int64_t minimum, int64_t maximum) {
  const json* field = find(key);
  if (field == nullptr) return;
  const bool in_range = field->is_number_integer() &&
                        !(field->is_number_unsigned() && field->get<uint64_t>() > uint64_t{INT64_MAX}) &&
                        field->get<int64_t>() >= minimum && field->get<int64_t>() <= maximum;
  if (!in_range) {
    fail(key, short_dump(*field), "an integer in " + std::to_string(minimum) + ".." + std::to_string(maximum));
  }
  value = field->get<int64_t>();
}

void FieldReader::integer(const char* key, int& value, int64_t minimum, int64_t maximum) {
  int64_t wide = value;
  integer(key, wide, minimum, maximum);
  value = static_cast<int>(wide);
}

void FieldReader::real(const char* key, double& value, double minimum, double maximum) {
  const json* field = find(key);
  if (field == nullptr) return;
  if (!field->is_number() || !(field->get<double>() >= minimum && field->get<double>() <= maximum)) {
    fail(key, short_dump(*field), "a number in " + json(minimum).dump() + ".." + json(maximum).dump());
  }
  value = field->get<double>();
}

void FieldReader::boolean(const char* key, bool& value) {
  const json* field = find(key);
  if (field == nullptr) return;
  if (!field->is_boolean()) fail(key, short_dump(*field), "true or false");
  value = field->get<bool>();
}

void FieldReader::text(const char* key, std::string& value) {
  const json* field = find(key);
  if (field == nullptr) return;
  if (!field->is_string()) fail(key, short_dump(*field), "a string");
  value = field->get<std::string>();
}

void FieldReader::choice(const char* key, int& value, const std::vector<std::string>& names) {
  std::string name = names[static_cast<size_t>(value)];
  text(key, name);
  const auto it = std::ranges::find(names, name);
  if (it == names.end()) {
    std::string expected = "one of";
    for (const std::string& known : names) expected += " \"" + known + "\"";
    fail(key, "\"" + name + "\"", expected);
  }
  value = static_cast<int>(it - names.begin());
}

void FieldReader::integers(const char* key, std::vector<int>& value, int64_t minimum, int64_t maximum,
                           size_t max_count) {
  const json* field = find(key);
  if (field == nullptr) return;
  const std::string expected = "a list of at most " + std::to_string(max_count) + " integers in " +
                               std::to_string(minimum) + ".." + std::to_string(maximum);
  if (!field->is_array() || field->size() > max_count) fail(key, short_dump(*field), expected);
  value.clear();
  for (const json& item : *field) {
    if (!item.is_number_integer() || item.get<int64_t>() < minimum || item.get<int64_t>() > maximum) {
      fail(key, short_dump(*field), expected);
    }
    value.push_back(item.get<int>());
  }
}

void FieldReader::texts(const char* key, std::vector<std::string>& value, size_t max_count) {
  const json* field = find(key);
  if (field == nullptr) return;
  const bool fits = field->is_array() && field->size() <= max_count &&
                    std::ranges::all_of(*field, [](const json& item) { return item.is_string(); });
  if (!fits) fail(key, short_dump(*field), "a list of at most " + std::to_string(max_count) + " strings");
  value = field->get<std::vector<std::string>>();
}

void FieldReader::source_names(const char* key, std::vector<std::string>& value) {
  texts(key, value, 16);
  const std::set<std::string> names(value.begin(), value.end());
  const bool names_fit = std::ranges::all_of(names, [](const std::string& name) {
    return !name.empty() && name.size() <= 32 && std::ranges::all_of(name, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    });
  });
  if (names.empty() || names.size() != value.size() || !names_fit) {
    fail(key, short_dump(value), "1 to 16 different names of 1 to 32 characters a-z 0-9 _ -");
  }
}

const json& FieldReader::object(const char* key) {
  static const json kEmpty = json::object();
  const json* field = find(key);
  if (field == nullptr) return kEmpty;
  if (!field->is_object()) fail(key, short_dump(*field), "a JSON object");
  return *field;
}

void FieldReader::finish() const {
  for (const auto& [key, value] : json_.items()) {
    if (std::ranges::find(known_, key) == known_.end()) {
      std::string names;
      for (const std::string& known : known_) names += (names.empty() ? "" : ", ") + known;
      throw Error(ExitCode::kBadFile, where_ + ": unknown key \"" + key + "\"; known keys: " + names);
    }
  }
}

}  // namespace vqcodec::vqvae
