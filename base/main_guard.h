// The one place where a program's exceptions are caught.
#pragma once

#include <functional>
#include <string>

namespace vqcodec {

// Runs `body`, which returns the exit code. An Error is printed as "<program>: <message>" and gives its code; running out
// of memory and any other exception give kInternal.
int guarded_main(const std::string& program, const std::function<int()>& body);

}  // namespace vqcodec
