#include "dataset/singing.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <numbers>
#include <optional>
#include <utility>

#include "base/error.h"
#include "dataset/stems.h"
#include "dataset/sung_words.h"
#include "dataset/vocoder.h"

namespace vqcodec::dataset {

namespace {

constexpr float kLnPerDb = 0.2302585f;  // of power
constexpr double kLevel = 0.1;          // root mean square of a vowel at velocity 100
constexpr double kTailSeconds = 0.3;
constexpr double kLegatoSeconds = 0.08;  // a shorter rest is bridged
constexpr double kMaxPhraseSeconds = 12;
constexpr double kConsonantShare = 0.45;  // at most, of a note, for the consonants up to the next
constexpr double kEndShare = 0.35;        // the same at a phrase's end
constexpr int kNumSongLines = 4;

// The streams of random numbers of a song.
enum Stream : uint64_t {
  kVoiceStream = 0x51,
  kWordsStream,
  kMelismaStream,
  kHarmonyStream,
  kPartStream,
  kOptionsStream
};

double amplitude(double db) { return std::pow(10.0, db / 20); }

float smoothstep(double x) {
  const double y = std::clamp(x, 0.0, 1.0);
  return static_cast<float>(y * y * (3 - 2 * y));
}

struct Note {
  double start, end, key;
  double gain_db;  // by velocity
};

struct Phrase {
  size_t first, last;  // notes [first, last)
  double earliest;     // nothing of it sounds before
};

// One syllable on the notes [first, last).
struct SungSyllable {
  const Syllable* syllable;
  size_t first, last;
};

// One voice of those that sound together.
struct Part {
  uint64_t seed;
  double gain, pan;
  double late_seconds = 0, timing_seconds = 0.005, detune_cents = 0, formant = 1;
  const SungHarmony* harmony = nullptr;
};

void check(const VoiceOptions& o) {
  const auto range = [](const char* name, double value, double low, double high) {
    if (value >= low && value <= high) return;
    throw Error(ExitCode::kUsage, std::string("the voice's ") + name + " is " + std::to_string(value) + ", expected " +
                                      std::to_string(low) + " to " + std::to_string(high));
  };
  range("formant_ratio", o.formant_ratio, 0.7, 1.4);
  range("vibrato_hz", o.vibrato_hz, 2, 10);
  range("vibrato_cents", o.vibrato_cents, 0, 200);
  range("vibrato_seconds", o.vibrato_seconds, 0, 5);
  range("glide_seconds", o.glide_seconds, 0, 1);
  range("drift_cents", o.drift_cents, 0, 50);
  range("breath_db", o.breath_db, -1000, 12);
  range("breathiness", o.breathiness, 0, 1);
  range("effort", o.effort, -1, 1);
  range("melisma_chance", o.melisma_chance, 0, 1);
  range("phrase_gap_seconds", o.phrase_gap_seconds, 0.05, 10);
  range("num_doubles", o.num_doubles, 0, 4);
  range("double_gain_db", o.double_gain_db, -60, 12);
  range("width", o.width, 0, 1);
  range("number of harmonies", static_cast<double>(o.harmonies.size()), 0, 4);
  range("harmony_share", o.harmony_share, 0, 1);
  range("scale_tonic", o.scale_tonic, -1, 11);
  for (const SungHarmony& harmony : o.harmonies) {
    range("harmony's scale_steps", harmony.scale_steps, -14, 14);
    range("harmony's gain_db", harmony.gain_db, -60, 12);
    range("harmony's pan", harmony.pan, -1, 1);
  }
}

// One note at a time, by start, each within the limits.
std::vector<Note> make_melody(std::span<const SungNote> notes) {
  std::vector<Note> melody;
  for (size_t i = 0; i < notes.size(); ++i) {
    const SungNote& note = notes[i];
    const double end = note.start_seconds + note.duration_seconds;
    if (!(note.start_seconds >= 0) || !(note.duration_seconds >= 0) || !(end <= kMaxSungSeconds) ||
        !(note.midi_key >= 0 && note.midi_key <= 127) || note.velocity < 1 || note.velocity > 127) {
      throw Error(ExitCode::kUsage,
                  "note " + std::to_string(i) + " of the melody cannot be sung: start " +
                      std::to_string(note.start_seconds) + " s, duration " + std::to_string(note.duration_seconds) +
                      " s, key " + std::to_string(note.midi_key) + ", velocity " + std::to_string(note.velocity) +
                      "; expected times from 0 to " + std::to_string(static_cast<int>(kMaxSungSeconds)) +
                      " s, a key of 0 to 127, a velocity of 1 to 127");
    }
    if (note.duration_seconds < kMinSungSeconds) continue;
    melody.push_back({note.start_seconds, std::min(end, note.start_seconds + kMaxSungNoteSeconds), note.midi_key,
                      std::max(30 * std::log10(note.velocity / 100.0), -20.0)});
  }
  std::stable_sort(melody.begin(), melody.end(),
                   [](const Note& a, const Note& b) { return a.start != b.start ? a.start < b.start : a.key > b.key; });
  std::vector<Note> result;
  for (const Note& note : melody) {
    if (!result.empty() && note.start < result.back().start + kMinSungSeconds) continue;  // a chord's lower notes
    if (!result.empty()) result.back().end = std::min(result.back().end, note.start);
    result.push_back(note);
  }
  return result;
}

void move_into_range(std::vector<Note>& notes, const VoiceOptions& options, Sex sex) {
  double shift = 0;
  if (options.fit_range) {
    std::vector<double> keys;
    for (const Note& note : notes) keys.push_back(note.key);
    std::nth_element(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(keys.size() / 2), keys.end());
    const double centre = sex == Sex::kFemale ? 66 : 55;
    shift = 12 * std::round((centre - keys[keys.size() / 2]) / 12);
  }
  for (Note& note : notes) {
    note.key += shift;
    while (note.key < kMinSungKey) note.key += 12;
    while (note.key > kMaxSungKey) note.key -= 12;
  }
}

std::vector<Phrase> find_phrases(const std::vector<Note>& notes, double gap_seconds) {
  std::vector<Phrase> phrases;
  for (size_t i = 0; i < notes.size(); ++i) {
    const bool begins = i == 0 || notes[i].start - notes[i - 1].end >= gap_seconds ||
                        notes[i].end - notes[phrases.back().first].start > kMaxPhraseSeconds;
    if (begins) {
      if (i > 0) phrases.back().last = i;
      phrases.push_back({i, notes.size(), i == 0 ? 0 : std::min(notes[i - 1].end + 0.05, notes[i].start)});
    }
  }
  return phrases;
}

// What two phrases of the same tune have in common: the steps between their first notes.
uint64_t tune_of(const std::vector<Note>& notes, const Phrase& phrase) {
  uint64_t tune = 0;
  for (size_t i = phrase.first + 1; i < std::min(phrase.last, phrase.first + 6); ++i) {
    tune = tune * 131 + static_cast<uint64_t>(std::lround(notes[i].key - notes[i - 1].key) + 128);
  }
  return tune;
}

constexpr int kMajorScale[7] = {0, 2, 4, 5, 7, 9, 11};

int find_scale(const std::vector<Note>& notes) {
  int best = 0;
  double most = -1;
  for (int tonic = 0; tonic < 12; ++tonic) {
    double inside = 0;
    for (const Note& note : notes) {
      const int degree = static_cast<int>(std::lround(note.key) - tonic + 120) % 12;
      if (std::find(std::begin(kMajorScale), std::end(kMajorScale), degree) != std::end(kMajorScale)) {
        inside += note.end - note.start;
      }
    }
    if (inside > most + 1e-6) {
      most = inside;
      best = tonic;
    }
  }
  return best;
}

double harmony_key(double key, int tonic, int steps) {
  const int above = static_cast<int>(std::floor(key + 0.5)) - tonic + 120;
  int degree = 6;
  while (kMajorScale[degree] > above % 12) --degree;
  const int to = degree + steps + 70;
  double result = key + kMajorScale[to % 7] + 12 * (to / 7 - 10) - kMajorScale[degree];
  while (result < kMinSungKey) result += 12;
  while (result > kMaxSungKey) result -= 12;
  return result;
}

// Slow wandering of deviation about 1: white noise through two poles.
class Wander {
 public:
  Wander(CounterRandom random, double seconds) : random_(random), pole_(std::exp(-kVoiceFrameSeconds / seconds)) {
    // Of two equal poles at p, white noise of deviation 1 - p leaves with variance g.
    const double p2 = pole_ * pole_;
    const double variance = std::pow(1 - pole_, 4) * (1 + p2) / std::pow(1 - p2, 3);
    scale_ = 1 / std::sqrt(variance);
    for (int i = 0; i < static_cast<int>(4 * seconds / kVoiceFrameSeconds); ++i) next();
  }
  double next() {
    first_ += (1 - pole_) * (random_.normal() - first_);
    second_ += (1 - pole_) * (first_ - second_);
    return std::clamp(scale_ * second_, -2.0, 2.0);
  }

 private:
  CounterRandom random_;
  double pole_, scale_ = 1, first_ = 0, second_ = 0;
};

VoiceFrame blend(const VoiceFrame& a, const VoiceFrame& b, float share) {
  VoiceFrame frame;
  for (int i = 0; i < kVoicePoints; ++i) {
    frame.log_power[i] = a.log_power[i] + share * (b.log_power[i] - a.log_power[i]);
    frame.noise_share[i] = a.noise_share[i] + share * (b.noise_share[i] - a.noise_share[i]);
  }
  frame.voiced = a.voiced + share * (b.voiced - a.voiced);
  return frame;
}

// Air through an open mouth: broad resonances, power 1.
VoiceFrame make_breath() {
  VoiceFrame frame;
  double power = 0;
  const auto peak = [](double hz, double centre, double octaves) {
    const double x = std::log2(std::max(hz, 20.0) / centre) / octaves;
    return std::exp(-0.5 * x * x);
  };
  for (int i = 0; i < kVoicePoints; ++i) {
    const double hz = hz_of_point(static_cast<float>(i));
    const double value = peak(hz, 1600, 0.5) + 0.6 * peak(hz, 3500, 0.4) + 0.3 * peak(hz, 7500, 0.5) + 1e-4;
    frame.log_power[i] = static_cast<float>(std::log(value));
    frame.noise_share[i] = 1;
    power += value * (hz_of_point(static_cast<float>(i) + 0.5f) - hz_of_point(static_cast<float>(i) - 0.5f)) /
             (kVoiceHz / 2.0);
  }
  for (float& value : frame.log_power) value -= static_cast<float>(std::log(power));
  return frame;
}

// Where in a vowel of `length` frames the time `done` (0 to 1) of a note is: the beginning and the end pass as they
// were spoken, the middle is held.
double vowel_position(double done, double seconds, int length) {
  const double spoken = length * kVoiceFrameSeconds;
  if (seconds <= spoken) return done * (length - 1);
  const double head = std::min(0.2 * spoken, 0.04), tail = std::min(0.25 * spoken, 0.06);
  const double at = done * seconds;
  double source = 0;
  if (at < head) {
    source = at;
  } else if (at > seconds - tail) {
    source = spoken - (seconds - at);
  } else {
    source = head + (at - head) / (seconds - head - tail) * (spoken - head - tail);
  }
  return source / spoken * (length - 1);
}

// A run of frames of a syllable at its place in time.
struct Segment {
  double begin, end;  // seconds
  const Syllable* syllable;
  int first, count;  // frames of the syllable
  bool is_vowel;
};

class PhraseTrack {
 public:
  PhraseTrack(const std::vector<Note>& notes, const Phrase& phrase, const std::vector<SungSyllable>& syllables,
              const VoiceOptions& options, const Part& part, int tonic)
      : options_(options), part_(part), random_(part.seed, kPartStream, phrase.first) {
    notes_.assign(notes.begin() + static_cast<std::ptrdiff_t>(phrase.first),
                  notes.begin() + static_cast<std::ptrdiff_t>(phrase.last));
    for (Note& note : notes_) {
      if (part.harmony != nullptr) note.key = harmony_key(note.key, tonic, part.harmony->scale_steps);
      const double most = std::min(0.03, 0.15 * (note.end - note.start));
      const double late = std::clamp(part.late_seconds + part.timing_seconds * random_.normal(), -most, most);
      note.start = std::max(note.start + late, phrase.earliest);
    }
    for (size_t i = 0; i + 1 < notes_.size(); ++i) {
      Note& note = notes_[i];
      double& next = notes_[i + 1].start;
      next = std::max(next, note.start + 0.5 * kMinSungSeconds);
      if (next - note.end < kLegatoSeconds) note.end = next;
    }
    notes_.back().end = std::max(notes_.back().end, notes_.back().start + 0.5 * kMinSungSeconds);
    begin_seconds = std::max(phrase.earliest, notes_.front().start - 0.7);
    place(syllables, phrase);
    const double length = segments_.back().end + 0.03 - begin_seconds;
    const auto num_frames = static_cast<size_t>(std::ceil(length / kVoiceFrameSeconds)) + 1;
    const VoiceFrame silence{};
    track.frames.assign(num_frames, silence);
    track.gain.assign(num_frames, 0.0f);
    track.f0_hz.assign(num_frames, 100.0f);
    sing_pitch();
    say_segments();
    shape();
    breathe();
  }

  VoiceTrack track;
  double begin_seconds = 0;

 private:
  double time_of(size_t frame) const { return begin_seconds + static_cast<double>(frame) * kVoiceFrameSeconds; }
  size_t frame_of(double seconds) const {
    const double at = (seconds - begin_seconds) / kVoiceFrameSeconds;
    return std::min(static_cast<size_t>(std::max(0.0, std::ceil(at - 1e-9))), track.frames.size());
  }

  // Consonants of one syllable and the next share the end of the note before; vowels begin with their notes.
  void place(const std::vector<SungSyllable>& syllables, const Phrase& phrase) {
    const auto seconds = [](int frames) { return frames * kVoiceFrameSeconds; };
    const auto note_of = [&](size_t index) -> const Note& { return notes_[index - phrase.first]; };
    double scale = 0;
    {
      const double need = seconds(syllables.front().syllable->onset_frames);
      const double start = notes_.front().start;
      scale = need > 0 ? std::min(1.0, (start - begin_seconds) / need) : 1.0;
      add({start - scale * need, start, syllables.front().syllable, 0, syllables.front().syllable->onset_frames,
           false});
    }
    for (size_t s = 0; s < syllables.size(); ++s) {
      const Syllable& syllable = *syllables[s].syllable;
      const double start = note_of(syllables[s].first).start, end = note_of(syllables[s].last - 1).end;
      const bool is_last = s + 1 == syllables.size();
      const double next = is_last ? end + 0.06 : note_of(syllables[s + 1].first).start;
      const int next_onset = is_last ? 0 : syllables[s + 1].syllable->onset_frames;
      const double need = seconds(syllable.coda_frames() + next_onset);
      const double share = next > end ? kEndShare : kConsonantShare;
      const double room =
          next - end + share * (note_of(syllables[s].last - 1).end - note_of(syllables[s].last - 1).start);
      scale = need > 0 ? std::min(1.0, room / need) : 1.0;
      const double vowel_end = std::min(end, next - scale * need);
      const double coda_end = vowel_end + scale * seconds(syllable.coda_frames());
      add({start, vowel_end, &syllable, syllable.onset_frames, syllable.nucleus_frames, true});
      add({vowel_end, coda_end, &syllable, syllable.onset_frames + syllable.nucleus_frames, syllable.coda_frames(),
           false});
      if (!is_last) {
        add({next - scale * seconds(next_onset), next, syllables[s + 1].syllable, 0, next_onset, false});
      }
    }
  }

  void add(const Segment& segment) {
    if (segment.count > 0 && segment.end > segment.begin) segments_.push_back(segment);
  }

  void sing_pitch() {
    const size_t num_frames = track.frames.size();
    std::vector<double> cents(num_frames, 0.0);
    Wander wander(CounterRandom(part_.seed, kPartStream + 1, random_.next()), 0.25);
    size_t j = 0;
    const auto glide_of = [&](size_t i) {  // into note i
      const double before = notes_[i - 1].end - notes_[i - 1].start, after = notes_[i].end - notes_[i].start;
      return std::max(1e-4, std::min(options_.glide_seconds, 0.4 * std::min(before, after)));
    };
    const bool has_scoop = random_.chance(0.4) && options_.glide_seconds > 0;
    const double scoop_cents = has_scoop ? -50 - 60 * random_.uniform() : 0;
    for (size_t t = 0; t < num_frames; ++t) {
      const double time = time_of(t);
      while (j + 1 < notes_.size() && time >= notes_[j + 1].start) ++j;
      double key = notes_[j].key;
      if (j > 0) {
        const double glide = glide_of(j), x = (time - notes_[j].start) / glide + 0.6;
        key -= (notes_[j].key - notes_[j - 1].key) * (1 - smoothstep(x));
      }
      if (j + 1 < notes_.size()) {
        const double glide = glide_of(j + 1), x = (time - notes_[j + 1].start) / glide + 0.6;
        key += (notes_[j + 1].key - notes_[j].key) * smoothstep(x);
      }
      cents[t] = 100 * key + options_.drift_cents * wander.next() + part_.detune_cents;
      if (has_scoop) cents[t] += scoop_cents * (1 - smoothstep((time - notes_[0].start) / 0.12));
    }
    const double offset_cents = std::min(4.0, options_.drift_cents);
    for (const Note& note : notes_) {
      const double offset = offset_cents * std::clamp(random_.normal(), -2.0, 2.0);
      const double rate = options_.vibrato_hz * (1 + 0.03 * std::clamp(random_.normal(), -2.0, 2.0));
      const double depth = options_.vibrato_cents * (0.85 + 0.3 * random_.uniform());
      const double first = note.start + options_.vibrato_seconds;
      const bool has_vibrato = depth > 0 && note.end - first > 0.15;
      for (size_t t = frame_of(note.start); t < frame_of(note.end); ++t) {
        const double time = time_of(t);
        const double edge = std::min(time - note.start, note.end - time);
        cents[t] += offset * smoothstep(edge / 0.05);
        if (!has_vibrato || time < first) continue;
        const double swell = smoothstep((time - first) / 0.25) * smoothstep((note.end - time) / 0.08);
        cents[t] += depth * swell * std::sin(2 * std::numbers::pi * rate * (time - first));
      }
    }
    for (size_t t = 0; t < num_frames; ++t) {
      track.f0_hz[t] = static_cast<float>(std::clamp(440 * std::exp2((cents[t] - 6900) / 1200), 20.0, 5000.0));
    }
  }

  void say_segments() {
    for (const Segment& segment : segments_) {
      const double length = segment.end - segment.begin;
      for (size_t t = frame_of(segment.begin); t < frame_of(segment.end); ++t) {
        const double done = (time_of(t) - segment.begin) / length;
        const double position =
            segment.is_vowel ? vowel_position(done, length, segment.count) : done * (segment.count - 1);
        const auto at = std::min(static_cast<int>(position), segment.count - 1);
        const int next = std::min(at + 1, segment.count - 1);
        const auto share = static_cast<float>(position - at);
        track.frames[t] =
            blend(segment.syllable->frames[segment.first + at], segment.syllable->frames[segment.first + next], share);
        track.gain[t] = 1;
      }
    }
    // Where one syllable meets the next the mouth moves, it does not jump.
    for (size_t s = 0; s + 1 < segments_.size(); ++s) {
      if (segments_[s].syllable == segments_[s + 1].syllable && segments_[s].first < segments_[s + 1].first) continue;
      if (segments_[s + 1].begin - segments_[s].end > 0.5 * kVoiceFrameSeconds) continue;
      const size_t middle = frame_of(segments_[s + 1].begin);
      constexpr size_t kReach = 3;
      if (middle < kReach || middle + kReach > track.frames.size()) continue;
      if (track.gain[middle - kReach] <= 0 || track.gain[middle + kReach - 1] <= 0) continue;
      const VoiceFrame before = track.frames[middle - kReach], after = track.frames[middle + kReach - 1];
      if (before.voiced < 0.5f || after.voiced < 0.5f) continue;  // a stop's or a hiss's edge is sharp
      for (size_t i = 1; i + 1 < 2 * kReach; ++i) {
        const float share = static_cast<float>(i) / (2 * kReach - 1);
        track.frames[middle - kReach + i] = blend(before, after, share);
      }
    }
  }

  // Loudness and colour.
  void shape() {
    const size_t num_frames = track.frames.size();
    const double first = notes_.front().start, last = notes_.back().end;
    Wander shimmer(CounterRandom(part_.seed, kPartStream + 2, random_.next()), 0.06);
    std::array<float, kVoicePoints> octaves, ring, air;
    for (int i = 0; i < kVoicePoints; ++i) {
      const float hz = hz_of_point(static_cast<float>(i));
      octaves[i] = std::clamp(std::log2(std::max(hz, 20.0f) / 1000), -2.0f, 3.5f);
      const float x = std::log2(std::max(hz, 20.0f) / 2900) / 0.35f;
      ring[i] = std::exp(-0.5f * x * x);  // the singer's formant
      air[i] = 0.5f * hz / (hz + 2500);
    }
    size_t j = 0;
    for (size_t t = 0; t < num_frames; ++t) {
      const double time = time_of(t);
      while (j + 1 < notes_.size() && time >= notes_[j + 1].start - 0.02) ++j;
      double db = notes_[j].gain_db;
      if (j > 0) {
        db = notes_[j - 1].gain_db + (db - notes_[j - 1].gain_db) * smoothstep((time - notes_[j].start + 0.02) / 0.04);
      }
      const double tilt_db = 2.5 * options_.effort + 0.12 * db;
      const double where = last > first ? std::clamp((time - first) / (last - first), 0.0, 1.0) : 0;
      db += 1 - 7 * (where - 0.4) * (where - 0.4) + 0.4 * shimmer.next();
      track.gain[t] *= static_cast<float>(amplitude(db));
      if (track.gain[t] <= 0) continue;
      VoiceFrame& frame = track.frames[t];
      const auto breathiness = static_cast<float>(options_.breathiness);
      for (int i = 0; i < kVoicePoints; ++i) {
        frame.log_power[i] += kLnPerDb * static_cast<float>(tilt_db) * octaves[i] * frame.voiced +
                              kLnPerDb * 3.0f * static_cast<float>(options_.effort) * ring[i] * frame.voiced;
        frame.noise_share[i] += breathiness * air[i] * (1 - frame.noise_share[i]);
      }
    }
    // Every stretch of sound begins and ends softly.
    constexpr size_t kAttack = 2, kRelease = 6;
    for (size_t t = 0; t < num_frames; ++t) {
      if (track.gain[t] <= 0) continue;
      size_t end = t;
      while (end < num_frames && track.gain[end] > 0) ++end;
      for (size_t i = 0; i < std::min(kAttack, end - t); ++i) {
        track.gain[t + i] *= static_cast<float>(i + 1) / (kAttack + 1);
      }
      for (size_t i = 0; i < std::min(kRelease, end - t); ++i) {
        track.gain[end - 1 - i] *= static_cast<float>(i + 1) / (kRelease + 1);
      }
      t = end;
    }
  }

  void breathe() {
    if (options_.breath_db <= -100 || part_.harmony != nullptr) return;
    static const VoiceFrame breath = make_breath();
    const double end = segments_.front().begin - 0.04;
    const double length = std::min(0.22 + 0.2 * random_.uniform(), end - begin_seconds);
    if (length < 0.12) return;
    const auto gain = static_cast<float>(amplitude(options_.breath_db + 2 * random_.normal()));
    for (size_t t = frame_of(end - length); t < frame_of(end); ++t) {
      const double done = 1 - (end - time_of(t)) / length;
      track.frames[t] = breath;
      track.gain[t] = gain * smoothstep(done / 0.7) * smoothstep((1 - done) / 0.2);
    }
  }

  const VoiceOptions& options_;
  const Part& part_;
  CounterRandom random_;
  std::vector<Note> notes_;
  std::vector<Segment> segments_;
};

}  // namespace

struct Singer::State {
  struct Line {
    std::mutex mutex;
    std::optional<std::vector<Syllable>> syllables;
  };
  std::vector<std::shared_ptr<const SpeechVoice>> voices;
  std::vector<std::unique_ptr<std::array<Line, kNumWordLines>>> lines;  // of each voice

  // Spoken and taken apart when it is first asked for.
  const std::vector<Syllable>& line(size_t voice, int number) {
    Line& line = (*lines[voice])[number];
    const std::lock_guard lock(line.mutex);
    if (!line.syllables) {
      const SpeechVoice& speaker = *voices[voice];
      std::vector<Syllable> syllables = analyse_speech(speaker.speak(word_line(speaker.words(), number)));
      if (syllables.empty()) {
        throw Error(ExitCode::kIo, "voice " + speaker.name() + ": what it said has no syllable with a vowel");
      }
      line.syllables = std::move(syllables);
    }
    return *line.syllables;
  }

  size_t choose_voice(const std::string& name, uint64_t seed) const {
    if (name.empty()) return CounterRandom(seed, kVoiceStream, 0).below(voices.size());
    for (size_t i = 0; i < voices.size(); ++i) {
      if (voices[i]->name() == name) return i;
    }
    std::string names;
    for (const auto& voice : voices) names += (names.empty() ? "" : ", ") + voice->name();
    throw Error(ExitCode::kUsage, "there is no voice \"" + name + "\"; here are " + names);
  }
};

Singer::Singer(std::vector<std::shared_ptr<const SpeechVoice>> voices) : state_(std::make_unique<State>()) {
  if (voices.empty()) throw Error(ExitCode::kIo, missing());
  state_->voices = std::move(voices);
  for (size_t i = 0; i < state_->voices.size(); ++i) {
    state_->lines.push_back(std::make_unique<std::array<State::Line, kNumWordLines>>());
  }
}

Singer::~Singer() = default;

bool Singer::available() { return !installed_voices().empty(); }

std::string Singer::missing() {
  return "there is no voice to sing with: install espeak-ng, or festival with festvox-us-slt-hts, festvox-kallpc16k "
         "and festvox-kdlpc16k (names of Debian's packages)";
}

const std::vector<std::shared_ptr<const SpeechVoice>>& Singer::voices() const { return state_->voices; }

const SpeechVoice& Singer::voice(const VoiceOptions& options, uint64_t seed) const {
  return *state_->voices[state_->choose_voice(options.voice, seed)];
}

std::vector<float> Singer::sing(std::span<const SungNote> sung_notes, const VoiceOptions& options,
                                uint64_t seed) const {
  check(options);
  const size_t voice = state_->choose_voice(options.voice, seed);
  std::vector<Note> notes = make_melody(sung_notes);
  if (notes.empty()) return {};
  move_into_range(notes, options, state_->voices[voice]->sex());
  const int tonic = options.scale_tonic >= 0 ? options.scale_tonic : find_scale(notes);

  std::vector<Part> parts;
  parts.push_back({.seed = seed, .gain = 1, .pan = 0});
  CounterRandom random(seed, kPartStream, ~uint64_t{0});
  for (int i = 0; i < options.num_doubles; ++i) {
    parts.push_back({.seed = seed + 0x9E3779B97F4A7C15u * static_cast<uint64_t>(i + 1),
                     .gain = amplitude(options.double_gain_db),
                     .pan = (i % 2 == 0 ? -1 : 1) * options.width * (i < 2 ? 1.0 : 0.5),
                     .late_seconds = 0.006 + 0.012 * random.uniform(),
                     .timing_seconds = 0.01,
                     .detune_cents = (i % 2 == 0 ? 1 : -1) * (4 + 5 * random.uniform()),
                     .formant = 1 + 0.02 * (random.uniform() - 0.5)});
  }
  for (const SungHarmony& harmony : options.harmonies) {
    parts.push_back({.seed = seed + 0xD1B54A32D192ED03u * parts.size(),
                     .gain = amplitude(harmony.gain_db),
                     .pan = harmony.pan,
                     .late_seconds = 0.004 + 0.01 * random.uniform(),
                     .timing_seconds = 0.008,
                     .detune_cents = 6 * (random.uniform() - 0.5),
                     .formant = harmony.scale_steps > 0 ? 1.03 : 0.98,
                     .harmony = &harmony});
  }

  const double end_seconds = notes.back().end + kTailSeconds;
  const auto num_frames = static_cast<size_t>(std::ceil(end_seconds * kSungHz));
  std::vector<float> out(2 * num_frames, 0.0f);
  std::array<int, kNumSongLines> song_lines;
  CounterRandom line_random(seed, kWordsStream, 0);
  for (int& line : song_lines) line = static_cast<int>(line_random.below(kNumWordLines));

  VoiceSynthesizer synthesizer;
  std::vector<float> mono;
  for (const Phrase& phrase : find_phrases(notes, options.phrase_gap_seconds)) {
    const uint64_t tune = tune_of(notes, phrase);
    CounterRandom words(seed, kWordsStream, tune + 1), melisma(seed, kMelismaStream, tune);
    size_t line = words.below(kNumSongLines), word = 0;
    const std::vector<Syllable>* spoken = &state_->line(voice, song_lines[line]);
    std::vector<SungSyllable> syllables;
    for (size_t i = phrase.first; i < phrase.last; ++i) {
      const bool is_near = i > phrase.first && notes[i].start - notes[i - 1].end < kLegatoSeconds &&
                           std::abs(notes[i].key - notes[i - 1].key) < 4.5 && notes[i].key != notes[i - 1].key;
      if (is_near && melisma.chance(options.melisma_chance)) {
        syllables.back().last = i + 1;
        continue;
      }
      if (word == spoken->size()) {
        line = (line + 1) % kNumSongLines;
        spoken = &state_->line(voice, song_lines[line]);
        word = 0;
      }
      syllables.push_back({&(*spoken)[word++], i, i + 1});
    }
    const bool has_harmony = CounterRandom(seed, kHarmonyStream, tune).chance(options.harmony_share);
    for (const Part& part : parts) {
      if (part.harmony != nullptr && !has_harmony) continue;
      const PhraseTrack phrase_track(notes, phrase, syllables, options, part, tonic);
      // Frame 0 on a whole sample.
      const auto first = static_cast<size_t>(std::lround(phrase_track.begin_seconds * kSungHz));
      if (first >= num_frames) continue;
      const double seconds = static_cast<double>(phrase_track.track.frames.size()) * kVoiceFrameSeconds + 0.05;
      mono.assign(std::min(num_frames - first, static_cast<size_t>(seconds * kSungHz)), 0.0f);
      synthesizer.synthesize(phrase_track.track, std::clamp(options.formant_ratio * part.formant, 0.7, 1.4),
                             part.seed + phrase.first, mono);
      const auto left = static_cast<float>(kLevel * part.gain * std::min(1.0, 1 - part.pan));
      const auto right = static_cast<float>(kLevel * part.gain * std::min(1.0, 1 + part.pan));
      for (size_t i = 0; i < mono.size(); ++i) {
        out[2 * (first + i)] += left * mono[i];
        out[2 * (first + i) + 1] += right * mono[i];
      }
    }
  }

  // Nothing below a voice's lowest tone, and nothing over full scale.
  const float pole = static_cast<float>(std::exp(-2 * std::numbers::pi * 40 / kSungHz));
  for (size_t channel = 0; channel < 2; ++channel) {
    float before = 0, value = 0;
    for (size_t i = channel; i < out.size(); i += 2) {
      value = pole * value + out[i] - before;
      before = out[i];
      constexpr float kKnee = 0.7f, kRest = 0.29f;
      const float excess = std::abs(value) - kKnee;
      out[i] = excess <= 0 ? value : std::copysign(kKnee + kRest * std::tanh(excess / kRest), value);
      if (std::abs(value) < 1e-20f) value = 0;  // no denormal numbers through the silence
    }
  }
  return out;
}

VoiceOptions random_voice_options(uint64_t seed) {
  CounterRandom random(seed, kOptionsStream, 0);
  const auto between = [&](double low, double high) { return low + (high - low) * random.uniform(); };
  VoiceOptions o;
  o.formant_ratio = std::clamp(1 + 0.06 * random.normal(), 0.85, 1.18);
  o.vibrato_hz = between(4.8, 6.6);
  o.vibrato_cents = random.chance(0.25) ? between(0, 12) : between(15, 60);
  o.vibrato_seconds = between(0.1, 0.5);
  o.glide_seconds = between(0.04, 0.14);
  o.drift_cents = between(4, 12);
  o.breath_db = random.chance(0.2) ? -100 : between(-34, -20);
  o.breathiness = random.chance(0.3) ? between(0.2, 0.8) : between(0, 0.2);
  o.effort = between(-0.6, 1.0);
  o.melisma_chance = between(0, 0.3);
  if (random.chance(0.45)) {
    o.num_doubles = random.chance(0.75) ? 2 : 1;
    o.double_gain_db = between(-12, -4);
    o.width = between(0.3, 1);
  }
  if (random.chance(0.4)) {
    constexpr int kSteps[] = {2, 2, 4, -5, -3, 7, -7};
    const int count = random.chance(0.35) ? 2 : 1;
    for (int i = 0; i < count; ++i) {
      o.harmonies.push_back({.scale_steps = kSteps[random.below(std::size(kSteps))],
                             .gain_db = between(-14, -6),
                             .pan = (i == 0 ? 1 : -1) * between(0.1, 0.8)});
    }
    o.harmony_share = between(0.3, 0.8);
  }
  return o;
}

}  // namespace vqcodec::dataset
