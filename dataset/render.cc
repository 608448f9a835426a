#include "dataset/render.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <numbers>

#include "base/error.h"
#include "dataset/effects.h"

namespace vqcodec::dataset {

using nlohmann::ordered_json;

namespace {

enum Group : size_t { kVocals, kBass, kDrums, kOther };

constexpr double kTailSeconds = 3;     // after the last note: releases, room
constexpr double kEffectSeconds = 1;   // that effects without echoes take to fade
constexpr double kEchoSeconds = 8;     // and those with them
constexpr double kFadeSeconds = 0.05;  // of a song that is cut
constexpr size_t kMinNotes = 4;        // of a song
constexpr double kPartLufs = -20;      // of every part before its effects, whose thresholds are set for it
constexpr double kSilentLufs = -70;    // below it a part is left alone
constexpr int kMaxKitTries = 4;        // kits for keys that the chosen one lacks
constexpr size_t kLimiterFrames = 64;  // of a step of the limiter's gain
constexpr size_t kLimiterSteps = 4;    // looked ahead, and behind

// Where to look up draws: topics of a song have generators of their own, so that one more draw in one part of the code
// leaves the others as they are.
uint64_t hash(const std::string& text) {
  uint64_t value = 14695981039346656037ULL;  // FNV-1a
  for (const char c : text) value = (value ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
  return value;
}

double between(CounterRandom& random, double low, double high) { return low + (high - low) * random.uniform(); }

// Normal, cut at twice the deviation.
double around(CounterRandom& random, double middle, double deviation) {
  return middle + deviation * std::clamp(random.normal(), -2.0, 2.0);
}

double rounded(double value, int num_digits) {
  const double scale = std::pow(10.0, num_digits);
  return std::round(value * scale) / scale;
}

double gain_of(double db) { return std::pow(10.0, db / 20); }

double to_db(double gain) { return 20 * std::log10(std::max(1e-6, gain)); }

struct Part {
  Group group = kOther;
  int channel = 0, program = 0;
  std::string name;  // of the track
  bool is_melody = false;
  std::vector<MidiNote> notes;  // in the seconds of the render
};

// Effects with their names, for song.json.
struct Rack {
  EffectChain chain;
  std::vector<std::string> names;

  template <typename E, typename P>
  void add(const char* name, const P& parameters) {
    chain.add<E>(parameters);
    names.emplace_back(name);
  }
  void equalize(std::vector<Biquad> biquads) { add<Equalizer>("equalizer", biquads); }
};

using Kind = Biquad::Kind;

double log_between(CounterRandom& random, double low, double high) {
  return low * std::pow(high / low, random.uniform());
}

Biquad random_peak(CounterRandom& random, double low_hz, double high_hz, double deviation_db) {
  return {Kind::kPeak, log_between(random, low_hz, high_hz), around(random, 0, deviation_db), between(random, 0.5, 2)};
}

void add_compressor(Rack& rack, CounterRandom& random, double min_ratio, double max_ratio) {
  rack.add<Compressor>("compressor", CompressorParameters{.threshold_db = between(random, -26, -14),
                                                          .ratio = between(random, min_ratio, max_ratio),
                                                          .knee_db = between(random, 0, 12),
                                                          .attack_seconds = log_between(random, 0.003, 0.04),
                                                          .release_seconds = log_between(random, 0.05, 0.4)});
}

void add_delay(Rack& rack, CounterRandom& random, double beat_seconds) {
  constexpr std::array kBeats = {0.5, 0.75, 1.0, 1.0 / 3};
  rack.add<Delay>("delay", DelayParameters{.delay_seconds = std::min(1.9, beat_seconds * kBeats[random.below(4)]),
                                           .feedback = between(random, 0.1, 0.5),
                                           .high_cut_hz = log_between(random, 1500, 8000),
                                           .mix = between(random, 0.06, 0.3),
                                           .ping_pong = random.chance(0.5)});
}

void add_chorus(Rack& rack, CounterRandom& random) {
  rack.add<Chorus>("chorus", ChorusParameters{.rate_hz = log_between(random, 0.2, 3),
                                              .delay_seconds = between(random, 0.008, 0.02),
                                              .depth_seconds = between(random, 0.0005, 0.004),
                                              .mix = between(random, 0.2, 0.7),
                                              .num_voices = 1 + static_cast<int>(random.below(3))});
}

void add_guitar_amplifier(Rack& rack, CounterRandom& random, double drive_db) {
  rack.add<Amplifier>("amplifier", AmplifierParameters{.drive_db = drive_db,
                                                       .low_cut_hz = log_between(random, 60, 250),
                                                       .bass_db = around(random, 0, 4),
                                                       .middle_db = around(random, 0, 4),
                                                       .treble_db = around(random, 2, 4)});
  rack.add<Cabinet>("cabinet", CabinetParameters{.low_hz = log_between(random, 65, 110),
                                                 .high_hz = log_between(random, 3800, 7000),
                                                 .resonance_db = between(random, 1, 6),
                                                 .presence_hz = log_between(random, 1800, 4000),
                                                 .presence_db = between(random, 0, 7),
                                                 .notch_hz = log_between(random, 400, 1500),
                                                 .notch_db = between(random, -8, 0)});
}

// The effects of one part, for a signal at kPartLufs. `is_direct`: of a pickup, to be amplified.
void fill_rack(Rack& rack, Role role, int program, bool is_direct, double beat_seconds, CounterRandom& random) {
  switch (role) {
    case Role::kDrums:
      rack.equalize({{Kind::kHighPass, log_between(random, 20, 40)},
                     {Kind::kLowShelf, log_between(random, 60, 110), around(random, 3, 2.5)},
                     random_peak(random, 250, 800, 2.5),
                     {Kind::kHighShelf, log_between(random, 4000, 9000), around(random, 1, 2.5)}});
      if (random.chance(0.8)) add_compressor(rack, random, 1.5, 5);
      if (random.chance(0.4)) {
        rack.add<Saturation>("saturation", SaturationParameters{.drive_db = between(random, -4, 8),
                                                                .bias = between(random, 0, 0.15),
                                                                .mix = between(random, 0.3, 1)});
      }
      break;
    case Role::kBass:
      rack.equalize({{Kind::kHighPass, log_between(random, 18, 35)},
                     {Kind::kLowShelf, log_between(random, 60, 120), around(random, 3, 2.5)},
                     random_peak(random, 300, 1500, 3),
                     {Kind::kHighShelf, log_between(random, 400, 4000), around(random, -3, 4)}});
      if (random.chance(0.5)) add_compressor(rack, random, 2, 8);
      if (random.chance(is_direct ? 0.6 : 0.3)) {
        rack.add<Amplifier>("amplifier", AmplifierParameters{.drive_db = between(random, -6, 16),
                                                             .low_cut_hz = log_between(random, 15, 35),
                                                             .bass_db = around(random, 1, 3),
                                                             .middle_db = around(random, 0, 3),
                                                             .treble_db = around(random, -1, 3)});
        rack.add<Cabinet>("cabinet", CabinetParameters{.low_hz = log_between(random, 24, 40),
                                                       .high_hz = log_between(random, 2500, 7000),
                                                       .resonance_db = between(random, 0, 4),
                                                       .presence_db = between(random, -4, 4),
                                                       .notch_db = between(random, -6, 0)});
      } else if (random.chance(0.4)) {
        rack.add<Saturation>("saturation", SaturationParameters{.drive_db = between(random, -4, 12),
                                                                .bias = between(random, 0, 0.3),
                                                                .mix = between(random, 0.3, 1)});
      }
      if (random.chance(0.9)) add_compressor(rack, random, 3, 12);
      if (random.chance(0.12)) add_chorus(rack, random);
      break;
    case Role::kGuitar: {
      const bool is_distorted = program == 29 || program == 30;
      const bool is_acoustic = program == 24 || program == 25;
      if (random.chance(0.5)) add_compressor(rack, random, 1.5, 5);
      if (is_distorted && is_direct) {
        add_guitar_amplifier(rack, random, between(random, 18, 40));
      } else if (is_distorted) {
        if (random.chance(0.6)) add_guitar_amplifier(rack, random, between(random, -6, 14));
      } else if (!is_acoustic && (is_direct || random.chance(0.4))) {
        add_guitar_amplifier(rack, random, between(random, -8, 18));
      }
      rack.equalize({{Kind::kHighPass, log_between(random, 70, 160)},
                     random_peak(random, 200, 800, 2.5),
                     random_peak(random, 1200, 5000, 3),
                     {Kind::kHighShelf, log_between(random, 3500, 9000), around(random, 0, 3)}});
      if (!is_distorted && random.chance(0.3)) add_chorus(rack, random);
      if (random.chance(0.3)) add_delay(rack, random, beat_seconds);
      break;
    }
    default: {
      rack.equalize({{Kind::kHighPass, log_between(random, 25, 140)},
                     random_peak(random, 200, 900, 2.5),
                     random_peak(random, 1200, 6000, 2.5),
                     {Kind::kHighShelf, log_between(random, 3500, 9000), around(random, 0.5, 3)}});
      const bool is_electric = role == Role::kOrgan || role == Role::kSynth || (program >= 4 && program <= 7);
      if (random.chance(is_electric ? 0.4 : 0.1)) {
        rack.add<Saturation>("saturation", SaturationParameters{.drive_db = between(random, -6, 12),
                                                                .bias = between(random, 0, 0.2),
                                                                .mix = between(random, 0.3, 1)});
      }
      if (random.chance(0.5)) add_compressor(rack, random, 1.3, 4);
      if (random.chance(is_electric ? 0.4 : 0.08)) add_chorus(rack, random);
      if (random.chance(role == Role::kSynth ? 0.35 : 0.12)) add_delay(rack, random, beat_seconds);
    }
  }
}

void fill_vocal_rack(Rack& rack, double beat_seconds, CounterRandom& random) {
  rack.equalize({{Kind::kHighPass, log_between(random, 70, 130)},
                 random_peak(random, 200, 600, 2),
                 random_peak(random, 2000, 5000, 2.5),
                 {Kind::kHighShelf, log_between(random, 6000, 11000), around(random, 2, 2)}});
  add_compressor(rack, random, 2, 5);
  if (random.chance(0.5)) add_compressor(rack, random, 2, 10);
  if (random.chance(0.3)) {
    rack.add<Saturation>("saturation", SaturationParameters{.drive_db = between(random, -6, 8),
                                                            .bias = 0.1,
                                                            .mix = between(random, 0.2, 0.8)});
  }
  if (random.chance(0.4)) add_delay(rack, random, beat_seconds);
}

using Ranges = std::vector<std::pair<size_t, size_t>>;  // first frame, and the one after the last

// Where a part sounds, each stretch with the time that its effects take to fade: parts rest for much of many songs.
Ranges sounding_ranges(const StereoSamples& samples, double tail_seconds) {
  constexpr size_t kBlockFrames = 4096;
  const size_t num_frames = samples.left.size(), tail = static_cast<size_t>(tail_seconds * kRenderHz);
  Ranges ranges;
  for (size_t begin = 0; begin < num_frames; begin += kBlockFrames) {
    const size_t end = std::min(num_frames, begin + kBlockFrames);
    size_t i = begin;
    while (i < end && samples.left[i] == 0 && samples.right[i] == 0) ++i;
    if (i == end) continue;
    if (ranges.empty() || ranges.back().second < begin) ranges.emplace_back(begin, end);
    ranges.back().second = std::min(num_frames, end + tail);
  }
  return ranges;
}

double peak_of(const StereoSamples& samples) {
  float peak = 0;
  for (const float x : samples.left) peak = std::max(peak, std::abs(x));
  for (const float x : samples.right) peak = std::max(peak, std::abs(x));
  return peak;
}

void scale(StereoSamples& samples, double gain) {
  for (float& x : samples.left) x *= static_cast<float>(gain);
  for (float& x : samples.right) x *= static_cast<float>(gain);
}

double rms_db(const StereoSamples& samples) {
  double energy = 0;
  for (const float x : samples.left) energy += static_cast<double>(x) * x;
  for (const float x : samples.right) energy += static_cast<double>(x) * x;
  return 10 * std::log10(std::max(1e-12, energy / static_cast<double>(2 * std::max<size_t>(1, samples.left.size()))));
}

bool is_passed(const MidiControl& control) {
  switch (control.kind) {
    case MidiControlKind::kProgram: return false;
    case MidiControlKind::kController:
      // Banks are the renderer's choice, effects are those of the mix, and modes would turn parts into one voice.
      return control.number != 0 && control.number != 32 && control.number != 91 && control.number != 93 &&
             control.number < 120;
    default: return true;
  }
}

class SongRenderer {
 public:
  SongRenderer(const RenderSource& source, int variant, const FontLibrary& fonts, const GrooveSet* grooves,
               const RenderOptions& options)
      : source_(source),
        variant_(variant),
        fonts_(fonts),
        grooves_(grooves),
        options_(options),
        player_(fonts),
        song_random_(generator("song")) {}

  RenderedSong run() {
    plan();
    for (const Group group : {kVocals, kBass, kDrums, kOther}) mix_group(group);
    if (parts_json_.empty()) {
      throw Error(ExitCode::kBadFile, source_.name + ": no soundfont can play any of its parts");
    }
    send_ = dry_ = {};
    balance();
    master();
    describe();
    return std::move(song_);
  }

 private:
  CounterRandom generator(const std::string& topic) const {
    return {options_.seed, hash(source_.name + "\n" + topic), static_cast<uint64_t>(variant_)};
  }

  void remark(const std::string& text) { remarks_.push_back(text); }

  double seconds(double song_seconds) const { return song_seconds / tempo_factor_; }

  void plan() {
    CounterRandom& random = song_random_;
    const auto range = static_cast<uint64_t>(options_.max_transpose);
    transpose_ = static_cast<int>(random.below(2 * range + 1)) - options_.max_transpose;
    tempo_factor_ = rounded(between(random, options_.min_tempo, options_.max_tempo), 6);
    tuning_cents_ = rounded(between(random, -options_.max_tuning_cents, options_.max_tuning_cents), 1);
    velocity_power_ = rounded(std::exp2(around(random, 0, 0.4)), 3);
    velocity_deviation_ = between(random, 0, 5);
    timing_deviation_ = between(random, 0, 0.006);
    room_ = {.decay_seconds = log_between(random, 0.35, 3.2),
             .high_decay_ratio = between(random, 0.2, 0.7),
             .pre_delay_seconds = between(random, 0, 0.04),
             .size = between(random, 0.4, 1.3),
             .width = between(random, 0.6, 1),
             .low_cut_hz = log_between(random, 80, 300)};
    wetness_db_ = random.chance(0.1) ? -80 : around(random, 0, 4);

    const MidiSong& midi = source_.midi;
    if (midi.notes.size() < kMinNotes) {
      throw Error(ExitCode::kBadFile,
                  source_.name + ": has " + std::to_string(midi.notes.size()) + " notes, expected a song");
    }
    const MidiTempo& tempo = longest_tempo();
    tempo_bpm_ = 60e6 / tempo.quarter_microseconds * tempo_factor_;
    collect_parts();
    lay_drums();
    double end = 0;
    for (const Part& part : parts_) {
      for (const MidiNote& note : part.notes) end = std::max(end, note.end_seconds);
    }
    is_cut_ = end + kTailSeconds > options_.max_seconds;
    song_.num_frames = static_cast<int64_t>(std::min(end + kTailSeconds, options_.max_seconds) * kRenderHz);
  }

  // Tempo that holds for most of the song.
  const MidiTempo& longest_tempo() const {
    const std::vector<MidiTempo>& tempi = source_.midi.tempi;
    size_t best = 0;
    double longest = -1;
    for (size_t i = 0; i < tempi.size(); ++i) {
      const double end = i + 1 < tempi.size() ? tempi[i + 1].seconds : source_.midi.end_seconds;
      if (end - tempi[i].seconds > longest) {
        longest = end - tempi[i].seconds;
        best = i;
      }
    }
    return tempi[best];
  }

  void collect_parts() {
    CounterRandom random = generator("sing");
    const bool sings = options_.sing && random.chance(options_.sing_share);
    std::map<std::tuple<Group, bool, int, int>, size_t> index;  // group, melody, channel, program
    bool has_melody = false;
    for (const MidiNote& note : source_.midi.notes) {
      const MidiGroup midi = midi_group(source_.midi, note, true);
      const bool is_melody = midi == MidiGroup::kMelody;
      has_melody |= is_melody;
      const Group group = midi == MidiGroup::kDrums  ? kDrums
                          : midi == MidiGroup::kBass ? kBass
                          : is_melody && sings       ? kVocals
                                                     : kOther;
      // One kit plays all drums, whatever programs their channel has.
      const int program = group == kDrums || group == kVocals ? 0 : note.program;
      const auto [at, is_new] = index.try_emplace({group, is_melody, note.channel, program}, parts_.size());
      if (is_new) {
        const std::vector<std::string>& names = source_.midi.track_names;
        parts_.push_back({group,
                          note.channel,
                          group == kDrums ? note.program : program,
                          note.track < names.size() ? names[note.track] : "",
                          is_melody,
                          {}});
      }
      MidiNote played = note;
      played.start_seconds = seconds(note.start_seconds);
      played.end_seconds = seconds(note.end_seconds);
      parts_[at->second].notes.push_back(played);
    }
    if (has_melody && !options_.sing) remark("no voice is there to sing: the melody is played, and part of other");
  }

  void lay_drums() {
    CounterRandom random = generator("groove");
    if (grooves_ == nullptr || !random.chance(options_.groove_share)) return;
    const double bar = bar_beats();
    const LaidGroove groove = grooves_->choose(tempo_bpm_, bar, random);
    if (groove.take == nullptr) {
      char text[80];
      std::snprintf(text, sizeof text, "no drum take has bars of %g quarter notes: the song keeps its drums", bar);
      remark(text);
      return;
    }
    std::erase_if(parts_, [](const Part& part) { return part.group == kDrums; });
    double num_beats = 0;
    for (const MidiNote& note : source_.midi.notes) num_beats = std::max(num_beats, note.end_beats);
    Part part{kDrums, kMidiDrumChannel, 0, "groove", false, {}};
    const int quarter = source_.midi.ticks_per_quarter;
    const auto beat_seconds = [&](double beats) {
      return seconds(source_.midi.seconds_at(static_cast<int64_t>(std::llround(std::max(0.0, beats) * quarter))));
    };
    for (MidiNote note : lay_groove(groove, std::min(num_beats, options_.max_seconds * 20))) {
      note.start_seconds = beat_seconds(note.start_beats);
      note.end_seconds = std::max(note.start_seconds, beat_seconds(note.end_beats));
      part.notes.push_back(note);
    }
    groove_json_ = {{"file", groove.take->file},
                    {"tempo_bpm", rounded(groove.take->tempo_bpm, 3)},
                    {"song_beats_per_beat", groove.song_beats_per_beat}};
    if (!part.notes.empty()) parts_.push_back(std::move(part));
  }

  double bar_beats() const {
    const std::vector<MidiTimeSignature>& signatures = source_.midi.time_signatures;
    return signatures.empty() ? 4.0 : 4.0 * signatures[0].numerator / signatures[0].denominator;
  }

  // ---- one part

  std::vector<PartNote> played_notes(const Part& part, CounterRandom& random) const {
    std::vector<PartNote> notes;
    const bool is_drums = part.group == kDrums;
    for (const MidiNote& note : part.notes) {
      const double late = around(random, 0, is_drums ? 0.3 * timing_deviation_ : timing_deviation_);
      const double start = std::max(0.0, note.start_seconds + late);
      const double end = std::max(start, note.end_seconds + late);
      const double velocity =
          127 * std::pow(note.velocity / 127.0, velocity_power_) + around(random, 0, velocity_deviation_);
      int key = note.key + (is_drums ? 0 : transpose_);
      if (key > 127) key -= 12;
      if (key < 0) key += 12;
      notes.push_back({static_cast<int64_t>(start * kRenderHz), static_cast<int64_t>(end * kRenderHz),
                       static_cast<uint8_t>(key),
                       static_cast<uint8_t>(std::clamp(static_cast<int>(std::lround(velocity)), 1, 127))});
    }
    std::ranges::stable_sort(notes, {}, &PartNote::start_frame);
    return notes;
  }

  std::vector<PartControl> played_controls(const Part& part) const {
    std::vector<PartControl> controls;
    if (part.name == "groove") return controls;
    for (const MidiControl& control : source_.midi.controls) {
      if (control.channel != part.channel || !is_passed(control)) continue;
      controls.push_back(
          {static_cast<int64_t>(seconds(control.seconds) * kRenderHz), control.kind, control.number, control.value});
    }
    return controls;
  }

  bool has_pan(const Part& part) const {
    return std::ranges::any_of(source_.midi.controls, [&](const MidiControl& control) {
      return control.channel == part.channel && control.kind == MidiControlKind::kController && control.number == 10 &&
             control.value != 64;
    });
  }

  ordered_json instrument_json(const Instrument& instrument) const {
    ordered_json presets = ordered_json::array();
    for (const Preset& preset : instrument.presets) {
      presets.push_back(
          {{"bank", preset.bank}, {"program", preset.program}, {"name", fonts_.preset_name(instrument.font, preset)}});
    }
    return {{"font", instrument.font}, {"presets", presets}};
  }

  // Plays with a font; false when none can.
  bool play_fonts(const Part& part, Role role, CounterRandom& random, StereoSamples& out, ordered_json& json,
                  bool& is_direct) {
    std::optional<Instrument> instrument = fonts_.choose(role, part.program, random);
    if (!instrument) return false;
    is_direct = fonts_.spec(instrument->font).direct;
    std::vector<PartNote> notes = played_notes(part, random);
    const std::vector<PartControl> controls = played_controls(part);
    const double tuning = role == Role::kDrums ? 0 : tuning_cents_;
    ordered_json instruments = ordered_json::array({instrument_json(*instrument)});
    used_fonts_[instrument->font] = true;
    notes = player_.play(*instrument, notes, controls, tuning, out.left, out.right);
    // What this kit lacks, such as a tambourine, another one may have.
    for (int i = 0; role == Role::kDrums && i < kMaxKitTries && !notes.empty(); ++i) {
      const std::optional<Instrument> other = fonts_.choose(role, part.program, random);
      if (other->font == instrument->font) continue;
      const size_t before = notes.size();
      notes = player_.play(*other, notes, controls, tuning, out.left, out.right);
      if (notes.size() < before) {
        instruments.push_back(instrument_json(*other));
        used_fonts_[other->font] = true;
      }
      instrument = other;
    }
    json["instruments"] = instruments;
    if (!notes.empty()) json["silent_notes"] = notes.size();
    return true;
  }

  std::vector<SynthNote> synth_notes(const Part& part, CounterRandom& random) const {
    std::vector<SynthNote> notes;
    for (const PartNote& note : played_notes(part, random)) {
      notes.push_back({static_cast<double>(note.start_frame) / kRenderHz,
                       static_cast<double>(note.end_frame - note.start_frame) / kRenderHz, note.key, note.velocity});
    }
    return notes;
  }

  bool sing(const Part& part, CounterRandom& random, StereoSamples& out) {
    std::vector<SynthNote> melody = synth_notes(part, random);
    std::erase_if(melody, [&](const SynthNote& note) { return note.start_seconds >= options_.max_seconds; });
    if (melody.empty()) return false;
    int scale_tonic = -1;
    if (!source_.midi.key_signatures.empty()) {
      // The major scale with so many sharps stands on the fifth's multiple.
      scale_tonic = ((source_.midi.key_signatures[0].sharps * 7 + transpose_) % 12 + 12) % 12;
    }
    const std::vector<float> sung = options_.sing(melody, scale_tonic, random.next());
    const size_t count = std::min(out.left.size(), sung.size() / 2);
    for (size_t i = 0; i < count; ++i) {
      out.left[i] += sung[2 * i];
      out.right[i] += sung[2 * i + 1];
    }
    return true;
  }

  void mix_group(Group group) {
    StereoSamples& stem = song_.stems[group];
    StereoSamples &send = send_, &dry = dry_;  // kept from group to group: new memory costs time
    for (size_t index = 0; index < parts_.size(); ++index) {
      const Part& part = parts_[index];
      if (part.group != group) continue;
      CounterRandom random = generator("part " + std::to_string(index));
      const Role role = group == kDrums ? Role::kDrums : group == kBass ? Role::kBass : role_of_program(part.program);
      const auto num_frames = static_cast<size_t>(song_.num_frames);
      dry.left.assign(num_frames, 0.0f);
      dry.right.assign(num_frames, 0.0f);
      ordered_json json = {{"group", kRenderGroups[group]},
                           {"name", part.name},
                           {"channel", part.channel},
                           {"program", part.program},
                           {"notes", part.notes.size()}};
      bool is_direct = false;
      CounterRandom synth_random = generator("synth bass");
      if (group == kVocals) {
        if (!sing(part, random, dry)) continue;
        json["instruments"] = ordered_json::array({{{"synthesizer", "singing"}}});
      } else if (group == kBass && synth_random.chance(options_.synth_bass_share)) {
        const bool pulsed = synth_random.chance(options_.pulsed_share);
        render_synth_bass(synth_notes(part, random), pulsed, random, dry.left, dry.right);
        json["instruments"] = ordered_json::array({{{"synthesizer", pulsed ? "pulsed bass" : "bass"}}});
      } else if (!play_fonts(part, role, random, dry, json, is_direct)) {
        remark("channel " + std::to_string(part.channel + 1) + ", program " + std::to_string(part.program) + " (" +
               role_name(role) + "): no soundfont can play it; left out");
        continue;
      }
      const double played_lufs = loudness_lufs(dry.left, dry.right);
      if (played_lufs < kSilentLufs) {
        remark("channel " + std::to_string(part.channel + 1) + ": is silent");
        continue;
      }
      Rack rack;
      const double beat_seconds = 60 / tempo_bpm_;
      group == kVocals ? fill_vocal_rack(rack, beat_seconds, random)
                       : fill_rack(rack, role, part.program, is_direct, beat_seconds, random);
      // The bass and the voice are in the middle, drums nearly.
      const double spread = group == kOther ? (has_pan(part) ? 0.15 : 0.6) : group == kDrums ? 0.05 : 0.0;
      const StereoParameters place{.place = std::clamp(around(random, 0, 0.5 * spread), -0.9, 0.9),
                                   .width = group == kBass     ? between(random, 0, 0.5)
                                            : group == kVocals ? 1.0
                                                               : between(random, 0.6, 1.2)};
      rack.chain.add<Stereo>(place);
      const bool echoes = std::ranges::find(rack.names, "delay") != rack.names.end();
      const Ranges ranges = sounding_ranges(dry, echoes ? kEchoSeconds : kEffectSeconds);
      const auto amplify = [&](double db) {
        const auto gain = static_cast<float>(gain_of(db));
        for (const auto& [begin, end] : ranges) {
          for (size_t i = begin; i < end; ++i) {
            dry.left[i] *= gain;
            dry.right[i] *= gain;
          }
        }
      };
      amplify(kPartLufs - played_lufs);
      for (const auto& [begin, end] : ranges) {
        rack.chain.process(std::span(dry.left).subspan(begin, end - begin),
                           std::span(dry.right).subspan(begin, end - begin));
      }
      // A part in other keeps some of the level that the song gives it; the whole group is set to its level below.
      const double wanted_lufs = -24 + 0.4 * std::clamp(played_lufs + 24, -25.0, 15.0) + around(random, 0, 2);
      amplify(wanted_lufs - loudness_lufs(dry.left, dry.right));
      constexpr std::array<std::pair<double, double>, 4> kSendDb = {{{-18, 4}, {-36, 6}, {-22, 5}, {-17, 5}}};
      const double send_db =
          std::clamp(around(random, kSendDb[group].first, kSendDb[group].second) + wetness_db_, -90.0, -4.0);
      if (stem.left.empty()) {
        for (StereoSamples* samples : {&stem, &send}) {
          samples->left.assign(num_frames, 0.0f);
          samples->right.assign(num_frames, 0.0f);
        }
      }
      const auto send_gain = static_cast<float>(gain_of(send_db));
      for (const auto& [begin, end] : ranges) {
        for (size_t i = begin; i < end; ++i) {
          stem.left[i] += dry.left[i];
          stem.right[i] += dry.right[i];
          send.left[i] += send_gain * dry.left[i];
          send.right[i] += send_gain * dry.right[i];
        }
      }
      json["played_lufs"] = rounded(played_lufs, 1);
      json["mixed_lufs"] = rounded(wanted_lufs, 1);
      json["effects"] = rack.names;
      json["place"] = rounded(place.place, 2);
      json["reverb_send_db"] = rounded(send_db, 1);
      parts_json_.push_back(json);
    }
    if (stem.left.empty()) return;
    Reverb(room_).process(send.left, send.right);
    for (size_t i = 0; i < stem.left.size(); ++i) {
      stem.left[i] += send.left[i];
      stem.right[i] += send.right[i];
    }
  }

  // Levels of the groups against each other, and their buses.
  void balance() {
    CounterRandom random = generator("balance");
    // Draws for every group, also a silent one: its absence changes no other.
    constexpr std::array<double, 4> kLufs = {-20, -20.5, -20, -20.5};
    for (const Group group : {kVocals, kBass, kDrums, kOther}) {
      const double wanted_lufs = around(random, kLufs[group], 2.5);
      Rack bus;
      if (random.chance(0.7)) {
        bus.add<Compressor>("compressor", CompressorParameters{.threshold_db = between(random, -22, -10),
                                                               .ratio = between(random, 1.3, 3),
                                                               .knee_db = between(random, 3, 12),
                                                               .attack_seconds = log_between(random, 0.005, 0.05),
                                                               .release_seconds = log_between(random, 0.08, 0.6)});
      }
      if (random.chance(group == kDrums ? 0.5 : 0.2)) {
        bus.add<Saturation>("saturation",
                            SaturationParameters{.drive_db = between(random, -3, 6), .mix = between(random, 0.3, 1)});
      }
      bus.equalize({{Kind::kLowShelf, 150, around(random, 0, 1)}, {Kind::kHighShelf, 5000, around(random, 0, 1.5)}});
      StereoSamples& stem = song_.stems[group];
      if (stem.left.empty()) continue;
      scale(stem, gain_of(wanted_lufs - loudness_lufs(stem.left, stem.right)));
      bus.chain.process(stem.left, stem.right);
      const double lufs = loudness_lufs(stem.left, stem.right);
      if (lufs > kSilentLufs) scale(stem, gain_of(wanted_lufs - lufs));
    }
  }

  // A limiter whose gain, taken from the loudest of mixture and stems, is the same for all stems, so that they still sum
  // to the mixture; then the peak. A song that is cut fades out.
  void master() {
    CounterRandom random = generator("master");
    const double peak_db = between(random, -6, kMaxRenderPeakDb - 0.05);
    const double reduction_db = random.chance(0.25) ? 0 : between(random, 0, 8);
    const auto num_frames = static_cast<size_t>(song_.num_frames);
    const size_t num_steps = num_frames / kLimiterFrames + 1;
    std::vector<float> peaks(num_steps, 0.0f);
    for (size_t i = 0; i < num_frames; ++i) {
      float left = 0, right = 0, peak = 0;
      for (const StereoSamples& stem : song_.stems) {
        if (stem.left.empty()) continue;
        left += stem.left[i];
        right += stem.right[i];
        peak = std::max({peak, std::abs(stem.left[i]), std::abs(stem.right[i])});
      }
      float& step = peaks[i / kLimiterFrames];
      step = std::max({step, peak, std::abs(left), std::abs(right)});
    }
    const float highest = *std::ranges::max_element(peaks);
    if (!(highest > 1e-5f)) throw Error(ExitCode::kBadFile, source_.name + ": all that was rendered is silent");
    const double ceiling = gain_of(peak_db), drive = ceiling / highest * gain_of(reduction_db);
    // The gain that each step needs, the least of its neighbours (so that a mean of them is low enough), then the mean.
    const auto at = [](const std::vector<float>& values, size_t i, size_t offset) {
      const size_t shifted = i + offset;
      return values[std::clamp(shifted, kLimiterSteps + 1, values.size() + kLimiterSteps) - kLimiterSteps - 1];
    };
    std::vector<float> needed(num_steps), least(num_steps), gain(num_steps);
    for (size_t i = 0; i < num_steps; ++i) {
      needed[i] = static_cast<float>(drive * std::min(1.0, ceiling / std::max(1e-9, drive * peaks[i])));
    }
    for (size_t i = 0; i < num_steps; ++i) {
      least[i] = needed[i];
      for (size_t k = 0; k <= 2 * kLimiterSteps + 2; ++k) least[i] = std::min(least[i], at(needed, i, k));
    }
    for (size_t i = 0; i < num_steps; ++i) {
      float sum = 0;
      for (size_t k = 1; k <= 2 * kLimiterSteps + 1; ++k) sum += at(least, i, k);
      gain[i] = sum / (2 * kLimiterSteps + 1);
    }
    for (StereoSamples& stem : song_.stems) {
      for (size_t i = 0; i < stem.left.size(); ++i) {
        const size_t step = i / kLimiterFrames, next = std::min(step + 1, num_steps - 1);
        const float part = static_cast<float>(i % kLimiterFrames) / kLimiterFrames;
        float g = gain[step] + part * (gain[next] - gain[step]);
        const size_t left_over = num_frames - i;
        if (is_cut_ && left_over < static_cast<size_t>(kFadeSeconds * kRenderHz)) {
          g *= static_cast<float>(static_cast<double>(left_over) / (kFadeSeconds * kRenderHz));
        }
        stem.left[i] *= g;
        stem.right[i] *= g;
      }
    }
    limiter_db_ = reduction_db;
  }

  // ---- what is known

  void describe() {
    ordered_json& json = song_.facts;
    const double end_seconds = static_cast<double>(song_.num_frames) / kRenderHz;
    json["variant"] = variant_;
    json["seed"] = options_.seed;
    json["sample_rate_hz"] = kRenderHz;
    json["num_frames"] = song_.num_frames;
    json["transpose_semitones"] = transpose_;
    json["tempo_factor"] = tempo_factor_;
    json["tempo_bpm"] = rounded(tempo_bpm_, 3);
    json["tuning_cents"] = tuning_cents_;
    json["velocity_power"] = velocity_power_;
    const auto time = [&](double song_seconds) { return rounded(std::min(end_seconds, seconds(song_seconds)), 6); };
    ordered_json beats = ordered_json::array();
    if (source_.annotations) {
      const SongAnnotations& known = *source_.annotations;
      json["style"] = known.style;
      json["key"] = transposed_chord(known.key, transpose_);
      json["beats_per_bar"] = known.beats_per_bar;
      for (const double beat : known.beat_seconds) {
        if (seconds(beat) < end_seconds) beats.push_back(time(beat));
      }
      json["beat_seconds"] = beats;
      ordered_json chords = ordered_json::array(), sections = ordered_json::array();
      const auto shifted = [&](int pitch_class) { return ((pitch_class + transpose_) % 12 + 12) % 12; };
      for (const ChordNote& chord : known.chords) {
        if (seconds(chord.start_seconds) >= end_seconds) continue;
        std::vector<int> classes;
        for (const int pitch_class : chord.pitch_classes) classes.push_back(shifted(pitch_class));
        std::ranges::sort(classes);
        chords.push_back({{"start_seconds", time(chord.start_seconds)},
                          {"end_seconds", time(chord.end_seconds)},
                          {"name", transposed_chord(chord.name, transpose_)},
                          {"root", shifted(chord.root)},
                          {"bass", shifted(chord.bass)},
                          {"pitch_classes", classes}});
      }
      json["chords"] = chords;
      for (const SectionNote& section : known.sections) {
        if (seconds(section.start_seconds) >= end_seconds) continue;
        sections.push_back({{"start_seconds", time(section.start_seconds)},
                            {"end_seconds", time(section.end_seconds)},
                            {"name", section.name},
                            {"key", transposed_chord(section.key, transpose_)}});
      }
      json["sections"] = sections;
    } else {
      const int64_t quarter = source_.midi.ticks_per_quarter;
      for (int64_t tick = 0; tick <= source_.midi.end_ticks; tick += quarter) {
        const double at = source_.midi.seconds_at(tick);
        if (seconds(at) >= end_seconds) break;
        beats.push_back(time(at));
      }
      json["beats_per_bar"] = bar_beats();
      json["beat_seconds"] = beats;
    }
    if (!groove_json_.empty()) json["groove"] = groove_json_;
    json["reverb"] = {{"decay_seconds", rounded(room_.decay_seconds, 2)},
                      {"pre_delay_seconds", rounded(room_.pre_delay_seconds, 4)}};
    json["limiter_db"] = rounded(limiter_db_, 1);
    StereoSamples mixture{std::vector<float>(static_cast<size_t>(song_.num_frames)),
                          std::vector<float>(static_cast<size_t>(song_.num_frames))};
    ordered_json stems = ordered_json::object();
    for (size_t group = 0; group < 4; ++group) {
      const StereoSamples& stem = song_.stems[group];
      if (stem.left.empty()) continue;
      for (size_t i = 0; i < stem.left.size(); ++i) {
        mixture.left[i] += stem.left[i];
        mixture.right[i] += stem.right[i];
      }
      stems[kRenderGroups[group]] = levels(stem);
    }
    json["mixture"] = levels(mixture);
    json["stems"] = stems;
    json["parts"] = parts_json_;
    // Fonts by their numbers in the parts.
    ordered_json fonts = ordered_json::array();
    std::map<size_t, size_t> numbers;
    for (const auto& [font, used] : used_fonts_) {
      numbers[font] = fonts.size();
      const FontSpec& spec = fonts_.spec(font);
      fonts.push_back({{"file", spec.file.substr(spec.file.rfind('/') + 1)},
                       {"sha256", fonts_.sha256(font)},
                       {"licence", spec.licence},
                       {"attribution", spec.attribution}});
    }
    for (ordered_json& part : json["parts"]) {
      for (ordered_json& instrument : part["instruments"]) {
        if (instrument.contains("font")) instrument["font"] = numbers[instrument["font"].get<size_t>()];
      }
    }
    json["fonts"] = fonts;
    for (const std::string& text : source_.midi.remarks) remarks_.push_back("the MIDI file: " + text);
    json["remarks"] = remarks_;
  }

  static ordered_json levels(const StereoSamples& samples) {
    return {{"peak_db", rounded(to_db(peak_of(samples)), 2)},
            {"rms_db", rounded(rms_db(samples), 2)},
            {"loudness_lufs", rounded(loudness_lufs(samples.left, samples.right), 2)}};
  }

  const RenderSource& source_;
  const int variant_;
  const FontLibrary& fonts_;
  const GrooveSet* grooves_;
  const RenderOptions& options_;
  FontPlayer player_;
  CounterRandom song_random_;

  int transpose_ = 0;
  double tempo_factor_ = 1, tempo_bpm_ = 120, tuning_cents_ = 0;
  double velocity_power_ = 1, velocity_deviation_ = 0, timing_deviation_ = 0, wetness_db_ = 0, limiter_db_ = 0;
  bool is_cut_ = false;
  ReverbParameters room_;
  std::vector<Part> parts_;
  std::vector<std::string> remarks_;
  std::map<size_t, bool> used_fonts_;
  ordered_json groove_json_, parts_json_ = ordered_json::array();
  StereoSamples send_, dry_;
  RenderedSong song_;
};

}  // namespace

void check(const RenderOptions& options) {
  const auto range = [](const char* what, double value, double minimum, double maximum) {
    if (value >= minimum && value <= maximum) return;
    char text[160];
    std::snprintf(text, sizeof text, "%s is %g, expected %g to %g", what, value, minimum, maximum);
    throw Error(ExitCode::kUsage, text);
  };
  range("the length", options.max_seconds, 1, 1800);
  range("the transposition", options.max_transpose, 0, 12);
  range("the lowest tempo", options.min_tempo, 0.25, 4);
  range("the highest tempo", options.max_tempo, options.min_tempo, 4);
  range("the tuning", options.max_tuning_cents, 0, 100);
  range("the share of synthesized basses", options.synth_bass_share, 0, 1);
  range("the share of pulsed basses", options.pulsed_share, 0, 1);
  range("the share of drum takes", options.groove_share, 0, 1);
  range("the share of sung melodies", options.sing_share, 0, 1);
}

RenderedSong render_song(const RenderSource& source, int variant, const FontLibrary& fonts, const GrooveSet* grooves,
                         const RenderOptions& options) {
  check(options);
  return SongRenderer(source, variant, fonts, grooves, options).run();
}

std::string transposed_chord(const std::string& name, int semitones) {
  constexpr std::array<int, 7> kLetters = {9, 11, 0, 2, 4, 5, 7};  // A to G
  constexpr std::array<const char*, 12> kNames = {"C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"};
  if (semitones % 12 == 0) return name;
  const auto shift = [&](const std::string& text) {
    if (text.empty() || text[0] < 'A' || text[0] > 'G') return text;
    int pitch_class = kLetters[static_cast<size_t>(text[0] - 'A')];
    size_t end = 1;
    for (; end < text.size() && (text[end] == '#' || text[end] == 'b'); ++end) pitch_class += text[end] == '#' ? 1 : -1;
    return kNames[static_cast<size_t>(((pitch_class + semitones) % 12 + 12) % 12)] + text.substr(end);
  };
  const size_t slash = name.rfind('/');
  if (slash == std::string::npos) return shift(name);
  return shift(name.substr(0, slash)) + "/" + shift(name.substr(slash + 1));
}

double loudness_lufs(std::span<const float> left, std::span<const float> right) {
  constexpr size_t kHopFrames = kRenderHz / 10;  // blocks of 0.4 s overlap by three quarters
  // The standard's shelf, whose poles lie at 1682 Hz, in the cookbook's terms.
  Equalizer weighting(
      std::vector<Biquad>{{Kind::kHighShelf, 1499.07, 3.99984, 0.70717524}, {Kind::kHighPass, 38.13547, 0, 0.500327}});
  std::vector<double> hops;
  std::vector<float> l(kHopFrames), r(kHopFrames);
  for (size_t begin = 0; begin + kHopFrames <= left.size(); begin += kHopFrames) {
    std::ranges::copy(left.subspan(begin, kHopFrames), l.begin());
    std::ranges::copy(right.subspan(begin, kHopFrames), r.begin());
    const auto is_zero = [](float x) { return x == 0; };
    if (std::ranges::all_of(l, is_zero) && std::ranges::all_of(r, is_zero)) {
      hops.push_back(0);
      continue;
    }
    weighting.process(l, r);
    double energy = 0;
    for (size_t i = 0; i < kHopFrames; ++i) {
      energy += static_cast<double>(l[i]) * l[i] + static_cast<double>(r[i]) * r[i];
    }
    hops.push_back(energy / kHopFrames);
  }
  std::vector<double> blocks;
  for (size_t i = 0; i + 4 <= hops.size(); ++i) {
    blocks.push_back((hops[i] + hops[i + 1] + hops[i + 2] + hops[i + 3]) / 4);
  }
  const auto mean_above = [&](double least) {
    double sum = 0;
    size_t count = 0;
    for (const double block : blocks) {
      if (block < least) continue;
      sum += block;
      ++count;
    }
    return count == 0 ? 0 : sum / static_cast<double>(count);
  };
  const auto energy_of = [](double lufs) { return std::pow(10.0, (lufs + 0.691) / 10); };
  const double ungated = mean_above(energy_of(-70));
  if (ungated == 0) return -100;
  const double gated = mean_above(std::max(energy_of(-70), ungated / 10));
  return -0.691 + 10 * std::log10(gated);
}

}  // namespace vqcodec::dataset
