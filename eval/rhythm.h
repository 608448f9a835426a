// Onsets, tempo, beats and chords of music.
//
// - Onset strength: rises of the levels in mel bands (spectral flux), as in D. Ellis, "Beat tracking by dynamic
//   programming" (JNMR 36, 2007), here of log(1 + 1000 m / greatest m), less their mean over 0.4 s.
// - Tempo: the strongest lag of its autocorrelation, weighted towards 120 beats a minute; beats: dynamic programming,
//   both as Ellis has them.
// - Chroma: magnitudes of spectral peaks between 55 and 1760 Hz by pitch class (T. Fujishima, "Realtime chord
//   recognition of musical sound", ICMC 1999), after the tuning is taken out; chords: the nearest of 24 major and
//   minor triads by cosine.
//
// Signals are mono float32, full scale 1.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace vqcodec::eval {

struct OnsetCurve {
  double hop_seconds = 0;
  std::vector<double> strength;  // at i x hop_seconds, 0 or more; 1 = the mean of the upper tenth of the onsets
};

// All 0 for silence.
OnsetCurve onset_curve(std::span<const float> samples, int sample_rate_hz);

struct Onset {
  double seconds = 0;
  double strength = 0;
};

// How strong accents are, rather than how clear: rises of the amplitude (root mean square of 1024 samples), in the same
// units. A bass drum counts for as much more than a closed hi-hat as it is louder.
OnsetCurve accent_curve(std::span<const float> samples, int sample_rate_hz);

// Maxima of the curve, of at least 0.15 and 50 ms apart.
std::vector<Onset> find_onsets(const OnsetCurve& curve);

// Times of beats, ascending and evenly spread where nothing says otherwise; none for a curve that is 0 throughout or
// shorter than two seconds. `seconds_a_beat` (0.25..1.5) if given is the tempo that was found.
std::vector<double> track_beats(const OnsetCurve& curve, double* seconds_a_beat = nullptr);

struct Harmony {
  double tuning_cents = 0;                     // of the music against A = 440 Hz, in [-50, 50)
  std::vector<std::array<double, 12>> chroma;  // by stretch, sum 1, C first; all 0 in silence
  std::vector<std::array<bool, 12>> chord;     // tones of its triad; none in silence
};

inline constexpr int kHarmonyRateHz = 11025;  // of the signal that chords are looked for in, at least

// Of the stretches between `edges` (seconds, ascending): edges.size() - 1 of them, each heard with a quarter of its
// neighbours.
Harmony find_harmony(std::span<const float> samples, int sample_rate_hz, std::span<const double> edges);

}  // namespace vqcodec::eval
