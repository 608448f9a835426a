// Singing with voices made here, a pulse train through formants; with espeak-ng too where it is installed.
#include "dataset/singing.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <complex>
#include <limits>
#include <numbers>
#include <set>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "dataset/run_program.h"
#include "dataset/stems.h"
#include "dataset/sung_words.h"
#include "dataset/vocoder.h"
#include "tests/base/temp_dir.h"

namespace vqcodec::dataset {
namespace {

using testing::HasSubstr;

constexpr double kOnsetSeconds = 0.08, kVowelSeconds = 0.25, kPauseSeconds = 0.4;

// Says every word as a hiss and a vowel at 120 Hz, falling.
class PulseVoice final : public SpeechVoice {
 public:
  explicit PulseVoice(std::string name = "pulses", Sex sex = Sex::kMale)
      : SpeechVoice(std::move(name), sex, WordList::kEnglish) {}

  Speech speak(std::span<const std::string> words) const override {
    constexpr int kHz = 16000;
    Speech speech{.sample_rate_hz = kHz, .samples = {}};
    CounterRandom random(1, 2, 3);
    for (const std::string& word : words) {
      speech.samples.insert(speech.samples.end(), static_cast<size_t>(kPauseSeconds * kHz), 0.0f);
      float before = 0;
      for (int i = 0; i < static_cast<int>(kOnsetSeconds * kHz); ++i) {
        const auto noise = static_cast<float>(random.normal());
        speech.samples.push_back(0.01f * (noise - before));
        before = noise;
      }
      std::vector<double> x(static_cast<size_t>(kVowelSeconds * kHz), 0.0);
      double phase = 0;
      for (size_t i = 0; i < x.size(); ++i) {
        phase += (125 - 15 * static_cast<double>(i) / static_cast<double>(x.size())) / kHz;
        if (phase >= 1) x[i] = 1;
        phase -= std::floor(phase);
      }
      const double shift = 1 + 0.03 * static_cast<double>(word.size() % 5);
      for (const auto& [hz, width_hz] : {std::pair{620.0, 80.0}, {1180.0, 100.0}, {2500.0, 150.0}, {3500.0, 200.0}}) {
        const double radius = std::exp(-std::numbers::pi * width_hz / kHz);
        const double a = 2 * radius * std::cos(2 * std::numbers::pi * hz * shift / kHz), b = -radius * radius;
        double y1 = 0, y2 = 0;
        for (double& value : x) {
          const double y = (1 - a - b) * value + a * y1 + b * y2;
          y2 = y1;
          y1 = value = y;
        }
      }
      for (size_t i = 0; i < x.size(); ++i) {
        const double edge = std::min({1.0, static_cast<double>(i) / 160, static_cast<double>(x.size() - i) / 160});
        speech.samples.push_back(static_cast<float>(1.2 * edge * x[i]));
      }
    }
    speech.samples.insert(speech.samples.end(), static_cast<size_t>(kPauseSeconds * kHz), 0.0f);
    return speech;
  }
};

std::shared_ptr<Singer> pulse_singer() {
  return std::make_shared<Singer>(std::vector<std::shared_ptr<const SpeechVoice>>{std::make_shared<PulseVoice>()});
}

// Keys as given, no breath: what is heard is the notes.
VoiceOptions plain() {
  VoiceOptions options;
  options.fit_range = false;
  options.breath_db = -100;
  options.melisma_chance = 0;
  return options;
}

std::vector<float> left_of(const std::vector<float>& stereo) {
  std::vector<float> left;
  for (size_t i = 0; i < stereo.size(); i += 2) left.push_back(stereo[i]);
  return left;
}

double rms(const std::vector<float>& x, double from, double to) {
  double sum = 0;
  const auto begin = static_cast<size_t>(from * kSungHz), end = std::min(x.size(), static_cast<size_t>(to * kSungHz));
  for (size_t i = begin; i < end; ++i) sum += static_cast<double>(x[i]) * x[i];
  return std::sqrt(sum / std::max<double>(1, static_cast<double>(end - begin)));
}

// MIDI key at a time, by the first high peak of the normalised autocorrelation; NaN where it is not periodic.
double key_at(const std::vector<float>& x, double seconds) {
  constexpr int kWindow = 900, kMinLag = 25, kMaxLag = 700;
  const auto begin = static_cast<int64_t>(seconds * kSungHz) - (kWindow + kMaxLag) / 2;
  if (begin < 0 || begin + kWindow + kMaxLag > static_cast<int64_t>(x.size())) return std::nan("");
  const float* a = &x[static_cast<size_t>(begin)];
  std::vector<double> correlation(kMaxLag + 1, 0.0);
  double energy = 0, highest = 0;
  for (int i = 0; i < kWindow; ++i) energy += static_cast<double>(a[i]) * a[i];
  double delayed = energy;
  for (int lag = 1; lag <= kMaxLag; ++lag) {
    delayed +=
        static_cast<double>(a[lag + kWindow - 1]) * a[lag + kWindow - 1] - static_cast<double>(a[lag - 1]) * a[lag - 1];
    double sum = 0;
    for (int i = 0; i < kWindow; ++i) sum += static_cast<double>(a[i]) * a[i + lag];
    correlation[lag] = sum / std::sqrt(energy * delayed + 1e-12);
    if (lag >= kMinLag) highest = std::max(highest, correlation[lag]);
  }
  if (highest < 0.6) return std::nan("");
  for (int lag = kMinLag; lag < kMaxLag; ++lag) {
    const double l = correlation[lag - 1], m = correlation[lag], r = correlation[lag + 1];
    if (m < 0.93 * highest || m < l || m < r) continue;
    const double peak = lag + 0.5 * (l - r) / (l - 2 * m + r);
    return 69 + 12 * std::log2(kSungHz / peak / 440);
  }
  return std::nan("");
}

double median_key(const std::vector<float>& x, double from, double to) {
  std::vector<double> keys;
  for (double t = from; t < to; t += 0.03) {
    const double key = key_at(x, t);
    if (!std::isnan(key)) keys.push_back(key);
  }
  if (keys.empty()) return std::nan("");
  std::nth_element(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(keys.size() / 2), keys.end());
  return keys[keys.size() / 2];
}

std::vector<SungNote> scale(const std::vector<double>& keys, double seconds = 0.6) {
  std::vector<SungNote> notes;
  for (const double key : keys) {
    notes.push_back({0.5 + static_cast<double>(notes.size()) * seconds, seconds, key, 100});
  }
  return notes;
}

void expect_pitch(const std::vector<float>& x, const std::vector<SungNote>& notes) {
  for (const SungNote& note : notes) {
    const double from = note.start_seconds + 0.35 * note.duration_seconds;
    const double heard = median_key(x, from, note.start_seconds + 0.75 * note.duration_seconds);
    EXPECT_NEAR(heard, note.midi_key, 0.30) << "at " << note.start_seconds << " s";
  }
}

template <typename Function>
void expect_error(ExitCode code, const std::string& says, Function function) {
  try {
    function();
    FAIL() << "no error; expected one that says \"" << says << '"';
  } catch (const Error& error) {
    EXPECT_EQ(static_cast<int>(error.code()), static_cast<int>(code)) << error.what();
    EXPECT_THAT(error.what(), HasSubstr(says));
  }
}

TEST(Singing, PitchIsThatOfTheNotes) {
  const std::vector<SungNote> notes = scale({48, 50, 52.5, 55, 60, 64, 67, 72, 62, 57, 45, 41});
  expect_pitch(left_of(pulse_singer()->sing(notes, plain(), 3)), notes);
}

TEST(Singing, SoundsWhileThereAreNotesAndIsSilentBetweenPhrases) {
  const std::vector<SungNote> notes = {{1.0, 0.5, 55, 100},
                                       {1.5, 0.5, 57, 100},
                                       {3.0, 1.5, 59, 100},
                                       {6.0, 0.2, 50, 30}};
  const std::vector<float> stereo = pulse_singer()->sing(notes, plain(), 5);
  const std::vector<float> x = left_of(stereo);
  EXPECT_NEAR(static_cast<double>(x.size()), 6.5 * kSungHz, 1);
  EXPECT_LT(rms(x, 0, 0.75), 1e-5);
  EXPECT_LT(rms(x, 2.2, 2.75), 1e-5);
  EXPECT_LT(rms(x, 4.7, 5.7), 1e-5);
  EXPECT_LT(rms(x, 6.4, 6.5), 1e-4);
  // The hiss is before the beat, the vowel begins on it.
  EXPECT_GT(rms(x, 2.95, 2.99), 2e-3);
  EXPECT_LT(rms(x, 2.95, 2.98), 0.5 * rms(x, 3.05, 3.1));
  for (const SungNote& note : {notes[0], notes[1], notes[2]}) {
    const double level = rms(x, note.start_seconds + 0.05, note.start_seconds + 0.7 * note.duration_seconds);
    EXPECT_NEAR(20 * std::log10(level), -20, 4) << note.start_seconds;
  }
  EXPECT_LT(rms(x, 6.02, 6.12), 0.35 * rms(x, 3.05, 4.0));  // softly
}

TEST(Singing, VibratoHasItsRateAndDepthAndSetsInLate) {
  VoiceOptions options = plain();
  options.drift_cents = 0;
  options.glide_seconds = 0;  // no scoop either
  options.vibrato_hz = 6;
  options.vibrato_cents = 60;
  options.vibrato_seconds = 0.5;
  const std::vector<SungNote> note = {{0.5, 3.0, 57, 100}};
  const std::vector<float> x = left_of(pulse_singer()->sing(note, options, 11));
  for (double t = 0.65; t < 0.95; t += 0.01) EXPECT_NEAR(key_at(x, t), 57, 0.06) << t;
  std::vector<std::pair<double, double>> contour;
  for (double t = 1.4; t < 3.3; t += 0.01) contour.emplace_back(t, key_at(x, t) - 57);
  double best_hz = 0, depth = 0;
  for (double hz = 3; hz < 9; hz += 0.05) {
    std::complex<double> sum = 0;
    for (const auto& [t, key] : contour) sum += key * std::polar(1.0, -2 * std::numbers::pi * hz * t);
    const double amplitude = 2 * std::abs(sum) / static_cast<double>(contour.size());
    if (amplitude > depth) {
      depth = amplitude;
      best_hz = hz;
    }
  }
  EXPECT_NEAR(best_hz, 6, 0.6);
  // What is measured is an average over 20 to 40 ms.
  EXPECT_GT(100 * depth, 38);
  EXPECT_LT(100 * depth, 72);
  options.vibrato_cents = 0;
  const std::vector<float> straight = left_of(pulse_singer()->sing(note, options, 11));
  for (double t = 0.7; t < 3.3; t += 0.05) EXPECT_NEAR(key_at(straight, t), 57, 0.05) << t;
}

TEST(Singing, GlidesFromNoteToNote) {
  VoiceOptions options = plain();
  options.vibrato_cents = options.drift_cents = 0;
  options.melisma_chance = 1;  // one vowel over both notes
  options.glide_seconds = 0.2;
  const std::vector<float> x = left_of(pulse_singer()->sing(scale({50, 54}, 1.0), options, 2));
  EXPECT_NEAR(key_at(x, 1.2), 50, 0.1);
  EXPECT_NEAR(key_at(x, 1.8), 54, 0.1);
  EXPECT_GT(key_at(x, 1.48), 50.6);
  EXPECT_LT(key_at(x, 1.48), 53.6);
}

TEST(Singing, DoublesSpreadAndHarmoniesKeepToTheScale) {
  const std::shared_ptr<Singer> singer = pulse_singer();
  const std::vector<SungNote> notes = scale({48, 50, 52, 53, 55, 57, 59, 60});
  VoiceOptions options = plain();
  options.drift_cents = 0;
  const std::vector<float> lead = singer->sing(notes, options, 4);
  for (size_t i = 0; i < lead.size(); i += 2) ASSERT_EQ(lead[i], lead[i + 1]);
  options.harmonies = {{.scale_steps = 2, .gain_db = -6, .pan = 1}};
  const std::vector<float> both = singer->sing(notes, options, 4);
  ASSERT_EQ(both.size(), lead.size());
  std::vector<float> harmony;
  for (size_t i = 0; i < lead.size(); i += 2) {
    ASSERT_EQ(both[i], lead[i]);  // the harmony is all on the right
    harmony.push_back(both[i + 1] - lead[i + 1]);
  }
  expect_pitch(harmony, scale({52, 53, 55, 57, 59, 60, 62, 64}));
  options.harmony_share = 0;
  EXPECT_EQ(singer->sing(notes, options, 4), lead);
  options.num_doubles = 2;
  const std::vector<float> doubled = singer->sing(notes, options, 4);
  double difference = 0, sum = 0;
  for (size_t i = 0; i < doubled.size(); i += 2) {
    difference += std::pow(doubled[i] - doubled[i + 1], 2);
    sum += std::pow(doubled[i] + doubled[i + 1], 2);
  }
  EXPECT_GT(difference, 0.01 * sum);
  EXPECT_LT(difference, sum);
}

TEST(Singing, ASmallerSingerSoundsBrighter) {
  const auto crossings = [](const std::vector<float>& stereo) {
    const std::vector<float> x = left_of(stereo);
    int count = 0;
    for (size_t i = 1; i < x.size(); ++i) count += (x[i] > 0) != (x[i - 1] > 0);
    return count;
  };
  VoiceOptions options = plain();
  options.formant_ratio = 0.85;
  const int low = crossings(pulse_singer()->sing(scale({50}, 2), options, 1));
  options.formant_ratio = 1.2;
  EXPECT_GT(crossings(pulse_singer()->sing(scale({50}, 2), options, 1)), low * 1.15);
}

TEST(Singing, BreathesBeforeAPhrase) {
  VoiceOptions options = plain();
  const std::shared_ptr<Singer> singer = pulse_singer();
  const std::vector<SungNote> notes = {{2, 1, 50, 100}};
  EXPECT_LT(rms(left_of(singer->sing(notes, options, 1)), 1.5, 1.85), 1e-5);
  options.breath_db = -20;
  const std::vector<float> x = left_of(singer->sing(notes, options, 1));
  EXPECT_GT(rms(x, 1.5, 1.85), 1e-3);
  EXPECT_LT(rms(x, 0, 1.2), 1e-5);
}

TEST(Singing, MelodiesAreMadeSingable) {
  const std::shared_ptr<Singer> singer = pulse_singer();
  const VoiceOptions options = plain();
  EXPECT_TRUE(singer->sing({}, options, 1).empty());
  const std::vector<SungNote> nothing = {{1, 0, 60, 90}, {2, 0.01, 60, 90}};
  EXPECT_TRUE(singer->sing(nothing, options, 1).empty());
  // One that runs into the next ends there; of a chord the highest is sung; the order does not matter.
  const std::vector<SungNote> overlapping = {{1.0, 0.5, 43, 90}, {0.5, 2.0, 50, 90}, {1.0, 0.5, 52, 90}};
  const std::vector<SungNote> apart = {{0.5, 0.5, 50, 90}, {1.0, 0.5, 52, 90}};
  EXPECT_EQ(singer->sing(overlapping, options, 1), singer->sing(apart, options, 1));
  // Keys that no one sings.
  for (const auto& [key, sung] : {std::pair{0.0, 36.0}, {127.0, 91.0}, {100.0, 88.0}}) {
    const std::vector<SungNote> note = {{0.5, 1, key, 90}};
    EXPECT_NEAR(median_key(left_of(singer->sing(note, options, 1)), 0.9, 1.3), sung, 0.3) << key;
  }
  // A man sings a high melody lower.
  VoiceOptions fitted = options;
  fitted.fit_range = true;
  EXPECT_NEAR(median_key(left_of(singer->sing(scale({81}, 1), fitted, 1)), 0.9, 1.3), 57, 0.3);
  // Nobody holds a note for minutes.
  const std::vector<float> held = left_of(singer->sing(std::vector<SungNote>{{0, 100, 50, 90}}, options, 1));
  EXPECT_GT(rms(held, 19, 19.9), 0.02);
  EXPECT_NEAR(static_cast<double>(held.size()), (kMaxSungNoteSeconds + 0.3) * kSungHz, 2);
}

TEST(Singing, RefusesNotesAndOptionsOutOfRange) {
  const std::shared_ptr<Singer> singer = pulse_singer();
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  for (const SungNote& bad : std::vector<SungNote>{{-1, 1, 60, 90},
                                                   {nan, 1, 60, 90},
                                                   {0, nan, 60, 90},
                                                   {0, -1, 60, 90},
                                                   {0, infinity, 60, 90},
                                                   {1e9, 1, 60, 90},
                                                   {0, 1, -1, 90},
                                                   {0, 1, 127.5, 90},
                                                   {0, 1, nan, 90},
                                                   {0, 1, 60, 0},
                                                   {0, 1, 60, 128}}) {
    expect_error(ExitCode::kUsage, "note 1 of the melody cannot be sung", [&] {
      singer->sing(std::vector<SungNote>{{0, 1, 60, 90}, bad}, plain(), 1);
    });
  }
  const auto refuses = [&](const char* says, auto change) {
    VoiceOptions options = plain();
    change(options);
    expect_error(ExitCode::kUsage, says, [&] { singer->sing(scale({50}), options, 1); });
  };
  refuses("formant_ratio", [](VoiceOptions& o) { o.formant_ratio = 0; });
  refuses("vibrato_hz", [](VoiceOptions& o) { o.vibrato_hz = std::nan(""); });
  refuses("num_doubles", [](VoiceOptions& o) { o.num_doubles = 1000000; });
  refuses("harmonies", [](VoiceOptions& o) { o.harmonies.resize(5); });
  refuses("scale_steps", [](VoiceOptions& o) { o.harmonies = {{.scale_steps = 15}}; });
  refuses("no voice \"nobody\"; here are pulses", [](VoiceOptions& o) { o.voice = "nobody"; });
  expect_error(ExitCode::kIo, "espeak-ng", [] { Singer(std::vector<std::shared_ptr<const SpeechVoice>>()); });
}

TEST(Singing, TenThousandNotes) {
  std::vector<SungNote> notes;
  CounterRandom random(7, 0, 0);
  for (int i = 0; i < 10000; ++i) {
    notes.push_back({0.05 * i, 0.04 + 0.02 * random.uniform(), 40 + std::floor(30 * random.uniform()),
                     1 + static_cast<int>(random.below(127))});
  }
  VoiceOptions options = random_voice_options(2);
  options.num_doubles = 0;
  options.harmonies.clear();
  const std::vector<float> stereo = pulse_singer()->sing(notes, options, 1);
  EXPECT_GT(stereo.size(), size_t{2} * 499 * kSungHz);
  EXPECT_TRUE(std::ranges::all_of(stereo, [](float x) { return std::abs(x) <= 1; }));
  const std::vector<float> x = left_of(stereo);
  for (double t = 1; t < 499; t += 10) EXPECT_GT(rms(x, t, t + 1), 1e-3) << t;
}

TEST(Singing, DrawnOptionsSingAndTheSameSeedGivesTheSameSamplesOnAnyThread) {
  const std::vector<std::shared_ptr<const SpeechVoice>> voices = {std::make_shared<PulseVoice>("a"),
                                                                  std::make_shared<PulseVoice>("b", Sex::kFemale)};
  const std::vector<SungNote> notes = scale({60, 62, 64, 60, 67, 65}, 0.3);
  const Singer alone(voices), shared(voices);
  std::vector<std::vector<float>> one(8), many(8);
  for (uint64_t i = 0; i < 8; ++i) one[i] = alone.sing(notes, random_voice_options(i), i);
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (uint64_t i = 0; i < 2; ++i) {
        const uint64_t seed = 7 - (2 * t + i);
        many[seed] = shared.sing(notes, random_voice_options(seed), seed);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_TRUE(one[i] == many[i]) << i;
    for (size_t j = 0; j < i; ++j) EXPECT_TRUE(one[i] != one[j]);
  }
}

TEST(Singing, SpeechIsTakenApartIntoSyllables) {
  const std::vector<std::string> words = word_line(WordList::kEnglish, 0);
  const std::vector<Syllable> syllables = analyse_speech(PulseVoice().speak(words));
  ASSERT_EQ(syllables.size(), words.size());
  for (const Syllable& syllable : syllables) {
    EXPECT_NEAR(syllable.onset_frames * kVoiceFrameSeconds, kOnsetSeconds, 0.03);
    EXPECT_NEAR(syllable.nucleus_frames * kVoiceFrameSeconds, kVowelSeconds, 0.04);
    for (int t = 0; t < static_cast<int>(syllable.frames.size()); ++t) {
      const VoiceFrame& frame = syllable.frames[t];
      const bool is_vowel = t >= syllable.onset_frames && t < syllable.onset_frames + syllable.nucleus_frames;
      if (is_vowel) {
        EXPECT_EQ(frame.voiced, 1.0f);
      }
      EXPECT_TRUE(std::ranges::all_of(frame.log_power, [](float x) { return std::isfinite(x); }));
      EXPECT_TRUE(std::ranges::all_of(frame.noise_share, [](float x) { return x >= 0 && x <= 1; }));
    }
    // The envelope has the first formant.
    const VoiceFrame& middle =
        syllable.frames[static_cast<size_t>(syllable.onset_frames + syllable.nucleus_frames / 2)];
    const auto peak = std::ranges::max_element(middle.log_power) - middle.log_power.begin();
    EXPECT_GT(hz_of_point(static_cast<float>(peak)), 480);
    EXPECT_LT(hz_of_point(static_cast<float>(peak)), 900);
  }
  EXPECT_TRUE(analyse_speech({.sample_rate_hz = 16000, .samples = std::vector<float>(16000, 0.0f)}).empty());
  EXPECT_TRUE(analyse_speech({.sample_rate_hz = 16000, .samples = {}}).empty());
}

TEST(Singing, LinesOfWordsAreAlwaysTheSame) {
  std::set<std::vector<std::string>> lines;
  for (const WordList list : {WordList::kEnglish, WordList::kOpenSyllables}) {
    for (int i = 0; i < kNumWordLines; ++i) {
      const std::vector<std::string> line = word_line(list, i);
      EXPECT_EQ(line, word_line(list, i));
      EXPECT_EQ(std::set<std::string>(line.begin(), line.end()).size(), static_cast<size_t>(kWordsPerLine));
      lines.insert(line);
    }
    const auto words = words_of(list);
    EXPECT_EQ(std::set<std::string>(words.begin(), words.end()).size(), words.size());
  }
  EXPECT_EQ(lines.size(), size_t{2} * kNumWordLines);
  EXPECT_THROW(word_line(WordList::kEnglish, kNumWordLines), Error);
}

// A voice whose program is a shell script.
class ProgramVoices : public testing::Test {
 protected:
  std::shared_ptr<const SpeechVoice> voice(const std::string& script, double limit_seconds = 30) {
    const std::string path = dir_ / "speak";
    write_bytes(path, "#!/bin/sh\n" + script);
    chmod(path.c_str(), 0755);
    return program_voice("made", Sex::kMale, WordList::kEnglish, path, {}, limit_seconds);
  }
  void fails(const std::shared_ptr<const SpeechVoice>& voice, const std::string& says) {
    const std::vector<std::string> words = {"love", "moon"};
    expect_error(ExitCode::kIo, says, [&] { voice->speak(words); });
  }

  TempDir dir_;
};

std::string wav_of(const Speech& speech, size_t claimed_bytes) {
  const auto number = [](size_t value, int bytes) {
    std::string text;
    for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i) & 255);
    return text;
  };
  const auto rate_hz = static_cast<size_t>(speech.sample_rate_hz);
  std::string wav = "RIFF" + number(claimed_bytes, 4) + "WAVEfmt " + number(16, 4) + number(1, 2) + number(1, 2) +
                    number(rate_hz, 4) + number(2 * rate_hz, 4) + number(2, 2) + number(16, 2) + "data" +
                    number(claimed_bytes, 4);
  for (const float x : speech.samples) wav += number(static_cast<uint16_t>(std::lround(32767 * x)), 2);
  return wav;
}

TEST_F(ProgramVoices, SpeakWhatComesThroughAPipe) {
  const std::vector<std::string> words = {"love", "moon"};
  const Speech spoken = PulseVoice().speak(words);
  write_bytes(dir_ / "speech.wav", wav_of(spoken, 0x7FFFF000));  // as espeak-ng does, which cannot know its length
  const Speech heard = voice("cat > " + (dir_ / "words") + "; cat " + (dir_ / "speech.wav"))->speak(words);
  EXPECT_EQ(read_bytes(dir_ / "words"), "love.\nmoon.\n");
  EXPECT_EQ(heard.sample_rate_hz, spoken.sample_rate_hz);
  ASSERT_EQ(heard.samples.size(), spoken.samples.size());
  for (size_t i = 0; i < heard.samples.size(); ++i) ASSERT_NEAR(heard.samples[i], spoken.samples[i], 1e-4);
}

TEST_F(ProgramVoices, AreHeardWhenTheirHeaderSaysNothing) {
  // As Festival does: sizes of 0, and in the end the header once more, which could not be written at the beginning.
  const Speech spoken = PulseVoice().speak(std::vector<std::string>{"love"});
  const std::string wav = wav_of(spoken, 0), header = wav_of(spoken, 2 * spoken.samples.size()).substr(0, 44);
  for (const std::string& end : {std::string(), header}) {
    write_bytes(dir_ / "speech.wav", wav + end);
    const Speech heard = voice("cat " + (dir_ / "speech.wav"))->speak(std::vector<std::string>{"love"});
    ASSERT_EQ(heard.samples.size(), spoken.samples.size());
    for (size_t i = 0; i < heard.samples.size(); ++i) ASSERT_NEAR(heard.samples[i], spoken.samples[i], 1e-4);
  }
}

TEST_F(ProgramVoices, ThatAreInstalledSpeak) {
  const auto voices = installed_voices();
  if (voices.empty()) GTEST_SKIP() << "no program of speech is installed";
  for (const auto& installed : voices) {
    const Speech speech = installed->speak(word_line(installed->words(), 0));
    EXPECT_GT(static_cast<double>(speech.samples.size()) / speech.sample_rate_hz, 1) << installed->name();
  }
}

TEST_F(ProgramVoices, ThatAreMissingFailOrPrintGarbageGiveClearErrors) {
  fails(program_voice("made", Sex::kMale, WordList::kEnglish, dir_ / "none", {}), "none: there is no such program");
  fails(program_voice("made", Sex::kMale, WordList::kEnglish, "no-such-program-of-speech", {}), "no such program");
  fails(voice("echo the voice is broken >&2; exit 3"), "ended with status 3: the voice is broken");
  fails(voice("kill -9 $$"), "ended by signal 9");
  fails(voice("echo hello"), "expected a WAV file, got 6 bytes");
  fails(voice(""), "expected a WAV file, got 0 bytes");
  fails(voice("exec cat /dev/zero"), "wrote more than");
  const std::string wav = wav_of({.sample_rate_hz = 16000, .samples = std::vector<float>(8000, 0.0f)}, 16000);
  const auto plays = [&](const std::string& bytes) {
    write_bytes(dir_ / "speech.wav", bytes);
    return voice("cat " + (dir_ / "speech.wav"));
  };
  fails(plays(wav), "it is silent");
  fails(plays(wav.substr(0, 44)), "it has no samples");
  fails(plays(wav.substr(0, 30)), "its format chunk is cut short");
  std::string stereo = wav;
  stereo[22] = 2;
  fails(plays(stereo), "2 channels");
  std::string slow = wav;
  slow[24] = slow[25] = 0;
  fails(plays(slow), "0 Hz");
  std::string noise(1000, 'x');
  for (size_t i = 0; i < noise.size(); ++i) noise[i] = static_cast<char>(CounterRandom(1, 2, i).next());
  fails(plays(noise), "expected a WAV file");
  // It sounds, but nothing in it is voiced.
  Speech hiss{.sample_rate_hz = 16000, .samples = {}};
  CounterRandom random(3, 4, 5);
  for (int i = 0; i < 16000; ++i) hiss.samples.push_back(static_cast<float>(0.02 * random.normal()));
  const Singer singer({plays(wav_of(hiss, 32000))});
  expect_error(ExitCode::kIo, "no syllable with a vowel", [&] { singer.sing(scale({50}), plain(), 1); });
}

TEST_F(ProgramVoices, ThatHangAreStoppedWithWhatTheyStarted) {
  const auto begin = std::chrono::steady_clock::now();
  fails(voice("exec < /dev/null > /dev/null 2>&1; sleep 300", 0.5), "did not end within 0.5 seconds");
  std::string helper;
  for (double limit = 0.5; helper.empty() && limit < 100; limit *= 4) {  // longer on a machine too busy to begin
    fails(voice("sleep 300 & echo $! > " + (dir_ / "pid") + "; sleep 300", limit), "did not end within");
    helper = read_bytes(dir_ / "pid");
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(250));
  ASSERT_FALSE(helper.empty());
  const std::string process = "/proc/" + helper.substr(0, helper.find('\n')) + "/stat";
  for (int i = 0; i < 200; ++i) {
    const std::string stat = read_bytes(process);
    if (stat.empty() || stat.find(") Z") != std::string::npos) return;  // gone, or nobody has asked for it yet
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  FAIL() << "what the program started is still running";
}

TEST_F(ProgramVoices, LongTextsPassBothWaysAtOnce) {
  std::string text;
  for (int i = 0; i < 300000; ++i) text += static_cast<char>('a' + i % 26);
  EXPECT_EQ(run_program({"cat"}, text, {}), text);
  EXPECT_EQ(run_program({"true"}, text, {}), "");  // does not read
}

TEST(InstalledVoices, SingInTune) {
  const auto voices = installed_voices();
  const auto espeak =
      std::ranges::find_if(voices, [](const auto& voice) { return voice->name() == "espeak:en-us+m3"; });
  if (espeak == voices.end()) GTEST_SKIP() << "espeak-ng is not installed";
  EXPECT_TRUE(Singer::available());
  const Singer singer({*espeak});
  const std::vector<SungNote> notes = scale({48, 52, 55, 60, 57, 53, 50, 45}, 0.8);
  const std::vector<float> stereo = singer.sing(notes, plain(), 1);
  expect_pitch(left_of(stereo), notes);
  EXPECT_TRUE(Singer({*espeak}).sing(notes, plain(), 1) == stereo);
}

}  // namespace
}  // namespace vqcodec::dataset
