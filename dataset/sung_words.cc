#include "dataset/sung_words.h"

#include <algorithm>

#include "base/error.h"
#include "dataset/stems.h"

namespace vqcodec::dataset {

namespace {

// One syllable each in every accent at hand, and a vowel that can be held.
constexpr const char* kEnglish[] = {
    "love",  "moon",   "stars", "still",  "breath",  "time",   "fly",    "go",    "stay",   "night", "day",   "light",
    "dark",  "heart",  "hand",  "eyes",   "face",    "name",   "home",   "road",  "rain",   "sun",   "sky",   "sea",
    "wind",  "fire",   "cold",  "warm",   "blue",    "gold",   "dream",  "sleep", "wake",   "run",   "walk",  "fall",
    "rise",  "turn",   "hold",  "let",    "give",    "take",   "come",   "leave", "call",   "sing",  "song",  "sound",
    "more",  "once",   "you",   "me",     "we",      "they",   "my",     "your",  "oh",     "la",    "na",    "hey",
    "yeah",  "no",     "so",    "too",    "now",     "here",   "there",  "where", "near",   "far",   "slow",  "fast",
    "soon",  "then",   "when",  "down",   "through", "deep",   "high",   "low",   "free",   "true",  "real",  "wild",
    "lost",  "found",  "gone",  "left",   "right",   "one",    "two",    "three", "first",  "last",  "all",   "none",
    "kiss",  "touch",  "taste", "feel",   "see",     "hear",   "know",   "think", "say",    "tell",  "ask",   "break",
    "keep",  "bring",  "burn",  "shine",  "glow",    "fade",   "flow",   "grow",  "bloom",  "stone", "glass", "steel",
    "town",  "street", "door",  "room",   "wall",    "roof",   "bridge", "train", "bus",    "car",   "plane", "ship",
    "shore", "wave",   "sand",  "snow",   "ice",     "spring", "leaf",   "tree",  "bird",   "wing",  "wolf",  "horse",
    "king",  "queen",  "child", "friend", "man",     "girl",   "boy",    "world", "life",   "death", "mind",  "soul",
    "truth", "lie",    "word",  "voice",  "tear",    "smile",  "laugh",  "cry",   "pain",   "hope",  "fear",  "peace",
    "war",   "young",  "old",   "new",    "bright",  "sweet",  "soft",   "hard",  "strong", "weak",  "bold",  "kind",
};

// Consonant and pure vowel, as Italian, Spanish and Latin spell them.
constexpr const char* kOpenSyllables[] = {
    "la",  "le",  "li",  "lo",  "lu",  "ma",   "me",  "mi",  "mo",  "mu",  "na",  "ne",  "ni",  "no",
    "nu",  "ra",  "re",  "ri",  "ro",  "ru",   "sa",  "se",  "si",  "so",  "su",  "ta",  "te",  "ti",
    "to",  "tu",  "da",  "de",  "di",  "do",   "du",  "va",  "ve",  "vi",  "vo",  "fa",  "fe",  "fi",
    "fo",  "pa",  "pe",  "po",  "pu",  "ba",   "be",  "bo",  "bi",  "san", "sol", "mar", "del", "tan",
    "ven", "con", "per", "tra", "tre", "gran", "fin", "lan", "mal", "ben", "son", "din", "don", "dan",
};

}  // namespace

std::span<const char* const> words_of(WordList list) {
  if (list == WordList::kEnglish) return kEnglish;
  return kOpenSyllables;
}

std::vector<std::string> word_line(WordList list, int line) {
  if (line < 0 || line >= kNumWordLines) throw Error(ExitCode::kInternal, "there is no line " + std::to_string(line));
  const std::span<const char* const> words = words_of(list);
  CounterRandom random(0x10E5, static_cast<uint64_t>(list), static_cast<uint64_t>(line));
  std::vector<std::string> result;
  while (result.size() < kWordsPerLine) {
    const std::string word = words[random.below(words.size())];
    if (std::find(result.begin(), result.end(), word) == result.end()) result.push_back(word);
  }
  return result;
}

}  // namespace vqcodec::dataset
