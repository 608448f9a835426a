// Text by the formats of printf.
#pragma once

#include <string>

namespace vqcodec {

// Appends one formatted piece, cut at 511 bytes.
void append(std::string& text, const char* format, ...) __attribute__((format(printf, 2, 3)));

}  // namespace vqcodec
