#include "prior/train/recipe.h"

#include <filesystem>

#include "base/error.h"
#include "vqvae/train/train_config.h"

namespace vqcodec::prior::train {

using nlohmann::json;

namespace {

// One list of fields for reading and for writing, so that the two cannot differ.
template <class Integer, class Real>
void visit(TrainConfig& t, Integer&& integer, Real&& real) {
  integer("steps", t.steps, 1, 1000000000);
  integer("batch_size", t.batch_size, 1, 1024);
  integer("crop_frames", t.crop_frames, 8, 65536);
  real("learning_rate", t.learning_rate, 0, 1);
  real("final_learning_rate_ratio", t.final_learning_rate_ratio, 0, 1);
  integer("warmup_steps", t.warmup_steps, 0, 1000000);
  real("weight_decay", t.weight_decay, 0, 10);
  real("gradient_clip", t.gradient_clip, 0, 1e6);
  real("dropout", t.dropout, 0, 0.9);
  real("quality_dropout", t.quality_dropout, 0, 1);
  real("context_probability", t.context_probability, 0, 1);
  real("context_source_probability", t.context_source_probability, 0, 1);
  integer("log_every", t.log_every, 1, 1000000);
  integer("validate_every", t.validate_every, 1, 1000000000);
  integer("checkpoint_every", t.checkpoint_every, 1, 1000000000);
}

Config config_of(const json& sizes, const CodeSetInfo& codes, const std::string& where) {
  json object = sizes;
  for (const char* key : {"type", "version", "sources", "num_codebooks", "codebook_size", "model_id"}) {
    if (object.contains(key)) {
      throw Error(ExitCode::kBadFile,
                  where + ": \"" + key + "\" is not for a recipe to say; it is as the codes have it");
    }
  }
  object["type"] = "prior";
  object["version"] = 1;
  object["sources"] = codes.sources;
  object["num_codebooks"] = codes.num_codebooks;
  object["codebook_size"] = codes.codebook_size;
  object["model_id"] = codes.model_id;
  return parse_config(object, where);
}

}  // namespace

Recipe parse_recipe(const json& object, const std::string& name, const std::string& where) {
  Recipe recipe;
  recipe.name = name;
  vqvae::FieldReader reader(object, where);
  std::string comment;
  reader.text("comment", comment);
  recipe.prior = reader.object("prior");
  // Whatever the codes are, the sizes have to fit.
  config_of(recipe.prior,
            {.model_id = std::string(64, '0'), .sources = {"all"}, .num_codebooks = 1, .codebook_size = 2},
            where + ": prior");
  TrainConfig& t = recipe.training;
  vqvae::FieldReader training(reader.object("training"), where + ": training");
  int64_t seed = 1;
  training.integer("seed", seed, 0, INT64_MAX);
  t.seed = static_cast<uint64_t>(seed);
  visit(
      t, [&](const char* key, auto& value, int64_t low, int64_t high) { training.integer(key, value, low, high); },
      [&](const char* key, double& value, double low, double high) { training.real(key, value, low, high); });
  training.finish();
  reader.finish();
  return recipe;
}

Recipe load_recipe(const std::string& path) {
  const json object = vqvae::train::load_recipe_json(path, "configs/prior.json");
  return parse_recipe(object, std::filesystem::path(path).stem().string(), path);
}

json to_json(const Recipe& recipe) {
  TrainConfig t = recipe.training;
  json training = {{"seed", t.seed}};
  const auto write = [&](const char* key, auto& value, auto...) { training[key] = value; };
  visit(t, write, write);
  return {{"prior", recipe.prior}, {"training", training}};
}

Config config_for(const Recipe& recipe, const CodeSetInfo& codes) {
  if (codes.num_codebooks > kMaxPriorCodebooks) {
    throw Error(ExitCode::kBadFile, "these codes have " + std::to_string(codes.num_codebooks) +
                                        " codebooks, a prior at most " + std::to_string(kMaxPriorCodebooks));
  }
  return config_of(recipe.prior, codes, recipe.name + ": prior");
}

}  // namespace vqcodec::prior::train
