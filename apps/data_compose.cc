// vqdata compose: new songs as MIDI, with what is known about them beside each.
#include <atomic>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <optional>

#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "apps/data_commands.h"
#include "base/atomic_file.h"
#include "base/error.h"
#include "base/progress.h"
#include "dataset/compose.h"
#include "dataset/compose_statistics.h"
#include "runtime/thread_pool.h"

namespace vqcodec::apps {

namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;
using dataset::ComposeStatistics;
using dataset::share;
using nlohmann::ordered_json;

constexpr uint64_t kMaxSongs = 10'000'000;

struct Settings {
  std::string out;
  uint64_t count = 0, first = 0, seed = 1;
  bool force = false, keep = false;
  dataset::ComposeOptions options;
};

std::string number(const char* format, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

// "90,210" or "120".
void read_seconds(const std::string& text, dataset::ComposeOptions& options) {
  const auto fail = [&] {
    throw Error(ExitCode::kUsage,
                "--seconds: expected a length such as 120, or two such as 90,210; got \"" + text + "\"");
  };
  const auto read = [&](std::string_view part) {
    double value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc() || end != part.data() + part.size()) fail();
    return value;
  };
  const size_t comma = text.find(',');
  options.min_seconds = read(std::string_view(text).substr(0, comma));
  options.max_seconds =
      comma == std::string::npos ? options.min_seconds : read(std::string_view(text).substr(comma + 1));
}

std::string stem_of(const Settings& settings, uint64_t index) {
  char name[64];
  std::snprintf(name, sizeof name, "/song-%06llu", static_cast<unsigned long long>(index));
  return settings.out + name;
}

void write_file(const std::string& path, const void* bytes, size_t size, bool force) {
  AtomicFile file(path, force);
  file.write(bytes, size);
  file.commit(false);
}

// True when both files of the song are there. They must then be of this seed.
bool is_there(const Settings& settings, uint64_t index) {
  const std::string stem = stem_of(settings, index);
  if (!fs::exists(stem + ".mid") || !fs::exists(stem + ".json")) return false;
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen((stem + ".json").c_str(), "rb"), &std::fclose);
  if (file == nullptr) throw Error(ExitCode::kIo, stem + ".json: cannot be read");
  std::string text;
  char block[65536];
  while (const size_t count = std::fread(block, 1, sizeof block, file.get())) text.append(block, count);
  const dataset::SongAnnotations song = dataset::annotations_from_json(text, stem + ".json");
  if (song.seed != settings.seed || song.index != index) {
    throw Error(ExitCode::kUsage, stem + ".json: is song " + std::to_string(song.index) + " of seed " +
                                      std::to_string(song.seed) + ", not " + std::to_string(index) + " of seed " +
                                      std::to_string(settings.seed) + "; use another folder, or --force to replace it");
  }
  return true;
}

void prepare_folder(const Settings& settings) {
  std::error_code error;
  const bool is_new = fs::create_directories(settings.out, error);
  if (error || !fs::is_directory(settings.out)) {
    throw Error(ExitCode::kIo, settings.out + ": cannot be made a folder" + (error ? ": " + error.message() : ""));
  }
  if (is_new || settings.force || settings.keep) return;
  // Before any work, not after half of it.
  for (uint64_t i = 0; i < settings.count; ++i) {
    for (const char* extension : {".json", ".mid"}) {
      const std::string path = stem_of(settings, settings.first + i) + extension;
      if (!fs::exists(path)) continue;
      throw Error(ExitCode::kUsage, path + " exists; --force replaces songs, --continue keeps those that are there");
    }
  }
}

ordered_json to_json(const ComposeStatistics& s, uint64_t num_kept) {
  ordered_json groups = ordered_json::object();
  for (const auto& [name, part] : s.groups) {
    groups[name] = {{"songs", part.num_songs},
                    {"notes_per_second", static_cast<double>(part.num_notes) / part.song_seconds},
                    {"silent_share", part.silent_seconds / part.song_seconds}};
  }
  return {{"songs", s.num_songs},
          {"kept", num_kept},
          {"seconds", s.seconds},
          {"bass_chord_tone_share_on_strong_beats", share(s.strong_bass_tones, s.strong_bass_notes)},
          {"bass_chord_tone_share_on_beats", share(s.beat_bass_tones, s.beat_bass_notes)},
          {"chords_begun_by_root_share", share(s.chords_begun_by_root, s.chords_with_bass)},
          {"kicks_with_bass_share", share(s.kicks_with_bass, s.kicks)},
          {"bass_bars", s.bass_bars},
          {"distinct_bass_rhythms", s.bass_rhythms.size()},
          {"distinct_drum_bars", s.drum_bars.size()},
          {"groups", groups},
          {"styles", s.styles},
          {"meters", s.meters},
          {"tonics", s.tonics},
          {"modes", s.modes},
          {"chord_qualities", s.chord_qualities}};
}

std::string to_text(const ComposeStatistics& s) {
  std::string text = std::to_string(s.num_songs) + " songs, " + format_duration(s.seconds) + "\n";
  if (s.num_songs == 0) return text;
  text += "bass notes that are tones of the chord: " +
          number("%.1f %% on strong beats, ", 100 * share(s.strong_bass_tones, s.strong_bass_notes)) +
          number("%.1f %% on all beats\n", 100 * share(s.beat_bass_tones, s.beat_bass_notes)) +
          "chords begun by their root or bass: " +
          number("%.1f %%\n", 100 * share(s.chords_begun_by_root, s.chords_with_bass)) +
          "bass drums with a bass note: " + number("%.1f %%\n", 100 * share(s.kicks_with_bass, s.kicks)) +
          "different rhythms of the bass in " + std::to_string(s.bass_bars) +
          " bars: " + std::to_string(s.bass_rhythms.size()) +
          "; different bars of the drums: " + std::to_string(s.drum_bars.size()) + "\n";
  for (const auto& [name, part] : s.groups) {
    text += name + ": in " + std::to_string(part.num_songs) + " songs, " +
            number("%.2f notes a second, ", static_cast<double>(part.num_notes) / part.song_seconds) +
            number("silent for %.0f %%\n", 100 * part.silent_seconds / part.song_seconds);
  }
  const auto list = [&](const char* what, const std::map<std::string, int64_t>& counts) {
    text += what;
    for (const auto& [name, count] : counts)
      text += (name.empty() ? std::string(" major") : " " + name) + " " + std::to_string(count);
    text += "\n";
  };
  list("styles:", s.styles);
  list("meters:", s.meters);
  list("tonics:", s.tonics);
  list("modes:", s.modes);
  list("chords:", s.chord_qualities);
  return text;
}

}  // namespace

int run_data_compose(const std::vector<std::string>& arguments) {
  std::string styles;
  for (const std::string& name : dataset::compose_styles()) styles += (styles.empty() ? "" : ", ") + name;
  const std::string rest =
      "\nWrites DIR/song-000000.mid and so on, General MIDI with one track a part (the track \"Melody\" is meant to be "
      "sung), and\n"
      "beside each a .json with key, tempo, meter, beat times, chords and sections. A song depends on its number, "
      "--seed,\n"
      "--style and --seconds alone: the same command gives the same files on any machine, and --first goes on where "
      "an\n"
      "earlier command ended.\n\nStyles: " +
      styles +
      "\n\nExamples:\n"
      "  vqdata compose --out songs --count 1000\n"
      "  vqdata compose --out songs --count 1000 --first 1000 --seed 1\n"
      "  vqdata compose --out reggae --count 20 --style reggae,soul --seconds 60,90 --seed 7 --json\n";
  Command command("vqdata", "compose --out DIR --count N [options]", 0, rest.c_str());
  command.options.add_options()("out", po::value<std::string>()->required()->value_name("DIR"),
                                "folder for the songs, made if it is not there")(
      "count", po::value<uint64_t>()->required()->value_name("N"), "how many songs, 1 to 10000000")(
      "first", po::value<uint64_t>()->default_value(0)->value_name("N"),
      "number of the first song")("seed", po::value<uint64_t>()->default_value(1)->value_name("S"),
                                  "another seed, other songs")("style", po::value<std::string>()->value_name("A,B"),
                                                               "only these styles (default: all, evenly)")(
      "seconds", po::value<std::string>()->default_value("90,210")->value_name("MIN,MAX"),
      "lengths, met to a few bars; 10 to 3600")("force", "replace songs that are there")(
      "continue", "keep songs that are there, and write the others")("json", "print what was composed as JSON")(
      "threads", po::value<int>()->default_value(0)->value_name("N"),
      "0 = one a core")("quiet,q", "print nothing but errors (and --json)")("help,h", "print this");
  Values values;
  if (!command.parse(arguments, values)) return 0;
  Settings settings;
  settings.out = text(values, "out");
  settings.count = values["count"].as<uint64_t>();
  settings.first = values["first"].as<uint64_t>();
  settings.seed = values["seed"].as<uint64_t>();
  settings.force = flag(values, "force");
  settings.keep = flag(values, "continue");
  settings.options.styles = comma_list(values, "style");
  read_seconds(text(values, "seconds"), settings.options);
  if (settings.count < 1 || settings.count > kMaxSongs)
    throw Error(ExitCode::kUsage, "--count: expected 1 to 10000000");
  if (settings.first > 1'000'000'000'000) throw Error(ExitCode::kUsage, "--first: expected at most 1000000000000");
  if (settings.force && settings.keep) throw Error(ExitCode::kUsage, "--force and --continue contradict each other");
  if (settings.out.empty()) throw Error(ExitCode::kUsage, "--out: expected a folder");
  const bool quiet = flag(values, "quiet");
  runtime::ThreadPool pool(threads(values));
  dataset::compose_song(settings.seed, settings.first,
                        settings.options);  // what is wrong with the options is said before a folder is made
  prepare_folder(settings);

  ComposeStatistics statistics;
  uint64_t num_kept = 0, num_done = 0;
  std::mutex mutex;
  {
    Progress progress("composing", quiet);
    pool.parallel_for(static_cast<int64_t>(settings.count), 8, [&](int64_t begin, int64_t end) {
      ComposeStatistics part;
      uint64_t kept = 0;
      for (int64_t i = begin; i < end; ++i) {
        const uint64_t index = settings.first + static_cast<uint64_t>(i);
        if (settings.keep && is_there(settings, index)) {
          ++kept;
          continue;
        }
        const dataset::ComposedSong song = dataset::compose_song(settings.seed, index, settings.options);
        const std::string json = dataset::annotations_to_json(song.annotations);
        const std::vector<uint8_t> midi = dataset::write_midi(song.midi);
        const std::string stem = stem_of(settings, index);
        const bool replace = settings.force || settings.keep;
        // The MIDI file last: where it is, all is.
        write_file(stem + ".json", json.data(), json.size(), replace);
        write_file(stem + ".mid", midi.data(), midi.size(), replace);
        part.add(song);
      }
      const std::lock_guard lock(mutex);
      statistics.add(part);
      num_kept += kept;
      num_done += static_cast<uint64_t>(end - begin);
      progress.update(static_cast<double>(num_done), static_cast<double>(settings.count));
    });
  }
  if (flag(values, "json")) {
    print(to_json(statistics, num_kept).dump(2) + "\n");
  } else if (!quiet) {
    print((num_kept > 0 ? std::to_string(num_kept) + " songs were there already\n" : "") + to_text(statistics));
  }
  return 0;
}

}  // namespace vqcodec::apps
