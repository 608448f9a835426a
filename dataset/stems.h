// Songs as folders of stems, held in memory as int16, and the mixer that draws training batches from them or from packed
// sets (dataset/pack.h).
//
// Songs lie on disk as one of the layouts of dataset/layout.h says, by itself <root>/<song>/<source>.<extension of any
// audio file>. A source without a file is silence; of several files of which one is meant the first by name is read, and
// the others are reported. Stems of unlike lengths are padded with silence to the longest, and the difference is reported;
// so is a song whose stems do not sum to its mixture, which is used all the same.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/counter_random.h"

namespace vqcodec::audio {
class AudioReader;
}

namespace vqcodec::dataset {

struct AudioFile;
struct Listing;
struct SongFiles;
class Layout;

// Where the audio of a song is that is not in memory. Safe to use from several threads at once.
class SongAudio {
 public:
  virtual ~SongAudio() = default;
  // False: the source is silent throughout.
  virtual bool has(size_t source) const = 0;
  // Fills interleaved stereo [n, 2] with the frames [start, start + n), all of which lie in the song. Throws
  // Error(kBadFile) for what is damaged.
  virtual void read(size_t source, int64_t start, std::span<int16_t> interleaved) const = 0;
};

struct Song {
  std::string name;  // of the folder or file, as the layout says
  int sample_rate_hz = 44100;
  int64_t num_frames = 0;  // samples per channel
  // Per source, interleaved stereo [2 * num_frames] int16; empty = silence throughout. None when `audio` is set.
  std::vector<std::vector<int16_t>> stems;
  std::shared_ptr<const SongAudio> audio;
  // Per source, the start of every whole second in which it sounds (root mean square over -50 dBFS).
  std::vector<std::vector<int64_t>> active_frames;
  // Integrated loudness (EBU R 128, ITU-R BS.1770) in LUFS, per source and of their sum; -infinity for what is silent or
  // shorter than 0.4 s. None when it was not measured.
  std::vector<double> source_loudness_lufs;
  double loudness_lufs = 0;

  bool has(size_t source) const;
  // Fills interleaved stereo [n, 2] with the frames [start, start + n) of a source, with 0 outside the song and where the
  // source is silent. Throws as SongAudio::read.
  void read(size_t source, int64_t start, std::span<int16_t> interleaved) const;
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
  bool measure_loudness = false;  // about 1 s for 100 s of a song with four sources; packed sets know it
};

// A packed set when `root` is one: its audio stays on disk, and `check_sums` has no meaning. Throws Error(kIo) when `root` cannot be read, Error(kBadFile) when it has no song with any source or a damaged one,
// Error(kUsage) for a layout or split that there is not.
std::vector<Song> load_songs(const std::string& root, const LoadOptions& options);

// One song of the listing of `root` in memory; none when its files hold no audio. Throws as load_songs.
std::optional<Song> load_song(const SongFiles& files, const Layout& layout, const std::string& root,
                              const LoadOptions& options);

// Sets source_loudness_lufs and loudness_lufs.
void measure_loudness(Song& song);

// Throws Error(kBadFile) when there are songs whose metadata is damaged.
void require_good_metadata(const Listing& listing);

// Throws as audio::AudioReader::open does, but Error(kBadFile) for an audio stream that the file does not have.
std::unique_ptr<audio::AudioReader> open_audio(const AudioFile& file, int sample_rate_hz);

// Root mean square over which a second of stereo counts as sounding, full scale 1: -50 dBFS.
inline constexpr double kActiveRms = 0.00316;

using vqcodec::CounterRandom;

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
  double tilt_deviation_db_per_octave = 0.0;  // of a straight line over the spectrum, per source, normal; 1 kHz keeps
  // Before the gains above, whose deviations are then those around these targets: a source of a mix of different songs is
  // brought to `source_loudness_lufs` by its integrated loudness, and a coherent item as a whole, with its balance, to
  // `song_loudness_lufs` by its song's, by at most kMaxLevelDb up or down.
  bool level_by_loudness = false;
  double source_loudness_lufs = -20.0;
  double song_loudness_lufs = -14.0;
};

inline constexpr double kMaxLevelDb = 24;
inline constexpr double kMaxTiltDb = 6;  // per octave; steeper draws are cut to this

// A set of songs that is drawn from with a weight (relative share of the draws of each source).
struct WeightedSongs {
  std::vector<Song> songs;
  double weight = 1.0;
};

// The spectral tilt: a cascade of first-order filters whose poles and zeros are spread evenly over the octaves from 30 Hz
// to 0.4 times the sample rate (Smith and Smith, "Closed form fractional integration and differentiation via real
// exponentially spaced pole-zero pairs", 2016). Between 60 Hz and 0.25 times the sample rate it keeps to a straight line
// within 0.3 dB for every dB an octave; at 1 kHz its gain is 1.
struct TiltFilter {
  struct Section {
    double b0 = 1, b1 = 0, a1 = 0;  // y[t] = b0 x[t] + b1 x[t-1] - a1 y[t-1]
  };
  std::vector<Section> sections;
  double gain = 1;

  TiltFilter(double db_per_octave, int sample_rate_hz);
  void apply(std::span<float> samples) const;  // from silence on, in place
};

// How one source of an item is made.
struct SourcePlan {
  const Song* song = nullptr;  // null = left out: silence
  int64_t start_frame = 0;     // of the song; frames before or after it are silence
  double speed = 1;            // frames of the song a frame of the item; other than 1 by 4-point Hermite interpolation
  float gain = 1;              // linear, negative = polarity flipped
  bool swap_channels = false;
  float left_gain = 1, right_gain = 1;  // after the swap
  double tilt_db_per_octave = 0;
};

class Mixer {
 public:
  // `sets` is kept by reference. Throws Error(kBadFile) when a source sounds in no song, Error(kUsage) when songs are to
  // be levelled by a loudness that was not measured.
  Mixer(const std::vector<WeightedSongs>& sets, int num_sources, uint64_t seed, MixOptions options);

  // What item `item` of step `step` is made of, per source. The same numbers every time.
  std::vector<SourcePlan> plan(uint64_t step, uint64_t item, int64_t num_frames) const;
  // One source into `out`: [2, num_frames] float32.
  static void execute(const SourcePlan& plan, size_t source, std::span<float> out);
  // plan() and execute() of every source into `out`: [num_sources, 2, num_frames] float32.
  void draw(uint64_t step, uint64_t item, int64_t num_frames, std::span<float> out) const;

  const std::vector<WeightedSongs>& sets() const { return sets_; }
  int num_sources() const { return num_sources_; }

 private:
  struct Choice {
    const Song* song;
    double cumulative;  // share of this source's draws up to and with this song
  };
  const Song& choose(const std::vector<Choice>& choices, CounterRandom& random) const;

  const std::vector<WeightedSongs>& sets_;
  int num_sources_;
  uint64_t seed_;
  MixOptions options_;
  std::vector<std::vector<Choice>> by_source_;  // songs in which the source sounds
  std::vector<Choice> coherent_;                // songs with at least two sounding sources
};

}  // namespace vqcodec::dataset
