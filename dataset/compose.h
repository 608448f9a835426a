// Songs without end: new music from a seed, as MIDI with its chords, beats and sections.
//
// A song is planned before it is played: style, key, meter, tempo, form, and for each kind of section a chord
// progression and a groove of the drums. Then every part is written over that plan: the bass from the chords and the
// bass drum, the accompaniment by leading voices from chord to chord, the melody from motifs. All of it is integer
// arithmetic over CounterRandom, so song `index` of `seed` has the same bytes on any machine, whatever else is
// composed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "dataset/midi.h"

namespace vqcodec::dataset {

struct ComposeOptions {
  std::vector<std::string> styles{};  // names of compose_styles(); empty = all
  // Lengths are drawn between these, and met to a few bars.
  double min_seconds = 90;   // at least kMinComposedSeconds
  double max_seconds = 210;  // at most kMaxComposedSeconds
};

inline constexpr double kMinComposedSeconds = 10;
inline constexpr double kMaxComposedSeconds = 3600;

struct ChordNote {
  double start_seconds = 0, end_seconds = 0;
  std::string name;                // such as "Bbm7/Db"; "5" is a fifth without a third
  int root = 0;                    // pitch class, 0 = C to 11 = B
  int bass = 0;                    // pitch class of the lowest note that is meant
  std::vector<int> pitch_classes;  // of the chord with its bass, rising
  bool operator==(const ChordNote&) const = default;
};

struct SectionNote {
  double start_seconds = 0, end_seconds = 0;
  std::string name;  // intro, verse, prechorus, chorus, bridge, solo, break, outro
  std::string key;   // such as "F# dorian"
  bool operator==(const SectionNote&) const = default;
};

struct PartNoteCount {
  std::string name;   // of the track
  std::string group;  // bass, drums, other, melody
  int channel = 0;    // 0 to 15
  int program = 0;    // 0 to 127
  int num_notes = 0;
  bool operator==(const PartNoteCount&) const = default;
};

// What is written beside the MIDI file.
struct SongAnnotations {
  std::string style;
  uint64_t seed = 0, index = 0;
  std::string key;       // at the start
  double tempo_bpm = 0;  // quarter notes a minute at the start
  int meter_numerator = 4, meter_denominator = 4;
  int beats_per_bar = 4;             // 2 in 6/8
  std::vector<double> beat_seconds;  // from 0 on; the first of each beats_per_bar begins a bar
  double end_seconds = 0;            // of the last bar
  std::vector<ChordNote> chords;     // without gaps from 0 to end_seconds
  std::vector<SectionNote> sections;
  std::vector<PartNoteCount> parts;
  bool operator==(const SongAnnotations&) const = default;
};

struct ComposedSong {
  MidiSong midi;
  SongAnnotations annotations;
};

// Names, such as "drum_and_bass", in the order in which they are listed to people.
std::vector<std::string> compose_styles();

// Throws Error(kUsage) for a style that does not exist and for lengths outside the limits.
ComposedSong compose_song(uint64_t seed, uint64_t index, const ComposeOptions& options);

// JSON with a newline at its end; times in seconds to the microsecond.
std::string annotations_to_json(const SongAnnotations& annotations);
// `name`: of the file, for messages. Throws Error(kBadFile) for a key that is missing, unknown or of a wrong value.
SongAnnotations annotations_from_json(const std::string& json, const std::string& name);

}  // namespace vqcodec::dataset
