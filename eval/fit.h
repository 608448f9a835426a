// Does a line fit its song? Harmony, rhythm, register, density and tuning of a line beside the song's other sources,
// and how a set of lines differs from real ones. docs/GENERATION.md says what each figure means.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "eval/json_output.h"
#include "eval/pitch.h"
#include "eval/rhythm.h"

namespace vqcodec::eval {

// A song without the line, as far as a line is measured against it.
struct FitContext {
  double seconds = 0;
  bool has_drums = false;     // else the onsets are those of all other sources together
  OnsetCurve accents;         // of the drums or all others
  std::vector<double> edges;  // of the beats, from 0 to the end; every half second where no beat was found
  double seconds_a_beat = 0;  // 0 = no beat was found
  Harmony harmony;            // by beat, of the other sources but the drums
};

// Interleaved stereo to their mean.
std::vector<float> to_mono(std::span<const float> interleaved);

// All but the harmony. rhythm: mono, what the drums play, or if they are silent all others but the line.
FitContext analyse_rhythm(std::span<const float> rhythm, bool are_drums, double seconds, int sample_rate_hz);
// sum += samples, which may be longer or shorter.
void add_signal(std::vector<float>& sum, std::span<const float> samples);
// Whether a signal is more than what rounding leaves.
bool sounds(std::span<const float> samples);
// stems: by source interleaved stereo, equally long, empty = silent; `source` is left out. The drums are the source of
// that name.
FitContext analyse_context(std::span<const std::vector<float>> stems, std::span<const std::string> sources,
                           const std::string& source, int sample_rate_hz);

struct FitFigures {
  // Share of the time of all notes in which they are tones of the triad that the others play in that beat. 0 without
  // notes, NaN where the others play none.
  double chord_tones = 0;
  // Mean over the line's onsets, by their strength, of the strength of the drums' accents within 35 ms, at most 1. 0
  // without onsets, NaN without drums or other onsets.
  double beat = 0;
  double register_key = 0;      // median MIDI key by time; NaN without notes
  double notes_per_second = 0;  // by notes, of drums by onsets
  double tuning_cents = 0;      // of the line against the others, in [-50, 50); NaN without notes
  double level_db = 0;          // root mean square; -infinity for silence
  int num_notes = 0;
};

// What of a line does not depend on a context.
struct LineAnalysis {
  double energy = 0;  // sum of squares
  int64_t num_samples = 0;
  std::vector<Onset> onsets;
  std::vector<Note> notes;  // none of drums
};
// line: mono. `source` as in measure_fit().
LineAnalysis analyse_line(std::span<const float> line, int sample_rate_hz, const std::string& source);

// line: as analysed, not longer than the context. `source`: as there.
FitFigures measure_fit(const FitContext& context, const LineAnalysis& line, const std::string& source);
// line: mono, of the context's sample rate; what is beyond the context's end is left aside. `source`: drums have no
// notes, and others are tracked in the range of pitch_options().
FitFigures measure_fit(const FitContext& context, std::span<const float> line, int sample_rate_hz,
                       const std::string& source);

// MIDI keys, with fractions.
struct KeyRange {
  double low = -1000, high = 1000;
};
// What a line of the source can be expected to keep to: an octave around the median of `own`, the song's own line, or if
// that has no notes, what such a source usually plays.
KeyRange expected_range(const FitFigures& own, const std::string& source);

// Share of the stretch in which a pitch within `range` sounds that is a tone of its beat's triad, less that in which
// another one does: -1..1, 0 where no pitch sounds or the others play no triad. Pitches within 12 cents of a multiple of
// frame_hz, if that is above 0, count against: it is what the same codes in every frame sound like. With a usual_level
// (root mean square) above 0, what is softer than half of it counts for less, and what is louder than three times counts
// against. The track begins at `track_seconds` of the song; the stretch is [from_seconds, to_seconds).
double chord_balance(const FitContext& context, const PitchTrack& track, double track_seconds, double from_seconds,
                     double to_seconds, const KeyRange& range = {}, double frame_hz = 0, double usual_level = 0);

// {chord_tones, beat, register_key, notes_per_second, tuning_cents, level_db, notes}
Json fit_figures_json(const FitFigures& figures);

// A song of a set: its own line, new lines of it, and lines of other songs put in their place.
struct FitSong {
  std::string name;
  FitFigures own;
  std::vector<FitFigures> lines, others;
  std::vector<std::string> files;  // of the lines
};

inline constexpr int kNumFitMeasures = 5;
inline constexpr const char* kFitMeasures[kNumFitMeasures] = {"chord_tones", "beat", "register", "density", "tuning"};

// A line by those measures, of which more is better: agreements as they are; register, density and tuning are minus
// the distance: semitones from the own line's register, octaves (factors of 2) from its density, cents from the
// others' tuning.
std::array<double, kNumFitMeasures> fit_measures(const FitFigures& figures, const FitFigures& own);

// {songs: [{name, seconds..., own, lines, others (means), scaled}], measures: {<measure>: {line, own, other, scaled,
// low, high}}} Scaled is (line - other) / (own - other): 0 = as a line of another song, 1 = as the song's own; of the
// set by the sums over songs, with the 2.5 and 97.5 percentiles of `num_resamples` sets of as many songs drawn with
// replacement (bootstrap, B. Efron 1979). null where others and own hardly differ or there are no others; songs whose
// own line is silent (below -60 dB) do not count.
Json fit_json(std::span<const FitSong> songs, int num_resamples, uint64_t seed);
// Tables of it.
std::string fit_text(const Json& report);

// Fréchet distance of log-mel frames (mean and covariance of 32 bands; K. Kilgour et al., "Fréchet audio distance",
// Interspeech 2019, have it of a network's embeddings) of two sets of signals, all mono of one rate. NaN when a set
// has fewer than 64 frames (2048 samples, hop 1024) that sound.
double mel_frechet_distance(std::span<const std::vector<float>> a, std::span<const std::vector<float>> b,
                            int sample_rate_hz);

// Jensen-Shannon divergence of two histograms of the same size, in bits: 0 = alike, 1 = nothing in common. NaN when
// one is empty.
double jensen_shannon_bits(std::span<const int64_t> a, std::span<const int64_t> b);

// Codes of one line or training song for the search for copies: of every frame that sounds the codes of its first two
// codebooks as one number; frames equal to the one before are left out, so that what only stays is no copy.
std::vector<uint32_t> copy_keys(std::span<const uint16_t> codes, int num_codebooks, std::span<const uint8_t> sounds);

// Finds the longest stretch that a line shares with anything it is shown. A suffix automaton of the line (A. Blumer et
// al., "The smallest automaton recognizing the subwords of a text", 1985).
class CopyFinder {
 public:
  explicit CopyFinder(std::span<const uint32_t> line);
  // Length of the longest run of `keys` that is in the line too.
  int64_t longest_run(std::span<const uint32_t> keys) const;

 private:
  struct State {
    int64_t length = 0;
    int link = -1;
    std::vector<std::pair<uint32_t, int>> next;  // ascending keys
  };
  int next_of(int state, uint32_t key) const;
  void set_next(int state, uint32_t key, int to);
  std::vector<State> states_;
};

}  // namespace vqcodec::eval
