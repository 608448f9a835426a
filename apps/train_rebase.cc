// vqtrain rebase: a prior for another model of the same codes (prior/rebase.h).
#include <iostream>

#include "apps/command.h"
#include "apps/options.h"
#include "apps/train_commands.h"
#include "prior/model.h"
#include "prior/rebase.h"
#include "runtime/sha256.h"

namespace vqcodec::apps {

namespace po = boost::program_options;

int run_rebase(const std::vector<std::string>& arguments) {
  po::options_description options("Options of vqtrain rebase");
  auto add = options.add_options();
  add("prior", po::value<std::string>()->required(), "prior (.safetensors) of the old model's codes");
  add("from", po::value<std::string>()->required(), "the old model (.safetensors)");
  add("model", po::value<std::string>()->required(), "the new model (.safetensors), which gives the same codes");
  add("out,o", po::value<std::string>()->required(), "prior to write");
  add("force", "overwrite the prior if it exists");
  add("quiet", "print nothing but errors");
  add("help,h", "this text");
  if (wants_help(arguments)) {
    std::cout
        << options
        << "\nA model whose decoder alone has learnt more (configs/sound.json) gives the same codes, but has "
        << "another id,\nwhich its prior has to name. Refused is a model of which anything else differs.\n\nExample:\n"
        << "  vqtrain rebase --prior prior.safetensors --from old.safetensors --model new.safetensors \\\n"
        << "    -o new-prior.safetensors\n";
    return 0;
  }
  const po::variables_map values = parse_options(arguments, options, {}, "vqtrain rebase --help");
  const auto text = [&](const char* option) { return values[option].as<std::string>(); };
  const std::string out = text("out");
  prior::rebase(text("prior"), text("from"), text("model"), out, flag(values, "force"));
  if (!flag(values, "quiet")) std::cout << out << ": prior " << runtime::to_hex(prior::Model::load(out)->id()) << '\n';
  return 0;
}

}  // namespace vqcodec::apps
