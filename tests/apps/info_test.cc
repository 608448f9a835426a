// vqcodec info says what is in the file.
#include <cmath>
#include <numeric>

#include <nlohmann/json.hpp>

#include "codec/vqc_reader.h"
#include "runtime/safetensors.h"
#include "tests/apps/vqcodec_program.h"

namespace vqcodec::apps {
namespace {

using Info = Vqcodec;
using nlohmann::json;
using testing::HasSubstr;

const RunOptions kNoModel = {.environment = {{"VQCODEC_MODEL", "/nowhere/model.safetensors"}}};

TEST_F(Info, JsonAgreesWithTheFile) {
  const json info = json::parse(ok({"info", "--json", vqc()}, kNoModel).out);
  const uint64_t file_bytes = std::filesystem::file_size(vqc());
  const uint64_t num_frames = (kNumSamples + 255) / 256 + 1;
  const double seconds = static_cast<double>(kNumSamples) / 44100;
  EXPECT_EQ(info["file"], vqc());
  EXPECT_EQ(info["bytes"], file_bytes);
  EXPECT_EQ(info["num_frames"], num_frames);
  EXPECT_DOUBLE_EQ(info["raw_bytes"].get<double>(), static_cast<double>(num_frames * 4 * 3) * 5 / 8);
  EXPECT_DOUBLE_EQ(info["duration_seconds"].get<double>(), seconds);
  EXPECT_DOUBLE_EQ(info["kbit_per_second"].get<double>(), static_cast<double>(file_bytes) * 8 / 1000 / seconds);
  EXPECT_EQ(info["sample_rate_hz"], 44100);
  EXPECT_EQ(info["num_channels"], 2);
  EXPECT_EQ(info["num_samples"], kNumSamples);
  EXPECT_EQ(info["num_segments"], (num_frames + 511) / 512);
  EXPECT_EQ(info["num_codebooks"], 3);
  EXPECT_EQ(info["codebook_size"], 32);
  EXPECT_EQ(info["hop_samples"], 256);
  EXPECT_EQ(info["model_id"], runtime::to_hex(runtime::Safetensors::open(shared("model.safetensors")).sha256()));
  EXPECT_EQ(info["metadata"]["encoder"], "vqcodec " VQCODEC_VERSION);
  EXPECT_EQ(info["metadata"]["model_name"], "random-1");

  auto source = codec::FileSource::open(vqc());
  ASSERT_TRUE(source.ok());
  auto reader = codec::VqcReader::open(**source);
  ASSERT_TRUE(reader.ok());
  uint64_t sum = 0;
  for (const json& part : info["overhead"]) sum += part.get<uint64_t>();
  ASSERT_EQ(info["sources"].size(), 4U);
  for (uint32_t s = 0; s < 4; ++s) {
    const json& entry = info["sources"][s];
    codec::CodebookBits bits{std::vector<double>(3)};
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < reader->num_segments(); ++i) {
      ASSERT_TRUE(reader->read_source_segment(i, s, &bits).ok());
      bytes += reader->stream_bytes(i, s);
    }
    EXPECT_EQ(entry["name"], reader->info().sources[s]);
    EXPECT_EQ(entry["bytes"], bytes);
    EXPECT_DOUBLE_EQ(entry["raw_bytes"].get<double>(), static_cast<double>(num_frames * 3) * 5 / 8);
    EXPECT_DOUBLE_EQ(entry["kbit_per_second"].get<double>(), static_cast<double>(bytes) * 8 / 1000 / seconds);
    EXPECT_DOUBLE_EQ(entry["duration_seconds"].get<double>(), seconds);
    double codebook_bytes = 0;
    for (size_t h = 0; h < 3; ++h) {
      EXPECT_NEAR(entry["codebooks"][h]["bytes"].get<double>(), bits.bits[h] / 8, 1e-6);
      EXPECT_NEAR(entry["codebooks"][h]["kbit_per_second"].get<double>(), bits.bits[h] / 1000 / seconds, 1e-9);
      codebook_bytes += entry["codebooks"][h]["bytes"].get<double>();
    }
    // Beside the codes a stream has 8 bytes of checksums, 3 of payload head and up to some bytes of rounding.
    const double num_segments = reader->num_segments();
    EXPECT_NEAR(static_cast<double>(bytes), codebook_bytes + 12 * num_segments, 2 * num_segments);
    sum += bytes;
  }
  EXPECT_EQ(sum, file_bytes);
}

TEST_F(Info, TextTellsTheMainThings) {
  const std::string text = ok({"info", vqc()}, kNoModel).out;
  for (const char* part : {"0:15", "44100 Hz", "3 codebooks of 32", "vocals", "bass", "drums", "other", "overhead",
                           "random-1", "kbit/s", "saved"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
}

TEST_F(Info, SeveralFilesAndPipes) {
  const json one = json::parse(ok({"info", "--json", vqc()}).out);
  json piped = json::parse(ok({"info", "--json", "-"}, {.stdin_path = vqc()}).out);
  EXPECT_EQ(piped["file"], "-");
  piped["file"] = vqc();
  EXPECT_EQ(piped, one);
  const json two = json::parse(ok({"info", vqc(), "--json", vqc(), "--threads", "2"}).out);
  EXPECT_EQ(two, json::array({one, one}));
  EXPECT_EQ(ok({"info", vqc(), vqc()}).out, ok({"info", vqc()}).out + "\n" + ok({"info", vqc()}).out);
}

TEST_F(Info, GoldenFilesOfOtherProgramsAreUnderstood) {
  const std::string golden = std::string(std::getenv("VQCODEC_SOURCE_DIR")) + "/tests/data/golden/";
  const json info = json::parse(ok({"info", "--json", golden + "example.vqc"}, kNoModel).out);
  EXPECT_EQ(info["num_samples"], 4100);
  EXPECT_DOUBLE_EQ(info["raw_bytes"].get<double>(), 5 * 2 * 3 / 8.0);
  EXPECT_EQ(info["metadata"], json());
  EXPECT_EQ(json::parse(ok({"info", "--json", golden + "no_frames.vqc"}).out)["kbit_per_second"], 0);
  // log2 of the size, not the whole bits.
  const json odd = json::parse(ok({"info", "--json", golden + "odd_size.vqc"}).out);
  const double codes =
      odd["num_frames"].get<double>() * odd["num_codebooks"].get<double>() * static_cast<double>(odd["sources"].size());
  const double code_bits = std::log2(odd["codebook_size"].get<double>());
  EXPECT_NEAR(odd["raw_bytes"].get<double>(), codes * code_bits / 8, 1e-9);
  EXPECT_NE(code_bits, std::ceil(code_bits));
}

}  // namespace
}  // namespace vqcodec::apps
