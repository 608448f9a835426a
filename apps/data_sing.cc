// vqdata sing: one melody of a MIDI file, sung, for the ear.
#include <charconv>
#include <chrono>
#include <cstdio>
#include <map>

#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "apps/data_commands.h"
#include "audio/writer.h"
#include "base/error.h"
#include "dataset/midi.h"
#include "dataset/singing.h"

namespace vqcodec::apps {

namespace {

namespace po = boost::program_options;
using dataset::MidiNote;
using dataset::MidiSong;

const char* sex_of(const dataset::SpeechVoice& voice) {
  return voice.sex() == dataset::Sex::kFemale ? "female" : "male";
}

void list_voices(bool as_json) {
  const auto voices = dataset::installed_voices();
  if (voices.empty()) throw Error(ExitCode::kIo, dataset::Singer::missing());
  std::string lines;
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const auto& voice : voices) {
    char line[160];
    std::snprintf(line, sizeof line, "%-34s %s\n", voice->name().c_str(), sex_of(*voice));
    lines += line;
    list.push_back({{"voice", voice->name()}, {"sex", sex_of(*voice)}});
  }
  print(as_json ? list.dump(2) + "\n" : lines);
}

// The notes of `channel` (1 to 16), or with 0 of the track that is named as a melody, or of the only channel there is.
std::vector<dataset::SungNote> choose_notes(const MidiSong& song, int channel, const std::string& path) {
  std::map<int, size_t> channels;  // how many notes each has
  bool has_melody = false;
  const auto is_melody = [&](const MidiNote& note) {
    return dataset::midi_group(song, note, true) == dataset::MidiGroup::kMelody;
  };
  for (const MidiNote& note : song.notes) {
    ++channels[note.channel + 1];
    has_melody = has_melody || is_melody(note);
  }
  if (song.notes.empty()) throw Error(ExitCode::kBadFile, path + ": has no notes");
  std::string list;
  for (const auto& [number, count] : channels) {
    list += (list.empty() ? "" : ", ") + std::to_string(number) + " (" + std::to_string(count) + " notes)";
  }
  if (channel == 0 && !has_melody && channels.size() > 1) {
    throw Error(ExitCode::kUsage, path + ": no track is named as a melody; say --channel: there are " + list);
  }
  if (channel > 0 && !channels.contains(channel)) {
    throw Error(ExitCode::kUsage, path + ": channel " + std::to_string(channel) + " has no notes; there are " + list);
  }
  std::vector<dataset::SungNote> notes;
  for (const MidiNote& note : song.notes) {
    if (channel > 0 ? note.channel + 1 != channel : has_melody && !is_melody(note)) continue;
    notes.push_back(
        {note.start_seconds, note.end_seconds - note.start_seconds, static_cast<double>(note.key), note.velocity});
  }
  return notes;
}

}  // namespace

int run_data_sing(const std::vector<std::string>& arguments) {
  Command command("vqdata", "sing MELODY.mid -o VOICE.wav [options]", 1,
                  "\nSings what the melody track of a MIDI file plays (one with \"melody\", \"vocal\" or \"voice\" in "
                  "its name, as those of\nvqdata compose) or what --channel plays, to WAV or FLAC, 44.1 kHz stereo, "
                  "dry. The singing is synthetic: words spoken\nby a text-to-speech program, at the pitch and length "
                  "of the notes. Of notes that sound together the highest is sung.\nThe same command gives the same "
                  "file on machines with the same voices.\n"
                  "\nThe voices are those of espeak-ng and Festival, as far as they are installed (Debian: espeak-ng; "
                  "festival with\nfestvox-us-slt-hts, festvox-kallpc16k, festvox-kdlpc16k).\n"
                  "\nExamples:\n"
                  "  vqdata sing --list-voices\n"
                  "  vqdata sing song-000000.mid -o voice.wav\n"
                  "  vqdata sing song.mid -o voice.flac --channel 4 --voice festival:cmu_us_slt_arctic_hts\n"
                  "  vqdata sing song.mid -o chorus.wav --doubles 2 --harmony 2,-5 --seed 7\n");
  command.options.add_options()("out,o", po::value<std::string>()->value_name("FILE"),
                                "the voice: .wav or .flac")("channel",
                                                            po::value<int>()->default_value(0)->value_name("N"),
                                                            "MIDI channel, 1 to 16; 0 = the melody track")(
      "voice", po::value<std::string>()->value_name("NAME"),
      "of --list-voices (default: drawn by the seed)")("list-voices", "print the voices that are installed")(
      "seed", po::value<uint64_t>()->default_value(1)->value_name("S"),
      "another seed, other words and voice")("drawn", "draw all that makes a voice by the seed, as vqdata render does")(
      "formants", po::value<double>()->value_name("RATIO"),
      "0.7 to 1.4: over 1 a smaller singer")("vibrato", po::value<double>()->value_name("CENTS"),
                                             "0 to 200")("doubles", po::value<int>()->value_name("N"),
                                                         "0 to 4 more takes, to the sides")(
      "harmony", po::value<std::string>()->value_name("A,B"),
      "more parts, steps of the scale above the melody: 2 a third, -5 a sixth below, 7 an octave")(
      "force", "replace a file that is there")("json", "print what was sung as JSON")(
      "quiet,q", "print nothing but errors (and --json)")("help,h", "print this");
  Values values;
  if (!command.parse(arguments, values, false)) return 0;
  if (flag(values, "list-voices")) {
    list_voices(flag(values, "json"));
    return 0;
  }
  if (!flag(values, "input")) throw Error(ExitCode::kUsage, "the MIDI file is missing; see " + command.help_hint());
  const std::string out = text(values, "out");
  if (out.empty()) throw Error(ExitCode::kUsage, "-o FILE is missing; see " + command.help_hint());
  const int channel = values["channel"].as<int>();
  if (channel < 0 || channel > 16) throw Error(ExitCode::kUsage, "--channel: expected 1 to 16");
  const uint64_t seed = values["seed"].as<uint64_t>();

  dataset::VoiceOptions options;
  if (flag(values, "drawn")) options = dataset::random_voice_options(seed);
  options.voice = text(values, "voice");
  if (flag(values, "formants")) options.formant_ratio = values["formants"].as<double>();
  if (flag(values, "vibrato")) options.vibrato_cents = values["vibrato"].as<double>();
  if (flag(values, "doubles")) options.num_doubles = values["doubles"].as<int>();
  if (flag(values, "harmony")) {
    options.harmonies.clear();
    options.harmony_share = 1;
    for (const std::string& steps : comma_list(values, "harmony")) {
      int value = 0;
      const auto [end, error] = std::from_chars(steps.data(), steps.data() + steps.size(), value);
      if (error != std::errc() || end != steps.data() + steps.size()) {
        throw Error(ExitCode::kUsage, "--harmony: expected steps such as 2 or 2,-5; got \"" + steps + "\"");
      }
      options.harmonies.push_back(
          {.scale_steps = value, .gain_db = -8, .pan = options.harmonies.size() % 2 == 0 ? 0.4 : -0.4});
    }
  }

  const std::string path = values["input"].as<std::vector<std::string>>()[0];
  const std::vector<dataset::SungNote> notes = choose_notes(dataset::read_midi(path), channel, path);
  const dataset::Singer singer;
  const std::string voice = singer.voice(options, seed).name();
  const auto writer = audio::AudioWriter::open(out, {.force = flag(values, "force")});
  const auto begin = std::chrono::steady_clock::now();
  const std::vector<float> samples = singer.sing(notes, options, seed);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  writer->write(samples);
  writer->finish();

  const double seconds = static_cast<double>(samples.size() / 2) / dataset::kSungHz;
  if (flag(values, "json")) {
    const nlohmann::ordered_json json = {{"voice", voice},
                                         {"notes", notes.size()},
                                         {"seconds", seconds},
                                         {"seconds_taken", taken.count()}};
    print(json.dump(2) + "\n");
  } else if (!flag(values, "quiet") && out != "-") {
    char line[200];
    std::snprintf(line, sizeof line, "%zu notes, %.1f s, sung by %s in %.1f s\n", notes.size(), seconds, voice.c_str(),
                  taken.count());
    print(line);
  }
  return 0;
}

}  // namespace vqcodec::apps
