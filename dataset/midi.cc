#include "dataset/midi.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>

#include "base/error.h"

namespace vqcodec::dataset {

namespace {

constexpr int64_t kMaxTicks = INT32_MAX;
constexpr uint32_t kDefaultTempo = 500000;

std::string hex(unsigned value) {
  char text[16];
  std::snprintf(text, sizeof text, "0x%02X", value);
  return text;
}

// A note-on, note-off or control in the order of the file.
struct ChannelEvent {
  int64_t ticks;
  uint16_t track;
  uint8_t status, first, second;
};

class Parser {
 public:
  Parser(std::span<const uint8_t> bytes, const std::string& name) : bytes_(bytes), name_(name), end_(bytes.size()) {}

  MidiSong parse() {
    if (bytes_.size() < 4 || std::memcmp(bytes_.data(), "MThd", 4) != 0) {
      fail(0, "this is no Standard MIDI File: it does not begin with \"MThd\"");
    }
    at_ = 4;
    const uint32_t header_size = big_endian(4, "the header's size");
    if (header_size < 6) fail(4, "the header has " + std::to_string(header_size) + " bytes, expected at least 6");
    if (header_size > end_ - at_) fail(4, "the header is cut short");
    const size_t after_header = at_ + header_size;
    song_.format = static_cast<int>(big_endian(2, "the type"));
    const uint32_t num_tracks = big_endian(2, "the number of tracks");
    const uint32_t division = big_endian(2, "the division");
    if (song_.format > 1) {
      fail(8, "the file is of type " + std::to_string(song_.format) +
                  ", whose tracks are songs of their own; types 0 and 1 are supported");
    }
    if (num_tracks == 0) fail(10, "the file has no tracks");
    if (song_.format == 0 && num_tracks != 1) {
      fail(10, "a file of type 0 has one track, this one has " + std::to_string(num_tracks));
    }
    if ((division & 0x8000) != 0) {
      fail(12, "time is counted in SMPTE frames (division " + hex(division) +
                   "), which says nothing about beats; save the file with ticks per quarter note");
    }
    if (division == 0) fail(12, "a quarter note has 0 ticks");
    song_.ticks_per_quarter = static_cast<int>(division);
    at_ = after_header;
    for (uint32_t track = 0; track < num_tracks;) {
      if (at_ == bytes_.size()) {
        fail(at_, "the file ends after " + std::to_string(track) + " of " + std::to_string(num_tracks) + " tracks");
      }
      const size_t chunk = at_;
      const uint32_t tag = big_endian(4, "the chunk's name");
      const uint32_t size = big_endian(4, "the chunk's size");
      if (size > bytes_.size() - at_) {
        fail(chunk, "the chunk should have " + std::to_string(size) + " bytes, but the file ends after " +
                        std::to_string(bytes_.size() - at_));
      }
      if (tag != 0x4D54726B) {  // "MTrk"
        at_ += size;
        continue;
      }
      end_ = at_ + size;
      song_.track_names.emplace_back();
      parse_track(static_cast<uint16_t>(track++));
      at_ = end_;
      end_ = bytes_.size();
    }
    if (at_ < bytes_.size()) remark(bytes_.size() - at_, "bytes after the last track");
    pair_notes();
    time_midi(song_);
    if (song_.end_seconds > kMaxMidiSeconds) {
      fail(bytes_.size(), "the song lasts " + std::to_string(song_.end_seconds / 3600) + " h, expected at most 24 h");
    }
    return std::move(song_);
  }

 private:
  [[noreturn]] void fail(size_t offset, const std::string& what) const {
    throw Error(ExitCode::kBadFile, name_ + ": byte " + std::to_string(offset) + ": " + what);
  }
  void remark(size_t count, const std::string& what) { song_.remarks.push_back(std::to_string(count) + " " + what); }

  void need(size_t count, const char* what) const {
    if (end_ - at_ < count) fail(at_, std::string(what) + " is cut short");
  }
  uint32_t big_endian(size_t count, const char* what) {
    need(count, what);
    uint32_t value = 0;
    for (size_t i = 0; i < count; ++i) value = value << 8 | bytes_[at_++];
    return value;
  }
  uint32_t variable_length(const char* what) {
    const size_t start = at_;
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i) {
      need(1, what);
      const uint8_t byte = bytes_[at_++];
      value = value << 7 | (byte & 0x7F);
      if (byte < 0x80) return value;
    }
    fail(start, std::string(what) + " has more than four bytes");
  }
  std::span<const uint8_t> block(const char* what) {
    const size_t start = at_;
    const uint32_t size = variable_length(what);
    if (size > end_ - at_) {
      fail(start, std::string(what) + " should have " + std::to_string(size) + " bytes, but the track ends after " +
                      std::to_string(end_ - at_));
    }
    at_ += size;
    return bytes_.subspan(at_ - size, size);
  }
  uint8_t data_byte() {
    need(1, "a channel message");
    const uint8_t byte = bytes_[at_];
    if (byte > 0x7F) fail(at_, "a channel message has the byte " + hex(byte) + ", expected at most 0x7F");
    ++at_;
    return byte;
  }

  void parse_track(uint16_t track) {
    int64_t ticks = 0;
    uint8_t running = 0;
    bool has_end = false;
    while (at_ < end_ && !has_end) {
      const size_t event = at_;
      ticks += variable_length("a time");
      if (ticks > kMaxTicks) fail(event, "the event is at tick " + std::to_string(ticks) + ", expected below 2^31");
      need(1, "an event");
      uint8_t status = bytes_[at_];
      if (status < 0x80) {
        if (running == 0) fail(at_, "the track has the data byte " + hex(status) + " where a message should begin");
        status = running;
      } else {
        ++at_;
      }
      if (status == 0xFF) {
        has_end = parse_meta(ticks, track);
      } else if (status == 0xF0 || status == 0xF7) {
        block("a system exclusive message");
      } else if (status >= 0xF0) {
        fail(at_ - 1, "the track has the system message " + hex(status) + ", which has no place in a file");
      } else {
        running = status;
        const unsigned kind = status >> 4;
        const uint8_t first = data_byte();
        const uint8_t second = kind == 0xC || kind == 0xD ? uint8_t{0} : data_byte();
        events_.push_back({ticks, track, status, first, second});
      }
      song_.end_ticks = std::max(song_.end_ticks, ticks);
    }
    if (!has_end) song_.remarks.push_back("track " + std::to_string(track) + " has no end mark");
    if (at_ < end_) remark(end_ - at_, "bytes after the end of track " + std::to_string(track));
  }

  // True for the end of the track.
  bool parse_meta(int64_t ticks, uint16_t track) {
    const size_t start = at_ - 1;
    need(1, "a meta event");
    const uint8_t type = bytes_[at_++];
    const std::span<const uint8_t> data = block("a meta event");
    const auto expect_size = [&](size_t size, const char* what) {
      if (data.size() != size) {
        fail(start,
             std::string(what) + " has " + std::to_string(data.size()) + " bytes, expected " + std::to_string(size));
      }
    };
    if (type == 0x2F) return true;
    if (type == 0x51) {
      expect_size(3, "the tempo");
      const uint32_t tempo = static_cast<uint32_t>(data[0] << 16 | data[1] << 8 | data[2]);
      if (tempo == 0) fail(start, "the tempo is 0 microseconds a quarter note");
      song_.tempi.push_back({ticks, 0, tempo});
    } else if (type == 0x58) {
      expect_size(4, "the time signature");
      if (data[0] == 0 || data[1] > 6) {
        fail(start, "the time signature is " + std::to_string(data[0]) + " over 2 to the power of " +
                        std::to_string(data[1]) + ", expected at least 1 over at most 2 to the power of 6");
      }
      song_.time_signatures.push_back({ticks, data[0], static_cast<uint16_t>(1 << data[1])});
    } else if (type == 0x59) {
      expect_size(2, "the key signature");
      const int sharps = static_cast<int8_t>(data[0]);
      if (sharps < -7 || sharps > 7 || data[1] > 1) {
        fail(start, "the key signature is " + std::to_string(sharps) + ", " + std::to_string(data[1]) +
                        ", expected -7 to 7 and 0 or 1");
      }
      song_.key_signatures.push_back({ticks, static_cast<int8_t>(sharps), data[1] == 1});
    } else if (type >= 1 && type <= 15) {
      std::string text(data.begin(), data.end());
      if (type != 3) {
        song_.texts.push_back({ticks, track, type, std::move(text)});
      } else if (song_.track_names[track].empty()) {
        song_.track_names[track] = std::move(text);
      }
    }
    return false;
  }

  void pair_notes() {
    std::ranges::stable_sort(events_, {}, &ChannelEvent::ticks);
    constexpr size_t kNone = SIZE_MAX;
    std::array<size_t, 16 * 128> sounding;  // index into notes
    sounding.fill(kNone);
    size_t num_stray = 0;
    const auto release = [&](size_t slot, int64_t ticks) {
      if (sounding[slot] != kNone) song_.notes[sounding[slot]].end_ticks = ticks;
      sounding[slot] = kNone;
    };
    for (const ChannelEvent& event : events_) {
      const unsigned kind = event.status >> 4;
      const auto channel = static_cast<uint8_t>(event.status & 15);
      const size_t slot = channel * 128U + event.first;
      if (kind == 0x9 && event.second > 0) {
        release(slot, event.ticks);  // struck again
        sounding[slot] = song_.notes.size();
        song_.notes.push_back({.start_ticks = event.ticks,
                               .end_ticks = event.ticks,
                               .track = event.track,
                               .channel = channel,
                               .key = event.first,
                               .velocity = event.second});
      } else if (kind == 0x8 || kind == 0x9) {
        if (sounding[slot] == kNone) ++num_stray;
        release(slot, event.ticks);
      } else {
        MidiControl control{.ticks = event.ticks,
                            .track = event.track,
                            .kind = static_cast<MidiControlKind>(kind),
                            .channel = channel,
                            .number = event.first,
                            .value = event.second};
        if (kind == 0xC || kind == 0xD) {
          control.number = 0;
          control.value = event.first;
        } else if (kind == 0xE) {
          control.number = 0;
          control.value = static_cast<int16_t>((event.second << 7 | event.first) - 8192);
        }
        song_.controls.push_back(control);
        if (kind == 0xB && (event.first == 120 || event.first >= 123)) {  // all sound off, all notes off
          for (size_t key = 0; key < 128; ++key) release(channel * 128U + key, event.ticks);
        }
      }
    }
    size_t num_open = 0;
    for (const size_t note : sounding) {
      if (note == kNone) continue;
      song_.notes[note].end_ticks = song_.end_ticks;
      ++num_open;
    }
    if (num_open > 0) remark(num_open, "notes are never released and last to the end");
    if (num_stray > 0) remark(num_stray, "releases have no note");
  }

  std::span<const uint8_t> bytes_;
  const std::string& name_;
  size_t at_ = 0, end_;  // of the file or of the track being read
  MidiSong song_;
  std::vector<ChannelEvent> events_;
};

// Ticks that only grow, to seconds.
class Clock {
 public:
  explicit Clock(const MidiSong& song) : song_(song) {}
  void restart() { tempo_ = 0; }
  double at(int64_t ticks) {
    while (tempo_ + 1 < song_.tempi.size() && song_.tempi[tempo_ + 1].ticks <= ticks) ++tempo_;
    return seconds_from(song_.tempi[tempo_], ticks, song_.ticks_per_quarter);
  }
  static double seconds_from(const MidiTempo& tempo, int64_t ticks, int ticks_per_quarter) {
    return tempo.seconds +
           static_cast<double>(ticks - tempo.ticks) * tempo.quarter_microseconds / (1e6 * ticks_per_quarter);
  }

 private:
  const MidiSong& song_;
  size_t tempo_ = 0;
};

void append_big_endian(std::vector<uint8_t>& out, uint32_t value, int num_bytes) {
  for (int i = num_bytes - 1; i >= 0; --i) out.push_back(static_cast<uint8_t>(value >> (8 * i)));
}

void append_variable_length(std::vector<uint8_t>& out, uint32_t value) {
  for (int shift = 21; shift > 0; shift -= 7) {
    if (value >> shift != 0) out.push_back(static_cast<uint8_t>(0x80 | (value >> shift & 0x7F)));
  }
  out.push_back(static_cast<uint8_t>(value & 0x7F));
}

void check(bool is_right, const char* what) {
  if (!is_right) throw Error(ExitCode::kInternal, std::string("a MIDI song to be written has a wrong ") + what);
}

// One event of a track that is being written. Events of one tick go by rank: releases, meta events, controls, notes
// (with their releases, if they have no length).
struct Written {
  int64_t ticks;
  int rank;
  std::vector<uint8_t> bytes;  // status first
};

}  // namespace

double MidiSong::seconds_at(int64_t ticks) const {
  const auto after = std::ranges::upper_bound(tempi, ticks, {}, &MidiTempo::ticks);
  return Clock::seconds_from(after == tempi.begin() ? tempi.front() : *(after - 1), ticks, ticks_per_quarter);
}

MidiSong parse_midi(std::span<const uint8_t> bytes, const std::string& name) {
  if (bytes.size() > kMaxMidiBytes) {
    throw Error(ExitCode::kBadFile,
                name + ": has more than " + std::to_string(kMaxMidiBytes >> 20) + " MiB, which no MIDI file needs");
  }
  return Parser(bytes, name).parse();
}

MidiSong read_midi(const std::string& path) {
  const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  const auto fail = [&] { throw Error(ExitCode::kIo, path + ": cannot be read: " + std::strerror(errno)); };
  if (file == nullptr) fail();
  std::vector<uint8_t> bytes;
  std::array<uint8_t, 65536> block;
  while (bytes.size() <= kMaxMidiBytes) {
    errno = 0;
    const size_t count = std::fread(block.data(), 1, block.size(), file.get());
    bytes.insert(bytes.end(), block.begin(), block.begin() + static_cast<std::ptrdiff_t>(count));
    if (count < block.size()) {
      if (std::ferror(file.get()) != 0) fail();
      break;
    }
  }
  return parse_midi(bytes, path);
}

void time_midi(MidiSong& song) {
  std::ranges::stable_sort(song.tempi, {}, &MidiTempo::ticks);
  if (song.tempi.empty() || song.tempi.front().ticks > 0) {
    song.tempi.insert(song.tempi.begin(), MidiTempo{0, 0, kDefaultTempo});
  }
  song.tempi.front().seconds = 0;
  for (size_t i = 1; i < song.tempi.size(); ++i) {
    song.tempi[i].seconds = Clock::seconds_from(song.tempi[i - 1], song.tempi[i].ticks, song.ticks_per_quarter);
  }
  std::ranges::stable_sort(song.time_signatures, {}, &MidiTimeSignature::ticks);
  std::ranges::stable_sort(song.key_signatures, {}, &MidiKeySignature::ticks);
  std::ranges::stable_sort(song.notes, {}, &MidiNote::start_ticks);
  std::ranges::stable_sort(song.controls, {}, &MidiControl::ticks);
  std::ranges::stable_sort(song.texts, {}, &MidiText::ticks);
  Clock clock(song);
  for (MidiControl& control : song.controls) {
    control.seconds = clock.at(control.ticks);
    song.end_ticks = std::max(song.end_ticks, control.ticks);
  }
  clock.restart();
  std::array<uint8_t, 16> programs{};
  size_t next_control = 0;
  const double quarter = song.ticks_per_quarter;
  for (MidiNote& note : song.notes) {
    // A program at the tick of the note counts: files select it right before.
    for (; next_control < song.controls.size() && song.controls[next_control].ticks <= note.start_ticks;
         ++next_control) {
      const MidiControl& control = song.controls[next_control];
      if (control.kind == MidiControlKind::kProgram) programs[control.channel] = static_cast<uint8_t>(control.value);
    }
    note.program = programs[note.channel];
    note.start_seconds = clock.at(note.start_ticks);
    note.end_seconds = song.seconds_at(note.end_ticks);
    note.start_beats = static_cast<double>(note.start_ticks) / quarter;
    note.end_beats = static_cast<double>(note.end_ticks) / quarter;
    song.end_ticks = std::max(song.end_ticks, note.end_ticks);
  }
  song.end_seconds = song.seconds_at(song.end_ticks);
}

std::vector<uint8_t> write_midi(const MidiSong& song) {
  check(song.format == 0 || song.format == 1, "type");
  check(song.ticks_per_quarter >= 1 && song.ticks_per_quarter <= 0x7FFF, "division");
  size_t num_tracks = std::max<size_t>(1, song.track_names.size());
  std::vector<std::vector<Written>> tracks;
  const auto add = [&](int64_t ticks, size_t track, int rank, std::vector<uint8_t> bytes) {
    check(ticks >= 0 && ticks <= kMaxTicks, "time");
    check(track < 0xFFFF, "track");
    if (song.format == 0) check(track == 0, "track for type 0");
    if (track >= tracks.size()) tracks.resize(track + 1);
    tracks[track].push_back({ticks, rank, std::move(bytes)});
  };
  const auto add_meta = [&](int64_t ticks, size_t track, uint8_t type, std::span<const uint8_t> data) {
    check(data.size() < kMaxMidiBytes, "text");
    std::vector<uint8_t> bytes = {0xFF, type};
    append_variable_length(bytes, static_cast<uint32_t>(data.size()));
    bytes.insert(bytes.end(), data.begin(), data.end());
    add(ticks, track, 1, std::move(bytes));
  };
  const auto bytes_of = [](const std::string& text) {
    return std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size());
  };
  for (size_t track = 0; track < song.track_names.size(); ++track) {
    if (!song.track_names[track].empty()) add_meta(0, track, 3, bytes_of(song.track_names[track]));
  }
  for (const MidiTempo& tempo : song.tempi) {
    const uint32_t value = tempo.quarter_microseconds;
    check(value >= 1 && value <= 0xFFFFFF, "tempo");
    add_meta(tempo.ticks, 0, 0x51,
             std::array{static_cast<uint8_t>(value >> 16), static_cast<uint8_t>(value >> 8),
                        static_cast<uint8_t>(value)});
  }
  for (const MidiTimeSignature& signature : song.time_signatures) {
    check(signature.numerator >= 1 && std::has_single_bit(signature.denominator) && signature.denominator <= 64,
          "time signature");
    // 24 clocks a click and eight thirty-seconds a quarter are what everybody writes.
    add_meta(signature.ticks, 0, 0x58,
             std::array{signature.numerator, static_cast<uint8_t>(std::countr_zero(signature.denominator)), uint8_t{24},
                        uint8_t{8}});
  }
  for (const MidiKeySignature& signature : song.key_signatures) {
    check(signature.sharps >= -7 && signature.sharps <= 7, "key signature");
    add_meta(signature.ticks, 0, 0x59,
             std::array{static_cast<uint8_t>(signature.sharps), static_cast<uint8_t>(signature.is_minor ? 1 : 0)});
  }
  for (const MidiText& text : song.texts) {
    check(text.type >= 1 && text.type <= 15 && text.type != 3, "type of text");
    add_meta(text.ticks, text.track, text.type, bytes_of(text.text));
  }
  for (const MidiControl& control : song.controls) {
    const auto kind = static_cast<unsigned>(control.kind);
    check(kind >= 0xA && kind <= 0xE && control.channel < 16 && control.number < 128, "control");
    std::vector<uint8_t> bytes = {static_cast<uint8_t>(kind << 4 | control.channel)};
    if (control.kind == MidiControlKind::kPitchBend) {
      check(control.value >= -8192 && control.value <= 8191, "pitch bend");
      const unsigned value = static_cast<unsigned>(control.value + 8192);
      bytes.insert(bytes.end(), {static_cast<uint8_t>(value & 0x7F), static_cast<uint8_t>(value >> 7)});
    } else {
      check(control.value >= 0 && control.value <= 127, "value of a control");
      if (kind <= 0xB) bytes.push_back(control.number);
      bytes.push_back(static_cast<uint8_t>(control.value));
    }
    add(control.ticks, control.track, 2, std::move(bytes));
  }
  for (const MidiNote& note : song.notes) {
    check(note.channel < 16 && note.key < 128 && note.velocity >= 1 && note.velocity < 128 &&
              note.end_ticks >= note.start_ticks,
          "note");
    const auto status = static_cast<uint8_t>(0x90 | note.channel);
    add(note.start_ticks, note.track, 3, {status, note.key, note.velocity});
    // A release as a note-on without velocity, which running status makes shorter.
    add(note.end_ticks, note.track, note.end_ticks > note.start_ticks ? 0 : 3, {status, note.key, 0});
  }

  num_tracks = std::max(num_tracks, tracks.size());
  check(num_tracks <= 0xFFFF, "number of tracks");
  tracks.resize(num_tracks);
  std::vector<uint8_t> out = {'M', 'T', 'h', 'd', 0, 0, 0, 6};
  append_big_endian(out, static_cast<uint32_t>(song.format), 2);
  append_big_endian(out, static_cast<uint32_t>(num_tracks), 2);
  append_big_endian(out, static_cast<uint32_t>(song.ticks_per_quarter), 2);
  for (std::vector<Written>& track : tracks) {
    std::ranges::stable_sort(track, [](const Written& a, const Written& b) {
      return a.ticks != b.ticks ? a.ticks < b.ticks : a.rank < b.rank;
    });
    std::vector<uint8_t> data;
    int64_t now = 0;
    // Times over four bytes of seven bits cannot come up in one step: they are bridged by empty texts.
    const auto advance = [&](int64_t ticks) {
      constexpr int64_t kMaxStep = (1 << 28) - 1;
      for (; ticks - now > kMaxStep; now += kMaxStep) {
        append_variable_length(data, static_cast<uint32_t>(kMaxStep));
        data.insert(data.end(), {0xFF, 0x7F, 0x00});
      }
      append_variable_length(data, static_cast<uint32_t>(ticks - now));
      now = ticks;
    };
    uint8_t running = 0;
    for (const Written& event : track) {
      if (now != event.ticks && event.ticks - now > (1 << 28) - 1) running = 0;
      advance(event.ticks);
      const bool repeats = event.bytes[0] == running;
      running = event.bytes[0] == 0xFF ? uint8_t{0} : event.bytes[0];
      data.insert(data.end(), event.bytes.begin() + (repeats ? 1 : 0), event.bytes.end());
    }
    advance(std::max(now, song.end_ticks));
    data.insert(data.end(), {0xFF, 0x2F, 0x00});
    out.insert(out.end(), {'M', 'T', 'r', 'k'});
    append_big_endian(out, static_cast<uint32_t>(data.size()), 4);
    out.insert(out.end(), data.begin(), data.end());
  }
  return out;
}

MidiGroup midi_group(const MidiSong& song, const MidiNote& note, bool with_melody) {
  if (note.channel == kMidiDrumChannel) return MidiGroup::kDrums;
  if (with_melody && note.track < song.track_names.size()) {
    std::string name = song.track_names[note.track];
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    for (const char* word : {"melody", "vocal", "voice"}) {
      if (name.find(word) != std::string::npos) return MidiGroup::kMelody;
    }
  }
  return note.program >= 32 && note.program <= 39 ? MidiGroup::kBass : MidiGroup::kOther;
}

const char* midi_group_name(MidiGroup group) {
  switch (group) {
    case MidiGroup::kBass: return "bass";
    case MidiGroup::kDrums: return "drums";
    case MidiGroup::kMelody: return "melody";
    case MidiGroup::kOther: break;
  }
  return "other";
}

std::vector<std::string> list_midi_files(const std::string& folder) {
  namespace fs = std::filesystem;
  std::vector<std::string> files;
  std::error_code error;
  for (auto it = fs::recursive_directory_iterator(folder, error); !error && it != fs::recursive_directory_iterator();
       it.increment(error)) {
    std::string extension = it->path().extension().string();
    std::ranges::transform(extension, extension.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
    if ((extension == ".mid" || extension == ".midi") && it->is_regular_file(error)) {
      files.push_back(it->path().lexically_relative(folder).string());
    }
  }
  if (error) throw Error(ExitCode::kIo, folder + ": the folder cannot be read: " + error.message());
  std::ranges::sort(files);
  return files;
}

}  // namespace vqcodec::dataset
