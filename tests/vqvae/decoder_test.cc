#include "vqvae/decoder.h"

#include <bit>
#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/cpu.h"
#include "runtime/fft.h"
#include "runtime/sha256.h"
#include "tests/base/expect_error.h"
#include "tests/vqvae/codec_test_util.h"
#include "vqvae/noise.h"

namespace vqcodec::vqvae {
namespace {

using testing::HasSubstr;

constexpr int64_t kHop = 256;

// Segments cut into pieces of `piece_frames`, each with its segment's gain.
Segments cut(const Segments& segments, size_t piece_frames, size_t num_codebooks) {
  Segments pieces;
  for (const auto& segment : segments) {
    const size_t size = segment[0].codes.size(), step = piece_frames * num_codebooks;
    for (size_t at = 0; at < size; at += step) {
      std::vector<codec::SourceSegment> piece;
      for (const codec::SourceSegment& source : segment) {
        const auto begin = source.codes.begin() + static_cast<std::ptrdiff_t>(at);
        piece.push_back({source.gain, {begin, begin + static_cast<std::ptrdiff_t>(std::min(step, size - at))}});
      }
      pieces.push_back(piece);
    }
  }
  return pieces;
}

// Frames [begin, end) of the song as pieces of one frame.
Segments frames_of(const Segments& segments, size_t begin, size_t end, size_t num_codebooks) {
  const Segments pieces = cut(segments, 1, num_codebooks);
  return {pieces.begin() + static_cast<std::ptrdiff_t>(begin), pieces.begin() + static_cast<std::ptrdiff_t>(end)};
}

double level_of(const std::vector<float>& samples) {
  double energy = 0;
  for (const float sample : samples) energy += static_cast<double>(sample) * sample;
  return std::sqrt(energy / static_cast<double>(samples.size()));
}

double greatest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double greatest = a.size() == b.size() ? 0 : INFINITY;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    greatest = std::max(greatest, std::abs(static_cast<double>(a[i]) - b[i]));
  }
  return greatest;
}

class DecoderOfKind : public testing::TestWithParam<KindOfModel> {
 protected:
  std::shared_ptr<const Model> model_ = load_model(GetParam().config());
  runtime::ThreadPool pool_{1};
  Segments segments_ = encode(model_, synthetic_song(320 * kHop + 77), {.segment_frames = 100}, pool_);
};

TEST_P(DecoderOfKind, GivesHopSamplesAFrameButOne) {
  const auto output = decode(model_, segments_, {}, pool_);
  EXPECT_EQ(output[0].size(), static_cast<size_t>(2 * 321 * kHop));
  const double level = level_of(output[0]);
  EXPECT_GT(level, 1e-3);
  EXPECT_TRUE(std::isfinite(level));
}

TEST_P(DecoderOfKind, PiecesThreadsAndCpuPathsGiveTheSameSamples) {
  const auto whole = decode(model_, segments_, {}, pool_);
  for (const size_t frames : {1, 5, 64}) {
    EXPECT_EQ(decode(model_, cut(segments_, frames, 3), {}, pool_), whole) << "pieces of " << frames;
  }
  for (const int threads : {2, 3}) {
    runtime::ThreadPool pool(threads);
    EXPECT_EQ(decode(model_, segments_, {}, pool), whole) << threads << " threads";
  }
  const runtime::Path path = runtime::current_path();
  for (const auto other : runtime::kBuiltPaths) {
    if (!runtime::can_run(other)) continue;  // not on this CPU
    runtime::set_path(other);
    EXPECT_EQ(decode(model_, segments_, {}, pool_), whole) << runtime::path_name(other);
  }
  runtime::set_path(path);
}

TEST_P(DecoderOfKind, SubsetsAddUpToTheWhole) {
  const auto whole = decode(model_, segments_, {}, pool_)[0];
  const auto separate = decode(model_, segments_, {.separate = true}, pool_);
  ASSERT_EQ(separate.size(), 4U);
  std::vector<float> sum(whole.size());
  for (size_t s = 0; s < 4; ++s) {
    // A source by itself is the same bits whatever is decoded beside it.
    EXPECT_EQ(decode(model_, segments_, {.sources = {static_cast<int>(s)}}, pool_)[0], separate[s]) << "source " << s;
    EXPECT_GT(level_of(separate[s]), 1e-4);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += separate[s][i];
  }
  // Spectra are summed before they are transformed and rounded, so that sums of samples differ in their last bits.
  const double tolerance = 1e-6 * 256 * level_of(whole);
  EXPECT_LT(greatest_difference(sum, whole), tolerance);
  auto pair = decode(model_, segments_, {.sources = {2, 0}}, pool_)[0];
  const auto rest = decode(model_, segments_, {.sources = {1, 3}}, pool_)[0];
  for (size_t i = 0; i < pair.size(); ++i) pair[i] += rest[i];
  EXPECT_LT(greatest_difference(pair, whole), tolerance);
  EXPECT_EQ(decode(model_, segments_, {.sources = {3, 1}, .separate = true}, pool_)[0], separate[3]);
}

TEST_P(DecoderOfKind, APassageWithItsContextIsThatStretchOfTheWhole) {
  const auto whole = decode(model_, segments_, {}, pool_)[0];
  const auto context = static_cast<size_t>(Decoder::context_frames(model_->config()));
  // Kernel 3, dilations 1 and 2, and the overlap; the noise has kernel 5.
  EXPECT_EQ(context, GetParam().noise ? 7U : 4U);
  const auto stretch = [](const std::vector<float>& samples, size_t begin, size_t end) {
    return std::vector<float>(samples.begin() + static_cast<std::ptrdiff_t>(2 * kHop * begin),
                              samples.begin() + static_cast<std::ptrdiff_t>(2 * kHop * end));
  };
  for (const auto& [begin, end] : {std::pair<size_t, size_t>{95, 110}, {10, 11}, {150, 300}}) {
    const size_t first = begin - context, last = end + context;
    const auto part =
        decode(model_, frames_of(segments_, first, last, 3), {.first_frame = static_cast<int64_t>(first)}, pool_)[0];
    // Frames first to last - 1 give the samples from first * hop on.
    ASSERT_EQ(part.size(), 2 * kHop * (last - first - 1));
    EXPECT_EQ(stretch(part, context, end - first), stretch(whole, begin, end)) << begin;
  }
  // Without context the borders are others: the context is not for nothing.
  const auto bare = decode(model_, frames_of(segments_, 95, 111, 3), {.first_frame = 95}, pool_)[0];
  EXPECT_NE(stretch(bare, 0, 15), stretch(whole, 95, 110));
}

TEST_P(DecoderOfKind, GainZeroIsSilenceWhateverTheCodes) {
  Segments silent = segments_;
  for (auto& segment : silent) segment[1].gain = 0;
  const auto outputs = decode(model_, silent, {.separate = true}, pool_);
  EXPECT_THAT(outputs[1], testing::Each(0.0F));
  EXPECT_EQ(outputs[0], decode(model_, segments_, {.separate = true}, pool_)[0]);
  // One silent segment of four: silence but for the overlap with its neighbours.
  Segments gap = segments_;
  gap[1][2].gain = 0;
  const auto drums = decode(model_, gap, {.sources = {2}}, pool_)[0];
  for (size_t i = 2 * kHop * 100; i < 2 * kHop * 199; ++i) ASSERT_EQ(drums[i], 0.0F) << "value " << i;
  EXPECT_GT(level_of({drums.begin(), drums.begin() + 2 * kHop * 99}), 1e-4);
}

TEST_P(DecoderOfKind, FewerCodebooksDecode) {
  const Segments some = encode(model_, synthetic_song(50 * kHop), {.num_codebooks = 2}, pool_);
  const Segments all = encode(model_, synthetic_song(50 * kHop), {}, pool_);
  const auto fewer = decode(model_, some, {.num_codebooks = 2}, pool_)[0];
  const auto whole = decode(model_, all, {}, pool_)[0];
  ASSERT_EQ(fewer.size(), whole.size());
  EXPECT_NE(fewer, whole);
  EXPECT_GT(level_of(fewer), 1e-3);
}

INSTANTIATE_TEST_SUITE_P(Kinds, DecoderOfKind, testing::ValuesIn(kKinds),
                         [](const auto& kind) { return std::string(kind.param.name); });

TEST(Decoder, NoiseCanBeLeftOut) {
  ModelConfig config = tiny_config();
  const auto plain = load_model(config);
  config.noise = StackConfig{.width = 16, .expansion = 2, .kernel_frames = 5, .dilations = {1}};
  const auto noisy = load_model(config);
  runtime::ThreadPool pool(1);
  const Segments segments = encode(plain, synthetic_song(60 * kHop), {}, pool);
  // Other weights follow those of the noise in the random model: only that it makes a difference is told here.
  EXPECT_NE(decode(noisy, segments, {}, pool)[0], decode(noisy, segments, {.fill_noise = false}, pool)[0]);
  EXPECT_EQ(decode(plain, segments, {}, pool)[0], decode(plain, segments, {.fill_noise = false}, pool)[0]);
}

TEST(Decoder, NoiseIsWhereItsBandsAre) {
  ModelConfig config = tiny_config();
  config.noise = StackConfig{.width = 16, .expansion = 2, .kernel_frames = 5, .dilations = {1}};
  config.noise_begin_bin = 100;
  const auto model = load_model(config);
  runtime::ThreadPool pool(1);
  const Segments segments = encode(model, synthetic_song(60 * kHop), {}, pool);
  auto noise = decode(model, segments, {.sources = {1}}, pool)[0];
  const auto plain = decode(model, segments, {.sources = {1}, .fill_noise = false}, pool)[0];
  std::vector<float> left(static_cast<size_t>(61 * kHop));
  for (size_t i = 0; i < noise.size(); i += 2) left[kHop / 2 + i / 2] = noise[i] - plain[i];
  // Off the grid of the frames: the energy below bin 98 is what leaks.
  runtime::Mclt transform(kHop);
  std::vector<float> cosine(kHop), sine(kHop);
  double below = 0, within = 0;
  for (size_t t = 4; t < 50; ++t) {
    transform.forward(left.data() + t * kHop, cosine.data(), sine.data());
    for (size_t k = 0; k < kHop; ++k) {
      (k < 98 ? below : within) += static_cast<double>(cosine[k]) * cosine[k] + static_cast<double>(sine[k]) * sine[k];
    }
  }
  EXPECT_GT(within, 1e-6);
  EXPECT_LT(below, 0.01 * within);
}

TEST(Decoder, SignsOfNoiseAreEvenAndUnlikeForEveryPlace) {
  int64_t ones = 0, alike = 0, count = 0;
  uint64_t last = 0;
  for (uint64_t source = 0; source < 4; ++source) {
    for (int64_t frame = 0; frame < 300; ++frame) {
      for (uint64_t channel = 0; channel < 2; ++channel) {
        for (uint64_t word = 0; word < 16; ++word) {
          const uint64_t signs = noise_signs(source, frame, channel, word);
          ones += std::popcount(signs);
          alike += std::popcount(~(signs ^ last));
          last = signs;
          count += 64;
        }
      }
    }
  }
  // Deviations of sums of fair coins: half the square root of their number.
  EXPECT_NEAR(static_cast<double>(ones), static_cast<double>(count) / 2, 4 * std::sqrt(static_cast<double>(count)) / 2);
  EXPECT_NEAR(static_cast<double>(alike), static_cast<double>(count) / 2,
              4 * std::sqrt(static_cast<double>(count)) / 2);
}

TEST(Decoder, NoFramesGiveNoSamples) {
  const auto model = load_model(tiny_config());
  runtime::ThreadPool pool(1);
  EXPECT_TRUE(decode(model, {}, {}, pool)[0].empty());
  EXPECT_TRUE(decode(model, {std::vector<codec::SourceSegment>(4)}, {}, pool)[0].empty());
  // The only frame has nothing to overlap with.
  EXPECT_TRUE(decode(model, {std::vector<codec::SourceSegment>(4, {60, {1, 2, 3}})}, {}, pool)[0].empty());
}

TEST(Decoder, LevelFollowsTheGain) {
  const auto model = load_model(tiny_config());
  runtime::ThreadPool pool(1);
  const auto decoded_at = [&](uint16_t gain) {
    const codec::SourceSegment source{gain, std::vector<uint16_t>(60, 5)};
    return level_of(decode(model, {std::vector<codec::SourceSegment>(4, source)}, {}, pool)[0]);
  };
  EXPECT_NEAR(20 * std::log10(decoded_at(60) / decoded_at(50)), 15, 0.01);
}

TEST(Decoder, CodesThatDoNotFitAreRefused) {
  const auto model = load_model(tiny_config());
  runtime::ThreadPool pool(1);
  const auto push = [&](std::vector<codec::SourceSegment> segment) { decode(model, {std::move(segment)}, {}, pool); };
  const codec::SourceSegment good{50, {1, 2, 3, 4, 5, 6}};
  EXPECT_NO_THROW(push({good, good, good, good}));
  EXPECT_ERROR(push({good, good, good}), ExitCode::kInternal, HasSubstr("3 sources, expected 4"));
  EXPECT_ERROR(push({good, good, good, {50, {1, 2, 3}}}), ExitCode::kBadFile, HasSubstr("3 codes"));
  EXPECT_ERROR(push({good, good, good, {50, {1, 2, 3, 4, 5}}}), ExitCode::kBadFile, HasSubstr("5 codes"));
  EXPECT_ERROR(push({good, {96, good.codes}, good, good}), ExitCode::kBadFile, HasSubstr("gain 96"));
  EXPECT_ERROR(push({good, {50, {1, 2, 3, 4, 5, 32}}, good, good}), ExitCode::kBadFile, HasSubstr("code 32"));
  EXPECT_ERROR(push({{50, {1, 2, 3, 4}}, {50, {1, 2, 3, 4}}, {50, {1, 2, 3, 4}}, {50, {1, 2, 3, 4}}}),
               ExitCode::kBadFile, HasSubstr("4 codes"));
}

TEST(Decoder, OptionsOutOfRangeAreRefused) {
  const auto model = load_model(tiny_config());
  runtime::ThreadPool pool(1);
  const auto make = [&](DecoderOptions options) { Decoder decoder(model, std::move(options), pool, [](int, auto) {}); };
  EXPECT_ERROR(make({.sources = {0, 4}}), ExitCode::kUsage, HasSubstr("source 4"));
  EXPECT_ERROR(make({.sources = {-1}}), ExitCode::kUsage, HasSubstr("source -1"));
  EXPECT_ERROR(make({.sources = {1, 1}}), ExitCode::kUsage, HasSubstr("different"));
  EXPECT_ERROR(make({.num_codebooks = 4}), ExitCode::kUsage, HasSubstr("has 3"));
  EXPECT_ERROR(make({.num_codebooks = -1}), ExitCode::kUsage, HasSubstr("-1"));
}

// Constants that every machine, compiler and CPU path has to reach. They change only with the definition of the
// network, and then every file's model has to be another one.
TEST(Golden, CodesAndSamplesOfATinyModel) {
  const std::pair<const char*, const char*> expected[] = {
      // in the order of kKinds
      {"49f302d86dbd65c0005f2add1a0014d27cc485acc03303da0f799afdaa8e4b8e",
       "3ff87736fecad2ba90404cb7bf1655868a01ac5740957936b06f406343c48f79"},
      {"5efd2b6200f31ec13c30be571d354759cbd20f1012be38ed93777d20f3ab41d3",
       "a13feccce7514fc897e0f36357e283d88365d321201703fe7def8f865f5e5d0c"},
      {"db4f73497baa5a97b2546c5816c23b8f448a3ff866fa700f2866736166c456d2",
       "607ce416a9a1437c1f12d5ebf5859462d5048be097716e2a29bcc099ba27ee7d"},
      {"6ff2de1ea9528a1d79c7ca4ca361e66c3d935f4cff8dbea8a2ff11e66c528e75",
       "cd0d8a0346255431eae4411a18b7f63bd6403836794b1d86bfb2d196cd4b4f15"},
      {"49f302d86dbd65c0005f2add1a0014d27cc485acc03303da0f799afdaa8e4b8e",
       "7167085ba824d80ee8d5a19d3220e114488e6902212a3a96996cb94db14bf549"},
      {"3e178a0383d8e16bc8c61ddc31eedd0538671a5ae85cb5ef4bcb9d3b80dd63e1",
       "87096a3b2877882953e1d894da71586a85db20ce9ed8caecc5f7a0651012d393"},
      {"805cb0cc4c80be5042e7628520688df2a24840d79850c713f2b5fc5e5613abfd",
       "354618ba873fa6ef68355991dd22f2be54782cd28ed2944cc327f109f803bc99"},
      {"04a4aa1c2edeaa0c2b935041c5b8406fafecd3f9373b9bafbafcd90303b3ccb8",
       "91f7e42a031b1dc010e180073c2aa1b8418b9e6c2a8d46a877a3f065238a9a8f"},
  };
  static_assert(std::size(expected) == std::size(kKinds));
  runtime::ThreadPool pool(2);
  for (size_t i = 0; i < std::size(kKinds); ++i) {
    SCOPED_TRACE(kKinds[i].name);
    const auto model = load_model(kKinds[i].config(), 7);
    const Segments segments = encode(model, synthetic_song(200 * kHop + 5, 3), {.segment_frames = 64}, pool);
    std::string codes;
    for (const auto& segment : segments) {
      for (const codec::SourceSegment& source : segment) {
        codes += std::to_string(source.gain) + ":";
        for (const uint16_t code : source.codes) codes += std::to_string(code) + ",";
      }
    }
    EXPECT_EQ(runtime::to_hex(runtime::sha256(std::as_bytes(std::span(codes)))), expected[i].first);
    const auto samples = decode(model, segments, {}, pool)[0];
    EXPECT_EQ(runtime::to_hex(runtime::sha256(std::as_bytes(std::span(samples)))), expected[i].second);
  }
}

}  // namespace
}  // namespace vqcodec::vqvae
