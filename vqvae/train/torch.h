// The one header that brings in LibTorch; precompiled (25 s otherwise).
#pragma once

#if defined(__GNUC__)
#pragma GCC system_header
#endif
#include <ATen/autocast_mode.h>
#include <torch/torch.h>
