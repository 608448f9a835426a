// Rendering with a soundfont of a few kilobytes: what is heard against what song.json tells.
#include "dataset/render.h"

#include <ebur128.h>

#include <cmath>
#include <complex>
#include <filesystem>
#include <numbers>
#include <set>

#include "audio/reader.h"
#include "dataset/render_set.h"
#include "dataset/stems.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_dir.h"
#include "tests/dataset/render_song.h"
#include "tests/dataset/tiny_soundfont.h"

namespace vqcodec::dataset {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

double key_hz(double key) { return 440 * std::exp2((key - 69) / 12); }

// Amplitude of a frequency within a part of the samples, by a Hann window.
double amplitude(std::span<const float> samples, double frequency_hz) {
  // Turning a phasor is many times faster than a sine a sample.
  const auto turn_by = [](double periods) { return std::polar(1.0, 2 * std::numbers::pi * periods); };
  const std::complex<double> step = turn_by(frequency_hz / kRenderHz);
  const std::complex<double> slow_step = turn_by(1 / static_cast<double>(samples.size()));
  std::complex<double> phasor = 1, slow = 1, sum = 0;
  for (const float x : samples) {
    sum += (1 - slow.real()) * x * phasor;
    phasor *= step;
    slow *= slow_step;
  }
  return 2 * std::abs(sum) / static_cast<double>(samples.size());
}

// The key from 20 to 100, in steps of a quarter, whose frequency is strongest.
double dominant_key(std::span<const float> samples) {
  double best_key = 0, best = 0;
  for (double key = 20; key <= 100; key += 0.25) {
    const double found = amplitude(samples, key_hz(key));
    if (found > best) {
      best = found;
      best_key = key;
    }
  }
  return best_key;
}

double energy(std::span<const float> samples) {
  double sum = 0;
  for (const float x : samples) sum += static_cast<double>(x) * x;
  return sum;
}

class Render : public testing::Test {
 protected:
  Render() { write_bytes(font_path(), TinySoundfont::general_midi()); }
  std::string font_path() const { return dir_ / "tiny.sf2"; }
  FontSpec font(const std::string& text = "") const { return parse_font_argument(text + font_path()); }

  const TempDir dir_;
};

TEST(Chord, NamesAreTransposed) {
  EXPECT_EQ(transposed_chord("Am7/G", 1), "Bbm7/Ab");
  EXPECT_EQ(transposed_chord("Bb", 2), "C");
  EXPECT_EQ(transposed_chord("F#m7b5", -1), "Fm7b5");
  EXPECT_EQ(transposed_chord("B5", -12), "B5");
  EXPECT_EQ(transposed_chord("C# dorian", 3), "E dorian");
  EXPECT_EQ(transposed_chord("N", 3), "N");
}

TEST(Loudness, IsThatOfTheStandard) {
  // ITU-R BS.1770: a sine of 997 Hz at full scale in one channel has -3.01 LUFS.
  std::vector<float> left(5 * kRenderHz), right(left.size());
  for (size_t i = 0; i < left.size(); ++i) {
    left[i] = static_cast<float>(std::sin(2 * std::numbers::pi * 997 * static_cast<double>(i) / kRenderHz));
  }
  EXPECT_NEAR(loudness_lufs(left, right), -3.01, 0.1);
  EXPECT_NEAR(loudness_lufs(left, left), 0, 0.1);
  EXPECT_EQ(loudness_lufs(right, right), -100);
  left.resize(10 * kRenderHz);  // silence is gated out
  right.resize(left.size());
  EXPECT_NEAR(loudness_lufs(left, right), -3.01, 0.3);
}

TEST(Loudness, IsThatOfLibebur128) {
  CounterRandom random(5, 0, 0);
  for (const double tone_hz : {40.0, 300.0, 3000.0, 9000.0}) {
    // A tone that swells and stops, with noise: both gates have something to take away.
    const size_t num_frames = 12 * kRenderHz;
    std::vector<float> left(num_frames), right(num_frames), both(2 * num_frames);
    for (size_t i = 0; i < num_frames; ++i) {
      const double t = static_cast<double>(i) / kRenderHz;
      const double swell = t > 9 ? 0 : std::pow(std::sin(std::numbers::pi * t / 9), 2);
      left[i] = static_cast<float>(0.5 * swell * std::sin(2 * std::numbers::pi * tone_hz * t) + 1e-4 * random.normal());
      right[i] = static_cast<float>(0.1 * swell * random.normal());
      both[2 * i] = left[i];
      both[2 * i + 1] = right[i];
    }
    ebur128_state* state = ebur128_init(2, kRenderHz, EBUR128_MODE_I);
    ASSERT_NE(state, nullptr);
    double expected_lufs = 0;
    EXPECT_EQ(ebur128_add_frames_float(state, both.data(), num_frames), EBUR128_SUCCESS);
    EXPECT_EQ(ebur128_loudness_global(state, &expected_lufs), EBUR128_SUCCESS);
    ebur128_destroy(&state);
    EXPECT_NEAR(loudness_lufs(left, right), expected_lufs, 0.1) << tone_hz;
  }
}

TEST(RoleMap, IsRead) {
  const RoleMap map = parse_role_map(R"({"fonts": [
      {"file": "a.sf2"},
      {"file": ["none.sf2", "b.sf3"], "roles": ["bass", "guitar"], "weight": 2.5, "presets": [[0, 33], [1, 33]],
       "round_robin": true, "direct": true, "low_key": 25, "high_key": 63, "gain_db": -3, "licence": "CC0-1.0",
       "attribution": "Somebody"}],
      "synth_bass": {"share": 0.25, "pulsed_share": 0.5}})",
                                     "maps/roles.json");
  ASSERT_THAT(map.fonts, SizeIs(2));
  EXPECT_EQ(map.fonts[0].file, "maps/a.sf2");
  for (const bool may : map.fonts[0].may_play) EXPECT_TRUE(may);
  const FontSpec& bass = map.fonts[1];
  EXPECT_EQ(bass.file, "maps/none.sf2");  // none is there: the first is told of
  EXPECT_TRUE(bass.may_play[static_cast<size_t>(Role::kBass)] && bass.may_play[static_cast<size_t>(Role::kGuitar)]);
  EXPECT_FALSE(bass.may_play[static_cast<size_t>(Role::kDrums)]);
  EXPECT_EQ(bass.presets, (std::vector<Preset>{{0, 33}, {1, 33}}));
  EXPECT_TRUE(bass.round_robin && bass.direct);
  EXPECT_EQ(bass.low_key, 25);
  EXPECT_EQ(bass.high_key, 63);
  EXPECT_EQ(bass.weight, 2.5);
  EXPECT_EQ(bass.gain_db, -3);
  EXPECT_EQ(bass.licence, "CC0-1.0");
  EXPECT_EQ(map.synth_bass_share, 0.25);
  EXPECT_EQ(map.pulsed_share, 0.5);
}

TEST(RoleMap, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> bad[] = {
      {"{", "is not JSON"},
      {"[]", "the map: expected an object"},
      {"{}", "expected at least one font"},
      {R"({"font": []})", "the map.font: expected one of the keys fonts, synth_bass"},
      {R"({"fonts": [{}]})", "fonts[0].file: expected a soundfont"},
      {R"({"fonts": [{"file": 3}]})", "fonts[0].file: expected a text"},
      {R"({"fonts": [{"file": "a", "role": "bass"}]})", "fonts[0].role: expected one of the keys"},
      {R"({"fonts": [{"file": "a", "roles": ["tuba"]}]})", "expected roles of these: drums, bass"},
      {R"({"fonts": [{"file": "a", "weight": 0}]})", "weight: expected more than 0"},
      {R"({"fonts": [{"file": "a", "weight": -1}]})", "weight: expected a number from 0 to 1000"},
      {R"({"fonts": [{"file": "a", "presets": [[0]]}]})", "fonts[0].presets[0]: expected [bank, program]"},
      {R"({"fonts": [{"file": "a", "presets": [[0, 128]]}]})", "presets[0][1]: expected an integer from 0 to 127"},
      {R"({"fonts": [{"file": "a", "round_robin": true}]})", "two or more \"presets\""},
      {R"({"fonts": [{"file": "a", "direct": 1}]})", "direct: expected true or false"},
      {R"({"fonts": [{"file": "a", "low_key": 60, "high_key": 62}]})", "high_key: expected at least low_key + 11"},
      {R"({"fonts": [{"file": "a"}], "synth_bass": {"share": 2}})", "synth_bass.share: expected a number from 0 to 1"}};
  for (const auto& [text, message] : bad) {
    SCOPED_TRACE(text);
    EXPECT_ERROR(parse_role_map(text, "roles.json"), ExitCode::kBadFile,
                 AllOf(HasSubstr("roles.json"), HasSubstr(message)));
  }
  EXPECT_ERROR(read_role_map("not-there.json"), ExitCode::kIo, HasSubstr("not-there.json"));
  EXPECT_ERROR(parse_font_argument("tuba=a.sf2"), ExitCode::kUsage, HasSubstr("there is no role \"tuba\""));
  EXPECT_ERROR(parse_font_argument("bass="), ExitCode::kUsage, HasSubstr("the file is missing"));
}

TEST_F(Render, BadSoundfontsAreTold) {
  const auto open = [&](const std::string& name, const std::string& bytes) {
    write_bytes(dir_ / name, bytes);
    FontLibrary library({parse_font_argument(dir_ / name)});
  };
  const std::string good = TinySoundfont::general_midi();
  EXPECT_ERROR(FontLibrary({parse_font_argument(dir_ / "none.sf2")}), ExitCode::kIo, HasSubstr("none.sf2"));
  EXPECT_ERROR(open("text.sf2", "not a soundfont at all"), ExitCode::kBadFile, HasSubstr("is no soundfont"));
  EXPECT_ERROR(open("empty.sf2", ""), ExitCode::kBadFile, HasSubstr("is no soundfont"));
  EXPECT_ERROR(open("cut.sf2", good.substr(0, good.size() / 2)), ExitCode::kBadFile, HasSubstr("is cut short"));
  std::string damaged = good;
  damaged.replace(good.find("phdr"), 4, "xxxx");
  EXPECT_ERROR(open("damaged.sf2", damaged), ExitCode::kBadFile, HasSubstr("damaged.sf2: the soundfont is damaged"));
  EXPECT_ERROR(FontLibrary({font("organ=")}), ExitCode::kBadFile, HasSubstr("no preset for any of its roles"));
  FontSpec spec = font();
  spec.presets = {{3, 7}};
  EXPECT_ERROR(FontLibrary({spec}), ExitCode::kBadFile, HasSubstr("no preset 7 in bank 3"));
}

TEST_F(Render, FontsPlayWhatTheyMay) {
  const FontLibrary library({font("keys="), font("bass,drums=")});
  CounterRandom random(1, 2, 3);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(library.choose(Role::kKeys, 2, random)->font, 0u);
    EXPECT_EQ(library.choose(Role::kKeys, 2, random)->presets, (std::vector<Preset>{{0, 0}}));
    EXPECT_EQ(library.choose(Role::kBass, 38, random)->presets, (std::vector<Preset>{{0, 33}}));
    EXPECT_EQ(library.choose(Role::kDrums, 5, random)->presets, (std::vector<Preset>{{128, 0}}));
    EXPECT_FALSE(library.choose(Role::kSynth, 81, random));
    EXPECT_FALSE(library.choose(Role::kKeys, 6, random));  // no harpsichord for a piano
  }
  FontSpec heavy = font("bass="), light = font("bass=");
  heavy.weight = 9;
  const FontLibrary weighted({heavy, light});
  int num_heavy = 0;
  for (int i = 0; i < 1000; ++i) num_heavy += weighted.choose(Role::kBass, 33, random)->font == 0;
  EXPECT_NEAR(num_heavy, 900, 40);
}

TEST_F(Render, PlaysKeysInTune) {
  FontSpec low = font();
  low.low_key = 60;
  const FontLibrary library({font(), low});
  FontPlayer player(library);
  const std::vector<PartNote> notes = {{4410, 26460, 57, 100}};
  const auto play = [&](const Instrument& instrument, std::span<const PartNote> part, double cents,
                        std::span<const PartControl> controls = {}) {
    StereoSamples out{std::vector<float>(44100), std::vector<float>(44100)};
    EXPECT_THAT(player.play(instrument, part, controls, cents, out.left, out.right), SizeIs(0));
    return out;
  };
  const StereoSamples plain = play({0, {{0, 0}}}, notes, 0);
  EXPECT_EQ(energy(std::span(plain.left).first(4400 / 64 * 64)), 0);
  EXPECT_GT(energy(std::span(plain.left).subspan(5000, 20000)), 1);
  EXPECT_LT(energy(std::span(plain.left).last(8000)), 1e-4);  // released
  const auto held = [](const StereoSamples& samples) { return std::span(samples.left).subspan(6000, 18000); };
  EXPECT_EQ(dominant_key(held(plain)), 57);
  EXPECT_EQ(dominant_key(held(play({0, {{0, 0}}}, notes, 25))), 57.25);
  EXPECT_EQ(dominant_key(held(play({1, {{0, 0}}}, notes, 0))), 69);  // into its range
  const std::vector<PartControl> bend = {{0, MidiControlKind::kPitchBend, 0, -4096}};
  EXPECT_EQ(dominant_key(held(play({0, {{0, 0}}}, notes, 0, bend))), 56);
  // A part sounds the same after others (its onset may differ a little), and in another song the same to the bit.
  std::vector<float> difference = play({0, {{0, 0}}}, notes, 0).left;
  for (size_t i = 0; i < difference.size(); ++i) difference[i] -= plain.left[i];
  EXPECT_LT(energy(difference), 1e-3 * energy(plain.left));
  FontPlayer other(library);
  StereoSamples again{std::vector<float>(44100), std::vector<float>(44100)};
  other.play({0, {{0, 0}}}, notes, {}, 0, again.left, again.right);
  EXPECT_EQ(again.left, plain.left);
}

TEST_F(Render, TellsOfDrumsThatAKitLacks) {
  const FontLibrary library({font()});
  FontPlayer player(library);
  const std::vector<PartNote> notes = {{0, 100, 36, 100}, {4410, 4500, 80, 100}, {8820, 8900, 38, 90}};
  std::vector<float> left(44100), right(44100);
  const std::vector<PartNote> missing = player.play({0, {{128, 0}}}, notes, {}, 0, left, right);
  ASSERT_THAT(missing, SizeIs(1));
  EXPECT_EQ(missing[0].key, 80);
  EXPECT_GT(energy(std::span(left).first(4410)), 0.01);
}

TEST(SynthBass, PlaysTheKeysInSomeOctave) {
  const std::vector<SynthNote> notes = {{0, 1, 33, 100}, {1, 1, 33, 100}, {2, 1, 33, 100}};
  std::set<double> keys;
  for (uint64_t seed = 0; seed < 12; ++seed) {
    for (const bool pulsed : {false, true}) {
      CounterRandom random(seed, 0, 0);
      std::vector<float> left(4 * kRenderHz), right(left.size());
      render_synth_bass(notes, pulsed, random, left, right);
      float peak = 0;
      for (const float x : left) {
        ASSERT_TRUE(std::isfinite(x));
        peak = std::max(peak, std::abs(x));
      }
      EXPECT_GT(peak, 0.03) << seed;
      EXPECT_LT(peak, 1) << seed;
      if (!pulsed) {
        const double key = dominant_key(std::span(left).first(kRenderHz));
        keys.insert(key);
        // The fundamental, an octave, or a strong third harmonic (19 semitones).
        const double above = std::fmod(key - 33 + 48, 12);
        EXPECT_TRUE(std::min(above, 12 - above) <= 0.5 || std::abs(above - 7) <= 0.5) << seed << " " << key;
      }
      CounterRandom same(seed, 0, 0);
      std::vector<float> left_again(left.size()), right_again(left.size());
      render_synth_bass(notes, pulsed, same, left_again, right_again);
      EXPECT_EQ(left, left_again);
      EXPECT_EQ(right, right_again);
    }
  }
  EXPECT_GE(keys.size(), 2u);
}

TEST_F(Render, StemsHaveTheirNotesTransposedAndInTempo) {
  const FontLibrary library({font()});
  RenderOptions options;
  options.max_transpose = 5;
  options.min_tempo = 0.8;
  options.max_tempo = 1.25;
  const RenderSource source{"song", test_song(), {}};
  std::set<int> transpositions;
  for (int variant = 1; variant <= 4; ++variant) {
    const RenderedSong song = render_song(source, variant, library, nullptr, options);
    const json facts = song.facts;
    const int transpose = facts["transpose_semitones"];
    const double tempo = facts["tempo_factor"];
    transpositions.insert(transpose);
    EXPECT_NEAR(facts["tempo_bpm"].get<double>(), 120 * tempo, 0.01);
    EXPECT_THAT(song.stems[0].left, IsEmpty());
    for (size_t group = 1; group < 4; ++group) {
      ASSERT_EQ(song.stems[group].left.size(), static_cast<size_t>(song.num_frames));
    }
    // Seconds 4 to 5 of the song lie within notes of every part.
    const auto begin = static_cast<size_t>(4.0 / tempo * kRenderHz),
               count = static_cast<size_t>(0.9 / tempo * kRenderHz);
    const auto has_key = [&](size_t group, int key) {
      const auto part = std::span(song.stems[group].left).subspan(begin, count);
      const double hz = key_hz(key + transpose + facts["tuning_cents"].get<double>() / 100);
      const double there = amplitude(part, hz);
      EXPECT_GT(there, 0.003) << kRenderGroups[group];
      for (const int semitones : {-2, 2}) {
        EXPECT_GT(there, 5 * amplitude(part, hz * std::exp2(semitones / 12.0))) << kRenderGroups[group];
      }
    };
    has_key(1, kTestBassKey);
    has_key(3, kTestPianoKey);
    has_key(3, kTestMelodyKey);  // without a voice, the melody is played
    EXPECT_THAT(facts["remarks"].dump(), HasSubstr("no voice is there"));
    // The drums begin after two bars, at 4 s of the song.
    const auto& drums = song.stems[2].left;
    const auto onset = static_cast<size_t>(4.0 / tempo * kRenderHz);
    EXPECT_LT(energy(std::span(drums).first(onset - 1500)), 1e-6);
    EXPECT_GT(energy(std::span(drums).subspan(onset - 1500, 9000)), 1e-2);
    // Beats are quarters of the faster or slower song, up to its end.
    const auto beats = facts["beat_seconds"].get<std::vector<double>>();
    ASSERT_GE(beats.size(), 31u);
    for (size_t i = 0; i < beats.size(); ++i) EXPECT_NEAR(beats[i], 0.5 * static_cast<double>(i) / tempo, 1e-5);
  }
  EXPECT_GE(transpositions.size(), 2u);
}

TEST_F(Render, SongsOfComposeKeepTheirChords) {
  ComposeOptions compose;
  compose.min_seconds = compose.max_seconds = 15;
  const ComposedSong composed = compose_song(3, 0, compose);
  // One font plays everything.
  FontSpec every = font();
  every.presets = {{0, 0}};
  const FontLibrary library({every});
  RenderOptions options;
  const RenderSource source{"song", composed.midi, composed.annotations};
  const RenderedSong song = render_song(source, 2, library, nullptr, options);
  const json facts = song.facts;
  const SongAnnotations& known = composed.annotations;
  const int transpose = facts["transpose_semitones"];
  const double tempo = facts["tempo_factor"];
  EXPECT_EQ(facts["style"], known.style);
  ASSERT_THAT(facts["chords"], SizeIs(known.chords.size()));
  for (size_t i = 0; i < known.chords.size(); ++i) {
    const json& chord = facts["chords"][i];
    EXPECT_NEAR(chord["start_seconds"].get<double>(), known.chords[i].start_seconds / tempo, 1e-5);
    EXPECT_NEAR(chord["end_seconds"].get<double>(), known.chords[i].end_seconds / tempo, 1e-5);
    EXPECT_EQ(chord["name"], transposed_chord(known.chords[i].name, transpose));
    EXPECT_EQ(chord["root"], ((known.chords[i].root + transpose) % 12 + 12) % 12);
    EXPECT_THAT(chord["pitch_classes"], SizeIs(known.chords[i].pitch_classes.size()));
  }
  ASSERT_THAT(facts["beat_seconds"], SizeIs(known.beat_seconds.size()));
  EXPECT_NEAR(facts["beat_seconds"][5].get<double>(), known.beat_seconds[5] / tempo, 1e-5);
  EXPECT_THAT(facts["sections"], SizeIs(known.sections.size()));
}

TEST_F(Render, PeaksStayBelowTheLimitAndNothingIsLost) {
  const FontLibrary library({font()});
  for (uint64_t seed = 1; seed <= 5; ++seed) {
    RenderOptions options;
    options.seed = seed;
    options.synth_bass_share = 0.5;
    options.pulsed_share = 0.5;
    options.max_seconds = 10;
    const RenderedSong song = render_song({"song", test_song(), {}}, 1, library, nullptr, options);
    EXPECT_EQ(song.num_frames, 10 * kRenderHz);  // it would last 16 s
    double peak = 0;
    for (size_t i = 0; i < static_cast<size_t>(song.num_frames); ++i) {
      double left = 0, right = 0;
      for (const StereoSamples& stem : song.stems) {
        if (stem.left.empty()) continue;
        left += stem.left[i];
        right += stem.right[i];
        peak =
            std::max({peak, std::abs(static_cast<double>(stem.left[i])), std::abs(static_cast<double>(stem.right[i]))});
      }
      peak = std::max({peak, std::abs(left), std::abs(right)});
    }
    EXPECT_LT(20 * std::log10(peak), kMaxRenderPeakDb) << seed;
    EXPECT_GT(20 * std::log10(peak), -7) << seed;
    EXPECT_LT(std::abs(song.stems[3].left.back()), 1e-3);  // faded out
  }
}

TEST_F(Render, MelodiesAreSung) {
  const FontLibrary library({font()});
  RenderOptions options;
  std::vector<SynthNote> heard;
  int tonic = 0;
  options.sing = [&](std::span<const SynthNote> melody, int scale_tonic, uint64_t) {
    heard.assign(melody.begin(), melody.end());
    tonic = scale_tonic;
    std::vector<float> out(2 * 8 * kRenderHz);
    for (size_t i = 0; i < out.size(); ++i) {
      out[i] = 0.2f * static_cast<float>(std::sin(2 * std::numbers::pi * 500 * static_cast<double>(i / 2) / kRenderHz));
    }
    return out;
  };
  RenderSource source{"song", test_song(), {}};
  source.midi.key_signatures = {{0, 2, false}};  // D major
  const RenderedSong song = render_song(source, 1, library, nullptr, options);
  const int transpose = song.facts["transpose_semitones"];
  ASSERT_THAT(heard, SizeIs(16));
  EXPECT_EQ(heard[0].key, kTestMelodyKey + transpose);
  EXPECT_NEAR(heard[1].start_seconds, 1 / song.facts["tempo_factor"].get<double>(), 0.02);
  EXPECT_EQ(tonic, (2 + transpose + 12) % 12);
  ASSERT_FALSE(song.stems[0].left.empty());
  EXPECT_GT(amplitude(std::span(song.stems[0].left).first(3 * kRenderHz), 500), 0.01);
  EXPECT_LT(amplitude(std::span(song.stems[3].left).first(3 * kRenderHz), 500), 0.001);
  options.sing_share = 0;
  EXPECT_TRUE(render_song(source, 1, library, nullptr, options).stems[0].left.empty());
}

TEST_F(Render, DrumTakesAreLaidOnTheBeats) {
  fs::create_directory(dir_ / "takes");
  const auto save = [&](const char* name, uint32_t quarter_microseconds, uint8_t numerator) {
    MidiSong take = test_song(4);
    std::erase_if(take.notes, [](const MidiNote& note) { return note.channel != kMidiDrumChannel; });
    for (MidiNote& note : take.notes) {  // from the beginning on
      note.start_ticks -= 8 * 480;
      note.end_ticks -= 8 * 480;
    }
    take.tempi[0].quarter_microseconds = quarter_microseconds;
    take.time_signatures[0].numerator = numerator;
    time_midi(take);
    const std::vector<uint8_t> bytes = write_midi(take);
    write_bytes(dir_ / "takes/" + name, std::string(bytes.begin(), bytes.end()));
  };
  save("slow.mid", 1000000, 4);
  save("near.mid", 480000, 4);
  save("waltz.mid", 500000, 3);
  write_bytes(dir_ / "takes/bad.mid", "MThd?");
  std::vector<std::string> remarks;
  const GrooveSet grooves(dir_ / "takes", [&](const std::string& text) { remarks.push_back(text); });
  EXPECT_THAT(remarks, ElementsAre(AllOf(HasSubstr("bad.mid"), HasSubstr("left out"))));
  ASSERT_THAT(grooves.takes(), SizeIs(3));
  CounterRandom random(1, 1, 1);
  std::set<std::string> drawn;
  for (int i = 0; i < 40; ++i) {
    const LaidGroove groove = grooves.choose(125, 4, random);
    drawn.insert(fs::path(groove.take->file).filename().string());
    EXPECT_EQ(groove.song_beats_per_beat, groove.take->tempo_bpm < 100 ? 2 : 1);
  }
  EXPECT_THAT(drawn, ElementsAre("near.mid", "slow.mid"));  // 60 is 120 in half time
  EXPECT_EQ(grooves.choose(125, 5, random).take, nullptr);
  const LaidGroove near{&grooves.takes()[0], 1};
  EXPECT_EQ(near.take->num_beats, 8);
  const std::vector<MidiNote> notes = lay_groove(near, 18);
  ASSERT_THAT(notes, SizeIs(18));
  for (size_t i = 0; i < notes.size(); ++i) EXPECT_NEAR(notes[i].start_beats, static_cast<double>(i), 1e-9);

  const FontLibrary library({font()});
  RenderOptions options;
  options.groove_share = 1;
  const RenderedSong song = render_song({"song", test_song(), {}}, 1, library, &grooves, options);
  EXPECT_THAT(song.facts.dump(), HasSubstr("groove"));
  // The song's own drums wait for two bars; these do not.
  EXPECT_GT(energy(std::span(song.stems[2].left).first(kRenderHz)), 1e-2);
  EXPECT_ERROR(GrooveSet(dir_ / "nowhere", nullptr), ExitCode::kIo, HasSubstr("nowhere"));
}

TEST_F(Render, VariantsDifferAndSeedsRepeat) {
  const FontLibrary library({font()});
  RenderOptions options;
  options.max_seconds = 6;
  const RenderSource source{"song", test_song(), {}};
  const RenderedSong a = render_song(source, 1, library, nullptr, options);
  const RenderedSong b = render_song(source, 1, library, nullptr, options);
  const RenderedSong c = render_song(source, 2, library, nullptr, options);
  for (size_t group = 0; group < 4; ++group) EXPECT_EQ(a.stems[group].left, b.stems[group].left);
  EXPECT_EQ(a.facts, b.facts);
  EXPECT_NE(a.facts, c.facts);
  options.seed = 2;
  EXPECT_NE(render_song(source, 1, library, nullptr, options).facts, a.facts);
  EXPECT_ERROR(render_song({"none", test_song(0), {}}, 1, library, nullptr, options), ExitCode::kBadFile,
               HasSubstr("none: has 0 notes"));
  options.max_transpose = 13;
  EXPECT_ERROR(render_song(source, 1, library, nullptr, options), ExitCode::kUsage, HasSubstr("transposition"));
}

class RenderSets : public Render {
 protected:
  RenderSets() {
    fs::create_directories(dir_ / "midi/deeper");
    save("midi/a.mid", test_song(4));
    save("midi/deeper/b.MID", test_song(5));
    write_bytes(dir_ / "midi/LICENSE", "\n  CC0-1.0 Universal \nmore\n");
  }
  void save(const std::string& name, const MidiSong& song) const {
    const std::vector<uint8_t> bytes = write_midi(song);
    write_bytes(dir_ / name, std::string(bytes.begin(), bytes.end()));
  }
  RenderSetOptions options(const std::string& out) const {
    RenderSetOptions options;
    options.inputs = {dir_ / "midi"};
    options.out = dir_ / out;
    options.num_variants = 2;
    options.num_threads = 1;
    options.render.max_seconds = 5;
    return options;
  }
  std::map<std::string, std::string> files(const std::string& out) const {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(dir_ / out)) {
      if (entry.is_regular_file()) {
        all[entry.path().lexically_relative(dir_ / out).string()] = read_bytes(entry.path().string());
      }
    }
    return all;
  }
  const FontLibrary library_{std::vector<FontSpec>{font()}};
};

TEST_F(RenderSets, AreTheSameOnAnyThreadsAndGoOn) {
  const RenderSetReport first = render_set(options("one"), library_, nullptr);
  EXPECT_EQ(first.num_rendered, 4u);
  EXPECT_EQ(first.audio_seconds, 20);
  RenderSetOptions three = options("three");
  three.num_threads = 3;
  render_set(three, library_, nullptr);
  const auto whole = files("one");
  EXPECT_EQ(whole, files("three"));
  ASSERT_THAT(whole, SizeIs(4 * 4));  // bass, drums, other, song.json
  EXPECT_TRUE(whole.contains("a-1/bass.flac") && whole.contains("deeper_b-2/song.json"));
  EXPECT_NE(whole.at("a-1/bass.flac"), whole.at("a-2/bass.flac"));
  const json facts = json::parse(whole.at("a-1/song.json"));
  EXPECT_EQ(facts["format"], "vqdata render 1");
  EXPECT_EQ(facts["licence"], "LICENSE: CC0-1.0 Universal");
  EXPECT_EQ(facts["midi"], "a.mid");
  // What is on disk sounds as the facts tell, also for the loaders.
  const std::vector<Song> songs = load_songs(dir_ / "one", {});
  ASSERT_THAT(songs, SizeIs(4));
  EXPECT_EQ(songs[0].num_frames, facts["num_frames"].get<int64_t>());
  int peak = 0;
  for (const int16_t sample : songs[0].stems[1]) peak = std::max(peak, std::abs(int{sample}));
  EXPECT_NEAR(20 * std::log10(peak / 32768.0), facts["stems"]["bass"]["peak_db"].get<double>(), 0.02);

  // Nothing is done twice; what is missing, damaged or of other settings is made anew.
  EXPECT_EQ(render_set(options("one"), library_, nullptr).num_kept, 4u);
  fs::remove_all(dir_ / "one/a-1");
  fs::remove(dir_ / "one/a-2/drums.flac");
  write_bytes(dir_ / "one/deeper_b-1/bass.flac", "cut");
  fs::create_directory(dir_ / "one/.a-1.partial");
  write_bytes(dir_ / "one/.a-1.partial/bass.flac", "left by a crash");
  const RenderSetReport again = render_set(options("one"), library_, nullptr);
  EXPECT_EQ(again.num_kept, 1u);
  EXPECT_EQ(again.num_rendered, 3u);
  EXPECT_EQ(files("one"), whole);
  RenderSetOptions other = options("one");
  other.render.seed = 2;
  EXPECT_EQ(render_set(other, library_, nullptr).num_rendered, 4u);
  EXPECT_NE(files("one"), whole);
}

TEST_F(RenderSets, SkipBadFilesAndKeepOthersAway) {
  write_bytes(dir_ / "midi/bad.mid", "MThd nonsense");
  save("midi/silent.mid", test_song(0));
  std::vector<std::string> remarks;
  RenderSetOptions set = options("out");
  set.format = "wav";
  set.licence = "CC-BY-4.0";
  set.on_remark = [&](const std::string& text) { remarks.push_back(text); };
  const RenderSetReport report = render_set(set, library_, nullptr);
  EXPECT_EQ(report.num_rendered, 4u);
  ASSERT_THAT(report.skipped, SizeIs(2));
  EXPECT_THAT(report.skipped[0], HasSubstr("bad.mid"));
  EXPECT_THAT(report.skipped[1], AllOf(HasSubstr("silent.mid"), HasSubstr("has 0 notes")));
  EXPECT_THAT(remarks, SizeIs(2));
  EXPECT_EQ(json::parse(files("out").at("a-1/song.json"))["licence"], "CC-BY-4.0");
  EXPECT_TRUE(files("out").contains("a-1/other.wav"));

  // A folder that somebody else made is not touched, and nothing is begun.
  fs::create_directories(dir_ / "mine/a-2");
  write_bytes(dir_ / "mine/a-2/bass.wav", "precious");
  EXPECT_ERROR(render_set(options("mine"), library_, nullptr), ExitCode::kUsage,
               AllOf(HasSubstr("a-2"), HasSubstr("was not written by vqdata render")));
  EXPECT_THAT(files("mine"), SizeIs(1));
  save("a.mid", test_song(4));
  RenderSetOptions twice = options("twice");
  twice.inputs.push_back(dir_ / "a.mid");
  EXPECT_ERROR(render_set(twice, library_, nullptr), ExitCode::kUsage, HasSubstr("would both be the song \"a\""));
  RenderSetOptions none = options("none");
  none.inputs = {dir_ / "not-there.mid"};
  EXPECT_ERROR(render_set(none, library_, nullptr), ExitCode::kIo, HasSubstr("not-there.mid"));
  write_bytes(dir_ / "file", "");
  EXPECT_ERROR(render_set(options("file"), library_, nullptr), ExitCode::kIo, HasSubstr("cannot be made a folder"));
}

}  // namespace
}  // namespace vqcodec::dataset
