// vqtrain prior: a prior from code sets (prior/train/trainer.h).
#include <iostream>

#include "apps/command.h"
#include "apps/options.h"
#include "apps/train_commands.h"
#include "prior/train/trainer.h"

namespace vqcodec::apps {

namespace po = boost::program_options;
namespace train = prior::train;

int run_prior(const std::vector<std::string>& arguments) {
  po::options_description options("Options of vqtrain prior");
  auto add = options.add_options();
  add("config", po::value<std::string>()->required(), "recipe, such as configs/prior.json");
  add("codes", po::value<std::vector<std::string>>()->required()->composing(),
      "code set (vqtrain codes), as DIR or DIR=WEIGHT, where WEIGHT is its relative share of the draws; repeatable");
  add("validation", po::value<std::vector<std::string>>()->composing(), "code set of songs set aside; repeatable");
  add("model", po::value<std::string>()->required(),
      "VQ-VAE that the codes are of (.safetensors): the tables begin with its entries");
  add("init", po::value<std::string>(),
      "prior (.safetensors) of the same shape that a new run begins with, such as that of the model that this one "
      "began with");
  add_run_options(options);
  add("quiet", "print nothing but errors");
  add("help,h", "this text");
  if (wants_help(arguments)) {
    std::cout << options << "\nCtrl-C writes a checkpoint and stops; the same command goes on from there. "
              << "vqtrain export writes the prior.\n\nExample:\n"
              << "  vqtrain prior --config configs/prior.json --model models/default.safetensors \\\n"
              << "    --codes codes/composed-1 --codes codes/real=2 --validation codes/rubidium --out runs/prior\n";
    return 0;
  }
  const po::variables_map values = parse_options(arguments, options, {}, "vqtrain prior --help");
  const train::Recipe recipe = train::load_recipe(values["config"].as<std::string>());
  train::TrainOptions train_options;
  set_run_options(values, train_options);
  if (flag(values, "init")) train_options.init_prior = values["init"].as<std::string>();
  train_options.model = vqvae::Model::load(values["model"].as<std::string>());
  std::vector<train::WeightedCodes> training;
  for (const std::string& text : values["codes"].as<std::vector<std::string>>()) {
    const DataFolder folder = parse_data(text, "--codes");
    training.push_back({train::load_code_set(folder.path), folder.weight});
  }
  std::vector<train::CodeSet> validation;
  if (flag(values, "validation")) {
    for (const std::string& path : values["validation"].as<std::vector<std::string>>()) {
      validation.push_back(train::load_code_set(path));
    }
  }
  run_trainer<train::Trainer>(train_options, flag(values, "quiet"), recipe, std::move(training), std::move(validation));
  return 0;
}

}  // namespace vqcodec::apps
