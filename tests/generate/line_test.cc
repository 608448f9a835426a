#include "generate/line.h"

#include <algorithm>
#include <set>

#include "tests/base/expect_error.h"
#include "tests/generate/golden_lines.h"
#include "tests/prior/prior_test_util.h"
#include "tests/vqvae/tiny_model.h"

namespace vqcodec::generate {
namespace {

using codec::SourceSegment;
using prior::small_config;
using runtime::kBuiltPaths;
using runtime::name_of_path;
using runtime::Path;
using runtime::ThreadPool;
using testing::HasSubstr;

Lines make(const Song& song, const Passage& passage, const LineOptions& options = {}, int source = kBass,
           int plain_gain = 0, int threads = 1) {
  ThreadPool pool(threads);
  return make_lines(prior::random_prior(small_config()), song, source, passage, options, plain_gain, pool);
}

Passage whole(const Song& song) { return {0, song.num_frames()}; }

std::vector<uint16_t> codes_of(const Line& line) {
  std::vector<uint16_t> codes;
  for (const SourceSegment& segment : line.segments)
    codes.insert(codes.end(), segment.codes.begin(), segment.codes.end());
  return codes;
}

std::vector<uint16_t> codes_of(const Song& song, size_t source) {
  std::vector<uint16_t> codes;
  for (const auto& segment : song.segments)
    codes.insert(codes.end(), segment[source].codes.begin(), segment[source].codes.end());
  return codes;
}

std::vector<int> gains_of(const Line& line) {
  std::vector<int> gains;
  for (const SourceSegment& segment : line.segments) gains.push_back(segment.gain);
  return gains;
}

class LineOnPath : public runtime::EveryPath {};

// If this fails on a new machine or compiler, a seed gives another line there.
TEST_P(LineOnPath, ASeedGivesTheCodesWrittenDown) { EXPECT_EQ(golden_lines_digest(), kGoldenLines); }

VQCODEC_ON_EVERY_PATH(LineOnPath);

// Lines of `options` are what they are on any number of threads, in any batches and whatever their number. Returns them.
Lines expect_alike_however_made(const Song& song, const Passage& passage, LineOptions options) {
  const Lines wanted = make(song, passage, options);
  for (const int threads : {1, 2, 5, 7}) {
    for (const int rows : {1, 2, 3, 7, 64}) {
      options.max_rows = rows;
      EXPECT_EQ(digest(make(song, passage, options, kBass, 0, threads)), digest(wanted)) << threads << ' ' << rows;
    }
  }
  options.num_lines = 2;
  const Lines two = make(song, passage, options);
  for (size_t i = 0; i < 2; ++i) EXPECT_EQ(codes_of(two.lines[i]), codes_of(wanted.lines[i]));
  return wanted;
}

TEST(Line, CodesDoNotDependOnThreadsBatchesOrTheNumberOfLines) {
  const Song song = sounding_song();
  for (const double guidance : {1.0, 1.7}) {
    for (const Passage passage : {whole(song), Passage{33, 77}})
      expect_alike_however_made(song, passage, {.guidance = guidance, .num_lines = 5, .num_candidates = 2});
  }
}

// How many even codes the first codebook has in [from, to): what the judges of these tests like.
double even_codes(std::span<const uint16_t> codes, int64_t first_frame, int64_t from, int64_t to) {
  EXPECT_EQ(static_cast<int64_t>(codes.size()), 3 * (to - first_frame));
  double count = 0;
  for (int64_t t = from; t < to; ++t) count += codes[static_cast<size_t>(3 * (t - first_frame))] % 2 == 0 ? 1 : 0;
  return count;
}

TEST(Line, EachStretchIsTheBestOfItsTries) {
  const Song song = sounding_song();
  const std::vector<int64_t> ends = {0, 17, 40, 61, 90, 500};
  for (const Passage passage : {whole(song), Passage{33, 77}}) {
    LineOptions options{.num_candidates = 2, .steering = {.ends = ends, .num_tries = 5}};
    std::vector<double> scores;  // in the order of the calls: of one thread they come try by try
    std::vector<std::pair<int64_t, int64_t>> stretches;
    options.steering.judge = [&](auto codes, int64_t first_frame, int64_t from, int64_t to) {
      scores.push_back(even_codes(codes, first_frame, from, to));
      if (stretches.empty() || stretches.back() != std::pair(from, to)) stretches.emplace_back(from, to);
      return scores.back();
    };
    const Lines made = make(song, passage, options);
    std::vector<std::pair<int64_t, int64_t>> wanted;
    int64_t from = passage.from_frame;
    for (const int64_t end : {17, 40, 61, 90}) {
      if (end <= passage.from_frame || end >= passage.to_frame) continue;
      wanted.emplace_back(from, end);
      from = end;
    }
    wanted.emplace_back(from, passage.to_frame);
    EXPECT_EQ(stretches, wanted);
    // Of every candidate the line has the best tries' codes.
    const size_t num_candidates = static_cast<size_t>(made.num_candidates);
    ASSERT_EQ(scores.size(), stretches.size() * 5 * num_candidates);
    const auto codes = codes_of(made.lines[0]);
    for (size_t k = 0; k < stretches.size(); ++k) {
      const auto at =
          scores.begin() + static_cast<long>((k * num_candidates + static_cast<size_t>(made.lines[0].candidate)) * 5);
      const auto [first, last] = stretches[k];
      EXPECT_EQ(even_codes(std::span(codes).first(static_cast<size_t>(3 * last)), 0, first, last),
                *std::max_element(at, at + 5))
          << k;
    }
  }
}

TEST(Line, SteeringDoesNotDependOnThreadsBatchesOrTheNumberOfLines) {
  const Song song = sounding_song();
  LineOptions options{.guidance = 1.7,
                      .num_lines = 4,
                      .num_candidates = 2,
                      .steering = {.ends = {20, 50, 60}, .num_tries = 3, .judge = even_codes}};
  for (const Passage passage : {whole(song), Passage{33, 77}}) {
    const Lines wanted = expect_alike_however_made(song, passage, options);
    // A judge that likes all alike leaves the first try, which is the line without steering.
    LineOptions plain = options, alike = options;
    plain.steering = {};
    alike.steering.judge = [](auto...) { return 0.0; };
    EXPECT_EQ(digest(make(song, passage, alike)), digest(make(song, passage, plain)));
    EXPECT_NE(digest(make(song, passage, plain)), digest(wanted));
  }
  options.steering.num_tries = 0;
  EXPECT_ERROR(make(song, whole(song), options), ExitCode::kUsage, HasSubstr("tries 0"));
  options.steering.num_tries = kMaxTries + 1;
  EXPECT_ERROR(make(song, whole(song), options), ExitCode::kUsage, HasSubstr("tries 17"));
}

// Tones of the tiny model, whose codes are like those of the small prior.
std::shared_ptr<const Tones> tiny_tones(int num_codebooks = 3) {
  vqvae::ModelConfig config = vqvae::tiny_config();
  config.codebook_size = small_config().codebook_size;
  const auto model =
      vqvae::Model::from_file(runtime::Safetensors::open_memory(vqvae::make_model(config, 1).bytes(), "tiny"));
  return std::make_shared<Tones>(*model, kBass, num_codebooks, std::vector<double>{100, 125, 150});
}

TEST(Line, EveryStretchGetsAPitchByWhatWasBefore) {
  const Song song = sounding_song();
  struct Call {
    int64_t from, to;
    int previous, attempt;
    uint64_t random;
  };
  std::vector<Call> calls;
  LineOptions options{.steering = {.ends = {0, 20, 50, 60, 500}, .tones = tiny_tones(), .tone_strength = 20}};
  options.steering.num_tries = 3;
  options.steering.choose_pitch = [&](int64_t from, int64_t to, int previous, int attempt, uint64_t random) {
    calls.push_back({from, to, previous, attempt, random});
    return attempt;  // so that the next call's `previous` tells which try was the best
  };
  std::vector<double> scores;
  options.steering.judge = [&](auto codes, int64_t first_frame, int64_t from, int64_t to) {
    scores.push_back(even_codes(codes, first_frame, from, to));
    return scores.back();
  };
  make(song, whole(song), options);
  const int64_t ends[] = {20, 50, 60, song.num_frames()};
  ASSERT_EQ(calls.size(), 12U);
  ASSERT_EQ(scores.size(), 12U);
  std::set<uint64_t> randoms;
  for (size_t i = 0; i < calls.size(); ++i) {
    const size_t stretch = i / 3;
    EXPECT_EQ(calls[i].from, stretch == 0 ? 0 : ends[stretch - 1]);
    EXPECT_EQ(calls[i].to, ends[stretch]);
    EXPECT_EQ(calls[i].attempt, static_cast<int>(i % 3));
    randoms.insert(calls[i].random);
    if (stretch == 0) {
      EXPECT_EQ(calls[i].previous, -1);
      continue;
    }
    const auto first = scores.begin() + static_cast<long>(3 * (stretch - 1));
    EXPECT_EQ(calls[i].previous, std::max_element(first, first + 3) - first);
  }
  EXPECT_EQ(randoms.size(), calls.size());
}

TEST(Line, TonesChangeCodesAndDoNotDependOnThreadsOrBatches) {
  const Song song = sounding_song();
  LineOptions options{.guidance = 1.7,
                      .num_lines = 3,
                      .num_candidates = 2,
                      .steering = {.ends = {20, 50, 60}, .tones = tiny_tones(), .tone_strength = 20}};
  options.steering.choose_pitch = [](auto, auto, int, int, uint64_t random) { return static_cast<int>(random % 3); };
  for (const Passage passage : {whole(song), Passage{33, 77}}) {
    LineOptions plain = options, silent = options;
    plain.steering = {};
    silent.steering.choose_pitch = [](auto...) { return -1; };
    const std::string wanted = digest(expect_alike_however_made(song, passage, options));
    EXPECT_NE(digest(make(song, passage, plain)), wanted);
    EXPECT_EQ(digest(make(song, passage, plain)), digest(make(song, passage, silent)));
  }
  options.steering.tones = tiny_tones(2);
  EXPECT_ERROR(make(song, whole(song), options), ExitCode::kUsage, HasSubstr("tones"));
  options.steering.tone_strength = kMaxToneStrength + 1;
  EXPECT_ERROR(make(song, whole(song), options), ExitCode::kUsage, HasSubstr("tones 101"));
}

TEST(Line, SeedsLinesAndContextsGiveOtherCodes) {
  const Song song = sounding_song();
  LineOptions options{.num_lines = 2};
  const Lines lines = make(song, whole(song), options);
  EXPECT_NE(codes_of(lines.lines[0]), codes_of(lines.lines[1]));
  options.seed = 2;
  EXPECT_NE(codes_of(make(song, whole(song), options).lines[0]), codes_of(lines.lines[0]));
  options.seed = 1;
  options.listen_to = {kDrums};
  const Lines drums = make(song, whole(song), options);
  EXPECT_EQ(drums.context, std::vector<int>{kDrums});
  EXPECT_NE(codes_of(drums.lines[0]), codes_of(lines.lines[0]));
  EXPECT_EQ(lines.context, (std::vector<int>{kDrums, kOther}));
  // The line that is there is not looked at when all of it is written anew.
  Song other_bass = song;
  for (auto& segment : other_bass.segments) std::ranges::reverse(segment[kBass].codes);
  EXPECT_EQ(codes_of(make(other_bass, whole(song)).lines[0]), codes_of(make(song, whole(song)).lines[0]));
}

TEST(Line, GreedyIsTheLikeliestAndHotIsNearlyUniform) {
  const Song song = sounding_song();
  const Lines greedy = make(song, whole(song), {.sampling = {.temperature = 0}, .num_lines = 2});
  EXPECT_EQ(codes_of(greedy.lines[0]), codes_of(greedy.lines[1]));
  const Lines hot = make(song, whole(song), {.sampling = {.temperature = kMaxTemperature}, .num_lines = 20});
  std::vector<int> counts(21);
  for (const Line& line : hot.lines) {
    for (const uint16_t code : codes_of(line)) ++counts.at(code);
  }
  const int mean = 20 * 140 * 3 / 21;
  for (const int count : counts) EXPECT_NEAR(count, mean, 5 * std::sqrt(mean));
  const Lines plain = make(song, whole(song), {.repetition_penalty = 0});
  EXPECT_LT(greedy.lines[0].new_bits_per_code, plain.lines[0].new_bits_per_code);
  EXPECT_LT(plain.lines[0].new_bits_per_code, hot.lines[0].new_bits_per_code);
}

TEST(Line, EveryCodebookCanHaveItsTemperature) {
  const Song song = sounding_song();
  const Lines mixed = make(song, whole(song), {.num_lines = 2, .temperatures = {0, 0, 1}});
  const auto first = codes_of(mixed.lines[0]), second = codes_of(mixed.lines[1]);
  EXPECT_EQ(std::vector(first.begin(), first.begin() + 2), std::vector(second.begin(), second.begin() + 2));
  EXPECT_NE(first, second);
  EXPECT_EQ(digest(make(song, whole(song), {.temperatures = {0.7, 0.7, 0.7}})),
            digest(make(song, whole(song), {.sampling = {.temperature = 0.7}})));
  EXPECT_ERROR(make(song, whole(song), {.temperatures = {1, 1}}), ExitCode::kUsage, HasSubstr("2 temperatures"));
  EXPECT_ERROR(make(song, whole(song), {.temperatures = {1, 1, -1}}), ExitCode::kUsage, HasSubstr("temperature -1"));
}

// With logits that hang on the frame before alone a greedy line would go round in a circle.
TEST(Line, RepetitionIsSpokenAgainst) {
  prior::Config config = small_config();
  config.window_frames = 1;
  const auto model = prior::load_prior(prior::scaled_prior(config, "context", 0));
  const Song song = make_song(std::vector<std::vector<int>>(8, {40, 0, 0}));
  ThreadPool pool(1);
  const auto longest_copy = [&](double penalty) {
    const Lines lines =
        make_lines(model, song, kBass, whole(song),
                   {.sampling = {.temperature = 0}, .guidance = 1, .repetition_penalty = penalty}, 0, pool);
    const auto codes = codes_of(lines.lines[0]);
    std::vector<uint16_t> first;
    for (size_t i = 0; i < codes.size(); i += 3) first.push_back(codes[i]);
    int64_t longest = 0;
    for (size_t lag = 1; lag <= 80; ++lag) {
      int64_t run = 0;
      for (size_t i = lag; i < first.size(); ++i) {
        run = first[i] == first[i - lag] ? run + 1 : 0;
        longest = std::max(longest, run);
      }
    }
    return longest;
  };
  EXPECT_GT(longest_copy(0), 100);
  EXPECT_LT(longest_copy(kMaxRepetitionPenalty), 20);
}

TEST(Line, AReplacedPassageLeavesTheRestAndTakesTheLikeliestCandidate) {
  const Song song = sounding_song();
  const Passage passage{50, 90};
  LineOptions options{.guidance = 2, .seed = 3, .num_lines = 2, .num_candidates = 6};
  const Lines lines = make(song, passage, options);
  EXPECT_EQ(lines.num_candidates, 6);
  EXPECT_EQ(lines.passage.from_frame, 50);
  EXPECT_EQ(lines.passage.to_frame, 90);
  const auto before = codes_of(song, kBass);
  for (const Line& line : lines.lines) {
    const auto codes = codes_of(line);
    ASSERT_EQ(codes.size(), before.size());
    EXPECT_TRUE(std::equal(codes.begin(), codes.begin() + 150, before.begin()));
    EXPECT_TRUE(std::equal(codes.begin() + 270, codes.end(), before.begin() + 270));
    EXPECT_FALSE(std::equal(codes.begin() + 150, codes.begin() + 270, before.begin() + 150));
    EXPECT_EQ(gains_of(line), (std::vector<int>{40, 41, 42, 43}));
    EXPECT_GT(line.kept_bits_per_code, 0);
  }
  // What the file says of the kept codes is what the prior says of the whole line, a window back.
  const Line& line = lines.lines[0];
  const auto model = prior::random_prior(small_config());
  const auto codes = codes_of(line), drums = codes_of(song, kDrums), other = codes_of(song, kOther);
  const int64_t begin = 50 - 18;  // two windows
  const auto tail = [&](const std::vector<uint16_t>& all) { return std::span(all).subspan(begin * 3); };
  const std::vector<prior::Segment> segments = {
      {kBass, 3, tail(codes).first((100 - begin) * 3), {{kDrums, 3, tail(drums)}, {kOther, 3, tail(other)}}}};
  ThreadPool pool(1);
  Sampler sampler;
  double new_bits = 0, kept_bits = 0;
  prior::evaluate(
      *model, segments,
      [&](size_t, int64_t frame, int codebook, std::span<float> logits) {
        const double bits = sampler.cost_bits(logits, segments[0].codes[static_cast<size_t>(frame * 3 + codebook)]);
        if (frame + begin >= 50 && frame + begin < 90) new_bits += bits;
        if (frame + begin >= 90) kept_bits += bits;
      },
      pool);
  EXPECT_DOUBLE_EQ(line.new_bits_per_code, new_bits / 120);
  EXPECT_DOUBLE_EQ(line.kept_bits_per_code, kept_bits / 30);
  // Fewer candidates are some of the same.
  double last = line.kept_bits_per_code;
  for (int count = 5; count >= 1; --count) {
    options.num_candidates = count;
    const Line fewer = make(song, passage, options).lines[0];
    EXPECT_GE(fewer.kept_bits_per_code, last);
    last = fewer.kept_bits_per_code;
  }
  EXPECT_GT(last, line.kept_bits_per_code);
}

TEST(Line, ContinuingGivesThePastAndIsWithoutCandidates) {
  Song song = sounding_song();
  const Passage passage{60, song.num_frames()};
  const Lines lines = make(song, passage);
  EXPECT_EQ(lines.num_candidates, 1);
  EXPECT_EQ(lines.lines[0].kept_bits_per_code, 0);
  const auto codes = codes_of(lines.lines[0]), before = codes_of(song, kBass);
  EXPECT_TRUE(std::equal(codes.begin(), codes.begin() + 180, before.begin()));
  song.segments[1][kBass].codes[19 * 3] ^= 1;  // the frame before the passage
  const auto other = codes_of(make(song, passage).lines[0]);
  EXPECT_FALSE(std::equal(other.begin() + 180, other.end(), codes.begin() + 180));
}

TEST(Line, PassagesInSilenceAreWidenedToSegments) {
  const Song song = make_song({{40, 50, 50}, {0, 50, 50}, {0, 50, 50}, {40, 50, 50}});
  const Lines lines = make(song, {50, 90});
  EXPECT_EQ(lines.passage.from_frame, 40);
  EXPECT_EQ(lines.passage.to_frame, 120);
  EXPECT_GT(lines.num_candidates, 1);
  const Lines first = make(song, {10, 50});
  EXPECT_EQ(first.passage.from_frame, 10);
  EXPECT_EQ(first.passage.to_frame, 80);
  EXPECT_EQ(first.num_candidates, 1);  // no codes are kept in silence
  EXPECT_EQ(gains_of(first.lines[0])[2], 0);
}

TEST(Line, LevelsComeFromTheLineItsSongOrTheOthers) {
  // The line is 10 steps below 50 and 51, and once 8; two sources of 50 make 52.
  const Song song = make_song({{40, 50, 0}, {0, 50, 50}, {43, 51, 0}, {41, 51, 0}, {0, 0, 0}, {12, 60, 0}, {0, 40, 0}});
  const Lines lines = make(song, whole(song));
  EXPECT_EQ(gains_of(lines.lines[0]), (std::vector<int>{40, 42, 43, 41, 0, 50, 30}));
  EXPECT_EQ(lines.lines[0].segments[4], (SourceSegment{0, std::vector<uint16_t>(120)}));
  // No line in the song.
  const Song without = make_song({{0, 50, 0}, {0, 50, 50}, {0, 1, 0}});
  EXPECT_EQ(gains_of(make(without, whole(without)).lines[0]), (std::vector<int>{46, 48, 1}));
  // A model without levels.
  const Song unit = make_song({{0, 65, 65}, {0, 0, 0}, {0, 65, 0}});
  EXPECT_EQ(gains_of(make(unit, whole(unit)).lines[0]), (std::vector<int>{65, 0, 65}));
  Song wrong = unit;
  wrong.segments[0][kDrums].gain = 96;
  EXPECT_ERROR(make(wrong, whole(wrong)), ExitCode::kBadFile, HasSubstr("segment 0 of drums has level 96"));
}

TEST(Line, SilentSourcesAreNotHeard) {
  Song song = make_song({{40, 50, 0}, {40, 0, 0}, {40, 50, 0}, {40, 50, 0}});
  const Lines lines = make(song, whole(song));
  EXPECT_EQ(lines.context, std::vector<int>{kDrums});
  std::ranges::fill(song.segments[1][kDrums].codes, uint16_t{7});  // no file has this; it shows that nobody looks
  EXPECT_EQ(codes_of(make(song, whole(song)).lines[0]), codes_of(lines.lines[0]));
}

TEST(Line, PlainLinesNeedNoSong) {
  const Song song = silent_song(make_info(), 95);
  ASSERT_EQ(song.segments.size(), 3U);
  EXPECT_EQ(song.num_frames(), 95);
  EXPECT_ERROR(make(song, whole(song)), ExitCode::kUsage, HasSubstr("nothing sounds"));
  const Lines lines = make(song, whole(song), {}, kBass, 52);
  EXPECT_TRUE(lines.context.empty());
  EXPECT_EQ(gains_of(lines.lines[0]), (std::vector<int>{52, 52, 52}));
  // Guidance has nothing to guide by.
  EXPECT_EQ(digest(lines), digest(make(song, whole(song), {.guidance = 5}, kBass, 52)));
}

TEST(Line, WhatDoesNotFitIsRefused) {
  const Song song = sounding_song();
  const auto refuses = [&](const LineOptions& options, const char* says) {
    EXPECT_ERROR(make(song, whole(song), options), ExitCode::kUsage, HasSubstr(says));
  };
  refuses({.sampling = {.temperature = -1}}, "temperature");
  refuses({.guidance = -0.5}, "guidance");
  refuses({.guidance = std::nan("")}, "guidance nan");
  refuses({.repetition_penalty = 1e9}, "repetition");
  refuses({.num_lines = 0}, "lines 0");
  refuses({.num_lines = kMaxLines + 1}, "lines");
  refuses({.num_candidates = 0}, "candidates 0");
  refuses({.listen_to = {kBass}}, "source 0");
  refuses({.listen_to = {9}}, "source 9");
  for (const Passage passage : {Passage{-1, 5}, Passage{5, 5}, Passage{7, 5}, Passage{0, 141}})
    EXPECT_ERROR(make(song, passage), ExitCode::kUsage, HasSubstr("passage"));
  Song other = song;
  other.info.model_id.fill(1);
  EXPECT_ERROR(make(other, whole(song)), ExitCode::kModel, HasSubstr("of model 010101010101"));
  other = song;
  other.info.sources[2] = "piano";
  EXPECT_ERROR(make(other, whole(song)), ExitCode::kBadFile, HasSubstr("contradict"));
  codec::StreamInfo info = make_info();
  info.segment_frames = 65536;
  const Song endless = silent_song(info, 400000);
  EXPECT_ERROR(make(endless, whole(endless), {}, kBass, 50), ExitCode::kUsage, HasSubstr("minutes at once"));
}

}  // namespace
}  // namespace vqcodec::generate
