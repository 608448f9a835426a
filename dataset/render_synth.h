// Synthesized basses: a subtractive synthesizer with patches drawn at random. Saw, square, triangle or sine with a
// sub-oscillator go through a low-pass filter with an envelope of its own, then drive. Harmonics are added one by one, so
// nothing aliases.
//
// A pulsed bass plays sub-basses in short pulses, which separators easily take for bass drums: a new patch every few
// seconds, half of the time in the rhythm of a step sequencer instead of the song's, with noise at the onsets and, often,
// wide above some 300 Hz.
#pragma once

#include <span>

#include "dataset/stems.h"

namespace vqcodec::dataset {

struct SynthNote {
  double start_seconds = 0, seconds = 0;  // at least 0
  int key = 36;                           // 0 to 127
  int velocity = 100;                     // 1 to 127
};

// Adds the notes, which are sorted by start, to the two channels at 44.1 kHz, with peaks about 0.25. The line's octave is
// drawn, too.
void render_synth_bass(std::span<const SynthNote> notes, bool pulsed, CounterRandom& random, std::span<float> left,
                       std::span<float> right);

}  // namespace vqcodec::dataset
