// BSSEval version 4 as museval 0.4.1 computes it (Stöter, Liutkus, Ito 2018, "The 2018 Signal Separation Evaluation
// Campaign"; museval.metrics.bss_eval with framewise_filters=False, bsseval_sources_version=False and no permutation).
//
// For each source two sets of filters of 512 taps are fitted to its estimate over the whole track by least squares: `own`
// from the channels of its own reference, and `all` from the channels of all references. In a window, with s the
// reference, e the estimate, and own(s), all(s) what the filters make of the references in that window alone (zeros
// around it, the filters' tail included):
//   SDR = |s|^2 / |e - s|^2           ISR = |s|^2 / |own - s|^2
//   SIR = |own|^2 / |all - own|^2     SAR = |all|^2 / |e - all|^2      each as 10 log10
// over all channels together.
//
// A window in which a reference or an estimate is silent (its channels add up to exactly 0 at every sample) is NaN for
// all sources. Where references depend on each other (a source with two equal channels, two equal sources), the filters
// are not unique but their output is: channels and delays that depend on earlier ones are left out of the fit.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/thread_pool.h"

namespace vqcodec::eval {

struct BssOptions {
  int num_channels = 2;           // 1 or 2, of every signal
  int64_t window_frames = 44100;  // of a window, >= 1; more than the signal has is one window of the whole signal
  int64_t hop_frames = 44100;     // between windows, >= 1
  int filter_taps = 512;          // 1..4096
};

// In dB, [source][window]; NaN for windows with a silent signal, +-infinity where a difference or a signal is exactly 0.
struct BssScores {
  std::vector<std::vector<double>> sdr, isr, sir, sar;
};

// True if the channels add up to 0 at every sample, which is what museval calls silent. interleaved: [frames, channels].
bool is_silent(std::span<const float> interleaved, int num_channels);

// Windows of a signal of `num_frames` >= 1; the last part that does not fill a window is left out.
int64_t num_windows(int64_t num_frames, const BssOptions& options);

// The references of one track, analysed once for any number of sets of estimates. The results do not depend on the number
// of threads.
class BssEval {
 public:
  // references: at least one, all of one length > 0, interleaved [frames, channels], finite; they are not copied and must
  // outlive the object. `pool` too. Throws Error(kBadFile) if lengths differ, a signal is empty or a reference is silent
  // throughout (the measures are not defined then; museval refuses it too), Error(kInternal) for options out of range.
  // Takes 8 (channels * sources * taps)^2 bytes: 128 MiB for four stereo sources.
  BssEval(std::vector<std::span<const float>> references, const BssOptions& options, runtime::ThreadPool& pool);
  ~BssEval();
  BssEval(const BssEval&) = delete;
  BssEval& operator=(const BssEval&) = delete;

  // One estimate for each reference, as long as they are. The same signal may stand for several. Throws Error(kBadFile)
  // if the number or a length differs or an estimate is silent throughout.
  BssScores evaluate(const std::vector<std::span<const float>>& estimates) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vqcodec::eval
