#include "dataset/compose_statistics.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace vqcodec::dataset {

namespace {

constexpr double kSameTimeBeats = 0.09;  // of a quarter: over people's looseness, under a swung sixteenth

// The strong ones among the beats of a bar.
bool is_strong(int beat, const SongAnnotations& song) {
  if (beat == 0) return true;
  switch (song.meter_numerator) {
    case 4: return beat == 2;
    case 5: return beat == 3;
    case 6: return beat == 1;
    case 7: return beat == 2;
    default: return false;
  }
}

}  // namespace

double share(int64_t part, int64_t whole) {
  return whole > 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

void ComposeStatistics::add(const ComposedSong& composed) {
  const SongAnnotations& song = composed.annotations;
  const MidiSong& midi = composed.midi;
  ++num_songs;
  seconds += song.end_seconds;
  ++styles[song.style];
  ++meters[std::to_string(song.meter_numerator) + "/" + std::to_string(song.meter_denominator)];
  const size_t space = song.key.find(' ');
  ++tonics[song.key.substr(0, space)];
  ++modes[song.key.substr(space + 1)];
  const auto& beats = song.beat_seconds;
  const double quarter = 60 / song.tempo_bpm;
  const auto bar_of = [&](double at) {
    const auto after = std::ranges::upper_bound(beats, at + kSameTimeBeats * quarter) - beats.begin();
    return std::max<int64_t>(0, after - 1) / song.beats_per_bar;
  };
  const auto chord_at = [&](double at) -> const ChordNote& {
    const auto after = std::ranges::upper_bound(song.chords, at, {}, &ChordNote::start_seconds);
    return after == song.chords.begin() ? song.chords.front() : *(after - 1);
  };
  std::vector<double> kick_times, bass_times;
  std::map<int64_t, std::string> rhythms, drum_rhythms;
  std::vector<bool> chord_is_played(song.chords.size(), false);
  struct Sounding {
    double until = 0, silent = 0;
    int64_t count = 0;
  };
  std::map<std::string, Sounding> sounding;
  for (const MidiNote& note : midi.notes) {
    const MidiGroup group = midi_group(midi, note, true);
    Sounding& sound = sounding[midi_group_name(group)];
    sound.silent += std::max(0.0, note.start_seconds - sound.until);
    // A drum rings about as long as a beat, whatever its note's length.
    sound.until = std::max(sound.until, group == MidiGroup::kDrums ? note.start_seconds + quarter : note.end_seconds);
    ++sound.count;
    if (group != MidiGroup::kBass && group != MidiGroup::kDrums) continue;
    const int64_t bar = bar_of(note.start_seconds);
    const double bar_start = beats[static_cast<size_t>(bar * song.beats_per_bar)];
    const auto step = static_cast<int>(std::lround((note.start_seconds - bar_start) / quarter * 4));
    if (group == MidiGroup::kDrums) {
      drum_rhythms[bar] += static_cast<char>('A' + std::clamp(step, 0, 25));
      drum_rhythms[bar] += static_cast<char>(note.key);
      if (note.key == 35 || note.key == 36) kick_times.push_back(note.start_seconds);
      continue;
    }
    rhythms[bar] += static_cast<char>('A' + std::clamp(step, 0, 25));
    bass_times.push_back(note.start_seconds);
    const auto next_beat = std::ranges::lower_bound(beats, note.start_seconds);
    size_t beat = static_cast<size_t>(next_beat - beats.begin());
    if (beat == beats.size() || (beat > 0 && note.start_seconds - beats[beat - 1] < beats[beat] - note.start_seconds))
      --beat;
    // A note that is meant for the beat may come a little early.
    const bool is_on_beat = std::abs(note.start_seconds - beats[beat]) < kSameTimeBeats * quarter;
    const ChordNote& chord = chord_at((is_on_beat ? beats[beat] : note.start_seconds) + 1e-5);
    const int64_t is_tone = std::ranges::find(chord.pitch_classes, note.key % 12) != chord.pitch_classes.end() ? 1 : 0;
    if (is_on_beat) {
      ++beat_bass_notes;
      beat_bass_tones += is_tone;
      if (is_strong(static_cast<int>(beat) % song.beats_per_bar, song)) {
        ++strong_bass_notes;
        strong_bass_tones += is_tone;
      }
    }
    const auto index = static_cast<size_t>(&chord - song.chords.data());
    if (!chord_is_played[index]) {
      chord_is_played[index] = true;
      ++chords_with_bass;
      chords_begun_by_root += note.key % 12 == chord.bass || note.key % 12 == chord.root ? 1 : 0;
    }
  }
  for (const auto& [bar, rhythm] : rhythms) bass_rhythms.insert(std::to_string(song.meter_numerator) + rhythm);
  for (const auto& [bar, rhythm] : drum_rhythms) drum_bars.insert(std::to_string(song.meter_numerator) + rhythm);
  bass_bars += static_cast<int64_t>(rhythms.size());
  std::ranges::sort(bass_times);
  for (const double kick : kick_times) {
    if (!rhythms.contains(bar_of(kick))) continue;
    ++kicks;
    const auto near = std::ranges::lower_bound(bass_times, kick - kSameTimeBeats * quarter);
    kicks_with_bass += near != bass_times.end() && *near <= kick + kSameTimeBeats * quarter ? 1 : 0;
  }
  for (const ChordNote& chord : song.chords) {
    const size_t slash = chord.name.find('/');
    const size_t root = chord.name.size() > 1 && (chord.name[1] == '#' || chord.name[1] == 'b') ? 2 : 1;
    ++chord_qualities[chord.name.substr(root, slash == std::string::npos ? slash : slash - root)];
  }
  for (auto& [name, sound] : sounding) {
    PartStatistics& part = groups[name];
    ++part.num_songs;
    part.num_notes += sound.count;
    part.song_seconds += song.end_seconds;
    part.silent_seconds += sound.silent + std::max(0.0, song.end_seconds - sound.until);
  }
}

void ComposeStatistics::add(const ComposeStatistics& other) {
  num_songs += other.num_songs;
  seconds += other.seconds;
  strong_bass_notes += other.strong_bass_notes;
  strong_bass_tones += other.strong_bass_tones;
  beat_bass_notes += other.beat_bass_notes;
  beat_bass_tones += other.beat_bass_tones;
  chords_with_bass += other.chords_with_bass;
  chords_begun_by_root += other.chords_begun_by_root;
  kicks += other.kicks;
  kicks_with_bass += other.kicks_with_bass;
  bass_bars += other.bass_bars;
  bass_rhythms.insert(other.bass_rhythms.begin(), other.bass_rhythms.end());
  drum_bars.insert(other.drum_bars.begin(), other.drum_bars.end());
  const auto merge = [](auto& into, const auto& from) {
    for (const auto& [name, count] : from) into[name] += count;
  };
  merge(styles, other.styles);
  merge(meters, other.meters);
  merge(tonics, other.tonics);
  merge(modes, other.modes);
  merge(chord_qualities, other.chord_qualities);
  for (const auto& [name, part] : other.groups) {
    PartStatistics& into = groups[name];
    into.num_songs += part.num_songs;
    into.num_notes += part.num_notes;
    into.song_seconds += part.song_seconds;
    into.silent_seconds += part.silent_seconds;
  }
}

}  // namespace vqcodec::dataset
