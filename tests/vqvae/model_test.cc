#include "vqvae/model.h"

#include <cmath>
#include <cstdlib>
#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/base/expect_error.h"
#include "tests/base/temp_dir.h"
#include "tests/runtime/safetensors_parts.h"
#include "tests/vqvae/codec_test_util.h"

namespace vqcodec::vqvae {
namespace {

using nlohmann::json;
using Parts = runtime::SafetensorsParts;
using testing::AllOf;
using testing::HasSubstr;

std::shared_ptr<const Model> load_bytes(const std::string& bytes) {
  return Model::from_file(runtime::Safetensors::open_memory(std::as_bytes(std::span(bytes)), "x.safetensors"));
}

class ModelFile : public testing::Test {
 protected:
  void SetUp() override {
    for (const auto& [name, entry] : whole_.header.items()) {
      if (name != "__metadata__") names_.push_back(name);
    }
    ASSERT_GT(names_.size(), 40U);
  }
  Parts whole_{make_model(tiny_config(), 1).bytes()};
  std::vector<std::string> names_;
};

TEST_F(ModelFile, LoadsWithItsConfigIdAndMetadata) {
  TempDir folder;
  write_tiny_model(folder / "m.safetensors");
  const auto model = Model::load(folder / "m.safetensors");
  EXPECT_EQ(model->config(), tiny_config());
  EXPECT_EQ(model->id(), runtime::sha256_file(folder / "m.safetensors"));
  EXPECT_EQ(model->metadata().at("licence"), "Apache-2.0");
  EXPECT_NO_THROW(load_bytes(whole_.bytes()));  // taking apart and putting together does no harm
}

TEST_F(ModelFile, HalfAndFullPrecisionBothLoad) {
  const auto half = load_model(tiny_config(), 1, true), full = load_model(tiny_config(), 1, false);
  EXPECT_NE(half->id(), full->id());
  EXPECT_NEAR(half->source(0).entries[0][0], full->source(0).entries[0][0], 1e-3);
}

TEST_F(ModelFile, EveryMissingTensorIsNamed) {
  for (const std::string& name : names_) {
    Parts parts = whole_;
    parts.header["left_over"] = parts.header[name];
    parts.header.erase(name);
    EXPECT_ERROR(load_bytes(parts.bytes()), ExitCode::kModel, AllOf(HasSubstr("'" + name + "'"), HasSubstr("missing")));
  }
}

TEST_F(ModelFile, EveryWrongShapeIsNamedWithBothShapes) {
  for (const std::string& name : names_) {
    Parts parts = whole_;
    json& shape = parts.header[name]["shape"];
    shape.insert(shape.begin(), 1);
    EXPECT_ERROR(load_bytes(parts.bytes()), ExitCode::kModel,
                 AllOf(HasSubstr("x.safetensors: tensor '" + name + "'"), HasSubstr("[1, "), HasSubstr("expected")));
  }
}

TEST_F(ModelFile, EveryWrongDtypeIsNamed) {
  for (const std::string& name : names_) {
    Parts parts = whole_;
    parts.header[name]["dtype"] = "I16";
    EXPECT_ERROR(load_bytes(parts.bytes()), ExitCode::kModel, AllOf(HasSubstr("'" + name + "'"), HasSubstr("I16")));
  }
}

TEST_F(ModelFile, EveryWeightThatIsNotFiniteIsNamed) {
  for (const std::string& name : names_) {
    for (const char* bits : {"\x00\x7e", "\x00\x7c", "\x00\xfc"}) {  // NaN, infinity, -infinity
      Parts parts = whole_;
      const auto end = parts.header[name]["data_offsets"][1].get<size_t>();
      parts.data.replace(end - 2, 2, std::string(bits, 2));
      EXPECT_ERROR(load_bytes(parts.bytes()), ExitCode::kModel, HasSubstr("'" + name + "'"));
    }
  }
}

TEST_F(ModelFile, TensorsWithoutAPlaceAreNamed) {
  Parts parts = whole_;
  parts.header["encoder.blocks.2.up.bias"] = {{"dtype", "F16"},
                                              {"shape", {2}},
                                              {"data_offsets", {parts.data.size(), parts.data.size() + 4}}};
  parts.data += std::string(4, '\0');
  EXPECT_ERROR(load_bytes(parts.bytes()), ExitCode::kModel, HasSubstr("encoder.blocks.2.up.bias"));
}

TEST_F(ModelFile, MetadataAreChecked) {
  const auto load_with = [&](const std::function<void(json&)>& change) {
    Parts parts = whole_;
    change(parts.metadata());
    return load_bytes(parts.bytes());
  };
  EXPECT_ERROR(load_with([](json& m) { m.erase("format"); }), ExitCode::kModel, HasSubstr("'format'"));
  EXPECT_ERROR(load_with([](json& m) { m.erase("config"); }), ExitCode::kModel, HasSubstr("'config'"));
  EXPECT_ERROR(load_with([](json& m) { m["format"] = "vqcodec-vqvae-2"; }), ExitCode::kModel,
               AllOf(HasSubstr("vqcodec-vqvae-2"), HasSubstr("expected \"vqcodec-vqvae-1\"")));
  EXPECT_ERROR(load_with([](json& m) { m["config"] = "{"; }), ExitCode::kModel, HasSubstr("config is not JSON"));
  EXPECT_ERROR(load_with([](json& m) { m["config"] = "[]"; }), ExitCode::kBadFile, HasSubstr("a JSON object"));
  EXPECT_ERROR(load_with([](json& m) { m["config"] = R"({"hop_samples": 100})"; }), ExitCode::kBadFile,
               HasSubstr("\"hop_samples\" is 100"));
  // A valid config of another network: its tensors are not there, and nothing of their size is allocated.
  EXPECT_ERROR(load_with([](json& m) {
                 m["config"] = R"({"quantizer": {"codebook_size": 65536, "num_codebooks": 32, "code_dim": 1024}})";
               }),
               ExitCode::kModel, HasSubstr("tensor '"));
  Parts parts = whole_;
  parts.header.erase("__metadata__");
  EXPECT_ERROR(load_bytes(parts.bytes()), ExitCode::kModel, HasSubstr("'format'"));
}

TEST_F(ModelFile, EachFieldOfTheConfigMatters) {
  // A config that differs from the weights' own in one size is refused by the shape of a tensor.
  const std::function<void(ModelConfig&)> changes[] = {
      [](auto& c) { c.hop_samples = 512; },
      [](auto& c) { c.sources.pop_back(); },
      [](auto& c) { c.num_fine_bins = 128; },
      [](auto& c) { c.coarse_bins = 32; },
      [](auto& c) { c.encoder.width = 24; },
      [](auto& c) { c.encoder.expansion = 3; },
      [](auto& c) { c.encoder.kernel_frames = 3; },
      [](auto& c) { c.encoder.dilations.pop_back(); },
      [](auto& c) { c.num_code_bins = 32; },
      [](auto& c) { c.analysis.dilations.push_back(1); },
      [](auto& c) { c.synthesis.width = 8; },
      [](auto& c) { c.num_codebooks = 2; },
      [](auto& c) { c.codebook_size = 16; },
      [](auto& c) { c.code_dim = 4; },
      [](auto& c) { c.encoder_kind = EncoderKind::kDirect; },
      [](auto& c) { c.quantizer_kind = QuantizerKind::kGumbel; },
      [](auto& c) { c.code_costs = true; },
      [](auto& c) { c.unet = UNetConfig{.channels = {4}, .strides = {1}}; },
  };
  for (size_t i = 0; i < std::size(changes); ++i) {
    SCOPED_TRACE(i);
    ModelConfig config = tiny_config();
    changes[i](config);
    Parts parts = whole_;
    parts.metadata()["config"] = to_json(config).dump();
    EXPECT_ERROR(load_bytes(parts.bytes()), ExitCode::kModel, HasSubstr("tensor"));
  }
}

TEST_F(ModelFile, DamagedFilesAreRefusedOrLoad) {
  const std::string bytes = whole_.bytes();
  const size_t header_end = bytes.size() - whole_.data.size();
  const auto try_load = [](const std::string& damaged) {
    try {
      load_bytes(damaged);
      return 0;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("x.safetensors"));
      EXPECT_TRUE(error.code() == ExitCode::kModel || error.code() == ExitCode::kBadFile) << error.what();
      return 1;
    }
  };
  for (size_t size = 0; size < bytes.size(); size += size < 64 ? 1 : 499) {
    EXPECT_EQ(try_load(bytes.substr(0, size)), 1) << "cut to " << size;
  }
  int num_refused = 0, num_tried = 0;
  for (size_t at = 0; at < header_end; at += at < 16 ? 1 : 11) {
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << at % 7));
    num_refused += try_load(damaged);
    ++num_tried;
  }
  // Only texts such as the name may change without harm.
  EXPECT_GT(num_refused, num_tried * 9 / 10);
}

TEST(AverageWeights, IsTheMeanOfTheTensorsThatAreNamed) {
  const char* root = std::getenv("VQCODEC_SOURCE_DIR");
  ASSERT_NE(root, nullptr);
  TempDir folder;
  write_tiny_model(folder / "a.safetensors", 1);
  write_tiny_model(folder / "b.safetensors", 2);
  const auto run = [&](const std::string& models) {
    const std::string command = "cd '" + folder.path() + "' && PYTHONDONTWRITEBYTECODE=1 python3 '" + root +
                                "/tools/average_weights.py' --only encoder. -o mean.safetensors " + models +
                                " >log 2>&1";
    return std::system(command.c_str());
  };
  ASSERT_EQ(run("a.safetensors b.safetensors b.safetensors"), 0);
  auto a = runtime::Safetensors::open(folder / "a.safetensors"),
       b = runtime::Safetensors::open(folder / "b.safetensors");
  auto mean = runtime::Safetensors::open(folder / "mean.safetensors");
  EXPECT_EQ(mean.metadata(), a.metadata());
  EXPECT_EQ(mean.tensor_names(), a.tensor_names());
  for (const std::string& name : a.tensor_names()) {
    const runtime::Shape shape = a.shape(name);
    const auto first = a.floats(name, shape), second = b.floats(name, shape), found = mean.floats(name, shape);
    if (!name.starts_with("encoder.")) {
      EXPECT_EQ(found, first) << name;
      continue;
    }
    for (size_t i = 0; i < found.size(); ++i) {
      const float expected = (first[i] + 2 * second[i]) / 3;
      ASSERT_NEAR(found[i], expected, 1e-3F * std::max(0.1F, std::abs(expected))) << name;
    }
  }
  EXPECT_NO_THROW(Model::load(folder / "mean.safetensors"));
  // One model, and one of another network.
  EXPECT_NE(run("a.safetensors"), 0);
  ModelConfig wider = tiny_config();
  wider.encoder.width = 24;
  make_model(wider, 1).write(folder / "wide.safetensors");
  EXPECT_NE(run("a.safetensors wide.safetensors"), 0);
}

TEST(Model, AMissingFileSaysWhatToDo) {
  EXPECT_ERROR(Model::load("/nowhere/m.safetensors"), ExitCode::kModel,
               AllOf(HasSubstr("/nowhere/m.safetensors"), HasSubstr("--model")));
  TempDir folder;
  write_bytes(folder / "text.safetensors", "this is no model");
  EXPECT_ERROR(Model::load(folder / "text.safetensors"), ExitCode::kBadFile, HasSubstr("safetensors"));
  EXPECT_ERROR(Model::load(folder.path()), ExitCode::kIo, HasSubstr("not a regular file"));
}

}  // namespace
}  // namespace vqcodec::vqvae
