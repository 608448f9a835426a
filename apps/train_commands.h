// The commands of vqtrain that have a file of their own, and what they share with the others.
#pragma once

#include <atomic>
#include <cstddef>
#include <string>
#include <vector>

#include <boost/program_options.hpp>

#include "base/progress.h"
#include "dataset/stems.h"
#include "vqvae/config.h"

namespace vqcodec::apps {

// Exit codes. Arguments are those after the command's name.
int run_codes(const std::vector<std::string>& arguments);
int run_prior(const std::vector<std::string>& arguments);

// Set by the first Ctrl-C or SIGTERM after stop_on_signals(); the second ends the program at once.
const std::atomic<bool>& stop_flag();
void stop_on_signals();

struct DataFolder {
  std::string path;
  double weight = 1;
};

// "DIR" or "DIR=WEIGHT" of `option`. Throws Error(kUsage).
DataFolder parse_data(const std::string& text, const std::string& option);

// The options --<prefix>layout and --<prefix>split of the folders of --<folders>.
void add_set_options(boost::program_options::options_description& options, const std::string& folders,
                     const std::string& prefix);

// The songs of folder `index` of `count`, by its layout and splits. Throws as dataset::load_songs, Error(kUsage).
std::vector<dataset::Song> load_set(const std::string& path, const boost::program_options::variables_map& values,
                                    const std::string& prefix, size_t index, size_t count,
                                    dataset::LoadOptions options);

// Remarks go to standard error unless `quiet`. Throws Error(kUsage) for a `max_seconds` outside 0 to 1000000.
dataset::LoadOptions load_options(const vqvae::ModelConfig& model, double max_seconds, Progress& progress, bool quiet);

}  // namespace vqcodec::apps
