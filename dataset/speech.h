// Voices of text-to-speech programs: words in, sound out.
//
// The programs are run, not linked, and none is needed to build. espeak-ng is under GPL-3: linked into a program it
// would put that program under the GPL as a whole, started as a program of its own it does not (this project is
// Apache-2.0).
// Festival (a licence like MIT's) would bring a Scheme interpreter and global state that is not for threads. A program
// of its own can also be stopped when it hangs, and cannot take this one down. Programs are started with an argument
// list and no shell, and find their words on standard input.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace vqcodec::dataset {

enum class Sex { kFemale, kMale };

// Which of the two lists of words a voice is given (dataset/sung_words.h).
enum class WordList { kEnglish, kOpenSyllables };

struct Speech {
  int sample_rate_hz = 0;      // 8000 to 48000
  std::vector<float> samples;  // mono, full scale +-1
};

class SpeechVoice {
 public:
  SpeechVoice(std::string name, Sex sex, WordList words) : name_(std::move(name)), sex_(sex), words_(words) {}
  virtual ~SpeechVoice() = default;

  const std::string& name() const { return name_; }  // such as "espeak:en-us+f2" or "festival:kal_diphone"
  Sex sex() const { return sex_; }
  WordList words() const { return words_; }

  // Says each word for itself, at least 0.2 s of silence between two. The same words give the same samples. Safe on
  // many threads. Throws Error(kIo) when the program is not there, fails, runs out of time or gives no audio.
  virtual Speech speak(std::span<const std::string> words) const = 0;

 private:
  std::string name_;
  Sex sex_;
  WordList words_;
};

// Those whose programs and data are on this machine, always in the same order: espeak-ng with its variants (Debian:
// espeak-ng) and Festival's free American voices (festival with festvox-us-slt-hts, festvox-kallpc16k,
// festvox-kdlpc16k). Looks for files, runs nothing.
std::vector<std::shared_ptr<const SpeechVoice>> installed_voices();

// A voice by its command line: `program` with `arguments` gets the words as lines "word.\n" on standard input and
// writes a WAV file of 16 bits, mono, to standard output. A `program` without a slash is looked for in PATH.
std::shared_ptr<const SpeechVoice> program_voice(std::string name, Sex sex, WordList words, std::string program,
                                                 std::vector<std::string> arguments, double limit_seconds = 60);

}  // namespace vqcodec::dataset
