// Drums: a groove for each kind of section, resolved from the style's patterns, with changes from bar to bar, fills
// where phrases end and a crash where sections begin.
//
// Patterns: x hit, X accent, g ghost note (there or not), o there or not, O open hi-hat. A cymbal or percussion
// pattern begins with its instrument: h hi-hat, H hi-hat with rolls, r ride, b bell, e crash, f floor tom, O open
// hi-hat, p pedal hi-hat, t tambourine, s shaker, c clap, k cowbell, C congas, j side stick.
#include <algorithm>

#include "dataset/compose_parts.h"

namespace vqcodec::dataset::compose {

namespace {

enum DrumKey {
  kKick = 36,
  kSideStick = 37,
  kSnare = 38,
  kClap = 39,
  kFloorTom = 43,
  kLowTom = 45,
  kMidTom = 47,
  kHighTom = 50,
  kClosedHat = 42,
  kPedalHat = 44,
  kOpenHat = 46,
  kCrash = 49,
  kRide = 51,
  kBell = 53,
  kTambourine = 54,
  kCowbell = 56,
  kCrash2 = 57,
  kMuteConga = 62,
  kHighConga = 63,
  kLowConga = 64,
  kMaracas = 70,
};

int key_of(char instrument) {
  switch (instrument) {
    case 'r': return kRide;
    case 'b': return kBell;
    case 'e': return kCrash;
    case 'f': return kFloorTom;
    case 'O': return kOpenHat;
    case 'p': return kPedalHat;
    case 't': return kTambourine;
    case 's': return kMaracas;
    case 'c': return kClap;
    case 'k': return kCowbell;
    case 'C': return kHighConga;
    case 'j': return kSideStick;
    default: return kClosedHat;
  }
}

struct Hit {
  int step;
  int key;
  int velocity;
  int late_ticks = 0;
};

// Patterns of the other meters, soft ones after rock ones.
struct MeterPatterns {
  const char *kicks, *snares, *cymbals;
};

MeterPatterns patterns_for(const Style& style, const Meter& meter) {
  if (meter.numerator == 4) return {style.kicks, style.snares, style.cymbals};
  if (meter.numerator == 3) {
    if (style.is_soft) {
      return {"x...........|x.......o...|x...........", "....x...x...|............|........g...|....g...x...",
              "rx...x.x.x...|hx...x...x...|rx...x...x.x.|h....x...x..."};
    }
    return {"x...........|x.....x.....|x.......x...|x.....o...x.",
            "....X...X...|........X...|....X.......|....X...X.g.",
            "hx.x.x.x.x.x.|hX.x.x.x.x.x.|rx...x.x.x.x.|hx...x...x..."};
  }
  if (meter.numerator == 6) {
    if (style.is_soft) {
      return {"x...........|x.........o.|x.....x.....", "......x.....|......x.....|............|......x...g.",
              "hx.x.x.x.x.x.|hX.x.x.X.x.x.|rx...x.x...x.|hx.....x....."};
    }
    return {"x...........|x.........x.|x...x.......|x.x.......x.|x.....o...x.",
            "......X.....|......X...g.|......X..g.g", "hx.x.x.x.x.x.|hX.x.x.X.x.x.|rx.x.x.x.x.x.|hX.....X....."};
  }
  if (meter.numerator == 5) {
    return {"x.......x...x.......|x.....x.....x...x...|x.....x.x...x.......",
            "....X...........X...|........X.......X...|....X...X.......X...",
            "hx.x.x.x.x.x.x.x.x.x.|rx.x.x.x.x.x.x.x.x.x.|hX...X...X...X...X..."};
  }
  return {"x.......x.....|x.....x.x.....|x...x...x...o.|x..x....x..x..", "....X.......X.|....X.....X...|........X.....",
          "hx.x.x.x.x.x.x.|rX.x.X.x.X.x.x.|hX...X...X.x.x."};
}

int velocity_of(char c, int usual, Dice& dice) {
  switch (c) {
    case 'X': return usual + 14 + dice.below(8);
    case 'g': return 26 + dice.below(16);
    case 'o': return usual - 14 + dice.below(8);
    default: return usual - 4 + dice.below(8);
  }
}

// Hits of one bar for one row. `loudness` leans accents; ghosts and maybes are decided here.
void add_row(std::vector<Hit>& hits, std::string_view pattern, int key, int usual, const Meter& meter, Dice& dice) {
  for (int step = 0; step < meter.num_steps; ++step) {
    const char c = pattern[static_cast<size_t>(step) % pattern.size()];
    if (c == '.' || (c == 'o' && !dice.percent(40)) || (c == 'g' && !dice.percent(65))) continue;
    int velocity = velocity_of(c, usual, dice);
    int used = key;
    if (c == 'O') used = kOpenHat;
    if (key == kHighConga) {
      constexpr int kCongas[] = {kMuteConga, kHighConga, kLowConga};
      used = kCongas[meter.is_beat(step) ? dice.below(2) : dice.below(3)];
    }
    // Hands lean on the beat.
    if (key == kClosedHat || key == kRide || key == kMaracas || key == kTambourine) {
      velocity += meter.is_beat(step) ? 6 : step % 2 == 1 ? -14 : -4;
    }
    hits.push_back({step, used, velocity});
  }
}

class Drummer {
 public:
  explicit Drummer(Plan& plan) : plan_(plan), style_(*plan.style), meter_(plan.meter) {}

  PartNotes play() {
    plan_.kick_steps.resize(static_cast<size_t>(plan_.num_bars));
    for (const Section& section : plan_.sections) {
      make_groove(section.kind);
      for (int i = 0; i < section.num_bars; ++i) play_bar(section, section.first_bar + i);
    }
    return std::move(notes_);
  }

 private:
  // Two bars, the same whenever this kind of section comes again.
  void make_groove(SectionKind kind) {
    // Verses, intros, outros and solos share the song's groove; a chorus moves it on.
    const bool is_lifted = kind == SectionKind::kChorus || kind == SectionKind::kSolo;
    const bool is_odd = kind == SectionKind::kBridge || kind == SectionKind::kBreak;
    Dice song = plan_.dice(kDiceDrums);
    Dice dice = plan_.dice(kDiceDrums + (is_odd ? 3U : is_lifted ? 2U : 1U));
    const MeterPatterns patterns = patterns_for(style_, meter_);
    std::string_view kick = pick(patterns.kicks, song), snare = pick(patterns.snares, song);
    std::string_view cymbal = pick(patterns.cymbals, song);
    const bool has_percussion =
        song.percent(style_.percussion_percent) && style_.percussion[0] != '\0' && meter_.numerator == 4;
    const std::string_view percussion = has_percussion ? pick(style_.percussion, song) : std::string_view();
    if (is_lifted || is_odd) {
      cymbal = pick(patterns.cymbals, dice);
      if (dice.percent(50)) kick = pick(patterns.kicks, dice);
      if (dice.percent(35)) snare = pick(patterns.snares, dice);
    }
    const bool second_differs = dice.percent(45);
    const std::string_view second_kick = second_differs ? pick(patterns.kicks, dice) : kick;
    has_rolls_ = cymbal[0] == 'H';
    for (size_t bar = 0; bar < 2; ++bar) {
      std::vector<Hit>& hits = groove_[bar];
      hits.clear();
      if (bar == 1 && !second_differs) {
        hits = groove_[0];
        break;
      }
      // What is decided by chance is the same in both bars.
      Dice row = plan_.dice(kDiceDrums + 10 + static_cast<uint64_t>(kind));
      std::string steps(bar == 0 ? kick : second_kick);
      // The second bar begins as the first: one knows where one is.
      if (bar == 1) {
        for (size_t i = 0; i < steps.size() / 2; ++i) steps[i] = kick[i % kick.size()];
      }
      add_row(hits, steps, kKick, 100, meter_, row);
      add_row(hits, snare, style_.snare_key, style_.snare_key == kSnare || style_.snare_key == 40 ? 98 : 82, meter_,
              row);
      add_row(hits, cymbal.substr(1), key_of(cymbal[0]), 78, meter_, row);
      if (has_percussion) add_row(hits, percussion.substr(1), key_of(percussion[0]), 72, meter_, row);
    }
  }

  void add(int bar, int step, int key, int velocity, int energy, int late_ticks = 0) {
    const int64_t start = plan_.bar_start(bar) + static_cast<int64_t>(step) * kStep;
    notes_.push_back({start, start + kStep / 2, key, with_energy(std::clamp(velocity, 12, 122), energy), late_ticks});
  }

  void play_bar(const Section& section, int bar) {
    const int in_section = bar - section.first_bar;
    Dice dice = plan_.dice(kDiceDrumBars + (static_cast<uint64_t>(bar) << 16));
    std::vector<Hit> hits = groove_[static_cast<size_t>(in_section % 2)];
    const bool is_last = in_section == section.num_bars - 1;
    const bool is_final = bar == plan_.num_bars - 1;
    // A change now and then.
    if (!is_final && style_.looseness > 0 && dice.percent(25)) change(hits, dice);
    for (const Hit& hit : hits) {
      if (hit.key == kKick || hit.key == 35) plan_.kick_steps[static_cast<size_t>(bar)].push_back(hit.step);
    }
    std::ranges::sort(plan_.kick_steps[static_cast<size_t>(bar)]);
    std::vector<int>& kicks = plan_.kick_steps[static_cast<size_t>(bar)];
    kicks.erase(std::unique(kicks.begin(), kicks.end()), kicks.end());
    if (!plan_.plays(kDrums, bar)) return;
    if (is_final) {
      add(bar, 0, kKick, 108, section.energy);
      add(bar, 0, style_.is_soft ? kRide : kCrash, 104, section.energy);
      return;
    }
    const bool ends_phrase = in_section % 4 == 3;
    int fill_from = meter_.num_steps;
    if (is_last && dice.percent(style_.looseness > 0 ? 80 : 55)) {
      fill_from = meter_.num_steps - pick_fill_length(dice, true);
    } else if (ends_phrase && dice.percent(style_.looseness > 0 ? 30 : 15)) {
      fill_from = meter_.num_steps - pick_fill_length(dice, false);
    }
    // Electronic music drops the bass drum before a section.
    const bool drops_kick = is_last && style_.looseness <= 3 && dice.percent(35);
    for (const Hit& hit : hits) {
      const bool is_cymbal = hit.key == kClosedHat || hit.key == kRide || hit.key == kOpenHat || hit.key == kCrash;
      if (hit.step >= fill_from && hit.key != kKick && !(is_cymbal && style_.looseness <= 3)) continue;
      if (drops_kick && hit.key == kKick && hit.step >= meter_.num_steps / 2) continue;
      if (in_section == 0 && hit.step == 0 && is_cymbal && section.energy > 55) continue;  // the crash is there
      if (has_rolls_ && hit.key == kClosedHat && dice.percent(9)) {
        const int count = dice.percent(60) ? 3 : 2 + dice.below(3);
        const int length = dice.percent(70) ? kStep * 2 : kStep;
        for (int i = 0; i < count; ++i) {
          add(bar, hit.step, hit.key, hit.velocity - 12 + 20 * i / count, section.energy, length * i / count);
        }
        continue;
      }
      add(bar, hit.step, hit.key, hit.velocity, section.energy, hit.late_ticks);
    }
    if (fill_from < meter_.num_steps) play_fill(bar, fill_from, section.energy, dice);
    if (in_section == 0 && section.energy > 55 && bar > 0) {
      const int key = style_.is_soft && section.energy < 80 ? kRide : dice.percent(75) ? kCrash : kCrash2;
      add(bar, 0, key, 104, section.energy);
    }
  }

  int pick_fill_length(Dice& dice, bool is_long) const {
    const int beat = meter_.numerator == 6 ? 6 : 4;
    return is_long ? (dice.percent(45)   ? beat
                      : dice.percent(60) ? 2 * beat
                      : dice.percent(50) ? beat / 2
                                         : meter_.num_steps / 2)
                   : (dice.percent(60) ? beat / 2 : beat);
  }

  void change(std::vector<Hit>& hits, Dice& dice) const {
    const int draw = dice.below(5);
    const int weak = 1 + 2 * dice.below(meter_.num_steps / 2);
    if (draw == 0) {
      hits.push_back({weak, style_.snare_key, 30 + dice.below(14)});
    } else if (draw == 1 && meter_.num_steps > 4) {
      hits.push_back({meter_.num_steps - 2, kKick, 88});
    } else if (draw == 2) {
      for (Hit& hit : hits) {
        if (hit.key == kClosedHat && hit.step == meter_.num_steps - 2) hit.key = kOpenHat;
      }
    } else if (draw == 3) {
      // A weak hit is left out.
      const auto it = std::ranges::find_if(hits, [&](const Hit& hit) { return hit.step == weak && hit.key != kKick; });
      if (it != hits.end()) hits.erase(it);
    } else {
      for (Hit& hit : hits) hit.velocity += dice.spread(6);
    }
    // At most one hit a key and step.
    std::ranges::stable_sort(hits, [](const Hit& a, const Hit& b) {
      return a.step != b.step ? a.step < b.step : a.key < b.key;
    });
    const auto is_same = [](const Hit& a, const Hit& b) { return a.step == b.step && a.key == b.key; };
    hits.erase(std::unique(hits.begin(), hits.end(), is_same), hits.end());
  }

  void play_fill(int bar, int from, int energy, Dice& dice) {
    const int kind = dice.below(5);
    const int length = meter_.num_steps - from;
    constexpr int kToms[] = {kHighTom, kMidTom, kLowTom, kFloorTom};
    for (int i = 0; i < length; ++i) {
      const int step = from + i;
      const int rise = 74 + 34 * (i + 1) / length;
      switch (kind) {
        case 0:  // down the toms
          if (!style_.is_soft || i % 2 == 0) add(bar, step, kToms[std::min(3, 4 * i / length)], rise, energy);
          break;
        case 1:  // a snare roll that grows
          add(bar, step, kSnare, rise - (i % 2 == 1 ? 14 : 0), energy);
          break;
        case 2:  // eighths, snare and toms
          if (i % 2 == 0) add(bar, step, i % 4 == 0 ? kSnare : kToms[dice.below(4)], rise, energy);
          break;
        case 3:  // free
          if (dice.percent(60))
            add(bar, step, dice.percent(50) ? kSnare : kToms[dice.below(4)], rise - dice.below(20), energy);
          break;
        default:  // a few accents
          if (i == 0 || i == length - 1 || (i == length / 2 && dice.percent(50))) {
            add(bar, step, style_.looseness <= 3 ? kClap : kSnare, rise, energy);
          }
          break;
      }
    }
  }

  Plan& plan_;
  const Style& style_;
  const Meter& meter_;
  std::vector<Hit> groove_[2];
  bool has_rolls_ = false;
  PartNotes notes_;
};

}  // namespace

PartNotes compose_drums(Plan& plan) { return Drummer(plan).play(); }

}  // namespace vqcodec::dataset::compose
