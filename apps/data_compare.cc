// vqdata compare: spectra and levels of two sets side by side, and excerpts of their songs to hear.
#include <algorithm>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "apps/data_commands.h"
#include "audio/writer.h"
#include "base/atomic_file.h"
#include "base/error.h"
#include "base/progress.h"
#include "dataset/compare.h"
#include "eval/svg_plot.h"

namespace vqcodec::apps {

namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;
using dataset::Song;
using dataset::SourceProfile;

constexpr const char* kRest = R"(
For every source: the energy in octaves over that of all, level, level against the mixture, peak over rms, the range of
levels of seconds, side over middle, and the share of a song in which it sounds. Only seconds in which the source sounds (over
-50 dBFS) count, and songs in which it does so for 3 s; medians over songs. FIRST is meant to be real and SECOND rendered;
both are folders of songs or packed sets.

With --excerpts DIR: excerpts of both, DIR/<set>-<song>.flac, the sum of the sources, from where most sources sound.

Examples:
  vqdata compare stems set/train/freedoom-1 --svg spectra.svg
  vqdata compare stems set/train/composed-1 --max-songs 20 --json > spectra.json
  vqdata compare stems set/train/composed-1 --max-songs 10 --excerpts listen
)";

std::vector<Song> load(const std::string& root, const std::vector<std::string>& sources, size_t max_songs,
                       const Values& values) {
  const bool quiet = flag(values, "quiet");
  Progress progress("reading " + root, quiet);
  dataset::LoadOptions options;
  options.sources = sources;
  options.check_sums = false;
  options.max_seconds = values["max-seconds"].as<double>();
  options.on_progress = [&](size_t done, size_t total) {
    progress.update(static_cast<double>(done), static_cast<double>(total));
  };
  std::vector<Song> songs = dataset::load_songs(root, options);
  if (max_songs == 0 || songs.size() <= max_songs) return songs;
  std::vector<Song> some;  // spread evenly, since neighbours are variants of one song
  for (size_t i = 0; i < max_songs; ++i) some.push_back(std::move(songs[i * songs.size() / max_songs]));
  return some;
}

// The whole second from which on most sources sound for `seconds`.
int64_t best_start(const Song& song, int64_t seconds) {
  const int64_t length = song.num_frames / song.sample_rate_hz;
  std::vector<int64_t> sounding(static_cast<size_t>(length) + 1);  // sums
  for (const auto& frames : song.active_frames) {
    for (const int64_t frame : frames) {
      if (frame / song.sample_rate_hz < length) ++sounding[static_cast<size_t>(frame / song.sample_rate_hz) + 1];
    }
  }
  for (size_t i = 1; i < sounding.size(); ++i) sounding[i] += sounding[i - 1];
  int64_t best = 0, most = -1;
  for (int64_t start = 0; start + seconds <= length; ++start) {
    const int64_t count = sounding[static_cast<size_t>(start + seconds)] - sounding[static_cast<size_t>(start)];
    if (count > most) {
      most = count;
      best = start;
    }
  }
  return best;
}

std::string set_name(const std::string& root) {
  const fs::path path = fs::path(root).lexically_normal();
  return (path.has_filename() ? path : path.parent_path()).filename().string();
}

void write_excerpts(const std::vector<Song>& songs, const std::string& root, const std::string& out, int64_t seconds) {
  std::error_code error;
  fs::create_directories(out, error);
  if (error) throw Error(ExitCode::kIo, out + ": cannot be made a folder: " + error.message());
  const std::string set = set_name(root);
  for (const Song& song : songs) {
    const int64_t start = best_start(song, seconds) * song.sample_rate_hz;
    const int64_t count = std::min(seconds * song.sample_rate_hz, song.num_frames - start);
    std::vector<float> sum(2 * static_cast<size_t>(count));
    std::vector<int16_t> stem(sum.size());
    for (size_t s = 0; s < song.active_frames.size(); ++s) {
      if (!song.has(s)) continue;
      song.read(s, start, stem);
      for (size_t i = 0; i < sum.size(); ++i) sum[i] += static_cast<float>(stem[i]) / 32768.0f;
    }
    std::string name = set + "-" + song.name;
    std::ranges::replace(name, '/', '_');
    const auto writer = audio::AudioWriter::open((fs::path(out) / (name + ".flac")).string(),
                                                 {.sample_rate_hz = song.sample_rate_hz, .force = true});
    writer->write(sum);
    writer->finish();
  }
}

std::string plot(const std::vector<SourceProfile>& first, const std::vector<SourceProfile>& second,
                 const std::vector<std::string>& names) {
  std::vector<eval::Panel> panels;
  for (size_t s = 0; s < first.size(); ++s) {
    eval::Panel panel{.title = first[s].source,
                      .x_label = "octave, Hz",
                      .y_label = "share of energy, dB",
                      .log_x = true};
    int color = 0;
    for (const SourceProfile* profile : {&first[s], &second[s]}) {
      const auto curve = [&](const char* name, auto member, bool dashed) {
        eval::Series series{.name = name, .color = color, .markers = !dashed, .dashed = dashed};
        for (size_t k = 0; k < dataset::kOctaveHz.size(); ++k) {
          series.points.emplace_back(dataset::kOctaveHz[k], profile->octave_db[k].*member);
        }
        panel.series.push_back(std::move(series));
      };
      curve(names[static_cast<size_t>(color)].c_str(), &dataset::Spread::median, false);
      curve("", &dataset::Spread::low, true);
      curve("", &dataset::Spread::high, true);
      ++color;
    }
    panels.push_back(std::move(panel));
  }
  return eval::svg_plot(panels, 2);
}

}  // namespace

int run_data_compare(const std::vector<std::string>& arguments) {
  Command command("vqdata", "compare FIRST SECOND [options]", 2, kRest);
  auto add = command.options.add_options();
  add("sources", po::value<std::string>()->default_value("vocals,bass,drums,other"), "sources to compare");
  add("max-songs", po::value<size_t>()->default_value(0)->value_name("N"),
      "so many of each set, spread over it; 0 = all");
  add("max-seconds", po::value<double>()->default_value(0)->value_name("X"), "read no more of each song, 0 = all");
  add("svg", po::value<std::string>()->value_name("FILE"), "write a plot of the octaves: medians, and tenths dashed");
  add("excerpts", po::value<std::string>()->value_name("DIR"), "write an excerpt of every song");
  add("excerpt-seconds", po::value<int>()->default_value(30)->value_name("N"), "length of excerpts, 1 to 600");
  add("threads", po::value<int>()->default_value(0)->value_name("N"), "0 = one a core");
  add("json", "print JSON instead of tables");
  add("quiet,q", "print nothing but errors (and --json)");
  add("help,h", "this text");
  Values values;
  if (!command.parse(arguments, values)) return 0;
  const auto& inputs = values["input"].as<std::vector<std::string>>();
  if (inputs.size() != 2) throw Error(ExitCode::kUsage, "expected two sets; see " + command.help_hint());
  const int excerpt_seconds = values["excerpt-seconds"].as<int>();
  if (excerpt_seconds < 1 || excerpt_seconds > 600)
    throw Error(ExitCode::kUsage, "--excerpt-seconds: expected 1 to 600");
  const double max_seconds = values["max-seconds"].as<double>();
  if (!(max_seconds >= 0 && max_seconds <= 1e6)) throw Error(ExitCode::kUsage, "--max-seconds: expected 0 to 1000000");

  dataset::ProfileOptions options;
  options.sources = comma_list(values, "sources");
  options.num_threads = threads(values);
  std::vector<std::vector<SourceProfile>> profiles;
  for (const std::string& input : inputs) {
    const std::vector<Song> songs = load(input, options.sources, values["max-songs"].as<size_t>(), values);
    profiles.push_back(dataset::profile_songs(songs, options));
    if (flag(values, "excerpts")) write_excerpts(songs, input, text(values, "excerpts"), excerpt_seconds);
  }
  if (flag(values, "svg")) {
    const std::string svg = plot(profiles[0], profiles[1], {set_name(inputs[0]), set_name(inputs[1])});
    AtomicFile file(text(values, "svg"), /*force=*/true);
    file.write(svg.data(), svg.size());
    file.commit();
  }
  if (flag(values, "json")) {
    nlohmann::ordered_json json = {{"first", {{"set", inputs[0]}, {"sources", nlohmann::json::array()}}},
                                   {"second", {{"set", inputs[1]}, {"sources", nlohmann::json::array()}}}};
    for (const auto& profile : profiles[0]) json["first"]["sources"].push_back(to_json(profile));
    for (const auto& profile : profiles[1]) json["second"]["sources"].push_back(to_json(profile));
    print(json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  } else if (!flag(values, "quiet")) {
    print(dataset::compare_table(profiles[0], profiles[1]));
  }
  return 0;
}

}  // namespace vqcodec::apps
