// Melodies: one note at a time, from motifs that come again, in sequence and changed, in phrases of four bars with
// breath between them. Notes on strong beats are tones of the chord, those between go by steps of the scale.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "dataset/compose_parts.h"

namespace vqcodec::dataset::compose {

namespace {

struct MotifNote {
  int step = 0, num_steps = 0;
  int move = 0;  // scale steps from the note before
};
using Motif = std::vector<MotifNote>;

class Melodist {
 public:
  Melodist(const Plan& plan, bool is_lead) : plan_(plan), meter_(plan.meter), is_lead_(is_lead) {
    Dice dice = plan.dice(is_lead ? kDiceLead : kDiceMelody);
    const Range range = program_range(is_lead ? plan.lead_program : plan.melody_program);
    if (is_lead) {
      low_ = std::max(range.low, 55);
      high_ = std::min(range.high, 88);
    } else {
      // A voice: low, middle or high, an octave and a sixth at most.
      low_ = 48 + dice.below(3) * 5;
      low_ = std::max(low_, range.low);
      high_ = std::min(low_ + 21, range.high);
    }
    // Sixteenths only where there is time to sing them.
    smallest_ = plan.bpm > (is_lead ? 150 : 104) ? 2 : 1;
    density_ = is_lead ? dice.between(50, 90) : dice.between(25, 70);
    syncopation_ = dice.between(5, 45);
  }

  PartNotes play() {
    const unsigned part = is_lead_ ? kLead : kMelody;
    for (const Section& section : plan_.sections) {
      if ((section.parts & part) == 0) continue;
      // The same for every section of a kind, but for solos, which go on.
      uint64_t seed = (is_lead_ ? kDiceLead : kDiceMelody) + 10 + static_cast<uint64_t>(section.kind);
      if (section.kind == SectionKind::kSolo) seed += static_cast<uint64_t>(section.first_bar) << 20;
      Dice dice = plan_.dice(seed);
      const int lift = section.kind == SectionKind::kChorus ? 4 : section.kind == SectionKind::kBridge ? 2 : 0;
      center_ = std::min((low_ + high_) / 2 - 2 + lift, high_ - 4);
      last_ = center_;
      Motif first = make_motif(dice), second = make_motif(dice), third = make_motif(dice);
      const int plan_of_phrase = dice.below(4);
      for (int bar = 0; bar < section.num_bars; ++bar) {
        const int in_phrase = bar % 4;
        const bool closes = in_phrase == 3 || bar == section.num_bars - 1;
        // a a b c, a b a c, a a' a c, a b b c
        const bool uses_second = plan_of_phrase == 0   ? in_phrase == 2
                                 : plan_of_phrase == 1 ? in_phrase == 1
                                                       : plan_of_phrase == 3 && in_phrase > 0;
        const Motif& motif = closes ? third : uses_second ? second : first;
        const int sequence = dice.below(5) - 2;  // steps up or down
        if (in_phrase == 0 && bar > 0 && dice.percent(is_lead_ ? 60 : 15)) first = make_motif(dice);
        play_bar(section, section.first_bar + bar, motif, in_phrase == 0 ? 0 : sequence, closes, dice);
      }
    }
    return std::move(notes_);
  }

 private:
  // A rhythm of one bar from cells of one beat, and a contour.
  Motif make_motif(Dice& dice) const {
    const int beat_steps = meter_.numerator == 6 ? 6 : 4;
    std::string rhythm;
    while (static_cast<int>(rhythm.size()) < meter_.num_steps) {
      const int draw = dice.below(100);
      std::string cell;
      if (beat_steps == 6) {
        cell = draw < density_ / 2 ? "x-x-x-"
               : draw < 40         ? "x---x-"
               : draw < 60         ? "x-x---"
               : draw < 80         ? "x-----"
               : draw < 90         ? "------"
                                   : "--x-x-";
      } else if (dice.percent(density_)) {
        if (smallest_ == 1 && dice.percent(35)) {
          cell = pick("xxxx|x-xx|xxx-|x--x|-xxx|.xxx", dice);
        } else {
          cell = dice.percent(syncopation_) ? pick("--x-|x-x-|.-x-", dice) : "x-x-";
        }
      } else {
        cell = dice.percent(syncopation_) ? pick("--x-|----|..x-", dice) : dice.percent(75) ? "x---" : "....";
      }
      rhythm += cell;
    }
    rhythm.resize(static_cast<size_t>(meter_.num_steps));
    if (rhythm.find('x') == std::string::npos) rhythm[0] = 'x';
    Motif motif;
    int direction = dice.percent(50) ? 1 : -1;
    for (int step = 0; step < meter_.num_steps; ++step) {
      const char c = rhythm[static_cast<size_t>(step)];
      if (c == 'x') {
        if (dice.percent(35)) direction = -direction;
        const int draw = dice.below(100);
        const int move = draw < 18   ? 0
                         : draw < 68 ? direction
                         : draw < 88 ? 2 * direction
                         : draw < 96 ? 3 * direction
                                     : -4 * direction;
        motif.push_back({step, 1, motif.empty() ? 0 : move});
      } else if (c == '-' && !motif.empty() && motif.back().step + motif.back().num_steps == step) {
        ++motif.back().num_steps;
      }
    }
    return motif;
  }

  int move_in_scale(int key, int moves, const Key& scale) const {
    const int direction = moves < 0 ? -1 : 1;
    for (int left = std::abs(moves); left > 0;) {
      key += direction;
      if (in_scale(scale, ((key % 12) + 12) % 12)) --left;
    }
    return key;
  }

  int nearest_chord_tone(int key, const Chord& chord) const {
    const uint16_t tones = pitch_class_mask({chord.root, chord.root, chord.quality});
    for (int distance = 0; distance < 7; ++distance) {
      for (const int candidate : {key - distance, key + distance}) {
        if (candidate >= low_ && candidate <= high_ && (tones >> candidate % 12 & 1) != 0) return candidate;
      }
    }
    return key;
  }

  // Back towards the middle when a line runs away, without a leap of more than an octave.
  int folded(int key) const {
    if (key > high_) key -= 12 * ((key - high_ + 11) / 12);
    if (key < low_) key += 12 * ((low_ - key + 11) / 12);
    return std::clamp(key, low_, high_);
  }

  void play_bar(const Section& section, int bar, const Motif& motif, int sequence, bool closes, Dice& dice) {
    const int64_t bar_start = plan_.bar_start(bar);
    const bool is_final = bar == plan_.num_bars - 1;
    // The end of a phrase: fewer notes, the last one held, then breath.
    const int last_step = closes ? meter_.num_steps * (dice.percent(50) ? 5 : 6) / 8 : meter_.num_steps;
    bool is_first = true;
    for (size_t i = 0; i < motif.size(); ++i) {
      const MotifNote& note = motif[i];
      const bool is_last_of_phrase = closes && (i + 1 == motif.size() || motif[i + 1].step >= last_step / 2);
      if (closes && note.step >= last_step) break;
      const int64_t start = bar_start + static_cast<int64_t>(note.step) * kStep;
      int end_step = note.step + note.num_steps;
      if (is_last_of_phrase) end_step = std::max(note.step + 2, last_step);
      end_step = std::min(end_step, meter_.num_steps);
      const ChordSpan& span = plan_.chord_at(start);
      int key = move_in_scale(last_, is_first ? sequence : note.move, span.key);
      // The middle pulls.
      if (key > center_ + 8) key = move_in_scale(last_, -std::abs(note.move), span.key);
      if (key < center_ - 8) key = move_in_scale(last_, std::abs(note.move), span.key);
      key = folded(key);
      const bool is_long = end_step - note.step >= 4;
      if (meter_.is_strong(note.step) || is_long || is_last_of_phrase ||
          (meter_.is_beat(note.step) && dice.percent(60))) {
        key = nearest_chord_tone(key, span.chord);
      } else if (!in_scale(span.key, key % 12) && (pitch_class_mask(span.chord) >> key % 12 & 1) == 0) {
        key = folded(key + 1);
      }
      const int velocity = 84 + (meter_.is_strong(note.step) ? 8 : 0) + dice.spread(6);
      const int64_t length = static_cast<int64_t>(end_step - note.step) * kStep;
      const int64_t end =
          start + (is_long || is_last_of_phrase ? length * 94 / 100 : length * (is_lead_ ? 88 : 92) / 100);
      notes_.push_back({start, end, key, with_energy(velocity, section.energy)});
      last_ = key;
      is_first = false;
      if (is_last_of_phrase || is_final) break;
    }
  }

  const Plan& plan_;
  const Meter& meter_;
  bool is_lead_;
  int low_ = 55, high_ = 76, center_ = 65, last_ = 65, smallest_ = 2, density_ = 50, syncopation_ = 20;
  PartNotes notes_;
};

}  // namespace

PartNotes compose_melody(const Plan& plan, bool is_lead) { return Melodist(plan, is_lead).play(); }

}  // namespace vqcodec::dataset::compose
