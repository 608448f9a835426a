// The training loop: phases, resuming, checkpoints, logs. Everything on one thread and on songs made here.
#include "vqvae/train/torch.h"

#include "vqvae/train/trainer.h"

#include <sys/resource.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <csignal>
#include <cstdlib>
#include <map>
#include <numeric>
#include <set>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "prior/rebase.h"
#include "runtime/safetensors.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_dir.h"
#include "tests/vqvae/codec_test_util.h"
#include "vqvae/model.h"
#include "vqvae/train/equalizer.h"
#include "vqvae/train/losses.h"
#include "vqvae/train/network.h"

namespace vqcodec::vqvae::train {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

constexpr int kRate = 8000;

dataset::Song test_song(const std::string& name, int64_t num_samples, int num_sources, uint64_t seed) {
  dataset::Song song;
  song.name = name;
  song.num_frames = num_samples;
  for (int s = 0; s < num_sources; ++s) {
    std::vector<int16_t> stem;
    for (const float value : synthetic_song(num_samples, seed + static_cast<uint64_t>(s))) {
      stem.push_back(static_cast<int16_t>(value * static_cast<float>(8000 * (s + 1))));
    }
    song.stems.push_back(stem);
    std::vector<int64_t> active;
    for (int64_t at = 0; at + kRate <= num_samples; at += kRate) active.push_back(at);
    song.active_frames.push_back(active);
  }
  return song;
}

// Small enough for a step in some milliseconds.
Recipe small_recipe(EncoderKind encoder, QuantizerKind quantizer) {
  Recipe recipe;
  recipe.name = "small";
  recipe.model = tiny_config_of(encoder, quantizer);
  recipe.model.sample_rate_hz = kRate;
  recipe.model.sources = {"bass", "drums"};
  TrainConfig& t = recipe.training;
  t.batch_size = 2;
  t.crop_frames = 16;
  const bool masks = encoder == EncoderKind::kMasks, residual = quantizer == QuantizerKind::kResidual;
  t.separation_steps = masks ? 3 : 0;
  t.unquantized_steps = residual ? 2 : 0;
  t.joint_steps = 10 - t.separation_steps - t.unquantized_steps;
  t.fit_items = 4;
  t.kmeans_iterations = 3;
  t.learning_rate = 1e-3;
  t.final_learning_rate_ratio = 0.1;
  t.warmup_steps = 1;
  t.loss = {.select = 1,
            .complement = 1,
            .select_stft = 1,
            .complement_stft = 1,
            .decoded_sources = 1,
            .decoded_mixture = 1,
            .separation = masks ? 1.0 : 0.0,
            .commitment = residual ? 1.0 : 0.0};
  t.mix.min_speed = 0.9;
  t.mix.max_speed = 1.1;
  t.log_every = 2;
  t.validate_every = 5;
  t.checkpoint_every = 4;
  t.validation_seconds = 3;
  return recipe;
}

Recipe small_recipe(const KindOfModel& kind) {
  Recipe recipe = small_recipe(kind.encoder, kind.quantizer);
  recipe.model.unet = kind.config().unet;
  if (!kind.noise) return recipe;
  recipe.model.noise = kind.config().noise;
  recipe.model.envelope_dim = kind.envelope_dim;
  recipe.model.envelope_codebook = kind.config().envelope_codebook;
  recipe.model.code_costs = kind.costs;
  recipe.training.rate_weight = recipe.training.envelope_rate_weight = kind.costs ? 0.01 : 0;
  recipe.training.joint_steps -= 2;
  recipe.training.noise_steps = 2;
  recipe.training.loss.envelope = 0.1;
  return recipe;
}

class TrainerTest : public testing::Test {
 protected:
  TrainOptions options(const std::string& folder) {
    TrainOptions result;
    result.out_folder = folder_ / folder;
    result.num_threads = 1;
    return result;
  }
  std::unique_ptr<Trainer> make(const Recipe& recipe, const std::string& folder) {
    return std::make_unique<Trainer>(recipe, training_, validation_, options(folder));
  }
  std::vector<json> log_of(const std::string& folder) {
    std::istringstream lines(read_bytes(folder_ / (folder + "/log.jsonl")));
    std::vector<json> all;
    for (std::string line; std::getline(lines, line);) all.push_back(json::parse(line));
    return all;
  }
  static std::map<std::string, std::vector<float>> tensors_of(const std::string& path) {
    auto file = runtime::Safetensors::open(path);
    std::map<std::string, std::vector<float>> result;
    for (const std::string& name : file.tensor_names()) result[name] = file.floats(name, file.shape(name));
    return result;
  }
  std::string export_bytes(const std::string& folder, bool half = false) {
    ExportOptions export_options;
    export_options.half = half;
    export_options.force = true;
    export_checkpoint(folder_ / (folder + "/checkpoint.pt"), folder_ / "export.safetensors", export_options);
    return read_bytes(folder_ / "export.safetensors");
  }

  TempDir folder_;
  std::vector<dataset::WeightedSongs> training_{
      {{test_song("a", 3 * kRate, 2, 1), test_song("b", 2 * kRate, 2, 7)}, 1.0}};
  std::vector<dataset::Song> validation_{test_song("v", 3 * kRate, 2, 20)};
};

class TrainerOfKind : public TrainerTest, public testing::WithParamInterface<KindOfModel> {};

TEST_P(TrainerOfKind, AnInterruptedRunGoesOnWithTheSameLosses) {
  const Recipe recipe = small_recipe(GetParam());
  std::vector<uint64_t> losses;
  {
    const auto trainer = make(recipe, "whole");
    for (int i = 0; i < 10; ++i) losses.push_back(std::bit_cast<uint64_t>(trainer->step()));
    EXPECT_EQ(trainer->current_step(), 10);
    trainer->save_checkpoint();
  }
  EXPECT_NE(losses[0], losses[1]);
  // Interrupted in every phase.
  for (const int interrupt : {2, 4, 8}) {
    const std::string folder = "cut" + std::to_string(interrupt);
    std::vector<uint64_t> again;
    {
      const auto trainer = make(recipe, folder);
      for (int i = 0; i < interrupt; ++i) again.push_back(std::bit_cast<uint64_t>(trainer->step()));
      trainer->save_checkpoint();
      trainer->step();  // lost
    }
    const auto trainer = make(recipe, folder);
    EXPECT_EQ(trainer->current_step(), interrupt);
    for (int i = interrupt; i < 10; ++i) again.push_back(std::bit_cast<uint64_t>(trainer->step()));
    EXPECT_EQ(again, losses) << "interrupted after " << interrupt;
    trainer->save_checkpoint();
    EXPECT_TRUE(export_bytes(folder) == export_bytes("whole")) << "interrupted after " << interrupt;
  }
}

TEST_P(TrainerOfKind, ExportsModelsThatEncodeAndDecode) {
  const Recipe recipe = small_recipe(GetParam());
  const auto trainer = make(recipe, "run");
  for (int i = 0; i < 10; ++i) trainer->step();
  trainer->save_checkpoint();
  const std::string checkpoint = folder_ / "run/checkpoint.pt", path = folder_ / "m.safetensors";
  ExportOptions export_options;
  export_options.description = "a test";
  export_checkpoint(checkpoint, path, export_options);
  const auto half = Model::load(path);
  EXPECT_EQ(half->config(), recipe.model);
  EXPECT_EQ(half->metadata().at("name"), "small");
  EXPECT_EQ(half->metadata().at("licence"), "Apache-2.0");
  EXPECT_EQ(half->metadata().at("description"), "a test");
  const json facts = json::parse(half->metadata().at("training"));
  EXPECT_EQ(facts["steps"], 10);
  EXPECT_EQ(facts["recipe"], to_json(recipe));
  EXPECT_ERROR(export_checkpoint(checkpoint, path, export_options), ExitCode::kUsage, HasSubstr("--force"));
  export_options.force = true;
  export_options.half = false;
  const std::string before = read_bytes(path);
  export_checkpoint(checkpoint, path, export_options);
  EXPECT_GT(read_bytes(path).size(), before.size() * 3 / 2);
  const auto full = Model::load(path);

  runtime::ThreadPool pool(1);
  const auto song = synthetic_song(kRate);
  for (const auto& model : {half, full}) {
    const auto samples = decode(model, encode(model, song, {}, pool), {}, pool)[0];
    double energy = 0;
    for (const float sample : samples) energy += static_cast<double>(sample) * sample;
    EXPECT_GT(energy, 0);
    EXPECT_TRUE(std::isfinite(energy));
  }
}

TEST_P(TrainerOfKind, OneBatchOverfits) {
  // Songs as long as a crop, without any change of level or speed: every step has the same item.
  Recipe recipe = small_recipe(GetParam());
  TrainConfig& t = recipe.training;
  t.separation_steps = t.unquantized_steps = t.noise_steps = 0;
  const int num_steps = 200;
  t.joint_steps = num_steps;
  t.batch_size = 1;
  t.learning_rate = 1e-2;
  t.basis_learning_rate_ratio = 0.3;
  t.nested_dropout = 0;
  t.temperature_start = 1;
  t.temperature_end = 0.3;
  t.loss = {.select = 0,
            .complement = 0,
            .select_stft = 0,
            .complement_stft = 0,
            .decoded_sources = 1,
            .separation = recipe.model.encoder_kind == EncoderKind::kMasks ? 1.0 : 0.0};
  t.mix = {.coherent_share = 1,
           .silent_probability = 0,
           .gain_deviation_db = 0,
           .song_gain_deviation_db = 0,
           .swap_channels = false,
           .flip_polarity = false};
  training_ = {{{test_song("a", 17 * 256 + 1, 2, 1)}, 1.0}};
  for (auto& active : training_[0].songs[0].active_frames) active = {0};
  const auto trainer = make(recipe, "one");
  double first = 0, last = 0;
  for (int i = 0; i < num_steps; ++i) {
    const double loss = trainer->step();
    if (i < 5) first += loss / 5;
    if (i >= num_steps - 5) last += loss / 5;
  }
  // The terms are energies of the error over those of the sources. What begins set to these very songs, as a transform
  // codec or by regression, has less to learn.
  const bool masks = recipe.model.encoder_kind == EncoderKind::kMasks;
  const bool gumbel = recipe.model.quantizer_kind == QuantizerKind::kGumbel;
  const double factor = masks ? 2 : gumbel ? 5 : 10;
  EXPECT_LT(last, first / factor) << "first " << first;
}

INSTANTIATE_TEST_SUITE_P(Kinds, TrainerOfKind, testing::ValuesIn(kKinds),
                         [](const auto& kind) { return std::string(kind.param.name); });

TEST_F(TrainerTest, RunLogsValidatesAndWritesCheckpoints) {
  const Recipe recipe = small_recipe(EncoderKind::kMasks, QuantizerKind::kResidual);
  std::vector<std::string> texts;
  TrainOptions run = options("run");
  run.on_log = [&](int64_t step, int64_t total, const std::string& text) {
    EXPECT_LE(step, total);
    EXPECT_EQ(total, 10);
    texts.push_back(text);
  };
  Trainer trainer(recipe, training_, validation_, run);
  EXPECT_EQ(trainer.total_steps(), 10);
  EXPECT_EQ(trainer.run(), 10);
  const std::vector<json> log = log_of("run");
  std::map<std::string, std::vector<int>> steps;
  for (const json& line : log) steps[line["kind"]].push_back(line["step"]);
  EXPECT_EQ(steps["training"], (std::vector<int>{2, 4, 6, 8, 10}));
  EXPECT_EQ(steps["validation"], (std::vector<int>{3, 5, 10}));  // the end of the separation, every 5, the end
  const json& last =
      *std::find_if(log.rbegin(), log.rend(), [](const json& line) { return line["kind"] == "training"; });
  for (const char* key : {"loss", "learning_rate", "separation", "decoded_sources", "decoded_mixture", "select",
                          "complement", "select_stft", "complement_stft", "commitment", "perplexity_first",
                          "perplexity_last", "audio_seconds_per_second"}) {
    ASSERT_TRUE(last.contains(key)) << key;
    EXPECT_TRUE(last[key].is_number()) << key;
  }
  EXPECT_GE(last["perplexity_first"].get<double>(), 1);
  EXPECT_LE(last["perplexity_first"].get<double>(), 32);
  EXPECT_GT(last["audio_seconds_per_second"].get<double>(), 0);
  EXPECT_FALSE(log[0].contains("select")) << "masks are trained alone first";
  const json& validation = log.back();
  EXPECT_EQ(validation["kind"], "validation");
  for (const char* key : {"masks_bass", "masks_drums", "masks_average", "bass", "drums", "average", "mixture"}) {
    EXPECT_TRUE(validation.contains(key)) << key;
  }
  EXPECT_NEAR(validation["average"].get<double>(),
              (validation["bass"].get<double>() + validation["drums"].get<double>()) / 2, 1e-9);
  EXPECT_THAT(texts, testing::Contains(HasSubstr("validation: ")));
  EXPECT_THAT(texts, testing::Contains(HasSubstr("k-means")));
  EXPECT_EQ(Trainer(recipe, training_, validation_, options("run")).current_step(), 10);
}

TEST_F(TrainerTest, LossTermsAreThoseOfThePaper) {
  // The first step of the same network and batch under other subsets and weights.
  const auto terms = [&](double subset_probability, const LossWeights& loss, const std::string& folder) {
    Recipe recipe = small_recipe(EncoderKind::kDirect, QuantizerKind::kGumbel);
    recipe.training.subset_probability = subset_probability;
    recipe.training.loss = loss;
    recipe.training.log_every = 1;
    recipe.training.joint_steps = 1;
    validation_.clear();
    make(recipe, folder)->run();
    return log_of(folder)[0];
  };
  const LossWeights paper;  // 1 each for select, complement and their STFTs
  const json all = terms(1, paper, "all"), none = terms(0, paper, "none"), some = terms(0.5, paper, "some");
  // Everything selected: the complement is empty. Nothing selected: the other way round.
  EXPECT_GT(all["select"].get<double>(), 0);
  EXPECT_EQ(all["complement"], 0.0);
  EXPECT_EQ(all["complement_stft"], 0.0);
  EXPECT_EQ(none["select"], 0.0);
  EXPECT_EQ(none["complement"], all["select"]);
  EXPECT_EQ(none["complement_stft"], all["select_stft"]);
  // A subset and its complement make up the mixture: the sum of their errors is at least the mixture's.
  EXPECT_GE(some["select"].get<double>() + some["complement"].get<double>(), all["select"].get<double>() * (1 - 1e-5));
  EXPECT_NEAR(some["loss"].get<double>(),
              some["select"].get<double>() + some["complement"].get<double>() + some["select_stft"].get<double>() +
                  some["complement_stft"].get<double>(),
              1e-5 * some["loss"].get<double>());
  // Weights, and the two ablations.
  const json weighted =
      terms(0.5, {.select = 10, .complement = 0, .select_stft = 0.5, .complement_stft = 0}, "weighted");
  EXPECT_NEAR(weighted["loss"].get<double>(),
              10 * some["select"].get<double>() + 0.5 * some["select_stft"].get<double>(),
              1e-5 * weighted["loss"].get<double>());
  EXPECT_FALSE(weighted.contains("complement"));
  const json no_stft = terms(0.5, {.select = 1, .complement = 1, .select_stft = 0, .complement_stft = 0}, "no_stft");
  EXPECT_EQ(no_stft["select"], some["select"]);
  EXPECT_FALSE(no_stft.contains("select_stft"));
  EXPECT_ERROR(terms(0.5, {.select = 0, .complement = 0, .select_stft = 0, .complement_stft = 0}, "nothing"),
               ExitCode::kBadFile, HasSubstr("every weight is 0"));
}

TEST_F(TrainerTest, CodesOfADirectGumbelEncoderTellOfTheirInputFromTheStart) {
  // One step at a learning rate of 0: what the fit alone gives, on a song that it has not seen.
  Recipe recipe = small_recipe(EncoderKind::kDirect, QuantizerKind::kGumbel);
  recipe.model.encoder.width = 64;
  TrainConfig& t = recipe.training;
  t.fit_items = 128;
  t.kmeans_iterations = 10;
  t.learning_rate = 0;
  t.nested_dropout = 0;
  t.joint_steps = t.log_every = t.validate_every = 1;
  make(recipe, "run")->run();
  const auto log = log_of("run");
  EXPECT_GT(log[0]["perplexity_first"], 0.3 * recipe.model.codebook_size);
  EXPECT_GT(log[0]["perplexity_last"], 0.3 * recipe.model.codebook_size);
  ASSERT_EQ(log[1]["kind"], "validation");
  EXPECT_GT(log[1]["mixture"], 3);
  EXPECT_GT(log[1]["drums"], 2);  // the louder one
  EXPECT_GT(log[1]["bass"], 0);
  // A network without room for the fit starts as it is, and trains.
  recipe.model.encoder.width = 8;
  recipe.training.learning_rate = 1e-3;
  EXPECT_GT(make(recipe, "narrow")->step(), 0);
}

TEST_F(TrainerTest, EqualizersAreSmoothAndOfTheLevelThatIsAskedFor) {
  const ModelConfig model;
  const Tensor factors = equalizer_factors(model, 64, 4, 1, 7);
  EXPECT_EQ(factors.sizes(), (std::vector<int64_t>{64, model.num_sources(), model.hop_samples}));
  const Tensor levels = 20 * torch::log10(factors);
  // Over log frequency, as they are drawn: bins at equal steps of it.
  std::vector<int64_t> bins;
  for (double hz = 100; hz < 20000; hz *= 1.2) bins.push_back(std::lround(hz / 22050 * model.hop_samples));
  const Tensor even = levels.index_select(2, torch::tensor(bins));
  EXPECT_NEAR(even.square().mean().sqrt().item<double>(), 4, 0.6);
  EXPECT_NEAR(even.mean().item<double>(), 0, 0.6);
  // From one bin to the next: at the low end, where a bin is a third of an octave, the most.
  const Tensor steps = (levels.narrow(2, 1, model.hop_samples - 1) - levels.narrow(2, 0, model.hop_samples - 1)).abs();
  EXPECT_LT(steps.max().item<double>(), 12);
  EXPECT_LT(steps.narrow(2, 30, model.hop_samples - 31).max().item<double>(), 1);
  EXPECT_GT((levels[0][0] - levels[0][1]).abs().max().item<double>(), 1) << "each source has its own";
  EXPECT_GT((levels[0][0] - levels[1][0]).abs().max().item<double>(), 1) << "each item has its own";
  EXPECT_TRUE(torch::equal(factors, equalizer_factors(model, 64, 4, 1, 7)));
  EXPECT_FALSE(torch::equal(factors, equalizer_factors(model, 64, 4, 1, 8)));
}

TEST_F(TrainerTest, EqualizersColourTheItems) {
  Recipe recipe = small_recipe(EncoderKind::kMasks, QuantizerKind::kResidual);
  const double plain = make(recipe, "plain")->step();
  recipe.training.equalizer_deviation_db = 6;
  const double coloured = make(recipe, "coloured")->step();
  EXPECT_NE(plain, coloured);
  EXPECT_EQ(coloured, make(recipe, "again")->step());
}

TEST_F(TrainerTest, NoiseIsLearnedAloneFromAModel) {
  const Recipe recipe = small_recipe(EncoderKind::kMasks, QuantizerKind::kResidual);
  make(recipe, "first")->run();
  export_bytes("first");
  std::filesystem::rename(folder_ / "export.safetensors", folder_ / "first.safetensors");

  Recipe noisy = recipe;
  noisy.model.noise = StackConfig{.width = 16, .expansion = 2, .kernel_frames = 3, .dilations = {1}};
  noisy.training.separation_steps = noisy.training.unquantized_steps = noisy.training.joint_steps = 0;
  noisy.training.noise_steps = 60;
  noisy.training.noise_learning_rate = 1e-2;
  noisy.training.noise_cost = 0;
  TrainOptions from_model = options("noise");
  from_model.init_model = folder_ / "first.safetensors";
  Trainer trainer(noisy, training_, validation_, from_model);
  EXPECT_EQ(trainer.total_steps(), 60);
  std::vector<double> losses;
  for (int i = 0; i < 60; ++i) losses.push_back(trainer.step());
  const auto mean = [&](size_t begin) { return std::accumulate(&losses[begin], &losses[begin] + 10, 0.0) / 10; };
  EXPECT_LT(mean(50), 0.7 * mean(0));
  trainer.save_checkpoint();
  export_bytes("noise");

  auto before = runtime::Safetensors::open(folder_ / "first.safetensors");
  auto after = runtime::Safetensors::open(folder_ / "export.safetensors");
  int num_of_noise = 0;
  for (const std::string& name : after.tensor_names()) {
    if (name.starts_with("noise.")) {
      ++num_of_noise;
    } else {
      ASSERT_TRUE(before.contains(name)) << name;
      const runtime::Shape shape = [&] {
        for (const auto& item : Network(recipe.model)->named_parameters()) {
          if (item.key() == name) return runtime::Shape(item.value().sizes().begin(), item.value().sizes().end());
        }
        return runtime::Shape{2, 3, 32, 8};  // codebooks
      }();
      EXPECT_EQ(before.floats(name, shape), after.floats(name, shape)) << name;
    }
  }
  EXPECT_GT(num_of_noise, 5);

  // The separator alone: codes are fitted anew.
  TrainOptions from_separator = options("separator");
  from_separator.init_separator = folder_ / "first.safetensors";
  Recipe wider = recipe;
  wider.model.code_dim = 12;
  wider.training.separation_steps = 0;
  wider.training.separator_learning_rate_ratio = 0;
  Trainer fitted(wider, training_, validation_, from_separator);
  fitted.step();
  fitted.save_checkpoint();
  export_bytes("separator");
  auto wide = runtime::Safetensors::open(folder_ / "export.safetensors");
  const runtime::Shape head = {2 * 2 * recipe.model.num_bands(), recipe.model.encoder.width};
  EXPECT_EQ(wide.floats("encoder.head.weight", head), before.floats("encoder.head.weight", head));
  EXPECT_EQ(wide.floats("codebooks", {2, 3, 32, 12}).size(), 2U * 3 * 32 * 12);

  // A model of another network, and none.
  Recipe other = noisy;
  other.model.synthesis.width = 24;
  from_model.out_folder = folder_ / "other";
  EXPECT_ERROR(Trainer(other, training_, validation_, from_model), ExitCode::kModel, HasSubstr("synthesis"));
  from_model.init_model = folder_ / "none.safetensors";
  EXPECT_ERROR(Trainer(noisy, training_, validation_, from_model), ExitCode::kModel, HasSubstr("none.safetensors"));
}

// Steps of the sound phase alone, after `separation_steps` and the like of small_recipe are done.
Recipe with_sound(Recipe recipe, int64_t steps) {
  TrainConfig& t = recipe.training;
  t.sound_steps = steps;
  t.sound_learning_rate = 1e-3;
  t.discriminator_width = 4;
  t.judged_frames = 12;
  t.loss.adversarial = 0.3;
  t.loss.feature_matching = 0.5;
  t.loss.mel = 0.1;
  return recipe;
}
constexpr KindOfModel kSounding = kKinds[6];
static_assert(kSounding.noise && kSounding.envelope_dim > 0 && kSounding.costs);

TEST_F(TrainerTest, SoundTeachesTheDecoderAndLeavesTheCodes) {
  for (const KindOfModel& kind : {kSounding, kKinds[0], kKinds[1], kKinds[3]}) {
    SCOPED_TRACE(kind.name);
    const Recipe recipe = small_recipe(kind);
    const std::string name = kind.name;
    make(recipe, name)->run();
    export_bytes(name, true);
    const std::string first = folder_ / (name + ".safetensors"), second = folder_ / (name + "-sound.safetensors");
    std::filesystem::rename(folder_ / "export.safetensors", first);

    Recipe sound = with_sound(recipe, 6);
    TrainConfig& t = sound.training;
    t.separation_steps = t.unquantized_steps = t.joint_steps = t.noise_steps = 0;
    TrainOptions from_model = options(name + "-sound");
    from_model.init_model = first;
    from_model.on_log = [](int64_t, int64_t, const std::string& text) {
      EXPECT_THAT(text, testing::Not(HasSubstr("k-means"))) << "nothing is fitted";
    };
    EXPECT_EQ(Trainer(sound, training_, validation_, from_model).run(), 6);
    export_bytes(name + "-sound", true);
    std::filesystem::rename(folder_ / "export.safetensors", second);

    auto before = runtime::Safetensors::open(first), after = runtime::Safetensors::open(second);
    EXPECT_EQ(before.tensor_names(), after.tensor_names());
    for (const std::string& tensor : before.tensor_names()) {
      const auto old_values = before.floats(tensor, before.shape(tensor));
      const auto new_values = after.floats(tensor, after.shape(tensor));
      if (prior::serves_decoding_alone(tensor)) {
        // What is as small as a half's last digit may stay.
        if (old_values.size() > 100) {
          EXPECT_NE(old_values, new_values) << tensor;
        }
      } else {
        EXPECT_EQ(old_values, new_values) << tensor;
      }
    }
    runtime::ThreadPool pool(1);
    const auto song = synthetic_song(kRate);
    const auto old_model = Model::load(first), new_model = Model::load(second);
    const Segments old_codes = encode(old_model, song, {}, pool), new_codes = encode(new_model, song, {}, pool);
    ASSERT_EQ(old_codes.size(), new_codes.size());
    for (size_t s = 0; s < 2; ++s) EXPECT_EQ(codes_of(old_codes, s), codes_of(new_codes, s));
    EXPECT_NE(decode(old_model, old_codes, {}, pool), decode(new_model, new_codes, {}, pool));
  }
}

TEST_F(TrainerTest, SoundResumesAndLogsItsTerms) {
  const Recipe recipe = with_sound(small_recipe(kSounding), 4);  // steps 10 to 13
  std::vector<uint64_t> losses;
  const auto whole = make(recipe, "whole");
  EXPECT_EQ(whole->total_steps(), 14);
  for (int i = 0; i < 14; ++i) losses.push_back(std::bit_cast<uint64_t>(whole->step()));
  whole->save_checkpoint();
  const std::string model = export_bytes("whole");
  for (const int interrupt : {9, 12}) {
    const std::string folder = "cut" + std::to_string(interrupt);
    for (int begin = 0, end = interrupt; begin < 14; begin = end, end = 14) {
      const auto trainer = make(recipe, folder);
      EXPECT_EQ(trainer->current_step(), begin);
      for (int i = begin; i < end; ++i) {
        EXPECT_EQ(std::bit_cast<uint64_t>(trainer->step()), losses[static_cast<size_t>(i)]) << "step " << i;
      }
      trainer->save_checkpoint();
    }
    EXPECT_TRUE(export_bytes(folder) == model) << "interrupted after " << interrupt;
  }
  make(recipe, "log")->run();
  const auto log = log_of("log");
  const json& last =
      *std::find_if(log.rbegin(), log.rend(), [](const json& line) { return line["kind"] == "training"; });
  for (const char* key : {"loss", "decoded_sources", "decoded_mixture", "select", "adversarial", "feature_matching",
                          "mel", "discriminator", "discriminator_accuracy"}) {
    ASSERT_TRUE(last.contains(key)) << key;
    EXPECT_TRUE(std::isfinite(last[key].get<double>())) << key;
  }
  EXPECT_FALSE(last.contains("commitment"));
  EXPECT_GE(last["discriminator_accuracy"].get<double>(), 0);
  EXPECT_LE(last["discriminator_accuracy"].get<double>(), 1);
}

TEST_F(TrainerTest, SoundLowersTheMelDistance) {
  Recipe recipe = with_sound(small_recipe(kKinds[4]), 40);
  recipe.training.sound_learning_rate = 5e-3;
  recipe.training.loss = {
      .select = 0, .complement = 0, .select_stft = 0, .complement_stft = 0, .decoded_sources = 0.1, .mel = 1};
  recipe.training.loss.separation = 1;
  const auto trainer = make(recipe, "run");
  std::vector<double> losses;
  for (int i = 0; i < 50; ++i) losses.push_back(trainer->step());
  const auto mean = [&](size_t begin) { return std::accumulate(&losses[begin], &losses[begin] + 10, 0.0) / 10; };
  EXPECT_LT(mean(40), 0.9 * mean(10));
  // Without any term of its own there is no discriminator, and a checkpoint without one is whole.
  recipe.training.loss.mel = 0;
  const auto plain = make(recipe, "plain");
  for (int i = 0; i < 11; ++i) plain->step();
  plain->save_checkpoint();
  EXPECT_EQ(make(recipe, "plain")->current_step(), 11);
}

TEST_F(TrainerTest, AModelGrowsByCodebooksAndAnEnvelope) {
  const Recipe recipe = small_recipe(EncoderKind::kMasks, QuantizerKind::kResidual);
  make(recipe, "first")->run();
  export_bytes("first");
  std::filesystem::rename(folder_ / "export.safetensors", folder_ / "first.safetensors");
  auto first = runtime::Safetensors::open(folder_ / "first.safetensors");
  const std::vector<float> first_entries = first.floats("codebooks", {2, 3, 32, 8});

  // The file's three codebooks, the envelope's between the first and the second, one more at the end. Nothing moves in one
  // step at a rate of 0 with averages that hardly move.
  Recipe larger = recipe;
  larger.model.noise = StackConfig{.width = 16, .expansion = 2, .kernel_frames = 3, .dilations = {1}};
  larger.model.noise_begin_bin = 20;
  larger.model.envelope_dim = 3;
  larger.model.envelope_codebook = 1;
  larger.model.code_costs = true;
  larger.model.code_dim = 11;
  larger.model.num_codebooks = 5;
  larger.training.separation_steps = larger.training.unquantized_steps = 0;
  larger.training.learning_rate = 0;
  larger.training.dead_entry_share = 0;
  larger.training.codebook_decay = 0.999999;
  larger.training.loss.envelope = 0.1;
  TrainOptions grown_options = options("grown");
  grown_options.init_model = folder_ / "first.safetensors";
  Trainer grown(larger, training_, validation_, grown_options);
  grown.step();
  grown.save_checkpoint();
  export_bytes("grown");
  auto file = runtime::Safetensors::open(folder_ / "export.safetensors");
  for (const std::string name : {"encoder.head.weight", "synthesis.head.weight", "analysis.in_layer.weight"}) {
    EXPECT_EQ(file.floats(name, file.shape(name)), first.floats(name, first.shape(name))) << name;
  }
  const std::vector<float> all = read_codebooks(file, larger.model);
  const auto entries_of = [](const std::vector<float>& tables, int64_t num_codebooks, int64_t dim, int64_t s,
                             int64_t h) {
    std::vector<std::vector<float>> entries;
    for (int64_t j = 0; j < 32; ++j) {
      const auto at = tables.begin() + ((s * num_codebooks + h) * 32 + j) * dim;
      entries.emplace_back(at, at + dim);
      entries.back().resize(11, 0);
    }
    std::ranges::sort(entries);  // exports put them in order of use
    return entries;
  };
  const int64_t place[] = {0, 2, 3};
  for (int64_t s = 0; s < 2; ++s) {
    for (int64_t h = 0; h < 3; ++h) {
      const auto expected = entries_of(first_entries, 3, 8, s, h), found = entries_of(all, 5, 11, s, place[h]);
      for (size_t j = 0; j < 32; ++j) EXPECT_THAT(found[j], testing::Pointwise(testing::FloatNear(1e-3F), expected[j]));
    }
    // New ones are fitted.
    for (const int64_t h : {1, 4}) {
      const auto entries = entries_of(all, 5, 11, s, h);
      EXPECT_GT(std::set(entries.begin(), entries.end()).size(), 8U) << "source " << s << " codebook " << h;
    }
  }
  // It grows again, and the envelope stays as it is, also when the run stops among its separation steps and goes on.
  Recipe largest = larger;
  largest.model.num_codebooks = 6;
  largest.training.separation_steps = 2;
  largest.training.separation_learning_rate = 0;
  std::filesystem::rename(folder_ / "export.safetensors", folder_ / "second.safetensors");
  grown_options = options("again");
  grown_options.init_model = folder_ / "second.safetensors";
  for (int i = 0; i < 3; ++i) {
    Trainer again(largest, training_, validation_, grown_options);
    EXPECT_EQ(again.current_step(), i);
    again.step();
    again.save_checkpoint();
  }
  export_bytes("again");
  auto third = runtime::Safetensors::open(folder_ / "export.safetensors");
  for (const std::string name : {"envelope_basis", "noise_bias", "synthesis_basis"}) {
    EXPECT_EQ(third.floats(name, third.shape(name)), file.floats(name, file.shape(name))) << name;
  }
  // Fewer codebooks, or another width, is another network.
  for (int wrong = 0; wrong < 2; ++wrong) {
    Recipe other = larger;
    (wrong == 0 ? other.model.num_codebooks : other.model.synthesis.width) -= wrong == 0 ? 3 : 8;
    grown_options.out_folder = folder_ / ("other" + std::to_string(wrong));
    EXPECT_ERROR(Trainer(other, training_, validation_, grown_options), ExitCode::kModel,
                 HasSubstr(wrong == 0 ? "has 5 codebooks" : "expected F32"));
  }
}

// The codes of one model go on with the separator of another, whose network is another.
TEST_F(TrainerTest, AModelTakesAnotherSeparatorAndKeepsTheMeaningOfItsCodes) {
  Recipe first = small_recipe(kSounding);
  first.model.unet.reset();
  make(first, "first")->run();
  export_bytes("first");
  std::filesystem::rename(folder_ / "export.safetensors", folder_ / "first.safetensors");
  Recipe separator = small_recipe(EncoderKind::kMasks, QuantizerKind::kResidual);
  separator.model.unet = UNetConfig{.channels = {6, 10}, .strides = {2, 2}, .blocks = 1};
  separator.model.code_dim = 4;
  separator.training.unquantized_steps = 0;
  separator.training.joint_steps = 0;
  make(separator, "separator")->run();
  export_bytes("separator");
  std::filesystem::rename(folder_ / "export.safetensors", folder_ / "separator.safetensors");

  Recipe both = first;
  both.model.unet = separator.model.unet;
  TrainConfig& t = both.training;
  t.separation_steps = t.unquantized_steps = t.noise_steps = 0;
  t.joint_steps = 3;
  t.codebook_decay = 1;
  t.decoder_learning_rate_ratio = 0;
  t.rate_weight = t.envelope_rate_weight = 0;
  const auto tensors_after = [&](double separator_ratio, const std::string& folder) {
    both.training.separator_learning_rate_ratio = separator_ratio;
    TrainOptions from = options(folder);
    from.init_model = folder_ / "first.safetensors";
    from.init_separator = folder_ / "separator.safetensors";
    Trainer(both, training_, validation_, from).run();
    export_bytes(folder);
    return tensors_of(folder_ / "export.safetensors");
  };
  const auto model = tensors_of(folder_ / "first.safetensors");
  const auto masks = tensors_of(folder_ / "separator.safetensors");
  for (const double ratio : {0.0, 0.5}) {
    const auto result = tensors_after(ratio, ratio == 0 ? "stays" : "learns");
    int num_learnt = 0;
    for (const auto& [name, values] : result) {
      if (name.starts_with("encoder.")) {
        ASSERT_TRUE(masks.contains(name)) << name;
        if (ratio == 0) {
          EXPECT_EQ(values, masks.at(name)) << name;
        } else if (values != masks.at(name)) {
          ++num_learnt;
        }
      } else if (name.starts_with("analysis") || name.starts_with("envelope_")) {
        num_learnt += values != model.at(name) ? 1 : 0;
      } else {
        EXPECT_EQ(values, model.at(name)) << name;
      }
    }
    EXPECT_GT(num_learnt, ratio == 0 ? 3 : 20);
  }
}

TEST_F(TrainerTest, ASeparatorAtRateZeroStaysAsItIs) {
  Recipe recipe = small_recipe(EncoderKind::kMasks, QuantizerKind::kResidual);
  recipe.training.separator_learning_rate_ratio = 0;
  const auto head_after = [&](int64_t steps, const std::string& folder) {
    const auto trainer = make(recipe, folder);
    while (trainer->current_step() < steps) trainer->step();
    trainer->save_checkpoint();
    export_bytes(folder);
    auto file = runtime::Safetensors::open(folder_ / "export.safetensors");
    std::pair<std::vector<float>, std::vector<float>> result;
    result.first = file.floats("encoder.head.weight", file.shape("encoder.head.weight"));
    result.second = file.floats("synthesis.head.weight", file.shape("synthesis.head.weight"));
    return result;
  };
  const auto [separator, synthesis] = head_after(recipe.training.separation_steps, "separated");
  const auto [later_separator, later_synthesis] = head_after(10, "whole");
  EXPECT_EQ(separator, later_separator);
  EXPECT_NE(synthesis, later_synthesis);
}

TEST_F(TrainerTest, NoiseTermsCountLevelsAndWhatTheyCost) {
  const std::vector<int> edges = {16, 24, 64};
  const Tensor sources = torch::zeros({1, 2, 8, 2, 64});
  sources.select(1, 0).narrow(-1, 16, 48).fill_(0.1);
  const Tensor energy = sources.square().sum({1, 3, 4});
  Tensor amplitudes = torch::zeros({1, 2, 8, 2, 2});
  const NoiseTerms none = noise_terms(torch::zeros_like(sources), sources, amplitudes, edges, energy, 4);
  // The target against the floor 40 dB below it, for one of two sources, and for the sum.
  EXPECT_NEAR(none.envelope.item<double>(), 0.5 * (0.5 * 40 + 40), 0.01);
  EXPECT_NEAR(none.sdr_loss.item<double>(), 0, 1e-9);
  amplitudes.select(1, 0).fill_(0.1);
  const NoiseTerms right = noise_terms(torch::zeros_like(sources), sources, amplitudes, edges, energy, 4);
  EXPECT_NEAR(right.envelope.item<double>(), 0, 1e-3);
  // The error is the whole target; noise of its level doubles it.
  EXPECT_NEAR(right.sdr_loss.item<double>(), 0.5 * (0.5 * 3.01 + 3.01), 0.02);
  const NoiseTerms done = noise_terms(sources, sources, amplitudes, edges, energy, 4);
  EXPECT_NEAR(done.envelope.item<double>(), 0.5 * (0.5 * 3.01 + 3.01), 0.01);
}

TEST_F(TrainerTest, AStopIsACheckpoint) {
  const Recipe recipe = small_recipe(EncoderKind::kMasks, QuantizerKind::kResidual);
  const std::atomic<bool> stop{true};
  TrainOptions run = options("run");
  run.stop = &stop;
  EXPECT_EQ(Trainer(recipe, training_, validation_, run).run(), 1);
  run.stop = nullptr;
  run.max_minutes = 1e-9;
  EXPECT_EQ(Trainer(recipe, training_, validation_, run).run(), 2);
  EXPECT_EQ(make(recipe, "run")->current_step(), 2);
}

TEST_F(TrainerTest, DamagedAndForeignCheckpointsAreRefused) {
  const Recipe recipe = small_recipe(EncoderKind::kDirect, QuantizerKind::kResidual);
  const std::string path = folder_ / "run/checkpoint.pt";
  {
    const auto trainer = make(recipe, "run");
    trainer->step();
    trainer->save_checkpoint();
  }
  const std::string whole = read_bytes(path);
  EXPECT_EQ(to_json(checkpoint_recipe(path)), to_json(recipe));
  EXPECT_EQ(checkpoint_recipe(path).name, "small");
  const auto expect_refused = [&] {
    EXPECT_ERROR(make(recipe, "run"), ExitCode::kBadFile, HasSubstr(path));
    EXPECT_ERROR(export_checkpoint(path, folder_ / "m.safetensors", {}), ExitCode::kBadFile, HasSubstr(path));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "m.safetensors"));
  };
  for (const size_t size : {size_t{0}, size_t{1}, size_t{100}, whole.size() / 2, whole.size() - 1}) {
    SCOPED_TRACE(size);
    write_bytes(path, whole.substr(0, size));
    expect_refused();
  }
  write_bytes(path, std::string(whole.size(), 'x'));
  expect_refused();
  {  // a whole archive of something else
    torch::serialize::OutputArchive archive;
    archive.write("weights", torch::ones({3}));
    archive.save_to(path);
  }
  expect_refused();
  {  // the recipe of ours, without the network
    torch::serialize::OutputArchive archive;
    archive.write("recipe", c10::IValue(to_json(recipe).dump()));
    archive.write("name", c10::IValue("small"));
    archive.save_to(path);
  }
  expect_refused();
  EXPECT_ERROR(checkpoint_recipe(folder_ / "none.pt"), ExitCode::kIo, HasSubstr("none.pt"));
  write_bytes(path, whole);
  Recipe other = recipe;
  other.training.learning_rate = 0.5;
  EXPECT_ERROR(make(other, "run"), ExitCode::kBadFile,
               AllOf(HasSubstr("another recipe (small)"), HasSubstr("learning_rate")));
  EXPECT_EQ(make(recipe, "run")->current_step(), 1);
}

TEST_F(TrainerTest, ACheckpointThatCannotBeWrittenLeavesTheOldOne) {
  const Recipe recipe = small_recipe(EncoderKind::kDirect, QuantizerKind::kResidual);
  const auto trainer = make(recipe, "run");
  trainer->step();
  trainer->save_checkpoint();
  const std::string before = read_bytes(folder_ / "run/checkpoint.pt");
  const auto expect_no_temporary_file = [&] {
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / "run")) {
      EXPECT_FALSE(entry.path().string().ends_with(".tmp")) << entry.path();
    }
  };
  expect_no_temporary_file();
  trainer->step();
  // As on a full disk: no file may grow beyond a quarter of the checkpoint.
  rlimit before_limit{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before_limit), 0);
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{before.size() / 4, before_limit.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  EXPECT_ERROR(trainer->save_checkpoint(), ExitCode::kIo, HasSubstr("checkpoint.pt"));
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before_limit), 0);
  EXPECT_TRUE(read_bytes(folder_ / "run/checkpoint.pt") == before);
  expect_no_temporary_file();
  trainer->save_checkpoint();
  EXPECT_EQ(make(recipe, "run")->current_step(), 2);
}

TEST_F(TrainerTest, BadOptionsAreRefused) {
  const Recipe recipe = small_recipe(EncoderKind::kDirect, QuantizerKind::kResidual);
  if (!torch::cuda::is_available()) {
    TrainOptions cuda = options("cuda");
    cuda.use_cuda = true;
    EXPECT_ERROR(Trainer(recipe, training_, validation_, cuda), ExitCode::kUsage, HasSubstr("--device cpu"));
  }
  write_bytes(folder_ / "file", "x");
  EXPECT_ERROR(make(recipe, "file/run"), ExitCode::kIo, HasSubstr("file/run"));
  training_[0].songs[0].active_frames[1].clear();
  training_[0].songs[1].active_frames[1].clear();
  EXPECT_ERROR(make(recipe, "silent"), ExitCode::kBadFile, HasSubstr("sounds in no song"));
}

TEST_F(TrainerTest, ShippedRecipesTrainAtReducedSize) {
  const char* root = std::getenv("VQCODEC_SOURCE_DIR");
  ASSERT_NE(root, nullptr);
  training_ = {{{test_song("a", 3 * kRate, 4, 1)}, 1.0}};
  validation_ = {test_song("v", 2 * kRate, 4, 20)};
  // Recipes that go on with a model and name none are for networks like the default one.
  const ModelConfig base = load_recipe(std::string(root) + "/configs/default.json").model;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(root) + "/configs")) {
    // Layouts, splits, what training data is made of, and recipes of priors.
    const std::string file = entry.path().filename().string();
    if (entry.is_directory() || file.starts_with("data-") || file.starts_with("prior")) continue;
    SCOPED_TRACE(entry.path().string());
    Recipe recipe = load_recipe(entry.path().string(), &base);
    const ModelConfig tiny = tiny_config();
    ModelConfig& model = recipe.model;
    model.sample_rate_hz = kRate;
    model.hop_samples = tiny.hop_samples;
    model.num_fine_bins = tiny.num_fine_bins;
    model.coarse_bins = tiny.coarse_bins;
    model.num_code_bins = tiny.num_code_bins;
    model.codebook_size = tiny.codebook_size;
    model.code_dim = tiny.code_dim;
    model.envelope_dim = std::min(model.envelope_dim, 2);
    if (model.noise) model.noise->width = 16;
    if (model.unet) model.unet = UNetConfig{.channels = {4, 4}, .strides = {2, 1}, .blocks = 1};
    for (StackConfig* stack : {&model.encoder, &model.analysis, &model.synthesis}) stack->width = 16;
    TrainConfig& t = recipe.training;
    t.separation_steps = std::min<int64_t>(t.separation_steps, 1);
    t.unquantized_steps = std::min<int64_t>(t.unquantized_steps, 1);
    t.joint_steps = 2;
    t.noise_steps = std::min<int64_t>(t.noise_steps, 1);
    t.sound_steps = std::min<int64_t>(t.sound_steps, 2);
    t.judged_frames = std::min(t.judged_frames, 12);
    t.batch_size = 2;
    t.crop_frames = 16;
    t.fit_items = 2;
    t.log_every = 1;
    const std::string name = entry.path().stem().string();
    EXPECT_EQ(make(recipe, name)->run(), t.separation_steps + t.unquantized_steps + 2 + t.noise_steps + t.sound_steps);
    for (const json& line : log_of(name)) {
      if (line["kind"] == "training") {
        EXPECT_TRUE(line["loss"].is_number()) << line;
      }
    }
    EXPECT_NO_THROW(export_bytes(name, true));
  }
}

TEST_F(TrainerTest, Bfloat16TrainsToSimilarLosses) {
  const Recipe recipe = small_recipe(EncoderKind::kMasks, QuantizerKind::kResidual);
  const auto whole = make(recipe, "float32");
  TrainOptions half = options("bfloat16");
  half.precision = Precision::kBfloat16;
  Trainer trainer(recipe, training_, validation_, half);
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(trainer.step(), whole->step(), 0.02) << "step " << i;
  for (int i = 3; i < 10; ++i) EXPECT_TRUE(std::isfinite(trainer.step()));
}

}  // namespace
}  // namespace vqcodec::vqvae::train
