// A prior for another model that gives the same codes, such as one whose decoder has learnt more since.
#pragma once

#include <string>

namespace vqcodec::prior {

// Whether a tensor of a VQ-VAE's file serves decoding alone, so that codes do not depend on it.
bool serves_decoding_alone(const std::string& tensor);

// Writes the prior of `prior_path`, which is for the codes of `from_model`, as one for those of `to_model`: the same
// tensors to the bit, and of the metadata only model_id in the config is another. Throws Error(kUsage) when `out`
// exists and not `force`; Error(kModel) when the prior is for another model than `from_model`, or when anything that
// codes depend on (the config, a tensor that does not serve decoding alone) differs between the models; what
// Model::load and vqvae::Model::load throw of files that are none; and Error(kIo).
void rebase(const std::string& prior_path, const std::string& from_model, const std::string& to_model,
            const std::string& out, bool force);

}  // namespace vqcodec::prior
