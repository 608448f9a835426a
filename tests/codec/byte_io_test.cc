#include "codec/byte_io.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <filesystem>

namespace vqcodec::codec {
namespace {

std::string temporary(const std::string& name) {
  return (std::filesystem::temp_directory_path() / ("vqcodec_" + std::to_string(::getpid()) + "_" + name)).string();
}

TEST(FileSource, ReadsWhatFileSinkWrote) {
  const std::string path = temporary("round_trip");
  {
    auto sink = FileSink::create(path);
    ASSERT_TRUE(sink);
    EXPECT_TRUE((*sink)->write(std::array<uint8_t, 4>{1, 2, 3, 4}));
    EXPECT_TRUE((*sink)->write({}));
    EXPECT_TRUE((*sink)->close());
    EXPECT_TRUE((*sink)->close());
    EXPECT_FALSE((*sink)->write(std::array<uint8_t, 1>{5}));
  }
  auto source = FileSource::open(path);
  ASSERT_TRUE(source);
  EXPECT_EQ((*source)->size(), 4U);
  std::array<uint8_t, 2> two;
  EXPECT_TRUE((*source)->read_at(1, two));
  EXPECT_EQ(two, (std::array<uint8_t, 2>{2, 3}));
  for (const uint64_t offset : {uint64_t{3}, uint64_t{5}, ~uint64_t{0}}) {
    const auto past = (*source)->read_at(offset, two);
    ASSERT_FALSE(past.ok());
    EXPECT_EQ(past.error().code, Errc::kTruncated);
  }
  std::filesystem::resize_file(path, 2);  // it shrinks while it is open
  EXPECT_EQ((*source)->read_at(1, two).error().code, Errc::kTruncated);
  std::filesystem::remove(path);
}

TEST(FileSource, SaysWhyItCannotOpen) {
  const auto missing = FileSource::open(temporary("missing"));
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().code, Errc::kIo);
  EXPECT_NE(missing.error().message.find("No such file"), std::string::npos);
  const auto directory = FileSource::open("/");
  ASSERT_FALSE(directory.ok());
  EXPECT_NE(directory.error().message.find("directory"), std::string::npos);
  const auto device = FileSource::open("/dev/null");
  ASSERT_FALSE(device.ok());
  EXPECT_NE(device.error().message.find("stream"), std::string::npos);
}

TEST(FileSink, FullDiskIsIo) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  auto sink = FileSink::create("/dev/full");
  ASSERT_TRUE(sink);
  const auto written = (*sink)->write(std::array<uint8_t, 1>{1});
  ASSERT_FALSE(written.ok());
  EXPECT_EQ(written.error().code, Errc::kIo);
  EXPECT_NE(written.error().message.find("space"), std::string::npos);
}

TEST(FdStream, ReadsAPipeToItsEnd) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  FdSink sink(ends[1]);
  EXPECT_TRUE(sink.write(std::array<uint8_t, 3>{7, 8, 9}));
  ::close(ends[1]);
  FdStream stream(ends[0]);
  std::array<uint8_t, 8> bytes;
  auto n = stream.read_some(bytes);
  ASSERT_TRUE(n);
  EXPECT_EQ(*n, 3U);
  EXPECT_EQ(bytes[2], 9);
  n = stream.read_some(bytes);
  ASSERT_TRUE(n);
  EXPECT_EQ(*n, 0U);
  ::close(ends[0]);
  const auto closed = stream.read_some(bytes);
  ASSERT_FALSE(closed.ok());
  EXPECT_EQ(closed.error().code, Errc::kIo);
}

}  // namespace
}  // namespace vqcodec::codec
