// vqdata pack: folders of songs to a packed set, and how fast one is read.
#include <cmath>
#include <iostream>

#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "apps/data_commands.h"
#include "base/error.h"
#include "base/format.h"
#include "base/progress.h"
#include "dataset/pack.h"

namespace vqcodec::apps {

namespace {

namespace po = boost::program_options;
using nlohmann::ordered_json;

constexpr const char* kRest = R"(
Packs the songs of all folders into OUT/set-00000.vqs and so on, which vqtrain --data and vqdata check take as they take
folders of songs. A song's song.json tells its licence, MIDI file, transposition, tempo, beats and chords, where there is
one. Shards that an earlier call of the same command finished are kept; those with newer songs are made again.

int16 keeps every sample and is read fastest; flac keeps every sample in about half of the space; opus takes a tenth or
less and loses what Opus loses.

Examples:
  vqdata pack musdb18hq --split train --out packed/musdb
  vqdata pack rendered1 rendered2 --encoding flac --out packed/rendered --threads 2
  vqdata pack --benchmark packed/musdb
)";

template <class T>
T within(const Values& values, const char* name, T low, T high) {
  const T value = values[name].as<T>();
  if (!(value >= low && value <= high)) {
    std::string text = std::string("--") + name + ": expected ";
    append(text, "%g to %g", static_cast<double>(low), static_cast<double>(high));
    throw Error(ExitCode::kUsage, text);
  }
  return value;
}

int run_benchmark(const Values& values) {
  if (flag(values, "input") || flag(values, "out")) {
    throw Error(ExitCode::kUsage, "--benchmark reads a packed set; it takes no folders of songs and no --out");
  }
  const double crop_seconds = within(values, "crop-seconds", 0.01, 600.0);
  const dataset::ReadSpeed speed =
      dataset::measure_read_speed(text(values, "benchmark"), crop_seconds, within(values, "seconds", 0.1, 3600.0),
                                  values["seed"].as<uint64_t>());
  const double rate = speed.audio_seconds / speed.wall_seconds;
  const double cpu_rate = speed.audio_seconds / speed.cpu_seconds;
  if (flag(values, "json")) {
    print(ordered_json{{"crop_seconds", crop_seconds},
                       {"audio_seconds", speed.audio_seconds},
                       {"wall_seconds", speed.wall_seconds},
                       {"cpu_seconds", speed.cpu_seconds},
                       {"audio_seconds_per_second", rate},
                       {"audio_seconds_per_cpu_second", cpu_rate}}
              .dump(2) +
          "\n");
  } else if (!flag(values, "quiet")) {
    std::string line;
    append(line,
           "%.0f audio seconds (stereo) a second from one thread, %.0f a second of its CPU time, stretches of %g s at "
           "random\n",
           rate, cpu_rate, crop_seconds);
    print(line);
  }
  return 0;
}

}  // namespace

int run_data_pack(const std::vector<std::string>& arguments) {
  Command command("vqdata", "pack DIR... --out OUT [options]", -1, kRest);
  auto add = command.options.add_options();
  add("out,o", po::value<std::string>(), "folder of the packed set, made if it is not there");
  add("encoding", po::value<std::string>()->default_value("int16"), "int16, flac or opus");
  add("opus-kbps", po::value<double>()->default_value(160), "kbit/s of a stereo source, 16 to 510");
  add("sources", po::value<std::string>()->default_value("vocals,bass,drums,other"), "sources to pack");
  add("layout", po::value<std::string>(), "name of a layout (see vqdata layouts) or a JSON file; detected otherwise");
  add("split", po::value<std::string>(), "only songs in these splits, such as train,validation");
  add("licence", po::value<std::string>(),
      "licence of the songs whose song.json tells none; otherwise licence.json's in DIR, or the layout's");
  add("sample-rate", po::value<int>()->default_value(44100), "Hz; other songs are resampled");
  add("max-seconds", po::value<double>()->default_value(0), "pack no more than this of each song, 0 = all");
  add("songs-per-shard", po::value<int>()->default_value(16), "songs a file");
  add("threads", po::value<int>()->default_value(0), "CPU threads, 0 = all cores; each has one whole song in memory");
  add("force", "replace a packed set of other songs or options, and make every shard anew");
  add("benchmark", po::value<std::string>()->value_name("PACKED"), "only measure how fast this packed set is read");
  add("seconds", po::value<double>()->default_value(5), "how long --benchmark reads");
  add("crop-seconds", po::value<double>()->default_value(4), "how long a stretch --benchmark reads at a time");
  add("seed", po::value<uint64_t>()->default_value(1), "where --benchmark reads");
  add("json", "print JSON");
  add("quiet,q", "print nothing but errors (and --json)");
  add("help,h", "this text");
  Values values;
  if (!command.parse(arguments, values, false)) return 0;
  if (flag(values, "benchmark")) return run_benchmark(values);
  if (!flag(values, "input")) throw Error(ExitCode::kUsage, "a folder of songs is missing; see " + command.help_hint());
  const std::string out = text(values, "out");
  if (out.empty()) throw Error(ExitCode::kUsage, "--out is missing; see " + command.help_hint());
  const bool quiet = flag(values, "quiet");
  dataset::PackOptions options;
  options.encoding = dataset::parse_pack_encoding(text(values, "encoding"));
  options.opus_bps = static_cast<int>(std::lround(1000 * within(values, "opus-kbps", 16.0, 510.0)));
  options.sources = comma_list(values, "sources");
  options.layout = text(values, "layout");
  options.splits = comma_list(values, "split");
  options.licence = text(values, "licence");
  options.sample_rate_hz = within(values, "sample-rate", 1000, 768000);
  options.max_seconds = within(values, "max-seconds", 0.0, 1e6);
  options.songs_per_shard = within(values, "songs-per-shard", 1, 100000);
  options.force = flag(values, "force");
  options.num_threads = threads(values);
  options.on_remark = [quiet](const std::string& remark) {
    if (!quiet) std::cerr << "vqdata: " << remark << '\n';
  };
  dataset::PackReport report;
  {
    Progress progress("packing songs", quiet);
    options.on_progress = [&progress](size_t done, size_t total) {
      progress.update(static_cast<double>(done), static_cast<double>(total));
    };
    report = dataset::pack_songs(values["input"].as<std::vector<std::string>>(), out, options);
  }
  ordered_json sounding = ordered_json::object();
  std::string sounding_text;
  for (size_t s = 0; s < options.sources.size(); ++s) {
    sounding[options.sources[s]] = report.seconds_sounding[s];
    sounding_text += (s == 0 ? "" : ", ") + options.sources[s] + " " + format_duration(report.seconds_sounding[s]);
  }
  if (flag(values, "json")) {
    print(ordered_json{{"out", out},
                       {"encoding", dataset::to_string(options.encoding)},
                       {"num_shards", report.num_shards},
                       {"num_kept_shards", report.num_kept_shards},
                       {"num_songs", report.num_songs},
                       {"seconds", report.song_seconds},
                       {"seconds_sounding", sounding},
                       {"num_bytes", report.num_bytes}}
              .dump(2, ' ', false, ordered_json::error_handler_t::replace) +
          "\n");
  } else if (!quiet) {
    std::string line = out + ": ";
    append(line, "%zu songs, %s (%s), in %zu files of %.1f MB in all", report.num_songs,
           format_duration(report.song_seconds).c_str(), sounding_text.c_str(), report.num_shards,
           static_cast<double>(report.num_bytes) / 1e6);
    if (report.num_kept_shards > 0) append(line, "; %zu of them were there already", report.num_kept_shards);
    print(line + "\n");
  }
  return 0;
}

}  // namespace vqcodec::apps
