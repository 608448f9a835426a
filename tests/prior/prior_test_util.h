// Small priors and random codes for the tests, and one test on every path.
#pragma once

#include <memory>
#include <vector>

#include "prior/predictor.h"
#include "tests/prior/small_prior.h"
#include "tests/runtime/runtime_test_util.h"

namespace vqcodec::prior {

// A random prior in float32 in which all tensors with `part` in their names are multiplied by `factor`.
inline std::vector<std::byte> scaled_prior(const Config& config, const std::string& part, float factor) {
  auto file = runtime::Safetensors::open_memory(make_random_prior(config, 1, false).bytes(), "whole");
  runtime::SafetensorsWriter writer;
  for (const auto& [key, value] : file.metadata()) writer.set_metadata(key, value);
  for (const std::string& name : file.tensor_names()) {
    const runtime::Shape shape = file.shape(name);
    std::vector<float> values = file.floats(name, shape);
    if (name.find(part) != std::string::npos)
      for (float& value : values) value *= factor;
    writer.add_f32(name, shape, values);
  }
  return writer.bytes();
}

// Segments with the codes that they look at.
struct Batch {
  std::vector<std::unique_ptr<std::vector<uint16_t>>> codes;
  std::vector<Segment> segments;

  void add(const Config& config, int source, int num_codebooks, int64_t num_frames, std::vector<Context> context = {}) {
    codes.push_back(
        std::make_unique<std::vector<uint16_t>>(random_codes(config, num_frames, num_codebooks, 1000 + codes.size())));
    segments.push_back({source, num_codebooks, *codes.back(), std::move(context)});
  }
};

// Logits of every segment: [segment][code * codebook_size + c].
using Logits = std::vector<std::vector<float>>;

inline Logits make_room(const Model& model, const std::vector<Segment>& segments) {
  Logits logits;
  for (const Segment& segment : segments)
    logits.emplace_back(segment.codes.size() * static_cast<size_t>(model.config().codebook_size), 12345.0f);
  return logits;
}

inline Logits whole_logits(const Model& model, const std::vector<Segment>& segments, runtime::ThreadPool& pool) {
  Logits all = make_room(model, segments);
  evaluate(
      model, segments,
      [&](size_t index, int64_t frame, int codebook, std::span<float> logits) {
        const int64_t at = frame * segments[index].num_codebooks + codebook;
        std::ranges::copy(logits, all[index].begin() + at * static_cast<int64_t>(logits.size()));
        std::ranges::fill(logits, 0.0f);  // callers may overwrite them
      },
      pool);
  return all;
}

inline std::vector<Stepper::Row> rows_of(const std::vector<Segment>& segments) {
  std::vector<Stepper::Row> rows;
  for (const Segment& segment : segments) {
    rows.push_back({segment.source, segment.num_codebooks,
                    static_cast<int64_t>(segment.codes.size()) / segment.num_codebooks, segment.context});
  }
  return rows;
}

inline Logits step_logits(const std::shared_ptr<const Model>& model, const std::vector<Segment>& segments,
                          runtime::ThreadPool& pool) {
  Logits all = make_room(*model, segments);
  Stepper stepper(model, rows_of(segments), pool);
  while (stepper.step([&](int64_t row, int codebook, std::span<float> logits) {
    const Segment& segment = segments[static_cast<size_t>(row)];
    const int64_t at = stepper.num_frames_done() * segment.num_codebooks + codebook;
    std::ranges::copy(logits, all[static_cast<size_t>(row)].begin() + at * static_cast<int64_t>(logits.size()));
    return segment.codes[static_cast<size_t>(at)];
  })) {
  }
  for (size_t row = 0; row < segments.size(); ++row)
    EXPECT_TRUE(std::ranges::equal(stepper.codes(row), segments[row].codes)) << row;
  return all;
}

inline ::testing::AssertionResult same_logits(const Logits& a, const Logits& b) {
  if (a.size() != b.size()) return ::testing::AssertionFailure() << a.size() << " and " << b.size() << " segments";
  for (size_t i = 0; i < a.size(); ++i) {
    const auto same = runtime::same_bits(a[i], b[i]);
    if (!same) return ::testing::AssertionFailure() << "segment " << i << ", " << same.message();
  }
  return ::testing::AssertionSuccess();
}

}  // namespace vqcodec::prior
