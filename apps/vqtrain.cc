// vqtrain: trains a model, exports it, and measures what comes back from its codes. The only program on LibTorch.
#include <malloc.h>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iostream>

#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "apps/options.h"
#include "apps/train_commands.h"
#include "base/error.h"
#include "base/main_guard.h"
#include "base/progress.h"
#include "eval/codec_sdr.h"
#include "prior/model.h"
#include "prior/train/trainer.h"
#include "runtime/sha256.h"
#include "vqvae/train/trainer.h"

namespace {

namespace po = boost::program_options;
using namespace vqcodec;
using apps::add_set_options;
using apps::DataFolder;
using apps::flag;
using apps::load_options;
using apps::load_set;
using apps::parse_data;
using vqvae::train::MixPlace;

constexpr const char* kHelp = R"(vqtrain trains the models of vqcodec.

Usage: vqtrain <command> [options]

Commands:
  vqvae      train a VQ-VAE from folders of stems, or go on with a run
  export     write a checkpoint as the safetensors model or prior that vqcodec reads
  validate   encode songs with a model, decode every source from its codes, and print the SDR
  prior      train a prior from code sets, or go on with a run
  codes      encode songs into code sets, which priors are trained on
  rebase     write a prior for another model that gives the same codes

"vqtrain <command> --help" lists the options of a command.
Exit codes: 0 ok, 1 usage, 2 input or output, 3 bad file, 4 model missing or wrong, 5 internal.
)";

int run_vqvae(const std::vector<std::string>& arguments) {
  po::options_description options("Options of vqtrain vqvae");
  auto add = options.add_options();
  add("config", po::value<std::string>()->required(), "recipe, such as configs/default.json");
  add("data", po::value<std::vector<std::string>>()->required()->composing(),
      "folder of songs, <song>/{vocals,bass,drums,other}.{wav,flac,opus,...} or another layout, or a packed set "
      "(vqdata "
      "pack), as DIR or DIR=WEIGHT, where WEIGHT is its relative share of the draws; repeatable. A missing source is "
      "silence");
  add_set_options(options, "data", "");
  add("validation", po::value<std::vector<std::string>>()->composing(), "folder of songs set aside; repeatable");
  add_set_options(options, "validation", "validation-");
  add("init", po::value<std::string>()->default_value(""),
      "model (.safetensors) that a new run begins with: of the recipe's network, or of any for a recipe that has none, "
      "such as "
      "configs/finetune.json for songs of one's own");
  add("init-separator", po::value<std::string>()->default_value(""),
      "model (.safetensors) whose masks a new run begins with: other codes for a separator that is trained, or, with "
      "--init, another separator for the codes of that model");
  apps::add_run_options(options);
  add("mix", po::value<std::string>()->default_value("auto"),
      "where items are mixed: host, device (all songs are held in its memory), or auto: device with --device cuda, if "
      "they "
      "fit in half of its memory");
  add("max-seconds", po::value<double>()->default_value(0), "read no more than this of each song, 0 = all");
  add("quiet", "print nothing but errors");
  add("help,h", "this text");
  if (apps::wants_help(arguments)) {
    std::cout << options << "\nCtrl-C writes a checkpoint and stops; the same command goes on from there.\n"
              << "\nExample, MUSDB18 with its 86 tracks for training and 14 for validation:\n"
              << "  vqtrain vqvae --config configs/default.json --data musdb18 --split train --validation musdb18 \\\n"
              << "    --validation-split validation --out runs/musdb18\n";
    return 0;
  }
  const po::variables_map values = apps::parse_options(arguments, options, {}, "vqtrain vqvae --help");
  const bool quiet = flag(values, "quiet");
  vqvae::train::TrainOptions train;
  train.init_model = values["init"].as<std::string>();
  train.init_separator = values["init-separator"].as<std::string>();
  std::shared_ptr<const vqvae::Model> init;
  if (!train.init_model.empty()) init = vqvae::Model::load(train.init_model);
  const vqvae::train::Recipe recipe =
      vqvae::train::load_recipe(values["config"].as<std::string>(), init ? &init->config() : nullptr);
  apps::set_run_options(values, train);
  const std::string mix = values["mix"].as<std::string>();
  if (mix != "auto" && mix != "host" && mix != "device") {
    throw Error(ExitCode::kUsage, "--mix " + mix + ": expected auto, host or device");
  }
  train.mix = mix == "host" ? MixPlace::kHost : mix == "device" ? MixPlace::kDevice : MixPlace::kAuto;

  std::vector<dataset::WeightedSongs> training;
  std::vector<dataset::Song> validation;
  {
    Progress progress("reading songs", quiet);
    auto options_of_data = load_options(recipe.model, values["max-seconds"].as<double>(), progress, quiet);
    options_of_data.measure_loudness = recipe.training.mix.level_by_loudness;
    const auto& data = values["data"].as<std::vector<std::string>>();
    for (size_t i = 0; i < data.size(); ++i) {
      const DataFolder folder = parse_data(data[i], "--data");
      training.push_back({load_set(folder.path, values, "", i, data.size(), options_of_data), folder.weight});
    }
    options_of_data.measure_loudness = false;
    if (flag(values, "validation")) {
      const auto& folders = values["validation"].as<std::vector<std::string>>();
      for (size_t i = 0; i < folders.size(); ++i) {
        for (auto& song : load_set(folders[i], values, "validation-", i, folders.size(), options_of_data)) {
          validation.push_back(std::move(song));
        }
      }
    }
  }
  apps::run_trainer<vqvae::train::Trainer>(train, quiet, recipe, training, validation);
  return 0;
}

int run_export(const std::vector<std::string>& arguments) {
  po::options_description options("Options of vqtrain export");
  auto add = options.add_options();
  add("checkpoint", po::value<std::string>()->required(), "checkpoint.pt of a run");
  add("out,o", po::value<std::string>()->required(), "model to write, such as default.safetensors");
  add("float32", "keep full precision (half precision otherwise)");
  add("licence", po::value<std::string>()->default_value("Apache-2.0"), "licence of the model, for its metadata");
  add("description", po::value<std::string>()->default_value(""), "one line on data and purpose, for its metadata");
  add("force", "overwrite the model if it exists");
  add("quiet", "print nothing but errors");
  add("help,h", "this text");
  if (apps::wants_help(arguments)) {
    std::cout << options;
    return 0;
  }
  const po::variables_map values = apps::parse_options(arguments, options, {}, "vqtrain export --help");
  const std::string out = values["out"].as<std::string>(), checkpoint = values["checkpoint"].as<std::string>();
  const vqvae::train::ExportOptions export_options{.half = !flag(values, "float32"),
                                                   .licence = values["licence"].as<std::string>(),
                                                   .description = values["description"].as<std::string>(),
                                                   .force = flag(values, "force")};
  const bool is_prior = prior::train::is_prior_checkpoint(checkpoint);
  is_prior ? prior::train::export_checkpoint(checkpoint, out, export_options)
           : vqvae::train::export_checkpoint(checkpoint, out, export_options);
  const auto id = is_prior ? prior::Model::load(out)->id() : vqvae::Model::load(out)->id();
  if (!flag(values, "quiet")) std::cout << out << (is_prior ? ": prior " : ": model ") << runtime::to_hex(id) << '\n';
  return 0;
}

int run_validate(const std::vector<std::string>& arguments) {
  po::options_description options("Options of vqtrain validate");
  auto add = options.add_options();
  add("model", po::value<std::string>()->required(), "safetensors model");
  add("data", po::value<std::vector<std::string>>()->required()->composing(), "folder of songs; repeatable");
  add_set_options(options, "data", "");
  add("quality", po::value<int>()->default_value(0), "codebooks kept, 0 = all");
  add("max-seconds", po::value<double>()->default_value(0), "read no more than this of each song, 0 = all");
  add("threads", po::value<int>()->default_value(0), "CPU threads, 0 = all cores");
  add("json", "print JSON instead of a table");
  add("quiet", "no progress and no remarks");
  add("help,h", "this text");
  if (apps::wants_help(arguments)) {
    std::cout << options << "\nPlain SDR in dB: median over windows of 1 s in which the source sounds (-50 dBFS).\n";
    return 0;
  }
  const po::variables_map values = apps::parse_options(arguments, options, {}, "vqtrain validate --help");
  const bool quiet = flag(values, "quiet");
  const auto model = vqvae::Model::load(values["model"].as<std::string>());
  runtime::ThreadPool pool(values["threads"].as<int>());
  nlohmann::ordered_json report = {{"model_id", runtime::to_hex(model->id())}, {"songs", nlohmann::json::array()}};
  const auto number = [](double value) { return std::isnan(value) ? nlohmann::json() : nlohmann::json(value); };
  const auto& data = values["data"].as<std::vector<std::string>>();
  for (size_t i = 0; i < data.size(); ++i) {
    std::vector<dataset::Song> songs;
    {
      Progress progress("reading songs", quiet);
      songs = load_set(data[i], values, "", i, data.size(),
                       load_options(model->config(), values["max-seconds"].as<double>(), progress, quiet));
    }
    for (const dataset::Song& song : songs) {
      Progress progress(song.name, quiet);
      const eval::SongSdr sdr = eval::codec_sdr(model, song,
                                                {.num_codebooks = values["quality"].as<int>(),
                                                 .on_progress = [&](double share) { progress.update(share, 1); }},
                                                pool);
      nlohmann::ordered_json line = {{"song", sdr.song}};
      for (size_t s = 0; s < sdr.source_db.size(); ++s) {
        line[model->config().sources[s]] = {{"sdr_db", number(sdr.source_db[s])}, {"windows", sdr.source_windows[s]}};
      }
      line["average_db"] = number(sdr.average_db);
      line["mixture_db"] = number(sdr.mixture_db);
      report["songs"].push_back(line);
    }
  }
  if (flag(values, "json")) {
    std::cout << report.dump(2) << '\n';
    return 0;
  }
  std::printf("model %s\n%-24s", runtime::to_hex(model->id()).c_str(), "song");
  for (const std::string& source : model->config().sources) std::printf("%9s", source.c_str());
  std::printf("%9s%9s\n", "average", "mixture");
  for (const auto& line : report["songs"]) {
    std::printf("%-24s", line["song"].get<std::string>().c_str());
    const auto print = [](const nlohmann::ordered_json& value) {
      value.is_null() ? std::printf("%9s", "-") : std::printf("%9.2f", value.get<double>());
    };
    for (const std::string& source : model->config().sources) print(line[source]["sdr_db"]);
    print(line["average_db"]);
    print(line["mixture_db"]);
    std::printf("\n");
  }
  return 0;
}

int run(const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h") {
    std::cout << kHelp;
    return arguments.empty() ? static_cast<int>(ExitCode::kUsage) : 0;
  }
  const std::vector<std::string> rest(arguments.begin() + 1, arguments.end());
  if (arguments[0] == "vqvae") return run_vqvae(rest);
  if (arguments[0] == "export") return run_export(rest);
  if (arguments[0] == "validate") return run_validate(rest);
  if (arguments[0] == "codes") return apps::run_codes(rest);
  if (arguments[0] == "prior") return apps::run_prior(rest);
  if (arguments[0] == "rebase") return apps::run_rebase(rest);
  throw Error(ExitCode::kUsage,
              "unknown command \"" + arguments[0] + "\"; expected vqvae, export, validate, prior, codes or rebase");
}

}  // namespace

int main(int argc, char** argv) {
  // Training allocates and frees tensors of many megabytes every step; without this each is mapped and zeroed anew,
  // which took half the time of a step.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);
  mallopt(M_TOP_PAD, 256 << 20);
  return guarded_main("vqtrain", [&] { return run(std::vector<std::string>(argv + 1, argv + argc)); });
}
