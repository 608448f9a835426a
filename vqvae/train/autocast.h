// Products of matrices in bfloat16, the rest in float32.
#pragma once

#include "vqvae/train/torch.h"

namespace vqcodec::vqvae::train {

// Autocast to bfloat16 for the lifetime of the object.
class AutocastRegion {
 public:
  AutocastRegion(bool enabled, torch::Device device) : enabled_(enabled), type_(device.type()) {
    if (!enabled_) return;
    at::autocast::set_autocast_enabled(type_, true);
    at::autocast::set_autocast_dtype(type_, at::kBFloat16);
    at::autocast::increment_nesting();
  }
  ~AutocastRegion() {
    if (!enabled_) return;
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_enabled(type_, false);
  }
  AutocastRegion(const AutocastRegion&) = delete;
  AutocastRegion& operator=(const AutocastRegion&) = delete;

 private:
  bool enabled_;
  at::DeviceType type_;
};

}  // namespace vqcodec::vqvae::train
