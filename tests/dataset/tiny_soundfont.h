// Writes a SoundFont 2.01 file of a few kilobytes: presets of a looped sine or of a burst of noise.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <random>
#include <string>
#include <vector>

namespace vqcodec::dataset {

struct TinyPreset {
  uint16_t bank = 0, program = 0;
  bool is_noise = false;  // a burst of 0.2 s on the keys 35 to 60; otherwise a sine on all keys
};

class TinySoundfont {
 public:
  static std::string bytes(const std::vector<TinyPreset>& presets) {
    TinySoundfont font;
    return font.write(presets);
  }
  // A grand piano, a bass, a saw lead (all sines) and a kit of noise.
  static std::string general_midi() { return bytes({{0, 0}, {0, 33}, {0, 81}, {128, 0, true}}); }

 private:
  static void put(std::string& out, uint32_t value, int num_bytes) {
    for (int i = 0; i < num_bytes; ++i) out += static_cast<char>(value >> (8 * i) & 255);
  }
  static void put_name(std::string& out, std::string name) {
    name.resize(20, '\0');
    out += name;
  }
  static std::string chunk(const std::string& id, const std::string& body) {
    std::string out = id;
    put(out, static_cast<uint32_t>(body.size()), 4);
    return out + body + (body.size() % 2 == 1 ? std::string(1, '\0') : "");
  }
  static void put_generator(std::string& out, uint16_t generator, int16_t amount) {
    put(out, generator, 2);
    put(out, static_cast<uint16_t>(amount), 2);
  }

  std::string write(const std::vector<TinyPreset>& presets) {
    constexpr uint32_t kRateHz = 44000, kPeriod = 100, kSine = 44 * kPeriod, kNoise = kRateHz / 5, kGap = 46;
    std::string samples;
    for (uint32_t i = 0; i < kSine; ++i) {
      const double x = std::sin(2 * std::numbers::pi * i / kPeriod);
      put(samples, static_cast<uint16_t>(static_cast<int16_t>(std::lround(16000 * x))), 2);
    }
    samples.append(2 * kGap, '\0');
    std::mt19937 random(5);
    for (uint32_t i = 0; i < kNoise; ++i) {
      const double x = (static_cast<double>(random()) / 2147483648.0 - 1) * std::exp(-12.0 * i / kNoise);
      put(samples, static_cast<uint16_t>(static_cast<int16_t>(std::lround(20000 * x))), 2);
    }
    samples.append(2 * kGap, '\0');

    std::string headers, bags, generators, instruments, instrument_bags, instrument_generators, sample_headers;
    for (size_t i = 0; i < presets.size(); ++i) {
      put_name(headers, (presets[i].is_noise ? "Noise " : "Sine ") + std::to_string(presets[i].program));
      put(headers, presets[i].program, 2);
      put(headers, presets[i].bank, 2);
      put(headers, static_cast<uint32_t>(i), 2);
      headers.append(12, '\0');
      put(bags, static_cast<uint32_t>(i), 2);
      put(bags, 0, 2);
      put_generator(generators, 41, presets[i].is_noise ? 1 : 0);  // instrument
    }
    put_name(headers, "EOP");
    put(headers, 0, 4);
    put(headers, static_cast<uint32_t>(presets.size()), 2);
    headers.append(12, '\0');
    put(bags, static_cast<uint32_t>(presets.size()), 2);
    put(bags, 0, 2);
    put_generator(generators, 0, 0);

    // Instrument 0: looped, released within 0.1 s. Instrument 1: once through, keys 35 to 60, whatever the key at its
    // own pitch.
    put_generator(instrument_generators, 38, -3986);
    put_generator(instrument_generators, 54, 1);
    put_generator(instrument_generators, 53, 0);
    put_generator(instrument_generators, 43, static_cast<int16_t>(35 | 60 << 8));
    put_generator(instrument_generators, 56, 0);
    put_generator(instrument_generators, 53, 1);
    put_generator(instrument_generators, 0, 0);
    const uint32_t first_generators[] = {0, 3, 6};
    const char* names[] = {"Sine", "Noise", "EOI"};
    for (uint32_t i = 0; i < 3; ++i) {
      put_name(instruments, names[i]);
      put(instruments, i, 2);
      put(instrument_bags, first_generators[i], 2);
      put(instrument_bags, 0, 2);
    }
    const auto add_sample = [&](const char* name, uint32_t start, uint32_t length, uint32_t loop_end, bool is_end) {
      put_name(sample_headers, name);
      put(sample_headers, start, 4);
      put(sample_headers, start + length, 4);
      put(sample_headers, is_end ? 0 : start + kPeriod, 4);
      put(sample_headers, is_end ? 0 : start + loop_end, 4);
      put(sample_headers, is_end ? 0 : kRateHz, 4);
      put(sample_headers, is_end ? 0 : 69, 1);  // 440 Hz
      put(sample_headers, 0, 1);
      put(sample_headers, 0, 2);
      put(sample_headers, is_end ? 0 : 1, 2);  // mono
    };
    add_sample("Sine", 0, kSine, kSine - kPeriod, false);
    add_sample("Noise", kSine + kGap, kNoise, kNoise - kPeriod, false);
    add_sample("EOS", 0, 0, 0, true);

    std::string version;
    put(version, 2, 2);
    put(version, 1, 2);
    const std::string end_modulator(10, '\0');
    const std::string info = "INFO" + chunk("ifil", version) + chunk("isng", std::string("EMU8000\0", 8)) +
                             chunk("INAM", std::string("Tiny\0\0", 6));
    const std::string data = "pdta" + chunk("phdr", headers) + chunk("pbag", bags) + chunk("pmod", end_modulator) +
                             chunk("pgen", generators) + chunk("inst", instruments) + chunk("ibag", instrument_bags) +
                             chunk("imod", end_modulator) + chunk("igen", instrument_generators) +
                             chunk("shdr", sample_headers);
    return chunk("RIFF",
                 "sfbk" + chunk("LIST", info) + chunk("LIST", "sdta" + chunk("smpl", samples)) + chunk("LIST", data));
  }
};

}  // namespace vqcodec::dataset
