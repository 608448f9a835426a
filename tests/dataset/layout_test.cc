#include "dataset/layout.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dataset/stems.h"
#include "tests/base/expect_error.h"
#include "tests/dataset/layout_sets.h"

namespace vqcodec::dataset {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class Layouts : public testing::Test {
 protected:
  LoadOptions load_options() {
    return {.sample_rate_hz = kSetRateHz, .sources = kGroups, .on_remark = [this](const std::string& remark) {
              remarks_.push_back(remark);
            }};
  }
  std::vector<Song> load() { return load_songs(root_.path(), load_options()); }
  std::string detected() { return detect_layout(root_.path(), kGroups).name(); }
  // "split/name" of each song.
  std::vector<std::string> names(const std::vector<SongFiles>& songs) {
    std::vector<std::string> all;
    for (const SongFiles& song : songs) all.push_back(song.split + "/" + song.name);
    return all;
  }
  std::vector<std::string> listed() {
    return names(detect_layout(root_.path(), kGroups).list(root_.path(), kGroups).songs);
  }
  // Energy of the difference over that of `expected`, in dB.
  double difference_db(const std::vector<int16_t>& actual, const std::vector<float>& expected) {
    double energy = 0, residual = 0;
    for (size_t i = 0; i < expected.size(); ++i) {
      const double difference = (i < actual.size() ? actual[i] / 32767.0 : 0) - expected[i];
      energy += static_cast<double>(expected[i]) * expected[i];
      residual += difference * difference;
    }
    return 10 * std::log10(residual / energy + 1e-12);
  }

  TempDir root_;
  std::vector<std::string> remarks_;
};

TEST_F(Layouts, AreShippedWithDescriptionsAndGroups) {
  for (const std::string& name : shipped_layout_names()) {
    const Layout layout = load_layout(name);
    EXPECT_EQ(layout.name(), name);
    EXPECT_FALSE(layout.description().empty()) << name;
    EXPECT_FALSE(layout.reference().empty()) << name;
    EXPECT_EQ(layout.groups(), kGroups) << name;
  }
  EXPECT_THAT(load_layout("musdb18").splits(), ElementsAre("test", "train", "validation"));
  EXPECT_ERROR(load_layout("musdb"), ExitCode::kUsage, AllOf(HasSubstr("\"musdb\""), HasSubstr("musdb18hq")));
}

TEST_F(Layouts, StemsAreFoundWithAndWithoutSplits) {
  make_stems_set(root_);
  write_song(root_ / "validation/c song", 25);
  write_text(root_ / "b song/vocals.txt", "the words");
  EXPECT_EQ(detected(), "stems");
  EXPECT_THAT(listed(), ElementsAre("/a song", "/b song", "validation/c song"));
  const auto songs = load();
  ASSERT_EQ(songs.size(), 3U);
  for (size_t s = 0; s < 4; ++s) {
    EXPECT_LT(difference_db(songs[1].stems[s], make_sound(static_cast<uint32_t>(20 + s))), -50);
  }
  EXPECT_THAT(remarks_, IsEmpty());
}

TEST_F(Layouts, Musdb18HqHasItsSplitsAndTheFourteenForValidation) {
  make_musdb18hq_set(root_);
  EXPECT_EQ(detected(), "musdb18hq");
  EXPECT_THAT(listed(), ElementsAre("test/C - Three", "train/A - One", "validation/Leaf - Summerghost"));
  // A split's folder alone knows which split it is.
  const auto train = detect_layout(root_ / "train", kGroups);
  EXPECT_EQ(train.name(), "musdb18hq");
  EXPECT_THAT(names(train.list(root_ / "train/", kGroups).songs),
              ElementsAre("train/A - One", "validation/Leaf - Summerghost"));
  LoadOptions options = load_options();
  options.splits = {"train", "test"};
  const auto songs = load_songs(root_.path(), options);
  ASSERT_EQ(songs.size(), 2U);
  EXPECT_EQ(songs[0].name, "C - Three");
  EXPECT_LT(difference_db(songs[1].stems[2], make_sound(32)), -50);
  EXPECT_THAT(remarks_, IsEmpty());
  options.splits = {"valid"};
  EXPECT_ERROR(load_songs(root_.path(), options), ExitCode::kUsage,
               AllOf(HasSubstr("\"valid\""), HasSubstr("train (1)"), HasSubstr("validation (1)")));
}

TEST_F(Layouts, Musdb18IsReadFromFiveAacStreams) {
  if (!audio::has_ffmpeg()) GTEST_SKIP() << "no ffmpeg program";
  make_musdb18_set(root_);
  EXPECT_EQ(detected(), "musdb18");
  EXPECT_THAT(listed(), ElementsAre("test/C - Three", "train/A - One", "validation/Meaxic - Take A Step"));
  EXPECT_THAT(names(load_layout("musdb18").list(root_ / "train", kGroups).songs),
              ElementsAre("train/A - One", "validation/Meaxic - Take A Step"));
  const auto songs = load();
  ASSERT_EQ(songs.size(), 3U);
  for (size_t s = 0; s < 4; ++s) {
    EXPECT_LT(difference_db(songs[1].stems[s], make_sound(static_cast<uint32_t>(60 + s))), -8) << kGroups[s];
  }
  EXPECT_THAT(remarks_, IsEmpty()) << "AAC streams sum to the mixture within the layout's tolerance";
}

TEST_F(Layouts, AStemMp4WithTwoStreamsIsRefused) {
  if (!audio::has_ffmpeg()) GTEST_SKIP() << "no ffmpeg program";
  write_stem_mp4(root_ / "train/A - One.stem.mp4", {make_sound(1), make_sound(2)});
  EXPECT_ERROR(load(), ExitCode::kBadFile,
               AllOf(HasSubstr("A - One.stem.mp4"), HasSubstr("has 2 audio stream"), HasSubstr("no stream 4")));
}

TEST_F(Layouts, AStemMp4WhoseStreamsDoNotSumIsToldOfWithItsFigure) {
  if (!audio::has_ffmpeg()) GTEST_SKIP() << "no ffmpeg program";
  auto sounds = stem_mp4_sounds(5);
  sounds[0] = make_sound(99);
  write_stem_mp4(root_ / "A - One.stem.mp4", sounds);
  EXPECT_EQ(load().size(), 1U);
  EXPECT_THAT(remarks_, ElementsAre(AllOf(HasSubstr("A - One: the mixture and the sum of the stems differ by"),
                                          HasSubstr("expected at most -15.0 dB"), HasSubstr("used all the same"))));
}

TEST_F(Layouts, Dsd100TakesDevAsTrain) {
  make_dsd100_set(root_);
  EXPECT_EQ(detected(), "dsd100");
  EXPECT_THAT(listed(), ElementsAre("train/051 - A - One", "test/001 - B - Two"));
  EXPECT_EQ(load().size(), 2U);
  EXPECT_THAT(remarks_, IsEmpty());
}

TEST_F(Layouts, SlakhGroupsByInstrumentAndSumsAGroup) {
  make_slakh2100_set(root_);
  EXPECT_EQ(detected(), "slakh2100");
  EXPECT_THAT(listed(), ElementsAre("omitted/Track00049", "train/Track00001"));
  LoadOptions options = load_options();
  options.splits = {"train"};
  const auto songs = load_songs(root_.path(), options);
  ASSERT_EQ(songs.size(), 1U);
  EXPECT_TRUE(songs[0].stems[0].empty()) << "there are no vocals";
  EXPECT_LT(difference_db(songs[0].stems[1], make_sound(110)), -50);
  EXPECT_LT(difference_db(songs[0].stems[2], make_sound(112)), -50);
  EXPECT_LT(difference_db(songs[0].stems[3], sum_of({make_sound(111), make_sound(113)})), -50);
  EXPECT_THAT(remarks_, IsEmpty());
}

TEST_F(Layouts, AStemThatTheMetadataNameAndIsNotThereIsToldOf) {
  make_slakh2100_set(root_);
  std::filesystem::remove(root_ / "train/Track00001/stems/S03.flac");
  const auto songs = load();
  EXPECT_TRUE(songs[1].stems[2].empty());
  EXPECT_THAT(remarks_, UnorderedElementsAre(AllOf(HasSubstr("train/Track00001/stems/S03.* is not there"),
                                                   HasSubstr("taken as silence")),
                                             HasSubstr("Track00001: the mixture and the sum of the stems differ")));
}

TEST_F(Layouts, MedleyDbIsReadByItsYaml) {
  make_medleydb_set(root_);
  EXPECT_EQ(detected(), "medleydb");
  const auto songs = load();
  ASSERT_EQ(songs.size(), 1U);
  EXPECT_EQ(songs[0].name, "SomeOne_SomeTitle");
  EXPECT_LT(difference_db(songs[0].stems[0], make_sound(136)), -50);
  EXPECT_LT(difference_db(songs[0].stems[1], make_sound(132)), -50);
  EXPECT_LT(difference_db(songs[0].stems[2], make_sound(131)), -50);
  EXPECT_LT(difference_db(songs[0].stems[3], sum_of({make_sound(133), make_sound(135)})), -50);
  EXPECT_THAT(remarks_, ElementsAre(AllOf(HasSubstr("stems.S04: left out"), HasSubstr("Main System")),
                                    AllOf(HasSubstr("1 of 1 songs"), HasSubstr("other sources in their stems"))));
}

TEST_F(Layouts, MedleyDbsMetadataMayLieApart) {
  make_medleydb_set(root_);
  const std::string name = "SomeOne_SomeTitle_METADATA.yaml";
  std::filesystem::create_directories(root_ / "Metadata");
  std::filesystem::rename(root_ / ("Audio/SomeOne_SomeTitle/" + name), root_ / ("Metadata/" + name));
  EXPECT_EQ(detected(), "medleydb");
  const auto listing = load_layout("medleydb").list(root_.path(), kGroups);
  ASSERT_EQ(listing.songs.size(), 1U);
  EXPECT_EQ(listing.songs[0].sources[3].size(), 2U);
  EXPECT_EQ(listing.songs[0].mixture.size(), 1U);
  EXPECT_TRUE(listing.songs[0].has_bleed);
}

TEST_F(Layouts, MoisesDbSumsATracksFiles) {
  make_moisesdb_set(root_);
  EXPECT_EQ(detected(), "moisesdb");
  EXPECT_EQ(detect_layout(root_ / "moisesdb_v0.1", kGroups).name(), "moisesdb");
  const auto songs = load();
  ASSERT_EQ(songs.size(), 1U);
  EXPECT_LT(difference_db(songs[0].stems[0], sum_of({make_sound(140), make_sound(141)})), -50);
  EXPECT_TRUE(songs[0].stems[1].empty());
  EXPECT_LT(difference_db(songs[0].stems[2], make_sound(143)), -50);
  EXPECT_LT(difference_db(songs[0].stems[3], make_sound(142)), -50) << "percussion is other";
  EXPECT_THAT(remarks_, IsEmpty());
}

TEST_F(Layouts, UnlikeLengthsMissingStemsAndMixturesAreToldOf) {
  make_musdb18hq_set(root_);
  write_sound(root_ / "train/A - One/bass.wav", make_sound(31, kSetFrames - 1000));
  std::filesystem::remove(root_ / "test/C - Three/drums.wav");
  std::filesystem::remove(root_ / "test/C - Three/mixture.wav");
  const auto songs = load();
  ASSERT_EQ(songs.size(), 3U);
  EXPECT_TRUE(songs[0].stems[2].empty());
  EXPECT_EQ(songs[1].stems[1].size(), 2U * kSetFrames);
  EXPECT_THAT(remarks_, ElementsAre(HasSubstr("test/C - Three: drums is not there; taken as silence"),
                                    HasSubstr("test/C - Three: mixture is not there; not needed"),
                                    AllOf(HasSubstr("train/A - One: stems differ in length by 1000 samples"),
                                          HasSubstr("padded")),
                                    // Another 1000 of 48000 samples of one stem are missing from the sum.
                                    HasSubstr("train/A - One: the mixture and the sum")));
}

TEST_F(Layouts, SumsAreNotCheckedWhenNotAllSourcesAreRead) {
  make_musdb18hq_set(root_);
  LoadOptions options = load_options();
  options.sources = {"drums"};
  EXPECT_EQ(load_songs(root_.path(), options).size(), 3U);
  EXPECT_THAT(remarks_, IsEmpty());
}

TEST_F(Layouts, AnOwnFileNamesGroupsGainsAndSumsOfAnyNumber) {
  write_sound(root_ / "set/one/stems/kit.wav", make_sound(1));
  write_sound(root_ / "set/one/stems/perc.wav", make_sound(2));
  write_sound(root_ / "set/one/bass_a.wav", make_sound(3));
  write_sound(root_ / "set/one/bass_b.wav", make_sound(4));
  write_sound(root_ / "set/two/bass_a.wav", make_sound(5));
  write_text(root_ / "own.json", R"({
    "groups": ["drums", "bass"], "songs": ["{song}/"], "splits": {}, "split_list": "own-splits.json",
    "sources": {"drums": ["{folder}/stems/kit.wav", {"file": ["{folder}/none.wav", "{folder}/stems/perc.wav"], "gain_db": -6}],
                "bass": [{"file": "{folder}/bass_*.wav", "every": true}]}})");
  write_text(root_ / "own-splits.json", R"({"of": "", "splits": {"test": ["two"]}})");
  LoadOptions options = load_options();
  options.sources = {"bass", "drums"};
  options.layout = root_ / "own.json";
  const auto songs = load_songs(root_ / "set", options);
  ASSERT_EQ(songs.size(), 2U);
  EXPECT_LT(difference_db(songs[0].stems[0], sum_of({make_sound(3), make_sound(4)})), -50);
  auto quieter = make_sound(2);
  for (float& sample : quieter) sample *= 0.501187F;
  EXPECT_LT(difference_db(songs[0].stems[1], sum_of({make_sound(1), quieter})), -50);
  options.splits = {"test"};
  EXPECT_EQ(load_songs(root_ / "set", options).at(0).name, "two");
  options.sources = {"bass", "vocals"};
  EXPECT_ERROR(load_songs(root_ / "set", options), ExitCode::kUsage,
               AllOf(HasSubstr("own has no source \"vocals\""), HasSubstr("drums, bass")));
}

TEST_F(Layouts, ASumBeyondFullScaleIsClippedAndToldOf) {
  std::vector<float> loud(2 * 1000, 0.75F);
  write_sound(root_ / "set/one/a.wav", loud);
  write_sound(root_ / "set/one/b.wav", loud);
  write_text(root_ / "own.json",
             R"({"groups": ["x"], "songs": ["{song}/"], "sources": {"x": ["{folder}/a.wav", "{folder}/b.wav"]}})");
  LoadOptions options = load_options();
  options.sources = {"x"};
  options.layout = root_ / "own.json";
  const auto songs = load_songs(root_ / "set", options);
  EXPECT_EQ(songs[0].stems[0][0], 32767);
  EXPECT_THAT(remarks_, ElementsAre(AllOf(HasSubstr("x: 2000 samples"), HasSubstr("clipped"))));
}

TEST_F(Layouts, BrokenLayoutFilesAreRefusedWithTheKey) {
  const auto refused = [&](const std::string& text, const auto& says) {
    SCOPED_TRACE(text);
    EXPECT_ERROR(Layout::parse(text, "own.json", "own"), ExitCode::kBadFile, AllOf(HasSubstr("own.json"), says));
  };
  const std::string good = R"("groups": ["a"], "sources": {"a": ["{folder}/a.wav"]}, "songs": ["{song}/"])";
  Layout::parse("{" + good + "}", "own.json", "own");
  refused("{" + good, HasSubstr("is not JSON"));
  refused("[]", HasSubstr("no JSON object"));
  refused("{}", HasSubstr("has no \"groups\""));
  refused("{" + good + R"(, "mixtures": []})", HasSubstr("unknown key \"mixtures\""));
  refused("{" + good + R"(, "complete": 1})", HasSubstr("\"complete\": expected true or false"));
  refused("{" + good + R"(, "sum_tolerance_db": "-3"})", HasSubstr("\"sum_tolerance_db\": expected a number"));
  refused("{" + good + R"(, "metadata": {}})", HasSubstr("either \"sources\" or \"metadata\""));
  refused("{" + good + R"(, "splits": {"train": 1}})", HasSubstr("\"splits\""));
  refused("{" + good + R"(, "split_list": "none"})", HasSubstr("configs/splits/none.json"));
  refused("{" + good + R"(, "mixture": ["{folder}/{title}.wav"]})", HasSubstr("has no \"title\""));
  refused("{" + good + R"(, "mixture": [{"file": "a.wav", "stream": -1}]})", HasSubstr("\"stream\""));
  refused("{" + good + R"(, "mixture": [{"file": "a.wav", "stream": 1.5}]})", HasSubstr("whole number"));
  refused("{" + good + R"(, "mixture": [{"stream": 1}]})", HasSubstr("has no \"file\""));
  refused("{" + good + R"(, "mixture": ["{folder"]})", HasSubstr("without its }"));
  const auto with_songs = [](const std::string& songs) {
    return R"({"groups": ["a"], "sources": {"a": ["{folder}/a.wav"]}, "songs": )" + songs + "}";
  };
  refused(with_songs("[]"), HasSubstr("\"songs\""));
  refused(with_songs(R"(["{split}/"])"), HasSubstr("has no {song}"));
  refused(with_songs(R"(["{song}{split}/"])"), HasSubstr("two unknowns"));
  refused(with_songs(R"(["{song}*/"])"), HasSubstr("two unknowns"));
  refused(with_songs(R"(["../{song}/"])"), HasSubstr("within the set's folder"));
  refused(R"({"groups": ["a"], "sources": {"b": ["x"]}, "songs": ["{song}/"]})", HasSubstr("\"b\" is not among"));
  const auto with_metadata = [](const std::string& metadata, const std::string& songs = R"(["{song}.json"])") {
    return R"({"groups": ["a"], "songs": )" + songs + R"(, "metadata": )" + metadata + "}";
  };
  const std::string rules = R"("audio": ["{key}.wav"], "groups": [{"field": "f", "values": {"v": "a"}}])";
  Layout::parse(with_metadata(R"({"stems": "stems.*", )" + rules + "}"), "own.json", "own");
  refused(with_metadata(R"({"stems": "stems", )" + rules + "}"), HasSubstr("\"stems\""));
  refused(with_metadata(R"({"stems": "stems.*", )" + rules + "}", R"(["{song}/"])"), HasSubstr("expected files"));
  refused(with_metadata(R"({"stems": "stems.*", "audio": ["x"], "groups": []})"), HasSubstr("a list of rules"));
  refused(with_metadata(R"({"stems": "stems.*", "audio": ["x"], "groups": [{"field": "f", "values": {"v": "b"}}]})"),
          HasSubstr("\"b\" is not among"));
}

TEST_F(Layouts, BrokenMetadataIsRefusedWithFileAndPlace) {
  make_slakh2100_set(root_);
  const std::string path = root_ / "train/Track00001/metadata.yaml";
  const auto refused = [&](const std::string& text, const auto& says) {
    write_bytes(path, text);
    SCOPED_TRACE(text);
    EXPECT_ERROR(load(), ExitCode::kBadFile, AllOf(HasSubstr("Track00001/metadata.yaml"), says));
  };
  refused("stems: [a, b", AllOf(HasSubstr("line "), HasSubstr("is not YAML")));
  refused("", HasSubstr("has no \"stems\""));
  refused("stems: text", HasSubstr("expected a list or a map"));
  refused("stems:\n  S00: text", HasSubstr("stems.S00: expected a stem with its fields"));
  refused("? [a]\n: b", HasSubstr("a key that is no text"));
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "[";
  refused("stems: " + deep + std::string(100, ']'), HasSubstr("too deep"));
  // Each level names the one before ten times: ten to the ninth nodes.
  std::string bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    bomb += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int j = 1; j < 10; ++j) bomb += ", " + before;
    bomb += "]\n";
  }
  refused(bomb, HasSubstr("too large"));
}

TEST_F(Layouts, MetadataMayNotLeadOutOfTheSetNorNameUnknownInstruments) {
  make_medleydb_set(root_);
  const std::string song = "SomeOne_SomeTitle", path = root_ / ("Audio/" + song + "/" + song + "_METADATA.yaml");
  write_bytes(path, medleydb_metadata(song, "kazoo"));
  EXPECT_ERROR(load(), ExitCode::kBadFile,
               AllOf(HasSubstr("stems.S06"), HasSubstr("instrument \"kazoo\""), HasSubstr("medleydb")));
  write_bytes(path, "stem_dir: ../../..\nstems:\n  S01: {instrument: piano, filename: x.wav}\n");
  EXPECT_ERROR(load(), ExitCode::kBadFile, AllOf(HasSubstr("stems.S01"), HasSubstr("not within the set")));
  write_bytes(path, "stems:\n  S01: {instrument: piano, filename: x.wav}\n");
  EXPECT_ERROR(load(), ExitCode::kBadFile, AllOf(HasSubstr("stems.S01"), HasSubstr("has no \"stem_dir\"")));
}

TEST_F(Layouts, EmptyFoldersAndFilesAreRefused) {
  EXPECT_ERROR(load(), ExitCode::kBadFile, AllOf(HasSubstr("no song found"), HasSubstr("musdb18")));
  write_bytes(root_ / "file", "x");
  EXPECT_ERROR(detect_layout(root_ / "file", kGroups), ExitCode::kIo, HasSubstr("folder of songs"));
  EXPECT_ERROR(load_layout("musdb18").list(root_ / "none", kGroups), ExitCode::kIo, HasSubstr("none"));
  LoadOptions options = load_options();
  options.layout = "slakh2100";
  EXPECT_ERROR(load_songs(root_.path(), options), ExitCode::kBadFile, HasSubstr("layout slakh2100 expects"));
  options.layout = root_ / "none.json";
  EXPECT_ERROR(load_songs(root_.path(), options), ExitCode::kIo, HasSubstr("none.json"));
  // A stem without a sample.
  write_sound(root_ / "song/bass.wav", {});
  EXPECT_ERROR(load(), ExitCode::kBadFile, HasSubstr("no song found"));
  EXPECT_THAT(remarks_, ElementsAre(HasSubstr("hold no audio; left out")));
}

}  // namespace
}  // namespace vqcodec::dataset
