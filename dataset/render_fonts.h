// Soundfonts, what each may play, and playing one part with FluidSynth.
//
// A role map is a JSON object:
//   "fonts": list of objects
//     "file": soundfont (SF2 or SF3), relative to the map's folder; or a list of files of which the first that is there
//       counts
//     "roles": what it may play: drums, bass, guitar, keys, mallets, organ, strings, brass, winds, synth, rest (the roles
//       of the General MIDI programs), "other" (all of these but drums and bass) or "all". Absent: all
//     "weight": relative share of the parts of a role that it is drawn for; over 0 to 1000, default 1
//     "presets": [[bank, program], ...] of which one plays a part, whatever the part's own program; absent: a preset of
//       the part's General MIDI family, in the lowest bank that has it
//     "round_robin": true when "presets" are takes of one instrument, which change from note to note
//     "direct": true when the font is the direct signal of a pickup, which gets an amplifier when the music is mixed
//     "low_key", "high_key": keys in which it sounds well, 0 to 127; notes outside are moved by octaves
//     "gain_db": -40 to 40, default 0
//     "licence", "attribution": text, told in every song's song.json
//   "synth_bass": {"share": of the songs' basses that a synthesizer plays instead (dataset/render_synth.h), 0 to 1;
//     "pulsed_share": of these that are pulsed sub-basses, 0 to 1}
// Keys that are not listed are refused.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataset/midi.h"
#include "dataset/stems.h"

namespace vqcodec::dataset {

enum class Role { kDrums, kBass, kGuitar, kKeys, kMallets, kOrgan, kStrings, kBrass, kWinds, kSynth, kRest };
inline constexpr size_t kNumRoles = 11;

const char* role_name(Role role);
// Of a General MIDI program, 0 to 127; never kDrums.
Role role_of_program(int program);
// First and last program of the instruments that can stand for this one: 0-3 are pianos, 4-5 electric pianos, ...
std::pair<int, int> program_family(int program);

struct Preset {
  int bank = 0;     // 128 = drums
  int program = 0;  // 0 to 127
  bool operator==(const Preset&) const = default;
};

struct FontSpec {
  std::string file;
  std::array<bool, kNumRoles> may_play{};
  double weight = 1;
  std::vector<Preset> presets{};
  bool round_robin = false;
  bool direct = false;
  int low_key = 0, high_key = 127;
  double gain_db = 0;
  std::string licence{}, attribution{};
};

struct RoleMap {
  std::vector<FontSpec> fonts;
  double synth_bass_share = 0, pulsed_share = 0;
};

// `where`: the map's file, for messages and for the folder that files are relative to. Throws Error(kBadFile) with the key
// that is wrong and what was expected.
RoleMap parse_role_map(const std::string& json, const std::string& where);
// Throws Error(kIo) too.
RoleMap read_role_map(const std::string& path);
// "FILE" or "ROLE,ROLE=FILE", as on a command line. Throws Error(kUsage) for a role that there is not.
FontSpec parse_font_argument(const std::string& text);

// What plays one part: presets of one font, one, or several in turn.
struct Instrument {
  size_t font = 0;  // index in the library
  std::vector<Preset> presets;
};

struct PartNote {
  int64_t start_frame = 0, end_frame = 0;
  uint8_t key = 0, velocity = 0;
};

struct PartControl {
  int64_t frame = 0;
  MidiControlKind kind = MidiControlKind::kController;
  uint8_t number = 0;
  int16_t value = 0;
};

// Opens every font once and keeps it open, so that all threads share its samples.
class FontLibrary {
 public:
  // Throws Error(kIo) for a file that cannot be read, Error(kBadFile) for one that is no soundfont, is damaged, or has not
  // what its spec says.
  explicit FontLibrary(std::vector<FontSpec> specs);
  ~FontLibrary();
  FontLibrary(const FontLibrary&) = delete;
  FontLibrary& operator=(const FontLibrary&) = delete;

  size_t size() const { return fonts_.size(); }
  const FontSpec& spec(size_t font) const { return fonts_[font].spec; }
  const std::string& sha256(size_t font) const { return fonts_[font].sha256; }
  // The name that the font gives the preset.
  std::string preset_name(size_t font, const Preset& preset) const;

  // By weight one of the fonts that can play `program` (of drums: the kit) in `role`. Nothing when none can.
  std::optional<Instrument> choose(Role role, int program, CounterRandom& random) const;

 private:
  friend class FontPlayer;
  struct NamedPreset {
    Preset preset;
    std::string name;
  };
  struct Font {
    FontSpec spec;
    std::string sha256;
    std::vector<NamedPreset> presets;
  };
  struct Keeper;
  std::vector<Preset> playable(const Font& font, Role role, int program) const;

  std::vector<Font> fonts_;
  std::unique_ptr<Keeper> keeper_;
};

// One song's synthesizer: nothing of one song is left in the next one's. For one thread.
class FontPlayer {
 public:
  // `library` is kept by reference.
  explicit FontPlayer(const FontLibrary& library);
  ~FontPlayer();
  FontPlayer(const FontPlayer&) = delete;
  FontPlayer& operator=(const FontPlayer&) = delete;

  // Adds the part, dry, to the two channels; what sounds after their end is cut. Onsets are rounded down to 64 frames
  // (1.5 ms). `notes` and `controls` are sorted by time. Returns the notes to which the font has no sound.
  // Throws Error(kInternal) when FluidSynth refuses.
  std::vector<PartNote> play(const Instrument& instrument, std::span<const PartNote> notes,
                             std::span<const PartControl> controls, double tuning_cents, std::span<float> left,
                             std::span<float> right);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vqcodec::dataset
