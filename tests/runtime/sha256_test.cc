#include "runtime/sha256.h"

#include <gtest/gtest.h>

#include <span>
#include <string>

#include "tests/base/expect_error.h"
#include "tests/base/temp_dir.h"

namespace vqcodec::runtime {
namespace {

using ::testing::HasSubstr;

std::string hash(const std::string& text) { return to_hex(sha256(std::as_bytes(std::span(text)))); }

// Examples of FIPS 180-4 as NIST publishes them.
TEST(Sha256, KnownVectors) {
  EXPECT_EQ(hash(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hash("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hash(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, AFileHasTheHashOfItsBytes) {
  const TempDir folder;
  for (std::size_t size : {0U, 1U, 65535U, 65536U, 65537U, 200000U}) {  // around the blocks it is read in
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 7 + i / 256);
    write_bytes(folder / "file", bytes);
    EXPECT_EQ(to_hex(sha256_file(folder / "file")), hash(bytes)) << size;
  }
}

TEST(Sha256, UnreadableFileIsAnError) {
  const TempDir folder;
  EXPECT_ERROR(sha256_file(folder / "missing"), ExitCode::kIo, HasSubstr("missing: cannot be opened"));
  EXPECT_ERROR(sha256_file(folder.path()), ExitCode::kIo, HasSubstr("cannot be"));
}

}  // namespace
}  // namespace vqcodec::runtime
