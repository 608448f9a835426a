// What a new line is steered by while it grows: tones of the chords that the song's other sources play, and how well
// what came out of a stretch fits them.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "codec/code_grid.h"
#include "eval/fit.h"
#include "generate/low_band.h"
#include "vqvae/model.h"

namespace vqcodec::apps {

class LineJudge {
 public:
  // `context` and `info` outlive the object; source: index into info.sources; own: of the song's own line.
  LineJudge(const std::shared_ptr<const vqvae::Model>& model, const codec::StreamInfo& info, int source,
            const eval::FitContext& context, const eval::FitFigures& own);

  // A line of `source` as the judge hears it: its notes, and nothing else of LineAnalysis. codes, amplitudes: as for
  // LowBand::decode().
  static eval::LineAnalysis hear_line(const std::shared_ptr<const vqvae::Model>& model, const codec::StreamInfo& info,
                                      int source, std::span<const uint16_t> codes, std::span<const float> amplitudes);

  // Frames nearest to the halves of the song's beats.
  std::vector<int64_t> stretch_ends() const;

  // For generate::Tones: the keys of the expected range, in the song's tuning, in whole 4096ths of a Hz.
  std::vector<double> pitches_hz() const;
  // For generate::Steering, an index into them: a tone of the triad of the stretch's beat by chance, the root likelier
  // than the others, near ones likelier than far ones; the first try mostly keeps the pitch if it is one, the others do
  // so within beats. Where there is no triad the pitch stays.
  int choose_pitch(int64_t from, int64_t to, int previous, int attempt, uint64_t random) const;

  // For generate::Steering. The codes are decoded from a little before the stretch on, as far up as pitches go, and
  // their pitch is tracked: eval::chord_balance() of the stretch, within the expected range, with the frame rate's
  // multiples and what is too loud against it, in whole 64ths, so that the last bits of a C library's logarithm choose
  // nothing.
  double operator()(std::span<const uint16_t> codes, int64_t first_frame, int64_t from, int64_t to) const;

 private:
  const codec::StreamInfo& info_;
  eval::PitchOptions pitch_options_;
  generate::LowBand low_band_;
  const eval::FitContext& context_;
  eval::KeyRange range_;
  int low_key_ = 0, high_key_ = 0;  // of the pitches
};

}  // namespace vqcodec::apps
