#include "vqvae/train/train_config.h"

#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace vqcodec::vqvae::train {

using nlohmann::json;

namespace {

constexpr int kStftSize = 2048;  // vqvae/train/losses.cc, and the longest window of vqvae/train/discriminator.h

// One list of fields for reading and for writing, so that the two cannot differ.
template <class Visitor>
void visit_loss(LossWeights& loss, Visitor&& real) {
  real("select", loss.select);
  real("complement", loss.complement);
  real("select_stft", loss.select_stft);
  real("complement_stft", loss.complement_stft);
  real("decoded_sources", loss.decoded_sources);
  real("decoded_mixture", loss.decoded_mixture);
  real("separation", loss.separation);
  real("commitment", loss.commitment);
  real("envelope", loss.envelope);
  real("adversarial", loss.adversarial);
  real("feature_matching", loss.feature_matching);
  real("mel", loss.mel);
}

template <class Integer, class Real>
void visit_training(TrainConfig& t, Integer&& integer, Real&& real) {
  integer("batch_size", t.batch_size, 1, 4096);
  integer("crop_frames", t.crop_frames, 8, 8192);
  integer("separation_steps", t.separation_steps, 0, 1000000000);
  integer("unquantized_steps", t.unquantized_steps, 0, 1000000000);
  integer("joint_steps", t.joint_steps, 0, 1000000000);
  integer("noise_steps", t.noise_steps, 0, 1000000000);
  integer("sound_steps", t.sound_steps, 0, 1000000000);
  integer("fit_items", t.fit_items, 1, 100000);
  integer("kmeans_iterations", t.kmeans_iterations, 1, 100);
  real("envelope_scale", t.envelope_scale, 1e-3, 1e3);
  real("learning_rate", t.learning_rate, 0, 1);
  real("separation_learning_rate", t.separation_learning_rate, 0, 1);
  real("noise_learning_rate", t.noise_learning_rate, 0, 1);
  real("sound_learning_rate", t.sound_learning_rate, 0, 1);
  real("discriminator_learning_rate", t.discriminator_learning_rate, 0, 1);
  integer("discriminator_width", t.discriminator_width, 1, 1024);
  integer("judged_frames", t.judged_frames, 0, 8192);
  real("equalizer_deviation_db", t.equalizer_deviation_db, 0, 20);
  real("noise_cost", t.noise_cost, 0, 1e6);
  real("basis_learning_rate_ratio", t.basis_learning_rate_ratio, 0, 1);
  real("separator_learning_rate_ratio", t.separator_learning_rate_ratio, 0, 1);
  real("decoder_learning_rate_ratio", t.decoder_learning_rate_ratio, 0, 1);
  real("final_learning_rate_ratio", t.final_learning_rate_ratio, 0, 1);
  integer("warmup_steps", t.warmup_steps, 0, 1000000);
  real("gradient_clip", t.gradient_clip, 0, 1e6);
  real("subset_probability", t.subset_probability, 0, 1);
  real("nested_dropout", t.nested_dropout, 0, 1);
  real("codebook_decay", t.codebook_decay, 0, 1);
  real("dead_entry_share", t.dead_entry_share, 0, 1);
  real("rate_weight", t.rate_weight, 0, 10);
  real("envelope_rate_weight", t.envelope_rate_weight, 0, 10);
  real("temperature_start", t.temperature_start, 1e-3, 100);
  real("temperature_end", t.temperature_end, 1e-3, 100);
  integer("log_every", t.log_every, 1, 1000000);
  integer("validate_every", t.validate_every, 1, 1000000000);
  integer("checkpoint_every", t.checkpoint_every, 1, 1000000000);
  real("validation_seconds", t.validation_seconds, 1, 36000);
}

template <class Real, class Boolean>
void visit_mix(dataset::MixOptions& mix, Real&& real, Boolean&& boolean) {
  real("coherent_share", mix.coherent_share, 0, 1);
  real("silent_probability", mix.silent_probability, 0, 0.9);
  real("gain_deviation_db", mix.gain_deviation_db, 0, 40);
  real("song_gain_deviation_db", mix.song_gain_deviation_db, 0, 40);
  real("channel_gain_deviation_db", mix.channel_gain_deviation_db, 0, 20);
  real("active_probability", mix.active_probability, 0, 1);
  real("min_speed", mix.min_speed, 0.25, 4);
  real("max_speed", mix.max_speed, 0.25, 4);
  real("tilt_deviation_db_per_octave", mix.tilt_deviation_db_per_octave, 0, 6);
  real("source_loudness_lufs", mix.source_loudness_lufs, -60, 0);
  real("song_loudness_lufs", mix.song_loudness_lufs, -60, 0);
  boolean("level_by_loudness", mix.level_by_loudness);
  boolean("swap_channels", mix.swap_channels);
  boolean("flip_polarity", mix.flip_polarity);
}

}  // namespace

Recipe parse_recipe(const json& object, const std::string& name, const std::string& where, const ModelConfig* base) {
  Recipe recipe;
  recipe.name = name;
  FieldReader reader(object, where);
  std::string comment;
  reader.text("comment", comment);
  recipe.model = parse_model_config(reader.object("model"), where + ": model");
  if (base != nullptr && !object.contains("model")) recipe.model = *base;
  TrainConfig& t = recipe.training;
  FieldReader training(reader.object("training"), where + ": training");
  int64_t seed = 1;
  training.integer("seed", seed, 0, INT64_MAX);
  t.seed = static_cast<uint64_t>(seed);
  visit_training(
      t, [&](const char* key, auto& value, int64_t low, int64_t high) { training.integer(key, value, low, high); },
      [&](const char* key, double& value, double low, double high) { training.real(key, value, low, high); });
  {
    FieldReader loss(training.object("loss"), where + ": training.loss");
    visit_loss(t.loss, [&](const char* key, double& value) { loss.real(key, value, 0, 1e6); });
    FieldReader weights(loss.object("source_weights"), where + ": training.loss.source_weights");
    for (const std::string& source : recipe.model.sources) {
      weights.real(source.c_str(), t.loss.source_weights.emplace_back(1), 1e-3, 1e3);
    }
    weights.finish();
    loss.finish();
    FieldReader mix(training.object("mix"), where + ": training.mix");
    visit_mix(
        t.mix, [&](const char* key, double& value, double low, double high) { mix.real(key, value, low, high); },
        [&](const char* key, bool& value) { mix.boolean(key, value); });
    mix.finish();
  }
  if (t.mix.max_speed < t.mix.min_speed) {
    training.fail("mix.max_speed", json(t.mix.max_speed).dump(), "at least mix.min_speed");
  }
  if (t.separation_steps > 0 && recipe.model.encoder_kind != EncoderKind::kMasks) {
    training.fail("separation_steps", std::to_string(t.separation_steps), "0 for an encoder of kind \"direct\"");
  }
  if (t.unquantized_steps > 0 && recipe.model.quantizer_kind != QuantizerKind::kResidual) {
    training.fail("unquantized_steps", std::to_string(t.unquantized_steps), "0 for a quantizer of kind \"gumbel\"");
  }
  if (t.noise_steps > 0 && !recipe.model.noise) {
    training.fail("noise_steps", std::to_string(t.noise_steps), "0 for a model without \"noise\"");
  }
  if (t.loss.envelope > 0 && !recipe.model.noise) {
    training.fail("loss.envelope", json(t.loss.envelope).dump(), "0 for a model without \"noise\"");
  }
  for (const auto& [key, weight] :
       {std::pair{"rate_weight", t.rate_weight}, {"envelope_rate_weight", t.envelope_rate_weight}}) {
    if (weight > 0 && !recipe.model.code_costs) {
      training.fail(key, json(weight).dump(), "0 for a model without quantizer.code_costs");
    }
  }
  for (const auto& [key, weight] : {std::pair{"loss.adversarial", t.loss.adversarial},
                                    {"loss.feature_matching", t.loss.feature_matching},
                                    {"loss.mel", t.loss.mel}}) {
    if (weight > 0 && t.sound_steps == 0) training.fail(key, json(weight).dump(), "0 without sound_steps");
  }
  const int judged_frames = t.judged_frames == 0 ? t.crop_frames : t.judged_frames;
  if (judged_frames > t.crop_frames ||
      (t.sound_steps > 0 && (judged_frames - 1) * recipe.model.hop_samples < kStftSize)) {
    training.fail("judged_frames", std::to_string(judged_frames),
                  std::to_string(1 + (kStftSize + recipe.model.hop_samples - 1) / recipe.model.hop_samples) + " to " +
                      std::to_string(t.crop_frames) + ", at most crop_frames and enough for the longest window");
  }
  const bool with_stft = t.loss.select_stft > 0 || t.loss.complement_stft > 0;
  if (with_stft && (t.crop_frames - 1) * recipe.model.hop_samples < kStftSize) {
    training.fail("crop_frames", std::to_string(t.crop_frames),
                  "at least " +
                      std::to_string(1 + (kStftSize + recipe.model.hop_samples - 1) / recipe.model.hop_samples) +
                      ", so that the STFT of the loss has a window to look at");
  }
  training.finish();
  reader.finish();
  return recipe;
}

json load_recipe_json(const std::string& path, const std::string& example) {
  std::ifstream file(path);
  if (!file) throw Error(ExitCode::kIo, path + ": cannot be opened; expected a recipe such as " + example);
  try {
    return json::parse(file);
  } catch (const json::exception& error) {
    throw Error(ExitCode::kBadFile, path + ": not JSON: " + error.what());
  } catch (const std::ios_base::failure&) {
    throw Error(ExitCode::kIo, path + ": cannot be read; expected a recipe such as " + example);
  }
}

Recipe load_recipe(const std::string& path, const ModelConfig* base) {
  const json object = load_recipe_json(path, "configs/default.json");
  return parse_recipe(object, std::filesystem::path(path).stem().string(), path, base);
}

json to_json(const Recipe& recipe) {
  TrainConfig t = recipe.training;
  json training = {{"seed", t.seed}};
  const auto write = [](json& target) {
    return [&target](const char* key, auto& value, auto...) { target[key] = value; };
  };
  visit_training(t, write(training), write(training));
  visit_loss(t.loss, write(training["loss"]));
  json& weights = training["loss"]["source_weights"] = json::object();
  for (size_t s = 0; s < recipe.model.sources.size(); ++s) {
    weights[recipe.model.sources[s]] = t.loss.source_weights.empty() ? 1 : t.loss.source_weights[s];
  }
  visit_mix(t.mix, write(training["mix"]), write(training["mix"]));
  return {{"model", vqvae::to_json(recipe.model)}, {"training", training}};
}

}  // namespace vqcodec::vqvae::train
