// Mixes training items on a device: the int16 audio of all songs is held in its memory, and a batch is gathered,
// interpolated, levelled and filtered there, from the same plans that dataset::Mixer draws from.
//
// What comes out is what Mixer::draw gives within rounding: 1e-6 of full scale times the gain; with a tilt, which is applied
// here by FFT, 1e-5.
#pragma once

#include "vqvae/train/torch.h"

#include <cstdint>
#include <memory>
#include <vector>

#include "dataset/stems.h"

namespace vqcodec::vqvae::train {

// A bank is one tensor of songs, which must have less than 2^31 elements, two a frame.
inline constexpr int64_t kMaxBankFrames = (int64_t{1} << 30) - 1;

// Bytes of device memory that the audio of the sets takes.
int64_t device_audio_bytes(const std::vector<dataset::WeightedSongs>& sets, int num_sources);

class DeviceMixer {
 public:
  // Copies the songs of the mixer's sets; `mixer` is kept by reference. Songs are read by `num_threads` threads (0 = one per
  // core). Only tests need another `max_bank_frames`. Throws as Song::read, Error(kUsage) for a song longer than a bank,
  // and c10::OutOfMemoryError.
  DeviceMixer(const dataset::Mixer& mixer, torch::Device device, int num_threads,
              int64_t max_bank_frames = kMaxBankFrames);
  ~DeviceMixer();

  // Items 0 to num_items - 1 of step `step`: [num_items, num_sources, 2, num_frames] float32 on the device.
  torch::Tensor draw(uint64_t step, int64_t num_items, int64_t num_frames) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace vqcodec::vqvae::train
