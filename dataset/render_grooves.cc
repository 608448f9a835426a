#include "dataset/render_grooves.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <span>

#include "base/error.h"
#include "runtime/sha256.h"

namespace vqcodec::dataset {

namespace fs = std::filesystem;

namespace {

constexpr double kMaxTempoRatio = 1.2;
constexpr size_t kNumNearest = 8;

double bar_beats(const MidiSong& song) {
  if (song.time_signatures.empty()) return 4;
  const MidiTimeSignature& signature = song.time_signatures[0];
  return 4.0 * signature.numerator / signature.denominator;
}

}  // namespace

GrooveSet::GrooveSet(const std::string& folder, const std::function<void(const std::string&)>& on_remark) {
  std::string digests;
  for (const std::string& name : list_midi_files(folder)) {
    const std::string file = (fs::path(folder) / name).string();
    MidiSong song;
    try {
      song = read_midi(file);
    } catch (const Error& bad) {
      if (on_remark) on_remark(std::string(bad.what()) + "; the take is left out");
      continue;
    }
    GrooveTake take{file, 60e6 / song.tempi[0].quarter_microseconds, bar_beats(song), 0, {}};
    for (const MidiNote& note : song.notes) {
      if (note.channel == kMidiDrumChannel) take.notes.push_back(note);
    }
    if (take.notes.empty()) continue;
    // Hits right before a bar line belong to the next bar: they are early.
    take.num_beats = std::round((take.notes.back().start_beats + 0.6) / take.beats_per_bar) * take.beats_per_bar;
    if (take.num_beats < 2 * take.beats_per_bar) continue;
    digests += runtime::to_hex(runtime::sha256_file(file));
    takes_.push_back(std::move(take));
  }
  if (takes_.empty()) {
    throw Error(ExitCode::kBadFile, folder + ": has no drum take: no MIDI file with two bars or more on channel 10");
  }
  fingerprint_ = runtime::hex_digest(digests);
}

LaidGroove GrooveSet::choose(double tempo_bpm, double beats_per_bar, CounterRandom& random) const {
  struct Candidate {
    double distance;  // of the tempi, in octaves
    LaidGroove groove;
  };
  std::vector<Candidate> candidates;
  for (const GrooveTake& take : takes_) {
    if (std::abs(take.beats_per_bar - beats_per_bar) > 1e-6) continue;
    Candidate best{100, {}};
    for (const double factor : {1.0, 2.0, 0.5}) {
      const double distance = std::abs(std::log2(tempo_bpm / (take.tempo_bpm * factor)));
      if (distance < best.distance - 1e-9) best = {distance, {&take, factor}};
    }
    candidates.push_back(best);
  }
  if (candidates.empty()) return {};
  std::ranges::stable_sort(candidates, {}, &Candidate::distance);
  size_t count = std::min(candidates.size(), kNumNearest);
  while (count < candidates.size() && candidates[count].distance < std::log2(kMaxTempoRatio)) ++count;
  return candidates[random.below(count)].groove;
}

std::vector<MidiNote> lay_groove(const LaidGroove& groove, double num_beats) {
  std::vector<MidiNote> notes;
  const double length = groove.take->num_beats * groove.song_beats_per_beat;
  for (int64_t round = 0; static_cast<double>(round) * length < num_beats; ++round) {
    for (MidiNote note : groove.take->notes) {
      const double offset = static_cast<double>(round) * length;
      note.start_beats = note.start_beats * groove.song_beats_per_beat + offset;
      note.end_beats = note.end_beats * groove.song_beats_per_beat + offset;
      if (note.start_beats < num_beats) notes.push_back(note);
    }
  }
  std::ranges::stable_sort(notes, {}, &MidiNote::start_beats);
  return notes;
}

}  // namespace vqcodec::dataset
