// Any bytes as a MIDI file: a song whose numbers hold, which is written and read back the same, or Error(kBadFile).
#include <cstdint>
#include <cstdlib>
#include <span>

#include "base/error.h"
#include "dataset/midi.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vqcodec;
  dataset::MidiSong song;
  try {
    song = dataset::parse_midi({data, size}, "fuzz");
  } catch (const Error& error) {
    if (error.code() != ExitCode::kBadFile) std::abort();
    return 0;
  }
  double last = 0;
  for (const dataset::MidiNote& note : song.notes) {
    if (note.start_seconds < last || note.end_seconds < note.start_seconds || note.channel > 15 || note.key > 127 ||
        note.velocity < 1 || note.velocity > 127 || note.program > 127 || note.track >= song.track_names.size() ||
        note.end_ticks > song.end_ticks) {
      std::abort();
    }
    last = note.start_seconds;
    dataset::midi_group(song, note, true);
  }
  if (!(song.end_seconds <= dataset::kMaxMidiSeconds)) std::abort();
  // Notes that share a key of a channel over tracks can change their order within a tick; times and counts cannot.
  const dataset::MidiSong again = dataset::parse_midi(dataset::write_midi(song), "written");
  if (again.tempi != song.tempi || again.end_ticks != song.end_ticks || again.controls.size() != song.controls.size() ||
      again.track_names != song.track_names || again.texts != song.texts ||
      again.time_signatures != song.time_signatures || again.key_signatures != song.key_signatures) {
    std::abort();
  }
  return 0;
}
