// The pitch of a line that plays one note at a time, and its notes.
//
// - Candidates of a frame: minima of the cumulative mean normalised difference function of YIN (A. de Cheveigné and H.
//   Kawahara, "YIN, a fundamental frequency estimator for speech and music", JASA 111, 2002), refined by a parabola.
// - Of these, and of silence, the path of the least cost through all frames, as in pYIN (M. Mauch and S. Dixon, ICASSP
//   2014): jumps cost by their size up to a limit, so notes may leap but octaves do not flicker.
//
// Signals are mono float32, full scale 1.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace vqcodec::eval {

struct PitchOptions {
  double min_hz = 30;          // lowest pitch, 20..500
  double max_hz = 400;         // highest, above twice the lowest, at most 2000
  double hop_seconds = 0.006;  // from frame to frame, about
};

// 30 to 400 Hz for a bass, 70 to 1100 Hz for all others.
PitchOptions pitch_options(const std::string& source);

struct PitchTrack {
  double hop_seconds = 0;
  std::vector<double> hz;     // of the frame in whose middle time is i x hop_seconds; 0 = no pitch
  std::vector<double> level;  // root mean square there
};

// Empty for a signal shorter than three periods of min_hz. Throws Error(kInternal) for options outside their ranges.
PitchTrack track_pitch(std::span<const float> samples, double sample_rate_hz, const PitchOptions& options);

struct Note {
  double start_seconds = 0, end_seconds = 0;
  int key = 0;       // MIDI, 69 = 440 Hz
  double cents = 0;  // of the note's median pitch from its key, in [-50, 50]
  double level = 0;  // root mean square of its loudest frame
};

// Stretches of one key of at least 50 ms, split where the level rises anew by more than 4 dB in 30 ms.
std::vector<Note> find_notes(const PitchTrack& track);

// A Standard MIDI File of the notes on one track, channel 1, at 120 beats a minute (so times are kept to 1 ms), as the
// General MIDI finger bass for a bass and a lead for all others; velocities follow the level, the loudest is 112.
std::vector<uint8_t> notes_to_midi(std::span<const Note> notes, const std::string& source);

// Every `factor`th sample after a low-pass (windowed sinc, -6 dB at 0.45 of the new rate).
std::vector<float> decimate(std::span<const float> samples, int factor);

}  // namespace vqcodec::eval
