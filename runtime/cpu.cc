#include "runtime/cpu.h"

#include <atomic>
#include <cstdlib>
#include <iterator>
#include <string>

#include "base/error.h"
#include "runtime/kernels.h"

namespace vqcodec::runtime {
namespace {

constexpr Path kAllPaths[] = {Path::kPortable, Path::kAvx2, Path::kAvx512, Path::kNeon};

// Null if this program or this CPU does not have the path.
const Kernels* find_kernels(Path path) {
  switch (path) {
    case Path::kPortable: return portable_kernels();
#if defined(__x86_64__)
    case Path::kAvx2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? avx2_kernels() : nullptr;
    case Path::kAvx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                     __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
                     __builtin_cpu_supports("fma")
                 ? avx512_kernels()
                 : nullptr;
#elif defined(__aarch64__)
    case Path::kNeon: return neon_kernels();
#endif
    default: return nullptr;
  }
}

struct Choice {
  Path path;
  const Kernels* kernels;
};

Choice make_choice(Path path, const std::string& asked_by) {
  const Kernels* found = find_kernels(path);
  if (found == nullptr)
    throw Error(ExitCode::kUsage, asked_by + ": this machine cannot run the path '" + path_name(path) +
                                      "'; its best is '" + path_name(best_path()) + "'");
  return {path, found};
}

Choice initial_choice() {
  const char* asked = std::getenv("VQCODEC_CPU");
  if (asked == nullptr || *asked == '\0') return make_choice(best_path(), "best path");
  for (Path path : kAllPaths)
    if (std::string(asked) == path_name(path)) return make_choice(path, "VQCODEC_CPU");
  throw Error(ExitCode::kUsage, "VQCODEC_CPU is '" + std::string(asked) + "', expected portable, avx2, avx512 or neon");
}

std::atomic<const Choice*>& active() {
  static const Choice first = initial_choice();
  static std::atomic<const Choice*> choice{&first};
  return choice;
}

}  // namespace

bool can_run(Path path) { return find_kernels(path) != nullptr; }

Path best_path() {
  Path best = Path::kPortable;
  for (Path path : kBuiltPaths)
    if (can_run(path)) best = path;
  return best;
}

Path current_path() { return active().load(std::memory_order_acquire)->path; }

void set_path(Path path) {
  static Choice choices[std::size(kAllPaths)];
  Choice& choice = choices[static_cast<int>(path)];
  choice = make_choice(path, "set_path");
  active().store(&choice, std::memory_order_release);
}

const char* path_name(Path path) {
  switch (path) {
    case Path::kPortable: return "portable";
    case Path::kAvx2: return "avx2";
    case Path::kAvx512: return "avx512";
    case Path::kNeon: return "neon";
  }
  return "?";
}

const Kernels& kernels() { return *active().load(std::memory_order_acquire)->kernels; }

}  // namespace vqcodec::runtime
