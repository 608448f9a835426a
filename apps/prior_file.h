// Which prior a program codes with, and with which a file is read.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "codec/code_grid.h"
#include "codec/stream_coder.h"
#include "prior/coder.h"
#include "prior/model.h"
#include "runtime/thread_pool.h"

namespace vqcodec::apps {

inline constexpr const char* kPriorHelp =
    "prior to code with; otherwise $VQCODEC_PRIOR or the one that is installed, where it fits the model";
inline constexpr const char* kReadPriorHelp = "prior of the file; otherwise it is looked for where priors are installed";

struct LoadedPrior {
  std::string path;
  std::shared_ptr<const prior::Model> model;
};

// The prior of `option` (--prior) or, if that is empty, the first that exists of $VQCODEC_PRIOR,
// <folder of the program>/../share/vqcodec/models/prior.safetensors and, in a source tree,
// <folder of the program>/../../../models/prior.safetensors; nothing if none does. Throws Error(kModel) that says what is
// wrong with the file.
std::optional<LoadedPrior> load_prior(const std::string& option);

struct PriorChoice {
  std::string option;      // --prior
  bool none = false;       // --no-prior
  bool joint = false;      // --joint
};

// The prior to write a file of `info` with; nothing where there is none, which `tell` hears of unless none was wanted. A
// default prior for another model is left aside, with the same. Throws Error(kUsage) for contradicting options,
// Error(kModel) for a prior of `option` that is not for the model of `info`, and for joint coding without a prior.
std::optional<LoadedPrior> choose_prior(const PriorChoice& choice, const codec::StreamInfo& info,
                                        const std::function<void(const std::string&)>& tell);

// The prior that `info`, of file `name`, names: the one of `option`, or else the first of that id among $VQCODEC_PRIOR and
// the files prior*.safetensors beside the default models; nothing if it names none, or the part that does is damaged. Throws Error(kModel), naming both ids,
// if there is no such prior or this program has other numerics.
std::optional<LoadedPrior> load_prior_of(const codec::StreamInfo& info, std::string_view metadata_json,
                                         const std::string& name, const std::string& option);

// Name in the prior's metadata; "unnamed" if it has none.
std::string prior_name(const prior::Model& model);

// The tools to code streams of files of `info` with, on `pool`, which must outlive them.
class Coding {
 public:
  // Without `loaded` no prior is at hand. Throws as prior::Coder does, the message naming `name`.
  Coding(const std::optional<LoadedPrior>& loaded, const codec::StreamInfo& info, const std::string& name,
         runtime::ThreadPool& pool);
  const codec::CodingTools& tools() const { return tools_; }

 private:
  std::unique_ptr<prior::Coder> coder_;
  codec::CodingTools tools_;
};

}  // namespace vqcodec::apps
