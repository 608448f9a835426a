#include "vqvae/train/torch.h"

#include "prior/train/trainer.h"

#include <cmath>
#include <filesystem>
#include <numeric>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "prior/predictor.h"
#include "runtime/sha256.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_dir.h"
#include "tests/vqvae/codec_test_util.h"

namespace vqcodec::prior::train {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

constexpr int kCodebooks = 3, kSize = 32, kSegmentFrames = 64;

// Codes with something to learn: a source repeats a bar of 8 frames of its own through each segment, the second codebook
// follows from the first, the third is noise; source 1 is source 0 a code higher.
CodeSet made_codes(int num_songs, uint64_t seed, const std::string& model_id) {
  CodeSet set{{model_id, {"bass", "drums"}, kCodebooks, kSize, kSegmentFrames, 8000, 256}, {}};
  for (int i = 0; i < num_songs; ++i) {
    dataset::CounterRandom random(seed, static_cast<uint64_t>(i), 0);
    CodeSong song{.name = "song" + std::to_string(i), .num_frames = 2 * kSegmentFrames + 10};
    song.codes.resize(static_cast<size_t>(2 * song.num_frames * kCodebooks));
    song.gains.assign(6, 50);
    std::array<uint16_t, 8> bar{};
    for (uint16_t& code : bar) code = static_cast<uint16_t>(random.below(kSize));
    for (int64_t t = 0; t < song.num_frames; ++t) {
      for (int64_t s = 0; s < 2; ++s) {
        uint16_t* codes = song.codes.data() + (s * song.num_frames + t) * kCodebooks;
        codes[0] = static_cast<uint16_t>((bar[static_cast<size_t>(t) % 8] + s) % kSize);
        codes[1] = static_cast<uint16_t>((codes[0] * 5 + 3) % kSize);
        codes[2] = static_cast<uint16_t>(random.below(kSize));
      }
    }
    set.songs.push_back(std::move(song));
  }
  return set;
}

Recipe small_recipe(int64_t steps) {
  Recipe recipe;
  recipe.name = "small";
  recipe.prior = {{"embedding_dim", 16}, {"width", 32},         {"num_heads", 2},    {"num_layers", 2},
                  {"mlp_ratio", 2},      {"window_frames", 32}, {"frame_width", 32}, {"lookahead_frames", 2}};
  TrainConfig& t = recipe.training;
  t.steps = steps;
  t.batch_size = 4;
  t.crop_frames = 48;
  t.learning_rate = 5e-3;
  t.warmup_steps = 5;
  t.log_every = 5;
  t.validate_every = 10;
  t.checkpoint_every = 7;
  return recipe;
}

class PriorTrainerTest : public testing::Test {
 protected:
  PriorTrainerTest() { torch::set_num_threads(1); }
  std::unique_ptr<Trainer> make(const Recipe& recipe, const std::string& folder, int num_songs = 40) {
    return std::make_unique<Trainer>(recipe, std::vector<WeightedCodes>{{made_codes(num_songs, 1, id_), 1}},
                                     std::vector<CodeSet>{made_codes(3, 99, id_)},
                                     TrainOptions{{.out_folder = dir_ / folder, .num_threads = 1}});
  }
  std::shared_ptr<const Model> exported(const std::string& folder) {
    export_checkpoint(dir_ / (folder + "/checkpoint.pt"), dir_ / "prior.safetensors", {.half = false, .force = true});
    return Model::load(dir_ / "prior.safetensors");
  }
  TempDir dir_;
  std::string id_ = std::string(64, 'a');
};

TEST_F(PriorTrainerTest, LearnsWhatThereIsToLearnAndNoMore) {
  auto trainer = make(small_recipe(600), "run");
  const std::vector<CodeCost> before = trainer->validate(false);
  EXPECT_NEAR(before[0].prior_bits[0], 5, 0.3);
  trainer->run();
  const std::vector<CodeCost> after = trainer->validate(false), given = trainer->validate(true);
  for (size_t s = 0; s < 2; ++s) {
    SCOPED_TRACE(s);
    EXPECT_EQ(after[s].num_frames, 3 * (2 * kSegmentFrames + 10));
    // The bar has to be heard once in a segment of 64 frames.
    EXPECT_LT(after[s].prior_bits[0], 3.5);
    EXPECT_LT(after[s].prior_bits[1], 0.3);
    EXPECT_GT(after[s].prior_bits[2], 4.9);
    EXPECT_LT(given[s].prior_bits[0], 1.0);
    EXPECT_GT(after[s].adaptive_bits[2], 4.5);
  }
}

TEST_F(PriorTrainerTest, TheRuntimeFindsTheSameBits) {
  auto trainer = make(small_recipe(40), "run");
  trainer->run();
  const std::vector<CodeCost> costs = trainer->validate(false);
  const auto model = exported("run");
  EXPECT_EQ(model->config().model_id, id_);
  EXPECT_EQ(model->config().sources, (std::vector<std::string>{"bass", "drums"}));
  const CodeSet set = made_codes(3, 99, id_);
  runtime::ThreadPool pool(1);
  for (int s = 0; s < 2; ++s) {
    std::vector<Segment> segments;
    for (const CodeSong& song : set.songs) {
      for (int64_t begin = 0; begin < song.num_frames; begin += kSegmentFrames) {
        const int64_t frames = std::min<int64_t>(kSegmentFrames, song.num_frames - begin);
        segments.push_back({s,
                            kCodebooks,
                            std::span(song.codes)
                                .subspan(static_cast<size_t>((s * song.num_frames + begin) * kCodebooks),
                                         static_cast<size_t>(frames * kCodebooks)),
                            {}});
      }
    }
    double bits = 0;
    for (const auto& segment : count_codes(*model, segments, 24, pool)) {
      for (const CodeCounts& counts : segment) bits += 24 - std::log2(static_cast<double>(counts.freq));
    }
    const CodeCost& cost = costs[static_cast<size_t>(s)];
    const double expected =
        std::accumulate(cost.prior_bits.begin(), cost.prior_bits.end(), 0.0) * static_cast<double>(cost.num_frames);
    EXPECT_NEAR(bits, expected, 1e-3 * expected);
  }
}

TEST_F(PriorTrainerTest, AnInterruptedRunGoesOnWithTheSameLosses) {
  const Recipe recipe = small_recipe(12);
  std::vector<double> losses;
  {
    auto trainer = make(recipe, "whole");
    for (int i = 0; i < 12; ++i) losses.push_back(trainer->step());
  }
  {
    auto trainer = make(recipe, "cut");
    for (size_t i = 0; i < 5; ++i) EXPECT_EQ(trainer->step(), losses[i]);
    trainer->save_checkpoint();
  }
  auto trainer = make(recipe, "cut");
  EXPECT_EQ(trainer->current_step(), 5);
  for (size_t i = 5; i < 12; ++i) EXPECT_EQ(trainer->step(), losses[i]);
}

TEST_F(PriorTrainerTest, ANewRunCanBeginWithAPrior) {
  auto first = make(small_recipe(30), "first");
  first->run();
  exported("first");
  const std::vector<CodeCost> wanted = first->validate(true);
  const auto begin = [&](const Recipe& recipe, const std::string& folder, const std::string& prior) {
    return std::make_unique<Trainer>(recipe, std::vector<WeightedCodes>{{made_codes(40, 1, id_), 1}},
                                     std::vector<CodeSet>{made_codes(3, 99, id_)},
                                     TrainOptions{{.out_folder = dir_ / folder, .num_threads = 1}, nullptr, prior});
  };
  const std::string prior = dir_ / "prior.safetensors";
  auto second = begin(small_recipe(12), "second", prior);
  EXPECT_EQ(second->current_step(), 0);
  const std::vector<CodeCost> found = second->validate(true);
  for (size_t s = 0; s < 2; ++s) EXPECT_EQ(found[s].prior_bits, wanted[s].prior_bits);
  EXPECT_NE(make(small_recipe(12), "third")->validate(true)[0].prior_bits, wanted[0].prior_bits);
  // A run that is there goes on from its checkpoint.
  second->run();
  const std::vector<CodeCost> later = second->validate(true);
  const auto resumed = begin(small_recipe(12), "second", prior);
  EXPECT_EQ(resumed->current_step(), 12);
  EXPECT_EQ(resumed->validate(true)[0].prior_bits, later[0].prior_bits);

  Recipe wider = small_recipe(12);
  wider.prior["width"] = 64;
  EXPECT_ERROR(begin(wider, "a", prior), ExitCode::kModel, HasSubstr("width"));
  EXPECT_ERROR(begin(small_recipe(12), "b", dir_ / "none.safetensors"), ExitCode::kModel, HasSubstr("no such prior"));
  // The codes of another model, which here are the same, are learnt from there.
  id_ = std::string(64, 'b');
  const auto other = begin(small_recipe(1), "c", prior);
  EXPECT_EQ(other->validate(true)[0].prior_bits, wanted[0].prior_bits);
  other->run();
  EXPECT_EQ(exported("c")->config().model_id, id_);
}

TEST_F(PriorTrainerTest, LogsAndStopsWithACheckpoint) {
  std::atomic<bool> stop{false};
  std::vector<std::string> lines;
  TrainOptions options{{.out_folder = dir_ / "run", .num_threads = 1, .stop = &stop}};
  options.on_log = [&](int64_t step, int64_t total, const std::string& text) {
    EXPECT_EQ(total, 100);
    lines.push_back(text);
    if (step >= 10) stop = true;
  };
  Trainer trainer(small_recipe(100), {{made_codes(10, 1, id_), 1}}, {made_codes(2, 99, id_)}, options);
  EXPECT_EQ(trainer.run(), 10);
  EXPECT_TRUE(is_prior_checkpoint(dir_ / "run/checkpoint.pt"));
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_THAT(lines[0], testing::AllOf(HasSubstr("bits_bass"), HasSubstr("frames_per_second")));
  EXPECT_THAT(lines[2], testing::AllOf(HasSubstr("validation: "), HasSubstr("bass_saved_percent"),
                                       HasSubstr("given_saved_percent"), HasSubstr("adaptive_saved_percent")));
  std::istringstream log(read_bytes(dir_ / "run/log.jsonl"));
  std::string line, last;
  while (std::getline(log, line)) last = line;
  EXPECT_EQ(json::parse(last)["kind"], "validation");
  EXPECT_TRUE(json::parse(last).contains("drums_bits_2"));
}

TEST_F(PriorTrainerTest, TablesBeginWithTheModelsEntries) {
  vqvae::ModelConfig config = vqvae::tiny_config();
  config.sources = {"bass", "drums"};
  const auto model = vqvae::load_model(config);
  const std::string id = runtime::to_hex(model->id());
  Recipe recipe = small_recipe(1);
  recipe.prior["embedding_dim"] = 8;
  recipe.training.learning_rate = 0;
  TrainOptions options{{.out_folder = dir_ / "run", .num_threads = 1}, model};
  Trainer(recipe, {{made_codes(10, 1, id), 1}}, {}, options).run();
  const auto prior = exported("run");
  double dot = 0, ours = 0, theirs = 0;
  for (int c = 0; c < kSize; ++c) {
    for (int d = 0; d < 8; ++d) {
      const double a = prior->embedding(1, 2, c)[d], b = model->source(1).entries[2][static_cast<size_t>(c * 8 + d)];
      dot += a * b;
      ours += a * a;
      theirs += b * b;
    }
  }
  EXPECT_NEAR(dot / std::sqrt(ours * theirs), 1, 1e-6);
  // Codes of another model.
  options.out_folder = dir_ / "other";
  EXPECT_ERROR(Trainer(recipe, {{made_codes(10, 1, id_), 1}}, {}, options), ExitCode::kModel,
               HasSubstr("codes are of"));
}

TEST_F(PriorTrainerTest, SmallerTablesBeginWithTheBestProjectionOfTheEntries) {
  vqvae::ModelConfig config = vqvae::tiny_config();
  config.sources = {"bass", "drums"};
  const auto model = vqvae::load_model(config);
  Recipe recipe = small_recipe(1);
  recipe.prior["embedding_dim"] = 4;
  recipe.training.learning_rate = 0;
  TrainOptions options{{.out_folder = dir_ / "run", .num_threads = 1}, model};
  Trainer(recipe, {{made_codes(10, 1, runtime::to_hex(model->id())), 1}}, {}, options).run();
  const auto prior = exported("run");
  // Products of pairs of entries, as the tables have them, against the whole ones: 4 of 8 dimensions of entries whose values
  // are all alike hold about half of the energy, and the best 4 a little more. The tables have a scale of their own.
  double ours = 0, whole = 0, both = 0, ours_energy = 0, whole_energy = 0;
  for (int a = 0; a < kSize; ++a) {
    for (int b = 0; b < kSize; ++b) {
      double in_table = 0, in_model = 0;
      for (int d = 0; d < 4; ++d) in_table += prior->embedding(1, 0, a)[d] * prior->embedding(1, 0, b)[d];
      for (int d = 0; d < 8; ++d) {
        in_model += model->source(1).entries[0][static_cast<size_t>(a * 8 + d)] *
                    model->source(1).entries[0][static_cast<size_t>(b * 8 + d)];
      }
      ours += in_table * in_table;
      whole += in_model * in_model;
      both += in_table * in_model;
      if (a == b) {
        ours_energy += in_table;
        whole_energy += in_model;
      }
    }
  }
  EXPECT_GT(ours_energy, 0);
  EXPECT_GT(whole_energy, 0);
  EXPECT_GT(both / std::sqrt(ours * whole), 0.7);
}

TEST_F(PriorTrainerTest, Bfloat16LearnsAsWell) {
  Recipe recipe = small_recipe(2);
  const auto bits_after = [&](vqvae::train::Precision precision, const std::string& folder) {
    TrainOptions options{{.out_folder = dir_ / folder, .num_threads = 1}};
    options.precision = precision;
    Trainer trainer(recipe, {{made_codes(40, 1, id_), 1}}, {made_codes(3, 99, id_)}, options);
    trainer.run();
    const CodeCost cost = trainer.validate(false)[0];
    return std::accumulate(cost.prior_bits.begin(), cost.prior_bits.end(), 0.0);
  };
  const double full = bits_after(vqvae::train::Precision::kFloat32, "full");
  const double half = bits_after(vqvae::train::Precision::kBfloat16, "half");
  EXPECT_NE(half, full);
  EXPECT_NEAR(half, full, 0.03 * full);
}

TEST_F(PriorTrainerTest, SilentSegmentsAreNeitherLearnedNorCounted) {
  CodeSet set = made_codes(6, 1, id_), valid = made_codes(2, 9, id_);
  for (CodeSong& song : valid.songs) song.gains = {0, 50, 50, 0, 0, 0};
  Trainer trainer(small_recipe(2), {{set, 1}}, {valid}, {{.out_folder = dir_ / "run", .num_threads = 1}});
  trainer.run();
  const auto costs = trainer.validate(true);
  EXPECT_EQ(costs[0].num_frames, 2 * (kSegmentFrames + 10));
  EXPECT_EQ(costs[1].num_frames, 0);
  for (CodeSong& song : set.songs) song.gains = {50, 50, 50, 0, 0, 0};
  EXPECT_ERROR(Trainer(small_recipe(2), {{set, 1}}, {}, {{.out_folder = dir_ / "none", .num_threads = 1}}),
               ExitCode::kBadFile, HasSubstr("drums: no segment"));
}

TEST_F(PriorTrainerTest, WhatDoesNotFitIsRefused) {
  const Recipe recipe = small_recipe(2);
  make(recipe, "run")->run();
  Recipe other = recipe;
  other.training.learning_rate = 1;
  EXPECT_ERROR(make(other, "run"), ExitCode::kBadFile, HasSubstr("another recipe"));
  EXPECT_ERROR(Trainer(recipe, {{made_codes(4, 1, id_), 1}, {made_codes(4, 1, std::string(64, 'b')), 1}}, {},
                       {{.out_folder = dir_ / "x"}}),
               ExitCode::kBadFile, HasSubstr("unlike models"));
  EXPECT_ERROR(Trainer(recipe, {}, {}, {{.out_folder = dir_ / "x"}}), ExitCode::kUsage, HasSubstr("no codes"));
  const std::string whole = read_bytes(dir_ / "run/checkpoint.pt");
  write_bytes(dir_ / "cut.pt", whole.substr(0, whole.size() / 2));
  EXPECT_ERROR(export_checkpoint(dir_ / "cut.pt", dir_ / "p.safetensors", {}), ExitCode::kBadFile,
               HasSubstr("not a checkpoint"));
  EXPECT_ERROR(export_checkpoint(dir_ / "none.pt", dir_ / "p.safetensors", {}), ExitCode::kIo, HasSubstr("none.pt"));
  export_checkpoint(dir_ / "run/checkpoint.pt", dir_ / "p.safetensors", {});
  EXPECT_ERROR(export_checkpoint(dir_ / "run/checkpoint.pt", dir_ / "p.safetensors", {}), ExitCode::kUsage,
               HasSubstr("--force"));
}

TEST(PriorRecipe, IsReadWrittenAndChecked) {
  const char* root = std::getenv("VQCODEC_SOURCE_DIR");
  ASSERT_NE(root, nullptr);
  const Recipe shipped = load_recipe(std::string(root) + "/configs/prior.json");
  EXPECT_EQ(to_json(parse_recipe(to_json(shipped), "prior", "again")), to_json(shipped));
  EXPECT_EQ(load_recipe(std::string(root) + "/configs/prior-more.json").prior, shipped.prior);
  const Config config = config_for(shipped, made_codes(0, 1, std::string(64, 'c')).info);
  EXPECT_EQ(config.num_codebooks, kCodebooks);
  EXPECT_EQ(config.model_id, std::string(64, 'c'));
  const auto error_of = [&](const json& object) -> std::string {
    try {
      parse_recipe(object, "r", "r.json");
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kBadFile);
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(error_of(json::object()), "");
  EXPECT_THAT(error_of({{"prior", {{"width", 1}}}}), HasSubstr("\"width\""));
  EXPECT_THAT(error_of({{"prior", {{"model_id", "x"}}}}), HasSubstr("not for a recipe to say"));
  EXPECT_THAT(error_of({{"prior", {{"depth", 1}}}}), HasSubstr("unknown key \"depth\""));
  EXPECT_THAT(error_of({{"training", {{"step", 1}}}}), HasSubstr("unknown key \"step\""));
  for (const auto& [key, value] : to_json(shipped)["training"].items()) {
    EXPECT_THAT(error_of({{"training", {{key, -1}}}}), HasSubstr(key));
    EXPECT_THAT(error_of({{"training", {{key, "x"}}}}), HasSubstr(key));
  }
  TempDir dir;
  EXPECT_ERROR(load_recipe(dir / "none.json"), ExitCode::kIo, HasSubstr("none.json"));
  write_bytes(dir / "cut.json", "{");
  EXPECT_ERROR(load_recipe(dir / "cut.json"), ExitCode::kBadFile, HasSubstr("not JSON"));
}

}  // namespace
}  // namespace vqcodec::prior::train
