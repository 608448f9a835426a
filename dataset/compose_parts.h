// What the parts of the composer share; nobody else includes it.
//
// Parts are written on a straight grid of sixteenth notes (kStep ticks); swing and human timing come last, in
// compose.cc. Patterns are text, one character a sixteenth, alternatives divided by '|'.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dataset/stems.h"

namespace vqcodec::dataset::compose {

inline constexpr int kQuarter = 480;  // ticks
inline constexpr int kStep = kQuarter / 4;

// Whole numbers from CounterRandom: the same on every machine.
class Dice {
 public:
  Dice(uint64_t seed, uint64_t song, uint64_t purpose) : random_(seed, song, purpose) {}
  int below(int bound) { return static_cast<int>(random_.below(static_cast<uint64_t>(bound))); }
  int between(int low, int high) { return low + below(high - low + 1); }
  bool percent(int share) { return below(100) < share; }
  int spread(int most) { return below(most + 1) - below(most + 1); }  // triangular, -most to most

 private:
  CounterRandom random_;
};

std::vector<std::string_view> split(std::string_view text, char separator);
// One of "a|b|c".
std::string_view pick(std::string_view alternatives, Dice& dice);
// One of "a:3 b:1" by weight.
std::string_view pick_weighted(std::string_view choices, Dice& dice);
int pick_number(std::string_view choices, Dice& dice);

// ---- Styles

enum class CompKind { kStrum, kPower, kStab, kBlock, kArpeggio, kPad };

struct CompStyle {
  CompKind kind = CompKind::kPad;
  const char* programs = "";  // weighted
  const char* patterns = "";  // of 4/4; "" for kPad
  int percent = 0;            // of songs that have it
};

struct Style {
  const char* name;
  int min_bpm, max_bpm;      // beats a minute; a beat of 6/8 is a dotted quarter
  const char* meters;        // weighted
  int swing_step;            // 2: eighths swing, 1: sixteenths, 0: none
  int min_swing, max_swing;  // ticks by which every second such note is late
  int looseness;             // ticks by which people miss the grid
  bool is_soft;              // soft patterns in other meters than 4/4
  const char* forms;         // alternatives, letters as in compose_harmony.cc
  const char* modes;         // weighted
  const char* loops;         // chord loops in Roman numerals, alternatives
  int loop_percent;          // of progressions that are loops; others come from the grammar
  const char* chord_bars;    // weighted: bars a chord, "h" = half a bar
  int seventh_percent, ninth_percent, sus_percent, secondary_percent, inversion_percent, modulation_percent;
  const char* kits;  // weighted programs of channel 10
  int snare_key;
  int drum_percent;  // of songs that have drums
  int percussion_percent;
  const char* kicks;
  const char* snares;
  const char* cymbals;             // the first character names the instrument, see compose_drums.cc
  const char* percussion;          // likewise; may be empty
  const char* bass_programs;       // weighted
  int min_gate, max_gate;          // percent of a bass note's length that sounds
  const char* bass_patterns;       // see compose_bass.cc
  std::array<CompStyle, 5> comps;  // those with percent 0 are none
  const char* melody_programs;
  const char* lead_programs;
};

const std::vector<Style>& styles();

struct Range {
  int low, high;
};
// Where an instrument can play and sounds well.
Range program_range(int program);
const char* program_family(int program);

// ---- Harmony

enum class Quality : uint8_t {
  kMajor,
  kMinor,
  kDiminished,
  kAugmented,
  kSus2,
  kSus4,
  kPower,
  kSixth,
  kMinorSixth,
  kMajor7,
  kMinor7,
  kDominant7,
  kHalfDiminished,
  kDiminished7,
  kDominant7Sus4,
  kAdd9,
  kMajor9,
  kMinor9,
  kDominant9,
};

struct Chord {
  int root = 0;  // pitch class
  int bass = 0;  // pitch class
  Quality quality = Quality::kMajor;
  bool operator==(const Chord&) const = default;
};

const std::vector<int>& intervals(Quality quality);  // above the root, rising; a ninth is 14
uint16_t pitch_class_mask(const Chord& chord);       // bit i = pitch class i, the bass included
int interval_of(const Chord& chord, char role);      // '3', '5', '7' above the root; the nearest thing it has
std::string chord_name(const Chord& chord, bool with_flats);

struct Key {
  int tonic = 0;
  int mode = 0;  // index of modes()
  bool operator==(const Key&) const = default;
};

struct Mode {
  const char* name;
  uint16_t scale;  // bit i = i semitones above the tonic
  bool is_minor;
  int fifths;  // where its tonic stands against the major key of the same notes, in semitones
  const char *tonics, *subdominants, *dominants;  // weighted Roman numerals
};

const std::vector<Mode>& modes();
bool in_scale(const Key& key, int pitch_class);
std::string key_name(const Key& key);
bool has_flats(const Key& key);
int key_sharps(const Key& key);

// ---- Plan

struct Meter {
  int numerator = 4, denominator = 4;
  int num_steps = 16;
  std::vector<int> beats;         // steps that are felt as beats
  std::vector<int> strong_beats;  // of these
  int bar_ticks() const { return num_steps * kStep; }
  bool is_strong(int step) const;
  bool is_beat(int step) const;
};

enum class SectionKind : uint8_t { kIntro, kVerse, kPrechorus, kChorus, kBridge, kSolo, kBreak, kOutro };
const char* section_name(SectionKind kind);

enum PartBit : unsigned {
  kDrums = 1,
  kBass = 2,
  kMelody = 4,
  kLead = 8,
  kFirstComp = 16,  // comp i is kFirstComp << i
};
inline constexpr int kMaxComps = 5;
inline constexpr unsigned kAllParts = ~0U;

struct Section {
  SectionKind kind;
  int first_bar = 0, num_bars = 0;
  Key key{};
  int energy = 50;  // 0 to 100
  unsigned parts = kAllParts;
  int bars_between_entries = 0;  // > 0: parts enter one after another
  bool has_pedal = false;        // the bass stays on the tonic
};

struct ChordSpan {
  int64_t start = 0, end = 0;  // ticks
  Chord chord{};
  Key key{};
};

struct CompPart {
  const CompStyle* style;
  int program;
};

struct Plan {
  uint64_t seed = 0, index = 0;
  const Style* style = nullptr;
  Meter meter{};
  int bpm = 120;  // beats a minute
  int swing_ticks = 0;
  int looseness = 0;
  std::vector<Section> sections{};
  std::vector<ChordSpan> chords{};
  std::vector<std::vector<int>> kick_steps{};  // of the groove, per bar, whether or not drums play there
  int num_bars = 0;
  bool has_drums = true;
  int drum_kit = 0, bass_program = 33, melody_program = 53, lead_program = 29;
  std::vector<CompPart> comps{};

  Dice dice(uint64_t purpose) const { return Dice(seed, index, purpose); }
  const Section& section_at(int bar) const;
  const ChordSpan& chord_at(int64_t tick) const;
  // The span after the one at `tick`; the last one has itself.
  const ChordSpan& next_chord(int64_t tick) const;
  // Whether the part plays in that bar, entries of intros and drop-outs considered.
  bool plays(unsigned part, int bar) const;
  int64_t bar_start(int bar) const { return static_cast<int64_t>(bar) * meter.bar_ticks(); }
};

struct PartNote {
  int64_t start = 0, end = 0;  // ticks on the straight grid
  int key = 0;
  int velocity = 80;
  int late_ticks = 0;  // strums and rolls: added after swing
};

using PartNotes = std::vector<PartNote>;

// Purposes of Dice; a section kind is added where each kind has its own.
enum Purpose : uint64_t {
  kDicePlan = 100,
  kDiceForm = 200,
  kDiceHarmony = 300,
  kDiceDrums = 400,
  kDiceDrumBars = 500,
  kDiceBass = 600,
  kDiceBassBars = 700,
  kDiceComp = 800,
  kDiceMelody = 1000,
  kDiceLead = 1100,
  kDiceHuman = 1200,
};

int with_energy(int velocity, int energy);

// Meter, form, keys and chords. `seconds`: length to be met.
void plan_song(Plan& plan, int seconds);
// Fills in plan.kick_steps too.
PartNotes compose_drums(Plan& plan);
PartNotes compose_bass(const Plan& plan);
PartNotes compose_comp(const Plan& plan, size_t comp);
// The melody, which can be sung, or the lead of solos, which need not.
PartNotes compose_melody(const Plan& plan, bool is_lead);

}  // namespace vqcodec::dataset::compose
