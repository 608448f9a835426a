// Accompaniment: chords as strums, stabs, blocks, broken chords and pads, each voice going to the nearest tone of the
// next chord.
//
// Patterns: x a chord, s a muted stroke, '-' it goes on, '.' silence.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "dataset/compose_parts.h"

namespace vqcodec::dataset::compose {

namespace {

std::string_view patterns_for(const CompStyle& style, const Meter& meter) {
  const bool is_short = style.kind == CompKind::kStab;
  const bool is_arpeggio = style.kind == CompKind::kArpeggio;
  switch (meter.numerator) {
    case 3:
      return is_arpeggio ? "x-x-x-x-x-x-|x-x-xxx-x-x-|x---x-x-x-x-"
             : is_short  ? "....x...x...|x-....x-....|....x.x.x..."
                         : "x---x---x---|x-----------|x-------x---|x---x-x-x-x-";
    case 6:
      return is_arpeggio ? "x-x-x-x-x-x-|xxxxxxxxxxxx|x---x-x---x-"
             : is_short  ? "....x.....x.|..x.x...x.x.|x...x.x...x."
                         : "x-----x-----|x-----------|x---x-x---x-|x-x-x-x-x-x-";
    case 5:
      return is_arpeggio ? "x-x-x-x-x-x-x-x-x-x-|x--x--x--x--x-x-x-x-"
             : is_short  ? "x.....x.....x...x...|....x.......x...x..."
                         : "x-----x-----x---x---|x-----------x-------|x---x---x---x---x---";
    case 7:
      return is_arpeggio ? "x-x-x-x-x-x-x-|x--x--x-x-x-x-"
             : is_short  ? "x...x...x.....|....x...x...x."
                         : "x---x---x-----|x-------x-----|x-x-x-x-x-x-x-";
    default: return style.patterns;
  }
}

class CompPlayer {
 public:
  CompPlayer(const Plan& plan, size_t comp)
      : plan_(plan),
        comp_(comp),
        style_(*plan.comps[comp].style),
        meter_(plan.meter),
        range_(program_range(plan.comps[comp].program)) {
    Dice dice = plan.dice(kDiceComp + 20 * comp);
    // Above the bass, below the melody, and parts apart from each other.
    const int center = style_.kind == CompKind::kPower ? 47 : 58 + 4 * static_cast<int>(comp % 3) - 2 + dice.spread(3);
    center_ = std::clamp(center, range_.low + 8, range_.high - 10);
    num_voices_ = style_.kind == CompKind::kStrum      ? dice.between(4, 6)
                  : style_.kind == CompKind::kArpeggio ? dice.between(3, 5)
                                                       : dice.between(3, 4);
    gate_ = style_.kind == CompKind::kStab       ? dice.between(35, 75)
            : style_.kind == CompKind::kArpeggio ? dice.between(60, 100)
                                                 : dice.between(82, 100);
    level_ = style_.kind == CompKind::kPad        ? 62
             : style_.kind == CompKind::kArpeggio ? 70
             : style_.kind == CompKind::kPower    ? 86
                                                  : 76;
    order_ = dice.below(5);
    for (int& index : motif_) index = dice.below(6);
    pushes_ = plan.style->looseness > 3 && dice.percent(45);
    pattern_ = patterns_for(style_, meter_);
    usual_ = pick(pattern_, dice);
    lifted_ = dice.percent(60) ? pick(pattern_, dice) : usual_;
  }

  PartNotes play() {
    const unsigned part = static_cast<unsigned>(kFirstComp) << comp_;
    if (style_.kind == CompKind::kPad) {
      play_pad(part);
      return std::move(notes_);
    }
    for (int bar = 0; bar < plan_.num_bars; ++bar) {
      if (plan_.plays(part, bar)) play_bar(plan_.section_at(bar), bar);
    }
    return std::move(notes_);
  }

 private:
  // Keys of a chord, low to high, near the last ones.
  std::vector<int> voice(const Chord& chord) {
    if (!voicing_.empty() && voiced_ == chord) return voicing_;
    std::vector<int> tones;
    if (style_.kind == CompKind::kPower) {
      int root = chord.root + 36;
      while (root < range_.low) root += 12;
      const int fifth = interval_of(chord, '5');
      voicing_ = {root, root + (fifth == 0 ? 7 : fifth), root + 12};
      voiced_ = chord;
      return voicing_;
    }
    for (const int interval : intervals(chord.quality)) tones.push_back((chord.root + interval) % 12);
    // Four tones and more: the bass has the root, so small hands leave it out; then the fifth.
    while (static_cast<int>(tones.size()) > std::max(3, num_voices_ - 1) && style_.kind != CompKind::kStrum) {
      tones.erase(tones.size() > 4 ? tones.begin() + 2 : tones.begin());
    }
    // Every way to put the lowest voice; the others follow upward, each tone in turn.
    std::vector<int> best;
    int best_cost = 1 << 20;
    for (size_t first = 0; first < tones.size(); ++first) {
      for (int low = range_.low; low <= range_.high; ++low) {
        if (low % 12 != tones[first]) continue;
        std::vector<int> keys = {low};
        for (size_t i = 1; static_cast<int>(keys.size()) < num_voices_; ++i) {
          const int tone = tones[(first + i) % tones.size()];
          int key = keys.back() + 1;
          while (key % 12 != tone) ++key;
          keys.push_back(key);
        }
        if (keys.back() > range_.high) continue;
        int sum = 0;
        for (const int key : keys) sum += key;
        int cost = 3 * std::abs(sum / static_cast<int>(keys.size()) - center_);
        for (size_t i = 0; i < voicing_.size() && i < keys.size(); ++i) cost += 2 * std::abs(keys[i] - voicing_[i]);
        if (keys[1] - keys[0] < 3 && low < 52) cost += 12;  // seconds down there are mud
        if (cost < best_cost) best = std::move(keys), best_cost = cost;
      }
    }
    voicing_ = std::move(best);
    voiced_ = chord;
    return voicing_;
  }

  void add(int64_t start, int64_t end, int key, int velocity, int energy, int late_ticks = 0) {
    if (key < range_.low || key > range_.high) return;
    notes_.push_back({start, end, key, with_energy(std::clamp(velocity, 15, 120), energy), late_ticks});
  }

  void play_pad(unsigned part) {
    for (const ChordSpan& span : plan_.chords) {
      // Cut at bars in which the part is silent.
      for (int64_t at = span.start; at < span.end;) {
        const int bar = static_cast<int>(at / meter_.bar_ticks());
        int64_t end = at;
        while (end < span.end && plan_.plays(part, static_cast<int>(end / meter_.bar_ticks()))) {
          end = std::min<int64_t>(span.end, plan_.bar_start(static_cast<int>(end / meter_.bar_ticks()) + 1));
        }
        if (end > at) {
          for (const int key : voice(span.chord)) add(at, end - 12, key, level_, plan_.section_at(bar).energy);
          at = end;
        } else {
          at = std::min<int64_t>(span.end, plan_.bar_start(bar + 1));
        }
      }
    }
  }

  void play_bar(const Section& section, int bar) {
    Dice dice = plan_.dice(kDiceComp + 20 * comp_ + 1 + (static_cast<uint64_t>(bar) << 16));
    const int64_t bar_start = plan_.bar_start(bar);
    if (bar == plan_.num_bars - 1) {
      for (const int key : voice(plan_.chord_at(bar_start).chord)) {
        add(bar_start, bar_start + meter_.bar_ticks() - 10, key, level_ + 4, section.energy);
      }
      return;
    }
    const bool is_lifted = section.kind == SectionKind::kChorus || section.kind == SectionKind::kSolo;
    std::string pattern(is_lifted ? lifted_ : usual_);
    while (static_cast<int>(pattern.size()) < meter_.num_steps) pattern += std::string(is_lifted ? lifted_ : usual_);
    const auto size = static_cast<size_t>(meter_.num_steps);
    if (plan_.style->looseness > 3 && dice.percent(20)) {
      const size_t at = static_cast<size_t>(dice.below(static_cast<int>(size) / 2)) * 2;
      if (pattern[at] == 'x' && at > 0)
        pattern[at] = '-';
      else if (pattern[at] != 'x')
        pattern[at] = 'x';
    }
    for (size_t step = 0; step < size; ++step) {
      const int64_t tick = bar_start + static_cast<int64_t>(step) * kStep;
      const char c = pattern[step];
      const ChordSpan& here = plan_.chord_at(tick);
      // A chord that changes under a held one is struck again.
      const bool changes = here.start == tick && c == '-' && style_.kind != CompKind::kStab;
      if (c != 'x' && c != 's' && !changes) continue;
      size_t stop = step + 1;
      while (stop < size && pattern[stop] == '-' &&
             plan_.chord_at(bar_start + static_cast<int64_t>(stop) * kStep).start == here.start)
        ++stop;
      const int64_t length = static_cast<int64_t>(stop - step) * kStep;
      // The last eighth may bring the next chord.
      const bool pushed = pushes_ && here.end - tick <= 2 * kStep && here.end - tick > 0 && step % 4 != 0;
      const ChordSpan& span = pushed ? plan_.next_chord(tick) : here;
      const int accent = meter_.is_beat(static_cast<int>(step)) ? 5 : -3;
      if (style_.kind == CompKind::kArpeggio) {
        arpeggiate(tick, length, span.chord, level_ + accent + dice.spread(4), section.energy, bar,
                   static_cast<int>(step));
        continue;
      }
      std::vector<int> keys = voice(span.chord);
      if (c == 's') {
        // Muted strings: short and soft.
        for (size_t i = 1; i < keys.size(); ++i) add(tick, tick + 35, keys[i], 38 + dice.below(12), section.energy);
        continue;
      }
      const bool is_strum = style_.kind == CompKind::kStrum;
      const bool is_up = is_strum && step % 4 == 2;
      const int gap = is_strum ? 5 + dice.below(6) : plan_.looseness > 0 ? dice.below(3) : 0;
      if (is_up && keys.size() > 3) keys.erase(keys.begin(), keys.begin() + static_cast<long>(keys.size()) - 3);
      if (is_up) std::ranges::reverse(keys);
      const int64_t sounding = std::max<int64_t>(kStep / 3, length * gate_ / 100);
      for (size_t i = 0; i < keys.size(); ++i) {
        add(tick, tick + sounding, keys[i], level_ + accent + dice.spread(4) - (is_up ? 8 : 0), section.energy,
            gap * static_cast<int>(i));
      }
    }
  }

  void arpeggiate(int64_t tick, int64_t length, const Chord& chord, int velocity, int energy, int bar, int step) {
    const std::vector<int> keys = voice(chord);
    const int count = static_cast<int>(keys.size());
    if (step == 0 && (bar - plan_.section_at(bar).first_bar) % 2 == 0) position_ = 0;
    const int at = position_++;
    int index = 0;
    switch (order_) {
      case 0: index = at % count; break;
      case 1: index = count - 1 - at % count; break;
      case 2: {
        const int period = std::max(1, 2 * (count - 1));
        index = at % period < count ? at % period : period - at % period;
        break;
      }
      case 3: index = motif_[static_cast<size_t>(at % 8)] % count; break;
      default: index = at % 2 == 0 ? 0 : 1 + at / 2 % (count - 1); break;
    }
    const int octave = order_ == 3 && motif_[static_cast<size_t>(at % 8)] >= count ? 12 : 0;
    int key = keys[static_cast<size_t>(index)] + octave;
    if (key > range_.high) key -= 12;
    add(tick, tick + std::max<int64_t>(kStep / 3, length * gate_ / 100), key, velocity, energy);
  }

  const Plan& plan_;
  size_t comp_;
  const CompStyle& style_;
  const Meter& meter_;
  Range range_;
  int center_, num_voices_, gate_, level_, order_;
  std::array<int, 8> motif_;
  bool pushes_;
  int position_ = 0;
  std::string_view pattern_, usual_, lifted_;
  std::vector<int> voicing_;
  Chord voiced_;
  PartNotes notes_;
};

}  // namespace

PartNotes compose_comp(const Plan& plan, size_t comp) { return CompPlayer(plan, comp).play(); }

}  // namespace vqcodec::dataset::compose
