// Tones in codes: which of the codes that a prior thinks likely go on with a tone of a wanted pitch.
//
// Frames overlap, so a tone that lasts is one whose harmonics keep their phases from frame to frame. A prior that has
// learnt how often codes follow each other knows little of that; but what the spectrum of the next frame is if the tone
// goes on can be told from the frames before. A voice fits the harmonics of its pitch to the spectra that its last
// codes stand for (least squares over up to three frames, as sinusoidal models do: R. McAulay and T. Quatieri, "Speech
// analysis/synthesis based on a sinusoidal representation", 1986), turns their phases by one hop, and gives codes
// credit by the cosine between that and what the frame would be with them. How loud a frame is stays as the prior has
// it.
//
// The same bits on every machine: IEEE +, *, /, sqrt in fixed orders, runtime/turns.h and runtime/ops.h.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/linear.h"
#include "runtime/thread_pool.h"
#include "vqvae/model.h"

namespace vqcodec::generate {

// What is known of a source's codes and of the pitches that are wanted; immutable.
class Tones {
 public:
  static constexpr int kMaxHarmonics = 6;
  static constexpr int kMaxPartials = 2 * kMaxHarmonics;  // a cosine and a sine each
  static constexpr size_t kMaxPast = 3;                   // frames

  // Whether a model's codes tell of spectra by sums of entries, as this needs: residual codebooks.
  static bool fits(const vqvae::ModelConfig& config);

  // num_codebooks: that lines have. pitches_hz: each from 20 Hz to an eighth of the sample rate. Entries of `source`
  // are looked at below 1.4 kHz, in the middle of the stereo image, by the linear path of synthesis. Throws
  // Error(kInternal) for arguments outside of that.
  Tones(const vqvae::Model& model, int source, int num_codebooks, std::span<const double> pitches_hz);

  int codebook_size() const { return codebook_size_; }
  int num_codebooks() const { return static_cast<int>(codebooks_.size()); }

  // One line on its way. The tones outlive it.
  class Voice {
   public:
    explicit Voice(const Tones& tones) : tones_(&tones) {}

    // Which pitch sounds from the next frame on, an index or -1 = none in particular. The one that sounds goes on; the
    // first frame of another one is left as it is.
    void play(int pitch);
    int pitch() const { return pitch_; }

    // Before every code: adds credit to the logits [codebook_size] of codebook `codebook`, that cosine times `strength`
    // (nats), and half as much again from the second codebook of spectra on.
    void shape(int codebook, std::span<float> logits, float strength);
    // After it: the code that was drawn. Codebooks come in ascending order, frame by frame.
    void add(int codebook, uint16_t code);

   private:
    using Partials = std::array<double, kMaxPartials>;
    void begin_frame();

    const Tones* tones_;
    int pitch_ = -1;
    size_t num_past_ = 0;                    // frames in past_
    std::array<Partials, kMaxPast> past_{};  // inner products of the last frames with the partials, the latest first
    double wanted_energy_ = 0;               // of the spectrum that is expected of this frame; 0 = nothing is
    std::vector<float> spectra_{};           // [2, bins]: that, and twice what this frame has so far
    std::vector<float> scratch_{};
  };

 private:
  struct Codebook {
    std::vector<float> spectra;             // [codebook_size, bins]
    std::vector<runtime::Linear> products;  // the same, of the first bins alone: widths in steps of kWidthStep
    std::vector<uint8_t> levels;            // [codebook_size]: energies in steps of 3 dB, below kNumLevels
    bool has_spectra = true;
  };
  struct Pitch {
    int num_harmonics = 0;
    int num_bins = 0;                                   // up to the last harmonic; what is above is free
    size_t width = 0;                                   // which of Codebook::products has them all
    std::vector<double> partials;                       // a cosine and a sine of each harmonic [partials, num_bins]
    std::vector<std::vector<float>> energies;           // of every entry in these bins, by codebook [codebook_size]
    std::array<std::vector<double>, kMaxPast> factors;  // Cholesky factors of the fits to 1, 2, .. frames
    std::vector<double> cosines, sines;                 // of the turn of each harmonic by one hop
    std::vector<double> usual;  // amplitudes of the harmonics: what entries have there, root mean square
  };
  // transform: [2 hops, bins], the MDCT's windowed cosines.
  Pitch make_pitch(double hz, int sample_rate_hz, int hop, std::span<const double> transform) const;
  const Codebook& first_of_spectra() const;

  int num_bins_ = 0, codebook_size_ = 0;
  std::vector<Codebook> codebooks_;
  std::vector<Pitch> pitches_;
  mutable runtime::ThreadPool alone_{1};  // what a product asks for; it starts no thread
};

}  // namespace vqcodec::generate
