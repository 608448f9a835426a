// The commands of vqtrain that have a file of their own, and what they share with the others.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <boost/program_options.hpp>

#include "base/progress.h"
#include "base/stopwatch.h"
#include "dataset/stems.h"
#include "vqvae/config.h"
#include "vqvae/train/options.h"

namespace vqcodec::apps {

// Exit codes. Arguments are those after the command's name.
int run_codes(const std::vector<std::string>& arguments);
int run_prior(const std::vector<std::string>& arguments);
int run_rebase(const std::vector<std::string>& arguments);

// --out, --device, --precision, --threads and --max-minutes.
void add_run_options(boost::program_options::options_description& options);
// From these options, and stopped by signals: the first Ctrl-C or SIGTERM of a run ends it with a checkpoint, the second
// ends the program at once. Throws Error(kUsage).
void set_run_options(const boost::program_options::variables_map& values, vqvae::train::RunOptions& options);
void stop_on_signals();

// Prints a line of a run's log with the time that it took and the time left.
void print_step(double seconds, int64_t first_step, int64_t step, int64_t num_steps, const std::string& text);

// Runs a trainer of `data` and `options`, and tells how it goes unless `quiet`.
template <class Trainer, class Options, class... Data>
void run_trainer(Options options, bool quiet, Data&&... data) {
  const Stopwatch running;
  int64_t first_step = -1;
  options.on_log = [&](int64_t step, int64_t num_steps, const std::string& text) {
    if (!quiet) print_step(running.seconds(), first_step, step, num_steps, text);
  };
  Trainer trainer(std::forward<Data>(data)..., options);
  first_step = trainer.current_step();
  stop_on_signals();
  const int64_t reached = trainer.run();
  if (!quiet) {
    std::cout << options.checkpoint_path() << ": " << reached << " of " << trainer.total_steps() << " steps\n";
  }
}

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
