#include "dataset/midi.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <nlohmann/json.hpp>

#include "tests/base/expect_error.h"
#include "tests/base/temp_dir.h"

namespace vqcodec::dataset {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Bytes = std::vector<uint8_t>;

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

const Bytes kEnd = {0, 0xFF, 0x2F, 0};

Bytes header(uint8_t format, uint8_t num_tracks, uint8_t division = 96) {
  return {'M', 'T', 'h', 'd', 0, 0, 0, 6, 0, format, 0, num_tracks, 0, division};
}

Bytes track(const Bytes& events) {
  const size_t size = events.size();
  return Bytes{'M', 'T', 'r', 'k', 0, 0, static_cast<uint8_t>(size >> 8), static_cast<uint8_t>(size)} + events;
}

MidiSong parse(const Bytes& bytes) { return parse_midi(bytes, "a.mid"); }
MidiSong parse_one(const Bytes& events) { return parse(header(0, 1) + track(events)); }

TEST(MidiReader, ReadsNotesWithTimesProgramsAndVelocities) {
  const MidiSong song = parse_one(Bytes{0,  0xC1, 33, 0, 0x91, 40,   100, 96, 0x81, 40, 64, 0,  0x91, 45, 90,
                                        48, 0x91, 45, 0, 0,    0xC1, 5,   0,  0x91, 50, 1,  24, 50,   0} +
                                  kEnd);
  ASSERT_EQ(song.notes.size(), 3U);
  EXPECT_EQ(song.notes[0], (MidiNote{.start_ticks = 0,
                                     .end_ticks = 96,
                                     .start_seconds = 0,
                                     .end_seconds = 0.5,
                                     .start_beats = 0,
                                     .end_beats = 1,
                                     .track = 0,
                                     .channel = 1,
                                     .key = 40,
                                     .velocity = 100,
                                     .program = 33}));
  EXPECT_EQ(song.notes[1].end_beats, 1.5);
  EXPECT_EQ(song.notes[2].program, 5);
  EXPECT_EQ(song.notes[2].velocity, 1);
  EXPECT_EQ(song.end_ticks, 168);
  EXPECT_EQ(song.end_seconds, 0.875);
  EXPECT_THAT(song.remarks, IsEmpty());
}

TEST(MidiReader, RunningStatusGoesOnAfterMetaAndSysex) {
  const MidiSong song = parse_one(
      Bytes{0, 0x90, 60, 80, 10, 0xF0, 2, 0x7E, 0xF7, 0, 62, 80, 0, 0xFF, 1, 1, 'x', 10, 60, 0, 0, 62, 0} + kEnd);
  ASSERT_EQ(song.notes.size(), 2U);
  EXPECT_EQ(song.notes[0].end_ticks, 20);
  EXPECT_EQ(song.notes[1].start_ticks, 10);
  EXPECT_THAT(song.texts, ElementsAre(MidiText{10, 0, 1, "x"}));
}

TEST(MidiReader, ANoteStruckAgainEndsAndLongWaitsAreRead) {
  const MidiSong song = parse_one(Bytes{0, 0x90, 60, 80, 0x83, 0x00, 60, 90, 0x87, 0x40, 60, 0} + kEnd);
  ASSERT_EQ(song.notes.size(), 2U);
  EXPECT_EQ(song.notes[0].end_ticks, 384);
  EXPECT_EQ(song.notes[1].start_ticks, 384);
  EXPECT_EQ(song.notes[1].end_ticks, 384 + 960);
}

TEST(MidiReader, ControlsAndPitchBendsAreKept) {
  const MidiSong song = parse_one(
      Bytes{0, 0xB2, 7, 100, 5, 0xE2, 0, 0x40, 1, 0xE2, 0x7F, 0x7F, 1, 0xE2, 0, 0, 0, 0xD2, 9, 0, 0xA2, 60, 8} + kEnd);
  ASSERT_EQ(song.controls.size(), 6U);
  EXPECT_EQ(song.controls[0], (MidiControl{0, 0, 0, MidiControlKind::kController, 2, 7, 100}));
  EXPECT_EQ(song.controls[1].value, 0);
  EXPECT_EQ(song.controls[2].value, 8191);
  EXPECT_EQ(song.controls[3].value, -8192);
  EXPECT_EQ(song.controls[4].kind, MidiControlKind::kChannelPressure);
  EXPECT_EQ(song.controls[4].value, 9);
  EXPECT_EQ(song.controls[5].number, 60);
}

TEST(MidiReader, AllNotesOffReleasesTheChannel) {
  const MidiSong song = parse_one(Bytes{0, 0x90, 60, 80, 0, 0x91, 60, 80, 50, 0xB0, 123, 0, 10, 0x81, 60, 0} + kEnd);
  ASSERT_EQ(song.notes.size(), 2U);
  EXPECT_EQ(song.notes[0].end_ticks, 50);
  EXPECT_EQ(song.notes[1].end_ticks, 60);
}

TEST(MidiReader, TempoMapGivesSeconds) {
  // 120 beats a minute for two quarters, then 60 from the second track's point of view too, then 240.
  const Bytes tempi = Bytes{0x81, 0x40, 0xFF, 0x51, 3, 0x0F, 0x42, 0x40, 96, 0xFF, 0x51, 3, 0x03, 0xD0, 0x90} + kEnd;
  const Bytes notes = Bytes{96, 0x90, 60, 80, 0x81, 0x40, 60, 0, 96, 61, 80, 96, 61, 0} + kEnd;
  const MidiSong song = parse(header(1, 2) + track(tempi) + track(notes));
  ASSERT_EQ(song.tempi.size(), 3U);
  EXPECT_EQ(song.tempi[0].quarter_microseconds, 500000U);  // where the file says nothing
  EXPECT_EQ(song.tempi[1].seconds, 1.0);
  EXPECT_EQ(song.tempi[2].seconds, 2.0);
  ASSERT_EQ(song.notes.size(), 2U);
  EXPECT_EQ(song.notes[0].start_seconds, 0.5);
  EXPECT_EQ(song.notes[0].end_seconds, 2.0);
  EXPECT_EQ(song.notes[1].start_seconds, 2.25);
  EXPECT_EQ(song.notes[1].end_seconds, 2.5);
  EXPECT_EQ(song.seconds_at(0), 0);
  EXPECT_EQ(song.seconds_at(192 + 48), 1.5);
  EXPECT_EQ(song.seconds_at(288 + 96 * 4), 3.0);
}

TEST(MidiReader, SignaturesNamesAndUnknownChunks) {
  const Bytes first =
      Bytes{0, 0xFF, 3, 4, 'S', 'o', 'n', 'g', 0, 0xFF, 0x58, 4, 6, 3, 36, 8, 96, 0xFF, 0x59, 2, 0xFD, 1} + kEnd;
  const Bytes second = Bytes{0, 0xFF, 3, 1, 'B', 0, 0xFF, 3, 1, 'C'} + kEnd;
  const Bytes other = {'X', 'F', 'I', 'H', 0, 0, 0, 2, 1, 2};
  const MidiSong song = parse(header(1, 2) + other + track(first) + other + track(second));
  EXPECT_THAT(song.track_names, ElementsAre("Song", "B"));
  EXPECT_THAT(song.time_signatures, ElementsAre(MidiTimeSignature{0, 6, 8}));
  EXPECT_THAT(song.key_signatures, ElementsAre(MidiKeySignature{96, -3, true}));
}

TEST(MidiReader, WhatIsForgivenIsTold) {
  const MidiSong song = parse(header(0, 1) + track({0, 0x90, 60, 80, 10, 0x80, 61, 0}) + Bytes{1, 2, 3});
  EXPECT_THAT(song.remarks, ElementsAre("track 0 has no end mark", "3 bytes after the last track",
                                        "1 notes are never released and last to the end", "1 releases have no note"));
  EXPECT_EQ(song.notes[0].end_ticks, 10);
  EXPECT_THAT(parse_one(kEnd + Bytes{9, 9}).remarks, ElementsAre("2 bytes after the end of track 0"));
}

TEST(MidiReader, GroupsByChannelProgramAndName) {
  const Bytes melody =
      Bytes{0, 0xFF, 3, 11, 'L', 'e', 'a', 'd', ' ', 'V', 'o', 'c', 'a', 'l', 's', 0, 0x93, 60, 80, 9, 60, 0} + kEnd;
  const Bytes rest =
      Bytes{0,    0xC0, 31, 0,    0x90, 60, 80, 1,    0xC0, 32, 0,    0x90, 61, 80, 1,    0xC0, 39, 0, 0x90, 62,  80, 1,
            0xC0, 40,   0,  0x90, 63,   80, 1,  0xC9, 33,   0,  0x99, 36,   80, 4,  0xB0, 123,  0,  0, 0xB9, 123, 0} +
      kEnd;
  const MidiSong song = parse(header(1, 2) + track(melody) + track(rest));
  ASSERT_EQ(song.notes.size(), 6U);
  std::vector<std::string> plain, with_melody;
  for (const MidiNote& note : song.notes) {
    plain.emplace_back(midi_group_name(midi_group(song, note)));
    with_melody.emplace_back(midi_group_name(midi_group(song, note, true)));
  }
  EXPECT_THAT(plain, ElementsAre("other", "other", "bass", "bass", "other", "drums"));
  EXPECT_THAT(with_melody, ElementsAre("melody", "other", "bass", "bass", "other", "drums"));
}

TEST(MidiReader, EveryBadFileIsRefusedAtItsByte) {
  const std::string folder = std::string(std::getenv("VQCODEC_SOURCE_DIR")) + "/tests/data/bad/midi/";
  const auto expected = nlohmann::json::parse(std::ifstream(folder + "expected.json"));
  EXPECT_GE(expected.size(), 39U);
  for (const auto& [name, error] : expected.items()) {
    SCOPED_TRACE(name);
    const std::string path = folder + name + ".mid";
    const std::string where = path + ": byte " + std::to_string(error["offset"].get<int>()) + ": ";
    EXPECT_ERROR(read_midi(path), ExitCode::kBadFile,
                 AllOf(HasSubstr(where), HasSubstr(error["says"].get<std::string>())));
  }
}

TEST(MidiReader, NoPrefixAndNoFlippedByteDoesHarm) {
  MidiSong song = parse_one(
      Bytes{0, 0xFF, 3, 1, 'B', 0, 0xC1, 33, 0, 0xFF, 0x51, 3, 7, 0, 0, 0, 0x91, 40, 100, 96, 40, 0, 3, 0xE1, 0, 9} +
      kEnd);
  const Bytes bytes = write_midi(song);
  int num_read = 0;
  const auto try_it = [&](const Bytes& bad) {
    try {
      parse(bad);
      ++num_read;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::kBadFile) << error.what();
      EXPECT_THAT(error.what(), HasSubstr("a.mid: byte "));
    }
  };
  for (size_t size = 0; size < bytes.size(); ++size) try_it({bytes.begin(), bytes.begin() + static_cast<long>(size)});
  EXPECT_EQ(num_read, 0);  // no prefix of a whole file is a whole file
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      Bytes bad = bytes;
      bad[i] = static_cast<uint8_t>(bad[i] ^ (1 << bit));
      try_it(bad);
    }
  }
}

TEST(MidiReader, FilesThatCannotBeReadAndHugeOnes) {
  const TempDir dir;
  EXPECT_ERROR(read_midi(dir / "none.mid"), ExitCode::kIo, HasSubstr("none.mid: cannot be read"));
  EXPECT_ERROR(read_midi(dir.path()), ExitCode::kIo, HasSubstr("cannot be read"));
  write_bytes(dir / "huge.mid", std::string(kMaxMidiBytes + 1, 'M'));
  EXPECT_ERROR(read_midi(dir / "huge.mid"), ExitCode::kBadFile, HasSubstr("more than 16 MiB"));
}

MidiSong make_song(int format) {
  MidiSong song;
  song.format = format;
  song.ticks_per_quarter = 30000;
  song.track_names = format == 0 ? std::vector<std::string>{"All"} : std::vector<std::string>{"Song", "Bass", "Drums"};
  const auto last = static_cast<uint16_t>(song.track_names.size() - 1);
  const auto bass = std::min<uint16_t>(1, last);
  song.tempi = {{0, 0, 480000}, {960, 0, 600001}, {2000, 0, 16777215}};
  song.time_signatures = {{0, 3, 4}, {960, 7, 8}};
  song.key_signatures = {{0, -7, true}, {960, 7, false}};
  song.texts = {{0, 0, 6, "verse"}, {960, bass, 5, "la\xFF"}};
  song.controls = {{0, 0, bass, MidiControlKind::kProgram, 1, 0, 35},
                   {0, 0, bass, MidiControlKind::kController, 1, 7, 127},
                   {300, 0, bass, MidiControlKind::kPitchBend, 1, 0, -8192},
                   {301, 0, bass, MidiControlKind::kPitchBend, 1, 0, 8191},
                   {302, 0, last, MidiControlKind::kChannelPressure, 9, 0, 1},
                   {303, 0, last, MidiControlKind::kKeyPressure, 9, 36, 2}};
  for (int i = 0; i < 200; ++i) {
    song.notes.push_back({.start_ticks = 60 * i,
                          .end_ticks = 60 * i + 60,
                          .track = bass,
                          .channel = 1,
                          .key = static_cast<uint8_t>(28 + i % 2),
                          .velocity = 100});
    song.notes.push_back({.start_ticks = 60 * i,
                          .end_ticks = 60 * i,
                          .track = last,
                          .channel = 9,
                          .key = 36,
                          .velocity = static_cast<uint8_t>(1 + i % 127)});
  }
  song.end_ticks = (1 << 28) + 5 * 240;  // a wait that one step cannot hold
  time_midi(song);
  return song;
}

TEST(MidiWriter, WhatIsWrittenIsReadBack) {
  for (const int format : {0, 1}) {
    SCOPED_TRACE(format);
    MidiSong song = make_song(format);
    song.tempi.pop_back();  // else it would last for days
    time_midi(song);
    const MidiSong again = parse(write_midi(song));
    EXPECT_EQ(again.format, format);
    EXPECT_EQ(again.ticks_per_quarter, 30000);
    EXPECT_EQ(again.track_names, song.track_names);
    EXPECT_EQ(again.tempi, song.tempi);
    EXPECT_EQ(again.time_signatures, song.time_signatures);
    EXPECT_EQ(again.key_signatures, song.key_signatures);
    EXPECT_EQ(again.texts, song.texts);
    EXPECT_EQ(again.controls, song.controls);
    EXPECT_EQ(again.notes, song.notes);
    EXPECT_EQ(again.end_ticks, song.end_ticks);
    EXPECT_EQ(again.end_seconds, song.end_seconds);
    EXPECT_THAT(again.remarks, IsEmpty());
  }
}

TEST(MidiWriter, BytesAreThoseOfTheStandard) {
  MidiSong song;
  song.format = 0;
  song.ticks_per_quarter = 96;
  song.tempi = {{0, 0, 500000}};
  song.notes = {{.start_ticks = 0, .end_ticks = 200, .key = 60, .velocity = 64}};
  const Bytes events = Bytes{0, 0xFF, 0x51, 3, 7, 0xA1, 0x20, 0, 0x90, 60, 64, 0x81, 0x48, 60, 0} + kEnd;
  EXPECT_EQ(write_midi(song), header(0, 1) + track(events));
}

TEST(MidiWriter, WrongValuesAreInternalErrors) {
  const auto refuses = [](auto change, const char* says) {
    MidiSong song = make_song(1);
    change(song);
    EXPECT_ERROR(write_midi(song), ExitCode::kInternal, HasSubstr(says));
  };
  refuses([](MidiSong& s) { s.format = 2; }, "type");
  refuses([](MidiSong& s) { s.ticks_per_quarter = 0; }, "division");
  refuses([](MidiSong& s) { s.tempi[0].quarter_microseconds = 1 << 24; }, "tempo");
  refuses([](MidiSong& s) { s.tempi[0].ticks = -1; }, "time");
  refuses([](MidiSong& s) { s.time_signatures[0].denominator = 3; }, "time signature");
  refuses([](MidiSong& s) { s.key_signatures[0].sharps = 8; }, "key signature");
  refuses([](MidiSong& s) { s.texts[0].type = 3; }, "type of text");
  refuses([](MidiSong& s) { s.notes[0].velocity = 0; }, "note");
  refuses([](MidiSong& s) { s.notes[0].end_ticks = -5; }, "note");
  refuses([](MidiSong& s) { s.controls[1].value = 128; }, "value of a control");
  refuses([](MidiSong& s) { s.controls[2].value = 8192; }, "pitch bend");
  refuses([](MidiSong& s) { s.format = 0; }, "track for type 0");
}

TEST(ListMidiFiles, FindsBothExtensionsInAnyCaseSorted) {
  const TempDir dir;
  std::filesystem::create_directories(dir / "b/c.mid");  // a folder
  for (const char* name : {"z.mid", "b/A.MID", "b/x.Midi", "a.midi.txt", "mid"}) std::ofstream(dir / name) << "?";
  EXPECT_THAT(list_midi_files(dir.path()), ElementsAre("b/A.MID", "b/x.Midi", "z.mid"));
  EXPECT_ERROR(list_midi_files(dir / "none"), ExitCode::kIo, HasSubstr("none: the folder cannot be read"));
}

}  // namespace
}  // namespace vqcodec::dataset
