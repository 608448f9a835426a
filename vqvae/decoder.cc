#include "vqvae/decoder.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>

#include "base/error.h"
#include "runtime/fft.h"
#include "runtime/ops.h"
#include "vqvae/noise.h"
#include "vqvae/spectrum.h"

namespace vqcodec::vqvae {

namespace {

constexpr int64_t kBlockFrames = 128;  // frames that go through the network at a time

}  // namespace

struct Decoder::State {
  std::shared_ptr<const Model> model;
  const ModelConfig& config;
  DecoderOptions options;
  runtime::ThreadPool& pool;
  Sink sink;
  int64_t hop;

  struct Source {
    StackStream synthesis;
    std::vector<float> values;   // [held, quantizer_out] of frames whose network outputs have not come yet
    std::vector<float> gains;    // [held]
    std::vector<float> details;  // [ready, 2 * num_code_bins]
    std::optional<StackStream> noise;
    std::vector<float> noise_logs;  // [ready, 2, noise bands]
  };
  std::vector<Source> sources;

  struct Output {
    runtime::Mclt transform;
    std::vector<float> overlap[2];
    std::vector<float> spectra;  // [frames, 2N] of the block: mid and side, then left and right
    std::vector<float> samples;  // interleaved
  };
  std::vector<Output> outputs;
  int64_t next_frame;
  std::vector<int> noise_edges;

  State(std::shared_ptr<const Model> m, DecoderOptions o, runtime::ThreadPool& p, Sink s)
      : model(std::move(m)),
        config(model->config()),
        options(std::move(o)),
        pool(p),
        sink(std::move(s)),
        hop(config.hop_samples),
        next_frame(options.first_frame) {
    if (options.sources.empty()) {
      for (int i = 0; i < config.num_sources(); ++i) options.sources.push_back(i);
    }
    std::set<int> once;
    for (int source : options.sources) {
      if (source < 0 || source >= config.num_sources() || !once.insert(source).second) {
        throw Error(ExitCode::kUsage, "source " + std::to_string(source) + ": expected different ones of 0.." +
                                          std::to_string(config.num_sources() - 1));
      }
      sources.push_back({StackStream(model->synthesis(), source), {}, {}, {}, {}, {}});
      if (config.noise && options.fill_noise) sources.back().noise.emplace(model->noise(), source);
    }
    if (options.fill_noise) noise_edges = config.noise_band_edges();
    if (options.num_codebooks == 0) options.num_codebooks = config.num_codebooks;
    if (options.num_codebooks < 1 || options.num_codebooks > config.num_codebooks) {
      throw Error(ExitCode::kUsage, std::to_string(options.num_codebooks) + " codebooks: this model has " +
                                        std::to_string(config.num_codebooks));
    }
    const size_t num_outputs = options.separate ? sources.size() : 1;
    for (size_t i = 0; i < num_outputs; ++i) {
      Output output{runtime::Mclt(config.hop_samples), {}, {}, {}};
      for (auto& overlap : output.overlap) overlap.assign(static_cast<size_t>(hop), 0.0f);
      outputs.push_back(std::move(output));
    }
  }

  // Entries of frames [begin, end) of a segment, appended to the source's values.
  void look_up(size_t i, const codec::SourceSegment& segment, int64_t begin, int64_t end) {
    Source& source = sources[i];
    const Model::SourceWeights& weights = model->source(static_cast<size_t>(options.sources[i]));
    const int64_t dim = config.code_dim, width = config.quantizer_out(), num_codebooks = options.num_codebooks;
    const bool residual = config.quantizer_kind == QuantizerKind::kResidual;
    const float gain = gain_scale(segment.gain);
    const size_t old_size = source.values.size();
    source.values.resize(old_size + static_cast<size_t>((end - begin) * width), 0.0f);
    source.gains.insert(source.gains.end(), static_cast<size_t>(end - begin), gain);
    if (segment.gain == 0) return;
    for (int64_t t = begin; t < end; ++t) {
      float* out = source.values.data() + old_size + (t - begin) * width;
      for (int64_t h = 0; h < num_codebooks; ++h) {
        const uint16_t code = segment.codes[static_cast<size_t>(t * num_codebooks + h)];
        const float* entry = weights.entries[static_cast<size_t>(h)].data() + int64_t{code} * dim;
        if (residual) {
          for (int64_t k = 0; k < dim; ++k) out[k] += entry[k];
        } else {
          std::copy_n(entry, dim, out + h * dim);
        }
      }
    }
  }

  // Adds noise to mid and side [2, hop] of frame `frame` of a source, whose level is not in them. logs: [2, bands].
  void add_noise(int source, int64_t frame, float* logs, float* row) const {
    const size_t num_bands = noise_edges.size() - 1;
    for (size_t i = 0; i < 2 * num_bands; ++i) logs[i] = std::clamp(logs[i], kMinNoiseLog, kMaxNoiseLog);
    runtime::exp(logs, static_cast<int64_t>(2 * num_bands), logs);
    for (size_t c = 0; c < 2; ++c) {
      for (size_t band = 0; band < num_bands; ++band) {
        const float amplitude = logs[c * num_bands + band];
        const auto begin = static_cast<uint64_t>(noise_edges[band]), end = static_cast<uint64_t>(noise_edges[band + 1]);
        uint64_t signs = noise_signs(static_cast<uint64_t>(source), frame, c, begin / 64);
        for (uint64_t k = begin; k < end; ++k) {
          if (k % 64 == 0) signs = noise_signs(static_cast<uint64_t>(source), frame, c, k / 64);
          row[c * static_cast<size_t>(hop) + k] += (signs >> (k % 64) & 1) != 0 ? -amplitude : amplitude;
        }
      }
    }
  }

  // Turns the frames whose network outputs are there into samples.
  void synthesise() {
    const int64_t bins = config.num_code_bins, width = config.quantizer_out();
    const auto num_noise_logs = static_cast<int64_t>(noise_edges.empty() ? 0 : 2 * (noise_edges.size() - 1));
    int64_t count = static_cast<int64_t>(sources[0].details.size()) / (2 * bins);
    if (num_noise_logs > 0) {
      count = std::min(count, static_cast<int64_t>(sources[0].noise_logs.size()) / num_noise_logs);
    }
    if (count == 0) return;
    std::vector<float> spectrum(static_cast<size_t>(count * 2 * hop));
    for (Output& output : outputs) output.spectra.assign(spectrum.size(), 0.0f);
    for (size_t i = 0; i < sources.size(); ++i) {
      Source& source = sources[i];
      Output& output = outputs[options.separate ? i : 0];
      const Model::SourceWeights& weights = model->source(static_cast<size_t>(options.sources[i]));
      weights.synthesis_basis.forward(source.values.data(), width, count, spectrum.data(), 2 * hop, pool);
      if (num_noise_logs > 0 && weights.noise_basis.out() > 0) {
        weights.noise_basis.forward_add(source.values.data(), width, count, source.noise_logs.data(), num_noise_logs,
                                        pool);
      }
      pool.parallel_for(count, 8, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) {
          float* row = spectrum.data() + t * 2 * hop;
          const float* detail = source.details.data() + t * 2 * bins;
          for (int64_t c = 0; c < 2; ++c) {
            for (int64_t k = 0; k < bins; ++k) row[c * hop + k] += detail[c * bins + k];
          }
          if (num_noise_logs > 0) {
            add_noise(options.sources[i], next_frame + t, source.noise_logs.data() + t * num_noise_logs, row);
          }
          float* sum = output.spectra.data() + t * 2 * hop;
          const float gain = source.gains[static_cast<size_t>(t)];
          for (int64_t k = 0; k < 2 * hop; ++k) sum[k] += row[k] * gain;
        }
      });
      source.values.erase(source.values.begin(), source.values.begin() + count * width);
      source.gains.erase(source.gains.begin(), source.gains.begin() + count);
      source.details.erase(source.details.begin(), source.details.begin() + count * 2 * bins);
      source.noise_logs.erase(source.noise_logs.begin(), source.noise_logs.begin() + count * num_noise_logs);
    }
    // Two channels of each output, each a sequence of overlapping frames of its own.
    const int64_t skip = next_frame == options.first_frame ? 1 : 0;  // the first frame has nothing to overlap with
    for (Output& output : outputs) {
      output.samples.assign(static_cast<size_t>(2 * count * hop), 0.0f);
      std::vector<float> block(static_cast<size_t>(hop));
      for (int64_t t = 0; t < count; ++t) {
        float* row = output.spectra.data() + t * 2 * hop;
        swap_mid_side(row, hop);
        for (int64_t c = 0; c < 2; ++c) {
          output.transform.inverse_overlap(row + c * hop, output.overlap[c].data(), block.data());
          float* out = output.samples.data() + 2 * t * hop + c;
          for (int64_t k = 0; k < hop; ++k) out[2 * k] = block[static_cast<size_t>(k)];
        }
      }
    }
    next_frame += count;
    for (size_t i = 0; i < outputs.size(); ++i) {
      const auto samples = std::span<const float>(outputs[i].samples).subspan(static_cast<size_t>(2 * skip * hop));
      if (!samples.empty()) sink(static_cast<int>(i), samples);
    }
  }
};

Decoder::Decoder(std::shared_ptr<const Model> model, DecoderOptions options, runtime::ThreadPool& pool, Sink sink)
    : state_(std::make_unique<State>(std::move(model), std::move(options), pool, std::move(sink))) {}

Decoder::~Decoder() = default;

void Decoder::push(std::span<const codec::SourceSegment> segment) {
  State& s = *state_;
  if (segment.size() != s.sources.size()) {
    throw Error(ExitCode::kInternal, "a segment of " + std::to_string(segment.size()) + " sources, expected " +
                                         std::to_string(s.sources.size()));
  }
  const auto per_frame = static_cast<size_t>(s.options.num_codebooks);
  for (const codec::SourceSegment& source : segment) {
    if (source.codes.size() != segment[0].codes.size() || source.codes.size() % per_frame != 0 ||
        source.gain >= kNumGains) {
      throw Error(ExitCode::kBadFile, "a segment has " + std::to_string(source.codes.size()) + " codes and gain " +
                                          std::to_string(source.gain) + ", which does not fit the model");
    }
    for (uint16_t code : source.codes) {
      if (code >= s.config.codebook_size) {
        throw Error(ExitCode::kBadFile, "code " + std::to_string(code) + " is beyond the model's codebooks of " +
                                            std::to_string(s.config.codebook_size));
      }
    }
  }
  const int64_t frames = static_cast<int64_t>(segment[0].codes.size() / per_frame);
  const int64_t width = s.config.quantizer_out();
  for (int64_t begin = 0; begin < frames; begin += kBlockFrames) {
    const int64_t end = std::min(frames, begin + kBlockFrames);
    for (size_t i = 0; i < s.sources.size(); ++i) {
      State::Source& source = s.sources[i];
      s.look_up(i, segment[i], begin, end);
      const float* fresh = source.values.data() + source.values.size() - static_cast<size_t>((end - begin) * width);
      source.synthesis.push(fresh, end - begin, s.pool, source.details);
      if (source.noise) source.noise->push(fresh, end - begin, s.pool, source.noise_logs);
    }
    s.synthesise();
  }
}

void Decoder::finish() {
  State& s = *state_;
  for (State::Source& source : s.sources) {
    source.synthesis.finish(s.pool, source.details);
    if (source.noise) source.noise->finish(s.pool, source.noise_logs);
  }
  s.synthesise();
}

int64_t Decoder::context_frames(const ModelConfig& config) {
  return std::max(config.synthesis.context_frames(), config.noise ? config.noise->context_frames() : 0) + 1;
}

}  // namespace vqcodec::vqvae
