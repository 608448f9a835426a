#include "dataset/speech.h"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/error.h"
#include "dataset/run_program.h"

namespace vqcodec::dataset {

namespace {

namespace fs = std::filesystem;

constexpr double kMaxSpeechSeconds = 120;

uint32_t little_endian(const std::string& bytes, size_t at, size_t count) {
  uint32_t value = 0;
  for (size_t i = 0; i < count; ++i) value |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[at + i])) << (8 * i);
  return value;
}

// WAV as programs write it to a pipe: the sizes in its header, written before the audio, may be too large (espeak-ng) or 0
// (Festival, which in the end writes the header again: where it is, since a pipe cannot seek).
Speech parse_wav(const std::string& bytes, const std::string& program) {
  const auto fail = [&](const std::string& what) -> Error {
    return Error(ExitCode::kIo, program + ": its output is no speech: " + what);
  };
  if (bytes.size() < 12 || bytes.compare(0, 4, "RIFF") != 0 || bytes.compare(8, 4, "WAVE") != 0) {
    throw fail("expected a WAV file, got " + std::to_string(bytes.size()) + " bytes without its header");
  }
  Speech speech;
  for (size_t at = 12; at + 8 <= bytes.size();) {
    const size_t size = little_endian(bytes, at + 4, 4);
    const size_t begin = at + 8;
    const size_t end = std::min(bytes.size(), begin + size);
    if (bytes.compare(at, 4, "fmt ") == 0) {
      if (end - begin < 16) throw fail("its format chunk is cut short at byte " + std::to_string(begin));
      const uint32_t encoding = little_endian(bytes, begin, 2), num_channels = little_endian(bytes, begin + 2, 2);
      const uint32_t rate_hz = little_endian(bytes, begin + 4, 4), num_bits = little_endian(bytes, begin + 14, 2);
      if (encoding != 1 || num_channels != 1 || num_bits != 16 || rate_hz < 8000 || rate_hz > 48000) {
        throw fail("expected PCM of 16 bits, mono, 8000 to 48000 Hz; got encoding " + std::to_string(encoding) + ", " +
                   std::to_string(num_bits) + " bits, " + std::to_string(num_channels) + " channels, " +
                   std::to_string(rate_hz) + " Hz");
      }
      speech.sample_rate_hz = static_cast<int>(rate_hz);
    } else if (bytes.compare(at, 4, "data") == 0) {
      if (speech.sample_rate_hz == 0) throw fail("its data come before its format");
      size_t data_end = size > 0 ? end : bytes.size();
      constexpr size_t kHeaderBytes = 44;
      if (size == 0 && data_end - begin >= kHeaderBytes && bytes.compare(data_end - kHeaderBytes, 4, "RIFF") == 0 &&
          bytes.compare(data_end - kHeaderBytes + 8, 4, "WAVE") == 0) {
        data_end -= kHeaderBytes;
      }
      const size_t num_samples = (data_end - begin) / 2;
      if (static_cast<double>(num_samples) > kMaxSpeechSeconds * speech.sample_rate_hz) {
        throw fail("longer than " + std::to_string(static_cast<int>(kMaxSpeechSeconds)) + " seconds");
      }
      speech.samples.resize(num_samples);
      for (size_t i = 0; i < num_samples; ++i) {
        const auto sample = static_cast<int16_t>(little_endian(bytes, begin + 2 * i, 2));
        speech.samples[i] = static_cast<float>(sample) / 32768.0f;
      }
      break;
    }
    at = end + (size & 1);
  }
  const bool is_silent =
      std::all_of(speech.samples.begin(), speech.samples.end(), [](float x) { return std::abs(x) < 1e-3f; });
  if (is_silent) throw fail(speech.samples.empty() ? "it has no samples" : "it is silent");
  return speech;
}

class ProgramVoice final : public SpeechVoice {
 public:
  ProgramVoice(std::string name, Sex sex, WordList words, std::vector<std::string> arguments, double limit_seconds)
      : SpeechVoice(std::move(name), sex, words), arguments_(std::move(arguments)), limit_seconds_(limit_seconds) {}

  Speech speak(std::span<const std::string> words) const override {
    std::string text;
    for (const std::string& word : words) text += word + ".\n";
    const std::string bytes = run_program(arguments_, text, {.seconds = limit_seconds_, .output_bytes = 32 << 20});
    return parse_wav(bytes, arguments_[0] + " (voice " + name() + ")");
  }

 private:
  std::vector<std::string> arguments_;
  double limit_seconds_;
};

struct EspeakVoice {
  const char* name;  // language, plus a variant
  Sex sex;
  WordList words;
};

// Variants that sound like a person who might sing: no robots, whispers, children or croaks. Words of open syllables go
// to languages whose vowels are pure.
constexpr EspeakVoice kEspeakVoices[] = {
    {"en-us+f1", Sex::kFemale, WordList::kEnglish},        {"en-us+f2", Sex::kFemale, WordList::kEnglish},
    {"en-us+f3", Sex::kFemale, WordList::kEnglish},        {"en-us+f4", Sex::kFemale, WordList::kEnglish},
    {"en-gb+f2", Sex::kFemale, WordList::kEnglish},        {"en-gb-scotland+f3", Sex::kFemale, WordList::kEnglish},
    {"en-us+Annie", Sex::kFemale, WordList::kEnglish},     {"en-us+linda", Sex::kFemale, WordList::kEnglish},
    {"it+f2", Sex::kFemale, WordList::kOpenSyllables},     {"es+f4", Sex::kFemale, WordList::kOpenSyllables},
    {"en-us+m1", Sex::kMale, WordList::kEnglish},          {"en-us+m3", Sex::kMale, WordList::kEnglish},
    {"en-us+m7", Sex::kMale, WordList::kEnglish},          {"en-gb+m2", Sex::kMale, WordList::kEnglish},
    {"en-gb-scotland+m4", Sex::kMale, WordList::kEnglish}, {"en-us+Michael", Sex::kMale, WordList::kEnglish},
    {"en-us+klatt2", Sex::kMale, WordList::kEnglish},      {"it+m1", Sex::kMale, WordList::kOpenSyllables},
    {"es+m3", Sex::kMale, WordList::kOpenSyllables},       {"la+m8", Sex::kMale, WordList::kOpenSyllables},
};

struct FestivalVoice {
  const char* name;
  const char* folder;  // under Festival's folder of voices
  Sex sex;
};

// Only voices whose licence was read and allows any use (docs/DATA.md).
constexpr FestivalVoice kFestivalVoices[] = {
    {"cmu_us_slt_arctic_hts", "us", Sex::kFemale},
    {"kal_diphone", "english", Sex::kMale},
    {"ked_diphone", "english", Sex::kMale},
};

bool has_festival_voice(const FestivalVoice& voice) {
  for (const char* root : {"/usr/share/festival/voices/", "/usr/local/share/festival/voices/"}) {
    std::error_code error;
    if (fs::is_directory(std::string(root) + voice.folder + "/" + voice.name, error)) return true;
  }
  return false;
}

}  // namespace

std::shared_ptr<const SpeechVoice> program_voice(std::string name, Sex sex, WordList words, std::string program,
                                                 std::vector<std::string> arguments, double limit_seconds) {
  arguments.insert(arguments.begin(), std::move(program));
  return std::make_shared<ProgramVoice>(std::move(name), sex, words, std::move(arguments), limit_seconds);
}

std::vector<std::shared_ptr<const SpeechVoice>> installed_voices() {
  constexpr double kLimitSeconds = 120;  // Festival takes seconds to load its lexicon from a slow disk
  std::vector<std::shared_ptr<const SpeechVoice>> voices;
  if (!find_program("espeak-ng").empty()) {
    for (const EspeakVoice& voice : kEspeakVoices) {
      voices.push_back(program_voice(std::string("espeak:") + voice.name, voice.sex, voice.words, "espeak-ng",
                                     {"--stdin", "--stdout", "-b", "1", "-s", "120", "-v", voice.name}, kLimitSeconds));
    }
  }
  if (!find_program("text2wave").empty()) {
    for (const FestivalVoice& voice : kFestivalVoices) {
      if (!has_festival_voice(voice)) continue;
      voices.push_back(program_voice(std::string("festival:") + voice.name, voice.sex, WordList::kEnglish, "text2wave",
                                     {"-eval", std::string("(voice_") + voice.name + ")"}, kLimitSeconds));
    }
  }
  return voices;
}

}  // namespace vqcodec::dataset
