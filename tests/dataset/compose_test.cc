#include "dataset/compose.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <thread>

#include <nlohmann/json.hpp>

#include "dataset/compose_parts.h"
#include "dataset/compose_statistics.h"
#include "tests/base/expect_error.h"

namespace vqcodec::dataset {
namespace {

using testing::HasSubstr;

// FNV-1a of what would be written.
uint64_t hash_song(const ComposedSong& song) {
  uint64_t hash = 0xCBF29CE484222325ULL;
  const auto add = [&](uint8_t byte) { hash = (hash ^ byte) * 0x100000001B3ULL; };
  for (const uint8_t byte : write_midi(song.midi)) add(byte);
  for (const char c : annotations_to_json(song.annotations)) add(static_cast<uint8_t>(c));
  return hash;
}

ComposeOptions only(const std::string& style) { return {.styles = {style}, .min_seconds = 60, .max_seconds = 120}; }

TEST(Compose, TheBassFollowsTheChordsInFiftySongs) {
  ComposeStatistics statistics;
  for (uint64_t i = 0; i < 50; ++i) statistics.add(compose_song(11, i, {}));
  EXPECT_GT(statistics.strong_bass_notes, 4000);
  EXPECT_GE(share(statistics.strong_bass_tones, statistics.strong_bass_notes), 0.95);
  EXPECT_GE(share(statistics.beat_bass_tones, statistics.beat_bass_notes), 0.85);
  EXPECT_GE(share(statistics.chords_begun_by_root, statistics.chords_with_bass), 0.85);
  EXPECT_GT(statistics.bass_rhythms.size(), 100U);
  EXPECT_GT(statistics.drum_bars.size(), 1000U);
  // Sound and silence of each group.
  const auto check = [&](const char* group, double min_density, double max_density, double max_silence) {
    const PartStatistics& part = statistics.groups.at(group);
    const double density = static_cast<double>(part.num_notes) / part.song_seconds;
    EXPECT_GE(density, min_density) << group;
    EXPECT_LE(density, max_density) << group;
    EXPECT_LE(part.silent_seconds / part.song_seconds, max_silence) << group;
  };
  check("bass", 1, 6, 0.5);
  check("drums", 4, 16, 0.25);
  check("melody", 0.5, 4, 0.75);
  check("other", 4, 30, 0.45);
}

// The statistics must be able to say no.
TEST(Compose, StatisticsSeeABassThatIgnoresTheChords) {
  ComposedSong song = compose_song(11, 0, only("rock"));
  ComposeStatistics right, wrong;
  right.add(song);
  for (MidiNote& note : song.midi.notes) {
    if (midi_group(song.midi, note) == MidiGroup::kBass) note.key = static_cast<uint8_t>(note.key + 6);
  }
  wrong.add(song);
  EXPECT_GE(share(right.strong_bass_tones, right.strong_bass_notes), 0.95);
  EXPECT_LE(share(wrong.strong_bass_tones, wrong.strong_bass_notes), 0.3);
}

TEST(Compose, TheBassLocksToTheBassDrumWhereStylesDo) {
  for (const char* style : {"rock", "metal", "punk", "disco", "synth_pop", "funk", "hip_hop", "trap", "ballad"}) {
    ComposeStatistics statistics;
    for (uint64_t i = 0; i < 12; ++i) statistics.add(compose_song(3, i, only(style)));
    EXPECT_GE(share(statistics.kicks_with_bass, statistics.kicks), 0.55) << style;
  }
  // In trance the bass plays between the bass drums.
  ComposeStatistics trance;
  for (uint64_t i = 0; i < 12; ++i) trance.add(compose_song(3, i, only("trance")));
  EXPECT_LE(share(trance.kicks_with_bass, trance.kicks), 0.5);
}

TEST(Compose, EveryStyleMeterModeAndKeyComesUp) {
  ComposeStatistics statistics;
  for (uint64_t i = 0; i < 600; ++i) statistics.add(compose_song(1, i, {.min_seconds = 20, .max_seconds = 30}));
  EXPECT_GE(compose_styles().size(), 20U);
  for (const std::string& style : compose_styles()) EXPECT_GE(statistics.styles[style], 8) << style;
  for (const char* meter : {"4/4", "3/4", "6/8", "5/4", "7/8"}) EXPECT_GE(statistics.meters[meter], 1) << meter;
  EXPECT_GE(statistics.meters["3/4"], 8);
  EXPECT_GE(statistics.meters["6/8"], 20);
  for (const compose::Mode& mode : compose::modes()) EXPECT_GE(statistics.modes[mode.name], 1) << mode.name;
  std::array<int64_t, 12> keys{};
  for (const auto& [tonic, count] : statistics.tonics) {
    const size_t letter = std::string_view("C.D.EF.G.A.B").find(tonic[0]);
    keys[(letter + (tonic.size() < 2 ? 0U : tonic[1] == '#' ? 1U : 11U)) % 12] += count;
  }
  for (const int64_t count : keys) EXPECT_GE(count, 20);
  EXPECT_GE(statistics.chord_qualities.size(), 14U);
}

TEST(Compose, NotesAreInTheirInstrumentsRangeAndPartsSound) {
  for (const std::string& style : compose_styles()) {
    for (uint64_t i = 0; i < 6; ++i) {
      SCOPED_TRACE(style + " " + std::to_string(i));
      const ComposedSong song = compose_song(5, i, only(style));
      ASSERT_FALSE(song.midi.notes.empty());
      for (const MidiNote& note : song.midi.notes) {
        if (note.channel == kMidiDrumChannel) {
          ASSERT_GE(note.key, 35);
          ASSERT_LE(note.key, 81);
          continue;
        }
        const compose::Range range = compose::program_range(note.program);
        ASSERT_GE(note.key, range.low) << int{note.program};
        ASSERT_LE(note.key, range.high) << int{note.program};
        ASSERT_LE(note.end_ticks, song.midi.end_ticks);
      }
      bool has_bass = false, has_melody = false, has_other = false;
      for (const PartNoteCount& part : song.annotations.parts) {
        EXPECT_GE(part.num_notes, 4) << part.name;
        has_bass = has_bass || (part.group == "bass" && part.num_notes >= 12);
        has_melody = has_melody || part.group == "melody";
        has_other = has_other || part.group == "other";
      }
      EXPECT_TRUE(has_bass);
      EXPECT_TRUE(has_melody);
      EXPECT_TRUE(has_other);
    }
  }
}

TEST(Compose, MelodiesCanBeSung) {
  int64_t num_notes = 0, num_leaps = 0;
  for (uint64_t i = 0; i < 60; ++i) {
    const ComposedSong song = compose_song(8, i, {});
    const MidiNote* last = nullptr;
    double sung_since = 0, longest = 0;
    int lowest = 127, highest = 0;
    for (const MidiNote& note : song.midi.notes) {
      if (midi_group(song.midi, note, true) != MidiGroup::kMelody) continue;
      ++num_notes;
      lowest = std::min<int>(lowest, note.key);
      highest = std::max<int>(highest, note.key);
      if (last == nullptr || note.start_seconds - last->end_seconds > 0.15) sung_since = note.start_seconds;
      longest = std::max(longest, note.end_seconds - sung_since);
      if (last != nullptr) {
        // One voice: the looseness of people is all that overlaps.
        EXPECT_LE(last->end_ticks, note.start_ticks + 40);
        num_leaps += std::abs(note.key - last->key) > 12 ? 1 : 0;
      }
      last = &note;
    }
    EXPECT_LE(highest - lowest, 21);
    EXPECT_LE(longest, 24) << song.annotations.style << ' ' << i;  // breath
  }
  EXPECT_GT(num_notes, 3000);
  EXPECT_LE(num_leaps, num_notes / 100);
}

TEST(Compose, TheSameNumbersGiveTheSameBytesOnAnyThread) {
  constexpr size_t kCount = 24;
  std::array<uint64_t, kCount> forward{}, threaded{};
  for (size_t i = 0; i < kCount; ++i) forward[i] = hash_song(compose_song(9, i, {}));
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 3; ++t) {
    threads.emplace_back([&threaded, t] {
      for (size_t i = kCount; i-- > 0;) {
        if (i % 3 == t) threaded[i] = hash_song(compose_song(9, i, {}));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(forward, threaded);
  auto sorted = forward;
  std::ranges::sort(sorted);
  EXPECT_EQ(std::ranges::adjacent_find(sorted), sorted.end());  // no two songs are the same
  EXPECT_NE(hash_song(compose_song(10, 0, {})), forward[0]);
}

TEST(Compose, BytesAreTheSameOnAnyMachine) {
  uint64_t hash = 0;
  for (uint64_t i = 0; i < 20; ++i)
    hash = hash * 31 + hash_song(compose_song(2, i, {.min_seconds = 30, .max_seconds = 40}));
  // Changes only when the composer is changed; then songs of earlier seeds are others, which the docs must say.
  EXPECT_EQ(hash, 17621252338544151349ULL);
}

TEST(Compose, LengthsAreMet) {
  for (const double seconds : {10.0, 30.0, 120.0, 900.0}) {
    for (uint64_t i = 0; i < 30; ++i) {
      const ComposedSong song = compose_song(4, i, {.min_seconds = seconds, .max_seconds = seconds});
      const double bar = song.annotations.beat_seconds[static_cast<size_t>(song.annotations.beats_per_bar)];
      EXPECT_NEAR(song.annotations.end_seconds, seconds, 4.5 * bar + 0.02 * seconds)
          << song.annotations.style << ' ' << i;
      EXPECT_EQ(song.midi.end_seconds, song.midi.seconds_at(song.midi.end_ticks));
    }
  }
}

TEST(Compose, AnnotationsCoverTheSongAndAgreeWithTheMidi) {
  for (uint64_t i = 0; i < 40; ++i) {
    SCOPED_TRACE(i);
    const ComposedSong song = compose_song(6, i, {});
    const SongAnnotations& notes = song.annotations;
    ASSERT_FALSE(notes.chords.empty());
    EXPECT_EQ(notes.chords.front().start_seconds, 0);
    EXPECT_EQ(notes.chords.back().end_seconds, notes.end_seconds);
    for (size_t c = 1; c < notes.chords.size(); ++c) {
      EXPECT_EQ(notes.chords[c].start_seconds, notes.chords[c - 1].end_seconds);
      EXPECT_GT(notes.chords[c].end_seconds, notes.chords[c].start_seconds);
    }
    EXPECT_EQ(notes.sections.front().start_seconds, 0);
    EXPECT_EQ(notes.sections.back().end_seconds, notes.end_seconds);
    EXPECT_EQ(notes.beat_seconds.size() % static_cast<size_t>(notes.beats_per_bar), 0U);
    EXPECT_TRUE(std::ranges::is_sorted(notes.beat_seconds));
    EXPECT_NEAR(notes.end_seconds, song.midi.end_seconds, 1e-6);
    EXPECT_EQ(annotations_from_json(annotations_to_json(notes), "a.json"), notes);
    const MidiSong again = parse_midi(write_midi(song.midi), "a.mid");
    EXPECT_EQ(again.notes, song.midi.notes);
    EXPECT_EQ(again.controls, song.midi.controls);
    EXPECT_TRUE(again.remarks.empty());
    size_t num_notes = 0;
    for (const PartNoteCount& part : notes.parts) num_notes += static_cast<size_t>(part.num_notes);
    EXPECT_EQ(num_notes, song.midi.notes.size());
    // Most songs close on their tonic.
    EXPECT_EQ(notes.chords.back().root, notes.chords.back().bass);
  }
}

TEST(Compose, ChordNamesAndTones) {
  using compose::Chord;
  using compose::Quality;
  EXPECT_EQ(compose::chord_name({10, 1, Quality::kMinor7}, true), "Bbm7/Db");
  EXPECT_EQ(compose::chord_name({6, 6, Quality::kMajor}, false), "F#");
  EXPECT_EQ(compose::pitch_class_mask({0, 0, Quality::kDominant9}), 0b010010010101);
  EXPECT_EQ(compose::pitch_class_mask({9, 2, Quality::kMinor}), 0b001000010101);  // Am/D
  EXPECT_EQ(compose::interval_of({0, 0, Quality::kHalfDiminished}, '5'), 6);
  EXPECT_EQ(compose::key_name({3, 1}), "Eb minor");
  EXPECT_EQ(compose::key_name({2, 2}), "D dorian");
  EXPECT_EQ(compose::key_sharps({9, 0}), 3);
  EXPECT_EQ(compose::key_sharps({5, 0}), -1);
  EXPECT_EQ(compose::key_sharps({4, 1}), 1);
}

TEST(Compose, PatternsOfStylesFillTheirBars) {
  const auto check = [](std::string_view patterns, size_t prefix, const std::string& where) {
    for (const std::string_view pattern : compose::split(patterns, '|')) {
      if (pattern[0] == '@') continue;
      EXPECT_EQ(pattern.size(), 16 + prefix) << where << ": " << pattern;
    }
  };
  for (const compose::Style& style : compose::styles()) {
    check(style.kicks, 0, style.name);
    check(style.snares, 0, style.name);
    check(style.cymbals, 1, style.name);
    if (style.percussion[0] != '\0') check(style.percussion, 1, style.name);
    check(style.bass_patterns, 0, style.name);
    for (const compose::CompStyle& comp : style.comps) {
      if (comp.patterns[0] != '\0') check(comp.patterns, 0, style.name);
    }
  }
}

TEST(Compose, WrongOptionsAreRefused) {
  EXPECT_ERROR(compose_song(1, 0, {.styles = {"polka"}}), ExitCode::kUsage,
               HasSubstr("no style \"polka\"; the styles are rock"));
  EXPECT_ERROR(compose_song(1, 0, {.min_seconds = 9}), ExitCode::kUsage, HasSubstr("10 to 3600"));
  EXPECT_ERROR(compose_song(1, 0, {.min_seconds = 90, .max_seconds = 80}), ExitCode::kUsage, HasSubstr("10 to 3600"));
  EXPECT_ERROR(compose_song(1, 0, {.min_seconds = 90, .max_seconds = 1e9}), ExitCode::kUsage, HasSubstr("10 to 3600"));
  EXPECT_ERROR(compose_song(1, 0, {.min_seconds = std::nan("")}), ExitCode::kUsage, HasSubstr("10 to 3600"));
}

TEST(Compose, AnnotationsOfOthersAreChecked) {
  const auto good = nlohmann::ordered_json::parse(annotations_to_json(compose_song(1, 0, {}).annotations));
  const auto refuses = [&](auto change, const char* says) {
    nlohmann::ordered_json bad = good;
    change(bad);
    EXPECT_ERROR(annotations_from_json(bad.dump(), "a.json"), ExitCode::kBadFile,
                 testing::AllOf(HasSubstr("a.json"), HasSubstr(says)));
  };
  EXPECT_ERROR(annotations_from_json("{", "a.json"), ExitCode::kBadFile, HasSubstr("a.json: is no JSON"));
  EXPECT_ERROR(annotations_from_json("[]", "a.json"), ExitCode::kBadFile, HasSubstr("is no object"));
  using Json = nlohmann::ordered_json;
  refuses([](Json& j) { j.erase("key"); }, "\"key\" is missing");
  refuses([](Json& j) { j["mood"] = 1; }, "\"mood\" is unknown");
  refuses([](Json& j) { j["version"] = 2; }, "version is not 1");
  refuses([](Json& j) { j["seed"] = -1; }, "seed has a wrong type or value");
  refuses([](Json& j) { j["tempo_bpm"] = 0; }, "tempo_bpm is not positive");
  refuses([](Json& j) { j["beats_per_bar"] = 1e300; }, "beats_per_bar has a wrong type");
  refuses([](Json& j) { j["chords"] = 3; }, "chords is no list");
  refuses([](Json& j) { j["chords"][2]["root"] = 12; }, "chord 2: root or bass");
  refuses([](Json& j) { j["chords"][2]["pitch_classes"] = {4, 0}; }, "chord 2: pitch_classes do not rise");
  refuses([](Json& j) { j["chords"][1]["end_seconds"] = 1e9; }, "chord 1: its times");
  refuses([](Json& j) { j["sections"][0]["extra"] = 1; }, "section 0: the key \"extra\"");
  refuses([](Json& j) { j["parts"][0]["group"] = "brass"; }, "part 0: group");
  refuses([](Json& j) { j["parts"][0]["channel"] = 16; }, "part 0: channel");
  refuses([](Json& j) { j["beat_seconds"][3] = -1; }, "beat_seconds do not rise");
}

}  // namespace
}  // namespace vqcodec::dataset
