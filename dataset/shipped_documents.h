// The JSON files of configs/layouts/ and configs/splits/, compiled in so that they are there wherever a program is
// installed.
#pragma once

#include <map>
#include <string>

namespace vqcodec::dataset {

// By their paths without extension, such as "layouts/stems".
const std::map<std::string, const char*>& shipped_documents();

}  // namespace vqcodec::dataset
