#include "apps/audio_input.h"

#include <span>
#include <vector>

namespace vqcodec::apps {

namespace {

constexpr size_t kBlockFrames = 1 << 15;

}  // namespace

void encode_all(audio::AudioReader& reader, vqvae::Encoder& encoder, Progress& progress) {
  std::vector<float> block(2 * kBlockFrames);
  for (;;) {
    const size_t num_frames = reader.read(block);
    encoder.push(std::span<const float>(block).first(2 * num_frames));
    progress.update(static_cast<double>(encoder.num_samples()), static_cast<double>(reader.estimated_num_frames()));
    if (num_frames < kBlockFrames) break;
  }
  encoder.finish();
}

nlohmann::ordered_json input_json(const audio::AudioReader& reader) {
  return {{"sample_rate_hz", reader.info().source_sample_rate_hz}, {"num_channels", reader.info().source_num_channels}};
}

void warn_of_damage(const audio::AudioReader& reader, const std::string& name,
                    const std::function<void(const std::string&)>& warn) {
  if (reader.num_bad_samples() > 0) {
    warn(name + ": " + std::to_string(reader.num_bad_samples()) +
         " samples are not numbers, infinite or absurdly loud; silence was put in their place");
  }
  if (reader.num_damaged_packets() > 0) {
    warn(name + ": " + std::to_string(reader.num_damaged_packets()) +
         " parts are damaged and did not decode; the music has gaps there or ends early");
  }
}

}  // namespace vqcodec::apps
