#include "dataset/compose.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "dataset/compose_parts.h"

namespace vqcodec::dataset {

namespace {

using namespace compose;
using nlohmann::ordered_json;

constexpr int kFirstCompChannel = 2, kMelodyChannel = 0, kBassChannel = 1, kLeadChannel = 7;
constexpr uint8_t kVolume = 7, kPan = 10, kReverb = 91;

const Style& choose_style(const ComposeOptions& options, Dice& dice) {
  const std::vector<Style>& all = styles();
  if (options.styles.empty()) return all[static_cast<size_t>(dice.below(static_cast<int>(all.size())))];
  const std::string& name = options.styles[static_cast<size_t>(dice.below(static_cast<int>(options.styles.size())))];
  return *std::ranges::find_if(all, [&](const Style& style) { return name == style.name; });
}

void check_options(const ComposeOptions& options) {
  for (const std::string& name : options.styles) {
    if (std::ranges::any_of(styles(), [&](const Style& style) { return name == style.name; })) continue;
    std::string known;
    for (const Style& style : styles()) known += (known.empty() ? "" : ", ") + std::string(style.name);
    throw Error(ExitCode::kUsage, "there is no style \"" + name + "\"; the styles are " + known);
  }
  const bool is_ordered = options.min_seconds <= options.max_seconds;
  if (!is_ordered || !(options.min_seconds >= kMinComposedSeconds) || !(options.max_seconds <= kMaxComposedSeconds)) {
    throw Error(ExitCode::kUsage, "songs last 10 to 3600 seconds, the shortest first, such as 90,210");
  }
}

// Whole numbers here too: a song's bytes depend on every tick.
class Timing {
 public:
  explicit Timing(const Plan& plan) : swing_(plan.swing_ticks), unit_(plan.style->swing_step * kStep) {}

  // Of two notes of the swung length the second is late; everything between moves along.
  int64_t swung(int64_t tick) const {
    if (swing_ == 0) return tick;
    const int64_t pair = tick / (2 * unit_) * (2 * unit_), inside = tick - pair;
    if (inside <= unit_) return pair + inside * (unit_ + swing_) / unit_;
    return pair + unit_ + swing_ + (inside - unit_) * (unit_ - swing_) / unit_;
  }

 private:
  int64_t swing_, unit_;
};

struct Track {
  std::string name;
  int channel, program, level, pan, reverb;
  bool is_strict;  // drums and bass hold the time
  PartNotes notes;
};

void add_track(MidiSong& midi, const Plan& plan, Track track, Dice dice) {
  if (track.notes.empty()) return;
  const auto index = static_cast<uint16_t>(midi.track_names.size());
  midi.track_names.push_back(track.name);
  const auto channel = static_cast<uint8_t>(track.channel);
  const auto control = [&](MidiControlKind kind, uint8_t number, int value) {
    midi.controls.push_back(
        {.track = index, .kind = kind, .channel = channel, .number = number, .value = static_cast<int16_t>(value)});
  };
  control(MidiControlKind::kProgram, 0, track.program);
  control(MidiControlKind::kController, kVolume, track.level);
  control(MidiControlKind::kController, kPan, track.pan);
  control(MidiControlKind::kController, kReverb, track.reverb);

  const Timing timing(plan);
  const int loose = track.is_strict ? plan.looseness * 2 / 3 : plan.looseness;
  // A player is early or late as a habit.
  const int habit = dice.spread(std::max(1, plan.looseness / 2)) + (plan.looseness > 0 ? plan.looseness / 2 : 0);
  const int64_t song_end = plan.bar_start(plan.num_bars);
  std::vector<MidiNote> notes;
  for (const PartNote& note : track.notes) {
    const int64_t length = timing.swung(note.end) - timing.swung(note.start);
    // The first beat of the song cannot come early.
    const int64_t start = std::max<int64_t>(0, timing.swung(note.start) + note.late_ticks + habit + dice.spread(loose));
    const int64_t end = std::min(song_end, start + std::max<int64_t>(20, length + dice.spread(loose)));
    notes.push_back({.start_ticks = start,
                     .end_ticks = std::max(end, start + 10),
                     .track = index,
                     .channel = channel,
                     .key = static_cast<uint8_t>(note.key),
                     .velocity = static_cast<uint8_t>(std::clamp(note.velocity + dice.spread(loose / 3), 1, 127)),
                     .program = static_cast<uint8_t>(track.program)});
  }
  std::ranges::stable_sort(notes, {}, &MidiNote::start_ticks);
  // A key is struck again only after it was released, and not twice at once.
  std::array<size_t, 128> last;
  last.fill(SIZE_MAX);
  std::vector<bool> is_kept(notes.size(), true);
  for (size_t i = 0; i < notes.size(); ++i) {
    size_t& before = last[notes[i].key];
    if (before != SIZE_MAX) {
      if (notes[i].start_ticks - notes[before].start_ticks < 15) {
        is_kept[i] = false;
        continue;
      }
      notes[before].end_ticks = std::min(notes[before].end_ticks, notes[i].start_ticks);
    }
    before = i;
  }
  for (size_t i = 0; i < notes.size(); ++i) {
    if (is_kept[i]) midi.notes.push_back(notes[i]);
  }
}

// A line for one voice: each note ends where the next begins.
PartNotes without_overlap(PartNotes notes) {
  for (size_t i = 0; i + 1 < notes.size(); ++i) notes[i].end = std::min(notes[i].end, notes[i + 1].start);
  return notes;
}

void add_tempi(MidiSong& midi, const Plan& plan) {
  Dice dice = plan.dice(kDicePlan + 1);
  const int beat_quarters_times_two = plan.meter.numerator == 6 ? 3 : 2;
  const int base = 120'000'000 / (plan.bpm * beat_quarters_times_two);
  const int tempo = base + dice.spread(base / 150);
  const auto add = [&](int64_t ticks, int value) { midi.tempi.push_back({ticks, 0, static_cast<uint32_t>(value)}); };
  add(0, tempo);
  if (plan.looseness >= 6) {
    // Players push a chorus a little and come back.
    for (const Section& section : plan.sections) {
      if (section.first_bar == 0) continue;
      const int push = section.kind == SectionKind::kChorus ? 6 : section.kind == SectionKind::kSolo ? 4 : 0;
      add(plan.bar_start(section.first_bar), tempo - tempo * push / 1000 + dice.spread(tempo / 500));
    }
    if (plan.num_bars > 8 && dice.percent(45)) {
      const int64_t bar = plan.meter.bar_ticks();
      const int amount = dice.between(8, 30);  // percent slower at the end
      for (int i = 0; i < 8; ++i)
        add(plan.bar_start(plan.num_bars) - 2 * bar + i * bar / 4, tempo + tempo * amount * (i + 1) / 800);
    }
  }
}

double rounded(double seconds) { return std::round(seconds * 1e6) / 1e6; }

SongAnnotations annotate(const Plan& plan, const MidiSong& midi) {
  SongAnnotations notes;
  notes.style = plan.style->name;
  notes.seed = plan.seed;
  notes.index = plan.index;
  notes.key = key_name(plan.sections.front().key);
  notes.tempo_bpm = rounded(60e6 / midi.tempi.front().quarter_microseconds);
  notes.meter_numerator = plan.meter.numerator;
  notes.meter_denominator = plan.meter.denominator;
  notes.beats_per_bar = static_cast<int>(plan.meter.beats.size());
  const auto at = [&](int64_t ticks) { return rounded(midi.seconds_at(ticks)); };
  for (int bar = 0; bar < plan.num_bars; ++bar) {
    for (const int beat : plan.meter.beats)
      notes.beat_seconds.push_back(at(plan.bar_start(bar) + static_cast<int64_t>(beat) * kStep));
  }
  notes.end_seconds = at(plan.bar_start(plan.num_bars));
  for (const ChordSpan& span : plan.chords) {
    ChordNote chord{at(span.start),  at(span.end),    chord_name(span.chord, has_flats(span.key)),
                    span.chord.root, span.chord.bass, {}};
    for (int i = 0; i < 12; ++i) {
      if ((pitch_class_mask(span.chord) >> i & 1) != 0) chord.pitch_classes.push_back(i);
    }
    notes.chords.push_back(std::move(chord));
  }
  for (const Section& section : plan.sections) {
    notes.sections.push_back({at(plan.bar_start(section.first_bar)),
                              at(plan.bar_start(section.first_bar + section.num_bars)), section_name(section.kind),
                              key_name(section.key)});
  }
  for (uint16_t track = 1; track < midi.track_names.size(); ++track) {
    PartNoteCount part;
    part.name = midi.track_names[track];
    for (const MidiNote& note : midi.notes) {
      if (note.track != track) continue;
      if (part.num_notes++ > 0) continue;
      part.group = midi_group_name(midi_group(midi, note, true));
      part.channel = note.channel;
      part.program = note.program;
    }
    notes.parts.push_back(std::move(part));
  }
  return notes;
}

// Reads one object of a JSON file; every key must be there and no other.
class ObjectReader {
 public:
  ObjectReader(const ordered_json& object, std::string where, size_t num_keys)
      : object_(object), where_(std::move(where)) {
    if (!object_.is_object()) fail("is no object");
    keys_.reserve(num_keys);
  }
  template <typename T>
  void read(const char* key, T& value) {
    keys_.emplace_back(key);
    const ordered_json& field = at(key);
    bool fits = false;
    if constexpr (std::is_same_v<T, std::string>) {
      fits = field.is_string();
    } else if constexpr (std::is_same_v<T, double>) {
      fits = field.is_number() && std::isfinite(field.get<double>());
    } else if constexpr (std::is_same_v<T, uint64_t>) {
      fits = field.is_number_unsigned();
    } else {
      fits = field.is_number_integer() && field.get<int64_t>() >= -1000000 && field.get<int64_t>() <= 1000000000;
    }
    if (!fits) fail(std::string(key) + " has a wrong type or value");
    value = field.get<T>();
  }
  const ordered_json& list(const char* key) {
    keys_.emplace_back(key);
    const ordered_json& field = at(key);
    if (!field.is_array()) fail(std::string(key) + " is no list");
    return field;
  }
  void finish() const {
    for (const auto& [key, value] : object_.items()) {
      if (std::ranges::find(keys_, key) == keys_.end()) fail("the key \"" + key + "\" is unknown");
    }
  }
  void expect(bool is_right, const char* what) const {
    if (!is_right) fail(what);
  }
  [[noreturn]] void fail(const std::string& what) const { throw Error(ExitCode::kBadFile, where_ + ": " + what); }

 private:
  const ordered_json& at(const char* key) const {
    const auto it = object_.find(key);
    if (it == object_.end()) fail(std::string("the key \"") + key + "\" is missing");
    return *it;
  }
  const ordered_json& object_;
  std::string where_;
  std::vector<std::string> keys_;
};

}  // namespace

std::vector<std::string> compose_styles() {
  std::vector<std::string> names;
  for (const Style& style : styles()) names.emplace_back(style.name);
  return names;
}

ComposedSong compose_song(uint64_t seed, uint64_t index, const ComposeOptions& options) {
  check_options(options);
  Dice dice(seed, index, 0);
  Plan plan;
  plan.seed = seed;
  plan.index = index;
  plan.style = &choose_style(options, dice);
  plan_song(plan, dice.between(static_cast<int>(std::ceil(options.min_seconds)),
                               std::max(static_cast<int>(std::ceil(options.min_seconds)),
                                        static_cast<int>(options.max_seconds))));
  PartNotes drums = compose_drums(plan);

  ComposedSong song;
  MidiSong& midi = song.midi;
  midi.ticks_per_quarter = kQuarter;
  midi.track_names = {std::string(plan.style->name) + " " + std::to_string(seed) + "-" + std::to_string(index)};
  add_tempi(midi, plan);
  midi.time_signatures.push_back(
      {0, static_cast<uint8_t>(plan.meter.numerator), static_cast<uint16_t>(plan.meter.denominator)});
  const Key* key = nullptr;
  for (const Section& section : plan.sections) {
    midi.texts.push_back({plan.bar_start(section.first_bar), 0, 6, section_name(section.kind)});
    if (key != nullptr && *key == section.key) continue;
    key = &section.key;
    midi.key_signatures.push_back({plan.bar_start(section.first_bar), static_cast<int8_t>(key_sharps(*key)),
                                   modes()[static_cast<size_t>(key->mode)].is_minor});
  }
  Dice mix = plan.dice(kDicePlan + 2);
  const auto human = [&](uint64_t part) { return plan.dice(kDiceHuman + part); };
  const int reverb = mix.between(20, 70);
  add_track(midi, plan,
            {"Melody", kMelodyChannel, plan.melody_program, mix.between(96, 112), 64, reverb + 15, false,
             without_overlap(compose_melody(plan, false))},
            human(0));
  add_track(midi, plan,
            {"Bass", kBassChannel, plan.bass_program, mix.between(92, 112), 64, reverb / 5, true,
             without_overlap(compose_bass(plan))},
            human(1));
  for (size_t i = 0; i < plan.comps.size(); ++i) {
    // Left and right in turn.
    const int pan = std::clamp(64 + (i % 2 == 0 ? -1 : 1) * mix.between(8, 44), 0, 127);
    const std::string name = std::string(program_family(plan.comps[i].program)) + " " + std::to_string(i + 1);
    add_track(midi, plan,
              {name, kFirstCompChannel + static_cast<int>(i), plan.comps[i].program, mix.between(72, 96), pan, reverb,
               false, compose_comp(plan, i)},
              human(2 + i));
  }
  add_track(midi, plan,
            {"Lead", kLeadChannel, plan.lead_program, mix.between(86, 104), 64 + mix.spread(20), reverb + 10, false,
             without_overlap(compose_melody(plan, true))},
            human(20));
  add_track(midi, plan,
            {"Drums", kMidiDrumChannel, plan.drum_kit, mix.between(98, 116), 64, reverb / 2, true, std::move(drums)},
            human(21));
  midi.end_ticks = plan.bar_start(plan.num_bars);
  time_midi(midi);
  song.annotations = annotate(plan, midi);
  return song;
}

std::string annotations_to_json(const SongAnnotations& annotations) {
  ordered_json chords = ordered_json::array(), sections = ordered_json::array(), parts = ordered_json::array();
  for (const ChordNote& chord : annotations.chords) {
    chords.push_back({{"start_seconds", chord.start_seconds},
                      {"end_seconds", chord.end_seconds},
                      {"name", chord.name},
                      {"root", chord.root},
                      {"bass", chord.bass},
                      {"pitch_classes", chord.pitch_classes}});
  }
  for (const SectionNote& section : annotations.sections) {
    sections.push_back({{"start_seconds", section.start_seconds},
                        {"end_seconds", section.end_seconds},
                        {"name", section.name},
                        {"key", section.key}});
  }
  for (const PartNoteCount& part : annotations.parts) {
    parts.push_back({{"name", part.name},
                     {"group", part.group},
                     {"channel", part.channel},
                     {"program", part.program},
                     {"num_notes", part.num_notes}});
  }
  const ordered_json song = {{"version", 1},
                             {"style", annotations.style},
                             {"seed", annotations.seed},
                             {"index", annotations.index},
                             {"key", annotations.key},
                             {"tempo_bpm", annotations.tempo_bpm},
                             {"meter_numerator", annotations.meter_numerator},
                             {"meter_denominator", annotations.meter_denominator},
                             {"beats_per_bar", annotations.beats_per_bar},
                             {"end_seconds", annotations.end_seconds},
                             {"sections", sections},
                             {"parts", parts},
                             {"chords", chords},
                             {"beat_seconds", annotations.beat_seconds}};
  return song.dump() + "\n";
}

SongAnnotations annotations_from_json(const std::string& json, const std::string& name) {
  ordered_json document;
  try {
    document = ordered_json::parse(json);
  } catch (const nlohmann::json::exception& error) {
    throw Error(ExitCode::kBadFile, name + ": is no JSON: " + error.what());
  }
  SongAnnotations song;
  ObjectReader reader(document, name, 14);
  int version = 0;
  reader.read("version", version);
  reader.expect(version == 1, "version is not 1");
  reader.read("style", song.style);
  reader.read("seed", song.seed);
  reader.read("index", song.index);
  reader.read("key", song.key);
  reader.read("tempo_bpm", song.tempo_bpm);
  reader.expect(song.tempo_bpm > 0, "tempo_bpm is not positive");
  reader.read("meter_numerator", song.meter_numerator);
  reader.read("meter_denominator", song.meter_denominator);
  reader.read("beats_per_bar", song.beats_per_bar);
  reader.expect(song.meter_numerator > 0 && song.meter_denominator > 0 && song.beats_per_bar > 0,
                "the meter is not positive");
  reader.read("end_seconds", song.end_seconds);
  reader.expect(song.end_seconds >= 0, "end_seconds is negative");
  const auto check_span = [&](const ObjectReader& item, double start, double end) {
    item.expect(start >= 0 && end >= start && end <= song.end_seconds + 1e-5, "its times do not rise within the song");
  };
  for (const ordered_json& item : reader.list("sections")) {
    SectionNote section;
    ObjectReader fields(item, name + ": section " + std::to_string(song.sections.size()), 4);
    fields.read("start_seconds", section.start_seconds);
    fields.read("end_seconds", section.end_seconds);
    fields.read("name", section.name);
    fields.read("key", section.key);
    fields.finish();
    check_span(fields, section.start_seconds, section.end_seconds);
    song.sections.push_back(std::move(section));
  }
  for (const ordered_json& item : reader.list("parts")) {
    PartNoteCount part;
    ObjectReader fields(item, name + ": part " + std::to_string(song.parts.size()), 5);
    fields.read("name", part.name);
    fields.read("group", part.group);
    fields.read("channel", part.channel);
    fields.read("program", part.program);
    fields.read("num_notes", part.num_notes);
    fields.finish();
    fields.expect(part.group == "bass" || part.group == "drums" || part.group == "other" || part.group == "melody",
                  "group is not bass, drums, other or melody");
    fields.expect(part.channel >= 0 && part.channel < 16 && part.program >= 0 && part.program < 128 &&
                      part.num_notes >= 0,
                  "channel, program or num_notes is out of range");
    song.parts.push_back(std::move(part));
  }
  for (const ordered_json& item : reader.list("chords")) {
    ChordNote chord;
    ObjectReader fields(item, name + ": chord " + std::to_string(song.chords.size()), 6);
    fields.read("start_seconds", chord.start_seconds);
    fields.read("end_seconds", chord.end_seconds);
    fields.read("name", chord.name);
    fields.read("root", chord.root);
    fields.read("bass", chord.bass);
    for (const ordered_json& tone : fields.list("pitch_classes")) {
      const bool fits = tone.is_number_integer() && tone.get<int64_t>() >= 0 && tone.get<int64_t>() < 12 &&
                        (chord.pitch_classes.empty() || tone.get<int>() > chord.pitch_classes.back());
      fields.expect(fits, "pitch_classes do not rise from 0 to 11");
      chord.pitch_classes.push_back(tone.get<int>());
    }
    fields.finish();
    check_span(fields, chord.start_seconds, chord.end_seconds);
    const auto is_tone = [&](int pitch_class) {
      return std::ranges::find(chord.pitch_classes, pitch_class) != chord.pitch_classes.end();
    };
    fields.expect(is_tone(chord.root) && is_tone(chord.bass), "root or bass is not among pitch_classes");
    song.chords.push_back(std::move(chord));
  }
  for (const ordered_json& beat : reader.list("beat_seconds")) {
    const bool fits = beat.is_number() && beat.get<double>() >= 0 && beat.get<double>() <= song.end_seconds + 1e-5 &&
                      (song.beat_seconds.empty() || beat.get<double>() >= song.beat_seconds.back());
    reader.expect(fits, "beat_seconds do not rise within the song");
    song.beat_seconds.push_back(beat.get<double>());
  }
  reader.finish();
  return song;
}

}  // namespace vqcodec::dataset
