// Which kernels run: chosen once by what the CPU has. Every path gives the same bits (docs/ARCHITECTURE.md), so the
// choice is about speed only.
#pragma once

namespace vqcodec::runtime {

enum class Path { kPortable, kAvx2, kAvx512, kNeon };

// The paths that a program for this kind of CPU is built with, worse ones first.
#if defined(__x86_64__)
inline constexpr Path kBuiltPaths[] = {Path::kPortable, Path::kAvx2, Path::kAvx512};
#elif defined(__aarch64__)
inline constexpr Path kBuiltPaths[] = {Path::kPortable, Path::kNeon};
#else
inline constexpr Path kBuiltPaths[] = {Path::kPortable};
#endif

// Whether this program and this CPU have it.
bool can_run(Path path);

// The best path that this program was built with and this CPU can run.
Path best_path();

// The path in use: best_path(), unless VQCODEC_CPU=portable|avx2|avx512|neon in the environment names another.
// Throws Error(kUsage) if VQCODEC_CPU has another value or names a path that this CPU cannot run.
Path current_path();

// For tests. Not to be called while other threads compute. Throws Error(kUsage) if this CPU cannot run `path`.
void set_path(Path path);

const char* path_name(Path path);  // "portable", "avx2", "avx512", "neon"

}  // namespace vqcodec::runtime
