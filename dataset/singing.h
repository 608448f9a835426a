// Synthetic singing: a melody is sung by voices of speech synthesis.
//
// Nothing here was ever sung by a person. Words are spoken by a text-to-speech program, taken apart by the WORLD
// vocoder (Morise, Yokomori, Ozawa 2016; third_party/world) into spectral envelope, noisiness and voicing, and put
// together again with pitch and length of the notes: the vowel of a syllable begins with its note and is held,
// consonants keep their length and come before it; vibrato sets in late, neighbouring notes are joined by glides, pitch
// drifts a little, phrases begin with a breath and swell. The result is dry: reverb and the like are the caller's.
//
// The voices are programs that are looked for at run time (dataset/speech.h); nothing of them is needed to build.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataset/speech.h"

namespace vqcodec::dataset {

inline constexpr int kSungHz = 44100;
inline constexpr double kMaxSungSeconds = 3600.0;  // a melody's end
inline constexpr double kMinSungSeconds = 0.04, kMaxSungNoteSeconds = 20;
inline constexpr double kMinSungKey = 33, kMaxSungKey = 91;  // 55 Hz to 1568 Hz

struct SungNote {
  double start_seconds = 0;     // at least 0
  double duration_seconds = 0;  // at least 0; from kMinSungSeconds on sung, up to kMaxSungNoteSeconds
  double midi_key = 60;         // 0 to 127, with fractions; moved by octaves into kMinSungKey to kMaxSungKey
  int velocity = 90;            // 1 to 127
};

// A second part that sings the same words.
struct SungHarmony {
  int scale_steps = 2;  // above the melody in its scale: 2 a third, -5 a sixth below, 7 an octave; -14 to 14
  double gain_db = -8;  // -60 to 12
  double pan = 0;       // -1 left to 1 right
};

struct VoiceOptions {
  std::string voice{};                   // a name of Singer::voices(); "" = drawn by the seed
  double formant_ratio = 1.0;            // 0.7 to 1.4: above 1 a smaller singer, whose resonances lie higher
  bool fit_range = true;                 // the whole melody is moved by octaves into the voice's range
  double vibrato_hz = 5.6;               // 2 to 10
  double vibrato_cents = 35;             // 0 to 200, from the middle to the top
  double vibrato_seconds = 0.25;         // 0 to 5: how long a note is held before vibrato begins
  double glide_seconds = 0.08;           // 0 to 1: from note to note; short notes get shorter ones
  double drift_cents = 6;                // 0 to 50, deviation of the slow wandering of pitch
  double breath_db = -26;                // of the breath before a phrase against a vowel; -100 or less: none
  double breathiness = 0.0;              // 0 to 1: noise mixed into vowels
  double effort = 0.0;                   // -1 soft and dark to 1 loud and bright
  double melisma_chance = 0.12;          // 0 to 1: that a note next to the one before goes on with its vowel
  double phrase_gap_seconds = 0.3;       // 0.05 to 10: a rest at least this long ends a phrase
  int num_doubles = 0;                   // 0 to 4: the melody again at other times and pitches, to both sides
  double double_gain_db = -7;            // -60 to 12
  double width = 0.7;                    // 0 to 1: how far to the sides the doubles are
  std::vector<SungHarmony> harmonies{};  // at most 4
  double harmony_share = 1.0;            // 0 to 1: of the phrases; those of one melody alike
  // The scale that harmonies keep to: the major scale on this pitch class (0 = C; that of a minor key is 3 above its
  // tonic). -1: the one that holds most of the melody.
  int scale_tonic = -1;
};

// Options as songs have them, all drawn by `seed`: plain leads, doubled ones, choruses with harmonies.
VoiceOptions random_voice_options(uint64_t seed);

class Singer {
 public:
  // The voices to sing with. Throws Error(kIo) when there is none, naming the Debian packages that have some.
  explicit Singer(std::vector<std::shared_ptr<const SpeechVoice>> voices = installed_voices());
  ~Singer();
  Singer(const Singer&) = delete;
  Singer& operator=(const Singer&) = delete;

  // True when installed_voices() finds any. missing(): what to install then, one sentence.
  static bool available();
  static std::string missing();

  const std::vector<std::shared_ptr<const SpeechVoice>>& voices() const;

  // The one that sings: options.voice, or that which `seed` draws. Throws Error(kUsage) when it is not there.
  const SpeechVoice& voice(const VoiceOptions& options, uint64_t seed) const;

  // Interleaved stereo at kSungHz, [num_frames, 2] float32, from time 0 to 0.3 s after the last note; empty without
  // notes. A note of velocity 100 has about -20 dBFS root mean square; peaks stay within +-1. Notes may come in any
  // order; of those that start together the highest is sung, and one that runs into the next ends there.
  //
  // The same notes, options, seed and installed voices give the same samples, on any number of threads: many may call
  // at once. A voice speaks a limited number of lines, each when it is first sung and then kept (about 1 MB each), so
  // that thousands of songs start the program a few dozen times.
  //
  // Throws Error(kUsage) for options or notes outside the ranges above and for an unknown voice, Error(kIo) when a
  // voice's program fails, hangs or gives no speech.
  std::vector<float> sing(std::span<const SungNote> notes, const VoiceOptions& options, uint64_t seed) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vqcodec::dataset
