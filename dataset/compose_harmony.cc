// Keys, chords, and the plan of a song: its form and the chords of every bar.
//
// A progression is a phrase of four bars or more for each kind of section, so that verses have one, choruses another.
// It is either one of the style's loops or comes from a grammar of functions: a phrase is an opening on the tonic, a
// middle that goes from tonic over subdominant to dominant and back with weights, and a cadence (half, full, plagal,
// deceptive). Then chords are coloured: sevenths of the scale, ninths, suspensions that resolve, dominants of the
// chord that follows, inversions where they let the bass go by step.
#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "dataset/compose_parts.h"

namespace vqcodec::dataset::compose {

namespace {

struct QualityInfo {
  const char* suffix;
  std::vector<int> intervals;
};

const std::vector<QualityInfo>& qualities() {
  static const std::vector<QualityInfo> all = {
      {"", {0, 4, 7}},
      {"m", {0, 3, 7}},
      {"dim", {0, 3, 6}},
      {"aug", {0, 4, 8}},
      {"sus2", {0, 2, 7}},
      {"sus4", {0, 5, 7}},
      {"5", {0, 7}},
      {"6", {0, 4, 7, 9}},
      {"m6", {0, 3, 7, 9}},
      {"maj7", {0, 4, 7, 11}},
      {"m7", {0, 3, 7, 10}},
      {"7", {0, 4, 7, 10}},
      {"m7b5", {0, 3, 6, 10}},
      {"dim7", {0, 3, 6, 9}},
      {"7sus4", {0, 5, 7, 10}},
      {"add9", {0, 4, 7, 14}},
      {"maj9", {0, 4, 7, 11, 14}},
      {"m9", {0, 3, 7, 10, 14}},
      {"9", {0, 4, 7, 10, 14}},
  };
  return all;
}

// A chord against the tonic.
struct Degree {
  int offset = 0;
  Quality quality = Quality::kMajor;
  bool operator==(const Degree&) const = default;
};

struct TimedDegree {
  int ticks = 0;
  Degree degree{};
  int bass = -1;  // semitones above the tonic; -1 = the root
};

// "bVII7", "ii", "viio", "IVM7", "iih".
Degree parse_degree(std::string_view text) {
  constexpr std::array<std::string_view, 7> kNumerals = {"I", "II", "III", "IV", "V", "VI", "VII"};
  constexpr std::array<int, 7> kOffsets = {0, 2, 4, 5, 7, 9, 11};
  Degree degree;
  size_t at = 0;
  if (!text.empty() && (text[0] == 'b' || text[0] == '#')) degree.offset = text[at++] == 'b' ? -1 : 1;
  const size_t begin = at;
  std::string upper;
  bool is_minor = false;
  for (; at < text.size() && std::string_view("IVivi").find(text[at]) != std::string_view::npos; ++at) {
    is_minor = text[at] >= 'a';
    upper += static_cast<char>(is_minor ? text[at] - 'a' + 'A' : text[at]);
  }
  const auto numeral = std::ranges::find(kNumerals, upper);
  if (begin == at || numeral == kNumerals.end()) throw std::logic_error("no degree: " + std::string(text));
  degree.offset = (degree.offset + kOffsets[static_cast<size_t>(numeral - kNumerals.begin())] + 12) % 12;
  const std::string_view suffix = text.substr(at);
  degree.quality = suffix == "o"    ? Quality::kDiminished
                   : suffix == "h"  ? Quality::kHalfDiminished
                   : suffix == "M7" ? Quality::kMajor7
                   : suffix == "7"  ? (is_minor ? Quality::kMinor7 : Quality::kDominant7)
                   : is_minor       ? Quality::kMinor
                                    : Quality::kMajor;
  return degree;
}

std::vector<Degree> parse_loop(std::string_view text) {
  std::vector<Degree> loop;
  for (const std::string_view word : split(text, ' ')) loop.push_back(parse_degree(word));
  return loop;
}

enum class Cadence { kHalf, kFull, kPlagal, kDeceptive };

class ProgressionWriter {
 public:
  ProgressionWriter(const Style& style, const Key& key, const Meter& meter, Dice& dice)
      : style_(style),
        mode_(modes()[static_cast<size_t>(key.mode)]),
        bar_(meter.bar_ticks()),
        meter_(meter),
        dice_(dice) {}

  // Two versions of a phrase, the second of which closes; each `num_bars` long.
  std::array<std::vector<TimedDegree>, 2> write(int num_bars) {
    if (is_blues()) {
      auto blues = twelve_bars();
      auto closing = blues;
      closing.back() = {bar_, tonic(), -1};
      return {blues, closing};
    }
    const bool is_loop = dice_.percent(style_.loop_percent);
    std::array<std::vector<TimedDegree>, 2> versions;
    const int slot = slot_ticks(num_bars);
    const int num_slots = num_bars * bar_ / slot;
    std::vector<Degree> degrees;
    if (is_loop) {
      const std::vector<Degree> loop = fitting_loop();
      for (int i = 0; i < num_slots; ++i) degrees.push_back(loop[static_cast<size_t>(i) % loop.size()]);
    } else {
      degrees = grammar(num_slots, dice_.percent(60) ? Cadence::kHalf : Cadence::kDeceptive);
    }
    std::vector<Degree> closing = degrees;
    if (num_slots >= 3 && !is_loop) {
      const std::vector<Degree> ending = grammar(num_slots, dice_.percent(75) ? Cadence::kFull : Cadence::kPlagal);
      closing[static_cast<size_t>(num_slots) - 1] = ending.back();
      closing[static_cast<size_t>(num_slots) - 2] = ending[static_cast<size_t>(num_slots) - 2];
    }
    // One decision a phrase, so that both versions are coloured alike.
    const uint64_t colour = static_cast<uint64_t>(dice_.below(1 << 30));
    versions[0] = coloured(degrees, slot, colour);
    versions[1] = coloured(closing, slot, colour);
    return versions;
  }

  bool is_blues() const { return std::string_view(mode_.name) == "blues"; }
  Degree tonic() {
    Degree degree = parse_degree(split(split(mode_.tonics, ' ')[0], ':')[0]);
    if (is_blues()) degree.quality = Quality::kDominant7;
    return degree;
  }

 private:
  int slot_ticks(int num_bars) {
    const std::string_view choice = pick_weighted(style_.chord_bars, dice_);
    if (choice == "h") {
      // Half a bar must end on a beat.
      return meter_.is_beat(meter_.num_steps / 2) && meter_.num_steps % 2 == 0 ? bar_ / 2 : bar_;
    }
    const int bars = choice[0] - '0';
    return num_bars % bars == 0 ? bars * bar_ : bar_;
  }

  // Loops are written for a major or a minor tonic.
  std::vector<Degree> fitting_loop() {
    std::vector<std::vector<Degree>> fitting;
    for (const std::string_view text : split(style_.loops, '|')) {
      std::vector<Degree> loop = parse_loop(text);
      const bool fits = std::ranges::all_of(loop, [&](const Degree& degree) {
        if (degree.offset != 0) return true;
        const bool is_minor = intervals(degree.quality)[1] == 3;
        return is_minor == mode_.is_minor;
      });
      // The tonic need not be there; then the roots must be in the scale.
      const auto num_outside =
          std::ranges::count_if(loop, [&](const Degree& degree) { return (mode_.scale >> degree.offset & 1) == 0; });
      if (fits && num_outside <= (loop.size() > 3 ? 1 : 0)) fitting.push_back(std::move(loop));
    }
    if (fitting.empty()) return grammar(4, Cadence::kHalf);
    return fitting[static_cast<size_t>(dice_.below(static_cast<int>(fitting.size())))];
  }

  Degree of(const char* choices) { return parse_degree(pick_weighted(choices, dice_)); }
  Degree other_than(const char* choices, const Degree& last) {
    Degree degree = of(choices);
    for (int tries = 0; tries < 4 && degree == last; ++tries) degree = of(choices);
    return degree;
  }

  std::vector<Degree> grammar(int num_slots, Cadence cadence) {
    std::vector<Degree> phrase;
    enum { kT, kS, kD } function = kT;
    phrase.push_back(dice_.percent(75) ? tonic() : of(dice_.percent(60) ? mode_.tonics : mode_.subdominants));
    while (static_cast<int>(phrase.size()) < num_slots) {
      const int left = num_slots - static_cast<int>(phrase.size());
      if (left == 1) {
        phrase.push_back(cadence == Cadence::kHalf        ? other_than(mode_.dominants, phrase.back())
                         : cadence == Cadence::kDeceptive ? other_than(mode_.tonics, tonic())
                                                          : tonic());
        break;
      }
      if (left == 2) {
        phrase.push_back(cadence == Cadence::kHalf || cadence == Cadence::kPlagal
                             ? other_than(mode_.subdominants, phrase.back())
                             : other_than(mode_.dominants, phrase.back()));
        continue;
      }
      const int draw = dice_.below(100);
      function = function == kT   ? (draw < 25   ? kT
                                     : draw < 80 ? kS
                                                 : kD)
                 : function == kS ? (draw < 15   ? kS
                                     : draw < 72 ? kD
                                                 : kT)
                                  : (draw < 70   ? kT
                                     : draw < 90 ? kS
                                                 : kD);
      phrase.push_back(other_than(function == kT   ? mode_.tonics
                                  : function == kS ? mode_.subdominants
                                                   : mode_.dominants,
                                  phrase.back()));
    }
    return phrase;
  }

  std::vector<TimedDegree> twelve_bars() {
    const bool is_quick = dice_.percent(45), has_turnaround = dice_.percent(70),
               is_jazz = style_.secondary_percent > 20;
    constexpr int kOne = 0, kFour = 5, kFive = 7;
    std::array<int, 12> roots = {
        kOne, is_quick ? kFour : kOne, kOne, kOne, kFour, kFour, kOne, kOne, kFive, kFour, kOne, kFive};
    std::vector<TimedDegree> bars;
    for (size_t i = 0; i < roots.size(); ++i) {
      TimedDegree bar{bar_, {roots[i], Quality::kDominant7}, -1};
      if (is_jazz && i == 7) bar.degree = {9, Quality::kDominant7};
      if (is_jazz && i == 8) bar.degree = {2, Quality::kMinor7};
      if (is_jazz && i == 9) bar.degree = {7, Quality::kDominant7};
      if (i == 11 && !has_turnaround) bar.degree.offset = kOne;
      if (dice_.percent(style_.ninth_percent) && bar.degree.quality == Quality::kDominant7) {
        bar.degree.quality = Quality::kDominant9;
      }
      bars.push_back(bar);
    }
    return bars;
  }

  bool scale_has(int offset) const { return (mode_.scale >> ((offset % 12 + 12) % 12) & 1) != 0; }

  Quality with_seventh(const Degree& degree, bool is_dominant) const {
    switch (degree.quality) {
      case Quality::kMajor:
        if (is_dominant || is_blues()) return Quality::kDominant7;
        if (scale_has(degree.offset + 11) || !scale_has(degree.offset + 10)) return Quality::kMajor7;
        return Quality::kDominant7;
      case Quality::kMinor: return Quality::kMinor7;
      case Quality::kDiminished:
        return scale_has(degree.offset + 9) && !scale_has(degree.offset + 10) ? Quality::kDiminished7
                                                                              : Quality::kHalfDiminished;
      default: return degree.quality;
    }
  }

  static Quality with_ninth(Quality quality) {
    switch (quality) {
      case Quality::kMajor: return Quality::kAdd9;
      case Quality::kMajor7: return Quality::kMajor9;
      case Quality::kMinor7: return Quality::kMinor9;
      case Quality::kDominant7: return Quality::kDominant9;
      default: return quality;
    }
  }

  std::vector<TimedDegree> coloured(const std::vector<Degree>& degrees, int slot, uint64_t colour) {
    std::vector<TimedDegree> timed;
    // Half of a slot, on a beat, or 0.
    int half = slot / 2;
    if (slot > bar_ || !meter_.is_beat(half / kStep)) half = slot > bar_ && slot % (2 * bar_) == 0 ? slot / 2 : 0;
    for (size_t i = 0; i < degrees.size(); ++i) {
      Dice dice(colour, i, 1);  // the same for the same place of both versions
      Degree degree = degrees[i];
      const Degree& next = degrees[(i + 1) % degrees.size()];
      const bool is_dominant = degree.offset == 7 && degree.quality == Quality::kMajor;
      const bool wants_sus = dice.percent(style_.sus_percent);
      const bool has_third = degree.quality == Quality::kMajor || degree.quality == Quality::kMinor;
      if (dice.percent(style_.seventh_percent)) degree.quality = with_seventh(degree, is_dominant);
      const bool ninth_fits = scale_has(degree.offset + 2);
      if (dice.percent(style_.ninth_percent) && ninth_fits) degree.quality = with_ninth(degree.quality);
      const bool wants_secondary = dice.percent(style_.secondary_percent);
      const bool next_is_stable = intervals(next.quality)[std::min<size_t>(2, intervals(next.quality).size() - 1)] == 7;
      if (wants_secondary && half > 0 && next.offset != 0 && next.offset != degree.offset && next_is_stable &&
          !is_blues()) {
        const bool is_jazz = style_.seventh_percent >= 90;
        const bool is_substitute = is_jazz && dice.percent(25);
        const int dominant = (next.offset + (is_substitute ? 1 : 7)) % 12;
        if (is_jazz && dice.percent(40)) {
          degree = {(next.offset + 2) % 12,
                    intervals(next.quality)[1] == 3 ? Quality::kHalfDiminished : Quality::kMinor7};
        }
        if (dominant != degree.offset) {
          timed.push_back({slot - half, degree, -1});
          timed.push_back({half, {dominant, Quality::kDominant7}, -1});
          continue;
        }
      }
      if (wants_sus && has_third) {
        const bool stays = dice.percent(25) && degree.offset != 0;
        const bool is_two = dice.percent(35) && scale_has(degree.offset + 2);
        const bool has_seventh = intervals(degree.quality).size() > 3 && is_dominant;
        const Quality sus = has_seventh ? Quality::kDominant7Sus4 : is_two ? Quality::kSus2 : Quality::kSus4;
        if (scale_has(degree.offset + 5) || is_two) {
          if (half > 0 && !stays) {
            timed.push_back({half, {degree.offset, sus}, -1});
            timed.push_back({slot - half, degree, -1});
            continue;
          }
          degree.quality = sus;
        }
      }
      timed.push_back({slot, degree, -1});
    }
    // An inversion where its bass lies between its neighbours' by steps.
    for (size_t i = 1; i < timed.size(); ++i) {
      Dice dice(colour, i, 2);
      if (!dice.percent(style_.inversion_percent) || timed[i].degree.offset == 0) continue;
      const int before = timed[i - 1].degree.offset, after = timed[(i + 1) % timed.size()].degree.offset;
      const auto distance = [](int a, int b) { return std::min((a - b + 12) % 12, (b - a + 12) % 12); };
      const int root = timed[i].degree.offset;
      int best = root, best_cost = distance(root, before) + distance(root, after);
      for (const int interval : intervals(timed[i].degree.quality)) {
        if (interval == 0 || interval > 8) continue;
        const int bass = (root + interval) % 12;
        const int cost = distance(bass, before) + distance(bass, after);
        if (cost < best_cost && bass != before) best = bass, best_cost = cost;
      }
      if (best != root && best_cost <= 5) timed[i].bass = best;
    }
    return timed;
  }

  const Style& style_;
  const Mode& mode_;
  int bar_;
  const Meter& meter_;
  Dice& dice_;
};

Meter make_meter(std::string_view name) {
  Meter meter;
  const auto set = [&](int numerator, int denominator, int num_steps, std::vector<int> beats, std::vector<int> strong) {
    meter = {numerator, denominator, num_steps, std::move(beats), std::move(strong)};
  };
  if (name == "3/4")
    set(3, 4, 12, {0, 4, 8}, {0});
  else if (name == "6/8")
    set(6, 8, 12, {0, 6}, {0, 6});
  else if (name == "5/4")
    set(5, 4, 20, {0, 4, 8, 12, 16}, {0, 12});
  else if (name == "7/8")
    set(7, 8, 14, {0, 4, 8}, {0, 8});
  else
    set(4, 4, 16, {0, 4, 8, 12}, {0, 8});
  return meter;
}

// I intro, V verse, P prechorus, C chorus, B bridge, S solo, K break, O outro.
SectionKind kind_of(char letter) {
  switch (letter) {
    case 'I': return SectionKind::kIntro;
    case 'V': return SectionKind::kVerse;
    case 'P': return SectionKind::kPrechorus;
    case 'C': return SectionKind::kChorus;
    case 'B': return SectionKind::kBridge;
    case 'S': return SectionKind::kSolo;
    case 'K': return SectionKind::kBreak;
    default: return SectionKind::kOutro;
  }
}

int usual_bars(SectionKind kind, bool is_blues, Dice& dice) {
  if (is_blues && kind != SectionKind::kIntro && kind != SectionKind::kOutro && kind != SectionKind::kBreak) return 12;
  switch (kind) {
    case SectionKind::kIntro:
    case SectionKind::kPrechorus:
    case SectionKind::kBreak: return dice.percent(75) ? 4 : 8;
    case SectionKind::kOutro: return 4;
    case SectionKind::kVerse: return dice.percent(65) ? 8 : 16;
    default: return 8;
  }
}

// Sections that fill about `num_bars`.
std::vector<Section> make_form(const Plan& plan, int num_bars, bool is_blues, Dice& dice) {
  const std::string_view form = pick(plan.style->forms, dice);
  std::array<int, 8> bars{};  // each kind keeps its length
  for (size_t kind = 0; kind < bars.size(); ++kind)
    bars[kind] = usual_bars(static_cast<SectionKind>(kind), is_blues, dice);
  std::vector<Section> sections;
  int used = 0;
  const auto add = [&](SectionKind kind, int count) {
    Section section;
    section.kind = kind;
    section.first_bar = used;
    section.num_bars = count;
    sections.push_back(section);
    used += count;
  };
  const int outro = num_bars >= 24 ? bars[static_cast<size_t>(SectionKind::kOutro)] : num_bars >= 8 ? 2 : 0;
  std::vector<SectionKind> body;
  for (const char letter : form) {
    const SectionKind kind = kind_of(letter);
    if (kind == SectionKind::kOutro) continue;
    if (kind == SectionKind::kIntro) {
      if (num_bars >= 16) add(kind, num_bars >= 32 ? bars[0] : 2);
      continue;
    }
    body.push_back(kind);
  }
  for (size_t i = 0;; ++i) {
    const int left = num_bars - outro - used;
    if (left <= 0) break;
    // After the form's end it goes on from its second section.
    const SectionKind kind = body[i < body.size() ? i : 1 + (i - body.size()) % (body.size() - 1)];
    const int count = std::min(bars[static_cast<size_t>(kind)], std::max(2, left / 2 * 2));
    add(kind, count);
  }
  if (outro > 0) add(SectionKind::kOutro, outro);
  return sections;
}

void orchestrate(Plan& plan, Dice& dice) {
  const unsigned comps = ((1U << plan.comps.size()) - 1) * kFirstComp;
  const auto some_comps = [&](int share) {
    unsigned mask = 0;
    for (size_t i = 0; i < plan.comps.size(); ++i) {
      if (dice.percent(share)) mask |= static_cast<unsigned>(kFirstComp) << i;
    }
    return mask != 0 ? mask : static_cast<unsigned>(kFirstComp) << dice.below(static_cast<int>(plan.comps.size()));
  };
  int num_verses = 0;
  for (Section& section : plan.sections) {
    const unsigned rhythm = kDrums | kBass;
    switch (section.kind) {
      case SectionKind::kIntro: {
        section.energy = dice.between(30, 65);
        const int draw = dice.below(6);
        section.parts = draw == 0   ? rhythm | some_comps(60)
                        : draw == 1 ? kDrums | some_comps(40)
                        : draw == 2 ? some_comps(70)
                        : draw == 3 ? rhythm
                                    : rhythm | comps;
        if (draw >= 4) section.bars_between_entries = std::max(1, section.num_bars / 4);
        if (dice.percent(40) && draw != 2) section.parts |= kLead;
        break;
      }
      case SectionKind::kVerse:
        section.energy = dice.between(45, 62) + 4 * num_verses;
        section.parts = rhythm | kMelody | (num_verses++ == 0 ? some_comps(60) : some_comps(80));
        break;
      case SectionKind::kPrechorus:
        section.energy = dice.between(58, 72);
        section.parts = rhythm | kMelody | some_comps(80);
        section.has_pedal = dice.percent(15);
        break;
      case SectionKind::kChorus:
        section.energy = dice.between(80, 100);
        section.parts = rhythm | kMelody | comps;
        break;
      case SectionKind::kBridge:
        section.energy = dice.between(45, 80);
        section.parts = (dice.percent(80) ? rhythm : static_cast<unsigned>(kBass)) | kMelody | some_comps(65);
        section.has_pedal = dice.percent(15);
        break;
      case SectionKind::kSolo:
        section.energy = dice.between(65, 92);
        section.parts = rhythm | kLead | some_comps(80);
        break;
      case SectionKind::kBreak: {
        section.energy = dice.between(20, 50);
        const int draw = dice.below(7);
        section.parts = draw == 0   ? rhythm
                        : draw == 1 ? kMelody | some_comps(40)
                        : draw == 2 ? kDrums | some_comps(30)
                        : draw == 3 ? kBass | some_comps(50)
                        : draw == 4 ? static_cast<unsigned>(kDrums)
                        : draw == 5 ? comps
                                    : static_cast<unsigned>(kBass) | kDrums | kMelody;
        break;
      }
      case SectionKind::kOutro:
        section.energy = dice.between(40, 75);
        section.parts = (dice.percent(85) ? rhythm : static_cast<unsigned>(kBass)) | some_comps(75);
        if (dice.percent(30)) section.parts |= kLead;
        break;
    }
    if (plan.sections.size() <= 3) section.parts |= rhythm | kMelody;  // a short song has no time for less
  }
}

void write_chords(Plan& plan) {
  const int bar = plan.meter.bar_ticks();
  // Per kind of section and minor or major turn of the key, so that a verse in the same key has the same chords.
  for (size_t s = 0; s < plan.sections.size(); ++s) {
    const Section& section = plan.sections[s];
    // Intros and outros borrow the verse's progression, breaks the chorus's.
    SectionKind source = section.kind;
    if (source == SectionKind::kIntro || source == SectionKind::kOutro || source == SectionKind::kSolo)
      source = SectionKind::kVerse;
    if (source == SectionKind::kBreak) source = SectionKind::kChorus;
    Dice dice = plan.dice(kDiceHarmony + 8 * static_cast<uint64_t>(section.key.mode) + static_cast<uint64_t>(source));
    ProgressionWriter writer(*plan.style, section.key, plan.meter, dice);
    const bool is_jam = plan.style->seventh_percent >= 90;
    const int phrase_bars = writer.is_blues() ? 12 : is_jam || dice.percent(25) ? 8 : 4;
    const auto versions = writer.write(phrase_bars);
    int64_t at = plan.bar_start(section.first_bar);
    const int64_t end = at + static_cast<int64_t>(section.num_bars) * bar;
    const int num_phrases = (section.num_bars + phrase_bars - 1) / phrase_bars;
    for (int phrase = 0; at < end; ++phrase) {
      const bool closes = phrase == num_phrases - 1 && section.kind != SectionKind::kPrechorus;
      for (const TimedDegree& timed : versions[closes ? 1 : 0]) {
        if (at >= end) break;
        const int root = (section.key.tonic + timed.degree.offset) % 12;
        const int bass = section.has_pedal ? section.key.tonic
                         : timed.bass >= 0 ? (section.key.tonic + timed.bass) % 12
                                           : root;
        const int64_t stop = std::min<int64_t>(end, at + timed.ticks);
        plan.chords.push_back({at, stop, {root, bass, timed.degree.quality}, section.key});
        at = stop;
      }
    }
    // The dominant of a new key leads there.
    if (s + 1 < plan.sections.size() && plan.sections[s + 1].key.tonic != section.key.tonic) {
      const int64_t lead = end - (plan.meter.is_beat(plan.meter.num_steps / 2) ? bar / 2 : bar);
      const int root = (plan.sections[s + 1].key.tonic + 7) % 12;
      while (plan.chords.size() > 1 && plan.chords.back().start >= lead) plan.chords.pop_back();
      plan.chords.back().end = lead;
      const Quality quality = plan.style->seventh_percent < 5 ? Quality::kMajor : Quality::kDominant7;
      plan.chords.push_back({lead, end, {root, root, quality}, plan.sections[s + 1].key});
    }
  }
  // A song ends on its tonic, on the beat of its last bar.
  const int64_t last_bar = plan.bar_start(plan.num_bars - 1);
  while (plan.chords.size() > 1 && plan.chords.back().start >= last_bar) plan.chords.pop_back();
  plan.chords.back().end = last_bar;
  const Key key = plan.sections.back().key;
  Dice dice = plan.dice(kDiceHarmony + 99);
  ProgressionWriter writer(*plan.style, key, plan.meter, dice);
  Degree tonic = writer.tonic();
  if (plan.style->seventh_percent >= 60 && tonic.quality == Quality::kMinor) tonic.quality = Quality::kMinor7;
  if (plan.style->seventh_percent >= 90 && tonic.quality == Quality::kMajor) tonic.quality = Quality::kSixth;
  plan.chords.push_back({last_bar, last_bar + bar, {key.tonic, key.tonic, tonic.quality}, key});
  // The same chord twice in a row is one chord.
  std::vector<ChordSpan> joined;
  for (const ChordSpan& span : plan.chords) {
    if (span.end <= span.start) continue;
    if (!joined.empty() && joined.back().chord == span.chord && joined.back().key == span.key) {
      joined.back().end = span.end;
    } else {
      joined.push_back(span);
    }
  }
  plan.chords = std::move(joined);
}

}  // namespace

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (true) {
    const size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

std::string_view pick(std::string_view alternatives, Dice& dice) {
  const auto parts = split(alternatives, '|');
  return parts[static_cast<size_t>(dice.below(static_cast<int>(parts.size())))];
}

std::string_view pick_weighted(std::string_view choices, Dice& dice) {
  std::vector<std::pair<std::string_view, int>> parts;
  int total = 0;
  for (const std::string_view choice : split(choices, ' ')) {
    const size_t colon = choice.rfind(':');
    int weight = 0;
    std::from_chars(choice.data() + colon + 1, choice.data() + choice.size(), weight);
    parts.emplace_back(choice.substr(0, colon), weight);
    total += weight;
  }
  int at = dice.below(total);
  for (const auto& [name, weight] : parts) {
    if ((at -= weight) < 0) return name;
  }
  return parts.back().first;
}

int pick_number(std::string_view choices, Dice& dice) {
  const std::string_view text = pick_weighted(choices, dice);
  int number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

const std::vector<int>& intervals(Quality quality) { return qualities()[static_cast<size_t>(quality)].intervals; }

uint16_t pitch_class_mask(const Chord& chord) {
  unsigned mask = 1U << chord.bass;
  for (const int interval : intervals(chord.quality)) mask |= 1U << (chord.root + interval) % 12;
  return static_cast<uint16_t>(mask);
}

int interval_of(const Chord& chord, char role) {
  const std::vector<int>& all = intervals(chord.quality);
  const auto find = [&](int low, int high, int otherwise) {
    const auto it = std::ranges::find_if(all, [&](int interval) { return interval >= low && interval <= high; });
    return it == all.end() ? otherwise : *it;
  };
  if (role == '3') return find(2, 5, 7);
  if (role == '5') return find(6, 8, 0);
  return find(9, 11, 0);
}

const std::vector<Mode>& modes() {
  // Scales from the tonic up, least bit first.
  static const std::vector<Mode> all = {
      {"major", 0b101010110101, false, 0, "I:10 vi:4 iii:1", "IV:6 ii:5 iv:1", "V:10 viio:1 bVII:1"},
      {"minor", 0b010110101101, true, 3, "i:10 bIII:2 bVI:2", "iv:6 bVI:3 iio:1", "V:4 v:2 bVII:4"},
      {"dorian", 0b011010101101, true, 10, "i:10 bIII:2", "IV:6 ii:3", "bVII:5 v:3"},
      {"mixolydian", 0b011010110101, false, 5, "I:10 vi:2", "IV:7 ii:2", "bVII:6 v:2"},
      {"lydian", 0b101011010101, false, 7, "I:10 vi:3 iii:2", "II:7 vi:2", "vii:3 V:5"},
      {"phrygian", 0b010110101011, true, 8, "i:10 bIII:1", "bII:7 iv:3 bVI:2", "bvii:5 bII:3"},
      {"blues", 0b011010111101, false, 5, "I:10", "IV:10", "V:10"},
  };
  return all;
}

bool in_scale(const Key& key, int pitch_class) {
  return (modes()[static_cast<size_t>(key.mode)].scale >> ((pitch_class - key.tonic + 12) % 12) & 1) != 0;
}

int key_sharps(const Key& key) {
  // The major key of the same notes, around the circle of fifths.
  const Mode& mode = modes()[static_cast<size_t>(key.mode)];
  const int sharps = (key.tonic + mode.fifths) % 12 * 7 % 12;
  // F# major, but Eb minor.
  return sharps > (mode.is_minor ? 5 : 6) ? sharps - 12 : sharps;
}

bool has_flats(const Key& key) { return key_sharps(key) < 0; }

namespace {

const char* pitch_name(int pitch_class, bool with_flats) {
  constexpr const char* kSharps[] = {"C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B"};
  constexpr const char* kFlats[] = {"C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B"};
  return (with_flats ? kFlats : kSharps)[pitch_class];
}

}  // namespace

std::string key_name(const Key& key) {
  return std::string(pitch_name(key.tonic, has_flats(key))) + " " + modes()[static_cast<size_t>(key.mode)].name;
}

std::string chord_name(const Chord& chord, bool with_flats) {
  std::string name =
      std::string(pitch_name(chord.root, with_flats)) + qualities()[static_cast<size_t>(chord.quality)].suffix;
  if (chord.bass != chord.root) name += std::string("/") + pitch_name(chord.bass, with_flats);
  return name;
}

bool Meter::is_strong(int step) const { return std::ranges::find(strong_beats, step) != strong_beats.end(); }
bool Meter::is_beat(int step) const { return std::ranges::find(beats, step) != beats.end(); }

const char* section_name(SectionKind kind) {
  constexpr const char* kNames[] = {"intro", "verse", "prechorus", "chorus", "bridge", "solo", "break", "outro"};
  return kNames[static_cast<size_t>(kind)];
}

const Section& Plan::section_at(int bar) const {
  const auto after = std::ranges::upper_bound(sections, bar, {}, &Section::first_bar);
  return *(after - 1);
}

const ChordSpan& Plan::chord_at(int64_t tick) const {
  const auto after = std::ranges::upper_bound(chords, tick, {}, &ChordSpan::start);
  return after == chords.begin() ? chords.front() : *(after - 1);
}

const ChordSpan& Plan::next_chord(int64_t tick) const {
  const auto after = std::ranges::upper_bound(chords, tick, {}, &ChordSpan::start);
  return after == chords.end() ? chords.back() : *after;
}

bool Plan::plays(unsigned part, int bar) const {
  const Section& section = section_at(bar);
  if ((section.parts & part) == 0) return false;
  if (part == kDrums && !has_drums) return false;
  if (section.bars_between_entries == 0) return true;
  // Parts enter in an order of the song's own.
  Dice order = dice(kDiceForm + 50 + part);
  return bar - section.first_bar >= section.bars_between_entries * order.below(4);
}

int with_energy(int velocity, int energy) { return std::clamp(velocity * (72 + energy * 36 / 100) / 100, 1, 127); }

void plan_song(Plan& plan, int seconds) {
  const Style& style = *plan.style;
  Dice dice = plan.dice(kDicePlan);
  plan.meter = make_meter(pick_weighted(style.meters, dice));
  plan.bpm = dice.between(style.min_bpm, style.max_bpm);
  plan.swing_ticks = style.swing_step == 0 ? 0 : dice.between(style.min_swing, style.max_swing);
  plan.looseness = style.looseness * dice.between(40, 120) / 100;
  plan.has_drums = dice.percent(style.drum_percent);
  plan.drum_kit = pick_number(style.kits, dice);
  plan.bass_program = pick_number(style.bass_programs, dice);
  plan.melody_program = pick_number(style.melody_programs, dice);
  plan.lead_program = pick_number(style.lead_programs, dice);
  for (const CompStyle& comp : style.comps) {
    if (comp.percent == 0) continue;
    const int program = pick_number(comp.programs, dice);
    if (dice.percent(comp.percent)) plan.comps.push_back({&comp, program});
  }
  if (plan.comps.empty()) plan.comps.push_back({&style.comps[0], pick_number(style.comps[0].programs, dice)});
  Key home;
  home.tonic = dice.below(12);
  const std::string_view mode = pick_weighted(style.modes, dice);
  for (size_t i = 0; i < modes().size(); ++i) {
    if (mode == modes()[i].name) home.mode = static_cast<int>(i);
  }
  // A beat of 6/8 is a dotted quarter: such songs are felt slower, and their eighths would else be hasty.
  if (plan.meter.denominator == 8 && plan.meter.numerator == 6) plan.bpm = std::max(40, plan.bpm * 2 / 3);
  const int beat_steps = plan.meter.numerator == 6 ? 6 : 4;
  // ticks a minute = bpm * beat_steps * kStep
  const int64_t ticks = static_cast<int64_t>(seconds) * plan.bpm * beat_steps * kStep / 60;
  const int num_bars = std::max(4, static_cast<int>(ticks / plan.meter.bar_ticks()));
  Dice form_dice = plan.dice(kDiceForm);
  const bool is_blues = std::string_view(modes()[static_cast<size_t>(home.mode)].name) == "blues";
  plan.sections = make_form(plan, num_bars, is_blues, form_dice);
  plan.num_bars = plan.sections.back().first_bar + plan.sections.back().num_bars;
  orchestrate(plan, form_dice);
  Key key = home;
  const bool modulates = form_dice.percent(style.modulation_percent);
  const int modulation = form_dice.percent(60) ? 2 : 1;
  int last_chorus = -1, num_choruses = 0;
  for (size_t s = 0; s < plan.sections.size(); ++s) {
    if (plan.sections[s].kind != SectionKind::kChorus) continue;
    last_chorus = static_cast<int>(s);
    ++num_choruses;
  }
  const bool bridge_moves = form_dice.percent(25) && !is_blues;
  for (size_t s = 0; s < plan.sections.size(); ++s) {
    Section& section = plan.sections[s];
    if (modulates && num_choruses > 1 && static_cast<int>(s) == last_chorus) key.tonic = (key.tonic + modulation) % 12;
    section.key = key;
    if (bridge_moves && section.kind == SectionKind::kBridge) {
      // The parallel of the same notes: relative minor or major.
      const Mode& from = modes()[static_cast<size_t>(key.mode)];
      const int major = (key.tonic + from.fifths) % 12;
      section.key = from.is_minor ? Key{major, 0} : Key{(major + 9) % 12, 1};
    }
  }
  write_chords(plan);
}

}  // namespace vqcodec::dataset::compose
