#include "eval/code_excerpts.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <set>

#include "base/error.h"
#include "eval/codec_sdr.h"
#include "runtime/fft.h"
#include "vqvae/decoder.h"

namespace vqcodec::eval {

namespace {

double mean_square(const float* samples, int64_t count) {
  double energy = 0;
  for (int64_t i = 0; i < count; ++i) energy += static_cast<double>(samples[i]) * samples[i];
  return count == 0 ? 0 : energy / static_cast<double>(count);
}

bool sounds(const float* interleaved, int64_t num_samples) {
  return mean_square(interleaved, 2 * num_samples) > std::pow(10.0, kSoundingDbfs / 10);
}

double ratio_db(double signal, double error) {
  constexpr double kFloor = 1e-10;
  if (signal <= 0) return -100;
  return 10 * std::log10(std::clamp(signal / std::max(error, 1e-300), kFloor, 1 / kFloor));
}

// One source's codes through the decoder of one slot: interleaved stereo.
std::vector<float> decode_in_slot(const std::shared_ptr<const vqvae::Model>& model, const CodedSong& song, int source,
                                  int slot, runtime::ThreadPool& pool) {
  std::vector<float> decoded;
  vqvae::Decoder decoder(model, {.sources = {slot}}, pool, [&](int, std::span<const float> samples) {
    decoded.insert(decoded.end(), samples.begin(), samples.end());
  });
  for (const auto& segment : song.segments) decoder.push({&segment[static_cast<size_t>(source)], 1});
  decoder.finish();
  decoded.resize(2 * static_cast<size_t>(song.info.num_samples));
  return decoded;
}

class BandSpectrum {
 public:
  explicit BandSpectrum(int hop_samples)
      : hop_(hop_samples), transform_(hop_samples), channel_(static_cast<size_t>(2 * hop_)) {
    edges_.push_back(0);
    for (int b = 1; b <= kNumSoundBands; ++b) {
      const auto edge = std::llround(std::pow(static_cast<double>(hop_), static_cast<double>(b) / kNumSoundBands));
      edges_.push_back(std::min<int64_t>(hop_, std::max<int64_t>(edges_.back() + 1, edge)));
    }
  }

  // interleaved: [2 * hop samples] of stereo.
  void append(const float* interleaved, std::vector<float>& bands) {
    std::vector<double> power(static_cast<size_t>(hop_), 0.0);
    std::vector<float> mdct(static_cast<size_t>(hop_)), mdst(mdct.size());
    for (int64_t c = 0; c < 2; ++c) {
      for (int64_t i = 0; i < 2 * hop_; ++i) channel_[static_cast<size_t>(i)] = interleaved[2 * i + c];
      transform_.forward(channel_.data(), mdct.data(), mdst.data());
      for (size_t k = 0; k < power.size(); ++k) {
        power[k] += static_cast<double>(mdct[k]) * mdct[k] + static_cast<double>(mdst[k]) * mdst[k];
      }
    }
    double values[kNumSoundBands], mean = 0;
    for (size_t b = 0; b < kNumSoundBands; ++b) {
      double sum = 0;
      for (int64_t k = edges_[b]; k < edges_[b + 1]; ++k) sum += power[static_cast<size_t>(k)];
      values[b] = std::log10(sum / static_cast<double>(std::max<int64_t>(1, edges_[b + 1] - edges_[b])) + 1e-8);
      mean += values[b] / kNumSoundBands;
    }
    for (double value : values) bands.push_back(static_cast<float>(value - mean));
  }

 private:
  int64_t hop_;
  runtime::Mclt transform_;
  std::vector<float> channel_;
  std::vector<int64_t> edges_;  // bins, kNumSoundBands + 1
};

// Encodes and decodes one excerpt, and appends it and its frames to `data`.
void add_excerpt(const std::shared_ptr<const vqvae::Model>& model, std::span<const float> samples, Excerpt excerpt,
                 runtime::ThreadPool& pool, CodeExcerpts& data) {
  const auto num_samples = static_cast<int64_t>(samples.size() / 2);
  const int64_t hop = model->config().hop_samples;
  const CodedSong song = encode_song(model, samples, 0, pool);
  const std::vector<std::vector<float>> slots = decode_sources(model, song, pool);
  const std::vector<float> decoded = sum_of(slots);
  for (int slot = 0; slot < data.num_slots; ++slot) {
    const std::vector<float> swapped = slot == excerpt.source ? slots[static_cast<size_t>(slot)]
                                                              : decode_in_slot(model, song, excerpt.source, slot, pool);
    double signal = 0, product = 0, square = 0, error = 0;
    for (size_t i = 0; i < samples.size(); ++i) {
      const double r = samples[i], e = swapped[i];
      signal += r * r;
      product += r * e;
      square += e * e;
      error += (r - e) * (r - e);
    }
    const double target = product * product / signal;  // the part of the estimate that is a scaled reference
    excerpt.sdr_db.push_back(ratio_db(signal, error));
    excerpt.si_sdr_db.push_back(ratio_db(target, square - target));
  }

  BandSpectrum spectrum(model->config().hop_samples);
  excerpt.first_row = data.num_rows();
  const auto index = static_cast<int>(data.excerpts.size());
  const auto codebooks = static_cast<size_t>(data.num_codebooks);
  int64_t frame = 0;
  for (const auto& segment : song.segments) {
    const auto num_frames = static_cast<int64_t>(segment[0].codes.size() / codebooks);
    for (int64_t t = 0; t < num_frames; ++t, ++frame) {
      const int64_t begin = (frame - 1) * hop, end = (frame + 1) * hop;  // frame 0 begins one hop before the song
      if (begin < 0 || end > num_samples || !sounds(samples.data() + 2 * begin, 2 * hop)) continue;
      data.excerpt_of_row.push_back(index);
      for (size_t slot = 0; slot < segment.size(); ++slot) {
        const auto codes = segment[slot].codes.begin() + static_cast<std::ptrdiff_t>(t) * data.num_codebooks;
        data.codes.insert(data.codes.end(), codes, codes + data.num_codebooks);
        data.gains.push_back(segment[slot].gain);
        data.slot_energy.push_back(static_cast<float>(mean_square(slots[slot].data() + 2 * begin, 4 * hop)));
      }
      spectrum.append(samples.data() + 2 * begin, data.original_bands);
      spectrum.append(decoded.data() + 2 * begin, data.decoded_bands);
    }
  }
  excerpt.num_rows = data.num_rows() - excerpt.first_row;
  data.excerpts.push_back(std::move(excerpt));
}

uint64_t below(std::mt19937_64& random, uint64_t count) { return random() % count; }  // the bias is under 2^-40

}  // namespace

CodeExcerpts collect_excerpts(const std::shared_ptr<const vqvae::Model>& model, const std::filesystem::path& root,
                              const ExcerptOptions& options, runtime::ThreadPool& pool) {
  const vqvae::ModelConfig& config = model->config();
  const std::vector<TrackFolder> tracks = list_tracks(root, config.sources);
  CodeExcerpts data;
  data.num_slots = config.num_sources();
  data.num_codebooks = config.num_codebooks;
  data.num_tracks = static_cast<int>(tracks.size());
  const auto samples_of = [&](double seconds) {
    return static_cast<int64_t>(std::llround(seconds * config.sample_rate_hz));
  };
  const int64_t length = samples_of(options.excerpt_seconds), step = length + samples_of(options.gap_seconds);
  const auto quota = static_cast<size_t>((options.max_excerpts + data.num_tracks - 1) / data.num_tracks);
  for (size_t t = 0; t < tracks.size(); ++t) {
    const Track track = read_track(tracks[t], config.sources,
                                   {.sample_rate_hz = config.sample_rate_hz, .max_seconds = options.max_seconds});
    for (const std::string& remark : track.remarks) data.left_out.push_back({track.name, "", remark});
    for (size_t s = 0; s < track.stems.size(); ++s) {
      const std::vector<float>& stem = track.stems[s];
      if (stem.empty()) continue;  // a remark has said so
      std::vector<int64_t> begins;
      for (int64_t begin = 0; begin + samples_of(options.min_seconds) <= track.num_frames; begin += step) {
        if (sounds(stem.data() + 2 * begin, std::min(length, track.num_frames - begin))) begins.push_back(begin);
      }
      if (begins.empty()) {
        data.left_out.push_back({track.name, config.sources[s],
                                 track.num_frames < samples_of(options.min_seconds)
                                     ? "shorter than an excerpt may be, 1 s"
                                     : "no excerpt sounds above -50 dBFS"});
      }
      const size_t taken = std::min(quota, begins.size());
      for (size_t i = 0; i < taken; ++i) {
        const int64_t begin = begins[(2 * i + 1) * begins.size() / (2 * taken)];
        const auto count = static_cast<size_t>(2 * std::min(length, track.num_frames - begin));
        Excerpt excerpt;
        excerpt.track = track.name;
        excerpt.track_index = static_cast<int>(t);
        excerpt.source = static_cast<int>(s);
        excerpt.begin_seconds = static_cast<double>(begin) / config.sample_rate_hz;
        add_excerpt(model, std::span(stem).subspan(static_cast<size_t>(2 * begin), count), std::move(excerpt), pool,
                    data);
        if (options.on_progress) {
          const double of_stem = static_cast<double>(i + 1) / static_cast<double>(taken);
          const double of_track = (static_cast<double>(s) + of_stem) / static_cast<double>(track.stems.size());
          options.on_progress((static_cast<double>(t) + of_track) / static_cast<double>(tracks.size()));
        }
      }
    }
  }
  std::set<int> sounding;
  for (int64_t row = 0; row < data.num_rows(); ++row) sounding.insert(data.source_of_row(row));
  if (sounding.size() < 2) {
    std::string names;
    for (int source : sounding) names += config.sources[static_cast<size_t>(source)];
    std::string why;
    for (const LeftOutExcerpt& entry : data.left_out) {
      why += "; " + entry.track + (entry.source.empty() ? "" : ", " + entry.source) + ": " + entry.why;
      if (why.size() > 400) break;
    }
    throw Error(ExitCode::kBadFile, root.string() + ": " + (names.empty() ? "no source" : "only " + names) +
                                        " sounds above -50 dBFS, and telling sources apart needs two or more" + why);
  }
  return data;
}

std::vector<float> code_vectors(const vqvae::Model& model, const CodeExcerpts& data, const std::vector<int64_t>& rows,
                                VectorKind kind, int codebook, uint64_t seed, int64_t& num_dims) {
  std::vector<float> vectors;
  if (kind == VectorKind::kOriginalBands || kind == VectorKind::kDecodedBands) {
    const std::vector<float>& bands = kind == VectorKind::kOriginalBands ? data.original_bands : data.decoded_bands;
    num_dims = kNumSoundBands;
    for (int64_t row : rows) {
      const auto first = bands.begin() + static_cast<std::ptrdiff_t>(row) * kNumSoundBands;
      vectors.insert(vectors.end(), first, first + kNumSoundBands);
    }
    return vectors;
  }
  const vqvae::ModelConfig& config = model.config();
  const auto dim = static_cast<size_t>(config.code_dim), codebooks = static_cast<size_t>(data.num_codebooks);
  const bool summed = codebook >= 0 || config.quantizer_kind == vqvae::QuantizerKind::kResidual;
  const size_t width = summed ? dim : dim * codebooks;  // of one slot
  const auto slots = static_cast<size_t>(data.num_slots);
  const bool all_slots = kind == VectorKind::kAllSlots || kind == VectorKind::kAllSlotMagnitudes;
  num_dims = static_cast<int64_t>(all_slots ? slots * width : width);
  vectors.assign(rows.size() * static_cast<size_t>(num_dims), 0.0f);
  std::mt19937_64 random(seed);
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto row = static_cast<size_t>(rows[i]);
    float* out = vectors.data() + i * static_cast<size_t>(num_dims);
    const auto own = static_cast<size_t>(data.source_of_row(rows[i]));
    for (size_t slot = 0; slot < slots; ++slot) {
      if (!all_slots && slot != own) continue;
      if (kind != VectorKind::kTablesAlone && data.gains[row * slots + slot] == 0) {
        if (all_slots) out += width;
        continue;
      }
      for (size_t h = 0; h < codebooks; ++h) {
        if (codebook >= 0 && h != static_cast<size_t>(codebook)) continue;
        const size_t code = kind == VectorKind::kTablesAlone
                                ? below(random, static_cast<uint64_t>(config.codebook_size))
                                : data.codes[(row * slots + slot) * codebooks + h];
        const float* entry = model.source(slot).entries[h].data() + code * dim;
        float* to = summed ? out : out + h * dim;
        for (size_t k = 0; k < dim; ++k) to[k] += entry[k];
      }
      if (all_slots) out += width;
    }
  }
  if (kind == VectorKind::kAllSlotMagnitudes) {
    for (float& value : vectors) value = std::abs(value);
  }
  return vectors;
}

std::vector<int64_t> sample_rows(const CodeExcerpts& data, int64_t max_rows, uint64_t seed) {
  std::vector<std::vector<int64_t>> of_source(static_cast<size_t>(data.num_slots));
  for (int64_t row = 0; row < data.num_rows(); ++row) {
    of_source[static_cast<size_t>(data.source_of_row(row))].push_back(row);
  }
  const auto sounding = std::ranges::count_if(of_source, [](const auto& rows) { return !rows.empty(); });
  const auto share = static_cast<size_t>(max_rows / std::max<int64_t>(1, sounding));
  std::mt19937_64 random(seed);
  std::vector<int64_t> rows;
  for (auto& all : of_source) {
    const size_t taken = std::min(share, all.size());
    for (size_t i = 0; i < taken; ++i) std::swap(all[i], all[i + below(random, all.size() - i)]);
    rows.insert(rows.end(), all.begin(), all.begin() + static_cast<std::ptrdiff_t>(taken));
  }
  std::ranges::sort(rows);
  return rows;
}

SlotAccuracy slot_accuracy(const CodeExcerpts& data) {
  const auto slots = static_cast<size_t>(data.num_slots);
  const std::vector<double> zeros(slots, 0.0);
  SlotAccuracy result{0, {slots, zeros}, {slots, zeros}};
  std::vector<double> counts(slots, 0.0);
  for (int64_t row = 0; row < data.num_rows(); ++row) {
    const auto source = static_cast<size_t>(data.source_of_row(row));
    const float* energy = data.slot_energy.data() + row * data.num_slots;
    double sum = 0;
    for (size_t slot = 0; slot < slots; ++slot) sum += static_cast<double>(energy[slot]);
    counts[source] += 1;
    if (sum <= 0) continue;  // nothing is decoded: no slot is right
    const auto loudest = static_cast<size_t>(std::max_element(energy, energy + slots) - energy);
    result.loudest[source][loudest] += 1;
    if (loudest == source) result.accuracy += 1 / static_cast<double>(data.num_rows());
    for (size_t slot = 0; slot < slots; ++slot) {
      result.energy_share[source][slot] += static_cast<double>(energy[slot]) / sum;
    }
  }
  for (size_t source = 0; source < slots; ++source) {
    for (auto* matrix : {&result.loudest, &result.energy_share}) {
      for (double& value : (*matrix)[source]) {
        value = counts[source] > 0 ? value / counts[source] : std::numeric_limits<double>::quiet_NaN();
      }
    }
  }
  return result;
}

std::vector<std::vector<double>> swapped_sdr(const CodeExcerpts& data, bool scale_invariant) {
  const auto slots = static_cast<size_t>(data.num_slots);
  std::vector<std::vector<double>> result(slots, std::vector<double>(slots));
  for (size_t source = 0; source < slots; ++source) {
    for (size_t slot = 0; slot < slots; ++slot) {
      std::vector<double> values;
      for (const Excerpt& excerpt : data.excerpts) {
        if (static_cast<size_t>(excerpt.source) != source) continue;
        values.push_back(scale_invariant ? excerpt.si_sdr_db[slot] : excerpt.sdr_db[slot]);
      }
      result[source][slot] = median_of_numbers(values);
    }
  }
  return result;
}

std::vector<std::vector<CodeUse>> codebook_use(const vqvae::Model& model, const CodeExcerpts& data) {
  const auto slots = static_cast<size_t>(data.num_slots), codebooks = static_cast<size_t>(data.num_codebooks);
  std::vector<std::vector<CodeUse>> result(slots);
  for (size_t source = 0; source < slots; ++source) {
    for (size_t h = 0; h < codebooks; ++h) {
      std::vector<uint16_t> codes;
      for (int64_t row = 0; row < data.num_rows(); ++row) {
        const size_t at = static_cast<size_t>(row) * slots + source;
        if (static_cast<size_t>(data.source_of_row(row)) == source && data.gains[at] > 0) {
          codes.push_back(data.codes[at * codebooks + h]);
        }
      }
      result[source].push_back(code_use(codes, model.config().codebook_size));
    }
  }
  return result;
}

bool has_tables_of_its_own(const vqvae::Model& model) {
  for (int s = 1; s < model.config().num_sources(); ++s) {
    if (model.source(static_cast<size_t>(s)).entries != model.source(0).entries) return true;
  }
  return false;
}

}  // namespace vqcodec::eval
