// vqcodec info and verify: what a .vqc holds, and whether it is whole. Neither needs a model; what a prior coded is decoded
// with that prior.
#pragma once

#include <array>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "apps/vqc_input.h"
#include "base/error.h"
#include "runtime/thread_pool.h"

namespace vqcodec::apps {

struct InfoOptions {
  std::string prior;       // empty: load_prior_of() looks for one
  bool codebooks = false;  // what each codebook takes, also where that needs a prior
};

// Everything that `vqcodec info --json` prints of one file. Sizes are in bytes; raw_bytes is what the codes would take
// at log2(codebook_size) bits each. Reads and decodes all codes, but those of a file with a prior only for
// options.codebooks. Throws Error(kBadFile) for a damaged file, Error(kModel) as load_prior_of().
nlohmann::ordered_json file_info(const std::string& path, const InfoOptions& options, runtime::ThreadPool& pool);

// The same as text for people.
std::string format_info(const nlohmann::ordered_json& info);

struct VerifyReport {
  std::vector<Error> damage;  // in the order of the file; empty: the file is whole
  uint32_t num_segments = 0;
  uint32_t num_sources = 0;
  std::array<uint8_t, 32> model_id{};
};

// Checks every CRC from the file's first byte to its last and decodes all codes. Damage does not throw, only Error(kIo)
// does. When the prior of the file is not at hand (see load_prior_of()), that is reported once and its codes are left
// unchecked.
VerifyReport verify(const std::string& path, const std::string& prior, runtime::ThreadPool& pool);

}  // namespace vqcodec::apps
