// vqdata sing, run as a person would, with a voice that a script plays: no voice needs to be installed.
#include <sys/stat.h>

#include <cmath>
#include <string>

#include "dataset/midi.h"
#include "tests/apps/vqcodec_program.h"

namespace vqcodec::apps {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

std::string number(size_t value, int bytes) {
  std::string text;
  for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i) & 255);
  return text;
}

class DataSing : public testing::Test {
 protected:
  DataSing() {
    // Three words: a sawtooth of 120 Hz each, with pauses.
    std::string samples;
    for (int i = 0; i < 3 * 16000; ++i) {
      const int at = i % 16000;
      const double value = at < 5000 || at > 11000 ? 0 : 6000 * (std::fmod(at * 120.0 / 16000, 1.0) - 0.5);
      samples += number(static_cast<uint16_t>(static_cast<int16_t>(value)), 2);
    }
    const std::string wav = "RIFF" + number(36 + samples.size(), 4) + "WAVEfmt " + number(16, 4) + number(1, 2) +
                            number(1, 2) + number(16000, 4) + number(32000, 4) + number(2, 2) + number(16, 2) + "data" +
                            number(samples.size(), 4) + samples;
    write_bytes(dir_ / "speech.wav", wav);
    std::filesystem::create_directory(dir_ / "bin");
    set_voice("exec /bin/cat " + (dir_ / "speech.wav"));
    write_song("song.mid", {"Melody", "Piano"});
  }

  // What espeak-ng is on the path of the program under test.
  void set_voice(const std::string& script) {
    write_bytes(dir_ / "bin/espeak-ng", "#!/bin/sh\n" + script + "\n");
    chmod((dir_ / "bin/espeak-ng").c_str(), 0755);
  }

  // One channel a track, four notes each.
  void write_song(const std::string& name, const std::vector<std::string>& tracks) {
    dataset::MidiSong song;
    song.track_names = tracks;
    song.tempi = {{}};
    for (size_t track = 0; track < tracks.size(); ++track) {
      for (int i = 0; i < 4; ++i) {
        dataset::MidiNote note;
        note.start_ticks = 480 * i;
        note.end_ticks = note.start_ticks + 470;
        note.track = static_cast<uint16_t>(track);
        note.channel = static_cast<uint8_t>(track);
        note.key = static_cast<uint8_t>(55 + 2 * i);
        note.velocity = 90;
        song.notes.push_back(note);
      }
    }
    dataset::time_midi(song);
    const std::vector<uint8_t> bytes = dataset::write_midi(song);
    write_bytes(dir_ / name, std::string(bytes.begin(), bytes.end()));
  }

  Outcome sing(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "sing");
    RunOptions options;
    options.program = std::string(std::getenv("VQCODEC_BIN_DIR")) + "/vqdata";
    options.environment["PATH"] = dir_ / "bin";
    return run(arguments, options);
  }

  void fails(const std::vector<std::string>& arguments, ExitCode code, const std::string& says) {
    const Outcome outcome = sing(arguments);
    EXPECT_EQ(outcome.exit_code, static_cast<int>(code)) << testing::PrintToString(arguments) << outcome.err;
    EXPECT_THAT(outcome.err, StartsWith("vqdata: "));
    EXPECT_THAT(outcome.err, HasSubstr(says));
    EXPECT_THAT(outcome.out, IsEmpty());
    EXPECT_FALSE(std::filesystem::exists(dir_ / "bad.wav"));
  }

  TempDir dir_;
};

TEST_F(DataSing, TheMelodyIsSungTheSameEveryTime) {
  const Outcome first = sing({dir_ / "song.mid", "-o", dir_ / "a.wav", "--seed", "5"});
  ASSERT_EQ(first.exit_code, 0) << first.err;
  EXPECT_THAT(first.out, StartsWith("4 notes, 2.3 s, sung by espeak:"));
  const Outcome second = sing({dir_ / "song.mid", "-o", dir_ / "b.wav", "--seed", "5", "--quiet"});
  ASSERT_EQ(second.exit_code, 0) << second.err;
  EXPECT_THAT(second.out, IsEmpty());
  EXPECT_TRUE(read_bytes(dir_ / "a.wav") == read_bytes(dir_ / "b.wav"));
  EXPECT_GT(read_bytes(dir_ / "a.wav").size(), 2.2 * 44100 * 4);
  const Outcome third = sing({dir_ / "song.mid", "-o", dir_ / "c.flac", "--drawn", "--doubles", "1", "--harmony",
                              "2,-5", "--voice", "espeak:en-us+f2", "--channel", "2", "--json"});
  ASSERT_EQ(third.exit_code, 0) << third.err;
  EXPECT_THAT(third.out, HasSubstr("\"voice\": \"espeak:en-us+f2\""));
}

TEST_F(DataSing, ListsVoices) {
  const Outcome list = sing({"--list-voices"});
  EXPECT_EQ(list.exit_code, 0) << list.err;
  EXPECT_THAT(list.out, HasSubstr("espeak:en-us+f2"));
  EXPECT_THAT(list.out, HasSubstr("female"));
}

TEST_F(DataSing, SaysWhatIsWrong) {
  const std::string song = dir_ / "song.mid", bad = dir_ / "bad.wav";
  fails({}, ExitCode::kUsage, "the MIDI file is missing");
  fails({song}, ExitCode::kUsage, "-o FILE is missing");
  fails({song, "-o", bad, "--loud"}, ExitCode::kUsage, "loud");
  fails({song, "-o", bad, "--channel", "17"}, ExitCode::kUsage, "--channel: expected 1 to 16");
  fails({song, "-o", bad, "--channel", "9"}, ExitCode::kUsage, "channel 9 has no notes; there are 1 (4 notes), 2");
  fails({song, "-o", bad, "--harmony", "third"}, ExitCode::kUsage, "--harmony: expected steps");
  fails({song, "-o", bad, "--formants", "3"}, ExitCode::kUsage, "formant_ratio");
  fails({song, "-o", bad, "--voice", "nobody"}, ExitCode::kUsage, "there is no voice \"nobody\"");
  fails({song, "-o", dir_ / "bad.mp3"}, ExitCode::kUsage, "bad.mp3");
  fails({dir_ / "none.mid", "-o", bad}, ExitCode::kIo, "none.mid");
  write_bytes(dir_ / "text.mid", "no MIDI");
  fails({dir_ / "text.mid", "-o", bad}, ExitCode::kBadFile, "text.mid");
  write_song("two.mid", {"Lead", "Piano"});
  fails({dir_ / "two.mid", "-o", bad}, ExitCode::kUsage, "no track is named as a melody; say --channel");
  set_voice("echo it does not speak >&2; exit 2");
  fails({song, "-o", bad}, ExitCode::kIo, "ended with status 2: it does not speak");
  std::filesystem::remove(dir_ / "bin/espeak-ng");
  fails({song, "-o", bad}, ExitCode::kIo, "install espeak-ng");
}

}  // namespace
}  // namespace vqcodec::apps
