#include "vqvae/encoder.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/cpu.h"
#include "tests/base/expect_error.h"
#include "tests/runtime/safetensors_parts.h"
#include "tests/vqvae/codec_test_util.h"

namespace vqcodec::vqvae {
namespace {

using testing::HasSubstr;

class EncoderOfKind : public testing::TestWithParam<KindOfModel> {
 protected:
  std::shared_ptr<const Model> model_ = load_model(GetParam().config());
  runtime::ThreadPool pool_{1};
  // 322 frames of 256 samples: two blocks of the encoder and a rest, three segments of 100 and a rest.
  std::vector<float> song_ = synthetic_song(320 * 256 + 77);
};

TEST_P(EncoderOfKind, CodesAreInRangeAndSayDifferentThings) {
  const Segments segments = encode(model_, song_, {.segment_frames = 100}, pool_);
  ASSERT_EQ(segments.size(), 4U);
  for (size_t i = 0; i < segments.size(); ++i) {
    ASSERT_EQ(segments[i].size(), 4U);
    for (const codec::SourceSegment& source : segments[i]) {
      EXPECT_EQ(source.codes.size(), (i < 3 ? 100U : 22U) * 3);
      EXPECT_GT(source.gain, 0);
      EXPECT_LT(source.gain, kNumGains);
    }
  }
  for (size_t s = 0; s < 4; ++s) {
    const std::vector<uint16_t> codes = codes_of(segments, s);
    for (const uint16_t code : codes) ASSERT_LT(code, 32);
    // A network that ignores its input gives one code again and again.
    EXPECT_GT(std::set<uint16_t>(codes.begin(), codes.end()).size(), 8U) << "source " << s;
  }
  EXPECT_NE(codes_of(segments, 0), codes_of(segments, 1));
  EXPECT_NE(encode(model_, synthetic_song(320 * 256 + 77, 2), {.segment_frames = 100}, pool_), segments);
}

TEST_P(EncoderOfKind, BlocksOfAnySizeGiveTheSameCodes) {
  const Segments whole = encode(model_, song_, {.segment_frames = 100}, pool_);
  for (const int64_t block : {1, 7, 255, 4096, 40000}) {
    EXPECT_EQ(encode(model_, song_, {.segment_frames = 100}, pool_, block), whole) << "blocks of " << block;
  }
}

TEST_P(EncoderOfKind, ThreadsAndCpuPathsGiveTheSameCodes) {
  const Segments one = encode(model_, song_, {.segment_frames = 100}, pool_);
  for (const int threads : {2, 3}) {
    runtime::ThreadPool pool(threads);
    EXPECT_EQ(encode(model_, song_, {.segment_frames = 100}, pool), one) << threads << " threads";
  }
  const runtime::Path path = runtime::current_path();
  for (const auto other : runtime::kBuiltPaths) {
    if (!runtime::can_run(other)) continue;  // not on this CPU
    runtime::set_path(other);
    EXPECT_EQ(encode(model_, song_, {.segment_frames = 100}, pool_), one) << runtime::path_name(other);
  }
  runtime::set_path(path);
}

TEST_P(EncoderOfKind, FewerCodebooksAreTheFirstOnes) {
  const Segments all = encode(model_, song_, {}, pool_);
  for (const int kept : {1, 2}) {
    const Segments some = encode(model_, song_, {.num_codebooks = kept}, pool_);
    ASSERT_EQ(some.size(), all.size());
    for (size_t s = 0; s < 4; ++s) {
      EXPECT_EQ(some[0][s].gain, all[0][s].gain);
      const std::vector<uint16_t> codes = codes_of(some, s), all_codes = codes_of(all, s);
      ASSERT_EQ(codes.size() * 3, all_codes.size() * static_cast<size_t>(kept));
      for (size_t i = 0; i < codes.size(); ++i) {
        const size_t frame = i / static_cast<size_t>(kept), codebook = i % static_cast<size_t>(kept);
        ASSERT_EQ(codes[i], all_codes[3 * frame + codebook]) << "source " << s << " frame " << frame;
      }
    }
  }
}

TEST_P(EncoderOfKind, LengthsFollowTheRule) {
  // ceil(n / hop) + 1 frames of n > 0 samples; none of 0.
  for (const auto& [num_samples, num_frames] :
       {std::pair<int64_t, size_t>{0, 0}, {1, 2}, {255, 2}, {256, 2}, {257, 3}, {10 * 256, 11}, {10 * 256 + 1, 12}}) {
    const Segments segments = encode(model_, synthetic_song(num_samples), {.segment_frames = 4}, pool_);
    EXPECT_EQ(segments.size(), (num_frames + 3) / 4) << num_samples;
    if (num_frames > 0) {
      EXPECT_EQ(codes_of(segments, 0).size(), 3 * num_frames) << num_samples;
    }
  }
}

TEST_P(EncoderOfKind, WildSamplesCountAsTheHeaderSays) {
  std::vector<float> wild = song_, tame = song_;
  const float infinity = std::numeric_limits<float>::infinity();
  const std::pair<float, float> cases[] = {{std::nanf(""), 0.0F}, {infinity, 0.0F}, {-infinity, 0.0F},
                                           {3e38F, 64.0F},        {-65.0F, -64.0F}, {64.0F, 64.0F}};
  for (size_t i = 0; i < std::size(cases); ++i) {
    wild[20001 + 1001 * i] = cases[i].first;
    tame[20001 + 1001 * i] = cases[i].second;
  }
  const Segments segments = encode(model_, wild, {.segment_frames = 100}, pool_);
  EXPECT_EQ(segments, encode(model_, tame, {.segment_frames = 100}, pool_));
  EXPECT_NE(segments, encode(model_, song_, {.segment_frames = 100}, pool_));
}

TEST_P(EncoderOfKind, StreamInfoIsAValidHeader) {
  Encoder encoder(model_, {.num_codebooks = 2, .segment_frames = 100}, pool_, [](const auto&) {});
  encoder.push(song_);
  encoder.finish();
  const codec::StreamInfo info = encoder.stream_info();
  EXPECT_TRUE(codec::validate(info).ok());
  EXPECT_EQ(info.num_samples, 320U * 256 + 77);
  EXPECT_EQ(encoder.num_samples(), 320 * 256 + 77);
  EXPECT_EQ(info.num_codebooks, 2U);
  EXPECT_EQ(info.codebook_size, 32U);
  EXPECT_EQ(info.segment_frames, 100U);
  EXPECT_EQ(info.hop_samples, 256U);
  EXPECT_EQ(info.model_id, model_->id());
  EXPECT_EQ(info.sources, model_->config().sources);
}

INSTANTIATE_TEST_SUITE_P(Kinds, EncoderOfKind, testing::ValuesIn(kKinds),
                         [](const auto& kind) { return std::string(kind.param.name); });

TEST(Encoder, SegmentSizeChangesNoCodeOfADirectEncoder) {
  // An encoder with masks has a gain for each segment, to which its codes are relative.
  const auto model = load_model(tiny_config_of(EncoderKind::kDirect, QuantizerKind::kResidual));
  runtime::ThreadPool pool(1);
  const std::vector<float> song = synthetic_song(200 * 256);
  const Segments whole = encode(model, song, {.segment_frames = 512}, pool);
  for (const int frames : {1, 37}) {
    const Segments segments = encode(model, song, {.segment_frames = frames}, pool);
    for (size_t s = 0; s < 4; ++s) EXPECT_EQ(codes_of(segments, s), codes_of(whole, s)) << frames;
  }
}

TEST(Encoder, ShortSegmentsOfMasksCoverTheSong) {
  const auto model = load_model(tiny_config());
  runtime::ThreadPool pool(1);
  const Segments segments = encode(model, synthetic_song(20 * 256), {.segment_frames = 1}, pool);
  ASSERT_EQ(segments.size(), 21U);
  for (const auto& segment : segments) {
    for (const auto& source : segment) EXPECT_EQ(source.codes.size(), 3U);
  }
}

TEST(Encoder, SilenceHasGainZeroAndCodesZero) {
  const auto model = load_model(tiny_config());
  runtime::ThreadPool pool(1);
  std::vector<float> song(2 * 300 * 256, 0.0F);
  for (const auto& segment : encode(model, song, {.segment_frames = 100}, pool)) {
    for (const codec::SourceSegment& source : segment) {
      EXPECT_EQ(source.gain, 0);
      EXPECT_THAT(source.codes, testing::Each(0));
    }
  }
  // Sound in the second segment only.
  const std::vector<float> sound = synthetic_song(50 * 256);
  std::ranges::copy(sound, song.begin() + 2 * 120 * 256);
  const Segments segments = encode(model, song, {.segment_frames = 100}, pool);
  ASSERT_EQ(segments.size(), 4U);
  for (const auto& source : segments[0]) EXPECT_EQ(source.gain, 0);
  for (const auto& source : segments[1]) EXPECT_GT(source.gain, 0);
  for (const auto& source : segments[2]) EXPECT_EQ(source.gain, 0);
}

TEST(Encoder, EntriesThatCostMuchAreLeftAlone) {
  runtime::ThreadPool pool(1);
  const std::vector<float> song = synthetic_song(100 * 256);
  const auto num_codes = [&](const std::shared_ptr<const Model>& model, size_t codebook) {
    const std::vector<uint16_t> codes = codes_of(encode(model, song, {}, pool), 0);
    std::set<uint16_t> found;
    for (size_t i = codebook; i < codes.size(); i += 3) found.insert(codes[i]);
    return found.size();
  };
  ModelConfig config = tiny_config();
  EXPECT_GT(num_codes(load_model(config), 2), 8U);
  config.code_costs = true;
  runtime::SafetensorsWriter writer = make_model(config, 1);
  runtime::SafetensorsParts parts(make_model(config, 1, /*half=*/false).bytes());
  // In every codebook all entries but the first four cost more than any distance saves.
  std::vector<float> costs(4 * 3 * 32, 10000.0F);
  for (size_t i = 0; i < costs.size(); i += 32) std::fill_n(costs.begin() + static_cast<std::ptrdiff_t>(i), 4, 0.0F);
  std::memcpy(parts.data.data() + parts.header["code_costs"]["data_offsets"][0].get<size_t>(), costs.data(),
              costs.size() * sizeof(float));
  const std::string bytes = parts.bytes();
  const auto model = Model::from_file(runtime::Safetensors::open_memory(std::as_bytes(std::span(bytes)), "costs"));
  for (size_t h = 0; h < 3; ++h) EXPECT_LE(num_codes(model, h), 4U) << "codebook " << h;
}

TEST(Encoder, GainFollowsTheLevel) {
  const auto model = load_model(tiny_config());
  runtime::ThreadPool pool(1);
  std::vector<float> song = synthetic_song(100 * 256);
  const Segments loud = encode(model, song, {}, pool);
  // The masks see log power, so that their shape depends on the level, but in the mean 30 dB stay 30 dB: 20 indices.
  for (float& sample : song) sample *= 0.0316228F;
  const Segments quiet = encode(model, song, {}, pool);
  for (size_t s = 0; s < 4; ++s) EXPECT_NEAR(loud[0][s].gain - quiet[0][s].gain, 20, 6) << "source " << s;
}

TEST(Encoder, OptionsOutOfRangeAreRefused) {
  const auto model = load_model(tiny_config());
  runtime::ThreadPool pool(1);
  const auto make = [&](EncoderOptions options) { Encoder encoder(model, options, pool, [](const auto&) {}); };
  EXPECT_ERROR(make({.num_codebooks = 4}), ExitCode::kUsage, HasSubstr("expected 1 to 3"));
  EXPECT_ERROR(make({.num_codebooks = -1}), ExitCode::kUsage, HasSubstr("quality -1"));
  EXPECT_ERROR(make({.segment_frames = 0}), ExitCode::kUsage, HasSubstr("expected 1 to 16384"));
  EXPECT_ERROR(make({.segment_frames = 16385}), ExitCode::kUsage, HasSubstr("16385"));
}

}  // namespace
}  // namespace vqcodec::vqvae
