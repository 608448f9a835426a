// Made-up music whose answers are known.
#include "eval/fit.h"

#include <cmath>
#include <numbers>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/counter_random.h"
#include "dataset/midi.h"

namespace vqcodec::eval {
namespace {

constexpr int kRate = 44100;
constexpr double kBeat = 0.5;  // seconds

double hz_of(double key) { return 440 * std::exp2((key - 69) / 12); }

// A plucked tone with falling overtones.
void add_tone(std::vector<float>& mono, double start, double seconds, double key, double level, double decay = 2) {
  const auto first = static_cast<size_t>(start * kRate), count = static_cast<size_t>(seconds * kRate);
  for (size_t i = 0; i < count && first + i < mono.size(); ++i) {
    const double t = static_cast<double>(i) / kRate;
    const double fade = std::min({1.0, t / 0.005, (seconds - t) / 0.01});
    double value = 0;
    for (int k = 1; k <= 6; ++k) value += std::sin(2 * std::numbers::pi * k * hz_of(key) * t) / (k * k);
    mono[first + i] += static_cast<float>(level * fade * std::exp(-decay * t) * value);
  }
}

void add_hit(std::vector<float>& mono, double start, double level, bool low) {
  CounterRandom random(1, low, static_cast<uint64_t>(start * 1000));
  const auto first = static_cast<size_t>(start * kRate);
  for (size_t i = 0; i < kRate / 5 && first + i < mono.size(); ++i) {
    const double t = static_cast<double>(i) / kRate;
    const double noise = 2 * random.uniform() - 1;
    const double value = low ? std::sin(2 * std::numbers::pi * 55 * t) + 0.2 * noise : noise;
    mono[first + i] += static_cast<float>(level * std::exp(-(low ? 20 : 60) * t) * value);
  }
}

std::vector<float> stereo(const std::vector<float>& mono) {
  std::vector<float> both;
  for (const float value : mono) both.insert(both.end(), {value, value});
  return both;
}

struct MadeSong {
  std::vector<float> bass, drums, other;  // mono
  int root = 0;                           // of the first chord
};

constexpr double kSongSeconds = 16;

std::vector<float> silence() { return std::vector<float>(static_cast<size_t>(kSongSeconds * kRate)); }

// I V vi IV, a chord a bar; the bass plays roots and fifths on the beats.
std::vector<float> bass_line(double transpose = 0, double late_seconds = 0) {
  std::vector<float> bass = silence();
  const int roots[] = {36, 43, 45, 41};
  for (int beat = 0; beat < 32; ++beat) {
    const int key = roots[beat / 4 % 4] - (roots[beat / 4 % 4] > 41 ? 12 : 0) + (beat % 4 == 2 ? 7 : 0);
    add_tone(bass, beat * kBeat + late_seconds, 0.4, key + transpose, 0.3);
  }
  return bass;
}

MadeSong make_song(double cents = 0) {
  MadeSong song{bass_line(cents / 100), silence(), silence()};
  const int chords[4][3] = {{60, 64, 67}, {59, 62, 67}, {57, 60, 64}, {57, 60, 65}};
  for (int beat = 0; beat < 32; ++beat) {
    add_hit(song.drums, beat * kBeat, 0.5, true);
    add_hit(song.drums, (beat + 0.5) * kBeat, 0.05, false);
    if (beat % 4 != 0) continue;
    for (const int key : chords[beat / 4 % 4]) add_tone(song.other, beat * kBeat, 1.95, key + cents / 100, 0.1, 0.3);
  }
  return song;
}

const std::vector<std::string> kSources = {"vocals", "bass", "drums", "other"};

FitContext context_of(const MadeSong& song) {
  const std::vector<std::vector<float>> stems = {{}, stereo(song.bass), stereo(song.drums), stereo(song.other)};
  return analyse_context(stems, kSources, "bass", kRate);
}

FitFigures fit(const FitContext& context, const std::vector<float>& line) {
  return measure_fit(context, line, kRate, "bass");
}

TEST(Pitch, FindsTonesOfEveryRegisterAndNoOctaves) {
  for (const std::string source : {"bass", "vocals"}) {
    const int low = source == "bass" ? 24 : 40, high = source == "bass" ? 66 : 84;
    for (int key = low; key <= high; key += 3) {
      std::vector<float> mono(static_cast<size_t>(kRate));
      add_tone(mono, 0.2, 0.6, key + 0.1, 0.3);
      const auto notes = find_notes(track_pitch(mono, kRate, pitch_options(source)));
      ASSERT_EQ(notes.size(), 1U) << source << ' ' << key;
      EXPECT_EQ(notes[0].key, key);
      EXPECT_NEAR(notes[0].cents, 10, 3);
      EXPECT_NEAR(notes[0].start_seconds, 0.2, 0.04);
      EXPECT_NEAR(notes[0].end_seconds, 0.8, 0.05);
    }
  }
}

TEST(Pitch, OvertonesWithoutTheirFundamentalKeepTheNote) {
  std::vector<float> mono(static_cast<size_t>(kRate));
  for (size_t i = 0; i < mono.size(); ++i) {
    const double t = static_cast<double>(i) / kRate;
    for (int k = 2; k <= 5; ++k)
      mono[i] += static_cast<float>(0.1 * std::sin(2 * std::numbers::pi * k * hz_of(33) * t));
  }
  const auto notes = find_notes(track_pitch(mono, kRate, pitch_options("bass")));
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_EQ(notes[0].key, 33);
}

TEST(Pitch, NoiseAndSilenceHaveNone) {
  std::vector<float> noise(static_cast<size_t>(kRate));
  CounterRandom random(1, 1, 1);
  for (float& value : noise) value = static_cast<float>(0.2 * random.normal());
  EXPECT_LE(find_notes(track_pitch(noise, kRate, pitch_options("bass"))).size(), 2U);
  EXPECT_TRUE(find_notes(track_pitch(silence(), kRate, pitch_options("bass"))).empty());
  EXPECT_TRUE(track_pitch(std::vector<float>(100), kRate, pitch_options("bass")).hz.empty());
  EXPECT_TRUE(find_notes({}).empty());
}

TEST(Pitch, SynthesisedLinesBecomeTheirMidi) {
  std::vector<float> mono = silence();
  const std::vector<std::pair<double, int>> written = {{0.5, 40}, {1, 40}, {1.5, 43}, {2, 28}, {2.25, 40}, {3.5, 52}};
  for (size_t i = 0; i < written.size(); ++i) {
    const double next = i + 1 < written.size() ? written[i + 1].first : written[i].first + 0.7;
    add_tone(mono, written[i].first, std::min(0.6, next - written[i].first), written[i].second, i == 2 ? 0.1 : 0.3);
  }
  const auto notes = find_notes(track_pitch(mono, kRate, pitch_options("bass")));
  const dataset::MidiSong song = dataset::parse_midi(notes_to_midi(notes, "bass"), "line.mid");
  ASSERT_EQ(song.notes.size(), written.size());
  for (size_t i = 0; i < written.size(); ++i) {
    EXPECT_EQ(song.notes[i].key, written[i].second) << i;
    EXPECT_NEAR(song.notes[i].start_seconds, written[i].first, 0.04) << i;
    EXPECT_EQ(song.notes[i].program, 33);
    EXPECT_GT(song.notes[i].end_seconds, song.notes[i].start_seconds + 0.1);
  }
  EXPECT_LT(song.notes[2].velocity, song.notes[1].velocity);
  EXPECT_EQ(song.remarks, std::vector<std::string>{});
  EXPECT_TRUE(dataset::parse_midi(notes_to_midi({}, "vocals"), "none.mid").notes.empty());
}

TEST(Rhythm, FindsTheBeatsOfAPulse) {
  for (const double beat : {0.4, 0.5, 0.65}) {
    std::vector<float> drums(static_cast<size_t>(20 * kRate));
    for (int i = 1; i * beat < 19.5; ++i) add_hit(drums, i * beat, i % 2 == 0 ? 0.5 : 0.4, true);
    const OnsetCurve curve = onset_curve(drums, kRate);
    double found = 0;
    const auto beats = track_beats(curve, &found);
    EXPECT_NEAR(found, beat, 0.01);
    EXPECT_NEAR(static_cast<double>(beats.size()), 19.5 / beat, 2);
    int close = 0;
    for (const double time : beats) close += std::abs(time / beat - std::round(time / beat)) * beat < 0.03;
    EXPECT_GE(close, static_cast<int>(beats.size()) - 2);
    EXPECT_NEAR(static_cast<double>(find_onsets(curve).size()), std::floor(19.5 / beat), 1);
  }
  EXPECT_TRUE(track_beats(onset_curve(silence(), kRate)).empty());
  EXPECT_TRUE(track_beats({}).empty());
}

TEST(Harmony, NamesChordsAndTuning) {
  for (const double cents : {0.0, 30.0, -40.0}) {
    const MadeSong song = make_song(cents);
    const std::vector<double> bars = {0, 2, 4, 6, 8};
    const Harmony harmony = find_harmony(song.other, kRate, bars);
    EXPECT_NEAR(harmony.tuning_cents, cents, 4);
    const std::set<size_t> triads[] = {{0, 4, 7}, {7, 11, 2}, {9, 0, 4}, {5, 9, 0}};
    for (size_t k = 0; k < 4; ++k) {
      std::set<size_t> found;
      for (size_t i = 0; i < 12; ++i) {
        if (harmony.chord[k][i]) found.insert(i);
      }
      EXPECT_EQ(found, triads[k]) << k;
    }
  }
  const Harmony none = find_harmony(silence(), kRate, std::vector<double>{0, 1, 2});
  EXPECT_EQ(none.chord[0], (std::array<bool, 12>{}));
  EXPECT_TRUE(find_harmony({}, kRate, {}).chord.empty());
}

TEST(Fit, ChordBalanceOfAStretchCountsTonesForAndAgainst) {
  const FitContext context = context_of(make_song());
  const auto balance = [&](const std::vector<float>& line, double track_from, double from, double to) {
    const auto begin = static_cast<size_t>(track_from * kRate);
    const PitchTrack track = track_pitch(std::span(line).subspan(begin), kRate, pitch_options("bass"));
    return chord_balance(context, track, track_from, from, to);
  };
  const std::vector<float> line = bass_line();
  // Tones sound for 0.4 s of a beat of 0.5 s.
  for (const double from : {2.0, 2.5, 6.0, 9.0}) {
    EXPECT_GT(balance(line, 0, from, from + 0.5), 0.6) << from;
    EXPECT_NEAR(balance(line, from - 0.2, from, from + 0.5), balance(line, 0, from, from + 0.5), 0.1) << from;
    EXPECT_LT(balance(bass_line(1), from - 0.2, from, from + 0.5), -0.6) << from;
  }
  // Out of the range, and at multiples of the frame rate.
  const PitchTrack track = track_pitch(line, kRate, pitch_options("bass"));
  EXPECT_GT(chord_balance(context, track, 0, 2, 2.5, {24, 60}), 0.6);
  EXPECT_LT(chord_balance(context, track, 0, 2, 2.5, {48, 60}), -0.6);
  const double hz = track.hz[static_cast<size_t>(2.2 / track.hop_seconds)];
  EXPECT_LT(chord_balance(context, track, 0, 2, 2.5, {}, hz / 2), -0.6);
  EXPECT_GT(chord_balance(context, track, 0, 2, 2.5, {}, hz / 2.05), 0.6);
  // Beside a usual level: as loud, much softer, much louder.
  const double level = track.level[static_cast<size_t>(2.2 / track.hop_seconds)];
  const auto at_level = [&](double usual) { return chord_balance(context, track, 0, 2, 2.5, {}, 0, usual); };
  EXPECT_GT(at_level(level), 0.6);
  EXPECT_GT(at_level(20 * level), 0.01);
  EXPECT_LT(at_level(20 * level), 0.1);
  EXPECT_LT(at_level(level / 6), -0.6);
  FitFigures own;
  own.register_key = 40;
  own.num_notes = 3;
  EXPECT_EQ(expected_range(own, "bass").low, 28);
  EXPECT_EQ(expected_range(own, "bass").high, 52);
  own.register_key = std::nan("");
  EXPECT_EQ(expected_range(own, "bass").low, 28);
  EXPECT_EQ(expected_range(own, "bass").high, 55);
  EXPECT_EQ(balance(silence(), 0, 2, 2.5), 0);
  EXPECT_EQ(balance(line, 0, 2, 2), 0);
  EXPECT_EQ(balance(line, 0, kSongSeconds + 1, kSongSeconds + 2), 0);
  MadeSong alone = make_song();
  alone.other = silence();
  const FitContext without = context_of(alone);
  EXPECT_EQ(chord_balance(without, track_pitch(line, kRate, pitch_options("bass")), 0, 2, 4), 0);
}

TEST(Fit, TheRightKeyAgreesAndTheWrongOneDoesNot) {
  const MadeSong song = make_song();
  const FitContext context = context_of(song);
  EXPECT_TRUE(context.has_drums);
  EXPECT_NEAR(context.seconds_a_beat, kBeat, 0.01);
  const FitFigures right = fit(context, song.bass);
  EXPECT_GT(right.chord_tones, 0.9);
  EXPECT_GT(right.beat, 0.8);
  EXPECT_NEAR(right.notes_per_second, 2, 0.2);
  EXPECT_NEAR(right.register_key, 36, 4);
  EXPECT_NEAR(right.tuning_cents, 0, 5);
  const FitFigures wrong = fit(context, bass_line(1));
  EXPECT_LT(wrong.chord_tones, 0.25);
  EXPECT_GT(wrong.beat, 0.8);
  EXPECT_NEAR(fit(context, bass_line(12)).register_key, right.register_key + 12, 0.1);
  EXPECT_NEAR(fit(context, bass_line(0.3)).tuning_cents, 30, 5);
}

TEST(Fit, HalfABeatLateMissesTheBeat) {
  const MadeSong song = make_song();
  const FitContext context = context_of(song);
  const double right = fit(context, song.bass).beat;
  EXPECT_LT(fit(context, bass_line(0, kBeat / 2)).beat, 0.5 * right);
  EXPECT_LT(fit(context, bass_line(0, kBeat / 4)).beat, 0.3 * right);
}

TEST(Fit, SilenceFitsNothing) {
  const MadeSong song = make_song();
  const FitFigures silent = fit(context_of(song), silence());
  EXPECT_EQ(silent.chord_tones, 0);
  EXPECT_EQ(silent.beat, 0);
  EXPECT_EQ(silent.num_notes, 0);
  EXPECT_TRUE(std::isnan(silent.register_key));
  EXPECT_TRUE(std::isinf(silent.level_db));
  EXPECT_TRUE(fit_figures_json(silent)["register_key"].is_null());
  // A song in which only the line sounds.
  const FitContext alone =
      analyse_context(std::vector<std::vector<float>>{{}, stereo(song.bass), {}, {}}, kSources, "bass", kRate);
  const FitFigures figures = fit(alone, song.bass);
  EXPECT_TRUE(std::isnan(figures.chord_tones));
  EXPECT_TRUE(std::isnan(figures.beat));
  EXPECT_GT(figures.num_notes, 20);
}

TEST(Fit, DrumsAreMeasuredByTheirOnsets) {
  const MadeSong song = make_song();
  const std::vector<std::vector<float>> stems = {{}, stereo(song.bass), stereo(song.drums), {}};
  const FitContext context = analyse_context(stems, kSources, "drums", kRate);
  EXPECT_FALSE(context.has_drums);
  const FitFigures figures = measure_fit(context, song.drums, kRate, "drums");
  std::vector<float> late = silence();
  std::copy(song.drums.begin(), song.drums.end() - kRate / 8, late.begin() + kRate / 8);
  EXPECT_GT(figures.beat, 5 * measure_fit(context, late, kRate, "drums").beat);
  EXPECT_TRUE(std::isnan(figures.chord_tones));
  EXPECT_NEAR(figures.notes_per_second, 4, 0.5);
}

FitFigures figures_of(double chord_tones, double beat, double key, double density, double cents) {
  return {chord_tones, beat, key, density, cents, -20, 10};
}

TEST(FitScale, IsNoughtForOthersAndOneForTheOwn) {
  const FitFigures own = figures_of(0.9, 0.8, 36, 2, 5), other = figures_of(0.3, 0.4, 42, 4, -25);
  std::vector<FitSong> songs(3);
  for (size_t i = 0; i < 3; ++i) songs[i] = {"song", own, {own}, {other, other}, {}};
  Json report = fit_json(songs, 200, 1);
  for (const char* name : kFitMeasures) EXPECT_DOUBLE_EQ(report["measures"][name]["scaled"].get<double>(), 1) << name;
  for (FitSong& song : songs) song.lines = {other};
  report = fit_json(songs, 200, 1);
  for (const char* name : kFitMeasures) {
    EXPECT_DOUBLE_EQ(report["measures"][name]["scaled"].get<double>(), 0) << name;
    EXPECT_DOUBLE_EQ(report["songs"][0]["scaled"][name].get<double>(), 0) << name;
  }
  songs[0].lines = {own, own};  // counts as much as one line
  report = fit_json(songs, 500, 1);
  const Json& chord = report["measures"]["chord_tones"];
  EXPECT_NEAR(chord["scaled"].get<double>(), 1 / 3.0, 1e-12);
  EXPECT_LE(chord["low"].get<double>(), 0.01);
  EXPECT_GE(chord["high"].get<double>(), 0.6);
  EXPECT_EQ(report, fit_json(songs, 500, 1));
  // Nothing to scale by.
  for (FitSong& song : songs) song.others.clear();
  report = fit_json(songs, 10, 1);
  EXPECT_TRUE(report["measures"]["beat"]["scaled"].is_null());
  EXPECT_FALSE(fit_text(report).empty());
  FitFigures silent = own;
  silent.level_db = -INFINITY;
  songs = {{"song", own, {own}, {other}, {}}, {"silent", silent, {own}, {other}, {}}};
  EXPECT_DOUBLE_EQ(fit_json(songs, 10, 1)["measures"]["beat"]["scaled"].get<double>(), 1);
  songs = {{"song", own, {own}, {own}, {}}};
  EXPECT_TRUE(fit_json(songs, 10, 1)["measures"]["beat"]["scaled"].is_null());
}

TEST(MelFrechet, IsNoughtForTheSameAndGrowsWithTheDifference) {
  const MadeSong song = make_song();
  const std::vector<std::vector<float>> bass = {song.bass}, high = {bass_line(12)}, drums = {song.drums};
  EXPECT_NEAR(mel_frechet_distance(bass, bass, kRate), 0, 1e-6);
  const double near = mel_frechet_distance(bass, high, kRate), far = mel_frechet_distance(bass, drums, kRate);
  EXPECT_GT(near, 0.01);
  EXPECT_GT(far, near);
  EXPECT_NEAR(mel_frechet_distance(drums, bass, kRate), far, 1e-6 * far);
  EXPECT_TRUE(std::isnan(mel_frechet_distance(bass, std::vector<std::vector<float>>{silence()}, kRate)));
}

TEST(JensenShannon, KnownValues) {
  using Counts = std::vector<int64_t>;
  EXPECT_NEAR(jensen_shannon_bits(Counts{1, 3}, Counts{2, 6}), 0, 1e-12);
  EXPECT_NEAR(jensen_shannon_bits(Counts{5, 0}, Counts{0, 2}), 1, 1e-12);
  EXPECT_NEAR(jensen_shannon_bits(Counts{1, 1}, Counts{1, 0}), 0.311278, 1e-6);
  EXPECT_TRUE(std::isnan(jensen_shannon_bits(Counts{0, 0}, Counts{1, 0})));
}

TEST(CopyFinder, FindsTheLongestSharedRun) {
  const std::vector<uint32_t> line = {1, 2, 3, 1, 2, 4, 5, 6, 7, 1, 2, 3, 9};
  const CopyFinder finder(line);
  const auto longest = [&](const std::vector<uint32_t>& keys) { return finder.longest_run(keys); };
  EXPECT_EQ(longest(line), 13);
  EXPECT_EQ(longest({8, 2, 4, 5, 6, 8}), 4);
  EXPECT_EQ(longest({1, 2, 3, 1, 2, 3}), 5);
  EXPECT_EQ(longest({8, 8}), 0);
  EXPECT_EQ(longest({}), 0);
  EXPECT_EQ(CopyFinder({}).longest_run(line), 0);
  // Against trying all.
  CounterRandom random(4, 0, 0);
  for (int round = 0; round < 50; ++round) {
    std::vector<uint32_t> a, b;
    for (int i = 0; i < 60; ++i) {
      a.push_back(static_cast<uint32_t>(random.below(3)));
      b.push_back(static_cast<uint32_t>(random.below(3)));
    }
    int64_t best = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      for (size_t j = 0; j < b.size(); ++j) {
        size_t k = 0;
        while (i + k < a.size() && j + k < b.size() && a[i + k] == b[j + k]) ++k;
        best = std::max(best, static_cast<int64_t>(k));
      }
    }
    EXPECT_EQ(CopyFinder(a).longest_run(b), best);
  }
}

TEST(CopyKeys, LeaveOutSilenceAndWhatStays) {
  const std::vector<uint16_t> codes = {1, 2, 9, 1, 2, 8, 1, 3, 8, 0, 0, 0, 1, 3, 8};
  const std::vector<uint8_t> sounds = {1, 1, 1, 0, 1};
  EXPECT_EQ(copy_keys(codes, 3, sounds), (std::vector<uint32_t>{1 << 16 | 2, 1 << 16 | 3, 1 << 16 | 3}));
}

}  // namespace
}  // namespace vqcodec::eval
