// Bass lines that follow the chords.
//
// Patterns, one character a sixteenth: R the chord's bass, 5 3 7 6 tones above its root, 8 the bass an octave up, A a
// step or fifth that leads to the next chord's bass (only right before it; else a fifth), N the next chord's bass
// ahead of time, g a muted note, '-' the note goes on, '.' silence. A name with @ is written from rules: @walk quarter
// notes by steps, @kick the bass drum's rhythm, @sub its main notes, held, @funk sixteenths around it, @melodic
// eighths with chord tones and steps, @random a rhythm of its own. Where a chord begins, its bass is played.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "dataset/compose_parts.h"

namespace vqcodec::dataset::compose {

namespace {

// Patterns of the other meters.
const char* patterns_for(const Style& style, const Meter& meter) {
  const bool is_electronic = style.looseness <= 3;
  switch (meter.numerator) {
    case 3:
      return style.is_soft ? "R-----------|R---5---5---|R-------A---|R---3---5---|R-----5-A---|@walk"
                           : "R-----------|R-R-R-R-R-A-|R-------5-A-|R---5---A---|R-----R-5-A-|@kick|R-R-5-5-R-A-";
    case 6:
      return style.is_soft
                 ? "R-----R-----|R---R-R---A-|R-----5---A-|R-----------|R---5-8---5-|R-----5-3-A-|R-----R---A-"
             : is_electronic
                 ? "R-R-R-R-R-R-|R-----R---A-|R.R.R.8.8.8.|R---R-5---8-"
                 : "R-----R-----|R---R-R---R-|R-R-R-R-R-A-|R-R-R-5-5-5-|R---5-8---5-|@kick|R-----R-5-A-|R-R-R-R-R-R-";
    case 5:
      return "R-----R-----5---A---|R-R-R-5-8-5-R-R-5-A-|R-----5-5---R---A---|R---R---R---R---A---|@kick|R-R-R-R-R-R-R-"
             "R-R-A-|@walk";
    case 7: return "R---R---R---A-|R-R-R-R-R-5-A-|R-----R-5-----|R---5---R-5-A-|@kick|R-R-R-R-R-R-R-";
    default: return style.bass_patterns;
  }
}

class BassPlayer {
 public:
  explicit BassPlayer(const Plan& plan)
      : plan_(plan), style_(*plan.style), meter_(plan.meter), range_(program_range(plan.bass_program)) {
    Dice dice = plan.dice(kDiceBass);
    // Where the hand rests: a song stays about a fifth around it.
    center_ = range_.low + dice.between(5, 13);
    if (plan.bass_program < 38 && center_ > range_.low + 12) center_ = range_.low + 12;
    gate_ = dice.between(style_.min_gate, style_.max_gate);
    favourite_ = std::string(pick(patterns_for(style_, meter_), dice));
    other_ = std::string(pick(patterns_for(style_, meter_), dice));
  }

  PartNotes play() {
    for (const Section& section : plan_.sections) {
      choose_pattern(section);
      for (int i = 0; i < section.num_bars; ++i) {
        const int bar = section.first_bar + i;
        if (plan_.plays(kBass, bar)) {
          play_bar(section, bar);
        } else {
          open_ = SIZE_MAX;
        }
      }
    }
    return std::move(notes_);
  }

 private:
  void choose_pattern(const Section& section) {
    const bool is_lifted = section.kind == SectionKind::kChorus || section.kind == SectionKind::kSolo;
    const bool is_odd = section.kind == SectionKind::kBridge || section.kind == SectionKind::kBreak;
    Dice dice = plan_.dice(kDiceBass + 1 + static_cast<uint64_t>(section.kind));
    std::string pattern = favourite_;
    if (is_lifted && dice.percent(60)) pattern = other_;
    if (is_odd && dice.percent(70)) pattern = std::string(pick(patterns_for(style_, meter_), dice));
    rule_ = pattern[0] == '@' ? pattern : "";
    // Two bars of rhythm, as a groove has.
    const uint64_t rhythm_seed = kDiceBass + 20 + (is_odd ? 2U : is_lifted ? 1U : 0U);
    Dice rhythm = plan_.dice(rhythm_seed);
    for (std::string& bar : bars_) {
      if (rule_.empty()) {
        bar = pattern;
      } else if (rule_ == "@funk" || rule_ == "@random" || rule_ == "@melodic") {
        bar = free_pattern(section.kind, rhythm);
      }
    }
    if (rule_ == "@funk" || rule_ == "@random" || rule_ == "@melodic") {
      // The second bar answers: its first half is the first's.
      for (size_t i = 0; i < bars_[1].size() / 2; ++i) bars_[1][i] = bars_[0][i];
      if (rhythm.percent(40)) bars_[1] = bars_[0];
    } else if (rule_.empty()) {
      for (int i = rhythm.below(3); i > 0; --i) mutate(bars_[0], rhythm);
      bars_[1] = bars_[0];
      for (int i = rhythm.below(3); i > 0; --i) mutate(bars_[1], rhythm);
    }
  }

  // A rhythm of its own around the groove's bass drum.
  std::string free_pattern(SectionKind kind, Dice& dice) const {
    // Of the first section of the kind: bars differ a little, the rhythm must not.
    const int first_bar = std::ranges::find(plan_.sections, kind, &Section::kind)->first_bar;
    const std::vector<int>& kicks = plan_.kick_steps[static_cast<size_t>(first_bar)];
    std::string pattern(static_cast<size_t>(meter_.num_steps), '.');
    const bool is_funk = rule_ == "@funk";
    const int grid = is_funk ? 1 : rule_ == "@melodic" || style_.looseness > 3 ? 2 : 1;
    const int density = is_funk ? dice.between(18, 34) : dice.between(30, 60);
    for (int step = 0; step < meter_.num_steps; ++step) {
      const bool is_kick = std::ranges::find(kicks, step) != kicks.end();
      const int share = step == 0              ? 100
                        : is_kick              ? 80
                        : step % grid != 0     ? 0
                        : meter_.is_beat(step) ? density + 15
                                               : density;
      if (!dice.percent(share)) continue;
      char role = 'R';
      if (step > 0) {
        const int draw = dice.below(100);
        if (meter_.is_strong(step)) {
          role = draw < 80 ? 'R' : draw < 90 ? '5' : '8';
        } else if (is_funk) {
          role = draw < 30 ? 'R' : draw < 52 ? '8' : draw < 66 ? '5' : draw < 80 ? '7' : draw < 94 ? 'g' : '3';
        } else if (rule_ == "@melodic") {
          role = draw < 28 ? 'R' : draw < 50 ? '5' : draw < 68 ? '3' : draw < 80 ? '8' : draw < 90 ? '6' : '7';
        } else {
          role = draw < 55 ? 'R' : draw < 72 ? '5' : draw < 88 ? '8' : '7';
        }
      }
      pattern[static_cast<size_t>(step)] = role;
    }
    if (dice.percent(60)) pattern[static_cast<size_t>(meter_.num_steps - 2)] = 'A';
    // Some notes are held to the next, others end at once.
    for (size_t i = 1; i < pattern.size(); ++i) {
      if (pattern[i] == '.' && pattern[i - 1] != '.' && pattern[i - 1] != 'g' && dice.percent(is_funk ? 45 : 85))
        pattern[i] = '-';
    }
    return pattern;
  }

  // Small change of a fixed pattern, on weak places only.
  void mutate(std::string& pattern, Dice& dice) const {
    const size_t size = pattern.size();
    for (int tries = 0; tries < 3; ++tries) {
      const size_t at = static_cast<size_t>(dice.between(1, static_cast<int>(size) - 1));
      if (meter_.is_beat(static_cast<int>(at))) continue;
      const bool is_note = pattern[at] != '-' && pattern[at] != '.';
      const int draw = dice.below(4);
      if (draw == 0 && is_note) {
        pattern[at] = '-';  // one note less
      } else if (draw == 1 && !is_note && at % 2 == 0) {
        pattern[at] = dice.percent(60) ? 'R' : '5';  // one more
      } else if (draw == 2 && pattern[at] == 'R') {
        pattern[at] = dice.percent(50) ? '8' : '5';
      } else if (draw == 3 && at >= size - 4 && at % 2 == 0) {
        pattern[at] = 'A';
      } else {
        continue;
      }
      return;
    }
  }

  std::string pattern_of_bar(const Section& section, int bar, Dice& dice) const {
    const std::vector<int>& kicks = plan_.kick_steps[static_cast<size_t>(bar)];
    const auto size = static_cast<size_t>(meter_.num_steps);
    std::string pattern;
    if (rule_ == "@walk") {
      pattern.assign(size, '-');
      for (const int beat : meter_.beats) pattern[static_cast<size_t>(beat)] = 'W';
      // A skip before a beat now and then.
      if (dice.percent(22)) {
        const int beat = meter_.beats[static_cast<size_t>(dice.below(static_cast<int>(meter_.beats.size())))];
        pattern[static_cast<size_t>(beat) + 2] = 'g';
      }
    } else if (rule_ == "@kick" || rule_ == "@sub") {
      pattern.assign(size, '-');
      pattern[0] = 'R';
      int last = 0, count = 1;
      for (const int kick : kicks) {
        const bool is_far = kick - last >= (rule_ == "@sub" ? 3 : 1);
        if (kick == 0 || !is_far || (rule_ == "@sub" && count >= 4)) continue;
        const int draw = dice.below(100);
        pattern[static_cast<size_t>(kick)] = rule_ == "@sub" ? (draw < 88   ? 'R'
                                                                : draw < 94 ? '8'
                                                                            : '5')
                                                             : (draw < 80   ? 'R'
                                                                : draw < 90 ? '5'
                                                                            : '8');
        last = kick;
        ++count;
      }
      if (rule_ == "@kick" && dice.percent(25)) pattern[size - 2] = 'A';
    } else {
      pattern = bars_[static_cast<size_t>(bar - section.first_bar) % 2];
    }
    if (pattern.size() < size) {
      const std::string once = pattern;
      while (pattern.size() < size) pattern += once;
    }
    pattern.resize(size);
    if (style_.looseness > 3 && rule_ != "@walk" && dice.percent(12)) mutate(pattern, dice);
    // The end of a phrase leads on.
    const int in_section = bar - section.first_bar;
    if (in_section % 4 == 3 && rule_ != "@sub" && rule_ != "@walk" && dice.percent(style_.looseness > 3 ? 38 : 15)) {
      const int run = dice.percent(50) ? 4 : 2;
      for (int i = 0; i < run; ++i) {
        const size_t at = size - static_cast<size_t>(2 * (run - i));
        if (at >= size || at < 2) continue;
        pattern[at] = i == run - 1 ? 'A' : "R5358"[dice.below(5)];
        if (at + 1 < size) pattern[at + 1] = '-';
      }
    }
    return pattern;
  }

  // The key of a pitch class nearest to where the hand is.
  int place(int pitch_class, int near) const {
    int best = -1, best_cost = 1 << 20;
    for (int key = range_.low; key <= range_.high; ++key) {
      if (key % 12 != pitch_class) continue;
      const int cost = 2 * std::abs(key - near) + 3 * std::abs(key - center_);
      if (cost < best_cost) best = key, best_cost = cost;
    }
    return best;
  }

  int in_range(int key) const {
    while (key > range_.high) key -= 12;
    while (key < range_.low) key += 12;
    return key;
  }

  // A note that leads to `target`.
  int approach(int target, const ChordSpan& span, Dice& dice) const {
    const int draw = dice.below(100);
    if (draw < 25) return in_range(target - 1);
    if (draw < 40) return in_range(target + 1);
    if (draw < 60) return in_range(target + (dice.percent(50) ? 7 : -5));
    const int direction = dice.percent(55) ? -1 : 1;
    for (int distance = 1; distance <= 2; ++distance) {
      if (in_scale(span.key, (target + direction * distance + 12) % 12)) return in_range(target + direction * distance);
    }
    return in_range(target + direction * 2);
  }

  int walk(int64_t tick, const ChordSpan& span, Dice& dice) {
    const ChordSpan& next = plan_.next_chord(tick);
    const int beat = meter_.numerator == 6 ? 6 * kStep : kQuarter;
    const int step = static_cast<int>(tick % meter_.bar_ticks()) / kStep;
    if (tick == span.start || tick - span.start < beat) {
      return place(dice.percent(92) ? span.chord.bass : (span.chord.root + interval_of(span.chord, '3')) % 12, last_);
    }
    const int target = place(next.chord.bass, last_);
    if (span.end - tick <= beat) return approach(target, span, dice);
    // Between: on in one direction, by chord tones and steps, so that the line has shape; it turns at the ends of the
    // hand's reach and now and then.
    if (last_ < center_ - 6)
      walk_direction_ = 1;
    else if (last_ > center_ + 8)
      walk_direction_ = -1;
    else if (dice.percent(15))
      walk_direction_ = -walk_direction_;
    const uint16_t tones = pitch_class_mask(span.chord);
    const bool wants_chord_tone = meter_.is_strong(step) || dice.percent(55);
    for (const int direction : {walk_direction_, -walk_direction_}) {
      for (int distance = 1; distance <= 7; ++distance) {
        const int key = last_ + direction * distance;
        if (key < range_.low || key > range_.high) break;
        if (key == before_last_ && dice.percent(80)) continue;
        if (!(wants_chord_tone ? (tones >> key % 12 & 1) != 0 : in_scale(span.key, key % 12))) continue;
        walk_direction_ = direction;
        return key;
      }
    }
    return place((span.chord.root + interval_of(span.chord, dice.percent(50) ? '5' : '3')) % 12, last_);
  }

  int key_for(char role, int64_t tick, const ChordSpan& span, Dice& dice) {
    const ChordSpan& next = plan_.next_chord(tick);
    const Chord& chord = span.chord;
    const int root = place(chord.bass, last_root_);
    switch (role) {
      case '8': return root + 12 <= range_.high ? root + 12 : root;
      case '5': {
        const int interval = interval_of(chord, '5');
        if (chord.bass != chord.root || interval == 0) return in_range(place((chord.root + interval) % 12, root));
        if (root + interval > range_.high || (root + interval - 12 >= range_.low && dice.percent(35)))
          return in_range(root + interval - 12);
        return root + interval;
      }
      case '3':
      case '7': return in_range(place((chord.root + interval_of(chord, role)) % 12, root));
      case '6': {
        const int sixth = (chord.root + 9) % 12;
        return in_scale(span.key, sixth) ? in_range(place(sixth, root)) : key_for('5', tick, span, dice);
      }
      case 'A': {
        const bool is_near = span.end - tick <= kQuarter;
        if (!is_near || next.chord.bass == chord.bass) return key_for(dice.percent(60) ? '5' : '8', tick, span, dice);
        return approach(place(next.chord.bass, last_), span, dice);
      }
      case 'N': return place(span.end - tick <= 4 * kStep ? next.chord.bass : chord.bass, last_);
      case 'W': return walk(tick, span, dice);
      default: return root;
    }
  }

  void play_bar(const Section& section, int bar) {
    Dice dice = plan_.dice(kDiceBassBars + (static_cast<uint64_t>(bar) << 16));
    const int64_t bar_start = plan_.bar_start(bar);
    if (bar == plan_.num_bars - 1) {
      const ChordSpan& span = plan_.chord_at(bar_start);
      notes_.push_back(
          {bar_start, bar_start + meter_.bar_ticks(), place(span.chord.bass, last_), with_energy(100, section.energy)});
      return;
    }
    const std::string pattern = pattern_of_bar(section, bar, dice);
    const std::vector<int>& kicks = plan_.kick_steps[static_cast<size_t>(bar)];
    // Offbeat patterns rest where chords begin and must go on doing so.
    const bool rests_on_one = pattern[0] == '.';
    for (int step = 0; step < meter_.num_steps; ++step) {
      const int64_t tick = bar_start + static_cast<int64_t>(step) * kStep;
      const ChordSpan& span = plan_.chord_at(tick);
      char role = pattern[static_cast<size_t>(step)];
      const bool begins = span.start == tick;
      if (role == '.') {
        close(tick);
        continue;
      }
      if (role == '-') {
        // A held note that is not in the new chord gives way to the new bass.
        const bool is_held = open_ != SIZE_MAX;
        const bool fits = is_held && notes_[open_].key % 12 == span.chord.bass;
        const bool leads = step == 0 && !is_held;
        if ((begins && is_held && !fits) || (leads && !rests_on_one)) {
          role = 'R';
        } else {
          continue;
        }
      } else if (begins && role != 'W' && role != 'R') {
        if (dice.percent(90)) role = 'R';
      } else if (meter_.is_strong(step) && (role == '6' || role == 'A' || role == 'g')) {
        role = '5';
      }
      close(tick);
      const bool is_ghost = role == 'g';
      const int key = is_ghost && last_ >= 0 ? last_ : key_for(role == 'g' ? 'R' : role, tick, span, dice);
      const bool on_kick = std::ranges::binary_search(kicks, step);
      int velocity = is_ghost ? 42
                              : 84 +
                                    (meter_.is_strong(step) ? 8
                                     : meter_.is_beat(step) ? 4
                                                            : 0) +
                                    (on_kick ? 6 : 0) + (role == '8' ? 4 : 0);
      velocity += dice.spread(style_.looseness > 3 ? 6 : 2);
      notes_.push_back({tick, tick + kStep, key, with_energy(velocity, section.energy)});
      open_ = is_ghost ? SIZE_MAX : notes_.size() - 1;
      before_last_ = last_;
      last_ = key;
      if (role == 'R') last_root_ = key;
    }
    close_at_bar(bar_start + meter_.bar_ticks());
  }

  void end_note(size_t index, int64_t tick) {
    PartNote& note = notes_[index];
    const int64_t length = tick - note.start;
    // Long notes are held, short ones follow the song's touch.
    const int gate = length > kQuarter ? std::max(gate_, 88) : gate_;
    note.end = note.start + std::max<int64_t>(kStep / 2, length * gate / 100);
  }
  void close(int64_t tick) {
    if (open_ != SIZE_MAX) end_note(open_, tick);
    open_ = SIZE_MAX;
  }
  // The note may go on into the next bar, if that begins with '-'.
  void close_at_bar(int64_t tick) {
    if (open_ == SIZE_MAX) return;
    const size_t open = open_;
    end_note(open, tick);
    const bool goes_on = rule_.empty() && (bars_[0][0] == '-' || bars_[1][0] == '-');
    if (!goes_on) open_ = SIZE_MAX;
  }

  const Plan& plan_;
  const Style& style_;
  const Meter& meter_;
  Range range_;
  int center_ = 38, gate_ = 90;
  int last_ = 38, before_last_ = 38, last_root_ = 38;
  int walk_direction_ = 1;
  std::string favourite_, other_, rule_;
  std::string bars_[2];
  size_t open_ = SIZE_MAX;  // the note that sounds
  PartNotes notes_;
};

}  // namespace

PartNotes compose_bass(const Plan& plan) { return BassPlayer(plan).play(); }

}  // namespace vqcodec::dataset::compose
