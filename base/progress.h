// A line of progress with the time left, on a terminal only.
#pragma once

#include <chrono>
#include <string>

namespace vqcodec {

class Progress {
 public:
  // Shows nothing when `quiet` or when standard error is not a terminal.
  Progress(std::string what, bool quiet);
  ~Progress();  // clears the line

  // done and total in any one unit; total <= 0 = unknown. Draws at most ten times a second.
  void update(double done, double total);

  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

 private:
  std::string what_;
  bool visible_;
  std::chrono::steady_clock::time_point start_, drawn_;
};

// "1:02:03", "2:03" or "0:03".
std::string format_duration(double seconds);

}  // namespace vqcodec
