// The modulated complex lapped transform (MDCT and MDST) on kissfft.
#pragma once

#include <cstdint>
#include <memory>

namespace vqcodec::runtime {

// Frames of 2N samples, N = hop_samples apart, with the sine window w[n] = sin(pi / (2N) (n + 0.5)):
//   MDCT: C[k] = sqrt(2 / N) sum over n in [0, 2N) of w[n] x[n] cos(pi / N (n + 0.5 + N / 2) (k + 0.5)), k in [0, N)
//   MDST: S[k] = the same with sin.
// The MDCT of overlapping frames is an orthonormal transform (Princen and Bradley 1986): inverse_overlap undoes it.
// Computed in double inside and rounded once to float32; error below 1e-6 of the frame's root mean square times
// sqrt(N). An object has scratch of its own: one per thread.
class Mclt {
 public:
  // hop_samples: a power of two in [16, 65536]. Throws Error(kInternal) otherwise.
  explicit Mclt(int hop_samples);
  ~Mclt();
  Mclt(Mclt&&) noexcept;
  Mclt& operator=(Mclt&&) noexcept;

  int hop_samples() const;

  // x: [2N] float32. mdct, mdst: [N]; either may be null.
  void forward(const float* x, float* mdct, float* mdst);

  // mdct: [N]. overlap: [N], the second half of the previous frame's windowed inverse (zeros before the first frame); it
  // becomes this frame's. out: [N] samples, those of the first half of this frame: frames t - 1 and t give the samples
  // that they share. out may not be mdct.
  void inverse_overlap(const float* mdct, float* overlap, float* out);

 private:
  struct Plan;
  std::unique_ptr<Plan> plan_;
};

}  // namespace vqcodec::runtime
