// What encoding any audio file needs, wherever its codes go.
#pragma once

#include <functional>
#include <string>

#include <nlohmann/json.hpp>

#include "audio/reader.h"
#include "base/progress.h"
#include "vqvae/encoder.h"

namespace vqcodec::apps {

// Pushes all of the file into the encoder and finishes it.
void encode_all(audio::AudioReader& reader, vqvae::Encoder& encoder, Progress& progress);

// The "input" of a .vqc file's metadata.
nlohmann::ordered_json input_json(const audio::AudioReader& reader);

// Tells of samples and parts of the file that were damaged.
void warn_of_damage(const audio::AudioReader& reader, const std::string& name,
                    const std::function<void(const std::string&)>& warn);

}  // namespace vqcodec::apps
