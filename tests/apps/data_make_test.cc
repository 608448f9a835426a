// vqdata make, as a person runs it: a small set of stems, MIDI files, composed songs and a soundfont of their own.
#include <csignal>
#include <filesystem>
#include <thread>

#include <nlohmann/json.hpp>

#include "dataset/make_config.h"
#include "dataset/make_set.h"
#include "dataset/midi.h"
#include "dataset/pack.h"
#include "dataset/singing.h"
#include "tests/apps/vqcodec_program.h"
#include "tests/dataset/render_song.h"
#include "tests/dataset/tiny_soundfont.h"

namespace vqcodec::apps {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

// Two parts of stems, two of MIDI, one of composed songs.
constexpr const char* kConfig = R"({
  "encoding": "flac",
  "materials": {
    "album": {"path": "stems", "licence": "CC0-1.0", "source": "example.org/album"},
    "tunes": {"path": "midi", "licence": "BSD-3-Clause", "attribution": "Tunes by Ann.", "source": "example.org/tunes"}
  },
  "fonts": {
    "tiny": {"file": "tiny.sf2", "licence": "MIT", "source": "example.org/tiny"},
    "held": {"file": ["absent.sf3", "held.sf2"], "licence": "CC-BY-4.0", "attribution": "Held by Bob.",
             "source": "example.org/held"}
  },
  "train": [
    {"name": "real", "kind": "stems", "material": "album", "exclude": ["Second"], "weight": 2,
     "filters": [{"song": "First", "source": "other", "high_pass_hz": 200}]},
    {"name": "tunes", "kind": "midi", "material": "tunes", "slice": [0, -1], "variants": 2, "seed": 1, "fonts": ["tiny"]},
    {"name": "basses", "kind": "midi", "material": "tunes", "include": ["a.mid"], "seed": 2, "groups": ["bass"],
     "fonts": [], "synth_bass_share": 1, "max_seconds": 5},
    {"name": "composed", "kind": "compose", "songs": 2, "seed": 3, "length_seconds": [10, 12], "licence": "CC0-1.0",
     "fonts": ["tiny"]}
  ],
  "validation": [
    {"name": "second", "kind": "stems", "material": "album", "songs": ["Second"]},
    {"name": "tunes-held", "kind": "midi", "material": "tunes", "slice": [-1, null], "seed": 4, "fonts": ["held"]}
  ]
})";

std::vector<float> sine(double hz, double seconds) {
  std::vector<float> samples(2 * static_cast<size_t>(seconds * 44100));
  for (size_t i = 0; i < samples.size(); ++i) {
    samples[i] = static_cast<float>(0.5 * std::sin(2 * M_PI * hz * static_cast<double>(i / 2) / 44100));
  }
  return samples;
}

void write_song(const std::string& path, const dataset::MidiSong& song) {
  const auto bytes = dataset::write_midi(song);
  write_bytes(path, {bytes.begin(), bytes.end()});
}

class DataMake : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* folder : {"stems/First", "stems/Second", "midi", "fonts"}) {
      fs::create_directories(material_ / folder);
    }
    for (const char* song : {"First", "Second"}) {
      write_audio(material_ / "stems" + "/" + song + "/bass.wav", sine(55, 3));
      write_audio(material_ / "stems" + "/" + song + "/other.wav", sine(50, 3));
    }
    write_song(material_ / "midi/a.mid", dataset::test_song(6));
    write_song(material_ / "midi/b.mid", dataset::test_song(8));
    write_song(material_ / "midi/c.mid", dataset::test_song(6));  // the same as a
    write_song(material_ / "midi/z.mid", dataset::test_song(7));
    write_bytes(material_ / "fonts/tiny.sf2", dataset::TinySoundfont::general_midi());
    write_bytes(material_ / "fonts/held.sf2", dataset::TinySoundfont::general_midi());
    write_config(kConfig);
  }
  void write_config(const std::string& text) { write_bytes(config_ / "config.json", text); }

  static Outcome vqdata(const std::vector<std::string>& arguments, RunOptions options = {}) {
    options.program = fs::path(program_path()).replace_filename("vqdata").string();
    return run(arguments, options);
  }
  std::vector<std::string> words(const std::string& out, const std::vector<std::string>& more) const {
    std::vector<std::string> words = {"make",         "--config",           config_ / "config.json", "--material",
                                      material_.path(), "--soundfonts", material_ / "fonts",     "--out",
                                      out_ / out};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  Outcome make(const std::string& out, const std::vector<std::string>& more = {}) const {
    return vqdata(words(out, more));
  }
  void fails(const std::vector<std::string>& more, ExitCode code, const std::vector<std::string>& says) {
    const Outcome outcome = make("set", more);
    EXPECT_EQ(outcome.exit_code, static_cast<int>(code)) << outcome.err;
    EXPECT_THAT(outcome.err, StartsWith("vqdata: "));
    for (const std::string& text : says) EXPECT_THAT(outcome.err, HasSubstr(text));
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_FALSE(fs::exists(out_ / "set/train"));
  }
  // All shards of a set, by relative path.
  std::map<std::string, std::string> shards(const std::string& out) const {
    std::map<std::string, std::string> all;
    for (const auto& entry : fs::recursive_directory_iterator(out_ / out)) {
      if (entry.path().extension() != ".vqs") continue;
      all[entry.path().lexically_relative(out_ / out).string()] = read_bytes(entry.path().string());
    }
    return all;
  }
  static std::vector<std::string> songs(const std::string& folder) {
    std::vector<std::string> names;
    for (const auto& shard : dataset::open_shards(folder)) {
      for (const auto& song : shard->songs()) names.push_back(song.name);
    }
    return names;
  }

  TempDir material_, config_, out_;
};

TEST_F(DataMake, MakesEveryPartAndKeepsWhatIsThere) {
  const Outcome first = make("set", {"--json"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  const json report = json::parse(first.out);
  std::vector<std::string> names;
  for (const json& part : report["parts"]) {
    names.push_back(part["name"]);
    EXPECT_FALSE(part["kept"].get<bool>());
    EXPECT_GT(part["seconds"].get<double>(), 2);
    EXPECT_GT(part["seconds_sounding"]["bass"].get<double>(), 0) << part;
  }
  EXPECT_THAT(names, ElementsAre("real", "tunes", "basses", "composed", "second", "tunes-held"));
  EXPECT_THAT(songs(out_ / "set/train/real"), ElementsAre("First"));
  EXPECT_THAT(songs(out_ / "set/validation/second"), ElementsAre("Second"));
  // c is a again.
  EXPECT_THAT(songs(out_ / "set/train/tunes"), ElementsAre("a-1", "a-2", "b-1", "b-2"));
  EXPECT_THAT(songs(out_ / "set/train/composed"), ElementsAre("song-000000-1", "song-000001-1"));
  EXPECT_THAT(songs(out_ / "set/validation/tunes-held"), ElementsAre("z-1"));
  EXPECT_THAT(report["train_arguments"].get<std::vector<std::string>>(),
              AllOf(testing::Contains(out_ / "set/train/real=2"), testing::Contains("--validation")));

  // Only basses, and not longer than asked for.
  const auto basses = dataset::open_shards(out_ / "set/train/basses");
  const dataset::PackedSong& bass = basses.at(0)->songs().at(0);
  EXPECT_FALSE(bass.stems[0] || bass.stems[2] || bass.stems[3]);
  EXPECT_TRUE(bass.stems[1].has_value());
  EXPECT_LE(bass.num_frames, 5.1 * 44100);
  EXPECT_EQ(bass.facts.licence, "BSD-3-Clause (MIDI)");
  const auto held = dataset::open_shards(out_ / "set/validation/tunes-held");
  EXPECT_EQ(held.at(0)->songs().at(0).facts.licence, "BSD-3-Clause (MIDI); CC-BY-4.0 (soundfonts)");
  EXPECT_FALSE(dataset::open_shards(out_ / "set/train/composed").at(0)->songs().at(0).facts.chords.empty());

  EXPECT_THAT(read_bytes(out_ / "set/ATTRIBUTION.md"),
              AllOf(HasSubstr("Tunes by Ann. Licence: BSD-3-Clause. From example.org/tunes. In `train/tunes`, `train/basses`"),
                    HasSubstr("- album. Licence: CC0-1.0"), HasSubstr("Held by Bob. Licence: CC-BY-4.0"),
                    HasSubstr("| `train/composed` | 2 | "), Not(HasSubstr("Voices"))));
  EXPECT_FALSE(fs::exists(out_ / "set/.work"));
  EXPECT_EQ(vqdata({"check", out_ / "set/train/tunes", "--quiet"}).exit_code, 0);

  const auto before = shards("set");
  const Outcome again = make("set");
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_THAT(again.out, AllOf(HasSubstr("was there"), Not(HasSubstr("hours made")), HasSubstr("--data ")));
  EXPECT_EQ(shards("set"), before);
}

TEST_F(DataMake, SingsOnlyWhereAskedTo) {
  if (!dataset::Singer::available()) GTEST_SKIP() << dataset::Singer::missing();
  std::string config = kConfig;
  config.replace(config.find("\"seed\": 3"), 9, "\"seed\": 3, \"sing_share\": 1");
  write_config(config);
  const auto has_vocals = [&] {
    return dataset::open_shards(out_ / "set/train/composed").at(0)->songs().at(0).stems[0].has_value();
  };
  ASSERT_EQ(make("set", {"--only", "composed", "--max-songs", "1", "--quiet"}).exit_code, 0);
  EXPECT_TRUE(has_vocals());
  EXPECT_THAT(read_bytes(out_ / "set/ATTRIBUTION.md"), HasSubstr("## Voices"));
  ASSERT_EQ(make("set", {"--only", "composed", "--max-songs", "1", "--no-singing", "--quiet"}).exit_code, 0);
  EXPECT_FALSE(has_vocals());
  EXPECT_THAT(read_bytes(out_ / "set/ATTRIBUTION.md"), Not(HasSubstr("## Voices")));
}

TEST_F(DataMake, FiltersOneSourceOfOneSong) {
  ASSERT_EQ(make("set", {"--only", "real", "--only", "second", "--quiet"}).exit_code, 0);
  const auto level = [&](const std::string& part, size_t source) {
    return dataset::open_shards(out_ / "set/" + part).at(0)->songs().at(0).stems[source]->rms_db;
  };
  EXPECT_NEAR(level("train/real", 1), level("validation/second", 1), 0.01);
  // 50 Hz through a filter of eighth order at 200 Hz: 8 * 12 dB, but for the onset.
  EXPECT_LT(level("train/real", 3), level("validation/second", 3) - 35);
}

TEST_F(DataMake, SameSetOnAnyNumberOfThreads) {
  ASSERT_EQ(make("one", {"--threads", "1", "--quiet"}).exit_code, 0);
  ASSERT_EQ(make("three", {"--threads", "3", "--quiet"}).exit_code, 0);
  const auto one = shards("one");
  EXPECT_EQ(one.size(), 6u);
  EXPECT_EQ(one, shards("three"));
}

TEST_F(DataMake, GoesOnAfterAnInterrupt) {
  RunOptions options;
  options.program = fs::path(program_path()).replace_filename("vqdata").string();
  // Stopped as soon as the first song of the second part is there.
  const pid_t child = start(words("set", {"--threads", "1"}), options, out_ / "out", out_ / "err");
  for (int i = 0; i < 6000 && !fs::exists(out_ / "set/.work/tunes/songs/a-1/song.json"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  kill(child, SIGTERM);
  const Outcome stopped = wait_for(child);
  EXPECT_NE(stopped.exit_code, 0) << "the command ended before it was stopped";
  EXPECT_FALSE(fs::exists(out_ / "set/train/composed"));
  ASSERT_TRUE(fs::exists(out_ / "set/.work/tunes/songs/a-1"));
  const auto written = fs::last_write_time(out_ / "set/train/real/set-00000.vqs");

  const Outcome rest = make("set", {"--json"});
  ASSERT_EQ(rest.exit_code, 0) << rest.err;
  EXPECT_TRUE(json::parse(rest.out)["parts"][0]["kept"].get<bool>());
  EXPECT_EQ(fs::last_write_time(out_ / "set/train/real/set-00000.vqs"), written);
  ASSERT_EQ(make("whole", {"--quiet"}).exit_code, 0);
  EXPECT_EQ(shards("set"), shards("whole"));
}

TEST_F(DataMake, AnotherSettingMakesThePartAnew) {
  ASSERT_EQ(make("set", {"--only", "tunes", "--max-songs", "1", "--keep-songs", "--quiet"}).exit_code, 0);
  EXPECT_THAT(songs(out_ / "set/train/tunes"), ElementsAre("a-1"));
  EXPECT_TRUE(fs::exists(out_ / "set/.work/tunes/songs/a-1/bass.flac"));
  ASSERT_EQ(make("set", {"--only", "tunes", "--quiet"}).exit_code, 0);
  EXPECT_THAT(songs(out_ / "set/train/tunes"), ElementsAre("a-1", "a-2", "b-1", "b-2"));
  std::string config = kConfig;
  config.replace(config.find("\"seed\": 1"), 9, "\"seed\": 9");
  write_config(config);
  const auto before = shards("set");
  ASSERT_EQ(make("set", {"--only", "tunes", "--quiet"}).exit_code, 0);
  EXPECT_NE(shards("set"), before);
}

TEST_F(DataMake, DryRunCountsAndWritesNothing) {
  const Outcome text = make("set", {"--dry-run", "--verbose"});
  EXPECT_EQ(text.exit_code, 0) << text.err;
  EXPECT_THAT(text.out, AllOf(HasSubstr("train/composed"), HasSubstr("left out: "), HasSubstr("is the same file as a"),
                              HasSubstr("for validation")));
  const json plan = json::parse(make("set", {"--dry-run", "--json"}).out);
  EXPECT_EQ(plan["parts"][1]["songs"], 4);
  EXPECT_NEAR(plan["parts"][1]["seconds"].get<double>(), 2 * (12 + 16), 2);  // 6 and 8 bars of 2 s
  EXPECT_GT(plan["bytes_needed"].get<double>(), 1e5);
  EXPECT_FALSE(fs::exists(out_ / "set"));
}

TEST_F(DataMake, MissingMaterialIsToldWithItsSource) {
  fs::remove_all(material_ / "midi");
  fs::remove(material_ / "fonts/held.sf2");
  fails({}, ExitCode::kIo,
        {"material \"tunes\": ", "can be had from example.org/tunes", "font \"held\": ", "example.org/held"});
  // What is not asked for may be missing.
  EXPECT_EQ(make("set", {"--only", "real", "--quiet"}).exit_code, 0);
}

TEST_F(DataMake, DamagedMidiIsSkippedAndTold) {
  write_bytes(material_ / "midi/b.mid", "MThd and no more");
  const Outcome outcome = make("set", {"--only", "tunes"});
  EXPECT_EQ(outcome.exit_code, static_cast<int>(ExitCode::kBadFile));
  EXPECT_THAT(outcome.err, AllOf(HasSubstr("b.mid"), HasSubstr("skipped")));
  EXPECT_THAT(songs(out_ / "set/train/tunes"), ElementsAre("a-1", "a-2"));
}

TEST_F(DataMake, DamagedFontEndsWithFinishedPartsKept) {
  write_bytes(material_ / "fonts/tiny.sf2", "RIFF");
  const Outcome outcome = make("set");
  EXPECT_EQ(outcome.exit_code, static_cast<int>(ExitCode::kBadFile));
  EXPECT_THAT(outcome.err, HasSubstr("tiny.sf2"));
  EXPECT_THAT(songs(out_ / "set/train/real"), ElementsAre("First"));
}

TEST_F(DataMake, RefusesWrongUse) {
  fails({"--only", "nothing"}, ExitCode::kUsage, {"no part \"nothing\"", "real, tunes"});
  fails({"--encoding", "mp3"}, ExitCode::kUsage, {"mp3"});
  fails({"--frob"}, ExitCode::kUsage, {"frob"});
  write_bytes(out_ / "file", "mine");
  const Outcome other = vqdata({"make", "--config", config_ / "config.json", "--material", material_.path(),
                                "--soundfonts", material_ / "fonts", "--out", out_.path()});
  EXPECT_EQ(other.exit_code, static_cast<int>(ExitCode::kUsage));
  EXPECT_THAT(other.err, HasSubstr("was not made by vqdata make"));
  EXPECT_EQ(read_bytes(out_ / "file"), "mine");
  EXPECT_EQ(vqdata({"make", "--config", config_ / "config.json"}).exit_code, static_cast<int>(ExitCode::kUsage));
}

struct BadConfig {
  const char* found;
  const char* replaced;
  const char* says;
};

class DataMakeConfig : public testing::TestWithParam<BadConfig> {};

TEST_P(DataMakeConfig, BadFieldIsNamed) {
  std::string text = kConfig;
  const size_t at = text.find(GetParam().found);
  ASSERT_NE(at, std::string::npos);
  text.replace(at, std::strlen(GetParam().found), GetParam().replaced);
  try {
    dataset::parse_make_config(text, "c.json");
    ADD_FAILURE() << "no error for " << GetParam().replaced;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kBadFile);
    EXPECT_THAT(error.what(), AllOf(StartsWith("c.json: "), HasSubstr(GetParam().says)));
  }
}

INSTANTIATE_TEST_SUITE_P(
    Fields, DataMakeConfig,
    testing::Values(
        BadConfig{"\"encoding\": \"flac\"", "\"encoding\": \"mp3\"", "c.json: encoding: found \"mp3\""},
        BadConfig{"\"encoding\"", "\"encodings\"", "unknown key \"encodings\""},
        BadConfig{"{\n", "[", "is not JSON"},
        BadConfig{"\"path\": \"stems\"", "\"path\": 3", "materials.album.path: found 3, expected a text"},
        BadConfig{", \"source\": \"example.org/album\"", "", "materials.album.source: missing"},
        BadConfig{"\"file\": \"tiny.sf2\", ", "", "fonts.tiny.file: missing"},
        BadConfig{"\"licence\": \"MIT\"", "\"licence\": \"MIT\", \"roles\": [\"triangle\"]", "fonts.tiny"},
        BadConfig{"\"name\": \"real\"", "\"name\": \"../real\"", "train[0].name"},
        BadConfig{"\"name\": \"basses\"", "\"name\": \"tunes\"", "two parts are named \"tunes\""},
        BadConfig{"\"kind\": \"stems\"", "\"kind\": \"stem\"", "train[0].kind"},
        BadConfig{"\"weight\": 2", "\"weight\": 0", "train[0].weight: found 0, expected a number over 0"},
        BadConfig{"\"high_pass_hz\": 200", "\"high_pass_hz\": 2", "train[0].filters[0].high_pass_hz"},
        BadConfig{"\"source\": \"other\"", "\"source\": \"piano\"", "train[0].filters[0].source"},
        BadConfig{"\"slice\": [0, -1]", "\"slice\": [0]", "train[1].slice"},
        BadConfig{"\"variants\": 2", "\"variants\": 0", "train[1].variants"},
        BadConfig{"\"seed\": 1,", "", "train[1].seed: missing"},
        BadConfig{"\"seed\": 1,", "\"seed\": -1,", "train[1].seed: found -1"},
        BadConfig{"\"fonts\": [\"tiny\"]", "\"fonts\": [\"big\"]", "there is no \"big\""},
        BadConfig{"\"fonts\": [\"tiny\"]", "\"fonts\": []", "train[1].fonts"},
        BadConfig{"\"groups\": [\"bass\"]", "\"groups\": [\"tuba\"]", "train[2].groups"},
        BadConfig{"\"synth_bass_share\": 1", "\"synth_bass_share\": 1.5", "train[2].synth_bass_share"},
        BadConfig{"\"max_seconds\": 5", "\"max_seconds\": \"5\"", "train[2].max_seconds"},
        BadConfig{"\"max_seconds\": 5", "\"variant\": 5", "train[2]: unknown key \"variant\""},
        BadConfig{"\"songs\": 2, ", "", "train[3].songs: missing"},
        BadConfig{"\"length_seconds\": [10, 12]", "\"length_seconds\": [12, 10]", "train[3].length_seconds"},
        BadConfig{"\"length_seconds\"", "\"styles\": [\"skiffle\"], \"length_seconds\"", "train[3].styles"},
        BadConfig{"\"licence\": \"CC0-1.0\",\n     \"fonts\"", "\"fonts\"", "train[3].licence: missing"},
        BadConfig{"\"seed\": 4, \"fonts\": [\"held\"]", "\"seed\": 4, \"fonts\": [\"tiny\"]",
                  "both play font \"tiny\""}));

TEST(DataMakeConfig, ShippedConfigurationIsValid) {
  const char* root = std::getenv("VQCODEC_SOURCE_DIR");
  ASSERT_NE(root, nullptr);
  const auto config = dataset::read_make_config(std::string(root) + "/configs/data-default.json");
  EXPECT_GE(config.parts.size(), 8u);
  for (const auto& [name, material] : config.materials) {
    EXPECT_THAT(material.source, testing::ContainsRegex("at [0-9a-f]{40}")) << name;
  }
  for (const auto& [name, font] : config.fonts) EXPECT_THAT(font.licence, Not(HasSubstr("GPL"))) << name;
}

}  // namespace
}  // namespace vqcodec::apps
