// What a new line is steered by while it grows: how well the notes of a stretch fit the chords that the song's other
// sources play there.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "codec/code_grid.h"
#include "eval/fit.h"
#include "vqvae/model.h"

namespace vqcodec::apps {

class LineJudge {
 public:
  // `context` and `info` outlive the object; source: index into info.sources; own: of the song's own line.
  LineJudge(std::shared_ptr<const vqvae::Model> model, const codec::StreamInfo& info, int source,
            const eval::FitContext& context, const eval::FitFigures& own);

  // Frames nearest to the halves of the song's beats.
  std::vector<int64_t> stretch_ends() const;

  // For generate::Steering. The codes are decoded from a little before the stretch on and their pitch is tracked:
  // eval::chord_balance() of the stretch, within the expected range and with the frame rate's multiples against it, in
  // whole 64ths, so that the last bits of a C library's logarithm choose nothing.
  double operator()(std::span<const uint16_t> codes, int64_t first_frame, int64_t from, int64_t to) const;

 private:
  std::shared_ptr<const vqvae::Model> model_;
  const codec::StreamInfo& info_;
  int source_;
  const eval::FitContext& context_;
  eval::KeyRange range_;
};

}  // namespace vqcodec::apps
