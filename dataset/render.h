// Songs as MIDI become stems: every part gets an instrument of a soundfont, the effects of a mix, a place and a level;
// parts are summed to vocals, bass, drums and other.
//
// What is drawn at random, from (seed, name of the song, variant) alone: transposition, tempo, tuning, curve of the
// velocities, font and preset of every part, a synthesizer for the bass, a drum take instead of the song's drums, effects
// with their settings, levels, the room. So one song gives many, and the same ones each time.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "dataset/compose.h"
#include "dataset/midi.h"
#include "dataset/render_fonts.h"
#include "dataset/render_grooves.h"
#include "dataset/render_synth.h"

namespace vqcodec::dataset {

// Another number where the same song and options give other audio.
inline constexpr int kRendererVersion = 2;
inline constexpr int kRenderHz = 44100;
// The order of RenderedSong::stems.
inline constexpr std::array<const char*, 4> kRenderGroups = {"vocals", "bass", "drums", "other"};
// Neither a stem nor their sum is louder.
inline constexpr double kMaxRenderPeakDb = -1;

// Sings a melody: interleaved stereo [num_frames, 2] at 44.1 kHz from time 0 on. `scale_tonic`: pitch class on which the
// major scale of the song's key stands, -1 unknown. Called from many threads at once.
using SingFunction =
    std::function<std::vector<float>(std::span<const SynthNote> melody, int scale_tonic, uint64_t seed)>;

struct RenderOptions {
  uint64_t seed = 1;
  double max_seconds = 600;                 // 1 to 1800; a longer song is cut
  int max_transpose = 3;                    // 0 to 12 semitones, up or down
  double min_tempo = 0.9, max_tempo = 1.1;  // factors of the song's tempo, 0.25 to 4
  double max_tuning_cents = 12;             // 0 to 100, up or down
  double synth_bass_share = 0;              // of basses, 0 to 1
  double pulsed_share = 0;                  // of those, 0 to 1
  double groove_share = 0.5;                // of songs that get a drum take, 0 to 1, if there are takes
  double sing_share = 1;                    // of melodies that are sung, 0 to 1, if there is `sing`
  SingFunction sing{};                      // without it melodies are played, and are part of other
};

// Throws Error(kUsage) for a value outside its range.
void check(const RenderOptions& options);

struct RenderSource {
  std::string name;  // of the song, which the draws depend on
  MidiSong midi;
  std::optional<SongAnnotations> annotations{};  // of vqdata compose
};

struct StereoSamples {
  std::vector<float> left, right;
};

struct RenderedSong {
  std::array<StereoSamples, 4> stems;  // of one length; empty = silence
  int64_t num_frames = 0;
  // What is known: transposition, tempo, tuning, beats and chords in seconds of the audio, parts with their instruments
  // and effects, levels, remarks. Keys are listed in docs of vqdata render.
  nlohmann::ordered_json facts;
};

// `variant` is 1 or more. `grooves` may be null. Throws Error(kBadFile) for a song without anything that can be played.
RenderedSong render_song(const RenderSource& source, int variant, const FontLibrary& fonts, const GrooveSet* grooves,
                         const RenderOptions& options);

// Name of the chord `semitones` higher, such as Am7/G by 1 to Bbm7/Ab. Names that begin with no note stay.
std::string transposed_chord(const std::string& name, int semitones);

// Loudness after ITU-R BS.1770 with gating, in LUFS; -100 for silence. Within 0.1 LU of libebur128, and four times as
// fast (5500 instead of 1350 times real time): a song of ten parts is measured some thirty times while it is mixed,
// which by libebur128 would take most of the 33 ms a second of audio that rendering at 30 times real time leaves.
double loudness_lufs(std::span<const float> left, std::span<const float> right);

}  // namespace vqcodec::dataset
