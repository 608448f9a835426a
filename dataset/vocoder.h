// Speech taken apart into syllables of spectral frames (WORLD), and frames put together into a voice of any pitch.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "dataset/speech.h"

namespace vqcodec::dataset {

// Frames are this far apart, in analysis and in synthesis.
inline constexpr double kVoiceFrameSeconds = 0.005;
// Points of the spectral envelope, evenly on the mel scale from 0 to half of kVoiceHz.
inline constexpr int kVoicePoints = 128;
inline constexpr int kVoiceHz = 44100;

struct VoiceFrame {
  // ln of the power spectral density at each point. A signal of density 1 throughout has root mean square 1.
  std::array<float, kVoicePoints> log_power;
  // Share of noise in the power of a voiced frame, [0, 1], at each point.
  std::array<float, kVoicePoints> noise_share;
  float voiced = 0;  // 0 or 1; in between while two frames are blended
};

float mel_of_hz(float hz);
float hz_of_point(float point);  // of kVoicePoints, fractions too

// A syllable: frames of the consonants before the vowel, of the vowel (at least 4) and of what comes after.
struct Syllable {
  std::vector<VoiceFrame> frames;
  int onset_frames = 0, nucleus_frames = 0;
  int coda_frames() const { return static_cast<int>(frames.size()) - onset_frames - nucleus_frames; }
};

// The syllables of words spoken with pauses between them, in order; the loudest voiced stretch of each is its vowel,
// whose root mean square is scaled to 1. A word without any is left out. Frames above half of the speech's sample rate
// go on from its highest frequencies, falling. Empty for silence.
std::vector<Syllable> analyse_speech(const Speech& speech);

// What is to be synthesised, every kVoiceFrameSeconds.
struct VoiceTrack {
  std::vector<VoiceFrame> frames;
  std::vector<float> f0_hz;  // of each frame, 20 to 5000, also of unvoiced ones
  std::vector<float> gain;   // amplitude of each frame
};

// Adds the voice at kVoiceHz to `out`, from sample 0 at frame 0 on; what lies beyond its end is dropped. Voiced power
// is pulses of minimum phase at exact (fractional) times, the rest is shaped noise. formant_ratio scales all
// frequencies of the envelope. The same seed gives the same noise.
class VoiceSynthesizer {
 public:
  VoiceSynthesizer();
  ~VoiceSynthesizer();
  VoiceSynthesizer(const VoiceSynthesizer&) = delete;
  VoiceSynthesizer& operator=(const VoiceSynthesizer&) = delete;

  void synthesize(const VoiceTrack& track, double formant_ratio, uint64_t seed, std::span<float> out);

 private:
  struct Plan;
  std::unique_ptr<Plan> plan_;
};

}  // namespace vqcodec::dataset
