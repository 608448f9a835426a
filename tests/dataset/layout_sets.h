// Small sets of songs on disk, one for each shipped layout, whose sources sum to their mixtures.
#pragma once

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "audio/writer.h"
#include "tests/audio/audio_test_util.h"
#include "tests/base/temp_dir.h"

namespace vqcodec::dataset {

inline constexpr int kSetRateHz = 16000;
inline constexpr int64_t kSetFrames = 3 * kSetRateHz;
inline const std::vector<std::string> kGroups = {"vocals", "bass", "drums", "other"};

// Interleaved stereo [2 * num_frames] of seeded noise whose bands come and go, peak below 0.2.
inline std::vector<float> make_sound(uint32_t seed, int64_t num_frames = kSetFrames) {
  std::mt19937 random(seed);
  const auto uniform = [&] { return static_cast<double>(random()) / 4294967296.0; };
  std::vector<float> samples(2 * static_cast<size_t>(num_frames));
  double hz = 0, level = 0, phase = 0, low = 0;
  for (int64_t t = 0; t < num_frames; ++t) {
    if (t % 1600 == 0) {
      hz = 150 + 2500 * uniform();
      level = 0.02 + 0.08 * uniform();
    }
    phase += 2 * M_PI * hz / kSetRateHz;
    low += 0.2 * (uniform() - 0.5 - low);
    const double value = level * std::sin(phase) + 0.15 * low;
    samples[2 * static_cast<size_t>(t)] = static_cast<float>(value);
    samples[2 * static_cast<size_t>(t) + 1] = static_cast<float>(0.7 * value);
  }
  return samples;
}

inline std::vector<float> sum_of(const std::vector<std::vector<float>>& sounds) {
  std::vector<float> sum;
  for (const auto& sound : sounds) {
    sum.resize(std::max(sum.size(), sound.size()));
    for (size_t i = 0; i < sound.size(); ++i) sum[i] += sound[i];
  }
  return sum;
}

inline void write_sound(const std::string& path, const std::vector<float>& samples, int sample_rate_hz = kSetRateHz) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  const auto writer = audio::AudioWriter::open(path, {.sample_rate_hz = sample_rate_hz, .force = true});
  writer->write(samples);
  writer->finish();
}

inline void write_text(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  write_bytes(path, text);
}

// <folder>/{vocals,bass,drums,other,mixture}<extension>, sources of seeds seed to seed + 3.
inline void write_song(const std::string& folder, uint32_t seed, const std::string& extension = ".wav",
                       const std::string& mixture_folder = {}) {
  std::vector<std::vector<float>> sounds;
  for (const std::string& group : kGroups) {
    sounds.push_back(make_sound(seed++));
    write_sound(folder + "/" + group + extension, sounds.back());
  }
  write_sound((mixture_folder.empty() ? folder : mixture_folder) + "/mixture" + extension, sum_of(sounds));
}

inline void make_stems_set(const TempDir& root) {
  write_song(root / "a song", 10, ".flac");
  write_song(root / "b song", 20, ".wav");
}

inline void make_musdb18hq_set(const TempDir& root) {
  write_song(root / "train/A - One", 30);
  write_song(root / "train/Leaf - Summerghost", 40);  // one of the fourteen
  write_song(root / "test/C - Three", 50);
}

// A real stem.mp4: `sounds` as AAC streams.
inline void write_stem_mp4(const std::string& path, const std::vector<std::vector<float>>& sounds) {
  const TempDir dir;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::string inputs, maps;
  for (size_t i = 0; i < sounds.size(); ++i) {
    const std::string wav = dir / (std::to_string(i) + ".wav");
    write_sound(wav, sounds[i]);
    inputs += "-i " + wav + ' ';
    maps += "-map " + std::to_string(i) + ":a ";
  }
  audio::run_ffmpeg(inputs + maps + "-c:a aac -b:a 96k '" + path + "'");
}

// The mixture, drums, bass, other and vocals of seeds seed to seed + 3 in kGroups' order.
inline std::vector<std::vector<float>> stem_mp4_sounds(uint32_t seed) {
  const auto vocals = make_sound(seed), bass = make_sound(seed + 1), drums = make_sound(seed + 2),
             other = make_sound(seed + 3);
  return {sum_of({vocals, bass, drums, other}), drums, bass, other, vocals};
}

inline void make_musdb18_set(const TempDir& root) {
  write_stem_mp4(root / "train/A - One.stem.mp4", stem_mp4_sounds(60));
  write_stem_mp4(root / "train/Meaxic - Take A Step.stem.mp4", stem_mp4_sounds(70));
  write_stem_mp4(root / "test/C - Three.stem.mp4", stem_mp4_sounds(80));
  write_bytes(root / "train/._A - One.stem.mp4", "what macOS leaves behind");
}

inline void make_dsd100_set(const TempDir& root) {
  write_song(root / "Sources/Dev/051 - A - One", 90, ".wav", root / "Mixtures/Dev/051 - A - One");
  write_song(root / "Sources/Test/001 - B - Two", 100, ".wav", root / "Mixtures/Test/001 - B - Two");
}

// As metadata.yaml of slakh2100: two basses of which one was not rendered, a synthesizer, a drum kit.
inline std::string slakh_metadata() {
  const auto stem = [](const std::string& key, const std::string& inst_class, bool is_drum, bool is_rendered) {
    return "  " + key + ":\n    audio_rendered: " + (is_rendered ? "true" : "false") +
           "\n    inst_class: " + inst_class +
           "\n    integrated_loudness: -12.8\n    is_drum: " + (is_drum ? "true" : "false") +
           "\n    midi_program_name: Some Name\n    midi_saved: true\n    plugin_name: some.nkm\n    program_num: 30\n";
  };
  return "UUID: 1a81ae092884234f3264e2f45927f00a\naudio_dir: stems\nnormalized: true\noverall_gain: 0.18\nstems:\n" +
         stem("S00", "Bass", false, true) + stem("S01", "Bass", false, false) + stem("S02", "Synth Lead", false, true) +
         stem("S03", "Drums", true, true) + stem("S04", "Guitar", false, true) + "target_peak: -1.0\n";
}

inline void write_slakh_song(const std::string& folder, uint32_t seed) {
  std::vector<std::vector<float>> sounds;
  for (const char* key : {"S00", "S02", "S03", "S04"}) {
    sounds.push_back(make_sound(seed++));
    write_sound(folder + "/stems/" + key + ".flac", sounds.back());
  }
  write_sound(folder + "/mix.flac", sum_of(sounds));
  write_text(folder + "/metadata.yaml", slakh_metadata());
}

inline void make_slakh2100_set(const TempDir& root) {
  write_slakh_song(root / "train/Track00001", 110);
  write_slakh_song(root / "omitted/Track00049", 120);
}

inline std::string medleydb_metadata(const std::string& song, const std::string& last_instrument = "male singer") {
  std::string text = "album: ''\nartist: Some One\ncomposer:\n- Some One\nhas_bleed: 'yes'\nmix_filename: " + song +
                     "_MIX.wav\nraw_dir: " + song + "_RAW\nstem_dir: " + song + "_STEMS\nstems:\n";
  int number = 1;
  for (const std::string& instrument : {std::string("drum set"), std::string("electric bass"), std::string("piano"),
                                        std::string("Main System"), std::string("violin"), last_instrument}) {
    const std::string id = std::string("0").append(std::to_string(number++));
    text += "  S" + id + ":\n    component: ''\n    filename: " + song + "_STEM_" + id +
            ".wav\n    instrument: " + instrument + "\n    raw:\n      R01:\n        filename: " + song + "_RAW_" + id +
            "_01.wav\n        instrument: " + instrument + "\n";
  }
  return text + "title: Some Title\nversion: 1.2\nwebsite: []\n";
}

inline void make_medleydb_set(const TempDir& root) {
  const std::string song = "SomeOne_SomeTitle", folder = root / ("Audio/" + song + "/" + song);
  for (uint32_t i = 1; i <= 6; ++i) {
    write_sound(folder + "_STEMS/" + song + "_STEM_0" + std::to_string(i) + ".wav", make_sound(130 + i));
  }
  write_sound(folder + "_MIX.wav", make_sound(139));
  write_text(folder + "_METADATA.yaml", medleydb_metadata(song));
}

inline void make_moisesdb_set(const TempDir& root) {
  const std::string folder = root / "moisesdb_v0.1/0a1b2c3d-uuid";
  const auto track = [&](const std::string& stem, const std::string& id, uint32_t seed) {
    write_sound(folder + "/" + stem + "/" + id + ".wav", make_sound(seed));
    return R"({"id": ")" + id + R"(", "trackType": "some", "extension": "wav", "has_bleed": false})";
  };
  write_text(folder + "/data.json",
             R"({"artist": "Some One", "song": "Some Title", "genre": "pop", "stems": [)"
             R"({"id": "1", "stemName": "vocals", "tracks": [)" +
                 track("vocals", "v1", 140) + "," + track("vocals", "v2", 141) +
                 R"(]}, {"id": "2", "stemName": "percussion", "tracks": [)" + track("percussion", "p1", 142) +
                 R"(]}, {"id": "3", "stemName": "drums", "tracks": [)" + track("drums", "d1", 143) + "]}]}");
}

}  // namespace vqcodec::dataset
