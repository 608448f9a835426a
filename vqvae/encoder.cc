#include "vqvae/encoder.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <variant>

#include "base/error.h"
#include "runtime/ops.h"
#include "vqvae/noise.h"
#include "vqvae/spectrum.h"

namespace vqcodec::vqvae {

namespace {

constexpr int64_t kBlockFrames = 128;  // frames that go through the network at a time
constexpr float kSampleLimit = 64;
constexpr float kLogFloor = 1e-8f;  // as in vqvae/train/network.cc
constexpr float kCompressionFloor = 1e-4f;

// Rows of floats that are appended at the end and taken from the front.
class RowQueue {
 public:
  explicit RowQueue(int64_t width) : width_(width) {}
  std::vector<float>& data() { return rows_; }
  const float* row(int64_t i) const { return rows_.data() + i * width_; }
  int64_t size() const { return static_cast<int64_t>(rows_.size()) / width_; }
  float* append(int64_t count) {
    rows_.resize(rows_.size() + static_cast<size_t>(count * width_));
    return rows_.data() + rows_.size() - count * width_;
  }
  void drop(int64_t count) { rows_.erase(rows_.begin(), rows_.begin() + count * width_); }

 private:
  int64_t width_;
  std::vector<float> rows_;
};

}  // namespace

struct Encoder::State {
  using Network = std::variant<StackStream, UNetStream>;
  std::shared_ptr<const Model> model;
  const ModelConfig& config;
  EncoderOptions options;
  runtime::ThreadPool& pool;
  Sink sink;
  int64_t hop, num_bands;
  size_t num_sources;
  bool masks;
  std::vector<int> noise_edges;
  int64_t num_noise_bands;

  std::vector<float> samples;  // interleaved, from the start of the next frame
  int64_t num_samples = 0;
  int64_t num_frames = 0;  // transformed so far
  RowQueue spectra;        // MDCT of left, then right, of frames whose masks have not come yet
  Network encoder;

  struct Source {
    RowQueue estimate;       // of the segment under way: MDCT of left, then right
    std::vector<int> gains;  // of segments whose codes are not all out
    std::vector<StackStream> analysis;
    RowQueue network_latents;  // outputs of the analysis network that wait for quantization
    RowQueue linear_latents;   // outputs of the linear path, ahead of the network's
    int64_t num_summed = 0;    // rows of network_latents that have the linear path's added
  };
  std::vector<Source> sources;

  State(std::shared_ptr<const Model> m, EncoderOptions o, runtime::ThreadPool& p, Sink s)
      : model(std::move(m)),
        config(model->config()),
        options(o),
        pool(p),
        sink(std::move(s)),
        hop(config.hop_samples),
        num_bands(config.num_bands()),
        num_sources(static_cast<size_t>(config.num_sources())),
        masks(config.encoder_kind == EncoderKind::kMasks),
        noise_edges(config.noise_band_edges()),
        num_noise_bands(config.num_noise_bands()),
        spectra(2 * hop),
        encoder(config.unet ? Network(UNetStream(model->unet())) : Network(StackStream(model->encoder(), 0))) {
    if (options.num_codebooks == 0) options.num_codebooks = config.num_codebooks;
    if (options.num_codebooks < 1 || options.num_codebooks > config.num_codebooks) {
      throw Error(ExitCode::kUsage, "quality " + std::to_string(options.num_codebooks) + ": this model has " +
                                        std::to_string(config.num_codebooks) + " codebooks; expected 1 to " +
                                        std::to_string(config.num_codebooks));
    }
    if (options.segment_frames < 1 || options.segment_frames > 16384) {
      throw Error(ExitCode::kUsage,
                  "segments of " + std::to_string(options.segment_frames) + " frames: expected 1 to 16384");
    }
    for (size_t i = 0; i < num_sources; ++i) {
      Source source{RowQueue(2 * hop), {}, {}, RowQueue(config.quantizer_in()), RowQueue(config.quantizer_in()), 0};
      if (masks) source.analysis.emplace_back(model->analysis(), static_cast<int>(i));
      sources.push_back(std::move(source));
    }
    samples.assign(static_cast<size_t>(2 * hop), 0.0f);  // the first frame begins one hop before the song
  }

  // Transforms and masks `count` frames that are complete in `samples`.
  void process_frames(int64_t count) {
    if (count == 0) return;
    const int64_t width = config.encoder_in();
    std::vector<float> features(static_cast<size_t>(count * width));
    float* rows = spectra.append(count);
    const int64_t grain = (count + pool.size() - 1) / pool.size();  // one transform a thread: its tables take time
    pool.parallel_for(count, grain, [&](int64_t begin, int64_t end) {
      runtime::Mclt transform(static_cast<int>(hop));
      std::vector<float> channel(static_cast<size_t>(2 * hop)), mdst(static_cast<size_t>(2 * hop));
      for (int64_t t = begin; t < end; ++t) {
        for (int64_t c = 0; c < 2; ++c) {
          const float* from = samples.data() + 2 * t * hop + c;
          for (int64_t i = 0; i < 2 * hop; ++i) channel[static_cast<size_t>(i)] = from[2 * i];
          transform.forward(channel.data(), rows + t * 2 * hop + c * hop, mdst.data() + c * hop);
        }
        const float* mdct = rows + t * 2 * hop;
        mixture_features(mdct, mdst.data(), features.data() + t * width);
        if (masks) continue;
        std::copy_n(mdct, 2 * hop, channel.data());
        swap_mid_side(channel.data(), hop);
        analysis_features(channel.data(), features.data() + t * width + 4 * num_bands);
      }
    });
    samples.erase(samples.begin(), samples.begin() + 2 * count * hop);
    num_frames += count;
    std::vector<float> outputs;
    std::visit([&](auto& network) { network.push(features.data(), count, pool, outputs); }, encoder);
    take_encoder_outputs(outputs);
  }

  // mdct, mdst: left, then right, [2N]. out: [4 * num_bands], log power of left, right, mid, side.
  void mixture_features(const float* mdct, const float* mdst, float* out) const {
    const int64_t fine = config.num_fine_bins, group = config.coarse_bins;
    std::vector<float> power(static_cast<size_t>(hop));
    for (int64_t kind = 0; kind < 4; ++kind) {
      const float right_sign = kind == 2 ? 1.0f : -1.0f;
      const float* c = mdct + (kind == 1 ? hop : 0);
      const float* s = mdst + (kind == 1 ? hop : 0);
      for (int64_t k = 0; k < hop; ++k) {
        float re = c[k], im = s[k], scale = 1.0f;
        if (kind >= 2) {
          re += right_sign * mdct[hop + k];
          im += right_sign * mdst[hop + k];
          scale = 0.5f;
        }
        power[static_cast<size_t>(k)] = (re * re + im * im) * scale;
      }
      float* bands = out + kind * num_bands;
      std::copy_n(power.begin(), fine, bands);
      for (int64_t b = fine; b < num_bands; ++b) {
        float sum = 0;
        for (int64_t k = 0; k < group; ++k) sum += power[static_cast<size_t>(fine + (b - fine) * group + k)];
        bands[b] = sum / static_cast<float>(group);
      }
      for (int64_t b = 0; b < num_bands; ++b) bands[b] += kLogFloor;
      runtime::log10(bands, num_bands, bands);
      for (int64_t b = 0; b < num_bands; ++b) bands[b] = bands[b] * 0.5f + 2.0f;
    }
  }

  // outputs: rows of mask logits, or of latents of all sources for a direct encoder.
  void take_encoder_outputs(const std::vector<float>& outputs) {
    const int64_t width = config.encoder_out();
    int64_t count = static_cast<int64_t>(outputs.size()) / width;
    const float* rows = outputs.data();
    while (count > 0) {
      const int64_t done = masks ? sources[0].estimate.size() : sources[0].network_latents.size();
      const int64_t take = std::min<int64_t>(count, options.segment_frames - done);
      if (masks) {
        apply_masks(rows, take);
        spectra.drop(take);
        if (sources[0].estimate.size() == options.segment_frames) analyse_segment();
      } else {
        const int64_t in = config.quantizer_in();
        for (size_t s = 0; s < num_sources; ++s) {
          float* target = sources[s].network_latents.append(take);
          for (int64_t t = 0; t < take; ++t) {
            std::copy_n(rows + t * width + static_cast<int64_t>(s) * in, in, target + t * in);
          }
        }
        spectra.drop(take);
        if (sources[0].network_latents.size() == options.segment_frames) emit_direct_segment();
      }
      rows += take * width;
      count -= take;
    }
  }

  void apply_masks(const float* logits, int64_t count) {
    const int64_t width = config.encoder_out(), fine = config.num_fine_bins, group = config.coarse_bins;
    const int64_t per_source = 2 * num_bands;
    std::vector<float*> targets;
    for (Source& source : sources) targets.push_back(source.estimate.append(count));
    pool.parallel_for(count, 8, [&](int64_t begin, int64_t end) {
      std::vector<float> masks_row(static_cast<size_t>(width));
      for (int64_t t = begin; t < end; ++t) {
        runtime::softmax_groups(logits + t * width, per_source, static_cast<int64_t>(num_sources), per_source,
                                masks_row.data());
        const float* mixture = spectra.row(t);
        for (size_t s = 0; s < num_sources; ++s) {
          float* out = targets[s] + t * 2 * hop;
          for (int64_t c = 0; c < 2; ++c) {
            const float* mask = masks_row.data() + static_cast<int64_t>(s) * per_source + c * num_bands;
            for (int64_t k = 0; k < fine; ++k) out[c * hop + k] = mask[k] * mixture[c * hop + k];
            for (int64_t k = fine; k < hop; ++k)
              out[c * hop + k] = mask[fine + (k - fine) / group] * mixture[c * hop + k];
          }
        }
      }
    });
  }

  // The estimates of a whole segment are there: normalise, analyse, and emit the codes of segments that are complete.
  void analyse_segment() {
    const int64_t count = sources[0].estimate.size();
    for (size_t s = 0; s < num_sources; ++s) {
      Source& source = sources[s];
      std::vector<float>& rows = source.estimate.data();
      double energy = 0;
      for (float value : rows) energy += static_cast<double>(value) * value;
      const int gain = gain_index(std::sqrt(energy / static_cast<double>(rows.size())));
      source.gains.push_back(gain);
      const float inverse = gain > 0 ? 1.0f / gain_scale(gain) : 0.0f;
      std::vector<float> features(static_cast<size_t>(count * 2 * config.num_code_bins));
      pool.parallel_for(count, 8, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) {
          float* row = rows.data() + t * 2 * hop;
          for (int64_t k = 0; k < 2 * hop; ++k) row[k] *= inverse;
          swap_mid_side(row, hop);
          analysis_features(row, features.data() + t * 2 * config.num_code_bins);
        }
      });
      const int64_t dim = config.quantizer_in();
      float* linear = source.linear_latents.append(count);
      if (model->source(s).analysis_basis.out() > 0) {
        model->source(s).analysis_basis.forward(rows.data(), 2 * hop, count, linear, dim, pool);
      } else {
        std::fill_n(linear, count * dim, 0.0f);
      }
      if (model->source(s).envelope_basis.out() > 0) {
        std::vector<float> levels(static_cast<size_t>(count * 2 * num_noise_bands));
        pool.parallel_for(count, 8, [&](int64_t begin, int64_t end) {
          for (int64_t t = begin; t < end; ++t) {
            band_levels(rows.data() + t * 2 * hop, levels.data() + t * 2 * num_noise_bands);
          }
        });
        model->source(s).envelope_basis.forward_add(levels.data(), 2 * num_noise_bands, count, linear, dim, pool);
      }
      source.estimate.drop(count);
      source.analysis[0].push(features.data(), count, pool, source.network_latents.data());
      add_linear(source);
    }
    emit_segments(false);
  }

  void analysis_features(const float* normalised, float* out) const {
    const int64_t bins = config.num_code_bins;
    for (int64_t c = 0; c < 2; ++c) {
      for (int64_t k = 0; k < bins; ++k) {
        const float x = normalised[c * hop + k];
        out[c * bins + k] = x / std::sqrt(std::sqrt(x * x + kCompressionFloor));
      }
    }
  }

  // Levels in the bands of noise, natural logarithms of amplitudes: mid and side [2N] -> [2, bands].
  void band_levels(const float* normalised, float* out) const {
    for (int64_t c = 0; c < 2; ++c) {
      for (int64_t band = 0; band < num_noise_bands; ++band) {
        const int begin = noise_edges[static_cast<size_t>(band)], end = noise_edges[static_cast<size_t>(band) + 1];
        float sum = 0;
        for (int k = begin; k < end; ++k) sum += normalised[c * hop + k] * normalised[c * hop + k];
        out[c * num_noise_bands + band] = sum / static_cast<float>(end - begin) + kLevelFloor;
      }
    }
    runtime::log(out, 2 * num_noise_bands, out);
    for (int64_t i = 0; i < 2 * num_noise_bands; ++i) out[i] *= 0.5f;
  }

  // Moves linear latents onto those of the network that have come.
  void add_linear(Source& source) {
    const int64_t dim = config.quantizer_in();
    const int64_t rows = source.network_latents.size();
    const int64_t fresh = rows - source.num_summed;
    float* latents = source.network_latents.data().data() + source.num_summed * dim;
    const float* linear = source.linear_latents.data().data();
    for (int64_t i = 0; i < fresh * dim; ++i) latents[i] += linear[i];
    source.linear_latents.drop(fresh);
    source.num_summed = rows;
  }

  void emit_segments(bool at_end) {
    for (;;) {
      const int64_t ready = sources[0].network_latents.size();
      if (ready == 0 || (ready < options.segment_frames && !at_end)) return;
      const int64_t count = std::min<int64_t>(ready, options.segment_frames);
      std::vector<codec::SourceSegment> segment;
      for (size_t s = 0; s < num_sources; ++s) {
        Source& source = sources[s];
        segment.push_back(quantize(s, source.network_latents.data().data(), count, source.gains.front()));
        source.gains.erase(source.gains.begin());
        source.network_latents.drop(count);
        source.num_summed -= count;
      }
      sink(segment);
    }
  }

  void emit_direct_segment() {
    const int64_t count = sources[0].network_latents.size();
    std::vector<codec::SourceSegment> segment;
    for (size_t s = 0; s < num_sources; ++s) {
      segment.push_back(quantize(s, sources[s].network_latents.data().data(), count, kUnitGain));
      sources[s].network_latents.drop(count);
    }
    sink(segment);
  }

  codec::SourceSegment quantize(size_t s, float* latents, int64_t count, int gain) {
    const int64_t kept = options.num_codebooks, in = config.quantizer_in();
    codec::SourceSegment segment;
    segment.gain = static_cast<uint16_t>(gain);
    segment.codes.assign(static_cast<size_t>(count * kept), 0);
    if (gain == 0) return segment;
    const Model::SourceWeights& weights = model->source(s);
    if (config.quantizer_kind == QuantizerKind::kGumbel) {
      for (int64_t h = 0; h < kept; ++h) {
        runtime::argmax(latents + h * config.codebook_size, in, count, config.codebook_size, segment.codes.data() + h,
                        kept);
      }
      return segment;
    }
    for (int64_t h = 0; h < kept; ++h) {
      uint16_t* codes = segment.codes.data() + h;
      weights.codebooks[static_cast<size_t>(h)].nearest(latents, in, count, codes, kept, pool);
      if (h + 1 == kept) break;
      for (int64_t t = 0; t < count; ++t) {
        const float* entry = weights.entries[static_cast<size_t>(h)].data() + codes[t * kept] * in;
        float* rest = latents + t * in;
        for (int64_t k = 0; k < in; ++k) rest[k] -= entry[k];
      }
    }
    return segment;
  }
};

Encoder::Encoder(std::shared_ptr<const Model> model, EncoderOptions options, runtime::ThreadPool& pool, Sink sink)
    : state_(std::make_unique<State>(std::move(model), options, pool, std::move(sink))) {}

Encoder::~Encoder() = default;

void Encoder::push(std::span<const float> interleaved) {
  State& s = *state_;
  s.num_samples += static_cast<int64_t>(interleaved.size() / 2);
  const int64_t block_values = 2 * kBlockFrames * s.hop;
  while (!interleaved.empty()) {
    const size_t take = std::min(interleaved.size(), static_cast<size_t>(block_values));
    for (float value : interleaved.first(take)) {
      s.samples.push_back(std::isfinite(value) ? std::clamp(value, -kSampleLimit, kSampleLimit) : 0.0f);
    }
    interleaved = interleaved.subspan(take);
    // Whole blocks only, so that the network runs on many rows at a time.
    while (static_cast<int64_t>(s.samples.size()) >= block_values + 2 * s.hop) s.process_frames(kBlockFrames);
  }
}

void Encoder::finish() {
  State& s = *state_;
  if (s.num_samples == 0) return;
  const int64_t num_frames = (s.num_samples + s.hop - 1) / s.hop + 1;
  const int64_t rest = num_frames - s.num_frames;
  s.samples.resize(static_cast<size_t>(2 * (rest + 1) * s.hop), 0.0f);
  for (int64_t done = 0; done < rest; done += kBlockFrames) s.process_frames(std::min(kBlockFrames, rest - done));
  std::vector<float> outputs;
  std::visit([&](auto& network) { network.finish(s.pool, outputs); }, s.encoder);
  s.take_encoder_outputs(outputs);
  if (!s.masks) {
    if (s.sources[0].network_latents.size() > 0) s.emit_direct_segment();
    return;
  }
  if (s.sources[0].estimate.size() > 0) s.analyse_segment();
  for (State::Source& source : s.sources) {
    source.analysis[0].finish(s.pool, source.network_latents.data());
    s.add_linear(source);
  }
  s.emit_segments(true);
}

codec::StreamInfo Encoder::stream_info() const {
  const State& s = *state_;
  codec::StreamInfo info;
  info.sample_rate_hz = static_cast<uint32_t>(s.config.sample_rate_hz);
  info.num_channels = 2;
  info.hop_samples = static_cast<uint32_t>(s.config.hop_samples);
  info.sources = s.config.sources;
  info.num_codebooks = static_cast<uint32_t>(s.options.num_codebooks);
  info.codebook_size = static_cast<uint32_t>(s.config.codebook_size);
  info.segment_frames = static_cast<uint32_t>(s.options.segment_frames);
  info.model_id = s.model->id();
  info.num_samples = static_cast<uint64_t>(s.num_samples);
  return info;
}

int64_t Encoder::num_samples() const { return state_->num_samples; }

}  // namespace vqcodec::vqvae
