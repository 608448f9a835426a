// Whole segments and steps against each other, bit for bit, and what both promise.
#include "prior/predictor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <stdexcept>

#include "codec/cdf.h"
#include "codec/range_coder.h"
#include "tests/base/expect_error.h"
#include "tests/prior/prior_test_util.h"

namespace vqcodec::prior {
namespace {

using runtime::EveryPath;
using runtime::kBuiltPaths;
using runtime::name_of_path;
using runtime::Path;
using runtime::ThreadPool;
using testing::HasSubstr;

// Segments of many lengths around those of blocks, windows and rings, of all sources, with fewer codebooks and with
// context of equal, shorter and greater length.
Batch mixed_batch(const Config& config) {
  Batch batch;
  const int64_t lengths[] = {1, 2, 8, 9, 31, 40, 95, 96, 97, 130, 0, 200};
  int i = 0;
  for (const int64_t length : lengths) {
    batch.add(config, i % 3, 1 + (i * 2) % 3, length);
    ++i;
  }
  const auto context = [&](size_t from, int source) {
    return Context{source, batch.segments[from].num_codebooks, batch.segments[from].codes};
  };
  batch.add(config, 1, 3, 97, {context(7, 2), context(8, 0)});
  batch.add(config, 0, 3, 130, {context(5, 1)});
  batch.add(config, 2, 2, 50, {context(10, 0), context(11, 1)});
  batch.add(config, 2, 2, 60, {context(9, 1)});
  batch.add(config, 0, 1, 1, {context(9, 1)});
  return batch;
}

class PredictorOnPath : public EveryPath {};

TEST_P(PredictorOnPath, StepsGiveTheBitsOfWholeSegments) {
  for (const int window_frames : {1, 9, 32, 33, 150}) {
    Config config = small_config();
    config.window_frames = window_frames;
    const auto model = random_prior(config);
    const Batch batch = mixed_batch(config);
    ThreadPool pool(1);
    const Logits whole = whole_logits(*model, batch.segments, pool);
    EXPECT_TRUE(same_logits(step_logits(model, batch.segments, pool), whole)) << "window " << window_frames;
  }
}

TEST_P(PredictorOnPath, GivesThePortableBits) {
  for (const int head_dim : {2, 32, 40}) {
    Config config = small_config();
    config.width = 2 * head_dim + 6 * (head_dim == 2);
    config.num_heads = config.width / head_dim;
    const auto model = random_prior(config, 3, false);
    const Batch batch = mixed_batch(config);
    ThreadPool pool(2);
    const Logits here = whole_logits(*model, batch.segments, pool);
    runtime::set_path(Path::kPortable);
    EXPECT_TRUE(same_logits(here, whole_logits(*model, batch.segments, pool))) << head_dim;
    runtime::set_path(GetParam());
  }
}

TEST_P(PredictorOnPath, BitsDoNotDependOnThreadsOrTheRestOfTheBatch) {
  const Config config = small_config();
  const auto model = random_prior(config);
  const Batch batch = mixed_batch(config);
  const size_t count = batch.segments.size();
  Logits alone;
  for (size_t i = 0; i < count; ++i) {
    ThreadPool pool(1);
    alone.push_back(whole_logits(*model, {batch.segments[i]}, pool)[0]);
  }
  for (const int threads : {1, 2, 3, 8}) {
    ThreadPool pool(threads);
    EXPECT_TRUE(same_logits(whole_logits(*model, batch.segments, pool), alone)) << threads;
    EXPECT_TRUE(same_logits(step_logits(model, batch.segments, pool), alone)) << threads;
    for (const size_t part : {1U, 2U, 5U}) {  // split, and the other way round
      for (size_t begin = 0; begin < count; begin += part) {
        std::vector<Segment> some;
        Logits wanted;
        for (size_t i = std::min(begin + part, count); i-- > begin;) {
          some.push_back(batch.segments[i]);
          wanted.push_back(alone[i]);
        }
        ASSERT_TRUE(same_logits(whole_logits(*model, some, pool), wanted)) << threads << " threads, by " << part;
        ASSERT_TRUE(same_logits(step_logits(model, some, pool), wanted)) << threads << " threads, by " << part;
      }
    }
  }
}

TEST_P(PredictorOnPath, SourcesAreGivenInTheFramesThatSaySo) {
  const Config config = small_config();
  const auto model = random_prior(config);
  ThreadPool pool(2);
  constexpr int64_t kFrames = 230;
  const auto codes = random_codes(config, kFrames, 3, 1), drums = random_codes(config, kFrames, 3, 2),
             other = random_codes(config, kFrames, 3, 3);
  const std::vector<uint8_t> all(kFrames, 1), none(kFrames, 0);
  std::vector<uint8_t> some(kFrames, 1), others(kFrames, 0);
  std::fill(some.begin() + 40, some.begin() + 41, uint8_t{0});
  std::fill(some.begin() + 90, some.begin() + 150, uint8_t{0});
  std::fill(others.begin() + 20, others.begin() + 100, uint8_t{1});
  const auto logits = [&](std::vector<Context> context) {
    const std::vector<Segment> segments = {{0, 3, codes, std::move(context)}};
    Logits whole = whole_logits(*model, segments, pool);
    EXPECT_TRUE(same_logits(step_logits(model, segments, pool), whole));
    return whole;
  };
  const Context always = {1, 3, drums};
  EXPECT_TRUE(same_logits(logits({{1, 3, drums, all}}), logits({always})));
  EXPECT_TRUE(same_logits(logits({{1, 3, drums, none}}), logits({})));
  const Logits partly = logits({{1, 3, drums, some}, {2, 3, other, others}});
  // Up to the first frame that looks ahead to one that is not given all is as if it were.
  const Logits whole = logits({{1, 3, drums}});
  const auto same_frames = [&](int64_t count) {
    const auto size = static_cast<long>(count * 3 * config.codebook_size);
    return runtime::same_bits(std::vector(partly[0].begin(), partly[0].begin() + size),
                              std::vector(whole[0].begin(), whole[0].begin() + size));
  };
  const int64_t first = 20 - config.lookahead_frames + 1;
  EXPECT_TRUE(same_frames(first));
  EXPECT_FALSE(same_frames(21));
  const std::vector<Segment> wrong = {{0, 3, codes, {{1, 3, drums, std::span(all).first(7)}}}};
  EXPECT_ERROR(whole_logits(*model, wrong, pool), ExitCode::kInternal, HasSubstr("given in 7"));
}

TEST_P(PredictorOnPath, RowsOfAGroupGetTheSameCodesAndTheirOwnLogits) {
  const Config config = small_config();
  const auto model = random_prior(config);
  const auto drums = random_codes(config, 70, 2, 5);
  for (const auto& [threads, frames_at_once] : {std::pair(1, 1), {3, 1}, {1, 7}, {2, 16}, {3, 1000}}) {
    ThreadPool pool(threads);
    std::vector<Segment> segments;
    std::vector<std::vector<uint16_t>> codes;
    for (uint64_t i = 0; i < 9; ++i) codes.push_back(random_codes(config, 60 + static_cast<int64_t>(i), 2, 10 + i));
    for (size_t i = 0; i < codes.size(); ++i) {
      segments.push_back({static_cast<int>(i % 2) * 2, 2, codes[i], {{1, 2, drums}}});
      segments.push_back({static_cast<int>(i % 2) * 2, 2, codes[i], {}});
    }
    const Logits wanted = whole_logits(*model, segments, pool);
    Logits found = make_room(*model, segments);
    Stepper stepper(model, rows_of(segments), pool, 2);
    const auto size = static_cast<size_t>(config.codebook_size);
    while (stepper.step(
        [&](int64_t row, int codebook, std::span<float> logits) {
          EXPECT_EQ(row % 2, 0);
          EXPECT_EQ(logits.size(), 2 * size);
          // Several frames at once: a row's own count is that of its codes.
          const auto at = stepper.codes(static_cast<size_t>(row)).size();
          EXPECT_EQ(at % 2, static_cast<size_t>(codebook));
          for (size_t i = 0; i < 2; ++i) {
            std::ranges::copy(logits.subspan(i * size, size),
                              found[static_cast<size_t>(row) + i].begin() + static_cast<long>(at * size));
          }
          return segments[static_cast<size_t>(row)].codes[at];
        },
        frames_at_once)) {
    }
    EXPECT_TRUE(same_logits(found, wanted)) << threads;
    for (size_t i = 0; i < segments.size(); ++i)
      EXPECT_TRUE(std::ranges::equal(stepper.codes(i), segments[i].codes)) << i;
    auto rows = rows_of(segments);
    rows[1].num_frames = 3;
    EXPECT_ERROR(Stepper(model, rows, pool, 2), ExitCode::kInternal, HasSubstr("group differ"));
    EXPECT_ERROR(Stepper(model, rows, pool, 4), ExitCode::kInternal, HasSubstr("groups of 4"));
  }
}

TEST_P(PredictorOnPath, ABranchGoesOnAsTheRowItIsOf) {
  const Config config = small_config();
  const auto model = random_prior(config);
  const auto drums = random_codes(config, 60, 2, 5);
  const std::vector<uint16_t> first = random_codes(config, 50, 2, 1), second = random_codes(config, 50, 2, 2),
                              third = random_codes(config, 50, 2, 3);
  constexpr size_t kBranchAt = 23;
  const auto size = static_cast<size_t>(config.codebook_size);
  ThreadPool pool(1);
  // Groups of two rows, with drums and without.
  const auto segment_rows = [&](int64_t count) {
    std::vector<Stepper::Row> rows;
    for (int64_t i = 0; i < count; ++i) {
      rows.push_back({0, 2, 50, {{1, 2, drums}}});
      rows.push_back({0, 2, 50, {}});
    }
    return rows;
  };
  // What each group gets, and the logits of the second one.
  const auto run = [&](const std::vector<std::vector<uint16_t>>& before, const std::vector<uint16_t>& after,
                       bool branches) {
    Stepper stepper(model, segment_rows(static_cast<int64_t>(before.size())), pool, 2);
    std::vector<float> logits_of_last;
    const auto step = [&] {
      return stepper.step([&](int64_t row, int codebook, std::span<float> logits) {
        const auto frame = static_cast<size_t>(stepper.num_frames_done());
        const size_t group = static_cast<size_t>(row) / 2;
        if (group + 1 == before.size() && frame >= kBranchAt)
          logits_of_last.insert(logits_of_last.end(), logits.begin(), logits.begin() + static_cast<long>(2 * size));
        return (frame < kBranchAt ? before[group] : after)[frame * 2 + static_cast<size_t>(codebook)];
      });
    };
    for (size_t t = 0; t < kBranchAt; ++t) step();
    if (branches) stepper.branch(0, 2);
    while (step()) {
    }
    const auto codes = stepper.codes(2 * (before.size() - 1));
    logits_of_last.insert(logits_of_last.end(), codes.begin(), codes.end());
    return logits_of_last;
  };
  const auto wanted = run({first}, third, false);
  EXPECT_TRUE(runtime::same_bits(run({first, second}, third, true), wanted));
  EXPECT_FALSE(runtime::same_bits(run({first, second}, third, false), wanted));

  Stepper stepper(model, segment_rows(2), pool, 2);
  EXPECT_ERROR(stepper.branch(1, 2), ExitCode::kInternal, HasSubstr("branch"));
  EXPECT_ERROR(stepper.branch(0, 4), ExitCode::kInternal, HasSubstr("branch"));
  auto rows = segment_rows(1);
  rows.push_back({2, 2, 50, {}});
  rows.push_back({2, 2, 50, {}});
  EXPECT_ERROR(Stepper(model, rows, pool, 2).branch(0, 2), ExitCode::kInternal, HasSubstr("differ in source"));
  while (stepper.step([](int64_t, int, std::span<float>) { return uint16_t{0}; })) {
  }
  EXPECT_ERROR(stepper.branch(0, 2), ExitCode::kInternal, HasSubstr("ended"));
}

TEST_P(PredictorOnPath, CodesSurviveTheRangeCoder) {
  for (const int num_codes : {2, 3, 1000, 65536}) {
    Config config = small_config();
    config.codebook_size = num_codes;
    config.embedding_dim = 4;
    const auto model = random_prior(config);
    Batch batch;
    const int64_t num_frames = num_codes > 1000 ? 3 : 40;
    batch.add(config, 0, 3, num_frames);
    batch.add(config, 1, 2, num_frames + 1, {{0, 3, *batch.codes[0]}});
    ThreadPool pool(2);
    const uint32_t total_bits = 24;
    const auto counts = count_codes(*model, batch.segments, total_bits, pool);
    std::vector<std::vector<uint8_t>> streams;
    for (size_t i = 0; i < counts.size(); ++i) {
      ASSERT_EQ(counts[i].size(), batch.segments[i].codes.size());
      codec::RangeEncoder encoder;
      double ideal_bits = 0;
      for (const CodeCounts& count : counts[i]) {
        ASSERT_GE(count.freq, 1U);
        ideal_bits += total_bits - std::log2(count.freq);
        encoder.encode(count.cum, count.freq, total_bits);
      }
      streams.push_back(encoder.finish());
      EXPECT_LE(8.0 * static_cast<double>(streams.back().size()), ideal_bits * 1.0005 + 64);
    }
    std::vector<codec::RangeDecoder> decoders(streams.begin(), streams.end());
    Stepper stepper(model, rows_of(batch.segments), pool);
    while (stepper.step([&](int64_t row, int, std::span<float> logits) {
      codec::RangeDecoder& decoder = decoders[static_cast<size_t>(row)];
      to_weights(logits);
      const auto found = codec::symbol_at(logits, total_bits, decoder.decode_target(total_bits));
      if (!found.ok()) throw std::runtime_error(found.error().message);
      decoder.consume(found->cum, found->freq, total_bits);
      return static_cast<uint16_t>(found->symbol);
    })) {
    }
    for (size_t i = 0; i < counts.size(); ++i) {
      EXPECT_TRUE(std::ranges::equal(stepper.codes(i), batch.segments[i].codes)) << num_codes;
      EXPECT_TRUE(decoders[i].finish().ok());
    }
  }
}

// Weights so large that scores, values or logits overflow to infinity and NaN, and others that make all logits equal.
TEST_P(PredictorOnPath, ExtremeWeightsGiveValidCountsAndTheSameBits) {
  Config config = small_config();
  config.window_frames = 40;
  Batch batch;
  batch.add(config, 0, 3, 100);
  batch.add(config, 2, 2, 60, {{0, 3, *batch.codes[0]}});
  bool some_infinite = false, some_nan = false;
  for (const char* tensors : {"code.", "qkv", "code_bias", "embedding", "norm1", "fc2", "input", ""}) {
    for (const float factor : {0.0f, 1e12f, 1e30f, -1e37f}) {
      const auto model = load_prior(scaled_prior(config, tensors, factor));
      ThreadPool pool(2);
      const Logits whole = whole_logits(*model, batch.segments, pool);
      ASSERT_TRUE(same_logits(step_logits(model, batch.segments, pool), whole)) << tensors << " times " << factor;
      for (const auto& logits : whole) {
        for (const float logit : logits) {
          some_infinite = some_infinite || std::isinf(logit);
          some_nan = some_nan || std::isnan(logit);
        }
      }
      const auto counts = count_codes(*model, batch.segments, 20, pool);
      for (size_t i = 0; i < counts.size(); ++i) {
        codec::RangeEncoder encoder;
        for (const CodeCounts& count : counts[i]) {
          ASSERT_GE(count.freq, 1U);
          ASSERT_LE(count.cum + count.freq, 1U << 20);
          encoder.encode(count.cum, count.freq, 20);
        }
      }
      if (GetParam() != Path::kPortable && factor > 0) {
        runtime::set_path(Path::kPortable);
        ASSERT_TRUE(same_logits(whole_logits(*model, batch.segments, pool), whole)) << tensors << " times " << factor;
        runtime::set_path(GetParam());
      }
    }
  }
  EXPECT_TRUE(some_infinite);
  EXPECT_TRUE(some_nan);
}

VQCODEC_ON_EVERY_PATH(PredictorOnPath);

// Which codes of the second run's logits differ from the first's.
std::vector<bool> changed(const std::vector<float>& a, const std::vector<float>& b, int64_t codebook_size) {
  std::vector<bool> result;
  for (size_t at = 0; at < a.size(); at += static_cast<size_t>(codebook_size)) {
    result.push_back(!std::equal(a.begin() + static_cast<int64_t>(at),
                                 a.begin() + static_cast<int64_t>(at) + codebook_size,
                                 b.begin() + static_cast<int64_t>(at)));
  }
  return result;
}

TEST(Predictor, ACodeIsSeenByLaterCodesOfItsFrameAndByTheWindowAfterIt) {
  Config config = small_config();
  config.num_layers = 1;
  const auto model = random_prior(config);
  const int64_t num_frames = 40, frame = 17;
  const int codebook = 1;
  Batch batch;
  batch.add(config, 0, 3, num_frames);
  ThreadPool pool(1);
  const Logits before = whole_logits(*model, batch.segments, pool);
  uint16_t& code = (*batch.codes[0])[static_cast<size_t>(frame * 3 + codebook)];
  code = static_cast<uint16_t>((code + 1) % config.codebook_size);
  const auto differs = changed(before[0], whole_logits(*model, batch.segments, pool)[0], config.codebook_size);
  for (int64_t at = 0; at < num_frames * 3; ++at) {
    const int64_t t = at / 3, h = at % 3;
    const bool sees = (t == frame && h > codebook) || (t > frame && t <= frame + config.window_frames);
    EXPECT_EQ(differs[static_cast<size_t>(at)], sees) << "frame " << t << ", codebook " << h;
  }
}

TEST(Predictor, ContextIsSeenUpToItsLookahead) {
  Config config = small_config();
  config.num_layers = 1;
  const auto model = random_prior(config);
  const int64_t num_frames = 40, frame = 17;
  Batch batch;
  batch.add(config, 1, 3, num_frames);
  batch.add(config, 0, 3, num_frames, {{1, 3, *batch.codes[0]}});
  const std::vector<Segment> segments = {batch.segments[1]};
  ThreadPool pool(1);
  const Logits before = whole_logits(*model, segments, pool);
  uint16_t& code = (*batch.codes[0])[static_cast<size_t>(frame * 3 + 2)];
  code = static_cast<uint16_t>((code + 1) % config.codebook_size);
  const auto differs = changed(before[0], whole_logits(*model, segments, pool)[0], config.codebook_size);
  for (int64_t at = 0; at < num_frames * 3; ++at) {
    const int64_t t = at / 3;
    const bool sees = t > frame - config.lookahead_frames && t < frame + config.window_frames;
    EXPECT_EQ(differs[static_cast<size_t>(at)], sees) << "frame " << t;
  }
}

TEST(Predictor, ContextIsNotTheSameAsNone) {
  const Config config = small_config();
  const auto model = random_prior(config);
  Batch batch;
  batch.add(config, 0, 3, 5);
  batch.add(config, 0, 3, 5, {{1, 3, {}}});  // given, but of no frames
  *batch.codes[1] = *batch.codes[0];
  ThreadPool pool(1);
  const Logits logits = whole_logits(*model, batch.segments, pool);
  EXPECT_NE(logits[0], logits[1]);
}

TEST(Predictor, TheOrderOfContextsDoesNotMatter) {
  const Config config = small_config();
  const auto model = random_prior(config);
  Batch batch;
  batch.add(config, 0, 3, 30);
  batch.add(config, 1, 3, 30);
  const Context a = {0, 3, *batch.codes[0]}, b = {1, 3, *batch.codes[1]};
  batch.add(config, 2, 3, 30, {a, b});
  batch.add(config, 2, 3, 30, {b, a});
  *batch.codes[3] = *batch.codes[2];
  ThreadPool pool(1);
  const Logits logits = whole_logits(*model, batch.segments, pool);
  EXPECT_TRUE(runtime::same_bits(logits[2], logits[3]));
}

TEST(Predictor, SourceAndQualityMatter) {
  const Config config = small_config();
  const auto model = random_prior(config);
  Batch batch;
  batch.add(config, 0, 1, 6);
  batch.add(config, 1, 1, 6);
  *batch.codes[1] = *batch.codes[0];
  batch.add(config, 0, 2, 6);
  for (size_t t = 0; t < 6; ++t) (*batch.codes[2])[2 * t] = (*batch.codes[0])[t];
  ThreadPool pool(1);
  const Logits logits = whole_logits(*model, batch.segments, pool);
  EXPECT_NE(logits[0], logits[1]);
  const auto first_frame = static_cast<size_t>(config.codebook_size);
  EXPECT_FALSE(std::equal(logits[0].begin(), logits[0].begin() + static_cast<int64_t>(first_frame), logits[2].begin()));
}

TEST(Predictor, CountsAreThoseOfTheCdfRule) {
  const Config config = small_config();
  const auto model = random_prior(config);
  Batch batch;
  batch.add(config, 0, 3, 20);
  ThreadPool pool(1);
  Logits logits = whole_logits(*model, batch.segments, pool);
  const auto counts = count_codes(*model, batch.segments, 22, pool);
  const auto size = static_cast<size_t>(config.codebook_size);
  std::vector<uint32_t> cum(size + 1);
  for (size_t at = 0; at < counts[0].size(); ++at) {
    const std::span<float> weights(logits[0].data() + at * size, size);
    to_weights(weights);
    EXPECT_EQ(*std::ranges::max_element(weights), 1.0f);
    ASSERT_TRUE(codec::build_cdf(weights, 22, cum).ok());
    const uint16_t code = batch.segments[0].codes[at];
    EXPECT_EQ(counts[0][at], (CodeCounts{cum[code], cum[code + 1U] - cum[code]}));
  }
}

TEST(Predictor, WhatDoesNotFitThePriorIsRefused) {
  const Config config = small_config();
  const auto model = random_prior(config);
  ThreadPool pool(1);
  const std::vector<uint16_t> good(6, 20), bad(6, 21);
  const auto run = [&](const Segment& segment) {
    count_codes(*model, {&segment, 1}, 24, pool);
    Stepper(model, rows_of({segment}), pool);
  };
  EXPECT_NO_THROW(run({0, 3, good, {{1, 2, good}}}));
  EXPECT_ERROR(run({3, 3, good, {}}), ExitCode::kInternal, HasSubstr("source 3"));
  EXPECT_ERROR(run({-1, 3, good, {}}), ExitCode::kInternal, HasSubstr("source -1"));
  EXPECT_ERROR(run({0, 4, good, {}}), ExitCode::kInternal, HasSubstr("4 codebooks, expected 1..3"));
  EXPECT_ERROR(run({0, 0, good, {}}), ExitCode::kInternal, HasSubstr("0 codebooks"));
  EXPECT_ERROR(run({0, 3, bad, {}}), ExitCode::kInternal, HasSubstr("code 21, expected below 21"));
  EXPECT_ERROR(run({0, 3, {good.data(), 5}, {}}), ExitCode::kInternal, HasSubstr("5 codes in frames of 3"));
  EXPECT_ERROR(run({0, 3, good, {{0, 3, good}}}), ExitCode::kInternal, HasSubstr("source 0 given twice"));
  EXPECT_ERROR(run({0, 3, good, {{1, 3, good}, {1, 3, good}}}), ExitCode::kInternal, HasSubstr("source 1 given twice"));
  EXPECT_ERROR(run({0, 3, good, {{1, 3, bad}}}), ExitCode::kInternal, HasSubstr("code 21"));
  EXPECT_ERROR(run({0, 3, good, {{1, 0, good}}}), ExitCode::kInternal, HasSubstr("0 codebooks"));
  EXPECT_ERROR(run({0, 3, good, {{7, 3, good}}}), ExitCode::kInternal, HasSubstr("source 7"));
  for (const uint32_t bits : {19U, 25U})
    EXPECT_ERROR(count_codes(*model, {}, bits, pool), ExitCode::kInternal, HasSubstr("2^" + std::to_string(bits)));
}

TEST(Stepper, LengthsAreBounded) {
  const auto model = random_prior(small_config());
  ThreadPool pool(1);
  const auto run = [&](int64_t num_frames) { Stepper(model, {{0, 2, num_frames, {}}}, pool); };
  EXPECT_NO_THROW(run(1 << 19));
  EXPECT_ERROR(run((1 << 19) + 1), ExitCode::kInternal, HasSubstr("expected at most 1048576 codes"));
  EXPECT_ERROR(run(-1), ExitCode::kInternal, HasSubstr("-1 frames"));
}

TEST(Stepper, NoRowsAndNoFramesEndAtOnce) {
  const auto model = random_prior(small_config());
  ThreadPool pool(2);
  const auto never = [](int64_t, int, std::span<float>) -> uint16_t { throw std::logic_error("called"); };
  EXPECT_FALSE(Stepper(model, {}, pool).step(never));
  Stepper stepper(model, {{0, 2, 0, {}}, {1, 1, 0, {}}}, pool);
  EXPECT_FALSE(stepper.step(never));
  EXPECT_TRUE(stepper.codes(1).empty());
  EXPECT_TRUE(count_codes(*model, {}, 24, pool).empty());
}

TEST(Stepper, ExceptionsAndImpossibleCodesComeOut) {
  const auto model = random_prior(small_config());
  ThreadPool pool(2);
  const std::vector<Stepper::Row> rows(9, {0, 2, 4, {}});
  EXPECT_THROW(Stepper(model, rows, pool).step([](int64_t row, int, std::span<float>) -> uint16_t {
    if (row == 7) throw std::runtime_error("no more");
    return 0;
  }),
               std::runtime_error);
  EXPECT_ERROR(Stepper(model, rows, pool).step([](int64_t, int, std::span<float>) -> uint16_t { return 21; }),
               ExitCode::kInternal, HasSubstr("code 21 chosen, expected below 21"));
}

}  // namespace
}  // namespace vqcodec::prior
