// Standard MIDI Files (RP-001) of types 0 and 1: a reader that trusts no byte, and a writer.
//
// The reader merges all tracks, pairs note-ons with note-offs and gives every time in ticks, in seconds by the tempo
// map and in beats, which are quarter notes. What it forgives, because many files have it, it tells in
// MidiSong::remarks: a track without an end mark, bytes after the last track, notes that are never released. Running
// status goes on after a meta event or a system exclusive message. System exclusive messages and unknown chunks are
// skipped.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace vqcodec::dataset {

inline constexpr int kMidiDrumChannel = 9;              // "channel 10"
inline constexpr size_t kMaxMidiBytes = 16 << 20;       // of a file
inline constexpr double kMaxMidiSeconds = 24 * 3600.0;  // of a song

struct MidiNote {
  int64_t start_ticks = 0, end_ticks = 0;  // end >= start; 0 long in files whose drums are triggers
  double start_seconds = 0, end_seconds = 0;
  double start_beats = 0, end_beats = 0;  // quarter notes
  uint16_t track = 0;
  uint8_t channel = 0;   // 0 to 15
  uint8_t key = 0;       // 0 to 127, 60 = middle C
  uint8_t velocity = 0;  // 1 to 127
  uint8_t program = 0;   // 0 to 127, of the channel when the note starts
  bool operator==(const MidiNote&) const = default;
};

enum class MidiControlKind : uint8_t {
  kKeyPressure = 0xA,      // number: key, value: 0 to 127
  kController = 0xB,       // number: controller, value: 0 to 127
  kProgram = 0xC,          // value: program
  kChannelPressure = 0xD,  // value: 0 to 127
  kPitchBend = 0xE,        // value: -8192 to 8191
};

// Every channel message that is no note.
struct MidiControl {
  int64_t ticks = 0;
  double seconds = 0;
  uint16_t track = 0;
  MidiControlKind kind = MidiControlKind::kController;
  uint8_t channel = 0;
  uint8_t number = 0;
  int16_t value = 0;
  bool operator==(const MidiControl&) const = default;
};

struct MidiTempo {
  int64_t ticks = 0;
  double seconds = 0;
  uint32_t quarter_microseconds = 500000;  // 1 to 2^24 - 1
  bool operator==(const MidiTempo&) const = default;
};

struct MidiTimeSignature {
  int64_t ticks = 0;
  uint8_t numerator = 4;     // at least 1
  uint16_t denominator = 4;  // 1, 2, 4 ... 64
  bool operator==(const MidiTimeSignature&) const = default;
};

struct MidiKeySignature {
  int64_t ticks = 0;
  int8_t sharps = 0;  // -7 (seven flats) to 7
  bool is_minor = false;
  bool operator==(const MidiKeySignature&) const = default;
};

// A text event but for track names: lyrics, markers and so on; bytes as they are in the file.
struct MidiText {
  int64_t ticks = 0;
  uint16_t track = 0;
  uint8_t type = 1;  // 1 to 15 without 3: 1 text, 2 copyright, 4 instrument, 5 lyric, 6 marker, 7 cue
  std::string text;
  bool operator==(const MidiText&) const = default;
};

struct MidiSong {
  int format = 1;               // 0 or 1
  int ticks_per_quarter = 480;  // 1 to 32767
  std::vector<std::string> track_names;
  std::vector<MidiTempo> tempi;  // by time; the first at tick 0 (120 beats a minute where the file says nothing)
  std::vector<MidiTimeSignature> time_signatures;  // by time; may be empty, which means 4/4
  std::vector<MidiKeySignature> key_signatures;    // by time; may be empty
  std::vector<MidiNote> notes;                     // by start
  std::vector<MidiControl> controls;               // by time
  std::vector<MidiText> texts;                     // by time
  int64_t end_ticks = 0;                           // of the last event, the end marks included
  double end_seconds = 0;
  std::vector<std::string> remarks;  // what was forgiven, one sentence each, without the file's name

  // Of any tick >= 0, also after the end. `tempi` must begin at tick 0.
  double seconds_at(int64_t ticks) const;
};

// `name`: of the file, for messages. Throws Error(kBadFile) with the offset of the byte that is wrong.
MidiSong parse_midi(std::span<const uint8_t> bytes, const std::string& name);

// Throws Error(kIo) when the file cannot be read, Error(kBadFile) as above and when it is over kMaxMidiBytes.
MidiSong read_midi(const std::string& path);

// The files .mid and .midi, of any case, in a folder and below it: paths relative to it, sorted. Throws Error(kIo).
std::vector<std::string> list_midi_files(const std::string& folder);

// Fills in tempi[].seconds, every note's seconds and beats, every control's seconds, every note's program, end_ticks
// (at least the last event's) and end_seconds, from ticks; sorts each list by time, equal times staying in order.
void time_midi(MidiSong& song);

// The bytes of a file. Uses the ticks alone: seconds, beats and the notes' programs are not looked at, so every program
// must be among the controls. parse_midi of the result gives the song back (of the same key on the same channel, notes
// must not overlap). Throws Error(kInternal) for a value outside the ranges above.
std::vector<uint8_t> write_midi(const MidiSong& song);

enum class MidiGroup { kBass, kDrums, kOther, kMelody };

// Channel 10 is drums; notes on a track named as a melody (its name has "melody", "vocal" or "voice" in it, in any
// case) are the melody if `with_melody`; notes of the programs 32 to 39, the basses, are bass; the rest is other.
MidiGroup midi_group(const MidiSong& song, const MidiNote& note, bool with_melody = false);

// "bass", "drums", "other", "melody"
const char* midi_group_name(MidiGroup group);

}  // namespace vqcodec::dataset
