#include "base/progress.h"

#include <unistd.h>
#include <algorithm>
#include <cmath>
#include <cstdio>

namespace vqcodec {

using Clock = std::chrono::steady_clock;

std::string format_duration(double seconds) {
  const long whole = std::lround(std::clamp(seconds, 0.0, 1e9));
  char text[64];
  if (whole >= 3600) {
    std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
  } else {
    std::snprintf(text, sizeof text, "%ld:%02ld", whole / 60, whole % 60);
  }
  return text;
}

Progress::Progress(std::string what, bool quiet)
    : what_(std::move(what)), visible_(!quiet && isatty(STDERR_FILENO) == 1), start_(Clock::now()), drawn_(start_) {}

Progress::~Progress() {
  if (visible_) std::fputs("\r\033[K", stderr);
}

void Progress::update(double done, double total) {
  if (!visible_) return;
  const auto now = Clock::now();
  if (now - drawn_ < std::chrono::milliseconds(100)) return;
  drawn_ = now;
  const double elapsed = std::chrono::duration<double>(now - start_).count();
  if (total > 0 && done > 0) {
    const double share = std::min(1.0, done / total);
    std::fprintf(stderr, "\r\033[K%s %3.0f %%, %s left", what_.c_str(), 100 * share,
                 format_duration(elapsed * (1 - share) / share).c_str());
  } else {
    std::fprintf(stderr, "\r\033[K%s, %s", what_.c_str(), format_duration(elapsed).c_str());
  }
  std::fflush(stderr);
}

}  // namespace vqcodec
