#include "prior/selftest.h"

#include <gtest/gtest.h>

#include <set>

#include "tests/runtime/runtime_test_util.h"

namespace vqcodec::prior {
namespace {

class SelftestOnPath : public runtime::EveryPath {};

using runtime::kBuiltPaths;
using runtime::name_of_path;

// If this fails on a new machine or compiler, files coded there cannot be read elsewhere.
TEST_P(SelftestOnPath, GivesTheBitsWrittenDown) {
  std::set<std::string> names;
  for (const SelftestCheck& check : run_selftest()) {
    EXPECT_EQ(check.found, check.expected) << check.name;
    EXPECT_EQ(check.expected.size(), 64U);
    EXPECT_TRUE(names.insert(check.name).second) << check.name;
  }
  EXPECT_EQ(names.size(), 19U);
}

VQCODEC_ON_EVERY_PATH(SelftestOnPath);

TEST(Selftest, ACheckFailsWhenItsBitsDiffer) {
  SelftestCheck check = {"x", "1", "1"};
  EXPECT_TRUE(check.passed());
  check.found = "2";
  EXPECT_FALSE(check.passed());
}

}  // namespace
}  // namespace vqcodec::prior
