#include "codec/crc32c.h"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace vqcodec::codec {
namespace {

std::vector<uint8_t> bytes_of(std::string_view text) { return {text.begin(), text.end()}; }

TEST(Crc32c, CheckValueOfTheCatalogue) { EXPECT_EQ(crc32c(bytes_of("123456789")), 0xE3069283U); }

// RFC 3720, B.4.
TEST(Crc32c, Rfc3720Vectors) {
  EXPECT_EQ(crc32c(std::vector<uint8_t>(32, 0)), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::vector<uint8_t>(32, 0xFF)), 0x62A8AB43U);
}

TEST(Crc32c, OfTwoPiecesIsThatOfTheWhole) {
  EXPECT_EQ(crc32c(bytes_of("1234"), bytes_of("56789")), 0xE3069283U);
  EXPECT_EQ(crc32c({}), 0U);
}

}  // namespace
}  // namespace vqcodec::codec
