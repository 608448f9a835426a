// Damaged .vqc files: what is said, what --keep-going saves, what verify finds.
#include <algorithm>

#include <nlohmann/json.hpp>

#include "apps/inspect.h"
#include "codec/vqc_reader.h"
#include "codec/vqc_writer.h"
#include "tests/apps/vqcodec_program.h"
#include "vqvae/decoder.h"
#include "vqvae/model.h"

namespace vqcodec::apps {
namespace {

using Damage = Vqcodec;
using testing::HasSubstr;

std::span<const uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// Where the stream of `source` in `segment` begins, and its size.
std::pair<size_t, size_t> find_stream(const std::string& file, uint32_t segment, uint32_t source) {
  codec::MemoryStream stream(bytes_of(file));
  auto reader = codec::VqcStreamReader::open(stream);
  for (;;) {
    const auto found = reader->next();
    if (!found || !*found) throw std::runtime_error("no such segment");
    if ((*found)->index == segment) return {(*found)->byte_offsets[source], (*found)->streams[source].size()};
  }
}

std::vector<float> cut(const std::vector<float>& samples, int64_t from, int64_t to) {
  return {samples.begin() + 2 * std::min<int64_t>(from, static_cast<int64_t>(samples.size() / 2)),
          samples.begin() + 2 * std::min<int64_t>(to, static_cast<int64_t>(samples.size() / 2))};
}

// Samples that the codes of frames [begin, end) have no part in: those before .first and from .second on.
std::pair<int64_t, int64_t> reach(int64_t begin, int64_t end, int64_t hop) {
  const int64_t context = vqvae::Decoder::context_frames(vqvae::tiny_config());
  return {(begin - context) * hop, (end + context) * hop};
}

TEST_F(Damage, AFlippedByteCostsOneSegmentOfOneSource) {
  std::string bytes = read_bytes(vqc());
  const auto [offset, size] = find_stream(bytes, 2, 1);
  ASSERT_GT(size, 100U);
  bytes[offset + 60] = static_cast<char>(bytes[offset + 60] ^ 0x10);
  write_bytes(dir_ / "bad.vqc", bytes);
  const std::string bad = dir_ / "bad.vqc", out = dir_ / "out.wav";
  fails({"decode", bad, "-o", out}, ExitCode::kBadFile, "segment 2 of bass");
  fails({"decode", bad, "-o", out}, ExitCode::kBadFile, "--keep-going");
  fails({"decode", bad, "--stems", dir_ / "stems"}, ExitCode::kBadFile, "segment 2 of bass");
  fails({"decode", "-", "-o", out}, ExitCode::kBadFile, "segment 2 of bass", {.stdin_path = bad});
  fails({"info", bad}, ExitCode::kBadFile, "segment 2 of bass");
  fails({"verify", bad}, ExitCode::kBadFile, "bad.vqc: segment 2 of bass");

  // Whoever does not need the damaged stream does not meet it.
  ok({"decode", bad, "-o", dir_ / "a.wav", "--without", "bass"});
  ok({"decode", vqc(), "-o", dir_ / "b.wav", "--without", "bass"});
  EXPECT_EQ(read_bytes(dir_ / "a.wav"), read_bytes(dir_ / "b.wav"));
  ok({"decode", bad, "-o", dir_ / "early.wav", "--to", "5.6", "--bits", "float"});
  EXPECT_EQ(read_audio(dir_ / "early.wav"), cut(whole_, 0, 246960));

  const Outcome saved = ok({"decode", bad, "-o", out, "--bits", "float", "--keep-going"});
  EXPECT_THAT(saved.err, HasSubstr("segment 2 of bass"));
  EXPECT_THAT(saved.err, HasSubstr("silent from 5.94 to 8.92 s"));
  EXPECT_EQ(std::count(saved.err.begin(), saved.err.end(), '\n'), 1);
  const auto decoded = read_audio(out);
  ASSERT_EQ(decoded.size(), whole_.size());
  const auto [before, after] = reach(2 * kSegmentFrames, 3 * kSegmentFrames, kHop);
  const auto end = static_cast<int64_t>(kNumSamples);
  EXPECT_EQ(cut(decoded, 0, before), cut(whole_, 0, before));
  EXPECT_EQ(cut(decoded, after, end), cut(whole_, after, end));
  EXPECT_NE(cut(decoded, before, after), cut(whole_, before, after));
  // The source that is lost is silent there, the others are as they were.
  ok({"decode", bad, "--stems", dir_ / "bad", "--bits", "float", "--keep-going"});
  ok({"decode", vqc(), "--stems", dir_ / "good", "--bits", "float"});
  for (const char* source : {"vocals", "drums", "other"}) {
    const std::string name = std::string("/") + source + ".wav";
    EXPECT_EQ(read_bytes(dir_ / "bad" + name), read_bytes(dir_ / "good" + name));
  }
  const auto bass = read_audio(dir_ / "bad/bass.wav");
  const auto middle = cut(bass, 2 * kSegmentFrames * kHop, (3 * kSegmentFrames - 1) * kHop);
  EXPECT_EQ(middle, std::vector<float>(middle.size()));

  const Outcome piped =
      ok({"decode", "-", "-o", dir_ / "piped.wav", "--bits", "float", "--keep-going"}, {.stdin_path = bad});
  EXPECT_EQ(read_audio(dir_ / "piped.wav"), decoded);
  EXPECT_THAT(piped.err, HasSubstr("standard input: segment 2 of bass"));
}

TEST_F(Damage, ALostSegmentHeadCostsTheSegment) {
  std::string bytes = read_bytes(vqc());
  bytes[find_stream(bytes, 1, 0).first - 10] ^= 1;
  write_bytes(dir_ / "bad.vqc", bytes);
  const auto [before, after] = reach(kSegmentFrames, 2 * kSegmentFrames, kHop);
  const auto end = static_cast<int64_t>(kNumSamples);
  // By the index the segment is found nevertheless.
  ok({"decode", dir_ / "bad.vqc", "-o", dir_ / "file.wav", "--bits", "float"});
  EXPECT_EQ(read_audio(dir_ / "file.wav"), whole_);
  fails({"verify", dir_ / "bad.vqc"}, ExitCode::kBadFile, "bad.vqc: ");
  const std::vector<std::string> piped = {"decode", "-", "-o", dir_ / "piped.wav", "--bits", "float"};
  fails(piped, ExitCode::kBadFile, "standard input: ", {.stdin_path = dir_ / "bad.vqc"});
  auto keep_going = piped;
  keep_going.push_back("--keep-going");
  EXPECT_THAT(ok(keep_going, {.stdin_path = dir_ / "bad.vqc"}).err,
              HasSubstr("all sources are silent from 2.97 to 5.94 s"));
  const auto decoded = read_audio(dir_ / "piped.wav");
  ASSERT_EQ(decoded.size(), whole_.size());
  EXPECT_EQ(cut(decoded, 0, before), cut(whole_, 0, before));
  EXPECT_EQ(cut(decoded, after, end), cut(whole_, after, end));
}

TEST_F(Damage, ACutFileGivesWhatItHas) {
  const std::string bytes = read_bytes(vqc());
  const size_t third = find_stream(bytes, 3, 2).first + 20;  // in the middle of segment 3
  const auto [before, after] = reach(3 * kSegmentFrames, 4 * kSegmentFrames, kHop);
  for (const size_t size : {size_t{0}, size_t{7}, size_t{60}, third, bytes.size() - 200, bytes.size() - 1}) {
    SCOPED_TRACE(size);
    write_bytes(dir_ / "cut.vqc", bytes.substr(0, size));
    fails({"decode", dir_ / "cut.vqc", "-o", dir_ / "out.wav"}, ExitCode::kBadFile, "cut.vqc: ");
    fails({"decode", "-", "-o", dir_ / "out.wav"}, ExitCode::kBadFile,
          "standard input: ", {.stdin_path = dir_ / "cut.vqc"});
    fails({"info", dir_ / "cut.vqc"}, ExitCode::kBadFile, "cut.vqc: ");
    fails({"verify", dir_ / "cut.vqc"}, ExitCode::kBadFile, "cut.vqc: ");
    if (size < third) {
      fails({"decode", dir_ / "cut.vqc", "-o", dir_ / "out.wav", "--keep-going"}, ExitCode::kBadFile, "cut.vqc: ");
      continue;
    }
    for (const std::string& input : {dir_ / "cut.vqc", std::string("-")}) {
      const Outcome outcome = ok({"decode", input, "-o", dir_ / "out.wav", "--bits", "float", "--keep-going"},
                                 {.stdin_path = dir_ / "cut.vqc"});
      EXPECT_THAT(outcome.err, HasSubstr("vqcodec: "));
      const auto decoded = read_audio(dir_ / "out.wav");
      if (size == third) {
        ASSERT_GE(decoded.size(), 2 * static_cast<size_t>(before));
        EXPECT_EQ(cut(decoded, 0, before), cut(whole_, 0, before));
        EXPECT_LE(decoded.size(), 2 * static_cast<size_t>(after));
      } else {
        // Only the length of the song is lost, which is known to a frame.
        ASSERT_GE(decoded.size(), whole_.size());
        EXPECT_LT(decoded.size(), whole_.size() + 2 * kHop);
        EXPECT_EQ(cut(decoded, 0, static_cast<int64_t>(kNumSamples)), whole_);
      }
      std::filesystem::remove(dir_ / "out.wav");
    }
  }
}

TEST_F(Damage, VerifyFindsEveryFlippedByte) {
  write_audio(dir_ / "short.wav", make_song(700));
  ok({"encode", dir_ / "short.wav", "-o", dir_ / "short.vqc"});
  const std::string bytes = read_bytes(dir_ / "short.vqc");
  ASSERT_GT(bytes.size(), 300U);
  runtime::ThreadPool pool(1);
  EXPECT_TRUE(verify(dir_ / "short.vqc", "", pool).damage.empty());
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string bad = bytes;
    bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
    write_bytes(dir_ / "bad.vqc", bad);
    const VerifyReport report = verify(dir_ / "bad.vqc", "", pool);
    ASSERT_FALSE(report.damage.empty()) << "byte " << i;
    EXPECT_EQ(report.damage[0].code(), ExitCode::kBadFile) << report.damage[0].what();
  }
}

TEST_F(Damage, VerifyTellsEachDamageOfEachFile) {
  std::string bytes = read_bytes(vqc());
  for (const auto& [segment, source] : std::vector<std::pair<uint32_t, uint32_t>>{{0, 3}, {2, 0}, {4, 2}}) {
    bytes[find_stream(bytes, segment, source).first + 30] ^= 4;
  }
  bytes[bytes.size() - 10] ^= 1;  // in the totals
  write_bytes(dir_ / "bad.vqc", bytes);
  const Outcome outcome = run({"verify", vqc(), dir_ / "bad.vqc", dir_ / "nowhere.vqc", vqc()});
  EXPECT_EQ(outcome.exit_code, 3);
  for (const char* says : {"segment 0 of other", "segment 2 of vocals", "segment 4 of drums", "nowhere.vqc: "}) {
    EXPECT_THAT(outcome.err, HasSubstr(says));
  }
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 5) << outcome.err;
  EXPECT_EQ(std::count(outcome.out.begin(), outcome.out.end(), '\n'), 2) << outcome.out;
}

TEST_F(Damage, EveryBadFileOfTheFormatFailsToVerify) {
  const std::string folder = std::string(std::getenv("VQCODEC_SOURCE_DIR")) + "/tests/data/bad";
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".vqc") continue;
    ++count;
    runtime::ThreadPool pool(1);
    const VerifyReport report = verify(entry.path().string(), "", pool);
    ASSERT_FALSE(report.damage.empty()) << entry.path();
    const bool other_codes = entry.path().stem() == "codes_crc";
    EXPECT_EQ(report.damage[0].code(), other_codes ? ExitCode::kModel : ExitCode::kBadFile) << entry.path();
  }
  EXPECT_GE(count, 60);
  fails({"verify", folder + "/codes_crc.vqc"}, ExitCode::kModel, "another model or other numerics");
}

// Files that a program of someone else could write with our model's id.
class Crafted : public Vqcodec {
 protected:
  std::string craft(const std::string& name, uint64_t num_samples, uint32_t hop = kHop, uint16_t gain = 50) {
    codec::StreamInfo info;
    info.sample_rate_hz = 44100;
    info.num_channels = 2;
    info.hop_samples = hop;
    info.sources = {"vocals", "bass", "drums", "other"};
    info.num_codebooks = 2;
    info.codebook_size = 32;
    info.segment_frames = 10;
    info.model_id = vqvae::Model::load(shared("model.safetensors"))->id();
    codec::MemorySink sink;
    auto writer = codec::VqcWriter::create(sink, info);
    EXPECT_TRUE(writer.ok());
    for (int i = 0; i < 3; ++i) {
      const codec::SourceSegment segment{gain, std::vector<uint16_t>(20, static_cast<uint16_t>(i))};
      EXPECT_TRUE(writer->write_segment(std::vector<codec::SourceSegment>(4, segment)).ok());
    }
    EXPECT_TRUE(writer->finish(num_samples).ok());
    write_bytes(dir_ / name, {sink.bytes().begin(), sink.bytes().end()});
    return dir_ / name;
  }
};

TEST_F(Crafted, HeadersThatContradictTheModelAreRefused) {
  fails({"decode", craft("hop.vqc", 100, 512), "-o", dir_ / "out.wav"}, ExitCode::kBadFile, "contradicts the model");
}

TEST_F(Crafted, LevelsBeyondTheTableAreRefused) {
  const std::string loud = craft("loud.vqc", 100, kHop, 60000);
  fails({"decode", loud, "-o", dir_ / "out.wav"}, ExitCode::kBadFile, "loud.vqc: segment 0 of vocals has level 60000");
  EXPECT_THAT(ok({"decode", loud, "-o", dir_ / "out.wav", "--keep-going"}).err, HasSubstr("level 60000"));
  EXPECT_EQ(read_audio(dir_ / "out.wav"), std::vector<float>(200));
}

TEST_F(Crafted, OddLengthsAreKept) {
  // 30 frames give 29 hops of sound; the format allows 30.
  ok({"decode", craft("long.vqc", 30 * kHop), "-o", dir_ / "long.wav", "--bits", "float"});
  ok({"decode", "-", "-o", dir_ / "piped.wav", "--bits", "float"}, {.stdin_path = dir_ / "long.vqc"});
  const auto samples = read_audio(dir_ / "long.wav");
  ASSERT_EQ(samples.size(), 2U * 30 * kHop);
  EXPECT_EQ(cut(samples, 29 * kHop, 30 * kHop), std::vector<float>(2 * kHop));
  EXPECT_EQ(read_audio(dir_ / "piped.wav"), samples);
  // Much shorter than its frames: a pipe learns it too late.
  ok({"decode", craft("short.vqc", 100), "-o", dir_ / "short.wav", "--bits", "float"});
  EXPECT_EQ(read_audio(dir_ / "short.wav"), cut(samples, 0, 100));
  fails({"decode", "-", "-o", dir_ / "out.wav"}, ExitCode::kBadFile, "not from a pipe",
        {.stdin_path = dir_ / "short.vqc"});
}

}  // namespace
}  // namespace vqcodec::apps
