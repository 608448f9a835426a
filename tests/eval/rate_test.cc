// Sizes against a file that was counted by hand, means against sums by hand.
#include "eval/rate.h"

#include <cmath>
#include <cstdlib>
#include <limits>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec/vqc_reader.h"
#include "codec/vqc_writer.h"
#include "eval/opus_codec.h"
#include "prior/coder.h"
#include "tests/base/expect_error.h"
#include "tests/prior/golden_prior.h"
#include "tests/prior/sampled_codes.h"
#include "tests/vqvae/codec_test_util.h"

namespace vqcodec::eval {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
const std::vector<std::string> kSources = {"vocals", "bass", "drums", "other"};

uint64_t sum_of_parts(const FileRate& rate) {
  uint64_t sum = rate.header_bytes + rate.metadata_bytes + rate.segment_head_bytes + rate.index_bytes;
  for (const SourceRate& source : rate.sources) {
    EXPECT_EQ(source.checksum_bytes + source.gain_bytes + source.code_bytes, source.stream_bytes);
    sum += source.stream_bytes;
  }
  return sum;
}

// Codes with nothing to save.
CodedSong random_song(uint32_t num_codebooks, uint32_t codebook_size, uint32_t num_frames) {
  CodedSong song;
  song.info = {.sample_rate_hz = 44100,
               .num_channels = 2,
               .hop_samples = 1024,
               .sources = kSources,
               .num_codebooks = num_codebooks,
               .codebook_size = codebook_size,
               .segment_frames = 512};
  song.info.num_samples = uint64_t{num_frames} * 1024;
  std::mt19937 random(4);
  for (uint32_t begin = 0; begin < num_frames; begin += 512) {
    std::vector<codec::SourceSegment> segment(kSources.size());
    for (auto& stream : segment) {
      stream.gain = 50;
      for (uint32_t i = 0; i < std::min(512U, num_frames - begin) * num_codebooks; ++i) {
        stream.codes.push_back(static_cast<uint16_t>(random() % codebook_size));
      }
    }
    song.segments.push_back(std::move(segment));
  }
  return song;
}

// The example of codec/FORMAT.md, whose dump tells what each byte is.
// Codes drawn from a prior, all sources given those before them in the joint order.
TEST(FileRateOfAPrior, IsNearTheIdealAndBestWhereTheOthersAreGiven) {
  runtime::ThreadPool pool(2);
  const auto model = prior::Model::from_file(runtime::Safetensors::open_memory(
      prior::make_random_prior(prior::golden_config(), prior::kGoldenPriorSeed).bytes(), "prior"));
  CodedSong song{.info = prior::golden_info(), .segments = {}};
  prior::Coder coder(model, song.info, pool);
  song.segments = prior::sample_segments(coder, song.info, 640, prior::joint_order(*model, song.info.sources), 3);
  const FileRate rate = file_rate(song, "", pool, model);
  uint64_t adaptive = 0, alone = 0, joint = 0;
  for (const SourceRate& source : rate.sources) {
    ASSERT_TRUE(source.prior.has_value());
    ASSERT_TRUE(source.joint.has_value());
    for (const PriorRate& coded : {*source.prior, *source.joint}) {
      double ideal_bytes = 0;
      for (const double bits : coded.codebook_bits) ideal_bytes += bits / 8;
      EXPECT_GE(static_cast<double>(coded.code_bytes), ideal_bytes);
      // Each stream ends with up to four bytes more.
      EXPECT_LE(static_cast<double>(coded.code_bytes), ideal_bytes + 4.0 * static_cast<double>(song.segments.size()));
    }
    adaptive += source.code_bytes;
    alone += source.prior->code_bytes;
    joint += source.joint->code_bytes;
  }
  EXPECT_LT(joint, alone);
  EXPECT_LT(alone, adaptive);
  EXPECT_LT(rate.joint_file_bytes, rate.prior_file_bytes);
  EXPECT_LT(rate.prior_file_bytes, rate.file_bytes);
  song.info.model_id[0] ^= 1;
  EXPECT_ERROR(file_rate(song, "", pool, model), ExitCode::kModel, HasSubstr("model"));
}

TEST(FileRate, CountsTheExampleOfTheFormat) {
  auto file =
      codec::FileSource::open(std::string(std::getenv("VQCODEC_SOURCE_DIR")) + "/tests/data/golden/example.vqc");
  ASSERT_TRUE(file.ok());
  auto reader = codec::VqcReader::open(**file);
  ASSERT_TRUE(reader.ok());
  CodedSong song{reader->info(), {}};
  for (uint32_t i = 0; i < 2; ++i) song.segments.push_back({*reader->read_source_segment(i, 0)});
  runtime::ThreadPool pool(1);
  const FileRate rate = file_rate(song, "", pool);
  EXPECT_EQ(rate.header_bytes, 85U);
  EXPECT_EQ(rate.metadata_bytes, 0U);
  EXPECT_EQ(rate.segment_head_bytes, 2U * (16 + 12 + 4));
  EXPECT_EQ(rate.index_bytes, 16U + 28 + 36);
  ASSERT_EQ(rate.sources.size(), 1U);
  EXPECT_EQ(rate.sources[0].stream_bytes, 14U + 8);
  EXPECT_EQ(rate.sources[0].checksum_bytes, 16U);
  EXPECT_EQ(rate.sources[0].gain_bytes, 3U);
  EXPECT_EQ(rate.sources[0].code_bytes, 3U);
  EXPECT_EQ(rate.checksum_bytes, 4U + 4 * 8 + 16);  // header; two segments, index and end; streams
  EXPECT_EQ(rate.file_bytes, 251U);
  EXPECT_EQ(sum_of_parts(rate), 251U);
  EXPECT_DOUBLE_EQ(rate.sources[0].raw_bytes, 5 * 2 * 3 / 8.0);
}

TEST(FileRate, PartsAreTheWholeFile) {
  const auto model = vqvae::load_model(vqvae::tiny_config());
  runtime::ThreadPool pool(2);
  std::vector<float> song = vqvae::synthetic_song(600000);
  std::fill(song.begin() + 200000, song.begin() + 900000, 0.0F);  // with a silent segment
  const CodedSong coded = encode_song(model, song, 0, pool);
  const std::string metadata = R"({"encoder":"a test"})";
  codec::MemorySink sink;
  auto writer = codec::VqcWriter::create(sink, coded.info, metadata);
  for (const auto& segment : coded.segments) ASSERT_TRUE(writer->write_segment(segment).ok());
  ASSERT_TRUE(writer->finish(600000).ok());
  codec::MemorySource source(sink.bytes());
  auto reader = codec::VqcReader::open(source);
  ASSERT_TRUE(reader.ok());

  const FileRate rate = file_rate(coded, metadata, pool);
  EXPECT_EQ(rate.file_bytes, sink.bytes().size());
  EXPECT_EQ(sum_of_parts(rate), rate.file_bytes);
  EXPECT_EQ(rate.metadata_bytes, reader->stats().metadata_bytes);
  EXPECT_GT(rate.metadata_bytes, 0U);
  int num_silent = 0;
  for (uint32_t s = 0; s < kSources.size(); ++s) {
    uint64_t bytes = 0;
    codec::CodebookBits bits{std::vector<double>(rate.num_codebooks)};
    for (uint32_t i = 0; i < reader->num_segments(); ++i) {
      num_silent += reader->read_source_segment(i, s, &bits)->gain == 0 ? 1 : 0;
      bytes += reader->stream_bytes(i, s);
    }
    EXPECT_EQ(rate.sources[s].stream_bytes, bytes);
    double sum = 0;
    for (size_t h = 0; h < rate.num_codebooks; ++h) {
      EXPECT_NEAR(rate.sources[s].codebook_bits[h], bits.bits[h], 1e-6);
      sum += bits.bits[h] / 8;
    }
    // The coder's own end takes less than two bytes a stream.
    EXPECT_GE(static_cast<double>(rate.sources[s].code_bytes), sum);
    EXPECT_LE(static_cast<double>(rate.sources[s].code_bytes), sum + 2.0 * reader->num_segments());
  }
  EXPECT_GT(num_silent, 0);
}

TEST(FileRate, RandomCodesCannotBeMadeSmaller) {
  runtime::ThreadPool pool(2);
  const CodedSong song = random_song(3, 32, 1500);
  const FileRate rate = file_rate(song, "", pool);
  const double raw = 1500.0 * 3 * 5 / 8;
  for (const SourceRate& source : rate.sources) {
    EXPECT_DOUBLE_EQ(source.raw_bytes, raw);
    EXPECT_GT(static_cast<double>(source.zstd_packed_bytes), raw);
    EXPECT_LT(static_cast<double>(source.zstd_packed_bytes), raw + 32);
    EXPECT_GT(static_cast<double>(source.zstd_words_bytes), raw);
    EXPECT_LE(static_cast<double>(source.code_bytes), raw + 3);
  }
  // A size that is no power of two is packed at whole bits.
  const FileRate odd = file_rate(random_song(3, 33, 1500), "", pool);
  EXPECT_DOUBLE_EQ(odd.sources[0].raw_bytes, 1500 * 3 * std::log2(33) / 8);
  EXPECT_LT(odd.sources[0].zstd_packed_bytes, 1500U * 3 * 6 / 8 + 32);
  CodedSong constant = random_song(3, 32, 1500);
  for (auto& segment : constant.segments) {
    for (auto& stream : segment) std::fill(stream.codes.begin(), stream.codes.end(), uint16_t{7});
  }
  for (const SourceRate& source : file_rate(constant, "", pool).sources) {
    EXPECT_LT(source.zstd_packed_bytes, 40U);
    EXPECT_LT(source.code_bytes, 100U);
  }
}

TEST(KeepCodebooks, GivesWhatTheEncoderGives) {
  for (const auto& kind : vqvae::kKinds) {
    const auto model = vqvae::load_model(kind.config());
    runtime::ThreadPool pool(2);
    const std::vector<float> song = vqvae::synthetic_song(200000);
    const CodedSong all = encode_song(model, song, 0, pool);
    for (const int kept : {1, 2, 3}) {
      const CodedSong direct = encode_song(model, song, kept, pool), cut = keep_codebooks(all, kept);
      EXPECT_EQ(cut.info, direct.info) << kind.name;
      EXPECT_EQ(cut.segments, direct.segments) << kind.name << ' ' << kept;
    }
    EXPECT_ERROR(keep_codebooks(all, 0), ExitCode::kUsage, HasSubstr("1 to 3"));
    EXPECT_ERROR(keep_codebooks(all, 4), ExitCode::kUsage, HasSubstr("1 to 3"));
  }
}

TEST(InterpolateLog, IsLinearInTheLogarithm) {
  const std::vector<std::pair<double, double>> points = {{16, 5}, {4, 1}, {64, 6}};
  EXPECT_DOUBLE_EQ(interpolate_log(points, 8), 3);
  EXPECT_DOUBLE_EQ(interpolate_log(points, 32), 5.5);
  EXPECT_DOUBLE_EQ(interpolate_log(points, 4), 1);
  EXPECT_DOUBLE_EQ(interpolate_log(points, 64), 6);
  EXPECT_TRUE(std::isnan(interpolate_log(points, 3.9)));
  EXPECT_TRUE(std::isnan(interpolate_log(points, 64.1)));
  EXPECT_TRUE(std::isnan(interpolate_log({}, 8)));
}

class MeasureRate : public testing::Test {
 protected:
  Track make_track(int64_t num_frames) const {
    Track track;
    track.name = "song";
    track.sample_rate_hz = 44100;
    track.num_frames = num_frames;
    for (uint64_t s = 0; s < kSources.size(); ++s) track.stems.push_back(vqvae::synthetic_song(num_frames, s + 1));
    track.mixture = sum_of(track.stems);
    return track;
  }
  TrackRate measure(const Track& track, RateOptions options = {.opus_bps = {8000, 16000, 64000}}) {
    return measure_rate(model_, track, options, pool_);
  }

  std::shared_ptr<const vqvae::Model> model_ = vqvae::load_model(vqvae::tiny_config());
  runtime::ThreadPool pool_{2};
};

TEST_F(MeasureRate, MeasuresEveryLevelAndRival) {
  const Track track = make_track(60000);
  double done = 0;
  int num_steps = 0;
  RateOptions options{.opus_bps = {8000, 16000, 64000}, .on_progress = [&](double share) {
                        EXPECT_GT(share, done);
                        done = share;
                        ++num_steps;
                      }};
  const TrackRate rate = measure(track, options);
  EXPECT_EQ(done, 1);
  EXPECT_EQ(num_steps, 3 + 3 + 2);
  EXPECT_EQ(rate.name, "song");
  EXPECT_DOUBLE_EQ(rate.seconds, 60000.0 / 44100);
  ASSERT_EQ(rate.levels.size(), 3U);
  ASSERT_EQ(rate.files.size(), 3U);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(rate.levels[i].setting, static_cast<int>(i) + 1);
    EXPECT_EQ(rate.levels[i].file_bytes, rate.files[i].file_bytes);
    EXPECT_EQ(sum_of_parts(rate.files[i]), rate.files[i].file_bytes);
    EXPECT_EQ(rate.files[i].num_codebooks, i + 1);
    EXPECT_EQ(rate.levels[i].sources.size(), 4U);
  }
  // The distances are those of what the model decodes.
  const auto decoded = decode_sources(model_, keep_codebooks(encode_song(model_, track.mixture, 0, pool_), 2), pool_);
  EXPECT_EQ(rate.levels[1].mixture.mel, distances(track.mixture, sum_of(decoded), 44100, pool_).mel);
  EXPECT_EQ(rate.levels[1].sources[2].si_sdr_db, distances(track.stems[2], decoded[2], 44100, pool_).si_sdr_db);
  // And of Opus.
  ASSERT_EQ(rate.opus.size(), 3U);
  const OpusStream opus = encode_opus(track.mixture, 44100, 16000);
  EXPECT_EQ(rate.opus[1].setting, 16000);
  EXPECT_EQ(rate.opus[1].file_bytes, ogg_opus_file(opus).size());
  EXPECT_EQ(rate.opus[1].packet_bytes, static_cast<uint64_t>(opus.packet_bytes()));
  EXPECT_EQ(rate.opus[1].mixture.mel, distances(track.mixture, decode_opus(opus), 44100, pool_).mel);
  EXPECT_TRUE(rate.opus[1].sources.empty());
  // Four streams of 5 kbit/s are the least; 8 and 16 are the same point.
  ASSERT_EQ(rate.opus_stems.size(), 2U);
  EXPECT_EQ(rate.opus_stems[0].setting, 20000);
  EXPECT_EQ(rate.opus_stems[1].setting, 64000);
  uint64_t bytes = 0;
  std::vector<std::vector<float>> stems;
  for (const auto& stem : track.stems) {
    const OpusStream stream = encode_opus(stem, 44100, 16000);
    bytes += ogg_opus_file(stream).size();
    stems.push_back(decode_opus(stream));
  }
  EXPECT_EQ(rate.opus_stems[1].file_bytes, bytes);
  EXPECT_EQ(rate.opus_stems[1].mixture.mel, distances(track.mixture, sum_of(stems), 44100, pool_).mel);
  EXPECT_EQ(rate.opus_stems[1].sources[3].mel, distances(track.stems[3], stems[3], 44100, pool_).mel);
}

TEST_F(MeasureRate, TakesWhatThereIs) {
  Track track = make_track(40000);
  const auto mixture = track.mixture;
  for (auto& stem : track.stems) stem.clear();
  TrackRate rate = measure(track, {.levels = {2}, .opus_bps = {16000}});
  ASSERT_EQ(rate.levels.size(), 1U);
  EXPECT_EQ(rate.levels[0].setting, 2);
  EXPECT_TRUE(rate.levels[0].sources.empty());
  EXPECT_EQ(rate.opus.size(), 1U);
  EXPECT_TRUE(rate.opus_stems.empty());
  auto left_out = drop_incomplete(rate, kSources);
  ASSERT_EQ(left_out.size(), 5U);
  EXPECT_EQ(left_out[1].source, "bass");
  EXPECT_EQ(left_out[4].what, "opus_stems");
  EXPECT_TRUE(std::isfinite(rate.levels[0].mixture.mel));

  track = make_track(40000);
  std::fill(track.stems[1].begin(), track.stems[1].end(), 0.0F);
  rate = measure(track, {.levels = {3}, .opus_bps = {24000}});
  EXPECT_EQ(rate.opus_stems.size(), 1U);
  left_out = drop_incomplete(rate, kSources);
  ASSERT_EQ(left_out.size(), 1U);
  EXPECT_EQ(left_out[0].source, "bass");
  EXPECT_THAT(left_out[0].why, HasSubstr("silent"));
  EXPECT_TRUE(std::isnan(rate.levels[0].sources[1].mel));
  EXPECT_TRUE(std::isfinite(rate.levels[0].sources[0].mel));
  EXPECT_TRUE(std::isnan(rate.opus_stems[0].sources[1].mel));
  EXPECT_TRUE(measure(track, {.levels = {3}, .opus_bps = {}}).opus.empty());
}

TEST_F(MeasureRate, RefusesWhatCannotBeMeasured) {
  EXPECT_ERROR(measure(make_track(1024)), ExitCode::kBadFile, HasSubstr("1024 samples"));
  EXPECT_ERROR(measure(make_track(0)), ExitCode::kBadFile, HasSubstr("0 samples"));
  Track silent = make_track(30000);
  std::fill(silent.mixture.begin(), silent.mixture.end(), 0.0F);
  EXPECT_ERROR(measure(silent), ExitCode::kBadFile, HasSubstr("silent"));
  EXPECT_ERROR(measure(make_track(30000), {.levels = {4}, .opus_bps = {}}), ExitCode::kUsage, HasSubstr("1 to 3"));
  EXPECT_EQ(measure(make_track(1025), {.opus_bps = {16000}}).levels.size(), 3U);
}

// A point whose distances are all `value` but for the measures' offsets.
RatePoint point(int setting, uint64_t bytes, double value, size_t num_sources = 0) {
  const Distances d{value, value + 1, value + 2, value + 3};
  return {setting, bytes, bytes / 2, d, std::vector<Distances>(num_sources, d)};
}

TrackRate made_up_track(const std::string& name, double seconds, double value) {
  TrackRate track;
  track.name = name;
  track.seconds = seconds;
  const auto bytes = static_cast<uint64_t>(seconds * 1000);  // 8 kbit/s
  FileRate file{2, 10, 20, 30, 40, bytes, 50, std::vector<SourceRate>(2)};
  for (SourceRate& source : file.sources) {
    source = {(bytes - 100) / 2, 8, 3, (bytes - 100) / 2 - 11, {100, 200}, 1000, 900, 950};
  }
  track.files = {file};
  track.levels = {point(2, bytes, value, 2)};
  track.opus = {point(4000, bytes / 2, value + 10), point(32000, bytes * 4, value + 20)};
  track.opus_stems = {point(20000, bytes * 3, value + 30, 2)};
  return track;
}

TEST(RateJson, MeansAreWeightedBySeconds) {
  const std::vector<std::string> sources = {"low", "high"};
  const Json report =
      rate_json({made_up_track("a", 10, 1), made_up_track("b", 30, 5)}, sources, {{"c", "", "", "gone"}});
  const Json& summary = report["summary"];
  EXPECT_EQ(summary["num_tracks"], 2);
  EXPECT_EQ(summary["seconds"], 40);
  EXPECT_EQ(report["tracks"][1]["levels"][0]["mixture"]["mel"], 5);
  const Json& level = summary["levels"][0];
  EXPECT_EQ(level["num_codebooks"], 2);
  EXPECT_EQ(level["bytes"], 40000);
  EXPECT_DOUBLE_EQ(level["kbit_per_second"].get<double>(), 8);
  EXPECT_DOUBLE_EQ(level["mixture"]["mel"].get<double>(), (10 * 1 + 30 * 5) / 40.0);
  EXPECT_DOUBLE_EQ(level["mixture"]["si_sdr_db"].get<double>(), 4 + 3);
  EXPECT_DOUBLE_EQ(level["sources"][1]["log_spectral_db"].get<double>(), 4 + 2);
  EXPECT_EQ(level["file"]["header_bytes"], 20);
  EXPECT_EQ(level["file"]["sources"][0]["checksum_bytes"], 16);
  EXPECT_EQ(level["file"]["sources"][0]["coders"]["zstd_packed_bytes"], 1800);
  EXPECT_DOUBLE_EQ(level["file"]["sources"][0]["codebooks"][1]["bytes"].get<double>(), 400 / 8.0);
  EXPECT_DOUBLE_EQ(level["file"]["sources"][0]["codebooks"][1]["raw_bytes"].get<double>(), 1000);
  EXPECT_FALSE(level["file"]["sources"][0]["coders"].contains("prior_bytes"));
  EXPECT_DOUBLE_EQ(summary["opus"][1]["kbit_per_second"].get<double>(), 32);
  EXPECT_EQ(summary["opus"][1]["packet_bytes"], 80000);
  EXPECT_EQ(report["left_out"][0]["why"], "gone");

  // At our 8 kbit/s Opus has points at 4 and 32: a third of the way in the logarithm.
  const Json& match = summary["matched"][0];
  EXPECT_EQ(match["opus"]["nearest"]["bitrate_bps"], 4000);
  EXPECT_NEAR(match["opus"]["interpolated"]["mixture"]["mel"].get<double>(), 14 + 10 / 3.0, 1e-9);
  EXPECT_FALSE(match["opus"]["interpolated"].contains("sources"));
  EXPECT_EQ(match["opus_stems"]["nearest"]["bitrate_bps"], 20000);
  EXPECT_TRUE(match["opus_stems"]["interpolated"]["mixture"]["mel"].is_null());
  EXPECT_EQ(match["opus_stems"]["interpolated"]["sources"].size(), 2U);

  const std::string text = rate_text(report);
  for (const char* part : {"2 tracks", "0:40", "low", "high", "Opus", "factor of 2", "left out: c: gone"}) {
    EXPECT_THAT(text, HasSubstr(part));
  }
  const auto plots = rate_plots(report);
  ASSERT_EQ(plots.size(), 5U);
  EXPECT_EQ(plots[0].file, "rate_mel.svg");
  for (const RatePlot& plot : plots) {
    EXPECT_THAT(plot.svg, testing::StartsWith("<svg"));
    EXPECT_THAT(plot.svg, Not(HasSubstr("nan")));
  }
  for (const char* part : {"Mixture", "low", "high", "vqcodec", "Opus, true sources apart"}) {
    EXPECT_THAT(plots[0].svg, HasSubstr(part));
  }
}

TEST(RateJson, WhatOnePointLacksIsLeftOutForAllPointsOfItsTrack) {
  const std::vector<std::string> sources = {"low", "high"};
  TrackRate a = made_up_track("a", 10, 1), b = made_up_track("b", 30, 5);
  a.opus[0].mixture.si_sdr_db = -std::numeric_limits<double>::infinity();
  a.levels[0].sources[1].mel = kNan;
  const auto left_out = drop_incomplete(a, sources);
  ASSERT_EQ(left_out.size(), 2U);
  EXPECT_EQ(left_out[0].what, "si_sdr_db");
  EXPECT_EQ(left_out[0].source, "");
  EXPECT_EQ(left_out[1].what, "mel");
  EXPECT_EQ(left_out[1].source, "high");
  EXPECT_TRUE(drop_incomplete(b, sources).empty());
  const Json report = rate_json({a, b}, sources, left_out);
  const Json& summary = report["summary"];
  EXPECT_TRUE(report["tracks"][0]["levels"][0]["mixture"]["si_sdr_db"].is_null());
  // Of SI-SDR track b alone, at every point; of mel both.
  EXPECT_DOUBLE_EQ(summary["levels"][0]["mixture"]["si_sdr_db"].get<double>(), 8);
  EXPECT_DOUBLE_EQ(summary["opus"][1]["mixture"]["si_sdr_db"].get<double>(), 28);
  EXPECT_DOUBLE_EQ(summary["levels"][0]["mixture"]["mel"].get<double>(), 4);
  EXPECT_DOUBLE_EQ(summary["levels"][0]["sources"][1]["mel"].get<double>(), 5);
  EXPECT_DOUBLE_EQ(summary["opus_stems"][0]["sources"][1]["mel"].get<double>(), 35);
  EXPECT_DOUBLE_EQ(summary["levels"][0]["sources"][0]["mel"].get<double>(), 4);
  EXPECT_EQ(report["left_out"].size(), 2U);
}

TEST(RateJson, StemsOfSomeTracksOnlyAreNoRivalOfAll) {
  const std::vector<std::string> sources = {"low", "high"};
  TrackRate a = made_up_track("a", 10, 1), b = made_up_track("b", 30, 5);
  b.opus_stems.clear();
  for (RatePoint& level : b.levels) level.sources.clear();
  std::vector<LeftOutMeasure> left_out = drop_incomplete(b, sources);
  EXPECT_EQ(left_out.back().what, "opus_stems");
  const Json report = rate_json({a, b}, sources, left_out);
  EXPECT_TRUE(report["summary"]["opus_stems"].empty());
  EXPECT_FALSE(report["summary"]["matched"][0].contains("opus_stems"));
  EXPECT_EQ(report["tracks"][0]["opus_stems"].size(), 1U);
  EXPECT_DOUBLE_EQ(report["summary"]["levels"][0]["sources"][0]["mel"].get<double>(), 1);  // of track a
  EXPECT_EQ(rate_json({}, sources, {}).dump().find("nan"), std::string::npos);
  EXPECT_TRUE(rate_plots(rate_json({}, sources, {})).empty());
}

}  // namespace
}  // namespace vqcodec::eval
