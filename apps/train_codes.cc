// vqtrain codes: songs to code sets (prior/train/code_set.h).
#include <iostream>

#include "apps/command.h"
#include "apps/options.h"
#include "apps/train_commands.h"
#include "base/error.h"
#include "prior/train/code_set.h"
#include "runtime/sha256.h"

namespace vqcodec::apps {

namespace po = boost::program_options;

int run_codes(const std::vector<std::string>& arguments) {
  po::options_description options("Options of vqtrain codes");
  auto add = options.add_options();
  add("model", po::value<std::string>()->required(), "VQ-VAE whose codes they are (.safetensors)");
  add("data", po::value<std::vector<std::string>>()->required()->composing(),
      "folder of songs or packed set, as for vqtrain vqvae, without weights; repeatable");
  add_set_options(options, "data", "");
  add("out,o", po::value<std::string>()->required(),
      "folder of code sets: one for each --data, named by its last part (and a number, where two are alike). Shards "
      "that are "
      "there are kept");
  add("from", po::value<std::string>()->default_value("mixture"),
      "what is encoded: mixture, as at use, or stems, each source by itself");
  add("variants", po::value<int>()->default_value(1),
      "of each song: the song as it is, and others with a drawn start, level, speed and sides");
  add("seed", po::value<uint64_t>()->default_value(1), "of the variants' draws");
  add("max-seconds", po::value<double>()->default_value(0), "read no more than this of each song, 0 = all");
  add("threads", po::value<int>()->default_value(0), "CPU threads, 0 = all cores");
  add("quiet", "print nothing but errors");
  add("help,h", "this text");
  if (wants_help(arguments)) {
    std::cout
        << options << "\nThe same command goes on where it was stopped.\n\nExample:\n"
        << "  vqtrain codes --model models/default.safetensors --data set/train/real --data set/train/composed-1 \\\n"
        << "    --variants 4 --out codes\n";
    return 0;
  }
  const po::variables_map values = parse_options(arguments, options, {}, "vqtrain codes --help");
  const bool quiet = flag(values, "quiet");
  prior::train::ExtractOptions extract;
  const std::string from = values["from"].as<std::string>();
  if (from != "mixture" && from != "stems") {
    throw Error(ExitCode::kUsage, "--from " + from + ": expected mixture or stems");
  }
  extract.origin = from == "mixture" ? prior::train::CodeOrigin::kMixture : prior::train::CodeOrigin::kStems;
  extract.variants = values["variants"].as<int>();
  extract.seed = values["seed"].as<uint64_t>();
  const auto model = vqvae::Model::load(values["model"].as<std::string>());
  runtime::ThreadPool pool(threads(values));
  const auto& data = values["data"].as<std::vector<std::string>>();
  std::vector<std::filesystem::path> folders;
  for (const std::string& path : data) {
    auto name = std::filesystem::path(path).lexically_normal();
    if (!name.has_filename()) name = name.parent_path();
    const auto base = std::filesystem::path(values["out"].as<std::string>()) / name.filename();
    auto folder = base;
    for (int i = 2; std::ranges::find(folders, folder) != folders.end(); ++i)
      folder = base.string() + "-" + std::to_string(i);
    folders.push_back(folder);
  }
  for (size_t i = 0; i < data.size(); ++i) {
    std::vector<dataset::Song> songs;
    {
      Progress progress("reading songs", quiet);
      auto load = load_options(model->config(), values["max-seconds"].as<double>(), progress, quiet);
      load.check_sums = false;
      songs = load_set(data[i], values, "", i, data.size(), load);
    }
    Progress progress(folders[i].filename().string(), quiet);
    extract.on_progress = [&](size_t done, size_t total) {
      progress.update(static_cast<double>(done), static_cast<double>(total));
    };
    prior::train::extract_codes(model, songs, folders[i], extract, pool);
    if (!quiet) {
      std::cout << folders[i].string() << ": " << songs.size() * static_cast<size_t>(extract.variants)
                << " songs, model " << runtime::to_hex(model->id()) << '\n';
    }
  }
  return 0;
}

}  // namespace vqcodec::apps
