#include "dataset/check.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "dataset/layout.h"
#include "tests/base/expect_error.h"
#include "tests/dataset/layout_sets.h"

namespace vqcodec::dataset {

void PrintTo(const Finding& finding, std::ostream* out) {
  *out << (finding.severity == Severity::kError ? "error " : "warning ") << finding.kind << ' ' << finding.song << ": "
       << finding.text;
}

namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

// A finding by severity, kind, song and part of its text.
auto error(const std::string& kind, const std::string& song, const std::string& text) {
  return AllOf(Field(&Finding::severity, Severity::kError), Field(&Finding::kind, kind), Field(&Finding::song, song),
               Field(&Finding::text, HasSubstr(text)));
}
auto warning(const std::string& kind, const std::string& song, const std::string& text) {
  return AllOf(Field(&Finding::severity, Severity::kWarning), Field(&Finding::kind, kind), Field(&Finding::song, song),
               Field(&Finding::text, HasSubstr(text)));
}

class CheckSet : public testing::Test {
 protected:
  void SetUp() override { write_text(root_ / "LICENSE", "\n# CC0-1.0\n\nMore of it.\n"); }
  SetReport check(const CheckOptions& options = {.num_threads = 1}) { return check_set(root_.path(), options); }
  // A song of our own layout, whose parts a test may then overwrite.
  std::string song(const std::string& name = "song", uint32_t seed = 10) {
    write_song(root_ / name, seed);
    return root_ / name;
  }
  const FileReport& file(const SetReport& report, size_t song, const std::string& source) {
    const auto& files = report.songs.at(song).files;
    const auto found = std::ranges::find(files, source, &FileReport::source);
    if (found == files.end()) throw std::runtime_error("no " + source);
    return *found;
  }

  TempDir root_;
};

TEST_F(CheckSet, EveryShippedLayoutsSetIsGoodAsItIsMade) {
  const auto good = [&](const std::string& layout, void (*make)(const TempDir&), const auto& findings) {
    SCOPED_TRACE(layout);
    const TempDir root;
    make(root);
    write_text(root / "LICENSE", "CC0-1.0");
    const SetReport report = check_set(root.path(), CheckOptions());
    EXPECT_EQ(report.layout, layout);
    EXPECT_EQ(report.num_errors(), 0U);
    EXPECT_THAT(report.findings, findings);
  };
  good("stems", make_stems_set, IsEmpty());
  good("musdb18hq", make_musdb18hq_set, IsEmpty());
  good("dsd100", make_dsd100_set, IsEmpty());
  good("slakh2100", make_slakh2100_set, ElementsAre(warning("silence", "", "vocals sounds in no song")));
  good("medleydb", make_medleydb_set,
       UnorderedElementsAre(warning("bleed", "", "1 of 1 songs"),
                            warning("missing", "SomeOne_SomeTitle", "stems.S04: left out")));
  good("moisesdb", make_moisesdb_set, ElementsAre(warning("silence", "", "bass sounds in no song")));
  if (audio::has_ffmpeg()) good("musdb18", make_musdb18_set, IsEmpty());
}

TEST_F(CheckSet, MeasuresLengthsLevelsAndWhatSounds) {
  song();
  std::vector<float> steps(2 * kSetFrames);
  for (size_t t = 0; t < kSetFrames; ++t) {  // sounds in the second of three seconds
    const bool loud = t / kSetRateHz == 1;
    steps[2 * t] = (loud ? 0.5F : 0.0F) * (t % 2 == 0 ? 1.0F : -1.0F);
    steps[2 * t + 1] = (loud ? 0.25F : 0.0F) * (t % 2 == 0 ? 1.0F : -1.0F);
  }
  write_sound(root_ / "song/bass.wav", steps);
  std::filesystem::remove(root_ / "song/mixture.wav");
  const SetReport report = check();
  ASSERT_EQ(report.songs.size(), 1U);
  EXPECT_EQ(report.songs[0].num_frames, kSetFrames);
  EXPECT_EQ(report.songs[0].sample_rate_hz, kSetRateHz);
  EXPECT_THAT(report.songs[0].seconds_sounding, ElementsAre(3, 1, 3, 3));
  EXPECT_FALSE(report.songs[0].residual_db.has_value());
  const FileReport& bass = file(report, 0, "bass");
  EXPECT_EQ(bass.num_frames, kSetFrames);
  EXPECT_EQ(bass.num_channels, 2);
  EXPECT_NEAR(bass.peak, 0.5, 1e-4);
  EXPECT_NEAR(bass.rms_db, 10 * std::log10((0.25 + 0.0625) / 2 / 3), 0.01);
  EXPECT_NEAR(bass.dc, 0, 1e-6);
  EXPECT_EQ(bass.content_hash.size(), 32U);
  EXPECT_THAT(report.licences, ElementsAre("LICENSE: CC0-1.0"));
  EXPECT_THAT(report.findings, IsEmpty());
  // No more is read than asked for.
  const SetReport part = check({.max_seconds = 1.5, .num_threads = 1});
  EXPECT_EQ(part.songs[0].num_frames, kSetRateHz * 3 / 2);
}

TEST_F(CheckSet, TheResidualIsTheEnergyOfWhatTheMixtureLacks) {
  const std::string folder = song();
  auto mixture = sum_of({make_sound(10), make_sound(11), make_sound(12), make_sound(13)});
  SetReport report = check();
  EXPECT_LT(report.songs[0].residual_db.value(), -60);
  for (float& sample : mixture) sample *= 0.5F;  // the difference is as large as the mixture
  write_sound(folder + "/mixture.wav", mixture);
  report = check();
  EXPECT_NEAR(report.songs[0].residual_db.value(), 0, 0.05);
  EXPECT_THAT(report.findings, ElementsAre(error("sum", "song", "expected at most -30.0 dB")));
  EXPECT_EQ(check({.sum_tolerance_db = 1, .num_threads = 1}).num_errors(), 0U);
  // Without all sources there is no sum to hold against the mixture.
  EXPECT_FALSE(check({.sources = {"bass", "drums"}, .num_threads = 1}).songs[0].residual_db.has_value());
}

TEST_F(CheckSet, ClippingIsThreeSamplesInARowAtFullScale) {
  const std::string folder = song();
  std::filesystem::remove(folder + "/mixture.wav");
  auto vocals = make_sound(10);
  const auto clip = [&](size_t at, size_t count, size_t channel, float value) {
    for (size_t t = at; t < at + count; ++t) vocals[2 * t + channel] = value;
  };
  clip(100, 2, 0, 1.0F);
  write_sound(folder + "/vocals.wav", vocals);
  EXPECT_THAT(check().findings, IsEmpty());
  clip(16000, 3, 0, 1.0F);
  clip(16010, 5, 1, -1.0F);
  clip(16383, 4, 0, 1.0F);  // over the border of two blocks
  write_sound(folder + "/vocals.wav", vocals);
  const SetReport report = check();
  const FileReport& measured = file(report, 0, "vocals");
  EXPECT_EQ(measured.num_clipped_runs, 3);
  EXPECT_EQ(measured.num_clipped_samples, 12);
  EXPECT_EQ(measured.longest_clipped_run, 5);
  EXPECT_NEAR(measured.first_clipped_seconds, 1.0, 0.001);
  EXPECT_THAT(report.findings, ElementsAre(warning("clipping", "song", "3 runs")));
}

TEST_F(CheckSet, OffsetsAndSilenceAreWarnings) {
  const std::string folder = song();
  std::filesystem::remove(folder + "/mixture.wav");
  auto bass = make_sound(11);
  for (float& sample : bass) sample += 0.01F;
  write_sound(folder + "/bass.wav", bass);
  write_sound(folder + "/drums.wav", std::vector<float>(2 * kSetFrames));
  write_sound(root_ / "two/drums.wav", std::vector<float>(2 * kSetFrames));  // no duplicate: silence is silence
  EXPECT_THAT(check().findings,
              UnorderedElementsAre(warning("dc", "song", "mean 0.01"), warning("silence", "song", "drums.wav"),
                                   warning("silence", "two", "drums.wav"),
                                   warning("silence", "", "drums sounds in no song")));
}

TEST_F(CheckSet, UnlikeLengthsAreErrorsFromASecondOn) {
  const std::string folder = song();
  std::filesystem::remove(folder + "/mixture.wav");
  write_sound(folder + "/bass.wav", make_sound(11, kSetFrames - 100));
  EXPECT_THAT(check().findings, ElementsAre(warning("length", "song", "by 100 samples (0.006 s)")));
  write_sound(folder + "/bass.wav", make_sound(11, kSetFrames / 2));
  EXPECT_THAT(check().findings,
              ElementsAre(error("length", "song", std::string("the shortest is ").append(folder).append("/bass.wav"))));
}

TEST_F(CheckSet, AnotherSampleRateIsResampledAndToldOf) {
  const std::string folder = song();
  std::filesystem::remove(folder + "/mixture.wav");
  write_sound(folder + "/drums.wav", make_sound(12), kSetRateHz / 2);
  const SetReport report = check();
  EXPECT_THAT(report.findings, UnorderedElementsAre(warning("sample_rate", "song", "8000 Hz"),
                                                    error("length", "song", "by 48000 samples")));
  EXPECT_EQ(file(report, 0, "drums").num_frames, 2 * kSetFrames);
}

TEST_F(CheckSet, TheSameAudioUnderTwoNamesIsFound) {
  song("one", 10);
  song("two", 20);
  std::filesystem::remove(root_ / "two/mixture.wav");
  write_sound(root_ / "two/vocals.flac", make_sound(11));  // one's bass in another format
  std::filesystem::remove(root_ / "two/vocals.wav");
  EXPECT_THAT(check().findings, ElementsAre(error("duplicate", "", "two/vocals.flac is the same audio as")));
}

TEST_F(CheckSet, TheSameAudioAtAnotherLevelOrCodedWithLossIsFound) {
  song("one", 10);
  song("two", 20);
  std::filesystem::remove(root_ / "two/mixture.wav");
  auto quiet = make_sound(12);
  for (float& sample : quiet) sample *= -0.05F;  // and of the other polarity
  write_sound(root_ / "two/other.wav", quiet);
  EXPECT_THAT(check().findings, ElementsAre(warning("duplicate", "", "two/other.wav sounds like")));
  if (!audio::has_ffmpeg()) GTEST_SKIP() << "no ffmpeg program";
  audio::run_ffmpeg("-i " + (root_ / "one/drums.wav") + " -filter:a volume=0.3 -b:a 64k " + (root_ / "two/other.ogg"));
  std::filesystem::remove(root_ / "two/other.wav");
  EXPECT_THAT(check().findings, testing::Contains(warning("duplicate", "", "two/other.ogg sounds like")));
}

TEST_F(CheckSet, FilesThatCannotBeReadAreErrorsAndTheOthersAreMeasured) {
  const std::string folder = song("one", 10);
  song("two", 20);
  write_bytes(folder + "/bass.wav", "no audio");
  const SetReport report = check({.num_threads = 2});
  EXPECT_THAT(report.findings, ElementsAre(error("unreadable", "one", "bass.wav")));
  EXPECT_NE(file(report, 0, "bass").error, "");
  EXPECT_EQ(file(report, 0, "drums").num_frames, kSetFrames);
  EXPECT_FALSE(report.songs[0].residual_db.has_value());
  EXPECT_TRUE(report.songs[1].residual_db.has_value());
}

TEST_F(CheckSet, DamagedMetadataAndMissingFilesAreErrors) {
  make_slakh2100_set(root_);
  write_bytes(root_ / "train/Track00001/metadata.yaml", "stems: [");
  std::filesystem::remove(root_ / "omitted/Track00049/stems/S00.flac");
  const SetReport report = check();
  EXPECT_THAT(report.findings, testing::IsSupersetOf({error("metadata", "", "Track00001/metadata.yaml"),
                                                      error("missing", "omitted/Track00049", "stems/S00.*"),
                                                      error("sum", "omitted/Track00049", "differ by")}));
  EXPECT_EQ(report.num_errors(), 3U);
}

TEST_F(CheckSet, AStemMp4WithTwoStreamsIsAnError) {
  if (!audio::has_ffmpeg()) GTEST_SKIP() << "no ffmpeg program";
  write_stem_mp4(root_ / "train/A - One.stem.mp4", {make_sound(1), make_sound(2)});
  const SetReport report = check();
  EXPECT_THAT(report.findings, testing::Contains(error("unreadable", "train/A - One", "no stream 4")));
  EXPECT_EQ(report.num_errors(), 3U) << "streams 2, 3 and 4";
}

TEST_F(CheckSet, TheSameNameInTwoSplitsIsTold) {
  write_song(root_ / "train/song", 10);
  write_song(root_ / "test/song", 20);
  EXPECT_THAT(check().findings, ElementsAre(warning("name", "song", "in several splits")));
  EXPECT_THAT(check({.splits = {"test"}, .num_threads = 1}).findings, IsEmpty());
}

TEST_F(CheckSet, LicencesAreReadFromAnyOfTheirFiles) {
  song();
  std::filesystem::remove(root_ / "LICENSE");
  EXPECT_THAT(check().findings, ElementsAre(warning("licence", "", "the set tells no licence")));
  write_text(root_ / "licence.json", R"({"licence": "CC-BY-4.0", "holder": "Some One"})");
  write_text(root_ / "sources.tsv", "song\tLicence\r\nsong\tCC0-1.0\r\nother\t\r\n");
  SetReport report = check();
  EXPECT_THAT(report.licences, ElementsAre("licence.json: CC-BY-4.0", "sources.tsv: CC0-1.0 (1)"));
  EXPECT_THAT(report.findings, ElementsAre(warning("licence", "", "sources.tsv: line 3: no licence")));
  write_text(root_ / "licence.json", "{");
  write_text(root_ / "sources.tsv", "song\tfrom\n");
  EXPECT_THAT(check().findings, UnorderedElementsAre(error("licence", "", "licence.json: expected a JSON object"),
                                                     error("licence", "", "sources.tsv: line 1")));
}

TEST_F(CheckSet, ThreadsDoNotChangeTheReport) {
  for (uint32_t i = 0; i < 5; ++i) song(std::string("song ").append(std::to_string(i)), 10 * i);
  write_sound(root_ / "song 3/bass.wav", make_sound(2));
  EXPECT_EQ(to_json(check({.num_threads = 1})).dump(), to_json(check({.num_threads = 4})).dump());
}

TEST_F(CheckSet, ReportsHoldTheFigures) {
  song("one");
  write_sound(root_ / "two/bass.wav", make_sound(50));
  write_sound(root_ / "two/mixture.wav", make_sound(51));
  const SetReport report = check();
  const auto json = to_json(report);
  EXPECT_EQ(json["layout"], "stems");
  EXPECT_EQ(json["num_errors"], 1);
  EXPECT_EQ(json["songs"][0]["files"].size(), 5U);
  EXPECT_EQ(json["songs"][0]["files"][1]["source"], "bass");
  EXPECT_EQ(json["seconds_sounding"]["bass"], 6);
  EXPECT_EQ(json["findings"][0]["kind"], "sum");
  EXPECT_THAT(to_table(report),
              AllOf(HasSubstr("layout stems"), HasSubstr("licence: LICENSE: CC0-1.0"), HasSubstr("one"),
                    HasSubstr("0:06"), HasSubstr("error   sum"), HasSubstr("2 songs, 1 errors, 0 warnings")));
}

TEST_F(CheckSet, WhatIsNoSetIsRefused) {
  EXPECT_ERROR(check(), ExitCode::kBadFile, HasSubstr("no song found"));
  EXPECT_ERROR(check({.layout = "dsd100"}), ExitCode::kBadFile, HasSubstr("layout dsd100 expects"));
  EXPECT_ERROR(check_set(root_ / "LICENSE", {}), ExitCode::kIo, HasSubstr("LICENSE"));
  song();
  EXPECT_ERROR(check({.splits = {"train"}}), ExitCode::kUsage, HasSubstr("none (1)"));
}

}  // namespace
}  // namespace vqcodec::dataset
