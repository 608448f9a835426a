// Whether this machine computes what all machines must compute: SHA-256 of what every operation and a small prior give,
// against digests that were written down once. A program that fails here cannot read files that priors coded
// elsewhere, nor write files that can be read elsewhere. Takes well under 3 seconds on any path.
#pragma once

#include <string>
#include <vector>

namespace vqcodec::prior {

struct SelftestCheck {
  std::string name;      // "exp", "prior, by steps"
  std::string found;     // 64 hexadecimal digits
  std::string expected;  // the same for one name whatever the path
  bool passed() const { return found == expected; }
};

// All checks on the path in use (runtime/cpu.h).
std::vector<SelftestCheck> run_selftest();

}  // namespace vqcodec::prior
