#include "prior/rebase.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "prior/random_prior.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_dir.h"
#include "tests/prior/small_prior.h"
#include "tests/runtime/safetensors_parts.h"
#include "tests/vqvae/tiny_model.h"
#include "vqvae/model.h"

namespace vqcodec::prior {
namespace {

using testing::AllOf;
using testing::HasSubstr;

vqvae::ModelConfig model_config() {
  vqvae::ModelConfig config = vqvae::tiny_config();
  config.noise = vqvae::StackConfig{.width = 16, .expansion = 2, .kernel_frames = 3, .dilations = {1}};
  config.envelope_dim = 3;
  config.envelope_codebook = 1;
  config.code_costs = true;
  return config;
}

class Rebase : public testing::Test {
 protected:
  Rebase() {
    vqvae::make_model(model_config(), 1).write(at("old.safetensors"));
    write_prior(true);
  }
  std::string at(const std::string& name) const { return folder_ / name; }
  void write_prior(bool half) {
    Config config = small_config();
    config.model_id = runtime::to_hex(vqvae::Model::load(at("old.safetensors"))->id());
    make_random_prior(config, 1, half).write(at("prior.safetensors"));
  }
  // new.safetensors: the old model with the last bit of a value of `tensor` changed.
  void change(const std::string& tensor) {
    const std::string old = read_bytes(at("old.safetensors"));
    runtime::SafetensorsParts parts(std::as_bytes(std::span(old)));
    ASSERT_TRUE(parts.header.contains(tensor)) << tensor;
    parts.data[parts.header[tensor]["data_offsets"][0].get<size_t>()] ^= 1;
    write_bytes(at("new.safetensors"), parts.bytes());
  }
  void rebase_all(bool force = false) {
    rebase(at("prior.safetensors"), at("old.safetensors"), at("new.safetensors"), at("out.safetensors"), force);
  }

  TempDir folder_;
};

TEST_F(Rebase, WritesThePriorForTheNewModel) {
  for (const bool half : {true, false}) {
    write_prior(half);
    for (const char* tensor :
         {"synthesis.head.weight", "synthesis_basis", "noise.norm.bias", "noise_basis", "noise_bias"}) {
      SCOPED_TRACE(tensor);
      change(tensor);
      rebase_all(true);
      const auto old_prior = Model::load(at("prior.safetensors")), prior = Model::load(at("out.safetensors"));
      Config expected = old_prior->config();
      expected.model_id = runtime::to_hex(vqvae::Model::load(at("new.safetensors"))->id());
      EXPECT_EQ(prior->config(), expected);
      EXPECT_NE(prior->id(), old_prior->id());
      auto old_metadata = old_prior->metadata(), metadata = prior->metadata();
      EXPECT_TRUE(old_metadata.erase("config") == 1 && metadata.erase("config") == 1);
      EXPECT_EQ(metadata, old_metadata);
      const std::string old_bytes = read_bytes(at("prior.safetensors")), bytes = read_bytes(at("out.safetensors"));
      const runtime::SafetensorsParts old_parts(std::as_bytes(std::span(old_bytes))),
          parts(std::as_bytes(std::span(bytes)));
      EXPECT_TRUE(parts.data == old_parts.data);
      auto old_header = old_parts.header, header = parts.header;
      old_header.erase("__metadata__");
      header.erase("__metadata__");
      EXPECT_EQ(header, old_header);
    }
  }
  EXPECT_ERROR(rebase_all(), ExitCode::kUsage, HasSubstr("--force"));
}

TEST_F(Rebase, RefusesModelsOfOtherCodes) {
  for (const char* tensor : {"encoder.head.weight", "analysis.in_layer.bias", "analysis_basis", "envelope_basis",
                             "envelope_bias", "codebooks", "envelope_entries", "code_costs"}) {
    change(tensor);
    EXPECT_ERROR(rebase_all(), ExitCode::kModel, AllOf(HasSubstr("new.safetensors"), HasSubstr(tensor)));
  }
  vqvae::ModelConfig other = model_config();
  other.noise_begin_bin = 40;
  vqvae::make_model(other, 1).write(at("new.safetensors"));
  EXPECT_ERROR(rebase_all(), ExitCode::kModel, HasSubstr("configs differ"));
  vqvae::make_model(model_config(), 1, /*half=*/false).write(at("new.safetensors"));
  EXPECT_ERROR(rebase_all(), ExitCode::kModel, HasSubstr("differs"));
  EXPECT_FALSE(std::filesystem::exists(at("out.safetensors")));
}

TEST_F(Rebase, RefusesAPriorOfAnotherModelAndMissingFiles) {
  change("noise_bias");
  const auto expect_refused = [&](const std::string& prior, const std::string& from, const std::string& to,
                                  const auto& message) {
    EXPECT_ERROR(rebase(at(prior), at(from), at(to), at("out.safetensors"), false), ExitCode::kModel, message);
  };
  expect_refused("prior.safetensors", "new.safetensors", "old.safetensors", HasSubstr("is for codes of model"));
  expect_refused("none.safetensors", "old.safetensors", "new.safetensors", HasSubstr("none.safetensors"));
  expect_refused("prior.safetensors", "none.safetensors", "new.safetensors", HasSubstr("none.safetensors"));
  expect_refused("prior.safetensors", "old.safetensors", "none.safetensors", HasSubstr("none.safetensors"));
  expect_refused("prior.safetensors", "old.safetensors", "prior.safetensors", HasSubstr("prior.safetensors"));
  expect_refused("old.safetensors", "old.safetensors", "new.safetensors", HasSubstr("old.safetensors"));
}

}  // namespace
}  // namespace vqcodec::prior
