#include "vqvae/config.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/base/expect_error.h"
#include "tests/base/temp_dir.h"
#include "vqvae/train/train_config.h"

namespace vqcodec::vqvae {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using train::parse_recipe;

std::string error_of(const json& object) {
  try {
    parse_recipe(object, "test", "test.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kBadFile);
    return error.what();
  }
  return "";
}

TEST(ModelConfig, EmptyObjectGivesTheDefaults) {
  const ModelConfig config = parse_model_config(json::object(), "test");
  EXPECT_EQ(config.num_sources(), 4);
  EXPECT_EQ(config.num_bands(), 256 + 768 / 8);
  EXPECT_EQ(config.quantizer_in(), 64);
}

TEST(ModelConfig, SurvivesWritingAndReading) {
  ModelConfig config = parse_model_config(json::object(), "test");
  config.quantizer_kind = QuantizerKind::kGumbel;
  config.encoder_kind = EncoderKind::kDirect;
  config.encoder.dilations = {1, 3, 9};
  config.sources = {"left", "right"};
  EXPECT_EQ(parse_model_config(to_json(config), "test"), config);
  EXPECT_EQ(config.quantizer_in(), 8 * 1024);
  EXPECT_EQ(config.quantizer_out(), 8 * 64);
}

TEST(ModelConfig, BandsOfNoiseGrowFromTheFirstBinToTheLast) {
  ModelConfig config = parse_model_config({{"noise", {{"begin_bin", 32}}}}, "test");
  EXPECT_EQ(parse_model_config(to_json(config), "test"), config);
  const std::vector<int> edges = config.noise_band_edges();
  EXPECT_EQ(config.num_noise_bands(), static_cast<int>(edges.size()) - 1);
  EXPECT_EQ(edges.front(), 32);
  EXPECT_EQ(edges.back(), 1024);
  for (size_t i = 1; i + 1 < edges.size(); ++i) EXPECT_EQ(edges[i] - edges[i - 1], std::max(8, edges[i - 1] / 8));
  config.noise.reset();
  EXPECT_EQ(config.num_noise_bands(), 0);
  EXPECT_FALSE(to_json(config).contains("noise"));
}

TEST(ModelConfig, LevelsInLatentsAreForResidualCodesOfMasks) {
  const auto error_with = [](const json& more) {
    json model = {{"noise", {{"envelope_dim", 8}}}};
    model.update(more);
    return error_of({{"model", model}});
  };
  EXPECT_EQ(error_with(json::object()), "");
  EXPECT_THAT(error_with({{"encoder", {{"kind", "direct"}}}}), HasSubstr("envelope_dim"));
  EXPECT_THAT(error_with({{"quantizer", {{"kind", "gumbel"}}}}), HasSubstr("envelope_dim"));
  EXPECT_THAT(error_with({{"quantizer", {{"code_dim", 8}}}}), HasSubstr("less than quantizer.code_dim, 8"));
  // A codebook of their own is one of the codebooks.
  const auto error_with_noise = [](int envelope_dim, int codebook) {
    return error_of({{"model",
                      {{"quantizer", {{"num_codebooks", 4}}},
                       {"noise", {{"envelope_dim", envelope_dim}, {"envelope_codebook", codebook}}}}}});
  };
  EXPECT_EQ(error_with_noise(8, 3), "");
  EXPECT_EQ(error_with_noise(8, -1), "");
  EXPECT_THAT(error_with_noise(8, 4), HasSubstr("less than quantizer.num_codebooks, 4"));
  EXPECT_THAT(error_with_noise(0, 0), HasSubstr("with envelope_dim"));
}

TEST(ModelConfig, CostsAreForResidualCodes) {
  const json costs = {{"quantizer", {{"code_costs", true}}}};
  EXPECT_EQ(error_of({{"model", costs}}), "");
  const ModelConfig config = parse_model_config(costs, "test");
  EXPECT_TRUE(config.code_costs);
  EXPECT_EQ(parse_model_config(to_json(config), "test"), config);
  EXPECT_FALSE(to_json(parse_model_config(json::object(), "test"))["quantizer"].contains("code_costs"));
  EXPECT_THAT(error_of({{"model", {{"quantizer", {{"code_costs", true}, {"kind", "gumbel"}}}}}}),
              HasSubstr("\"code_costs\" is true, expected false"));
  for (const char* key : {"rate_weight", "envelope_rate_weight"}) {
    EXPECT_EQ(error_of({{"model", costs}, {"training", {{key, 0.01}}}}), "");
    EXPECT_THAT(error_of({{"training", {{key, 0.01}}}}), HasSubstr(key));
  }
}

TEST(UNetConfig, SurvivesWritingAndReading) {
  const auto with = [](const json& unet) { return json{{"encoder", {{"unet", unet}}}}; };
  const ModelConfig config =
      parse_model_config(with({{"channels", {16, 24}}, {"strides", {2, 8}}, {"blocks", 3}}), "test");
  EXPECT_EQ(*config.unet, (UNetConfig{.channels = {16, 24}, .strides = {2, 8}, .blocks = 3}));
  EXPECT_EQ(parse_model_config(to_json(config), "test"), config);
  EXPECT_EQ(config.unet_bands(-1), 352);
  EXPECT_EQ(config.unet_bands(0), 176);
  EXPECT_EQ(config.unet_bands(1), 22);
  EXPECT_FALSE(to_json(parse_model_config(json::object(), "test"))["encoder"].contains("unet"));
}

TEST(UNetConfig, LevelsHaveToFit) {
  const auto error_with = [](const json& unet, const char* kind = "masks") {
    return error_of({{"model", {{"encoder", {{"kind", kind}, {"unet", unet}}}}}});
  };
  EXPECT_EQ(error_with({{"blocks", 2}}), "");
  EXPECT_THAT(error_with({{"blocks", 2}}, "direct"), HasSubstr("none but for masks"));
  EXPECT_THAT(error_with({{"channels", {16, 24}}}), HasSubstr("as many numbers as channels, [16,24]"));
  EXPECT_THAT(error_with({{"channels", json::array()}, {"strides", json::array()}}), HasSubstr("1 to 6 levels"));
  EXPECT_THAT(error_with({{"channels", {16, 24}}, {"strides", {2, 3}}}), HasSubstr("divides the number of bands, 352"));
  EXPECT_THAT(error_with({{"blocks", 9}}), HasSubstr("1..8"));
  EXPECT_THAT(error_with({{"depth", 3}}), HasSubstr("unknown key \"depth\""));
}

TEST(StackConfig, ContextIsTheSumOfHalfKernels) {
  EXPECT_EQ((StackConfig{.kernel_frames = 7, .dilations = {1, 2, 4}}.context_frames()), 3 * 7);
}

TEST(Recipe, EveryShippedRecipeIsValid) {
  const char* root = std::getenv("VQCODEC_SOURCE_DIR");
  ASSERT_NE(root, nullptr);
  // Recipes that go on with a model and name none are for networks like the default one.
  const ModelConfig base = train::load_recipe(std::string(root) + "/configs/default.json").model;
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(root) + "/configs")) {
    // Layouts and splits; what vqdata make and vqtrain prior read.
    const std::string name = entry.path().filename().string();
    if (entry.is_directory() || name.starts_with("data-") || name.starts_with("prior")) continue;
    SCOPED_TRACE(entry.path().string());
    const train::Recipe recipe = train::load_recipe(entry.path().string(), &base);
    const train::Recipe again = parse_recipe(to_json(recipe), recipe.name, "again");
    EXPECT_EQ(to_json(again), to_json(recipe));
    ++count;
  }
  EXPECT_GE(count, 4);
}

TEST(Recipe, PaperAblationsDifferInOneTermOnly) {
  const std::string root = std::string(std::getenv("VQCODEC_SOURCE_DIR")) + "/configs/";
  const auto paper = train::load_recipe(root + "paper.json");
  auto no_stft = train::load_recipe(root + "paper-no-stft.json");
  auto no_complement = train::load_recipe(root + "paper-no-complement.json");
  EXPECT_EQ(no_stft.training.loss.select_stft, 0);
  EXPECT_EQ(no_stft.training.loss.complement_stft, 0);
  EXPECT_EQ(no_complement.training.loss.complement, 0);
  EXPECT_EQ(no_complement.training.loss.complement_stft, 0);
  no_stft.training.loss = paper.training.loss;
  no_complement.training.loss = paper.training.loss;
  EXPECT_EQ(to_json(no_stft), to_json(paper));
  EXPECT_EQ(to_json(no_complement), to_json(paper));
  EXPECT_EQ(paper.model.quantizer_kind, QuantizerKind::kGumbel);
  EXPECT_EQ(paper.model.encoder_kind, EncoderKind::kDirect);
}

TEST(Recipe, UnknownKeysAreRefusedAndNamed) {
  EXPECT_THAT(error_of({{"modle", json::object()}}), HasSubstr("unknown key \"modle\""));
  EXPECT_THAT(error_of({{"model", {{"quantizer", {{"codebooks", 8}}}}}}), HasSubstr("unknown key \"codebooks\""));
  EXPECT_THAT(error_of({{"training", {{"loss", {{"selct", 1}}}}}}), HasSubstr("selct"));
  EXPECT_THAT(error_of({{"training", {{"loss", {{"source_weights", {{"bas", 2}}}}}}}}), HasSubstr("bas"));
  EXPECT_THAT(error_of({{"training", {{"mix", {{"gain", 1}}}}}}), HasSubstr("gain"));
}

TEST(Recipe, ValuesOutOfRangeAreRefusedWithTheRange) {
  EXPECT_THAT(error_of({{"model", {{"hop_samples", 1000}}}}), HasSubstr("a power of two"));
  EXPECT_THAT(error_of({{"model", {{"hop_samples", 1 << 20}}}}), HasSubstr("64..8192"));
  EXPECT_THAT(error_of({{"model", {{"hop_samples", 1024.5}}}}), HasSubstr("an integer"));
  EXPECT_THAT(error_of({{"model", {{"hop_samples", 18446744073709551615ULL}}}}), HasSubstr("an integer"));
  EXPECT_THAT(error_of({{"model", {{"sources", {"a", "a"}}}}}), HasSubstr("different names"));
  EXPECT_THAT(error_of({{"model", {{"sources", json::array()}}}}), HasSubstr("different names"));
  EXPECT_THAT(error_of({{"model", {{"sources", {"../x"}}}}}), HasSubstr("different names"));
  EXPECT_THAT(error_of({{"model", {{"encoder", {{"kind", "mask"}}}}}}), HasSubstr("one of \"masks\" \"direct\""));
  EXPECT_THAT(error_of({{"model", {{"encoder", {{"coarse_bins", 7}}}}}}), HasSubstr("divisor"));
  EXPECT_THAT(error_of({{"model", {{"encoder", {{"stack", {{"kernel_frames", 4}}}}}}}}), HasSubstr("odd"));
  EXPECT_THAT(error_of({{"training", {{"learning_rate", "fast"}}}}), HasSubstr("a number"));
  EXPECT_THAT(error_of({{"training", {{"learning_rate", -1}}}}), HasSubstr("learning_rate"));
  EXPECT_THAT(error_of({{"training", {{"mix", {{"min_speed", 1.2}, {"max_speed", 0.9}}}}}}), HasSubstr("max_speed"));
  EXPECT_THAT(error_of({{"model", {{"encoder", {{"kind", "direct"}}}}}, {"training", {{"separation_steps", 5}}}}),
              HasSubstr("separation_steps"));
  json short_crop = {{"model", {{"hop_samples", 64}, {"num_code_bins", 64}, {"encoder", {{"num_fine_bins", 64}}}}},
                     {"training", {{"crop_frames", 32}}}};
  EXPECT_THAT(error_of(short_crop), HasSubstr("\"crop_frames\" is 32, expected at least 33"));
  short_crop["training"]["crop_frames"] = 33;
  EXPECT_EQ(error_of(short_crop), "");
  short_crop["training"] = {{"crop_frames", 8}, {"loss", {{"select_stft", 0}, {"complement_stft", 0}}}};
  EXPECT_EQ(error_of(short_crop), "");
  EXPECT_THAT(error_of(json::array()), HasSubstr("a JSON object"));
  EXPECT_THAT(error_of({{"model", 7}}), HasSubstr("a JSON object"));
}

// Calls visit(path, value) for every field of an object that is no object itself, and for every object.
void visit_fields(const json& object, const json::json_pointer& path,
                  const std::function<void(const json::json_pointer&, const json&)>& visit) {
  visit(path, object);
  if (!object.is_object()) return;
  for (const auto& [key, value] : object.items()) visit_fields(value, path / key, visit);
}

// What has no default must be there to be tried.
const json kWithEverything = {{"model",
                               {{"noise", {{"begin_bin", 32}, {"envelope_dim", 4}, {"envelope_codebook", 1}}},
                                {"quantizer", {{"code_costs", true}}}}},
                              {"training", {{"sound_steps", 4}, {"judged_frames", 20}}}};

TEST(Recipe, EveryFieldIsCheckedAndNamed) {
  const json whole = to_json(parse_recipe(kWithEverything, "test", "test.json"));
  int num_fields = 0;
  visit_fields(whole, json::json_pointer(), [&](const json::json_pointer& path, const json& value) {
    SCOPED_TRACE(path.to_string());
    const auto error_with = [&](const json& replacement) {
      json changed = whole;
      changed[path] = replacement;
      return error_of(changed);
    };
    if (value.is_object()) {
      json longer = value;
      longer["extra_key"] = 1;
      EXPECT_THAT(error_with(longer), HasSubstr("unknown key \"extra_key\""));
      EXPECT_THAT(error_with(json::array({1})), HasSubstr("JSON object"));
      return;
    }
    ++num_fields;
    const std::string key = "\"" + path.back() + "\"";
    EXPECT_EQ(error_with(value), "");
    EXPECT_THAT(error_with(nullptr), HasSubstr(key));
    EXPECT_THAT(error_with(json::object()), HasSubstr(key));
    EXPECT_THAT(error_with(value.is_string() ? json(1) : json("text")), HasSubstr(key));
    if (value.is_number()) {
      EXPECT_THAT(error_with(-1000000), HasSubstr(key));
      EXPECT_THAT(error_with(true), HasSubstr(key));
      if (path.back() != "seed") {
        EXPECT_THAT(error_with(10000000000), HasSubstr(key));
      }
      if (value.is_number_integer()) {
        EXPECT_THAT(error_with(value.get<double>() + 0.5), HasSubstr(key));
      }
    }
    if (value.is_array()) {
      EXPECT_THAT(error_with(json::array({-1})), HasSubstr(key));
      EXPECT_THAT(error_with(json(std::vector<json>(33, value[0]))), HasSubstr(key));
    }
  });
  EXPECT_GT(num_fields, 50);
}

TEST(Recipe, EveryFieldSurvivesWritingAndReading) {
  const json whole = to_json(parse_recipe(kWithEverything, "test", "test.json"));
  int num_changed = 0;
  visit_fields(whole, json::json_pointer(), [&](const json::json_pointer& path, const json& value) {
    if (value.is_object()) return;
    json changed = whole;
    if (value.is_boolean()) changed[path] = !value.get<bool>();
    if (value.is_number_integer() && path.back() != "hop_samples") changed[path] = value.get<int64_t>() + 2;
    if (value.is_number_float()) changed[path] = value.get<double>() * 0.75 + 0.01;
    if (path.back() == "min_speed") changed[path] = 0.9;
    if (path.back() == "max_speed") changed[path] = 1.5;
    if (path.back() == "coarse_bins") changed[path] = 16;
    if (path.back() == "num_fine_bins") changed[path] = 512;
    // What is left out where it is false is tested with code_costs.
    if (path.back() == "separation_steps" || path.back() == "code_costs" || changed == whole) return;
    SCOPED_TRACE(path.to_string());
    EXPECT_EQ(to_json(parse_recipe(changed, "test", "test.json")), changed);
    ++num_changed;
  });
  EXPECT_GT(num_changed, 50);
}

TEST(Recipe, TermsOfTheSoundPhaseNeedIt) {
  const auto error_with = [](json training) { return error_of({{"training", std::move(training)}}); };
  for (const char* term : {"adversarial", "feature_matching", "mel"}) {
    const json loss = {{term, 0.1}};
    EXPECT_THAT(error_with({{"loss", loss}}), AllOf(HasSubstr(term), HasSubstr("sound_steps")));
    EXPECT_EQ(error_with({{"loss", loss}, {"sound_steps", 1}}), "");
  }
  EXPECT_EQ(error_with({{"sound_steps", 1}, {"judged_frames", 3}}), "");
  EXPECT_THAT(error_with({{"sound_steps", 1}, {"judged_frames", 2}}),
              AllOf(HasSubstr("judged_frames"), HasSubstr("3")));
  EXPECT_THAT(error_with({{"crop_frames", 40}, {"judged_frames", 41}}),
              AllOf(HasSubstr("judged_frames"), HasSubstr("crop_frames")));
}

TEST(Recipe, WithoutANetworkTakesThatOfTheModelItBeginsWith) {
  const ModelConfig base = parse_model_config({{"hop_samples", 512}}, "base");
  EXPECT_EQ(train::parse_recipe({{"training", json::object()}}, "r", "r.json", &base).model, base);
  EXPECT_EQ(train::parse_recipe({{"model", {{"hop_samples", 2048}}}}, "r", "r.json", &base).model.hop_samples, 2048);
  EXPECT_EQ(train::parse_recipe(json::object(), "r", "r.json").model.hop_samples, 1024);
}

TEST(Recipe, FilesThatAreNoRecipesAreRefused) {
  TempDir folder;
  EXPECT_ERROR(train::load_recipe(folder / "none.json"), ExitCode::kIo, HasSubstr("none.json"));
  write_bytes(folder / "cut.json", R"({"model": {)");
  EXPECT_ERROR(train::load_recipe(folder / "cut.json"), ExitCode::kBadFile, HasSubstr("not JSON"));
  EXPECT_ERROR(train::load_recipe(folder.path()), ExitCode::kIo, HasSubstr(folder.path()));
  write_bytes(folder / "a.json", R"({"comment": "why", "training": {"seed": 9223372036854775807}})");
  const train::Recipe recipe = train::load_recipe(folder / "a.json");
  EXPECT_EQ(recipe.name, "a");
  EXPECT_EQ(recipe.training.seed, 9223372036854775807U);
}

TEST(Gain, IndicesAndScalesAgree) {
  EXPECT_EQ(gain_index(0), 0);
  EXPECT_EQ(gain_index(std::nan("")), 0);
  EXPECT_EQ(gain_index(1), kUnitGain);
  EXPECT_EQ(gain_index(1e9), kNumGains - 1);
  EXPECT_FLOAT_EQ(gain_scale(kUnitGain), 1.0f);
  EXPECT_EQ(gain_scale(0), 0.0f);
  for (int i = 1; i < kNumGains; ++i) EXPECT_EQ(gain_index(gain_scale(i)), i);
}

}  // namespace
}  // namespace vqcodec::vqvae
