// Drum takes as MIDI files, such as those of the Groove MIDI Dataset (Gillick and others 2019), to be laid under songs.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "dataset/midi.h"
#include "dataset/stems.h"

namespace vqcodec::dataset {

struct GrooveTake {
  std::string file;
  double tempo_bpm = 120;
  double beats_per_bar = 4;     // quarter notes
  double num_beats = 0;         // whole bars
  std::vector<MidiNote> notes;  // of channel 10
};

// What is played, and how its beats lie on the song's.
struct LaidGroove {
  const GrooveTake* take = nullptr;
  double song_beats_per_beat = 1;  // 2: in half time, 0.5: in double time
};

class GrooveSet {
 public:
  // Reads every .mid and .midi below `folder`; files that are damaged are told to `on_remark` and left out, and so are
  // takes of less than two bars. Throws Error(kIo) for a folder that cannot be read, Error(kBadFile) when it has no take.
  GrooveSet(const std::string& folder, const std::function<void(const std::string&)>& on_remark);

  const std::vector<GrooveTake>& takes() const { return takes_; }
  // SHA-256 of the files that are used.
  const std::string& fingerprint() const { return fingerprint_; }

  // A take in this meter whose tempo, also in half or double time, is within a fifth of the song's; else one of the eight
  // nearest. Nothing when no take has the meter.
  LaidGroove choose(double tempo_bpm, double beats_per_bar, CounterRandom& random) const;

 private:
  std::vector<GrooveTake> takes_;  // by file
  std::string fingerprint_;
};

// The take again and again for `num_beats` of the song, with start_beats and end_beats of the song; sorted.
std::vector<MidiNote> lay_groove(const LaidGroove& groove, double num_beats);

}  // namespace vqcodec::dataset
