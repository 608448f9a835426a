// What can be counted about composed songs: does the bass follow the chords and the bass drum, is there variety.
#pragma once

#include <map>
#include <set>
#include <string>

#include "dataset/compose.h"

namespace vqcodec::dataset {

struct PartStatistics {
  int64_t num_songs = 0;
  int64_t num_notes = 0;
  double song_seconds = 0;    // of the songs that have the part
  double silent_seconds = 0;  // of these, in which no note sounds
};

struct ComposeStatistics {
  int64_t num_songs = 0;
  double seconds = 0;
  // Bass notes that begin on a strong beat (1 and 3 of 4/4, 1 of 3/4, both of 6/8, the two groups of 5/4 and 7/8) or on
  // any beat, and how many are tones of the chord there (its bass included).
  int64_t strong_bass_notes = 0, strong_bass_tones = 0, beat_bass_notes = 0, beat_bass_tones = 0;
  // Chords under which the bass plays, and where its first note is the chord's bass or root.
  int64_t chords_with_bass = 0, chords_begun_by_root = 0;
  // Onsets of the bass drum in bars with bass, and how many have a bass note with them.
  int64_t kicks = 0, kicks_with_bass = 0;
  int64_t bass_bars = 0;
  std::set<std::string> bass_rhythms, drum_bars;  // of bars, different ones
  std::map<std::string, int64_t> styles, meters, tonics, modes, chord_qualities;
  std::map<std::string, PartStatistics> groups;  // bass, drums, other, melody

  void add(const ComposedSong& song);
  void add(const ComposeStatistics& other);
};

// 0 when there is nothing to count.
double share(int64_t part, int64_t whole);

}  // namespace vqcodec::dataset
