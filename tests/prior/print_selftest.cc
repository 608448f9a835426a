// Runs the self-test on the path in use (VQCODEC_CPU) and prints it; fails if a check does.
#include <cstdio>

#include "prior/selftest.h"
#include "runtime/cpu.h"

int main() {
  using namespace vqcodec;
  bool passed = true;
  for (const auto& check : prior::run_selftest()) {
    passed = passed && check.passed();
    std::printf("%s %s: %s%s\n", runtime::path_name(runtime::current_path()), check.name.c_str(), check.found.c_str(),
                check.passed() ? "" : (", expected " + check.expected).c_str());
  }
  return passed ? 0 : 1;
}
