// A small song for tests of the renderer.
#pragma once

#include "dataset/midi.h"

namespace vqcodec::dataset {

inline constexpr uint8_t kTestBassKey = 45;    // 110 Hz
inline constexpr uint8_t kTestPianoKey = 64;   // 329.6 Hz
inline constexpr uint8_t kTestMelodyKey = 76;  // 659.3 Hz

// 120 beats a minute: a bass, a piano and a melody that hold their keys for two beats each, and drums on all beats but
// for the first two bars; after the last bar there is nothing. Tracks Piano, Bass, Drums, and `melody_name`.
inline MidiSong test_song(int num_bars = 8, const char* melody_name = "Melody") {
  MidiSong song;
  song.ticks_per_quarter = 480;
  song.track_names = {"Piano", "Bass", "Drums", melody_name};
  song.tempi = {{0, 0, 500000}};
  song.time_signatures = {{0, 4, 4}};
  const auto add = [&](uint16_t track, uint8_t channel, uint8_t key, int64_t beat, int64_t ticks) {
    MidiNote note;
    note.track = track;
    note.channel = channel;
    note.key = key;
    note.velocity = 100;
    note.start_ticks = 480 * beat;
    note.end_ticks = note.start_ticks + ticks;
    song.notes.push_back(note);
  };
  const auto program = [&](uint16_t track, uint8_t channel, int16_t value) {
    MidiControl control;
    control.track = track;
    control.kind = MidiControlKind::kProgram;
    control.channel = channel;
    control.value = value;
    song.controls.push_back(control);
  };
  program(0, 0, 0);
  program(1, 1, 33);
  program(3, 2, 81);
  for (int64_t beat = 0; beat < 4 * num_bars; ++beat) {
    if (beat % 2 == 0) {
      add(0, 0, kTestPianoKey, beat, 900);
      add(1, 1, kTestBassKey, beat, 900);
      add(3, 2, kTestMelodyKey, beat, 900);
    }
    if (beat >= 8) add(2, kMidiDrumChannel, 36, beat, 100);
  }
  time_midi(song);
  return song;
}

}  // namespace vqcodec::dataset
