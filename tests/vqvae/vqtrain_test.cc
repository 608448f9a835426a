// vqtrain as a person runs it.
#include <sys/wait.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "audio/writer.h"
#include "dataset/pack.h"
#include "prior/model.h"
#include "prior/random_prior.h"
#include "prior/train/code_set.h"
#include "tests/base/temp_dir.h"
#include "tests/vqvae/codec_test_util.h"
#include "vqvae/train/train_config.h"

namespace vqcodec {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

struct Result {
  int exit_code = -1;
  std::string out, err;
};

class VqtrainTest : public testing::Test {
 protected:
  Result run(const std::string& arguments) {
    const char* folder = std::getenv("VQCODEC_BIN_DIR");
    if (folder == nullptr) throw std::runtime_error("VQCODEC_BIN_DIR is not set");
    const std::string command = std::string("OMP_NUM_THREADS=1 '") + folder + "/vqtrain' " + arguments + " >'" +
                                (folder_ / "out") + "' 2>'" + (folder_ / "err") + "' </dev/null";
    const int status = std::system(command.c_str());
    Result result{WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_bytes(folder_ / "out"),
                  read_bytes(folder_ / "err")};
    return result;
  }
  void expect_error(const std::string& arguments, int exit_code, const testing::Matcher<std::string>& message) {
    SCOPED_TRACE(arguments);
    const Result result = run(arguments);
    EXPECT_EQ(result.exit_code, exit_code) << result.err;
    EXPECT_THAT(result.err, AllOf(message, testing::StartsWith("vqtrain: "), testing::Not(HasSubstr("internal"))));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  }
  void write_stem(const std::string& path, int64_t num_samples, uint64_t seed) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    auto writer = audio::AudioWriter::open(path, {.sample_rate_hz = 8000});
    writer->write(vqvae::synthetic_song(num_samples, seed));
    writer->finish();
  }
  void write_recipe(const std::string& name, int64_t joint_steps) {
    vqvae::ModelConfig model = vqvae::tiny_config();
    model.sample_rate_hz = 8000;
    model.sources = {"bass", "drums"};
    vqvae::train::Recipe recipe{name, model, {}};
    recipe.training.batch_size = 2;
    recipe.training.crop_frames = 16;
    recipe.training.separation_steps = 1;
    recipe.training.joint_steps = joint_steps;
    recipe.training.fit_items = 2;
    recipe.training.log_every = 1;
    recipe.training.checkpoint_every = 1;
    write_bytes(folder_ / (name + ".json"), to_json(recipe).dump());
  }
  std::string at(const std::string& name) const { return folder_ / name; }

  TempDir folder_;
};

TEST_F(VqtrainTest, HelpListsEveryOption) {
  EXPECT_EQ(run("").exit_code, 1);
  const Result all = run("--help");
  EXPECT_EQ(all.exit_code, 0);
  EXPECT_THAT(all.out, AllOf(HasSubstr("vqvae"), HasSubstr("export"), HasSubstr("validate"), HasSubstr("Exit codes")));
  const std::pair<const char*, std::vector<const char*>> commands[] = {
      {"vqvae",
       {"--config", "--data", "--validation", "--out", "--device", "--precision", "--threads", "--max-minutes",
        "--max-seconds", "--mix", "--init", "--init-separator", "--quiet", "--help"}},
      {"export", {"--checkpoint", "--out", "--float32", "--licence", "--description", "--force", "--quiet", "--help"}},
      {"validate", {"--model", "--data", "--quality", "--max-seconds", "--threads", "--json", "--quiet", "--help"}},
      {"codes",
       {"--model", "--data", "--layout", "--split", "--out", "--from", "--variants", "--seed", "--max-seconds",
        "--threads", "--quiet", "--help"}},
      {"prior",
       {"--config", "--codes", "--validation", "--model", "--out", "--device", "--threads", "--max-minutes", "--quiet",
        "--help"}},
      {"rebase", {"--prior", "--from", "--model", "--out", "--force", "--quiet", "--help"}}};
  for (const auto& [command, options] : commands) {
    const Result result = run(std::string(command) + " --help");
    EXPECT_EQ(result.exit_code, 0);
    for (const char* option : options) EXPECT_THAT(result.out, HasSubstr(option)) << command;
  }
}

TEST_F(VqtrainTest, WrongOptionsExitWith1) {
  expect_error("train", 1, HasSubstr("unknown command \"train\""));
  expect_error("vqvae --config c.json --data d --out o --learning-rate 1", 1,
               AllOf(HasSubstr("--learning-rate"), HasSubstr("vqtrain vqvae --help")));
  expect_error("vqvae --data d --out o", 1, HasSubstr("--config"));
  expect_error("export --out o", 1, HasSubstr("--checkpoint"));
  expect_error("rebase --prior p --from a --model b", 1, HasSubstr("--out"));
  write_recipe("r", 1);
  const std::string common = "vqvae --config " + at("r.json") + " --out " + at("run") + " --data ";
  expect_error(common + at("songs") + "=0", 1, HasSubstr("weight above 0"));
  expect_error(common + "x --device tpu", 1, HasSubstr("cpu or cuda"));
  expect_error(common + "x --precision half", 1, HasSubstr("auto, float32 or bfloat16"));
  expect_error(common + "x --mix gpu", 1, HasSubstr("auto, host or device"));
  expect_error(common + "x --threads -1", 1, HasSubstr("--threads"));
  expect_error(common + "x --max-seconds -1", 1, HasSubstr("--max-seconds"));
}

TEST_F(VqtrainTest, MissingAndBadFilesExitWith2And3) {
  write_recipe("r", 1);
  const std::string out = " --out " + at("run");
  expect_error("vqvae --config " + at("none.json") + " --data " + at("songs") + out, 2, HasSubstr("none.json"));
  expect_error("vqvae --config " + at("r.json") + " --data " + at("songs") + out, 2, HasSubstr(at("songs")));
  std::filesystem::create_directory(at("songs"));
  expect_error("vqvae --config " + at("r.json") + " --data " + at("songs") + out, 3, HasSubstr("no song found"));
  write_bytes(at("bad.json"), R"({"model": {"hop": 3}})");
  expect_error("vqvae --config " + at("bad.json") + " --data " + at("songs") + out, 3,
               HasSubstr("unknown key \"hop\""));
  expect_error("export --checkpoint " + at("none.pt") + " --out " + at("m.safetensors"), 2, HasSubstr("none.pt"));
  expect_error("validate --model " + at("none.safetensors") + " --data " + at("songs"), 4,
               HasSubstr("none.safetensors"));
}

TEST_F(VqtrainTest, CodesOfEverySetGoToAFolderOfItsOwn) {
  vqvae::ModelConfig config = vqvae::tiny_config();
  config.sample_rate_hz = 8000;
  vqvae::make_model(config, 1).write(at("m.safetensors"));
  write_stem(at("set/a/bass.wav"), 30000, 1);
  write_stem(at("other/set/b/drums.wav"), 20000, 2);
  const std::string command = "codes --model " + at("m.safetensors") + " --data " + at("set/") + " --data " +
                              at("other/set") + " --variants 2 --threads 1 --out " + at("codes");
  const Result result = run(command);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("codes/set: 2 songs"), HasSubstr("codes/set-2: 2 songs")));
  const auto first = prior::train::load_code_set(at("codes/set")),
             second = prior::train::load_code_set(at("codes/set-2"));
  ASSERT_EQ(first.songs.size(), 2U);
  EXPECT_EQ(first.songs[0].name, "a");
  EXPECT_EQ(first.songs[0].num_frames, (30000 + 255) / 256 + 1);
  EXPECT_EQ(second.songs[0].name, "b");
  EXPECT_EQ(run(command + " --quiet").out, "");
  expect_error(command + " --seed 2", 1, HasSubstr("is there already"));
  expect_error(command + " --from song", 1, HasSubstr("mixture or stems"));
  expect_error(command + "/x --variants 0", 1, HasSubstr("variants"));
  expect_error("codes --model none --data " + at("set") + " --out x", 4, HasSubstr("none"));
}

TEST_F(VqtrainTest, APriorIsTrainedResumedAndExported) {
  vqvae::ModelConfig config = vqvae::tiny_config();
  config.sample_rate_hz = 8000;
  vqvae::make_model(config, 1).write(at("m.safetensors"));
  for (const char* source : {"vocals", "bass", "drums", "other"}) {
    write_stem(at(std::string("set/a/") + source + ".wav"), 30000, 1);
  }
  ASSERT_EQ(run("codes --model " + at("m.safetensors") + " --data " + at("set") + " --threads 1 --out " + at("codes"))
                .exit_code,
            0);
  const json recipe = {{"prior", {{"embedding_dim", 8}, {"width", 16}, {"num_heads", 2}, {"num_layers", 1}}},
                       {"training", {{"steps", 3}, {"batch_size", 2}, {"crop_frames", 32}, {"log_every", 1}}}};
  write_bytes(at("p.json"), recipe.dump());
  const std::string command = "prior --config " + at("p.json") + " --model " + at("m.safetensors") + " --codes " +
                              at("codes/set") + "=2 --validation " + at("codes/set") + " --threads 1 --out " +
                              at("run");
  const Result result = run(command);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, AllOf(HasSubstr("bits_vocals"), HasSubstr("validation: "), HasSubstr("3 of 3 steps")));
  EXPECT_THAT(run(command).out, HasSubstr("3 of 3 steps"));
  const Result exported = run("export --checkpoint " + at("run/checkpoint.pt") + " -o " + at("prior.safetensors"));
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  EXPECT_THAT(exported.out, HasSubstr("prior.safetensors: prior "));
  EXPECT_EQ(prior::Model::load(at("prior.safetensors"))->config().codebook_size, 32);
  const std::string other = "prior --config " + at("p.json") + " --model " + at("m.safetensors") + " --out " + at("x");
  expect_error(other + " --codes " + at("none"), 2, HasSubstr("none"));
  expect_error(other + " --codes " + at("codes/set") + " --device tpu", 1, HasSubstr("cpu or cuda"));
}

TEST_F(VqtrainTest, ARunCanBeginWithAModel) {
  for (const char* song : {"a", "b"}) {
    write_stem(at(std::string("songs/") + song + "/bass.wav"), 40000, 1);
    write_stem(at(std::string("songs/") + song + "/drums.wav"), 40000, 2);
  }
  write_recipe("first", 2);
  write_recipe("next", 1);
  const std::string data = " --threads 1 --data " + at("songs") + " --out ";
  ASSERT_EQ(run("vqvae --config " + at("first.json") + data + at("run1")).exit_code, 0);
  ASSERT_EQ(run("export --checkpoint " + at("run1/checkpoint.pt") + " -o " + at("m.safetensors")).exit_code, 0);
  const std::string next = "vqvae --config " + at("next.json") + data;
  const Result result = run(next + at("run2") + " --init " + at("m.safetensors"));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  // Not the run from random weights.
  ASSERT_EQ(run(next + at("run3")).exit_code, 0);
  const auto first_loss = [&](const std::string& folder) {
    return json::parse(
        read_bytes(at(folder + "/log.jsonl")).substr(0, read_bytes(at(folder + "/log.jsonl")).find('\n')))["loss"];
  };
  EXPECT_NE(first_loss("run2"), first_loss("run3"));
  // The masks of another model instead of its own.
  ASSERT_EQ(run("export --checkpoint " + at("run3/checkpoint.pt") + " -o " + at("o.safetensors")).exit_code, 0);
  ASSERT_EQ(
      run(next + at("run4") + " --init " + at("m.safetensors") + " --init-separator " + at("o.safetensors")).exit_code,
      0);
  EXPECT_NE(first_loss("run4"), first_loss("run2"));
  expect_error(next + at("run5") + " --init-separator " + at("none.safetensors"), 4, HasSubstr("none.safetensors"));
  expect_error(next + at("run4") + " --init " + at("none.safetensors"), 4, HasSubstr("none.safetensors"));
}

TEST_F(VqtrainTest, SoundIsTaughtToAModelWhosePriorStays) {
  write_stem(at("songs/a/bass.wav"), 40000, 1);
  write_stem(at("songs/a/drums.wav"), 40000, 2);
  vqvae::ModelConfig config = vqvae::tiny_config();
  config.sample_rate_hz = 8000;
  config.sources = {"bass", "drums"};
  config.noise = vqvae::StackConfig{.width = 16, .expansion = 2, .kernel_frames = 3, .dilations = {1}};
  vqvae::make_model(config, 1).write(at("old.safetensors"));
  const json recipe = {{"training",
                        {{"batch_size", 2},
                         {"crop_frames", 16},
                         {"joint_steps", 0},
                         {"sound_steps", 2},
                         {"discriminator_width", 4},
                         {"log_every", 1},
                         {"loss", {{"adversarial", 0.1}, {"feature_matching", 0.1}, {"mel", 0.1}}}}}};
  write_bytes(at("sound.json"), recipe.dump());
  const Result trained = run("vqvae --config " + at("sound.json") + " --init " + at("old.safetensors") + " --data " +
                             at("songs") + " --threads 1 --out " + at("run"));
  ASSERT_EQ(trained.exit_code, 0) << trained.err;
  EXPECT_THAT(trained.out, AllOf(HasSubstr("discriminator_accuracy"), HasSubstr("mel "), HasSubstr("2 of 2 steps")));
  ASSERT_EQ(run("export --checkpoint " + at("run/checkpoint.pt") + " -o " + at("new.safetensors")).exit_code, 0);

  prior::Config prior_config;
  prior_config.sources = config.sources;
  prior_config.num_codebooks = 3;
  prior_config.codebook_size = 32;
  prior_config.embedding_dim = 8;
  prior_config.width = 16;
  prior_config.num_heads = 2;
  prior_config.num_layers = 1;
  prior_config.model_id = runtime::to_hex(vqvae::Model::load(at("old.safetensors"))->id());
  prior::make_random_prior(prior_config, 1).write(at("prior.safetensors"));
  const std::string models = " --from " + at("old.safetensors") + " --model " + at("new.safetensors");
  const std::string rebase = "rebase --prior " + at("prior.safetensors") + models + " -o " + at("rebased.safetensors");
  const Result rebased = run(rebase);
  ASSERT_EQ(rebased.exit_code, 0) << rebased.err;
  const auto prior = prior::Model::load(at("rebased.safetensors"));
  EXPECT_THAT(rebased.out, HasSubstr("rebased.safetensors: prior " + runtime::to_hex(prior->id())));
  EXPECT_EQ(prior->config().model_id, runtime::to_hex(vqvae::Model::load(at("new.safetensors"))->id()));
  expect_error(rebase, 1, HasSubstr("--force"));
  EXPECT_EQ(run(rebase + " --force --quiet").out, "");
  expect_error("rebase --prior " + at("rebased.safetensors") + models + " -o " + at("again.safetensors"), 4,
               HasSubstr("is for codes of model"));
}

TEST_F(VqtrainTest, PackedSetsTrainAsFoldersDo) {
  write_stem(at("songs/a/bass.wav"), 3 * 8000, 1);
  write_stem(at("songs/a/drums.flac"), 3 * 8000 - 5, 2);
  write_stem(at("songs/b/drums.wav"), 2 * 8000, 3);
  dataset::PackOptions options;
  options.sample_rate_hz = 8000;
  options.sources = {"drums", "bass"};
  options.num_threads = 1;
  dataset::pack_songs({at("songs")}, at("packed"), options);
  write_recipe("r", 3);
  json recipe = json::parse(read_bytes(at("r.json")));
  recipe["training"]["mix"]["level_by_loudness"] = true;
  recipe["training"]["mix"]["tilt_deviation_db_per_octave"] = 1;
  write_bytes(at("r.json"), recipe.dump());
  const auto losses = [&](const std::string& name, const std::string& more) {
    const Result result = run("vqvae --config " + at("r.json") + " --validation " + at("packed") + " --out " +
                              at(name) + " --threads 1 --precision float32 " + more);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    std::vector<double> values;
    std::istringstream log(read_bytes(at(name + "/log.jsonl")));
    for (std::string line; std::getline(log, line);) {
      const json entry = json::parse(line);
      if (entry["kind"] != "training") continue;
      values.push_back(entry["loss"]);
      EXPECT_TRUE(entry["draw_wait_share"].is_number());
    }
    return values;
  };
  const auto folders = losses("folders", "--data " + at("songs") + " --mix host");
  ASSERT_EQ(folders.size(), 4U);
  EXPECT_EQ(losses("mapped", "--data " + at("packed")), folders);
  const auto device = losses("device", "--data " + at("packed") + " --mix device");
  ASSERT_EQ(device.size(), 4U);
  // Rounding alone; k-means after the first step may make more of it.
  EXPECT_NEAR(device[0], folders[0], 1e-4 * std::abs(folders[0]));
  for (size_t i = 1; i < 4; ++i) EXPECT_NEAR(device[i], folders[i], 0.2 * std::abs(folders[i]));
}

TEST_F(VqtrainTest, TrainsResumesExportsAndValidates) {
  write_stem(at("songs/a/bass.wav"), 3 * 8000, 1);
  write_stem(at("songs/a/drums.flac"), 3 * 8000 - 5, 2);
  write_stem(at("songs/b/drums.wav"), 2 * 8000, 3);
  write_recipe("r", 4);
  const std::string train = "vqvae --config " + at("r.json") + " --data " + at("songs") + "=2 --validation " +
                            at("songs") + " --out " + at("run") + " --threads 1 --precision float32";
  const Result first = run(train + " --max-minutes 0.000001");
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.out, HasSubstr("1 of 5 steps"));
  EXPECT_THAT(first.err, HasSubstr("padded with silence"));
  const Result second = run(train);
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_THAT(second.out, AllOf(HasSubstr("[2/5"), HasSubstr("5 of 5 steps")));
  std::istringstream log(read_bytes(at("run/log.jsonl")));
  std::vector<int> steps;
  for (std::string line; std::getline(log, line);) {
    const json entry = json::parse(line);
    if (entry["kind"] == "training") steps.push_back(entry["step"]);
  }
  EXPECT_EQ(steps, (std::vector<int>{1, 2, 3, 4, 5}));
  EXPECT_TRUE(std::filesystem::exists(at("run/checkpoint.pt")));

  write_recipe("r", 5);
  expect_error(train + " --quiet", 3, AllOf(HasSubstr("another recipe"), HasSubstr("joint_steps")));

  const std::string export_model = "export --checkpoint " + at("run/checkpoint.pt") + " --out " + at("m.safetensors");
  const Result exported = run(export_model + " --description 'two songs'");
  ASSERT_EQ(exported.exit_code, 0) << exported.err;
  const auto model = vqvae::Model::load(at("m.safetensors"));
  EXPECT_THAT(exported.out, HasSubstr(runtime::to_hex(model->id())));
  EXPECT_EQ(model->metadata().at("description"), "two songs");
  expect_error(export_model, 1, HasSubstr("--force"));
  EXPECT_EQ(run(export_model + " --force --quiet").out, "");

  const std::string validate = "validate --model " + at("m.safetensors") + " --data " + at("songs") + " --quiet";
  const Result report = run(validate + " --json --threads 1");
  ASSERT_EQ(report.exit_code, 0) << report.err;
  EXPECT_EQ(report.err, "");
  const json parsed = json::parse(report.out);
  EXPECT_EQ(parsed["songs"].size(), 2U);
  EXPECT_EQ(parsed["songs"][0]["song"], "a");
  EXPECT_EQ(parsed["songs"][0]["bass"]["windows"], 3);
  EXPECT_TRUE(parsed["songs"][0]["mixture_db"].is_number());
  EXPECT_TRUE(parsed["songs"][1]["bass"]["sdr_db"].is_null());
  const Result table = run(validate + " --quality 1");
  EXPECT_EQ(table.exit_code, 0);
  EXPECT_THAT(table.out, AllOf(HasSubstr("bass"), HasSubstr("mixture"), HasSubstr("\na ")));
  expect_error(validate + " --quality 9", 1, HasSubstr("9 codebooks: this model has 3"));
}

}  // namespace
}  // namespace vqcodec
