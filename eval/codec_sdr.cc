#include "eval/codec_sdr.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "vqvae/decoder.h"
#include "vqvae/encoder.h"

namespace vqcodec::eval {

namespace {

constexpr double kSoundingEnergy = 1e-5;  // -50 dBFS, per sample

}  // namespace

std::vector<double> windowed_sdr(std::span<const float> reference, std::span<const float> estimate,
                                 int64_t window_samples) {
  std::vector<double> result;
  const size_t window = 2 * static_cast<size_t>(window_samples);
  for (size_t begin = 0; begin + window <= std::min(reference.size(), estimate.size()); begin += window) {
    double energy = 0, error = 0;
    for (size_t i = begin; i < begin + window; ++i) {
      const double r = reference[i], d = r - estimate[i];
      energy += r * r;
      error += d * d;
    }
    result.push_back(energy < kSoundingEnergy * static_cast<double>(window)
                         ? std::numeric_limits<double>::quiet_NaN()
                         : 10 * std::log10(energy / std::max(error, 1e-20)));
  }
  return result;
}

double median_of_numbers(std::vector<double> values) {
  std::erase_if(values, [](double v) { return std::isnan(v); });
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  const size_t middle = values.size() / 2;
  std::ranges::nth_element(values, values.begin() + static_cast<std::ptrdiff_t>(middle));
  const double upper = values[middle];
  if (values.size() % 2 == 1) return upper;
  return (upper + *std::max_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(middle))) / 2;
}

SongSdr codec_sdr(const std::shared_ptr<const vqvae::Model>& model, const dataset::Song& song,
                  const CodecSdrOptions& options, runtime::ThreadPool& pool) {
  const vqvae::ModelConfig& config = model->config();
  const size_t num_sources = config.sources.size();
  int64_t num_frames = song.num_frames;
  if (options.max_seconds > 0) {
    num_frames = std::min(num_frames, static_cast<int64_t>(options.max_seconds * config.sample_rate_hz));
  }
  const size_t num_values = 2 * static_cast<size_t>(num_frames);
  std::vector<std::vector<float>> decoded(num_sources);
  for (auto& samples : decoded) samples.reserve(num_values + 4096);
  vqvae::Decoder decoder(model, {.separate = true, .num_codebooks = options.num_codebooks}, pool,
                         [&](int source, std::span<const float> samples) {
                           auto& all = decoded[static_cast<size_t>(source)];
                           all.insert(all.end(), samples.begin(), samples.end());
                         });
  vqvae::Encoder encoder(model, {.num_codebooks = options.num_codebooks}, pool,
                         [&](const std::vector<codec::SourceSegment>& segment) { decoder.push(segment); });
  std::vector<float> block;
  std::vector<int16_t> stem;
  for (size_t at = 0; at < num_values; at += block.size()) {
    block.assign(std::min<size_t>(1 << 18, num_values - at), 0.0f);
    stem.resize(block.size());
    for (size_t s = 0; s < num_sources; ++s) {
      song.read(s, static_cast<int64_t>(at / 2), stem);
      for (size_t i = 0; i < block.size(); ++i) block[i] += static_cast<float>(stem[i]) / 32768.0f;
    }
    encoder.push(block);
    if (options.on_progress) options.on_progress(static_cast<double>(at) / static_cast<double>(num_values));
  }
  encoder.finish();
  decoder.finish();
  SongSdr result;
  result.song = song.name;
  std::vector<float> reference(num_values), mixture(num_values), decoded_mixture(num_values);
  int num_sounding = 0;
  for (size_t s = 0; s < num_sources; ++s) {
    decoded[s].resize(num_values);
    stem.resize(num_values);
    song.read(s, 0, stem);
    for (size_t i = 0; i < num_values; ++i) {
      reference[i] = static_cast<float>(stem[i]) / 32768.0f;
      mixture[i] += reference[i];
      decoded_mixture[i] += decoded[s][i];
    }
    const std::vector<double> sdr = windowed_sdr(reference, decoded[s], config.sample_rate_hz);
    result.source_db.push_back(median_of_numbers(sdr));
    result.source_windows.push_back(
        static_cast<int>(std::ranges::count_if(sdr, [](double v) { return !std::isnan(v); })));
    if (std::isnan(result.source_db.back())) continue;
    result.average_db += result.source_db.back();
    ++num_sounding;
  }
  result.average_db = num_sounding > 0 ? result.average_db / num_sounding : std::numeric_limits<double>::quiet_NaN();
  result.mixture_db = median_of_numbers(windowed_sdr(mixture, decoded_mixture, config.sample_rate_hz));
  return result;
}

}  // namespace vqcodec::eval
