#include "runtime/fft.h"

#include <cmath>
#include <complex>
#include <kissfft.hh>
#include <numbers>
#include <string>
#include <vector>

#include "base/error.h"

namespace vqcodec::runtime {

using Complex = std::complex<double>;

// MDCT and MDST are a fold of the windowed frame to N values and a DCT-IV, which is a complex DFT of N / 2 points between
// two rotations (Malvar 1992, chapter 5).
struct Mclt::Plan {
  explicit Plan(int hop_samples)
      : hop(hop_samples),
        half(hop_samples / 2),
        fft(static_cast<std::size_t>(hop_samples / 2), false),
        window(static_cast<std::size_t>(2 * hop_samples)),
        rotation(static_cast<std::size_t>(half)),
        folded(static_cast<std::size_t>(hop_samples)),
        in(static_cast<std::size_t>(half)),
        out(static_cast<std::size_t>(half)) {
    const double pi = std::numbers::pi;
    for (int n = 0; n < 2 * hop; ++n) window[static_cast<std::size_t>(n)] = std::sin(pi / (2.0 * hop) * (n + 0.5));
    // (2 i + 0.5) (2 k + 0.5) = 4 i k + (i + 1 / 8) + (k + 1 / 8): the DFT does the first, a rotation on either side the
    // others. The scaling sqrt(2 / N) is shared by the two rotations.
    for (int n = 0; n < half; ++n)
      rotation[static_cast<std::size_t>(n)] = std::polar(std::pow(2.0 / hop, 0.25), -pi / hop * (n + 0.125));
  }

  // sqrt(2 / N) sum over n of v[n] cos(pi / N (n + 0.5) (k + 0.5)), v = folded. Leaves out[i], from which
  // X[2 i] = Re out[i], X[N - 1 - 2 i] = -Im out[i].
  void dct4() {
    const double* v = folded.data();
    for (int i = 0; i < half; ++i) {
      const Complex r = rotation[static_cast<std::size_t>(i)];
      const double a = v[2 * i];
      const double b = v[hop - 1 - 2 * i];
      in[static_cast<std::size_t>(i)] = {a * r.real() - b * r.imag(), a * r.imag() + b * r.real()};
    }
    fft.transform(in.data(), out.data());
    for (int i = 0; i < half; ++i) {
      const Complex r = rotation[static_cast<std::size_t>(i)];
      const Complex o = out[static_cast<std::size_t>(i)];
      out[static_cast<std::size_t>(i)] = {o.real() * r.real() - o.imag() * r.imag(),
                                          o.real() * r.imag() + o.imag() * r.real()};
    }
  }

  const int hop;
  const int half;
  const kissfft<double> fft;
  std::vector<double> window;     // [2 N]
  std::vector<Complex> rotation;  // [N / 2]
  std::vector<double> folded;     // [N]
  std::vector<Complex> in, out;   // [N / 2]
};

Mclt::Mclt(int hop_samples) {
  if (hop_samples < 16 || hop_samples > 65536 || (hop_samples & (hop_samples - 1)) != 0)
    throw Error(ExitCode::kInternal, "lapped transform with a hop of " + std::to_string(hop_samples) +
                                         ", expected a power of two in [16, 65536]");
  plan_ = std::make_unique<Plan>(hop_samples);
}

Mclt::~Mclt() = default;
Mclt::Mclt(Mclt&&) noexcept = default;
Mclt& Mclt::operator=(Mclt&&) noexcept = default;

int Mclt::hop_samples() const { return plan_->hop; }

void Mclt::forward(const float* x, float* mdct, float* mdst) {
  Plan& plan = *plan_;
  const int hop = plan.hop;
  const int half = plan.half;
  const double* w = plan.window.data();
  double* v = plan.folded.data();
  // With the frame's quarters a, b, c, d (windowed; r reverses): MDCT = DCT-IV of (-c_r - d, a - b_r).
  if (mdct != nullptr) {
    for (int n = 0; n < half; ++n) {
      const int c = 3 * half - 1 - n;
      const int d = 3 * half + n;
      const int b = hop - 1 - n;
      v[n] = -w[c] * x[c] - w[d] * x[d];
      v[half + n] = w[n] * x[n] - w[b] * x[b];
    }
    plan.dct4();
    for (int i = 0; i < half; ++i) {
      const Complex o = plan.out[static_cast<std::size_t>(i)];
      mdct[2 * i] = static_cast<float>(o.real());
      mdct[hop - 1 - 2 * i] = static_cast<float>(-o.imag());
    }
  }
  // MDST = DST-IV of (c_r - d, a + b_r), and DST-IV of v = (-1)^k DCT-IV of v reversed.
  if (mdst != nullptr) {
    for (int n = 0; n < half; ++n) {
      const int c = 3 * half - 1 - n;
      const int d = 3 * half + n;
      const int b = hop - 1 - n;
      v[hop - 1 - n] = w[c] * x[c] - w[d] * x[d];
      v[half - 1 - n] = w[n] * x[n] + w[b] * x[b];
    }
    plan.dct4();
    for (int i = 0; i < half; ++i) {
      const Complex o = plan.out[static_cast<std::size_t>(i)];
      mdst[2 * i] = static_cast<float>(o.real());
      mdst[hop - 1 - 2 * i] = static_cast<float>(o.imag());
    }
  }
}

void Mclt::inverse_overlap(const float* mdct, float* overlap, float* out) {
  Plan& plan = *plan_;
  const int hop = plan.hop;
  const int half = plan.half;
  const double* w = plan.window.data();
  double* v = plan.folded.data();
  for (int n = 0; n < hop; ++n) v[n] = mdct[n];
  plan.dct4();  // its own inverse
  for (int i = 0; i < half; ++i) {
    const Complex o = plan.out[static_cast<std::size_t>(i)];
    v[2 * i] = o.real();
    v[hop - 1 - 2 * i] = -o.imag();
  }
  // Unfolded: (second half, -second half reversed, -first half reversed, -first half), windowed.
  for (int n = 0; n < half; ++n) {
    const int b = hop - 1 - n;
    out[n] = static_cast<float>(overlap[n] + w[n] * v[half + n]);
    out[b] = static_cast<float>(overlap[b] - w[b] * v[half + n]);
  }
  for (int n = 0; n < half; ++n) {
    overlap[half - 1 - n] = static_cast<float>(-w[3 * half - 1 - n] * v[n]);
    overlap[half + n] = static_cast<float>(-w[3 * half + n] * v[n]);
  }
}

}  // namespace vqcodec::runtime
