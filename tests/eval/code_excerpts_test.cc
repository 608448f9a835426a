#include "eval/code_excerpts.h"

#include <cmath>
#include <random>

#include "audio/writer.h"
#include "tests/base/expect_error.h"
#include "tests/base/temp_dir.h"
#include "tests/vqvae/tiny_model.h"

namespace vqcodec::eval {
namespace {

using testing::HasSubstr;

constexpr int64_t kRate = 44100, kHop = 256;

// Noise with a tone, silent before `from` and after `to` (seconds).
std::vector<float> make_stem(double seconds, double from, double to, uint32_t seed, double level = 0.1) {
  std::mt19937 random(seed);
  std::vector<float> samples(2 * static_cast<size_t>(seconds * kRate), 0.0F);
  for (size_t i = 0; i < samples.size() / 2; ++i) {
    const double t = static_cast<double>(i) / kRate;
    if (t < from || t >= to) continue;
    const double noise = static_cast<double>(random()) / 4294967296.0 - 0.5;
    samples[2 * i] = static_cast<float>(level * (noise + std::sin(t * 700 * (seed + 1))));
    samples[2 * i + 1] = static_cast<float>(level * (noise - std::sin(t * 900 * (seed + 1))));
  }
  return samples;
}

class CodeExcerptsTest : public testing::Test {
 protected:
  void add(const std::string& track, const std::string& source, const std::vector<float>& samples) {
    std::filesystem::create_directories(dir_ / track);
    const auto writer = audio::AudioWriter::open((dir_ / track) + "/" + source + ".wav",
                                                 {.sample_format = audio::SampleFormat::kFloat32});
    writer->write(samples);
    writer->finish();
  }
  CodeExcerpts collect(const ExcerptOptions& options = {}, int num_threads = 2) const {
    runtime::ThreadPool pool(num_threads);
    return collect_excerpts(model_, dir_.path(), options, pool);
  }
  static std::shared_ptr<const vqvae::Model> make(const vqvae::ModelConfig& config) {
    const TempDir dir;
    vqvae::make_model(config, 1).write(dir / "model.safetensors");
    return vqvae::Model::load(dir / "model.safetensors");
  }

  TempDir dir_;
  std::shared_ptr<const vqvae::Model> model_ = make(vqvae::tiny_config());
};

TEST_F(CodeExcerptsTest, TakesWhatSoundsAndOnlyThat) {
  add("a", "vocals", make_stem(11.5, 0, 2, 1));     // [0, 5) sounds until 2 s, [6, 11) is silent, the rest too short
  add("a", "bass", make_stem(11.5, 6.5, 11.5, 2));  // [6, 11)
  add("a", "drums", make_stem(11.5, 0, 11.5, 3, 0.001));  // -60 dBFS and below
  add("b", "bass", make_stem(8, 0, 8, 4));                // [0, 5) and [6, 8)
  const CodeExcerpts data = collect();
  EXPECT_EQ(data.num_tracks, 2);
  ASSERT_EQ(data.excerpts.size(), 4U);
  const auto whole_frames = [](double from, double to) {
    return std::floor(to * kRate / kHop) - std::ceil(from * kRate / kHop) - 1;
  };
  const struct {
    const char* track;
    int source;
    double begin, rows;
  } expected[] = {{"a", 0, 0, whole_frames(0, 2)},
                  {"a", 1, 6, whole_frames(0.5, 5)},
                  {"b", 1, 0, whole_frames(0, 5)},
                  {"b", 1, 6, whole_frames(0, 2)}};
  int64_t rows = 0;
  for (size_t i = 0; i < 4; ++i) {
    const Excerpt& excerpt = data.excerpts[i];
    EXPECT_EQ(excerpt.track, expected[i].track);
    EXPECT_EQ(excerpt.source, expected[i].source);
    EXPECT_EQ(excerpt.begin_seconds, expected[i].begin);
    EXPECT_NEAR(static_cast<double>(excerpt.num_rows), expected[i].rows, 2) << i;  // frames half in silence
    EXPECT_EQ(excerpt.first_row, rows);
    rows += excerpt.num_rows;
    EXPECT_EQ(data.source_of_row(rows - 1), excerpt.source);
  }
  EXPECT_EQ(data.num_rows(), rows);
  EXPECT_EQ(data.codes.size(), static_cast<size_t>(rows * 4 * 3));
  EXPECT_EQ(data.gains.size(), static_cast<size_t>(rows * 4));
  EXPECT_EQ(data.original_bands.size(), static_cast<size_t>(rows * kNumSoundBands));
  std::string left_out;
  for (const LeftOutExcerpt& entry : data.left_out) left_out += entry.track + "/" + entry.source + ": " + entry.why + "\n";
  EXPECT_THAT(left_out, HasSubstr("a/drums: no excerpt sounds above -50 dBFS"));
  EXPECT_THAT(left_out, HasSubstr("a/: other: no such file"));
  EXPECT_THAT(left_out, HasSubstr("b/: vocals: no such file"));
}

TEST_F(CodeExcerptsTest, CodesVectorsAndSdrAreThoseOfTheExcerptAlone) {
  const std::vector<float> vocals = make_stem(4, 0, 4, 1), bass = make_stem(4, 0, 4, 2);
  add("a", "vocals", vocals);
  add("a", "bass", bass);
  const CodeExcerpts data = collect();
  ASSERT_EQ(data.excerpts.size(), 2U);
  runtime::ThreadPool pool(1);
  const CodedSong song = encode_song(model_, bass, 0, pool);
  const auto decoded = decode_sources(model_, song, pool);
  const Excerpt& excerpt = data.excerpts[1];
  ASSERT_EQ(excerpt.num_rows, 4 * kRate / kHop - 1);
  // Row r is frame r + 1 of the song: frame 0 begins before it. 512 frames a segment.
  const int64_t checked[] = {0, 300, 511, excerpt.num_rows - 1};
  std::vector<int64_t> rows;
  for (int64_t r : checked) {
    const auto& segment = song.segments[static_cast<size_t>((r + 1) / 512)];
    const auto row = static_cast<size_t>(excerpt.first_row + r);
    rows.push_back(excerpt.first_row + r);
    for (size_t slot = 0; slot < 4; ++slot) {
      EXPECT_EQ(data.gains[row * 4 + slot], segment[slot].gain);
      for (size_t h = 0; h < 3; ++h) {
        EXPECT_EQ(data.codes[(row * 4 + slot) * 3 + h],
                  segment[slot].codes[static_cast<size_t>((r + 1) % 512) * 3 + h]);
      }
      double energy = 0;
      for (int64_t i = 2 * r * kHop; i < 2 * (r + 2) * kHop; ++i) {
        const double value = decoded[slot][static_cast<size_t>(i)];
        energy += value * value / (4 * kHop);
      }
      EXPECT_NEAR(data.slot_energy[row * 4 + slot], energy, 1e-5 * energy);
    }
  }
  int64_t dims = 0;
  const auto own = code_vectors(*model_, data, rows, VectorKind::kOwnSlot, -1, 1, dims);
  EXPECT_EQ(dims, 8);
  const auto second = code_vectors(*model_, data, rows, VectorKind::kOwnSlot, 1, 1, dims);
  EXPECT_EQ(dims, 8);
  const auto all = code_vectors(*model_, data, rows, VectorKind::kAllSlots, -1, 1, dims);
  EXPECT_EQ(dims, 32);
  const auto magnitudes = code_vectors(*model_, data, rows, VectorKind::kAllSlotMagnitudes, -1, 1, dims);
  EXPECT_EQ(dims, 32);
  ASSERT_EQ(all.size(), rows.size() * 32);
  for (size_t i = 0; i < rows.size(); ++i) {
    for (size_t k = 0; k < 8; ++k) {
      const uint16_t* codes = data.codes.data() + (static_cast<size_t>(rows[i]) * 4 + 1) * 3;
      float sum = 0;
      for (size_t h = 0; h < 3; ++h) sum += model_->source(1).entries[h][codes[h] * 8 + k];
      EXPECT_EQ(own[i * 8 + k], sum);
      EXPECT_EQ(second[i * 8 + k], model_->source(1).entries[1][codes[1] * size_t{8} + k]);
      EXPECT_EQ(all[i * 32 + 8 + k], sum);
      EXPECT_EQ(magnitudes[i * 32 + 8 + k], std::abs(sum));
    }
  }
  double signal = 0, error = 0;
  for (size_t i = 0; i < bass.size(); ++i) {
    const double d = static_cast<double>(bass[i]) - static_cast<double>(decoded[1][i]);
    signal += static_cast<double>(bass[i]) * static_cast<double>(bass[i]);
    error += d * d;
  }
  EXPECT_NEAR(excerpt.sdr_db[1], 10 * std::log10(signal / error), 1e-6);
  EXPECT_NE(excerpt.sdr_db[0], excerpt.sdr_db[1]);
}

TEST_F(CodeExcerptsTest, ThreadsDoNotChangeAnything) {
  add("a", "vocals", make_stem(3, 0, 3, 1));
  add("a", "other", make_stem(3, 0, 3, 2));
  const CodeExcerpts one = collect({}, 1), three = collect({}, 3);
  EXPECT_EQ(one.codes, three.codes);
  EXPECT_EQ(one.slot_energy, three.slot_energy);
  EXPECT_EQ(one.decoded_bands, three.decoded_bands);
  EXPECT_EQ(one.excerpts[1].si_sdr_db, three.excerpts[1].si_sdr_db);
}

TEST_F(CodeExcerptsTest, TheMostExcerptsAreSpreadOverTheTracks) {
  for (const char* track : {"a", "b"}) {
    add(track, "vocals", make_stem(12, 0, 12, 1));
    add(track, "bass", make_stem(12, 0, 12, 2));
  }
  ExcerptOptions options{.excerpt_seconds = 1, .gap_seconds = 0.5, .max_excerpts = 4};
  double last_progress = 0;
  options.on_progress = [&](double done) { last_progress = done; };
  const CodeExcerpts data = collect(options);
  ASSERT_EQ(data.excerpts.size(), 8U);
  EXPECT_EQ(data.excerpts[0].begin_seconds, 3);  // of 0, 1.5, ... 10.5
  EXPECT_EQ(data.excerpts[1].begin_seconds, 9);
  EXPECT_EQ(data.excerpts[4].track, "b");
  EXPECT_GT(last_progress, 0.7);
  const CodeExcerpts short_data = collect({.max_seconds = 2});
  ASSERT_EQ(short_data.excerpts.size(), 4U);
  EXPECT_LT(short_data.excerpts[0].num_rows, 2 * kRate / kHop);
}

TEST_F(CodeExcerptsTest, DataThatCannotTellSourcesApartIsRefused) {
  runtime::ThreadPool pool(1);
  EXPECT_ERROR(collect(), ExitCode::kBadFile, HasSubstr("holds no track"));
  add("a", "vocals", make_stem(3, 0, 3, 1));
  add("a", "bass", make_stem(3, 0, 0, 1));
  EXPECT_ERROR(collect(), ExitCode::kBadFile, HasSubstr("only vocals sounds"));
  EXPECT_ERROR(collect(), ExitCode::kBadFile, HasSubstr("bass: no excerpt sounds"));
  add("b", "drums", make_stem(0.5, 0, 0.5, 1));
  EXPECT_ERROR(collect(), ExitCode::kBadFile, HasSubstr("b, drums: shorter than an excerpt may be"));
  EXPECT_ERROR(collect_excerpts(model_, dir_ / "nowhere", {}, pool), ExitCode::kIo, HasSubstr("nowhere"));
}

// Two rows of source 0 and one of source 1, with two slots and one codebook.
CodeExcerpts handmade() {
  CodeExcerpts data;
  data.num_slots = 2;
  data.num_codebooks = 1;
  data.excerpts = {{.track = "t", .source = 0, .num_rows = 2, .si_sdr_db = {9, -5}, .sdr_db = {8, -6}},
                   {.track = "t", .source = 0, .si_sdr_db = {5, -7}, .sdr_db = {4, -8}},
                   {.track = "t", .source = 1, .first_row = 2, .num_rows = 1, .si_sdr_db = {1, 3}, .sdr_db = {0, 2}}};
  data.excerpt_of_row = {0, 0, 2};
  data.codes = {4, 0, 4, 1, 2, 5};
  data.gains = {10, 0, 10, 3, 7, 0};
  data.slot_energy = {3, 1, 1, 3, 0, 0};
  return data;
}

TEST(CodeScores, SlotsUseAndSwapsByHand) {
  const CodeExcerpts data = handmade();
  const SlotAccuracy slots = slot_accuracy(data);
  EXPECT_NEAR(slots.accuracy, 1.0 / 3, 1e-12);  // the third row is silent: no slot is right
  EXPECT_EQ(slots.loudest[0], (std::vector<double>{0.5, 0.5}));
  EXPECT_EQ(slots.loudest[1], (std::vector<double>{0, 0}));
  EXPECT_EQ(slots.energy_share[0], (std::vector<double>{0.5, 0.5}));
  EXPECT_EQ(swapped_sdr(data, true)[0], (std::vector<double>{7, -6}));
  EXPECT_EQ(swapped_sdr(data, false)[1], (std::vector<double>{0, 2}));
}

TEST_F(CodeExcerptsTest, OneEntryIsAUseOfOneAndSilentSlotsAreNotCounted) {
  const auto use = codebook_use(*model_, handmade());
  EXPECT_EQ(use[0][0].num_used, 1);
  EXPECT_EQ(use[0][0].num_codes, 2);
  EXPECT_EQ(use[0][0].perplexity, 1);
  EXPECT_EQ(use[1][0].num_codes, 0);
  int64_t dims = 0;
  // Equal vectors for all rows of source 0, and zeros for a silent slot.
  const auto vectors = code_vectors(*model_, handmade(), {0, 1, 2}, VectorKind::kOwnSlot, 0, 1, dims);
  ASSERT_EQ(dims, 8);
  for (size_t k = 0; k < 8; ++k) {
    EXPECT_EQ(vectors[k], vectors[8 + k]);
    EXPECT_EQ(vectors[16 + k], 0);
  }
  EXPECT_TRUE(has_tables_of_its_own(*model_));
}

TEST_F(CodeExcerptsTest, GumbelVectorsAreConcatenated) {
  vqvae::ModelConfig config = vqvae::tiny_config();
  config.quantizer_kind = vqvae::QuantizerKind::kGumbel;
  model_ = make(config);
  add("a", "vocals", make_stem(2, 0, 2, 1));
  add("a", "bass", make_stem(2, 0, 2, 2));
  const CodeExcerpts data = collect();
  int64_t dims = 0;
  const auto vectors = code_vectors(*model_, data, {0}, VectorKind::kOwnSlot, -1, 1, dims);
  ASSERT_EQ(dims, 24);
  for (size_t h = 0; h < 3; ++h) {
    for (size_t k = 0; k < 8; ++k)
      EXPECT_EQ(vectors[h * 8 + k], model_->source(0).entries[h][data.codes[h] * size_t{8} + k]);
  }
}

TEST(CodeScores, SamplesAreEqualSharesOfTheSources) {
  CodeExcerpts data;
  data.num_slots = 3;
  data.excerpts = {{.source = 0}, {.source = 2}};
  data.excerpt_of_row.assign(100, 0);
  data.excerpt_of_row.resize(130, 1);
  const auto rows = sample_rows(data, 80, 1);
  EXPECT_EQ(std::ranges::count_if(rows, [](int64_t row) { return row < 100; }), 40);
  EXPECT_EQ(rows.size(), 70U);
  EXPECT_TRUE(std::ranges::is_sorted(rows));
  EXPECT_EQ(std::ranges::adjacent_find(rows), rows.end());
  EXPECT_EQ(rows, sample_rows(data, 80, 1));
  EXPECT_NE(rows, sample_rows(data, 80, 2));
}

}  // namespace
}  // namespace vqcodec::eval
