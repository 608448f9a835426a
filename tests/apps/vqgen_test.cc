// vqgen as a person would run it, with a prior of random weights for the tiny model.
#include <nlohmann/json.hpp>

#include "codec/vqc_reader.h"
#include "codec/vqc_writer.h"
#include "prior/random_prior.h"
#include "tests/apps/vqcodec_program.h"
#include "tests/prior/golden_prior.h"

namespace vqcodec::apps {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class Vqgen : public Vqcodec {
 protected:
  static void SetUpTestSuite() {
    Vqcodec::SetUpTestSuite();
    prior::make_random_prior(prior::golden_config(), 3).write(shared("prior.safetensors"));
    setenv("VQCODEC_PRIOR", shared("prior.safetensors").c_str(), 1);
  }
  static void TearDownTestSuite() {
    unsetenv("VQCODEC_PRIOR");
    Vqcodec::TearDownTestSuite();
  }
  static std::string program() { return std::string(std::getenv("VQCODEC_BIN_DIR")) + "/vqgen"; }
  static RunOptions vqgen(RunOptions options = {}) {
    if (options.program.empty()) options.program = program();
    return options;
  }
  static Outcome makes(const std::vector<std::string>& arguments, RunOptions options = {}) {
    return ok(arguments, vqgen(std::move(options)));
  }
  void refuses(const std::vector<std::string>& arguments, ExitCode code, const std::string& says,
               RunOptions options = {}) {
    const auto before = sorted_list();
    const Outcome outcome = run(arguments, vqgen(std::move(options)));
    EXPECT_EQ(outcome.exit_code, static_cast<int>(code)) << testing::PrintToString(arguments) << '\n' << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr(says)) << testing::PrintToString(arguments);
    EXPECT_THAT(outcome.err, testing::StartsWith("vqgen: "));
    EXPECT_EQ(sorted_list(), before) << testing::PrintToString(arguments);
  }
  // [segment][source]
  static std::vector<std::vector<codec::SourceSegment>> codes(const std::string& path) {
    const std::string plain = path + ".plain";
    ok({"transcode", path, "-o", plain, "--no-prior", "--quiet", "--force"});
    auto file = codec::FileSource::open(plain);
    const auto reader = codec::VqcReader::open(**file);
    std::vector<std::vector<codec::SourceSegment>> all;
    for (uint32_t k = 0; k < reader->num_segments(); ++k) {
      all.emplace_back();
      for (uint32_t s = 0; s < 4; ++s) all.back().push_back(*reader->read_source_segment(k, s));
    }
    std::filesystem::remove(plain);
    return all;
  }
  // A .vqc of the song's model whose sources have these levels in every segment.
  void write_levels(const std::string& path, int64_t num_samples, const std::vector<uint16_t>& gains) {
    auto file = codec::FileSource::open(vqc());
    const auto reader = codec::VqcReader::open(**file);
    codec::StreamInfo info = reader->info();
    info.numerics_id = 0;
    info.prior_id = {};
    codec::MemorySink sink;
    auto writer = codec::VqcWriter::create(sink, info);
    const int64_t num_frames = (num_samples + kHop - 1) / kHop + 1;
    for (int64_t begin = 0; begin < num_frames; begin += kSegmentFrames) {
      const int64_t frames = std::min(kSegmentFrames, num_frames - begin);
      std::vector<codec::SourceSegment> segment;
      for (const uint16_t gain : gains) {
        segment.push_back({gain, std::vector<uint16_t>(static_cast<size_t>(frames * info.num_codebooks),
                                                       static_cast<uint16_t>(gain > 0 ? 7 : 0))});
      }
      ASSERT_TRUE(writer->write_segment(segment));
    }
    ASSERT_TRUE(writer->finish(static_cast<uint64_t>(num_samples)));
    write_bytes(path, std::string(sink.bytes().begin(), sink.bytes().end()));
  }
};

const std::vector<std::string> kOptions = {"--context",
                                           "--seconds",
                                           "--out",
                                           "-o",
                                           "--mix",
                                           "--from",
                                           "--to",
                                           "--continue",
                                           "--count",
                                           "--seed",
                                           "--temperature",
                                           "--top-k",
                                           "--top-p",
                                           "--guidance",
                                           "--repetition",
                                           "--model",
                                           "--prior",
                                           "--threads",
                                           "--listen-to",
                                           "--candidates",
                                           "--json",
                                           "--best",
                                           "--midi",
                                           "--force",
                                           "--quiet",
                                           "--tries",
                                           "--tones",
                                           "--level-temperature",
                                           "--detail-temperature",
                                           "--help"};

TEST_F(Vqgen, HelpNamesEveryOption) {
  const std::string all = makes({"--help"}).out;
  EXPECT_THAT(all, HasSubstr("Exit codes"));
  const std::string help = makes({"bass", "--help"}).out;
  EXPECT_THAT(help, HasSubstr("Usage: vqgen SOURCE"));
  EXPECT_THAT(help, HasSubstr("Examples:\n  vqgen bass"));
  for (const std::string& option : kOptions) EXPECT_THAT(help, HasSubstr(option));
  size_t count = 0;
  const std::string table = help.substr(0, help.find("\n\n", help.find("Options:")));
  for (size_t at = table.find("\n  -"); at != std::string::npos; at = table.find("\n  -", at + 1)) ++count;
  EXPECT_EQ(count + 1, kOptions.size()) << table;
  EXPECT_EQ(makes({"--version"}).out, "vqgen " VQCODEC_VERSION "\n");
  EXPECT_EQ(run({}, vqgen()).exit_code, 1);
}

TEST_F(Vqgen, TheLineIsWhatTheNewFileHolds) {
  makes({"bass", "--context", vqc(), "-o", dir_ / "bass.wav", "--quiet"});
  makes({"bass", "--context", vqc(), "-o", dir_ / "new.vqc", "--quiet"});
  makes({"bass", "--context", vqc(), "-o", dir_ / "mix.flac", "--quiet", "--mix"});
  ok({"decode", dir_ / "new.vqc", "-o", dir_ / "decoded.wav", "--sources", "bass"});
  ok({"decode", dir_ / "new.vqc", "-o", dir_ / "whole.flac"});
  EXPECT_EQ(read_audio(dir_ / "bass.wav").size(), 2 * kNumSamples);
  EXPECT_TRUE(read_audio(dir_ / "bass.wav") == read_audio(dir_ / "decoded.wav"));
  EXPECT_TRUE(read_audio(dir_ / "mix.flac") == read_audio(dir_ / "whole.flac"));
  // The song's other codes and the bass's level are as they were.
  const auto before = codes(vqc()), after = codes(dir_ / "new.vqc");
  ASSERT_EQ(before.size(), after.size());
  for (size_t k = 0; k < before.size(); ++k) {
    for (size_t s = 0; s < 4; ++s) EXPECT_EQ(before[k][s] == after[k][s], s != 1) << k << ' ' << s;
    EXPECT_EQ(before[k][1].gain, after[k][1].gain);
  }
  const json info = json::parse(ok({"info", "--json", dir_ / "new.vqc"}).out);
  EXPECT_EQ(info["metadata"]["generated"]["source"], "bass");
  EXPECT_TRUE(info["prior"]["id"].is_string());
  // An audio file is encoded first.
  makes({"bass", "--context", song(), "-o", dir_ / "encoded.wav", "--quiet"});
  EXPECT_TRUE(read_bytes(dir_ / "encoded.wav") == read_bytes(dir_ / "bass.wav"));
  // A file that the prior coded.
  makes({"bass", "--context", dir_ / "new.vqc", "-o", dir_ / "again.wav", "--quiet"});
  EXPECT_TRUE(read_bytes(dir_ / "again.wav") == read_bytes(dir_ / "bass.wav"));
  makes({"bass", "--context", dir_ / "new.vqc", "-o", dir_ / "named.wav", "--quiet", "--prior",
         shared("prior.safetensors")},
        {.environment = {{"VQCODEC_PRIOR", ""}}});
  EXPECT_TRUE(read_bytes(dir_ / "named.wav") == read_bytes(dir_ / "bass.wav"));
}

TEST_F(Vqgen, ASeedGivesTheSameLineOnEveryPathAndAnyNumberOfThreads) {
  // The bass is steered by what its pieces sound like.
  for (const std::string source : {"drums", "bass"}) {
    const std::vector<std::string> base = {source, "--context", vqc(), "--top-p", "0.9", "--quiet", "--force"};
    const auto bytes = [&](std::vector<std::string> more, const std::string& cpu = "") {
      std::vector<std::string> arguments = base;
      arguments.insert(arguments.end(), {"-o", dir_ / "a.vqc"});
      arguments.insert(arguments.end(), more.begin(), more.end());
      makes(arguments, {.environment = {{"VQCODEC_CPU", cpu}}});
      return read_bytes(dir_ / "a.vqc");
    };
    const std::string wanted = bytes({"--threads", "1"});
    EXPECT_TRUE(bytes({"--threads", "1"}, "portable") == wanted);
    EXPECT_TRUE(bytes({"--threads", "5", "--seed", "1"}) == wanted);
    EXPECT_FALSE(bytes({"--seed", "2"}) == wanted);
    std::vector<std::string> three = base;
    three.insert(three.end(), {"-o", dir_ / "b.vqc", "--count", "3"});
    makes(three);
    EXPECT_EQ(read_bytes(dir_ / "b-1.vqc"), wanted);
    EXPECT_NE(codes(dir_ / "b-2.vqc"), codes(dir_ / "b-1.vqc"));
    EXPECT_NE(codes(dir_ / "b-2.vqc"), codes(dir_ / "b-3.vqc"));
    EXPECT_FALSE(std::filesystem::exists(dir_ / "b.vqc"));
  }
}

// With the model and the prior that are shipped: random ones make noise, which has no notes.
TEST_F(Vqgen, TonesAndTriesGiveChordTones) {
  const std::string root = std::getenv("VQCODEC_SOURCE_DIR");
  const RunOptions shipped{.environment = {{"VQCODEC_MODEL", root + "/models/default.safetensors"},
                                           {"VQCODEC_PRIOR", root + "/models/prior.safetensors"}}};
  ok({"encode", root + "/demo/piece.flac", "-o", dir_ / "piece.vqc", "--quiet"}, shipped);
  const auto report = [&](const std::string& source, const std::string& tones, const std::string& tries) {
    return json::parse(makes({source, "--context", dir_ / "piece.vqc", "-o", dir_ / "a.wav", "--force", "--json",
                              "--quiet", "--tones", tones, "--tries", tries, "--count", "2"},
                             shipped)
                           .out);
  };
  const auto sum_of = [](const json& all, const char* figure) {
    double sum = 0;
    for (const json& line : all["lines"]) sum += line["fit"][figure].get<double>();
    return sum;
  };
  const json plain = report("bass", "0", "1"), tones = report("bass", "20", "1"), tries = report("other", "0", "6");
  EXPECT_EQ(plain["settings"]["tones"], 0);
  EXPECT_EQ(plain["settings"]["tries"], 1);
  EXPECT_EQ(tones["settings"]["tones"], 20);
  EXPECT_EQ(tries["settings"]["tries"], 6);
  EXPECT_GT(sum_of(tones, "chord_tones"), 2 * 0.8);
  EXPECT_GT(sum_of(tones, "chord_tones"), sum_of(plain, "chord_tones") + 2 * 0.2);
  EXPECT_GT(sum_of(tones, "notes"), 2 * 10);
  EXPECT_GT(sum_of(tries, "chord_tones"), sum_of(report("other", "0", "1"), "chord_tones") + 0.3);
  // Drums have no notes to choose by.
  const json drums = report("drums", "20", "6");
  EXPECT_EQ(drums["settings"]["tones"], 0);
  EXPECT_EQ(drums["settings"]["tries"], 1);
}

TEST_F(Vqgen, APassageLeavesTheRest) {
  const auto before = codes(vqc());
  const auto flat = [](const std::vector<std::vector<codec::SourceSegment>>& all) {
    std::vector<uint16_t> bass;
    for (const auto& segment : all) bass.insert(bass.end(), segment[1].codes.begin(), segment[1].codes.end());
    return bass;
  };
  const auto changed = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"bass", "--context", vqc(), "-o", dir_ / "a.vqc", "--force", "--quiet"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    makes(arguments);
    const auto was = flat(before), is = flat(codes(dir_ / "a.vqc"));
    EXPECT_EQ(was.size(), is.size());
    size_t first = 0, last = was.size();
    while (first < last && was[first] == is[first]) ++first;
    while (last > first && was[last - 1] == is[last - 1]) --last;
    const double hop_seconds = static_cast<double>(kHop) / 44100;
    return std::pair(static_cast<double>(first / 3) * hop_seconds, static_cast<double>(last / 3) * hop_seconds);
  };
  auto [from, to] = changed({"--from", "4", "--to", "6.5", "--candidates", "2"});
  EXPECT_NEAR(from, 4, 0.1);
  EXPECT_NEAR(to, 6.5, 0.1);
  std::tie(from, to) = changed({"--continue", "11"});
  EXPECT_NEAR(from, 11, 0.1);
  EXPECT_NEAR(to, 15, 0.1);
  std::tie(from, to) = changed({"--to", "3"});
  EXPECT_NEAR(from, 0, 0.1);
  EXPECT_NEAR(to, 3, 0.1);
}

TEST_F(Vqgen, PlainLinesNeedNoSong) {
  makes({"other", "--seconds", "2.5", "-o", dir_ / "a.wav", "--quiet"});
  const auto samples = read_audio(dir_ / "a.wav");
  EXPECT_EQ(samples.size(), 2U * 110250);
  EXPECT_NE(samples, std::vector<float>(samples.size()));
  makes({"other", "--seconds", "2.5", "-o", dir_ / "a.vqc", "--quiet"});
  for (const auto& segment : codes(dir_ / "a.vqc")) {
    for (size_t s = 0; s < 4; ++s) EXPECT_EQ(segment[s].gain > 0, s == 3);
  }
}

TEST_F(Vqgen, ReportsAsJson) {
  const json report = json::parse(makes({"bass", "--context", vqc(), "-o", dir_ / "b.wav", "--count", "2", "--json",
                                         "--listen-to", "drums", "--from", "2", "--to", "5"})
                                      .out);
  EXPECT_EQ(report["kind"], "line");
  EXPECT_EQ(report["source"], "bass");
  EXPECT_EQ(report["context"], "song.vqc");
  EXPECT_EQ(report["listened_to"], json({"drums"}));
  EXPECT_NEAR(report["from_seconds"].get<double>(), 2, 0.01);
  ASSERT_EQ(report["lines"].size(), 2U);
  for (const json& line : report["lines"]) {
    EXPECT_TRUE(std::filesystem::exists(line["file"].get<std::string>()));
    EXPECT_GT(line["bits_per_code"].get<double>(), 0);
    EXPECT_GT(line["kept_bits_per_code"].get<double>(), 0);
    EXPECT_TRUE(line["fit"]["beat"].is_number());
  }
  EXPECT_TRUE(report["own"]["beat"].is_number());
}

TEST_F(Vqgen, TheBestIsOneOfThem) {
  makes({"bass", "--context", vqc(), "-o", dir_ / "b.vqc", "--count", "3", "--quiet"});
  makes({"bass", "--context", vqc(), "-o", dir_ / "best.vqc", "--count", "3", "--best", "--quiet"});
  const std::string best = read_bytes(dir_ / "best.vqc");
  EXPECT_TRUE(best == read_bytes(dir_ / "b-1.vqc") || best == read_bytes(dir_ / "b-2.vqc") ||
              best == read_bytes(dir_ / "b-3.vqc"));
}

TEST_F(Vqgen, WritesNotesAsMidi) {
  makes({"bass", "--context", vqc(), "-o", dir_ / "b.wav", "--midi", dir_ / "b.mid", "--count", "2", "--quiet"});
  for (const char* name : {"b-1.mid", "b-2.mid"}) EXPECT_TRUE(read_bytes(dir_ / name).starts_with("MThd"));
  refuses({"bass", "--context", vqc(), "-o", dir_ / "c.wav", "--midi", dir_ / "b.txt"}, ExitCode::kUsage, ".mid");
  refuses({"drums", "--context", vqc(), "-o", dir_ / "c.wav", "--midi", dir_ / "c.mid"}, ExitCode::kUsage, "drums");
}

TEST_F(Vqgen, SpeaksOnlyWhenAsked) {
  EXPECT_THAT(makes({"bass", "--context", vqc(), "-o", dir_ / "a.wav"}).err, HasSubstr("0:15 of bass, seed 1, line 1"));
  const Outcome quiet = makes({"bass", "--context", vqc(), "-o", dir_ / "b.wav", "--quiet"});
  EXPECT_EQ(quiet.err + quiet.out, "");
  const Outcome piped = makes({"bass", "--context", vqc(), "-o", "-", "--quiet"});
  EXPECT_TRUE(piped.out.starts_with("RIFF"));
  EXPECT_GE(piped.out.size(), 44 + 4 * kNumSamples);
}

TEST_F(Vqgen, ContradictionsAreRefused) {
  const std::string wav = dir_ / "no.wav";
  const auto usage = [&](std::vector<std::string> arguments, const std::string& says) {
    refuses(arguments, ExitCode::kUsage, says);
  };
  usage({"--context", vqc(), "-o", wav}, "source is missing");
  usage({"bass", "--context", vqc()}, "-o");
  usage({"bass", "-o", wav}, "--context");
  usage({"bass", "--context", "", "-o", wav}, "--context");
  usage({"bass", "--context", "-", "-o", wav}, "standard input");
  usage({"bass", "drums", "--context", vqc(), "-o", wav}, "positional");
  usage({"piano", "--context", vqc(), "-o", wav}, "no source \"piano\"; it has vocals, bass, drums, other");
  usage({"bass", "--context", vqc(), "-o", dir_ / "no.mp3"}, ".flac");
  usage({"bass", "--context", vqc(), "-o", dir_ / "no.vqc", "--mix"}, "--mix");
  usage({"bass", "--context", vqc(), "--seconds", "3", "-o", wav}, "--seconds");
  usage({"bass", "--seconds", "0", "-o", wav}, "--seconds");
  usage({"bass", "--seconds", "0.5", "-o", wav}, "--seconds");
  usage({"bass", "--seconds", "nan", "-o", wav}, "--seconds");
  usage({"bass", "--seconds", "500000", "-o", wav}, "minutes at once");
  usage({"bass", "--seconds", "3", "--mix", "-o", wav}, "--mix");
  usage({"bass", "--context", vqc(), "-o", wav, "--best"}, "--count");
  usage({"bass", "--seconds", "3", "--from", "1", "-o", wav}, "--from");
  usage({"bass", "--seconds", "3", "--listen-to", "drums", "-o", wav}, "--listen-to");
  for (const auto& [more, says] :
       std::vector<std::pair<std::vector<std::string>, const char*>>{{{"--count", "0"}, "--count 0"},
                                                                     {{"--count", "257"}, "--count"},
                                                                     {{"--count", "-1"}, "--count"},
                                                                     {{"--temperature", "-1"}, "temperature -1"},
                                                                     {{"--temperature", "2e9"}, "temperature"},
                                                                     {{"--temperature", "nan"}, "temperature"},
                                                                     {{"--level-temperature", "-1"}, "temperature"},
                                                                     {{"--detail-temperature", "2e9"}, "temperature"},
                                                                     {{"--tries", "0"}, "tries 0"},
                                                                     {{"--tries", "17"}, "tries 17"},
                                                                     {{"--tones", "-1"}, "tones -1"},
                                                                     {{"--tones", "101"}, "tones 101"},
                                                                     {{"--top-k", "-2"}, "top-k"},
                                                                     {{"--top-p", "0"}, "top-p"},
                                                                     {{"--top-p", "2"}, "top-p"},
                                                                     {{"--guidance", "-1"}, "guidance"},
                                                                     {{"--repetition", "-1"}, "repetition"},
                                                                     {{"--candidates", "0"}, "candidates"},
                                                                     {{"--from", "-1"}, "--from"},
                                                                     {{"--from", "99"}, "beyond the end"},
                                                                     {{"--from", "5", "--to", "5"}, "--to"},
                                                                     {{"--from", "nan"}, "--from"},
                                                                     {{"--continue", "5", "--from", "1"}, "--continue"},
                                                                     {{"--continue", "99"}, "beyond the end"},
                                                                     {{"--listen-to", "bass"}, "--listen-to"},
                                                                     {{"--listen-to", "piano"}, "piano"},
                                                                     {{"--threads", "-1"}, "--threads"},
                                                                     {{"--nonsense"}, "nonsense"}}) {
    std::vector<std::string> arguments = {"bass", "--context", vqc(), "-o", wav};
    arguments.insert(arguments.end(), more.begin(), more.end());
    usage(arguments, says);
  }
  usage({"bass", "--context", vqc(), "-o", "-", "--json"}, "--json");
  usage({"bass", "--context", vqc(), "-o", "-", "--count", "2"}, "--count");
  write_bytes(wav, "mine");
  usage({"bass", "--context", vqc(), "-o", wav}, "--force");
  EXPECT_EQ(read_bytes(wav), "mine");
  makes({"bass", "--context", vqc(), "-o", wav, "--force"});
}

TEST_F(Vqgen, InterruptedItLeavesNothing) {
  const TempDir logs;
  const pid_t child =
      start({"bass", "--seconds", "1500", "--count", "256", "-o", dir_ / "a.wav"}, vqgen(), logs / "out", logs / "err");
  usleep(300000);
  kill(child, SIGINT);
  EXPECT_EQ(wait_for(child).signal, SIGINT) << read_bytes(logs / "err");
  EXPECT_EQ(dir_.list(), std::vector<std::string>{});
}

TEST_F(Vqgen, ExtremeTemperaturesGiveLines) {
  for (const char* temperature : {"0", "1e9", "1e-300"}) {
    makes({"bass", "--context", vqc(), "-o", dir_ / "a.wav", "--force", "--quiet", "--temperature", temperature,
           "--level-temperature", temperature, "--detail-temperature", temperature});
    EXPECT_EQ(read_audio(dir_ / "a.wav").size(), 2 * kNumSamples);
  }
}

TEST_F(Vqgen, LinesThatWouldBeClippedAreLowered) {
  write_levels(dir_ / "loud.vqc", 88200, {75, 75, 75, 75});
  const auto item = [&](const std::vector<std::string>& more, const std::string& name) {
    std::vector<std::string> arguments = {"bass",      "--context", dir_ / "loud.vqc", "-o",
                                          dir_ / name, "--json",    "--quiet"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return json::parse(makes(arguments).out)["lines"][0];
  };
  const json loud = item({}, "loud.wav");
  EXPECT_GT(loud["lowered_db"].get<double>(), 0);
  EXPECT_EQ(loud["clipped_samples"], 0);
  // Not by more than a step too much.
  float peak = 0;
  for (const float sample : read_audio(dir_ / "loud.wav")) peak = std::max(peak, std::abs(sample));
  EXPECT_GT(peak, 0.8);
  EXPECT_LE(peak, 1);
  // The song's own level where part of a segment is kept.
  EXPECT_EQ(item({"--from", "1"}, "part.vqc")["lowered_db"], 0);
  EXPECT_EQ(codes(dir_ / "part.vqc")[0][1].gain, 75);
  item({}, "line.vqc");
  EXPECT_LT(codes(dir_ / "line.vqc")[0][1].gain, 75);
  write_levels(dir_ / "loud.vqc", 88200, {40, 40, 40, 40});
  EXPECT_EQ(item({}, "quiet.wav")["lowered_db"], 0);
}

TEST_F(Vqgen, BadContextsAreRefused) {
  const std::string wav = dir_ / "no.wav";
  refuses({"bass", "--context", dir_ / "none.vqc", "-o", wav}, ExitCode::kIo, "none.vqc");
  refuses({"bass", "--context", dir_ / "none.mp3", "-o", wav}, ExitCode::kIo, "none.mp3");
  write_bytes(dir_ / "no.vqc", "nothing of the kind");
  refuses({"bass", "--context", dir_ / "no.vqc", "-o", wav}, ExitCode::kBadFile, "no.vqc");
  write_bytes(dir_ / "cut.vqc", read_bytes(vqc()).substr(0, 5000));
  refuses({"bass", "--context", dir_ / "cut.vqc", "-o", wav}, ExitCode::kBadFile, "cut.vqc");
  // Of another model, and a prior of another model.
  vqvae::write_tiny_model(dir_ / "other.safetensors", 2);
  refuses({"bass", "--context", vqc(), "-o", wav, "--model", dir_ / "other.safetensors"}, ExitCode::kModel,
          "was written with model");
  refuses({"bass", "--context", song(), "-o", wav, "--model", dir_ / "other.safetensors"}, ExitCode::kModel,
          "is for codes of model");
  // A copy of the program has nothing beside it.
  std::filesystem::create_directories(dir_ / "build/x/bin");
  std::filesystem::copy_file(program(), dir_ / "build/x/bin/vqgen");
  refuses({"bass", "--context", vqc(), "-o", wav}, ExitCode::kModel, "no prior was found",
          {.program = dir_ / "build/x/bin/vqgen", .environment = {{"VQCODEC_PRIOR", ""}}});
  refuses({"bass", "--context", vqc(), "-o", wav, "--prior", vqc()}, ExitCode::kModel, "song.vqc");
  // Nothing in it, too little, nothing that sounds.
  write_audio(dir_ / "empty.wav", {});
  refuses({"bass", "--context", dir_ / "empty.wav", "-o", wav}, ExitCode::kUsage, "expected a second");
  write_audio(dir_ / "short.wav", make_song(44000));
  refuses({"bass", "--context", dir_ / "short.wav", "-o", wav}, ExitCode::kUsage, "0.998 s, expected a second");
  write_audio(dir_ / "silence.wav", std::vector<float>(2 * 88200));
  refuses({"bass", "--context", dir_ / "silence.wav", "-o", wav}, ExitCode::kUsage, "nothing sounds");
  write_levels(dir_ / "silent.vqc", 88200, {0, 0, 0, 0});
  refuses({"bass", "--context", dir_ / "silent.vqc", "-o", wav}, ExitCode::kUsage, "nothing sounds");
  write_levels(dir_ / "alone.vqc", 88200, {0, 50, 0, 0});
  makes({"bass", "--context", dir_ / "alone.vqc", "-o", dir_ / "alone.wav", "--quiet"});
  write_levels(dir_ / "loud.vqc", 88200, {96, 50, 0, 0});
  refuses({"bass", "--context", dir_ / "loud.vqc", "-o", wav}, ExitCode::kBadFile, "vocals has level 96");
  write_levels(dir_ / "second.vqc", 44100, {40, 0, 0, 0});
  makes({"bass", "--context", dir_ / "second.vqc", "-o", dir_ / "second.wav", "--quiet"});
  EXPECT_EQ(read_audio(dir_ / "second.wav").size(), 88200U);
}

}  // namespace
}  // namespace vqcodec::apps
