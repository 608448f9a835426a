#include "vqvae/train/event_writer.h"

#include <cstring>
#include <filesystem>
#include <limits>
#include <map>
#include <sstream>
#include <stdexcept>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "codec/crc32c.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_dir.h"

namespace vqcodec::vqvae::train {
namespace {

uint32_t masked_crc(const std::string& bytes) {
  const uint32_t crc = codec::crc32c({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  return ((crc >> 15) | (crc << 17)) + 0xA282EAD8U;
}

template <class T>
T take(std::string& bytes) {
  if (bytes.size() < sizeof(T)) throw std::runtime_error("cut");
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  bytes.erase(0, sizeof(T));
  return value;
}

std::string take_bytes(std::string& bytes, uint64_t count) {
  if (bytes.size() < count) throw std::runtime_error("cut");
  const std::string result = bytes.substr(0, count);
  bytes.erase(0, count);
  return result;
}

uint64_t take_varint(std::string& bytes) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const auto byte = take<uint8_t>(bytes);
    value |= uint64_t{byte & 127U} << shift;
    if (byte < 128) return value;
  }
  throw std::runtime_error("varint");
}

// TFRecord: length, masked CRC32C of the length, bytes, masked CRC32C of the bytes.
std::vector<std::string> read_records(std::string file) {
  std::vector<std::string> records;
  while (!file.empty()) {
    const std::string length = take_bytes(file, 8);
    EXPECT_EQ(take<uint32_t>(file), masked_crc(length));
    std::string copy = length;
    const std::string record = take_bytes(file, take<uint64_t>(copy));
    EXPECT_EQ(take<uint32_t>(file), masked_crc(record));
    records.push_back(record);
  }
  return records;
}

struct Event {
  double wall_time = 0;
  int64_t step = -1;
  std::string version;
  std::map<std::string, float> scalars;
};

// The fields of tensorflow.Event that are written; any other fails.
Event parse_event(std::string bytes) {
  Event event;
  while (!bytes.empty()) {
    switch (take_varint(bytes)) {
      case 1 << 3 | 1: event.wall_time = take<double>(bytes); break;
      case 2 << 3 | 0: event.step = static_cast<int64_t>(take_varint(bytes)); break;
      case 3 << 3 | 2: event.version = take_bytes(bytes, take_varint(bytes)); break;
      case 5 << 3 | 2: {
        std::string summary = take_bytes(bytes, take_varint(bytes));
        while (!summary.empty()) {
          EXPECT_EQ(take_varint(summary), 1U << 3 | 2U);
          std::string value = take_bytes(summary, take_varint(summary));
          EXPECT_EQ(take_varint(value), 1U << 3 | 2U);
          const std::string tag = take_bytes(value, take_varint(value));
          EXPECT_EQ(take_varint(value), 2U << 3 | 5U);
          event.scalars[tag] = take<float>(value);
          EXPECT_TRUE(value.empty());
        }
        break;
      }
      default: ADD_FAILURE() << "unknown field"; return event;
    }
  }
  return event;
}

std::vector<std::string> event_files(const TempDir& folder) {
  std::vector<std::string> files;
  for (const std::string& name : folder.list()) {
    if (name.starts_with("events.out.tfevents.")) files.push_back(folder / name);
  }
  return files;
}

TEST(EventWriter, EventFilesAreWholeTensorBoardFiles) {
  TempDir folder;
  {
    EventWriter writer(folder.path());
    writer.write(300, "training", {{"loss", 1.25}, {"learning_rate", 1e-3}});
    writer.write(70000, "validation", {{"vocals", -3.5}});
  }
  const auto files = event_files(folder);
  ASSERT_EQ(files.size(), 1U);
  const auto records = read_records(read_bytes(files[0]));
  ASSERT_EQ(records.size(), 3U);
  EXPECT_EQ(parse_event(records[0]).version, "brain.Event:2");
  const Event training = parse_event(records[1]), validation = parse_event(records[2]);
  EXPECT_EQ(training.step, 300);
  EXPECT_GT(training.wall_time, 1.6e9);
  EXPECT_EQ(training.scalars,
            (std::map<std::string, float>{{"training/loss", 1.25F}, {"training/learning_rate", 1e-3F}}));
  EXPECT_EQ(validation.step, 70000);
  EXPECT_EQ(validation.scalars, (std::map<std::string, float>{{"validation/vocals", -3.5F}}));
}

TEST(EventWriter, LogIsJsonLinesAndGoesOn) {
  TempDir folder;
  EventWriter(folder.path()).write(1, "training", {{"loss", 2}});
  EventWriter(folder.path()).write(2, "training", {{"loss", std::numeric_limits<double>::infinity()}});
  std::istringstream lines(read_bytes(folder / "log.jsonl"));
  std::vector<nlohmann::json> all;
  for (std::string line; std::getline(lines, line);) all.push_back(nlohmann::json::parse(line));
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0]["kind"], "training");
  EXPECT_EQ(all[0]["step"], 1);
  EXPECT_EQ(all[0]["loss"], 2.0);
  EXPECT_GT(all[0]["time"].get<double>(), 1.6e9);
  EXPECT_TRUE(all[1]["loss"].is_null());
  // Two runs within a second have two event files.
  const auto files = event_files(folder);
  EXPECT_EQ(files.size(), 2U);
  for (const std::string& file : files) EXPECT_EQ(read_records(read_bytes(file)).size(), 2U);
}

TEST(EventWriter, AFolderThatIsNotThereIsAnError) {
  EXPECT_ERROR(EventWriter("/nowhere/run"), ExitCode::kIo, testing::HasSubstr("/nowhere/run"));
}

}  // namespace
}  // namespace vqcodec::vqvae::train
