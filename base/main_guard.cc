#include "base/main_guard.h"

#include <cstdio>
#include <new>

#include "base/error.h"

namespace vqcodec {

int guarded_main(const std::string& program, const std::function<int()>& body) {
  const auto report = [&](const char* prefix, const char* message, ExitCode code) {
    std::fflush(stdout);
    std::fprintf(stderr, "%s: %s%s\n", program.c_str(), prefix, message);
    return static_cast<int>(code);
  };
  try {
    return body();
  } catch (const Error& error) {
    return report("", error.what(), error.code());
  } catch (const std::bad_alloc&) {
    return report("", "out of memory", ExitCode::kInternal);
  } catch (const std::exception& error) {
    return report("internal error: ", error.what(), ExitCode::kInternal);
  }
}

}  // namespace vqcodec
