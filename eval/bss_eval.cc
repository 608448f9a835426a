#include "eval/bss_eval.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <kissfft.hh>
#include <limits>
#include <string>

#include <Eigen/Core>

#include "base/error.h"

namespace vqcodec::eval {

namespace {

using Complex = std::complex<double>;
using Matrix = Eigen::MatrixXd;
using Signal = std::span<const float>;

// Spectra of real signals, bins 0 to size / 2, real and imaginary parts apart so that loops over bins vectorize.
struct Spectrum {
  std::vector<double> re, im;
  void resize(size_t num_bins) {
    re.assign(num_bins, 0.0);
    im.assign(num_bins, 0.0);
  }
};

// Spectra of one or two channels by one complex transform. Has scratch: one a thread.
class ChannelFft {
 public:
  explicit ChannelFft(size_t size) : fft_(size, false), in_(size), out_(size) {}

  // Frames [begin, end) of an interleaved signal go to the start of the transform, zeros where the signal has none, and
  // zeros after them. out[c] is the spectrum of channel c.
  void forward(Signal interleaved, int num_channels, int64_t begin, int64_t end, Spectrum* out) {
    const auto num_frames = static_cast<int64_t>(interleaved.size()) / num_channels;
    std::ranges::fill(in_, Complex{});
    const int64_t last = std::min(end, num_frames);
    for (int64_t t = std::max<int64_t>(begin, 0); t < last; ++t) {
      const float* frame = interleaved.data() + t * num_channels;
      in_[static_cast<size_t>(t - begin)] = {frame[0], num_channels == 2 ? frame[1] : 0.0F};
    }
    transform(num_channels, out);
  }
  // Of one or two real signals.
  void forward(std::span<const double> left, std::span<const double> right, int num_channels, Spectrum* out) {
    std::ranges::fill(in_, Complex{});
    for (size_t t = 0; t < left.size(); ++t) in_[t] = {left[t], num_channels == 2 ? right[t] : 0.0};
    transform(num_channels, out);
  }

 private:
  void transform(int num_channels, Spectrum* out) {
    fft_.transform(in_.data(), out_.data());
    const size_t size = in_.size(), num_bins = size / 2 + 1;
    for (int c = 0; c < num_channels; ++c) out[c].resize(num_bins);
    for (size_t k = 0; k < num_bins; ++k) {
      const Complex z = out_[k], mirrored = out_[k == 0 ? 0 : size - k];
      if (num_channels == 1) {
        out[0].re[k] = z.real();
        out[0].im[k] = z.imag();
        continue;
      }
      out[0].re[k] = (z.real() + mirrored.real()) / 2;
      out[0].im[k] = (z.imag() - mirrored.imag()) / 2;
      out[1].re[k] = (z.imag() + mirrored.imag()) / 2;
      out[1].im[k] = (mirrored.real() - z.real()) / 2;
    }
  }

  kissfft<double> fft_;
  std::vector<Complex> in_, out_;
};

// Smallest even number >= `least` without a prime factor above 5.
size_t fast_size(size_t least) {
  for (size_t size = least + least % 2;; size += 2) {
    size_t rest = size;
    for (const size_t prime : {2U, 3U, 5U}) {
      while (rest % prime == 0) rest /= prime;
    }
    if (rest == 1) return size;
  }
}

// Sums over time of products of two sets of signals at delays of up to `taps` - 1 either way, by blocks in the frequency
// domain: result[i][taps - 1 + d] = sum over t of x[t] y[t + d] for pair i = (x, y), two channels of `x` and `y`.
struct Pair {
  size_t x, y;  // channel `x % num_channels` of signal `x / num_channels`
};

std::vector<std::vector<double>> correlate(const std::vector<Signal>& x, const std::vector<Signal>& y,
                                           const std::vector<Pair>& pairs, int num_channels, int taps,
                                           runtime::ThreadPool& pool) {
  const auto channels = static_cast<size_t>(num_channels);
  const auto num_frames = static_cast<int64_t>(x[0].size()) / num_channels;
  const size_t size = taps <= 1024 ? 8192 : fast_size(8 * static_cast<size_t>(taps));
  const size_t num_bins = size / 2 + 1;
  const int64_t reach = taps - 1;
  const int64_t block = static_cast<int64_t>(size) - 2 * reach;
  const int64_t num_blocks = (num_frames + block - 1) / block;
  // The sums are made in a fixed number of parts, whatever the number of threads, and added up in their order.
  const int64_t num_parts = std::min<int64_t>(8, num_blocks);
  std::vector<std::vector<Spectrum>> sums(static_cast<size_t>(num_parts));
  pool.parallel_for(num_parts, 1, [&](int64_t first_part, int64_t end_part) {
    ChannelFft fft(size);
    std::vector<Spectrum> short_spectra(x.size() * channels), long_spectra(y.size() * channels);
    for (int64_t part = first_part; part < end_part; ++part) {
      auto& sum = sums[static_cast<size_t>(part)];
      sum.resize(pairs.size());
      for (Spectrum& spectrum : sum) spectrum.resize(num_bins);
      for (int64_t b = part * num_blocks / num_parts; b < (part + 1) * num_blocks / num_parts; ++b) {
        const int64_t begin = b * block;
        for (size_t i = 0; i < x.size(); ++i) {
          fft.forward(x[i], num_channels, begin, begin + block, &short_spectra[i * channels]);
        }
        for (size_t i = 0; i < y.size(); ++i) {
          fft.forward(y[i], num_channels, begin - reach, begin + block + reach, &long_spectra[i * channels]);
        }
        for (size_t i = 0; i < pairs.size(); ++i) {
          const double* a = short_spectra[pairs[i].x].re.data();
          const double* b_re = long_spectra[pairs[i].y].re.data();
          const double* a_im = short_spectra[pairs[i].x].im.data();
          const double* b_im = long_spectra[pairs[i].y].im.data();
          double* re = sum[i].re.data();
          double* im = sum[i].im.data();
          for (size_t k = 0; k < num_bins; ++k) {
            re[k] += a[k] * b_re[k] + a_im[k] * b_im[k];
            im[k] += a[k] * b_im[k] - a_im[k] * b_re[k];
          }
        }
      }
    }
  });
  std::vector<std::vector<double>> result(pairs.size());
  pool.parallel_for(static_cast<int64_t>(pairs.size()), 8, [&](int64_t first, int64_t end) {
    const kissfft<double> inverse(size, true);
    std::vector<Complex> in(size), out(size);
    for (int64_t p = first; p < end; ++p) {
      const auto i = static_cast<size_t>(p);
      for (size_t k = 0; k < num_bins; ++k) {
        Complex z{};
        for (const auto& sum : sums) z += Complex(sum[i].re[k], sum[i].im[k]);
        in[k] = z;
        if (k > 0) in[size - k] = std::conj(z);
      }
      inverse.transform(in.data(), out.data());
      result[i].resize(static_cast<size_t>(2 * taps - 1));
      for (size_t d = 0; d < result[i].size(); ++d) result[i][d] = out[d].real() / static_cast<double>(size);
    }
  });
  return result;
}

// A positive semidefinite matrix as L L^T, in place of its lower triangle. Unknowns that depend on those before them
// (whose pivot is rounding noise) are dropped: their rows and columns of L are those of the identity, and solve() gives
// them 0. That is a least-squares solution all the same.
class Cholesky {
 public:
  Cholesky(Matrix matrix, runtime::ThreadPool& pool) : l_(std::move(matrix)), dropped_(size()) {
    const Eigen::Index n = l_.rows();
    const Eigen::VectorXd diagonal = l_.diagonal();
    for (Eigen::Index at = 0; at < n; at += kBlock) {
      const Eigen::Index width = std::min(kBlock, n - at), below = at + width;
      factor_block(at, width, diagonal);
      const auto block = l_.block(at, at, width, width);
      const int64_t num_strips = (n - below + kStrip - 1) / kStrip;
      pool.parallel_for(num_strips, 1, [&](int64_t first, int64_t end) {
        for (int64_t s = first; s < end; ++s) {
          const Eigen::Index row = below + s * kStrip;
          auto strip = l_.block(row, at, std::min<Eigen::Index>(kStrip, n - row), width);
          block.template triangularView<Eigen::Lower>().transpose().template solveInPlace<Eigen::OnTheRight>(strip);
          for (Eigen::Index k = 0; k < width; ++k) {
            if (dropped_[static_cast<size_t>(at + k)]) strip.col(k).setZero();
          }
        }
      });
      pool.parallel_for(num_strips, 1, [&](int64_t first, int64_t end) {
        for (int64_t s = first; s < end; ++s) {
          const Eigen::Index column = below + s * kStrip, columns = std::min<Eigen::Index>(kStrip, n - column);
          l_.block(column, column, n - column, columns).noalias() -=
              l_.block(column, at, n - column, width) * l_.block(column, at, columns, width).transpose();
        }
      });
    }
  }

  // right: [n, any], replaced by the solution.
  void solve(Matrix& right) const {
    drop_rows(right);
    l_.triangularView<Eigen::Lower>().solveInPlace(right);
    l_.triangularView<Eigen::Lower>().transpose().solveInPlace(right);
    drop_rows(right);
  }

 private:
  static constexpr Eigen::Index kBlock = 128, kStrip = 256;
  // A pivot is what an unknown's signal has that those before it do not predict. Under this share of its energy it is
  // rounding: the correlations have errors of some 1e-16 of the energies, which add up over thousands of unknowns.
  static constexpr double kLeastPivot = 1e-13;

  size_t size() const { return static_cast<size_t>(l_.rows()); }

  void factor_block(Eigen::Index at, Eigen::Index width, const Eigen::VectorXd& diagonal) {
    for (Eigen::Index k = at; k < at + width; ++k) {
      const Eigen::Index rest = at + width - k - 1;
      const double pivot = l_(k, k);
      if (!(pivot > kLeastPivot * diagonal(k))) {
        dropped_[static_cast<size_t>(k)] = 1;
        l_.row(k).head(k).setZero();
        l_(k, k) = 1;
        l_.col(k).segment(k + 1, rest).setZero();
        continue;
      }
      const double root = std::sqrt(pivot);
      l_(k, k) = root;
      l_.col(k).segment(k + 1, rest) /= root;
      for (Eigen::Index j = k + 1; j < at + width; ++j) {
        l_.col(j).segment(j, at + width - j) -= l_(j, k) * l_.col(k).segment(j, at + width - j);
      }
    }
  }

  void drop_rows(Matrix& right) const {
    for (size_t k = 0; k < dropped_.size(); ++k) {
      if (dropped_[k]) right.row(static_cast<Eigen::Index>(k)).setZero();
    }
  }

  Matrix l_;
  std::vector<char> dropped_;
};

double decibels(double numerator, double denominator) {
  if (denominator == 0) return std::numeric_limits<double>::infinity();
  return 10 * std::log10(numerator / denominator);
}

[[noreturn]] void refuse(const std::string& why) { throw Error(ExitCode::kBadFile, why); }

}  // namespace

bool is_silent(Signal interleaved, int num_channels) {
  if (num_channels == 1) return std::ranges::all_of(interleaved, [](float v) { return v == 0; });
  for (size_t i = 0; i + 1 < interleaved.size(); i += 2) {
    if (interleaved[i] != -interleaved[i + 1]) return false;
  }
  return true;
}

int64_t num_windows(int64_t num_frames, const BssOptions& options) {
  if (options.window_frames >= num_frames) return 1;
  return (num_frames - options.window_frames + options.hop_frames) / options.hop_frames;
}

struct BssEval::State {
  std::vector<Signal> references;
  BssOptions options;
  runtime::ThreadPool& pool;
  size_t channels;
  int64_t num_frames;
  std::unique_ptr<Cholesky> all;  // of all channels of all references
  std::vector<Cholesky> own;      // of the channels of each

  size_t num_sources() const { return references.size(); }

  // Correlations between channels first..first + count - 1, at every pair of delays.
  Matrix matrix(const std::vector<std::vector<double>>& correlations, const std::vector<Pair>& pairs, size_t first,
                size_t count) const {
    const Eigen::Index taps = options.filter_taps;
    Matrix result(static_cast<Eigen::Index>(count) * taps, static_cast<Eigen::Index>(count) * taps);
    for (size_t i = 0; i < pairs.size(); ++i) {
      const auto [x, y] = pairs[i];
      if (std::min(x, y) < first || std::max(x, y) >= first + count) continue;
      // <x delayed by a, y delayed by b> has y at a - b after x. Only the lower triangle is used: x >= y.
      for (Eigen::Index b = 0; b < taps; ++b) {
        const double* at = correlations[i].data() + taps - 1 - b;
        auto column = result.col(static_cast<Eigen::Index>(y - first) * taps + b)
                          .segment(static_cast<Eigen::Index>(x - first) * taps, taps);
        for (Eigen::Index a = 0; a < taps; ++a) column(a) = at[a];
      }
    }
    // As museval does; it matters only for references that are nearly nothing.
    result.diagonal().array() += std::numeric_limits<double>::epsilon();
    return result;
  }
};

BssEval::BssEval(std::vector<Signal> references, const BssOptions& options, runtime::ThreadPool& pool) {
  if (options.num_channels < 1 || options.num_channels > 2 || options.window_frames < 1 || options.hop_frames < 1 ||
      options.filter_taps < 1 || options.filter_taps > 4096) {
    throw Error(ExitCode::kInternal, "BSSEval with options out of range");
  }
  if (references.empty()) refuse("there is no reference");
  const auto channels = static_cast<size_t>(options.num_channels);
  const size_t size = references[0].size();
  if (size == 0 || size % channels != 0) refuse("a reference is empty or ends within a frame");
  for (size_t s = 0; s < references.size(); ++s) {
    if (references[s].size() != size) {
      refuse("the references have unequal lengths: " + std::to_string(size / channels) + " and " +
             std::to_string(references[s].size() / channels) + " samples");
    }
    if (is_silent(references[s], options.num_channels)) {
      refuse("reference " + std::to_string(s + 1) + " is silent throughout, so BSSEval is not defined");
    }
  }
  state_ = std::make_unique<State>(State{.references = std::move(references),
                                         .options = options,
                                         .pool = pool,
                                         .channels = channels,
                                         .num_frames = static_cast<int64_t>(size / channels),
                                         .all = {},
                                         .own = {}});
  State& s = *state_;
  std::vector<Pair> pairs;
  for (size_t x = 0; x < s.num_sources() * channels; ++x) {
    for (size_t y = 0; y <= x; ++y) pairs.push_back({x, y});
  }
  const auto correlations =
      correlate(s.references, s.references, pairs, options.num_channels, options.filter_taps, pool);
  for (size_t i = 0; i < s.num_sources(); ++i)
    s.own.emplace_back(s.matrix(correlations, pairs, i * channels, channels), pool);
  if (s.num_sources() > 1)
    s.all = std::make_unique<Cholesky>(s.matrix(correlations, pairs, 0, s.num_sources() * channels), pool);
}

BssEval::~BssEval() = default;

BssScores BssEval::evaluate(const std::vector<Signal>& estimates) const {
  const State& s = *state_;
  const size_t num_sources = s.num_sources(), channels = s.channels, num_inputs = num_sources * channels;
  const auto taps = static_cast<size_t>(s.options.filter_taps);
  if (estimates.size() != num_sources) {
    refuse("there are " + std::to_string(estimates.size()) + " estimates for " + std::to_string(num_sources) +
           " references");
  }
  // Signals that stand for several sources are looked at once.
  std::vector<Signal> signals;
  std::vector<size_t> signal_of(num_sources);
  for (size_t i = 0; i < num_sources; ++i) {
    if (estimates[i].size() != s.references[0].size()) {
      refuse("estimate " + std::to_string(i + 1) + " has " + std::to_string(estimates[i].size() / channels) +
             " samples, its reference " + std::to_string(s.num_frames));
    }
    if (is_silent(estimates[i], s.options.num_channels)) {
      refuse("estimate " + std::to_string(i + 1) + " is silent throughout, so BSSEval is not defined");
    }
    const auto same = [&](Signal other) { return other.data() == estimates[i].data(); };
    signal_of[i] = static_cast<size_t>(std::ranges::find_if(signals, same) - signals.begin());
    if (signal_of[i] == signals.size()) signals.push_back(estimates[i]);
  }

  // The filters' right sides: <reference channel x delayed by a, estimate channel y>.
  const size_t num_outputs = signals.size() * channels;
  std::vector<Pair> pairs;
  for (size_t y = 0; y < num_outputs; ++y) {
    for (size_t x = 0; x < num_inputs; ++x) pairs.push_back({x, y});
  }
  const auto correlations =
      correlate(s.references, signals, pairs, s.options.num_channels, s.options.filter_taps, s.pool);
  Matrix right(static_cast<Eigen::Index>(num_inputs * taps), static_cast<Eigen::Index>(num_outputs));
  for (size_t i = 0; i < pairs.size(); ++i) {
    const double* at = correlations[i].data() + taps - 1;
    std::copy(at, at + taps,
              &right(static_cast<Eigen::Index>(pairs[i].x * taps), static_cast<Eigen::Index>(pairs[i].y)));
  }

  // Spectra of the filters: all[source][output channel][input], own[source][output channel][input channel].
  const int64_t window_frames = std::min(s.options.window_frames, s.num_frames);
  const size_t size = fast_size(static_cast<size_t>(window_frames) + taps - 1), num_bins = size / 2 + 1;
  std::vector<Spectrum> all(num_sources * channels * num_inputs), own(num_sources * channels * channels);
  {
    const auto add = [&](const Matrix& filters, Eigen::Index column, size_t inputs, Spectrum* spectra) {
      s.pool.parallel_for(static_cast<int64_t>(inputs / channels), 1, [&](int64_t first, int64_t end) {
        ChannelFft fft(size);
        for (int64_t i = first; i < end; ++i) {
          const size_t at = static_cast<size_t>(i) * channels;
          const auto filter = [&](size_t input) {
            return std::span(&filters(static_cast<Eigen::Index>(input * taps), column), taps);
          };
          fft.forward(filter(at), filter(at + channels - 1), s.options.num_channels, spectra + at);
        }
      });
    };
    for (size_t i = 0; i < num_sources; ++i) {
      const auto inputs = static_cast<Eigen::Index>(channels * taps);
      Matrix filters =
          right.block(static_cast<Eigen::Index>(i) * inputs, static_cast<Eigen::Index>(signal_of[i] * channels), inputs,
                      static_cast<Eigen::Index>(channels));
      s.own[i].solve(filters);
      for (size_t c = 0; c < channels; ++c) {
        add(filters, static_cast<Eigen::Index>(c), channels, &own[(i * channels + c) * channels]);
      }
    }
    if (s.all != nullptr) {
      s.all->solve(right);
    } else {
      s.own[0].solve(right);
    }
    for (size_t i = 0; i < num_sources; ++i) {
      for (size_t c = 0; c < channels; ++c) {
        add(right, static_cast<Eigen::Index>(signal_of[i] * channels + c), num_inputs,
            &all[(i * channels + c) * num_inputs]);
      }
    }
  }

  const int64_t windows = num_windows(s.num_frames, s.options);
  BssScores scores;
  for (auto* metric : {&scores.sdr, &scores.isr, &scores.sir, &scores.sar}) {
    metric->assign(num_sources, std::vector<double>(static_cast<size_t>(windows), std::nan("")));
  }
  // A few windows at a time: a stretch of the filters' spectra stays in the cache for all of them.
  constexpr int64_t kBatch = 4;
  constexpr size_t kStretch = 256;
  s.pool.parallel_for((windows + kBatch - 1) / kBatch, 1, [&](int64_t first_batch, int64_t end_batch) {
    ChannelFft fft(size);
    struct Window {
      int64_t index = 0, begin = 0, end = 0;
      std::vector<Spectrum> references, estimates;
      // Per source: |own|^2, |own - s|^2, |all|^2, |all - own|^2, |e - all|^2.
      std::vector<std::array<double, 5>> energy;
    };
    std::vector<Window> batch(static_cast<size_t>(kBatch));
    std::array<double, kStretch> own_re, own_im, all_re, all_im;
    const auto filtered = [&](const std::vector<Spectrum>& inputs, size_t first_input, size_t count,
                              const Spectrum* filters, size_t from, size_t length, double* re, double* im) {
      std::fill(re, re + length, 0.0);
      std::fill(im, im + length, 0.0);
      for (size_t i = 0; i < count; ++i) {
        const double* x_re = inputs[first_input + i].re.data() + from;
        const double* x_im = inputs[first_input + i].im.data() + from;
        const double* h_re = filters[i].re.data() + from;
        const double* h_im = filters[i].im.data() + from;
        for (size_t k = 0; k < length; ++k) {
          re[k] += x_re[k] * h_re[k] - x_im[k] * h_im[k];
          im[k] += x_re[k] * h_im[k] + x_im[k] * h_re[k];
        }
      }
    };
    for (int64_t b = first_batch; b < end_batch; ++b) {
      size_t count = 0;
      for (int64_t w = b * kBatch; w < std::min(windows, (b + 1) * kBatch); ++w) {
        Window& window = batch[count];
        window.index = w;
        window.begin = w * s.options.hop_frames;
        window.end = window.begin + window_frames;
        const auto part = [&](Signal signal) {
          return signal.subspan(static_cast<size_t>(window.begin) * channels,
                                static_cast<size_t>(window_frames) * channels);
        };
        const auto silent = [&](Signal signal) { return is_silent(part(signal), s.options.num_channels); };
        if (std::ranges::any_of(s.references, silent) || std::ranges::any_of(signals, silent)) continue;
        window.references.resize(num_inputs);
        window.estimates.resize(num_outputs);
        for (size_t i = 0; i < num_sources; ++i) {
          fft.forward(s.references[i], s.options.num_channels, window.begin, window.end,
                      &window.references[i * channels]);
        }
        for (size_t i = 0; i < signals.size(); ++i) {
          fft.forward(signals[i], s.options.num_channels, window.begin, window.end, &window.estimates[i * channels]);
        }
        window.energy.assign(num_sources, {});
        ++count;
      }
      for (size_t from = 0; from < num_bins; from += kStretch) {
        const size_t length = std::min(kStretch, num_bins - from);
        for (size_t i = 0; i < num_sources; ++i) {
          for (size_t c = 0; c < channels; ++c) {
            const size_t output = i * channels + c;
            for (size_t w = 0; w < count; ++w) {
              Window& window = batch[w];
              filtered(window.references, i * channels, channels, &own[output * channels], from, length, own_re.data(),
                       own_im.data());
              filtered(window.references, 0, num_inputs, &all[output * num_inputs], from, length, all_re.data(),
                       all_im.data());
              const Spectrum& reference = window.references[output];
              const Spectrum& estimate = window.estimates[signal_of[i] * channels + c];
              for (size_t k = 0; k < length; ++k) {
                // By Parseval; the bins between the first and the last stand for two.
                const double weight = from + k == 0 || from + k == num_bins - 1 ? 1 : 2;
                const auto add = [&](size_t which, double re, double im) {
                  window.energy[i][which] += weight * (re * re + im * im);
                };
                const double s_re = reference.re[from + k], s_im = reference.im[from + k];
                const double e_re = estimate.re[from + k], e_im = estimate.im[from + k];
                add(0, own_re[k], own_im[k]);
                add(1, own_re[k] - s_re, own_im[k] - s_im);
                add(2, all_re[k], all_im[k]);
                add(3, all_re[k] - own_re[k], all_im[k] - own_im[k]);
                add(4, e_re - all_re[k], e_im - all_im[k]);
              }
            }
          }
        }
      }
      for (size_t w = 0; w < count; ++w) {
        const Window& window = batch[w];
        const auto at = static_cast<size_t>(window.index);
        for (size_t i = 0; i < num_sources; ++i) {
          double energy = 0, error = 0;
          const size_t end = static_cast<size_t>(window.end) * channels;
          for (size_t t = static_cast<size_t>(window.begin) * channels; t < end; ++t) {
            const double r = s.references[i][t], d = estimates[i][t] - r;
            energy += r * r;
            error += d * d;
          }
          const auto& [e_own, e_spatial, e_all, e_interference, e_artifacts] = window.energy[i];
          scores.sdr[i][at] = decibels(energy, error);
          scores.isr[i][at] = decibels(energy * static_cast<double>(size), e_spatial);
          scores.sir[i][at] = decibels(e_own, e_interference);
          scores.sar[i][at] = decibels(e_all, e_artifacts);
        }
      }
    }
  });
  return scores;
}

}  // namespace vqcodec::eval
