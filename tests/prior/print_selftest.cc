// Runs the self-test and draws lines on the path in use (VQCODEC_CPU) and prints it; fails if a check does.
#include <cstdio>

#include "prior/selftest.h"
#include "runtime/cpu.h"
#include "tests/generate/golden_lines.h"

int main() {
  using namespace vqcodec;
  bool passed = true;
  std::vector<prior::SelftestCheck> checks = prior::run_selftest();
  checks.push_back({"lines", generate::golden_lines_digest(), generate::kGoldenLines});
  for (const auto& check : checks) {
    passed = passed && check.passed();
    std::printf("%s %s: %s%s\n", runtime::path_name(runtime::current_path()), check.name.c_str(), check.found.c_str(),
                check.passed() ? "" : (", expected " + check.expected).c_str());
  }
  return passed ? 0 : 1;
}
