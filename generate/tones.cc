#include "generate/tones.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"
#include "runtime/ops.h"
#include "runtime/thread_pool.h"
#include "runtime/turns.h"

namespace vqcodec::generate {

namespace {

constexpr double kTopHz = 1400;
constexpr double kRidge = 0.01;                                               // of the mean of a fit's diagonal
constexpr std::array<double, Tones::kMaxPast> kFrameWeights = {1, 0.7, 0.5};  // the latest first
constexpr double kUsualShare =
    0.5;  // of the usual amplitudes in the wanted ones: keeps single harmonics from taking over
constexpr float kRefinement = 1.5F;  // strength from the second codebook of spectra on
constexpr float kSilence = 1e-9F;    // energy, of a level of 1
constexpr size_t kNumLevels = 128;
constexpr int kWidthStep = 16;  // bins: low pitches, which need few of them, are not charged for all

// Of 2^64.
uint64_t turns_of(double turns) {
  return static_cast<uint64_t>(std::llround((turns - std::floor(turns)) * 0x1p53)) << 11;
}

// Lower triangle L of L L^T = a, in place; a: [n, n], positive definite.
void factorize(std::vector<double>& a, int n) {
  const auto at = [&](int i, int j) -> double& { return a[static_cast<size_t>(i * n + j)]; };
  for (int j = 0; j < n; ++j) {
    for (int i = j; i < n; ++i) {
      double sum = at(i, j);
      for (int k = 0; k < j; ++k) sum -= at(i, k) * at(j, k);
      at(i, j) = i == j ? std::sqrt(sum) : sum / at(j, j);
    }
  }
}

// x of L L^T x = b, in place.
void solve(const std::vector<double>& factor, int n, double* b) {
  const auto at = [&](int i, int j) { return factor[static_cast<size_t>(i * n + j)]; };
  for (int i = 0; i < n; ++i) {
    for (int k = 0; k < i; ++k) b[i] -= at(i, k) * b[k];
    b[i] /= at(i, i);
  }
  for (int i = n - 1; i >= 0; --i) {
    for (int k = i + 1; k < n; ++k) b[i] -= at(k, i) * b[k];
    b[i] /= at(i, i);
  }
}

// A cosine and a sine, (a, b), as they are seen from a frame that begins later by the angle of `cosine` and `sine`.
void turn(double& a, double& b, double cosine, double sine) {
  const double turned = a * cosine + b * sine;
  b = b * cosine - a * sine;
  a = turned;
}

// The MDCT (runtime/fft.h) of the first bins, window included: [2 hops, bins]. Its cosines are those of whole parts of 8
// hops to a turn.
std::vector<double> make_transform(uint64_t hop, uint64_t num_bins) {
  const uint64_t parts = 8 * hop;
  std::vector<double> cosine_of_part, transform;
  for (uint64_t i = 0; i < parts; ++i)
    cosine_of_part.push_back(runtime::sine_cosine(i * (~uint64_t{0} / parts + 1)).cosine);
  const double scale = std::sqrt(2.0 / static_cast<double>(hop));
  for (uint64_t i = 0; i < 2 * hop; ++i) {
    const double window = cosine_of_part[(2 * i + 1 + 6 * hop) % parts];  // a sine: a quarter of a turn less
    for (uint64_t k = 0; k < num_bins; ++k)
      transform.push_back(scale * window * cosine_of_part[(2 * i + 1 + hop) * (2 * k + 1) % parts]);
  }
  return transform;
}

}  // namespace

bool Tones::fits(const vqvae::ModelConfig& config) { return config.quantizer_kind == vqvae::QuantizerKind::kResidual; }

Tones::Tones(const vqvae::Model& model, int source, int num_codebooks, std::span<const double> pitches_hz) {
  const vqvae::ModelConfig& config = model.config();
  if (!fits(config) || num_codebooks < 1 || num_codebooks > config.num_codebooks || source < 0 ||
      source >= config.num_sources()) {
    throw Error(ExitCode::kInternal, "tones of codes that are not the sums of residual codebooks");
  }
  const int64_t hop = config.hop_samples, size = config.codebook_size;
  codebook_size_ = config.codebook_size;
  const double bins_per_hz = 2 * static_cast<double>(hop) / config.sample_rate_hz;
  num_bins_ = static_cast<int>(std::clamp<int64_t>(std::llround(kTopHz * bins_per_hz), 1, hop));
  const auto& weights = model.source(static_cast<size_t>(source));
  const auto width = static_cast<size_t>(num_bins_);
  std::vector<float> whole(static_cast<size_t>(size * 2 * hop));
  for (int h = 0; h < num_codebooks; ++h) {
    Codebook codebook;
    codebook.has_spectra = h != config.envelope_codebook;
    weights.synthesis_basis.forward(weights.entries[static_cast<size_t>(h)].data(), config.code_dim, size, whole.data(),
                                    2 * hop, alone_);
    for (int64_t i = 0; i < size; ++i) {
      const float* const row = whole.data() + i * 2 * hop;
      codebook.spectra.insert(codebook.spectra.end(), row, row + num_bins_);
      float energy = kSilence;
      for (size_t k = 0; k < width; ++k) energy += row[k] * row[k];
      int exponent = 0;
      std::frexp(energy, &exponent);
      codebook.levels.push_back(static_cast<uint8_t>(std::clamp(exponent + 64, 0, static_cast<int>(kNumLevels) - 1)));
    }
    codebooks_.push_back(std::move(codebook));
  }
  const std::vector<double> transform = make_transform(static_cast<uint64_t>(hop), width);
  for (const double hz : pitches_hz) {
    if (!(hz >= 20 && hz <= config.sample_rate_hz / 8.0))
      throw Error(ExitCode::kInternal, "a tone of " + std::to_string(hz) + " Hz");
    pitches_.push_back(make_pitch(hz, config.sample_rate_hz, static_cast<int>(hop), transform));
  }
  for (Codebook& codebook : codebooks_) {
    if (!codebook.has_spectra) continue;
    codebook.products.resize((width + kWidthStep - 1) / kWidthStep);
    for (const Pitch& pitch : pitches_) {
      runtime::Linear& product = codebook.products[pitch.width];
      if (product.in() > 0) continue;
      const size_t num_bins = std::min(width, (pitch.width + 1) * kWidthStep);
      std::vector<float> first;
      for (size_t i = 0; i < static_cast<size_t>(size); ++i) {
        const auto row = codebook.spectra.begin() + static_cast<long>(i * width);
        first.insert(first.end(), row, row + static_cast<long>(num_bins));
      }
      product = runtime::Linear(static_cast<int64_t>(num_bins), size, first, {});
    }
  }
}

const Tones::Codebook& Tones::first_of_spectra() const {
  return codebooks_[codebooks_[0].has_spectra || codebooks_.size() == 1 ? 0 : 1];
}

Tones::Pitch Tones::make_pitch(double hz, int sample_rate_hz, int hop, std::span<const double> transform) const {
  Pitch pitch;
  const double bins_per_hz = 2.0 * hop / sample_rate_hz;
  pitch.num_harmonics = std::clamp(static_cast<int>(kTopHz / hz), 1, kMaxHarmonics);
  pitch.num_bins = std::clamp(static_cast<int>(std::ceil((pitch.num_harmonics + 1) * hz * bins_per_hz)), 1, num_bins_);
  pitch.width = static_cast<size_t>((pitch.num_bins - 1) / kWidthStep);
  const int n = 2 * pitch.num_harmonics;
  const auto num_bins = static_cast<size_t>(pitch.num_bins), width = static_cast<size_t>(num_bins_);

  // Phase 0 is at the frame's first sample.
  const auto first = static_cast<uint64_t>(hop);
  const uint64_t step = turns_of(hz / sample_rate_hz);
  pitch.partials.resize(static_cast<size_t>(n) * num_bins);
  for (uint64_t i = 0; i < 2 * first; ++i) {
    const double* const factors = transform.data() + i * width;
    for (int h = 0; h < pitch.num_harmonics; ++h) {
      const runtime::SineCosine value = runtime::sine_cosine(step * static_cast<uint64_t>(h + 1) * i);
      double* const cosine = pitch.partials.data() + static_cast<size_t>(2 * h) * num_bins;
      double* const sine = cosine + num_bins;
      for (size_t k = 0; k < num_bins; ++k) {
        cosine[k] += value.cosine * factors[k];
        sine[k] += value.sine * factors[k];
      }
    }
  }
  const auto partial = [&](int i) { return pitch.partials.data() + static_cast<size_t>(i) * num_bins; };
  std::vector<double> turned;  // inner products of the partials [partials, partials]
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) {
      double sum = 0;
      for (size_t k = 0; k < num_bins; ++k) sum += partial(i)[k] * partial(j)[k];
      turned.push_back(sum);
    }
  }

  const std::vector<float>& spectra = first_of_spectra().spectra;
  for (int h = 0; h < pitch.num_harmonics; ++h) {
    const runtime::SineCosine hop_turn = runtime::sine_cosine(step * static_cast<uint64_t>(h + 1) * first);
    pitch.cosines.push_back(hop_turn.cosine);
    pitch.sines.push_back(hop_turn.sine);
    const int bin = static_cast<int>(hz * (h + 1) * bins_per_hz);
    double sum = 0;
    int count = 0;
    for (int k = std::max(0, bin - 1); k <= std::min(num_bins_ - 1, bin + 1); ++k, ++count) {
      for (size_t at = static_cast<size_t>(k); at < spectra.size(); at += width)
        sum += double{spectra[at]} * spectra[at];
    }
    pitch.usual.push_back(std::sqrt(sum / std::max(1, count)));
  }

  // Fits to the last frames: the partials of each are those of this frame, turned back by as many hops.
  std::vector<double> normal(turned.size());
  for (size_t past = 0; past < kMaxPast; ++past) {
    const auto at = [&](int row, int column) -> double& { return turned[static_cast<size_t>(row * n + column)]; };
    for (int h = 0; h < pitch.num_harmonics; ++h) {
      const double cosine = pitch.cosines[static_cast<size_t>(h)], sine = pitch.sines[static_cast<size_t>(h)];
      for (int i = 0; i < n; ++i) turn(at(i, 2 * h), at(i, 2 * h + 1), cosine, sine);
    }
    for (int h = 0; h < pitch.num_harmonics; ++h) {
      const double cosine = pitch.cosines[static_cast<size_t>(h)], sine = pitch.sines[static_cast<size_t>(h)];
      for (int i = 0; i < n; ++i) turn(at(2 * h, i), at(2 * h + 1, i), cosine, sine);
    }
    double diagonal = 0;
    for (size_t i = 0; i < normal.size(); ++i) normal[i] += kFrameWeights[past] * turned[i];
    for (int i = 0; i < n; ++i) diagonal += normal[static_cast<size_t>(i * n + i)];
    pitch.factors[past] = normal;
    for (int i = 0; i < n; ++i) pitch.factors[past][static_cast<size_t>(i * n + i)] += kRidge * diagonal / n;
    factorize(pitch.factors[past], n);
  }

  for (const Codebook& codebook : codebooks_) {
    std::vector<float> energies;
    for (size_t at = 0; at < codebook.spectra.size(); at += width) {
      float energy = 0;
      for (size_t k = at; k < at + num_bins; ++k) energy += codebook.spectra[k] * codebook.spectra[k];
      energies.push_back(energy);
    }
    pitch.energies.push_back(std::move(energies));
  }
  return pitch;
}

void Tones::Voice::play(int pitch) {
  if (pitch == pitch_) return;
  pitch_ = pitch;
  num_past_ = 0;
}

void Tones::Voice::begin_frame() {
  wanted_energy_ = 0;
  const auto width = static_cast<size_t>(tones_->num_bins_);
  spectra_.assign(2 * width, 0.0F);
  if (pitch_ < 0 || num_past_ == 0) return;
  const Pitch& pitch = tones_->pitches_[static_cast<size_t>(pitch_)];
  const auto num_harmonics = static_cast<size_t>(pitch.num_harmonics), n = 2 * num_harmonics;
  Partials wanted{};  // amplitudes that are expected of this frame
  for (size_t h = 0; h < num_harmonics; ++h) {
    for (size_t j = 0; j < num_past_; ++j) {
      double a = past_[j][2 * h], b = past_[j][2 * h + 1];
      for (size_t hops = 0; hops <= j; ++hops) turn(a, b, pitch.cosines[h], pitch.sines[h]);
      wanted[2 * h] += kFrameWeights[j] * a;
      wanted[2 * h + 1] += kFrameWeights[j] * b;
    }
  }
  solve(pitch.factors[num_past_ - 1], static_cast<int>(n), wanted.data());

  double fitted = 0, usual = 0;
  for (size_t i = 0; i < n; ++i) fitted += wanted[i] * wanted[i];
  for (const double amplitude : pitch.usual) usual += amplitude * amplitude;
  if (!(fitted > 0) || !(usual > 0)) return;
  const double level = std::sqrt(fitted / usual);
  for (size_t h = 0; h < num_harmonics; ++h) {
    double &a = wanted[2 * h], &b = wanted[2 * h + 1];
    const double amplitude = std::sqrt(a * a + b * b);
    if (!(amplitude > 0)) continue;
    const double change = (1 - kUsualShare) + kUsualShare * level * pitch.usual[h] / amplitude;
    a *= change;
    b *= change;
  }
  const auto num_bins = static_cast<size_t>(pitch.num_bins);
  for (size_t k = 0; k < num_bins; ++k) {
    double sum = 0;
    for (size_t i = 0; i < n; ++i) sum += wanted[i] * pitch.partials[i * num_bins + k];
    spectra_[k] = static_cast<float>(sum);
    wanted_energy_ += double{spectra_[k]} * spectra_[k];
  }
}

void Tones::Voice::shape(int codebook, std::span<float> logits, float strength) {
  if (codebook == 0) begin_frame();
  const Codebook& table = tones_->codebooks_[static_cast<size_t>(codebook)];
  if (!(wanted_energy_ > double{kSilence}) || !table.has_spectra || strength == 0) return;
  const Pitch& pitch = tones_->pitches_[static_cast<size_t>(pitch_)];
  const auto size = static_cast<size_t>(tones_->codebook_size_);
  const auto num_bins = static_cast<size_t>(pitch.num_bins), width = static_cast<size_t>(tones_->num_bins_);
  const bool is_first = &table == &tones_->first_of_spectra();
  scratch_.resize(3 * size);
  const auto along = std::span(scratch_).first(size);             // inner products with the wanted spectrum
  const auto energies = std::span(scratch_).subspan(size, size);  // of the whole frame
  const auto shaped = std::span(scratch_).last(size);
  if (is_first) std::ranges::fill(energies, 0.0F);
  table.products[pitch.width].forward(spectra_.data(), static_cast<int64_t>(width), is_first ? 1 : 2, along.data(),
                                      static_cast<int64_t>(size), tones_->alone_);
  double so_far = 0, energy = 0;
  for (size_t k = 0; k < num_bins; ++k) {
    const double value = 0.5 * double{spectra_[width + k]};
    so_far += double{spectra_[k]} * value;
    energy += value * value;
  }
  const auto along_so_far = static_cast<float>(so_far), energy_so_far = static_cast<float>(energy);
  const auto wanted_energy = static_cast<float>(wanted_energy_);
  const float credit = is_first ? strength : kRefinement * strength;
  const std::vector<float>& of_entries = pitch.energies[static_cast<size_t>(codebook)];
  for (size_t i = 0; i < size; ++i)
    energies[i] = std::max(energy_so_far + (energies[i] + of_entries[i]), kSilence) * wanted_energy;
  runtime::sqrt(energies.data(), static_cast<int64_t>(size), energies.data());
  for (size_t i = 0; i < size; ++i) shaped[i] = logits[i] + credit * ((along_so_far + along[i]) / energies[i]);
  if (is_first) {
    // Of every level the codes together stay as likely as they were.
    runtime::softmax_weights(logits.data(), static_cast<int64_t>(size), along.data());
    runtime::softmax_weights(shaped.data(), static_cast<int64_t>(size), energies.data());
    std::array<float, kNumLevels> before{}, after{};
    for (size_t i = 0; i < size; ++i) {
      before[table.levels[i]] += along[i];
      after[table.levels[i]] += energies[i];
    }
    for (size_t i = 0; i < kNumLevels; ++i) before[i] = std::max(before[i], 1e-30F) / std::max(after[i], 1e-30F);
    runtime::log(before.data(), static_cast<int64_t>(kNumLevels), after.data());
    for (size_t i = 0; i < size; ++i) shaped[i] += after[table.levels[i]];
  }
  std::ranges::copy(shaped, logits.begin());
}

void Tones::Voice::add(int codebook, uint16_t code) {
  const Codebook& table = tones_->codebooks_[static_cast<size_t>(codebook)];
  const auto width = static_cast<size_t>(tones_->num_bins_);
  if (table.has_spectra && pitch_ >= 0) {
    const float* const entry = table.spectra.data() + code * width;
    const auto num_bins = static_cast<size_t>(tones_->pitches_[static_cast<size_t>(pitch_)].num_bins);
    for (size_t k = 0; k < num_bins; ++k) spectra_[width + k] += 2 * entry[k];
  }
  if (codebook + 1 < tones_->num_codebooks()) return;
  std::shift_right(past_.begin(), past_.end(), 1);
  past_[0].fill(0);
  if (pitch_ >= 0) {
    const Pitch& pitch = tones_->pitches_[static_cast<size_t>(pitch_)];
    const auto num_bins = static_cast<size_t>(pitch.num_bins);
    for (size_t p = 0; p < 2 * static_cast<size_t>(pitch.num_harmonics); ++p) {
      for (size_t k = 0; k < num_bins; ++k)
        past_[0][p] += 0.5 * double{spectra_[width + k]} * pitch.partials[p * num_bins + k];
    }
  }
  num_past_ = pitch_ < 0 ? 0 : std::min(num_past_ + 1, kMaxPast);
}

}  // namespace vqcodec::generate
