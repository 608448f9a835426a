// vqdata render: MIDI songs become stems.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <memory>

#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "apps/data_commands.h"
#include "base/error.h"
#include "base/progress.h"
#include "dataset/render_set.h"
#include "dataset/singing.h"

namespace vqcodec::apps {

namespace {

namespace po = boost::program_options;
using dataset::RenderSetReport;

constexpr const char* kRest = R"(
Every MIDI file becomes N songs OUT/<song>-<variant>/{vocals,bass,drums,other}.flac (a silent stem has no file) with a
song.json: fonts and presets, transposition, tempo, tuning, effects, levels, licence, beats and, for songs of vqdata
compose, chords and sections, all in seconds of the audio. Parts on channel 10 are drums, those of the General MIDI
programs 33 to 40 (counted from 1) bass, the rest other; a track named as a melody, vocal or voice is sung when voices
are installed. For each song and variant the seed decides on font, preset, transposition, tempo, tuning, velocities,
drum takes, effects and levels. The same command writes the same files on any number of threads. Songs that are there
and were made with the same settings are kept, so a command that was stopped goes on where it was.

--soundfont FILE takes a font whose programs are those of General MIDI. A font of one instrument needs a role, or it is
taken for a piano: --soundfont bass=FILE. Roles: drums, bass, guitar, keys, mallets, organ, strings, brass, winds, synth,
rest, other (all but drums and bass), all. --soundfonts FILE is a role map:
  {"fonts": [{"file": "gm.sf2", "weight": 2},
             {"file": "jazzbass.sf2", "roles": ["bass"], "direct": true, "low_key": 28, "high_key": 67,
              "presets": [[0, 33], [1, 33]], "round_robin": true, "licence": "CC0-1.0"}],
   "synth_bass": {"share": 0.2, "pulsed_share": 0.3}}
"direct" is the signal of a pickup, which gets an amplifier; "presets" ([bank, program]) play whatever the part's program
is; with "round_robin" they change from note to note. Other keys: "gain_db", "attribution".

A MIDI file that is damaged or has nothing to play is told of and skipped. Exit codes: 0 ok, 1 usage, 2 input or output,
3 a MIDI file was skipped or a font or role map is bad, 5 internal.

Examples:
  vqdata render songs --out set --soundfont /usr/share/sounds/sf2/FluidR3_GM.sf2
  vqdata render songs --out set --soundfonts roles.json --groove groove --variants 4 --max-seconds 180
  vqdata render song.mid --out set --soundfont gm.sf2 --soundfont bass,guitar=strings.sf2 --format wav --seed 7
)";

double number(std::string_view text, const char* name, const char* expected) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw Error(ExitCode::kUsage,
                std::string("--") + name + ": expected " + expected + ", got \"" + std::string(text) + "\"");
  }
  return value;
}

double share(const Values& values, const char* name) {
  const double value = values[name].as<double>();
  if (!(value >= 0 && value <= 1)) throw Error(ExitCode::kUsage, std::string("--") + name + ": expected 0 to 1");
  return value;
}

std::string to_text(const RenderSetReport& report, double wall_seconds) {
  std::string text = std::to_string(report.num_rendered) + " songs rendered, " + format_duration(report.audio_seconds);
  if (report.num_kept > 0) text += "; " + std::to_string(report.num_kept) + " were there already";
  text += "\n";
  if (report.num_rendered > 0) {
    char line[200];
    std::snprintf(line, sizeof line, "%.1f times real time a core, %.1f hours of songs an hour\n",
                  report.audio_seconds / report.thread_seconds, report.audio_seconds / wall_seconds);
    text += line;
    for (size_t group = 0; group < 4; ++group) {
      if (report.stem_seconds[group] == 0) continue;
      text += std::string(dataset::kRenderGroups[group]) + ": " + format_duration(report.stem_seconds[group]) + "\n";
    }
  }
  if (!report.skipped.empty()) text += std::to_string(report.skipped.size()) + " MIDI files were skipped\n";
  return text;
}

nlohmann::ordered_json to_json(const RenderSetReport& report, double wall_seconds) {
  nlohmann::ordered_json stems;
  for (size_t group = 0; group < 4; ++group) stems[dataset::kRenderGroups[group]] = report.stem_seconds[group];
  return {{"rendered", report.num_rendered},
          {"kept", report.num_kept},
          {"sung", report.num_sung},
          {"skipped", report.skipped},
          {"audio_seconds", report.audio_seconds},
          {"stem_seconds", stems},
          {"cpu_seconds", report.thread_seconds},
          {"wall_seconds", wall_seconds},
          {"times_real_time_a_core", report.num_rendered > 0 ? report.audio_seconds / report.thread_seconds : 0}};
}

}  // namespace

int run_data_render(const std::vector<std::string>& arguments) {
  Command command("vqdata", "render MIDI... --out DIR --soundfont FILE [options]", -1, kRest);
  auto add = command.options.add_options();
  const auto word = [] { return po::value<std::string>(); };
  add("out,o", word()->value_name("DIR"), "folder for the songs, made if it is not there");
  add("soundfont", po::value<std::vector<std::string>>()->composing()->value_name("[ROLES=]FILE"),
      "an SF2 or SF3 file; again for more");
  add("soundfonts", word()->value_name("FILE"), "role map (JSON), see below");
  add("variants", po::value<int>()->default_value(1)->value_name("N"), "songs to make of each MIDI file, 1 to 10000");
  add("seed", po::value<uint64_t>()->default_value(1)->value_name("S"), "another seed, other draws");
  add("max-seconds", po::value<double>()->default_value(600)->value_name("X"), "longer songs are cut; 1 to 1800");
  add("transpose", po::value<int>()->default_value(3)->value_name("N"),
      "at most so many semitones up or down, 0 to 12");
  add("tempo", word()->default_value("0.9,1.1")->value_name("MIN,MAX"), "factors of the songs' tempi, 0.25 to 4");
  add("tuning", po::value<double>()->default_value(12)->value_name("CENTS"), "at most so much up or down, 0 to 100");
  add("groove", word()->value_name("DIR"), "drum takes (MIDI) that are laid under songs instead of their drums");
  add("groove-share", po::value<double>()->default_value(0.5)->value_name("P"), "share of songs with a take, 0 to 1");
  add("synth-bass", po::value<double>()->value_name("P"),
      "share of basses that a synthesizer plays, 0 to 1 (default: the "
      "role map's, else 0)");
  add("pulsed", po::value<double>()->value_name("P"), "share of these that are pulsed sub-basses, 0 to 1 (likewise)");
  add("sing", po::value<double>()->default_value(1)->value_name("P"),
      "share of melodies that are sung, 0 to 1, if voices are installed");
  add("licence", word()->value_name("TEXT"), "of the songs; otherwise what LICENSE or licence.json beside a file says");
  add("format", word()->default_value("flac")->value_name("NAME"), "flac or wav, 16 bits");
  add("force", "render also songs that are there already");
  add("threads", po::value<int>()->default_value(0)->value_name("N"),
      "songs at once, 0 = one a core; each takes about "
      "2 MB a second of song");
  add("json", "print what was done as JSON");
  add("quiet,q", "print nothing but errors (and --json)");
  add("help,h", "this text");
  Values values;
  if (!command.parse(arguments, values, false)) return 0;
  if (!flag(values, "input")) throw Error(ExitCode::kUsage, "no MIDI file is given; see " + command.help_hint());
  if (text(values, "out").empty()) throw Error(ExitCode::kUsage, "--out is missing; see " + command.help_hint());
  const bool quiet = flag(values, "quiet");

  dataset::RenderSetOptions options;
  options.inputs = values["input"].as<std::vector<std::string>>();
  options.out = text(values, "out");
  options.format = text(values, "format");
  options.num_variants = values["variants"].as<int>();
  options.licence = text(values, "licence");
  options.num_threads = threads(values);
  options.force = flag(values, "force");
  dataset::RenderOptions& render = options.render;
  render.seed = values["seed"].as<uint64_t>();
  render.max_seconds = values["max-seconds"].as<double>();
  render.max_transpose = values["transpose"].as<int>();
  const std::string tempo = text(values, "tempo");
  const size_t comma = tempo.find(',');
  constexpr const char* kTempo = "two factors such as 0.9,1.1, or one";
  render.min_tempo = number(std::string_view(tempo).substr(0, comma), "tempo", kTempo);
  render.max_tempo = comma == std::string::npos ? render.min_tempo
                                                : number(std::string_view(tempo).substr(comma + 1), "tempo", kTempo);
  render.max_tuning_cents = values["tuning"].as<double>();
  render.groove_share = share(values, "groove-share");
  dataset::RoleMap map;
  if (flag(values, "soundfonts")) map = dataset::read_role_map(text(values, "soundfonts"));
  if (flag(values, "soundfont")) {
    for (const std::string& font : values["soundfont"].as<std::vector<std::string>>()) {
      map.fonts.push_back(dataset::parse_font_argument(font));
    }
  }
  render.synth_bass_share = flag(values, "synth-bass") ? share(values, "synth-bass") : map.synth_bass_share;
  render.pulsed_share = flag(values, "pulsed") ? share(values, "pulsed") : map.pulsed_share;
  if (map.fonts.empty() && render.synth_bass_share == 0) {
    throw Error(ExitCode::kUsage,
                "no soundfont is given (--soundfont FILE or --soundfonts FILE); Debian's package "
                "fluid-soundfont-gm has one");
  }
  render.sing_share = share(values, "sing");
  std::unique_ptr<dataset::Singer> singer;
  if (render.sing_share > 0 && dataset::Singer::available()) {
    singer = std::make_unique<dataset::Singer>();
    options.singer = "vqcodec";
    for (const auto& voice : singer->voices()) options.singer += " " + voice->name();
    render.sing = [&singer](std::span<const dataset::SynthNote> melody, int scale_tonic, uint64_t seed) {
      std::vector<dataset::SungNote> notes;
      for (const dataset::SynthNote& note : melody) {
        notes.push_back({note.start_seconds, note.seconds, static_cast<double>(note.key), note.velocity});
      }
      dataset::VoiceOptions voice = dataset::random_voice_options(seed);
      voice.scale_tonic = scale_tonic;
      return singer->sing(notes, voice, seed);
    };
  }
  dataset::check(render);  // before fonts are loaded, which takes seconds

  const auto start = std::chrono::steady_clock::now();
  const auto remark = [quiet](const std::string& line) {
    if (!quiet) std::fprintf(stderr, "vqdata: %s\n", line.c_str());
  };
  options.on_remark = [](const std::string& line) { std::fprintf(stderr, "vqdata: %s\n", line.c_str()); };
  std::unique_ptr<dataset::GrooveSet> grooves;
  if (flag(values, "groove")) grooves = std::make_unique<dataset::GrooveSet>(text(values, "groove"), remark);
  const dataset::FontLibrary fonts(map.fonts);
  RenderSetReport report;
  {
    Progress progress("rendering songs", quiet);
    options.on_progress = [&progress](size_t done, size_t total) {
      progress.update(static_cast<double>(done), static_cast<double>(total));
    };
    report = dataset::render_set(options, fonts, grooves.get());
  }
  const double wall_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (flag(values, "json")) {
    print(to_json(report, wall_seconds).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  } else if (!quiet) {
    print(to_text(report, wall_seconds));
  }
  return static_cast<int>(report.skipped.empty() ? ExitCode::kOk : ExitCode::kBadFile);
}

}  // namespace vqcodec::apps
