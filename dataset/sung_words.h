// What is sung: one syllable a word, in lines that a voice speaks at once.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "dataset/speech.h"

namespace vqcodec::dataset {

inline constexpr int kNumWordLines = 16;  // of each list
inline constexpr int kWordsPerLine = 8;

std::span<const char* const> words_of(WordList list);

// Line `line` in [0, kNumWordLines): drawn from the list, always the same; no word comes twice in it.
std::vector<std::string> word_line(WordList list, int line);

}  // namespace vqcodec::dataset
