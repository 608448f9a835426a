// How fast a model encodes and decodes on this machine: each stage by itself inside this process, the program vqcodec
// as a whole as a child process, and others (opusenc, opusdec, zstd) on the same material in the same run. Machines
// differ and are not idle, so everything is measured several times in turn, and only ratios within one run carry over.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "eval/json_output.h"
#include "prior/model.h"
#include "vqvae/model.h"

namespace vqcodec::eval {

struct Measure {
  std::string name;     // such as "encode.network"
  int num_threads = 0;  // 0 = does not apply
  std::string unit;     // "x real time", "MiB", "ms"
  bool higher_is_better = true;
  std::vector<double> runs;
};

struct Spread {
  double median = 0, min = 0, max = 0;  // NaN without values
};
Spread spread_of(std::vector<double> values);

struct ChildRun {
  double wall_seconds = 0, cpu_seconds = 0;
  double peak_mib = 0;  // 0 unless asked for
};

// Runs a program to its end with no input and its output thrown away. `with_memory` watches the resident memory's
// high-water mark every millisecond, which costs a little time: the one that wait4 tells would count this process's own
// memory, because Linux counts what a process had before exec. Throws Error(kIo) if it cannot be started,
// Error(kInternal) with the end of what it says on standard error if its exit code is not 0.
ChildRun run_child(const std::vector<std::string>& words, bool with_memory = false);

// Seconds from the start of a program to its first byte on standard output. Throws as run_child, and if there is none.
double seconds_to_first_byte(const std::vector<std::string>& words);

// Full path of a program in $PATH; empty if there is none.
std::string find_program(const std::string& name);

struct SpeedOptions {
  std::filesystem::path audio{};    // the material, a WAV file at the model's rate
  std::filesystem::path folder{};   // for files that are made on the way
  std::filesystem::path vqcodec{};  // the program; empty = only what runs in this process
  std::string model_path{};
  std::shared_ptr<const prior::Model> prior{};  // for codes of the model; null: without
  std::string prior_path{};
  std::vector<int> threads = {1, 2};
  int repetitions = 5;
  std::function<void(double)> on_progress{};  // share done
};

struct SpeedResult {
  double audio_seconds = 0;
  uint64_t vqc_bytes = 0, opus_bytes = 0, code_bytes = 0, zstd_bytes = 0;  // code_bytes: codes as 16-bit numbers
  uint64_t prior_vqc_bytes = 0;  // with the prior, if there is one
  std::vector<Measure> measures;
  std::vector<std::string> remarks;  // what could not be measured, and why
};

// {name, threads, to, median, min, max}: whole programs over opusenc and opusdec, the coder over zstd -19, from the
// runs of the same repetition; what was not measured is left out.
Json ratios_json(const std::vector<Measure>& measures);

// Errors of the reader, coder, model and children.
SpeedResult measure_speed(const std::shared_ptr<const vqvae::Model>& model, const SpeedOptions& options);

// {name, threads?, unit, higher_is_better, median, min, max, runs} each.
Json measures_json(const std::vector<Measure>& measures);

// Every measure that two reports ("kind": "speed") have in common: {name, threads?, unit, old, new, ratio,
// ratio_to_opus?}. `ratio` is new / old, turned over where less is better, so that above 1 is always faster or smaller;
// `ratio_to_opus` is the same after each report's speeds are divided by its own opusenc's, for reports of unlike
// machines. Throws Error(kBadFile) if `old_report` is no such report; `old_name` names it.
Json compare_speed(const Json& new_report, const Json& old_report, const std::string& old_name);

}  // namespace vqcodec::eval
