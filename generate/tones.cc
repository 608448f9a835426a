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

// sum[i] += factor * row[i]
void add_scaled(float factor, std::span<const float> row, std::span<float> sum) {
  for (size_t i = 0; i < sum.size(); ++i) sum[i] += factor * row[i];
}

std::span<const float> row_of(const std::vector<float>& table, size_t row, size_t width) {
  return std::span(table).subspan(row * width, width);
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
  runtime::ThreadPool pool(1);
  std::vector<float> spectra(static_cast<size_t>(size * 2 * hop));
  for (int h = 0; h < num_codebooks; ++h) {
    Codebook codebook;
    codebook.has_spectra = h != config.envelope_codebook;
    weights.synthesis_basis.forward(weights.entries[static_cast<size_t>(h)].data(), config.code_dim, size,
                                    spectra.data(), 2 * hop, pool);
    std::vector<float> energies(static_cast<size_t>(size));
    for (int64_t k = 0; k < num_bins_; ++k) {
      for (int64_t i = 0; i < size; ++i) {
        const float value = spectra[static_cast<size_t>(i * 2 * hop + k)];
        codebook.spectra.push_back(value);
        energies[static_cast<size_t>(i)] += value * value;
      }
    }
    for (const float energy : energies) {
      int exponent = 0;
      std::frexp(energy + kSilence, &exponent);
      codebook.levels.push_back(static_cast<uint8_t>(std::clamp(exponent + 64, 0, static_cast<int>(kNumLevels) - 1)));
    }
    codebooks_.push_back(std::move(codebook));
  }
  for (const double hz : pitches_hz) {
    if (!(hz >= 20 && hz <= config.sample_rate_hz / 8.0))
      throw Error(ExitCode::kInternal, "a tone of " + std::to_string(hz) + " Hz");
    pitches_.push_back(make_pitch(hz, config.sample_rate_hz, static_cast<int>(hop)));
  }
}

const Tones::Codebook& Tones::first_of_spectra() const {
  return codebooks_[codebooks_[0].has_spectra || codebooks_.size() == 1 ? 0 : 1];
}

Tones::Pitch Tones::make_pitch(double hz, int sample_rate_hz, int hop) const {
  Pitch pitch;
  const double bins_per_hz = 2.0 * hop / sample_rate_hz;
  pitch.num_harmonics = std::clamp(static_cast<int>(kTopHz / hz), 1, kMaxHarmonics);
  pitch.num_bins = std::clamp(static_cast<int>(std::ceil((pitch.num_harmonics + 1) * hz * bins_per_hz)), 1, num_bins_);
  const int n = 2 * pitch.num_harmonics;
  const auto num_bins = static_cast<size_t>(pitch.num_bins), size = static_cast<size_t>(codebook_size_);

  // The MDCT (runtime/fft.h) of each partial: cosine and sine of every harmonic, phase 0 at the frame's first sample.
  // Its cosines are those of whole parts of 8 hops to a turn.
  const uint64_t parts = 8 * static_cast<uint64_t>(hop), first = static_cast<uint64_t>(hop);
  std::vector<double> cosine_of_part;
  for (uint64_t i = 0; i < parts; ++i)
    cosine_of_part.push_back(runtime::sine_cosine(i * (~uint64_t{0} / parts + 1)).cosine);
  const uint64_t step = turns_of(hz / sample_rate_hz);
  const double scale = std::sqrt(2.0 / hop);
  std::vector<double> partials(static_cast<size_t>(n) * num_bins), factors(num_bins);
  for (uint64_t i = 0; i < 2 * first; ++i) {
    const double window = cosine_of_part[(2 * i + 1 + 6 * first) % parts];  // a sine: a quarter of a turn less
    for (size_t k = 0; k < num_bins; ++k)
      factors[k] = scale * window * cosine_of_part[(2 * i + 1 + first) * (2 * k + 1) % parts];
    for (int h = 0; h < pitch.num_harmonics; ++h) {
      const runtime::SineCosine value = runtime::sine_cosine(step * static_cast<uint64_t>(h + 1) * i);
      double* const cosine = partials.data() + static_cast<size_t>(2 * h) * num_bins;
      double* const sine = cosine + num_bins;
      for (size_t k = 0; k < num_bins; ++k) {
        cosine[k] += value.cosine * factors[k];
        sine[k] += value.sine * factors[k];
      }
    }
  }
  const auto partial = [&](int i) { return partials.data() + static_cast<size_t>(i) * num_bins; };
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) {
      double sum = 0;
      for (size_t k = 0; k < num_bins; ++k) sum += partial(i)[k] * partial(j)[k];
      pitch.gram.push_back(sum);
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
      for (const float value : row_of(spectra, static_cast<size_t>(k), size)) sum += double{value} * value;
    }
    pitch.usual.push_back(std::sqrt(sum / std::max(1, count)));
  }

  // Fits to the last frames: the partials of each are those of this frame, turned back by as many hops.
  std::vector<double> turned = pitch.gram, normal(pitch.gram.size());
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
    std::vector<float> products(static_cast<size_t>(n) * size), energies(size);
    for (size_t k = 0; k < num_bins; ++k) {
      const std::span<const float> row = row_of(codebook.spectra, k, size);
      for (size_t i = 0; i < size; ++i) energies[i] += row[i] * row[i];
      for (int p = 0; p < n; ++p)
        add_scaled(static_cast<float>(partial(p)[k]), row,
                   std::span(products).subspan(static_cast<size_t>(p) * size, size));
    }
    pitch.products.push_back(std::move(products));
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
  now_.fill(0);
  spectrum_.assign(static_cast<size_t>(tones_->num_bins_), 0.0F);
  if (pitch_ < 0 || num_past_ == 0) return;
  const Pitch& pitch = tones_->pitches_[static_cast<size_t>(pitch_)];
  const auto num_harmonics = static_cast<size_t>(pitch.num_harmonics);
  wanted_.fill(0);
  for (size_t h = 0; h < num_harmonics; ++h) {
    for (size_t j = 0; j < num_past_; ++j) {
      double a = past_[j][2 * h], b = past_[j][2 * h + 1];
      for (size_t hops = 0; hops <= j; ++hops) turn(a, b, pitch.cosines[h], pitch.sines[h]);
      wanted_[2 * h] += kFrameWeights[j] * a;
      wanted_[2 * h + 1] += kFrameWeights[j] * b;
    }
  }
  const auto n = 2 * num_harmonics;
  solve(pitch.factors[num_past_ - 1], static_cast<int>(n), wanted_.data());

  double fitted = 0, usual = 0;
  for (size_t i = 0; i < n; ++i) fitted += wanted_[i] * wanted_[i];
  for (const double amplitude : pitch.usual) usual += amplitude * amplitude;
  if (!(fitted > 0) || !(usual > 0)) return;
  const double level = std::sqrt(fitted / usual);
  for (size_t h = 0; h < num_harmonics; ++h) {
    double &a = wanted_[2 * h], &b = wanted_[2 * h + 1];
    const double amplitude = std::sqrt(a * a + b * b);
    if (!(amplitude > 0)) continue;
    const double change = (1 - kUsualShare) + kUsualShare * level * pitch.usual[h] / amplitude;
    a *= change;
    b *= change;
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) wanted_energy_ += wanted_[i] * wanted_[j] * pitch.gram[i * n + j];
  }
}

void Tones::Voice::shape(int codebook, std::span<float> logits, float strength) {
  if (codebook == 0) begin_frame();
  const Codebook& table = tones_->codebooks_[static_cast<size_t>(codebook)];
  if (!(wanted_energy_ > double{kSilence}) || !table.has_spectra || strength == 0) return;
  const Pitch& pitch = tones_->pitches_[static_cast<size_t>(pitch_)];
  const auto size = static_cast<size_t>(tones_->codebook_size_);
  const bool is_first = &table == &tones_->first_of_spectra();
  scratch_.assign(3 * size, 0.0F);
  const auto along = std::span(scratch_).first(size);             // inner products of this frame and the wanted one
  const auto energies = std::span(scratch_).subspan(size, size);  // of this frame
  const auto shaped = std::span(scratch_).last(size);
  double so_far = 0, energy = 0;
  for (size_t p = 0; p < 2 * static_cast<size_t>(pitch.num_harmonics); ++p) {
    so_far += wanted_[p] * now_[p];
    add_scaled(static_cast<float>(wanted_[p]), row_of(pitch.products[static_cast<size_t>(codebook)], p, size), along);
  }
  for (size_t k = 0; k < static_cast<size_t>(pitch.num_bins); ++k) {
    energy += double{spectrum_[k]} * spectrum_[k];
    if (!is_first) add_scaled(2 * spectrum_[k], row_of(table.spectra, k, size), energies);
  }
  const auto along_so_far = static_cast<float>(so_far), energy_so_far = static_cast<float>(energy);
  const auto wanted_energy = static_cast<float>(wanted_energy_);
  const float credit = is_first ? strength : kRefinement * strength;
  const std::vector<float>& alone = pitch.energies[static_cast<size_t>(codebook)];
  for (size_t i = 0; i < size; ++i) {
    const float whole = std::max(energy_so_far + (energies[i] + alone[i]), kSilence);
    shaped[i] = logits[i] + credit * ((along_so_far + along[i]) / std::sqrt(whole * wanted_energy));
  }
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
  const auto size = static_cast<size_t>(tones_->codebook_size_);
  if (table.has_spectra && pitch_ >= 0) {
    const Pitch& pitch = tones_->pitches_[static_cast<size_t>(pitch_)];
    for (size_t k = 0; k < static_cast<size_t>(pitch.num_bins); ++k) spectrum_[k] += table.spectra[k * size + code];
    for (size_t p = 0; p < 2 * static_cast<size_t>(pitch.num_harmonics); ++p)
      now_[p] += pitch.products[static_cast<size_t>(codebook)][p * size + code];
  }
  if (codebook + 1 < tones_->num_codebooks()) return;
  std::shift_right(past_.begin(), past_.end(), 1);
  past_[0] = now_;
  num_past_ = pitch_ < 0 ? 0 : std::min(num_past_ + 1, kMaxPast);
}

}  // namespace vqcodec::generate
