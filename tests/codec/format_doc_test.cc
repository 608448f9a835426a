// FORMAT.md against the code: its example, its list of refusals, its limits, and the Python reader written from it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "tests/codec/read_all.h"
#include "tests/codec/test_data.h"

namespace vqcodec::codec {
namespace {

using testing::HasSubstr;

std::string format_md() {
  const auto bytes = read_bytes(source_dir() / "codec/FORMAT.md");
  return {bytes.begin(), bytes.end()};
}

// The lines between ```name and ```.
std::vector<std::string> block(const std::string& name) {
  const std::string text = format_md();
  const std::string open = "```" + name + "\n";
  const size_t start = text.find(open);
  EXPECT_NE(start, std::string::npos);
  std::istringstream in(text.substr(start + open.size()));
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line) && line != "```";) lines.push_back(line);
  return lines;
}

struct Output {
  int status = -1;
  std::string text;
};

Output run(const std::string& command) {
  Output output;
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), [](FILE*) { return 0; });
  if (pipe == nullptr) return output;
  std::array<char, 4096> buffer;
  for (size_t n; (n = std::fread(buffer.data(), 1, buffer.size(), pipe.get())) > 0;)
    output.text.append(buffer.data(), n);
  const int status = ::pclose(pipe.get());
  output.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return output;
}

Output run_python_reader(const std::string& options, const std::filesystem::path& file) {
  return run("PYTHONDONTWRITEBYTECODE=1 python3 '" + (source_dir() / "tools/vqc_reader.py").string() + "' " + options +
             " '" + file.string() + "' 2>&1");
}

bool has_python() { return run("python3 -c 'print(1)' 2>/dev/null").text == "1\n"; }

TEST(FormatDoc, ExampleIsTheGoldenFileAndDecodes) {
  std::vector<uint8_t> bytes;
  for (const std::string& line : block("hex")) {
    ASSERT_EQ(std::stoul(line.substr(0, 4), nullptr, 16), bytes.size()) << line;
    std::istringstream in(line.substr(5, line.find('|') == std::string::npos ? line.npos : line.find('|') - 5));
    for (std::string byte; in >> byte;) bytes.push_back(static_cast<uint8_t>(std::stoul(byte, nullptr, 16)));
  }
  EXPECT_EQ(bytes, golden("example"));
  std::vector<uint16_t> codes;
  for (const std::string& line : block("codes")) {
    std::istringstream in(line);
    for (uint16_t code; in >> code;) codes.push_back(code);
  }
  const MemorySource source(bytes);
  const Contents contents = read_all(source);
  EXPECT_EQ(contents.describe(), "Ok");
  ASSERT_EQ(contents.segments.size(), 2U);
  EXPECT_EQ(contents.segments[0][0], (SourceSegment{40, codes}));
  EXPECT_EQ(contents.segments[1][0], (SourceSegment{0, {0, 0}}));
}

TEST(FormatDoc, EveryRefusalHasItsFileAndEveryFileItsRefusal) {
  const auto bytes = read_bytes(source_dir() / "tests/data/bad/expected.json");
  const auto expected = nlohmann::json::parse(bytes);
  const std::string text = format_md();
  const size_t start = text.find("## What a reader must refuse");
  ASSERT_NE(start, std::string::npos);
  std::istringstream in(text.substr(start, text.find("## Example") - start));
  std::set<std::string> named;
  for (std::string line; std::getline(in, line);) {
    const size_t errors = line.find(" | ", 2);
    const size_t files = errors == std::string::npos ? errors : line.find(" | ", errors + 3);
    if (files == std::string::npos || line.find('`', files) == std::string::npos) continue;
    const std::string codes = line.substr(errors, files - errors);
    const std::string names = line.substr(files);
    const std::regex quoted("`([a-z0-9_]+)`");
    for (std::sregex_iterator it(names.begin(), names.end(), quoted), end; it != end; ++it) {
      const std::string name = (*it)[1];
      ASSERT_TRUE(expected.contains(name)) << name;
      named.insert(name);
      EXPECT_THAT(codes, HasSubstr(expected[name]["stream"].get<std::string>())) << name;
      EXPECT_NE(expected[name]["stream"], "Ok") << name;
    }
  }
  for (const auto& item : expected.items()) EXPECT_TRUE(named.contains(item.key())) << item.key();
}

TEST(FormatDoc, StatesTheLimits) {
  const std::string text = format_md();
  for (const uint32_t limit : {kMaxSampleRateHz, kMaxHopSamples, kMaxCodesPerStream, kMaxHeaderBytes, kMinHeaderBytes,
                               kMaxMetadataBodyBytes, kMaxPreambleSections}) {
    EXPECT_THAT(text, HasSubstr(std::to_string(limit)));
  }
}

TEST(PythonReader, GivesTheSameCodes) {
  if (!has_python()) GTEST_SKIP() << "python3 is not installed";
  for (const char* name : {"example", "two_sources", "four_sources", "odd_size", "no_frames"}) {
    const Output output = run_python_reader("", source_dir() / "tests/data/golden" / (std::string(name) + ".vqc"));
    ASSERT_EQ(output.status, 0) << output.text;
    const auto json = nlohmann::json::parse(output.text);
    const auto bytes = golden(name);
    const MemorySource source(bytes);
    const Contents contents = read_all(source);
    EXPECT_EQ(json["sources"], contents.info.sources);
    EXPECT_EQ(json["num_samples"], contents.info.num_samples);
    EXPECT_EQ(json["num_frames"], contents.info.num_frames);
    ASSERT_EQ(json["segments"].size(), contents.segments.size());
    for (size_t i = 0; i < contents.segments.size(); ++i) {
      for (size_t s = 0; s < contents.info.sources.size(); ++s) {
        const auto& found = json["segments"][i][contents.info.sources[s]];
        SourceSegment segment{found["gain"], {}};
        for (const auto& frame : found["codes"]) {
          for (const auto& code : frame) segment.codes.push_back(code);
        }
        EXPECT_EQ(segment, contents.segments[i][s]) << name << " segment " << i << " source " << s;
      }
    }
  }
}

TEST(PythonReader, GivesTheBitsOfTheExample) {
  if (!has_python()) GTEST_SKIP() << "python3 is not installed";
  std::string bits;
  for (const std::string& line : block("bits")) bits += line + "\n";
  EXPECT_EQ(run_python_reader("--trace", source_dir() / "tests/data/golden/example.vqc").text, bits);
}

TEST(PythonReader, TellsWhichStreamsNeedAPrior) {
  if (!has_python()) GTEST_SKIP() << "python3 is not installed";
  for (const char* name : {"prior", "prior_joint", "prior_low"}) {
    const Output output = run_python_reader("--crc", source_dir() / "tests/data/golden" / (std::string(name) + ".vqc"));
    EXPECT_EQ(output.status, 0) << output.text;
    const auto bytes = golden(name);
    const MemorySource source(bytes);
    const auto reader = VqcReader::open(source);
    ASSERT_TRUE(reader.ok());
    for (uint32_t i = 0; i < reader->num_segments(); ++i) {
      for (uint32_t s = 0; s < reader->info().sources.size(); ++s) {
        const auto decoded = reader->read_source_segment(i, s);
        const bool needs_prior = !decoded && decoded.error().code == Errc::kNeedsPrior;
        ASSERT_TRUE(decoded.ok() || needs_prior);
        std::string line = std::to_string(i);
        line.append(" ").append(reader->info().sources[s]).append(" ");
        const size_t at = output.text.find(line);
        ASSERT_NE(at, std::string::npos) << line;
        const std::string rest = output.text.substr(at, output.text.find('\n', at) - at);
        EXPECT_EQ(rest.ends_with(" needs prior"), needs_prior) << rest;
      }
    }
    EXPECT_THAT(output.text, HasSubstr("streams need prior "));
  }
}

TEST(PythonReader, RefusesBadFilesWithAMessage) {
  if (!has_python()) GTEST_SKIP() << "python3 is not installed";
  const bool has_zstd = run("python3 -c 'import zstandard; print(1)' 2>/dev/null").text == "1\n";
  for (const auto& entry : std::filesystem::directory_iterator(source_dir() / "tests/data/bad")) {
    const std::string name = entry.path().stem();
    if (entry.path().extension() != ".vqc") continue;
    if (!has_zstd && (name == "metadata_json" || name == "metadata_size")) continue;
    const Output output = run_python_reader("--crc", entry.path());
    EXPECT_EQ(output.status, 1) << name << ": " << output.text;
    EXPECT_THAT(output.text, testing::StartsWith("vqc_reader: ")) << name;
  }
}

}  // namespace
}  // namespace vqcodec::codec
