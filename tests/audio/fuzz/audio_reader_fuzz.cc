// Any bytes, as a file and as a pipe: a few seconds of samples or an Error, nothing else.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "audio/byte_source.h"
#include "audio/reader.h"
#include "base/error.h"

// libsndfile 1.2 does not give back what libvorbis has allocated for an Ogg stream whose headers it refuses: some KiB a
// file, tests/data/bad/audio/vorbis_headers.ogg.
extern "C" const char* __lsan_default_suppressions() { return "leak:vorbis_info_init\nleak:vorbis_comment_init\n"; }

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vqcodec;
  constexpr int64_t kMaxFrames = 3 * 44100;
  for (const bool is_seekable : {true, false}) {
    try {
      auto reader = audio::AudioReader::open_source(audio::make_memory_source({data, size}, is_seekable), "fuzz",
                                                    {.downmix = true});
      std::vector<float> block(2 * 5000);
      int64_t num_frames = 0;
      while (num_frames < kMaxFrames) {
        const size_t done = reader->read(block);
        for (const float sample : std::span(block).first(2 * done)) {
          if (std::isnan(sample)) std::abort();
        }
        if (done < block.size() / 2) break;
        num_frames += static_cast<int64_t>(done);
      }
    } catch (const Error& error) {
      if (error.code() == ExitCode::kInternal) std::abort();
    }
  }
  return 0;
}
