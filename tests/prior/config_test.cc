#include "prior/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tests/prior/prior_test_util.h"

namespace vqcodec::prior {
namespace {

using nlohmann::json;
using testing::HasSubstr;

json valid() { return to_json(small_config()); }

std::string error_of(const json& object) {
  try {
    parse_config(object, "test");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ExitCode::kBadFile);
    return error.what();
  }
  return "";
}

std::string error_with(const char* key, const json& value) {
  json object = valid();
  object[key] = value;
  return error_of(object);
}

TEST(PriorConfig, SurvivesWritingAndReading) { EXPECT_EQ(parse_config(valid(), "test"), small_config()); }

TEST(PriorConfig, AbsentKeysHaveTheDefaults) {
  const json object = {{"type", "prior"}, {"version", 1}, {"model_id", std::string(64, '0')}};
  Config expected;
  expected.model_id.assign(64, '0');
  EXPECT_EQ(parse_config(object, "test"), expected);
}

TEST(PriorConfig, TypeVersionAndModelHaveToBeThere) {
  for (const char* key : {"type", "version", "model_id"}) {
    json object = valid();
    object.erase(key);
    EXPECT_THAT(error_of(object), HasSubstr(std::string("\"") + key + "\"")) << key;
  }
  EXPECT_THAT(error_with("type", "vqvae"), HasSubstr("\"type\" is \"vqvae\", expected \"prior\""));
  EXPECT_THAT(error_with("version", 2), HasSubstr("\"version\" is 2"));
  EXPECT_THAT(error_with("model_id", "abc"), HasSubstr("64 lower-case hexadecimal digits"));
  EXPECT_THAT(error_with("model_id", std::string(64, 'G')), HasSubstr("64 lower-case hexadecimal digits"));
}

TEST(PriorConfig, ValuesOutOfRangeAreRefusedWithTheRange) {
  const struct {
    const char* key;
    int64_t least, most;
  } limits[] = {{"num_codebooks", 1, 16},   {"codebook_size", 2, 65536}, {"embedding_dim", 1, 1024},
                {"width", 8, 2048},         {"num_heads", 1, 64},        {"num_layers", 1, 32},
                {"mlp_ratio", 1, 8},        {"window_frames", 1, 4096},  {"frame_width", 1, 4096},
                {"lookahead_frames", 1, 64}};
  for (const auto& [key, least, most] : limits) {
    const std::string range = std::to_string(least) + ".." + std::to_string(most);
    EXPECT_THAT(error_with(key, least - 1), HasSubstr(range)) << key;
    EXPECT_THAT(error_with(key, most + 1), HasSubstr(range)) << key;
    EXPECT_THAT(error_with(key, "4"), HasSubstr(range)) << key;
    EXPECT_THAT(error_with(key, 4.5), HasSubstr(range)) << key;
    EXPECT_THAT(error_with(key, uint64_t{1} << 63), HasSubstr(range)) << key;
  }
  EXPECT_THAT(error_with("sources", {"a", "a"}), HasSubstr("different names"));
  EXPECT_THAT(error_with("sources", json::array()), HasSubstr("different names"));
  EXPECT_THAT(error_with("num_heads", 5), HasSubstr("divides width, 24"));
  EXPECT_THAT(error_with("num_heads", 8), HasSubstr("into even parts"));
  EXPECT_THAT(error_with("window", 5), HasSubstr("unknown key \"window\""));
  EXPECT_THAT(error_of(json::array()), HasSubstr("a JSON object"));
}

TEST(PriorConfig, CachesAreBounded) {
  json object = valid();
  object.update({{"width", 2048}, {"num_heads", 8}, {"num_layers", 32}, {"window_frames", 128}});
  EXPECT_EQ(error_of(object), "");
  object["window_frames"] = 129;
  EXPECT_THAT(error_of(object), HasSubstr("at most 2^23"));
}

}  // namespace
}  // namespace vqcodec::prior
