// Songs as folders of stems, held in memory as packed int16, and the mixer that draws training batches from them.
//
// Songs lie on disk as one of the layouts of dataset/layout.h says, by itself <root>/<song>/<source>.<extension of any
// audio file>. A source without a file is silence; of several files of which one is meant the first by name is read, and
// the others are reported. Stems of unlike lengths are padded with silence to the longest, and the difference is reported;
// so is a song whose stems do not sum to its mixture, which is used all the same.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace vqcodec::audio {
class AudioReader;
}

namespace vqcodec::dataset {

struct AudioFile;

struct Song {
  std::string name;        // of the folder or file, as the layout says
  int64_t num_frames = 0;  // samples per channel
  // Per source, interleaved stereo [2 * num_frames] int16; empty = silence throughout.
  std::vector<std::vector<int16_t>> stems;
  // Per source, the start of every whole second in which it sounds (root mean square over -50 dBFS).
  std::vector<std::vector<int64_t>> active_frames;
};

struct LoadOptions {
  int sample_rate_hz = 44100;
  std::vector<std::string> sources = {"vocals", "bass", "drums", "other"};
  double max_seconds = 0;  // of each song; 0 = all
  // Called with (songs done, songs in all) after each song, and with every remark: what was found, with figures, and what
  // is done about it.
  std::function<void(size_t, size_t)> on_progress{};
  std::function<void(const std::string&)> on_remark{};
  std::string layout{};               // name of a shipped layout or a file, "" = detected (dataset/layout.h)
  std::vector<std::string> splits{};  // only songs in these; none = all songs
  // Whether mixtures are read too, to tell of songs whose stems do not sum to them. Only done when `sources` are all
  // that the layout has.
  bool check_sums = true;
};

// Throws Error(kIo) when `root` cannot be read, Error(kBadFile) when it has no song with any source or a damaged one,
// Error(kUsage) for a layout or split that there is not.
std::vector<Song> load_songs(const std::string& root, const LoadOptions& options);

// Throws as audio::AudioReader::open does, but Error(kBadFile) for an audio stream that the file does not have.
std::unique_ptr<audio::AudioReader> open_audio(const AudioFile& file, int sample_rate_hz);

// Root mean square over which a second of stereo counts as sounding, full scale 1: -50 dBFS.
inline constexpr double kActiveRms = 0.00316;

// A counter-based generator: the same (seed, stream, item) gives the same draws on every machine, so that a training
// run resumes by its step number alone. SplitMix64 (Steele, Lea, Flood 2014) over a hashed key.
class CounterRandom {
 public:
  CounterRandom(uint64_t seed, uint64_t stream, uint64_t item);
  uint64_t next();
  double uniform();                // in [0, 1)
  double normal();                 // mean 0, deviation 1 (Box-Muller)
  uint64_t below(uint64_t bound);  // in [0, bound), bound >= 1
  bool chance(double probability) { return uniform() < probability; }

 private:
  uint64_t state_;
};

struct MixOptions {
  double coherent_share = 0.3;             // share of items whose sources are of one song at one time
  double silent_probability = 0.15;        // of each source of a mix of different songs
  double gain_deviation_db = 4.0;          // per source, normal
  double song_gain_deviation_db = 4.0;     // of the whole item, normal
  double active_probability = 0.9;         // that a drawn position lies where the source sounds
  double channel_gain_deviation_db = 0.0;  // of left against right, per source, normal
  bool swap_channels = true;               // left and right, per source, one time in two
  bool flip_polarity = true;               // per source, one time in two
  double min_speed = 1.0;                  // resampling factor of an item's source, uniform in [min_speed, max_speed]
  double max_speed = 1.0;
};

// A set of songs that is drawn from with a weight (relative share of the draws of each source).
struct WeightedSongs {
  std::vector<Song> songs;
  double weight = 1.0;
};

class Mixer {
 public:
  // `sets` is kept by reference. Throws Error(kBadFile) when a source sounds in no song.
  Mixer(const std::vector<WeightedSongs>& sets, int num_sources, uint64_t seed, MixOptions options);

  // Draws item `item` of step `step` into `out`: [num_sources, 2, num_frames] float32. The same numbers every time.
  void draw(uint64_t step, uint64_t item, int64_t num_frames, std::span<float> out) const;

 private:
  struct Choice {
    const Song* song;
    double cumulative;  // share of this source's draws up to and with this song
  };
  const Song& choose(const std::vector<Choice>& choices, CounterRandom& random) const;
  void copy_source(const Song& song, size_t source, int64_t start, double speed, float gain, bool swap,
                   std::span<float> out) const;

  int num_sources_;
  uint64_t seed_;
  MixOptions options_;
  std::vector<std::vector<Choice>> by_source_;  // songs in which the source sounds
  std::vector<Choice> coherent_;                // songs with at least two sounding sources
};

}  // namespace vqcodec::dataset
