#include "eval/hard_inputs.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "eval/distances.h"
#include "eval/tracks.h"

namespace vqcodec::eval {

namespace {

constexpr double kWindowSeconds = 0.02, kReachSeconds = 0.06;
constexpr double kFloorEnergy = 1e-6;  // -60 dBFS

double gain(double db) { return std::pow(10.0, db / 20); }

// Uniform in -1..1, from a 64-bit linear congruential generator (Knuth's MMIX).
class Noise {
 public:
  double next() {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return static_cast<double>(state_ >> 11) * 0x1p-52 - 1;
  }

 private:
  uint64_t state_ = 1;
};

double mean_square_db(double sum, size_t count) {
  return 10 * std::log10(sum / static_cast<double>(std::max<size_t>(count, 1)));
}

// Mean squares of windows that begin every half window; a rest shorter than a window counts as one.
std::vector<double> window_energies(std::span<const float> samples, size_t window) {
  std::vector<double> energies;
  for (size_t begin = 0; begin < samples.size(); begin += window / 2) {
    double sum = 0;
    for (const float sample : samples.subspan(begin, std::min(window, samples.size() - begin))) {
      if (std::isfinite(sample)) sum += static_cast<double>(sample) * sample;
    }
    energies.push_back(sum / static_cast<double>(window));
  }
  return energies;
}

}  // namespace

std::vector<HardInput> made_inputs(int sample_rate_hz, double seconds) {
  const auto num_frames = static_cast<size_t>(seconds * sample_rate_hz);
  std::vector<HardInput> inputs;
  // `value` gives both sides of a frame at a time in seconds.
  const auto add = [&](const char* name, auto&& value) {
    HardInput input{name, std::vector<float>(2 * num_frames)};
    for (size_t i = 0; i < num_frames; ++i) {
      const std::pair<double, double> sides = value(i, static_cast<double>(i) / sample_rate_hz);
      input.samples[2 * i] = static_cast<float>(sides.first);
      input.samples[2 * i + 1] = static_cast<float>(sides.second);
    }
    inputs.push_back(std::move(input));
  };
  const auto both = [](double value) { return std::pair{value, value}; };
  Noise noise;
  const double uniform_db = 10 * std::log10(3.0);  // noise within +-1 has -4.8 dBFS
  add("silence", [&](size_t, double) { return both(0); });
  for (const auto& [name, db] :
       {std::pair{"white noise, -18 dBFS", -18.0}, std::pair{"white noise, -70 dBFS", -70.0}}) {
    add(name, [&, scale = gain(db + uniform_db)](size_t, double) {
      const double left = noise.next();
      return std::pair{scale * left, scale * noise.next()};
    });
  }
  const double low = 10, high = std::min(22000.0, 0.499 * sample_rate_hz), octaves = std::log(high / low);
  add("sweep, 10 Hz to 22 kHz", [&](size_t, double t) {
    return both(gain(-6) *
                std::sin(2 * std::numbers::pi * low * seconds / octaves * (std::exp(t / seconds * octaves) - 1)));
  });
  add("clipped master", [&](size_t, double t) {
    double sum = 0.3 * std::exp(-12 * std::fmod(t, 0.5)) * noise.next();
    for (const double hz : {55.0, 220.0, 277.2, 329.6, 880.0}) sum += 0.25 * std::sin(2 * std::numbers::pi * hz * t);
    const double side = 0.2 * std::sin(2 * std::numbers::pi * 440 * t);
    const auto clip = [](double value) { return std::clamp(gain(12) * value, -1.0, 1.0); };
    return std::pair{clip(sum + side), clip(sum - side)};
  });
  add("single samples",
      [&](size_t i, double) { return both(i % (static_cast<size_t>(sample_rate_hz) / 2) == 1000 ? 1 : 0); });
  add("constant", [&](size_t, double) { return both(0.5); });
  const auto chord = [](double t) {
    double sum = 0;
    for (const double hz : {110.0, 164.8, 220.0, 277.2}) sum += 0.15 * std::sin(2 * std::numbers::pi * hz * t);
    return sum;
  };
  add("left side alone", [&](size_t, double t) { return std::pair{chord(t), 0.0}; });
  add("sides of opposite sign", [&](size_t, double t) { return std::pair{chord(t), -chord(t)}; });
  return inputs;
}

HardResult compare_hard_input(const HardInput& input, std::span<const float> output, int sample_rate_hz) {
  if (output.size() != input.samples.size()) {
    throw Error(ExitCode::kInternal, input.name + ": the output has another length than the input");
  }
  HardResult result;
  result.name = input.name;
  result.seconds = static_cast<double>(output.size()) / 2 / sample_rate_hz;
  double in = 0, out = 0;
  for (size_t i = 0; i < output.size(); ++i) {
    in += static_cast<double>(input.samples[i]) * input.samples[i];
    if (std::isfinite(output[i])) {
      out += static_cast<double>(output[i]) * output[i];
    } else {
      ++result.num_bad_samples;
    }
  }
  result.input_rms_db = mean_square_db(in, output.size());
  result.output_rms_db = mean_square_db(out, output.size());
  // Both sides of a frame are in the same window.
  const size_t window = 4 * static_cast<size_t>(kWindowSeconds * sample_rate_hz / 2);
  const std::vector<double> before = window_energies(input.samples, window), after = window_energies(output, window);
  const auto reach = static_cast<size_t>(std::lround(2 * kReachSeconds / kWindowSeconds));
  result.rise_db = -std::numeric_limits<double>::infinity();
  for (size_t i = 0; i < after.size(); ++i) {
    const auto begin = before.begin() + static_cast<std::ptrdiff_t>(i - std::min(i, reach));
    const auto end = before.begin() + static_cast<std::ptrdiff_t>(std::min(before.size(), i + reach + 1));
    const double allowed = std::max(*std::max_element(begin, end), kFloorEnergy);
    const double rise_db = 10 * std::log10(std::max(after[i], kFloorEnergy) / allowed);
    if (rise_db > result.rise_db) {
      result.rise_db = rise_db;
      result.rise_at_seconds = static_cast<double>(i * (window / 2)) / 2 / sample_rate_hz;
    }
  }
  result.si_sdr_db = si_sdr_db(input.samples, output);
  return result;
}

HardResult measure_hard_input(const std::shared_ptr<const vqvae::Model>& model, const HardInput& input,
                              runtime::ThreadPool& pool) {
  const CodedSong song = encode_song(model, input.samples, 0, pool);
  const std::vector<std::vector<float>> sources = decode_sources(model, song, pool);
  return compare_hard_input(input, sum_of(sources), model->config().sample_rate_hz);
}

Json hard_inputs_json(const std::vector<HardResult>& results) {
  Json list = Json::array();
  for (const HardResult& result : results) {
    list.push_back({{"name", result.name},
                    {"seconds", result.seconds},
                    {"input_rms_db", number_or_null(result.input_rms_db)},
                    {"output_rms_db", number_or_null(result.output_rms_db)},
                    {"num_bad_samples", result.num_bad_samples},
                    {"rise_db", number_or_null(result.rise_db)},
                    {"rise_at_seconds", result.rise_at_seconds},
                    {"si_sdr_db", number_or_null(result.si_sdr_db)},
                    {"is_clean", result.is_clean()}});
  }
  return list;
}

}  // namespace vqcodec::eval
