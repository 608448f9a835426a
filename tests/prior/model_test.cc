#include "prior/model.h"

#include <cstring>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/base/expect_error.h"
#include "tests/base/temp_dir.h"
#include "tests/prior/prior_test_util.h"
#include "tests/runtime/safetensors_parts.h"

namespace vqcodec::prior {
namespace {

using nlohmann::json;
using Parts = runtime::SafetensorsParts;
using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;

std::shared_ptr<const Model> load_bytes(const std::string& bytes) {
  return Model::from_file(runtime::Safetensors::open_memory(std::as_bytes(std::span(bytes)), "x.safetensors"));
}

class PriorFile : public testing::Test {
 protected:
  Parts whole_{make_random_prior(small_config(), 1, false).bytes()};
};

TEST_F(PriorFile, LoadsWithItsConfigIdAndMetadata) {
  TempDir folder;
  make_random_prior(small_config(), 1).write(folder / "p.safetensors");
  const auto model = Model::load(folder / "p.safetensors");
  EXPECT_EQ(model->config(), small_config());
  EXPECT_EQ(model->id(), runtime::sha256_file(folder / "p.safetensors"));
  EXPECT_EQ(model->metadata().at("name"), "random-1");
  EXPECT_NE(kNumericsId, 0U);
  EXPECT_NO_THROW(load_bytes(whole_.bytes()));  // taking apart and putting together does no harm
}

TEST_F(PriorFile, HalfPrecisionIsExpandedExactly) {
  const auto half = random_prior(small_config(), 1, true), full = random_prior(small_config(), 1, false);
  EXPECT_NE(half->id(), full->id());
  bool some_differ = false;
  for (int code = 0; code < small_config().codebook_size; ++code) {
    const float rounded = half->embedding(2, 1, code)[9], whole = full->embedding(2, 1, code)[9];
    EXPECT_EQ(rounded, runtime::float_from_f16(runtime::f16_from_float(whole)));
    some_differ = some_differ || rounded != whole;
  }
  EXPECT_TRUE(some_differ);
}

TEST_F(PriorFile, MissingFileSaysWhatToDo) {
  EXPECT_ERROR(Model::load("/nowhere/p.safetensors"), ExitCode::kModel,
               AllOf(HasSubstr("/nowhere/p.safetensors"), HasSubstr("--no-prior")));
}

TEST_F(PriorFile, EveryMissingTensorIsNamed) {
  int count = 0;
  for (const auto& [name, entry] : whole_.header.items()) {
    if (name == "__metadata__") continue;
    ++count;
    Parts parts = whole_;
    parts.header["left_over"] = entry;
    parts.header.erase(name);
    EXPECT_ERROR(load_bytes(parts.bytes()), ExitCode::kModel, AllOf(HasSubstr("'" + name + "'"), HasSubstr("missing")));
  }
  EXPECT_EQ(count, 8 + 3 + 2 * 12 + 2 + 3 * 4 - 1);
}

TEST_F(PriorFile, EveryTensorOfAnotherShapeOrKindIsNamed) {
  for (const auto& [name, entry] : whole_.header.items()) {
    if (name == "__metadata__") continue;
    Parts parts = whole_;
    json& shape = parts.header[name]["shape"];
    shape.insert(shape.begin(), 1);
    EXPECT_ERROR(load_bytes(parts.bytes()), ExitCode::kModel, HasSubstr("'" + name + "'"));
    parts = whole_;
    parts.header[name]["dtype"] = "I32";
    EXPECT_ERROR(load_bytes(parts.bytes()), ExitCode::kModel, HasSubstr("'" + name + "'"));
  }
}

TEST_F(PriorFile, UnknownTensorIsNamed) {
  Parts parts = whole_;
  const size_t size = parts.data.size();
  parts.data.append(4, '\0');
  parts.header["extra"] = {{"dtype", "F32"}, {"shape", {1}}, {"data_offsets", {size, size + 4}}};
  EXPECT_ERROR(load_bytes(parts.bytes()), ExitCode::kModel, HasSubstr("extra"));
}

TEST_F(PriorFile, NanAndInfinityInAnyTensorAreRefused) {
  const float specials[] = {runtime::kNan, runtime::kInfinity, -runtime::kInfinity};
  int i = 0;
  for (const auto& [name, entry] : whole_.header.items()) {
    if (name == "__metadata__") continue;
    Parts parts = whole_;
    const auto end = entry["data_offsets"][1].get<size_t>();
    std::memcpy(parts.data.data() + end - 4, &specials[i++ % 3], 4);
    EXPECT_ERROR(load_bytes(parts.bytes()), ExitCode::kModel, HasSubstr("'" + name + "'"));
  }
}

TEST_F(PriorFile, OtherFormatsAndConfigsAreRefused) {
  Parts parts = whole_;
  parts.metadata()["format"] = "vqcodec-vqvae-1";
  EXPECT_ERROR(load_bytes(parts.bytes()), ExitCode::kModel, HasSubstr("expected \"vqcodec-prior-1\""));
  parts = whole_;
  parts.metadata().erase("format");
  EXPECT_ERROR(load_bytes(parts.bytes()), ExitCode::kModel, HasSubstr("format"));
  parts = whole_;
  parts.metadata()["config"] = "{";
  EXPECT_ERROR(load_bytes(parts.bytes()), ExitCode::kBadFile, HasSubstr("config is not JSON"));
  parts.metadata()["config"] = R"({"type": "vqvae"})";
  EXPECT_ERROR(load_bytes(parts.bytes()), ExitCode::kBadFile, HasSubstr("expected \"prior\""));
}

// A config that asks for more than the file has must fail before room is made for it.
TEST_F(PriorFile, SizesThatTheFileDoesNotHaveAreRefused) {
  const json config = to_json(small_config());
  for (const auto& [key, value] : std::map<std::string, int>{{"codebook_size", 65536},
                                                             {"embedding_dim", 1024},
                                                             {"width", 512},
                                                             {"num_layers", 32},
                                                             {"mlp_ratio", 8},
                                                             {"frame_width", 4096},
                                                             {"lookahead_frames", 64},
                                                             {"num_codebooks", 16}}) {
    Parts parts = whole_;
    json changed = config;
    changed[key] = value;
    parts.metadata()["config"] = changed.dump();
    EXPECT_ERROR(load_bytes(parts.bytes()), ExitCode::kModel, AnyOf(HasSubstr("missing"), HasSubstr("expected")));
  }
}

TEST_F(PriorFile, EveryPrefixIsRefused) {
  const std::string bytes = whole_.bytes();
  for (size_t size = 0; size < bytes.size(); size += size < 4096 ? 7 : 997)
    EXPECT_ERROR(load_bytes(bytes.substr(0, size)), ExitCode::kBadFile, HasSubstr("x.safetensors"));
}

}  // namespace
}  // namespace vqcodec::prior
