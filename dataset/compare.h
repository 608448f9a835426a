// How the sources of one set sound against those of another: spectra, levels, dynamics, width; to bring rendered songs
// closer to real ones.
#pragma once

#include <array>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "dataset/stems.h"

namespace vqcodec::dataset {

// Octaves about these frequencies; the first also has what is below, the last what is above.
inline constexpr std::array<double, 10> kOctaveHz = {31.25, 62.5, 125, 250, 500, 1000, 2000, 4000, 8000, 16000};

// Over songs.
struct Spread {
  double low = 0, median = 0, high = 0;  // low, high: a tenth of the songs is below, or above; NaN without a song
};

// Of one source, over the songs in which it sounds for at least 3 s; only seconds in which it sounds count.
struct SourceProfile {
  std::string source;
  size_t num_songs = 0;
  double seconds_sounding = 0;
  std::array<Spread, kOctaveHz.size()> octave_db;  // energy of the octave over that of all
  Spread rms_db;                                   // of full scale 1, both channels
  Spread crest_db;                                 // peak over rms
  Spread range_db;                                 // between the tenth and the ninetieth of 100 seconds by level
  Spread side_db;                                  // energy of left - right over that of left + right; -60 or less is mono
  Spread share;                                    // of the song's seconds in which it sounds, 0 to 1
  Spread below_mixture_db;                         // rms over that of the sum of all sources
};

struct ProfileOptions {
  std::vector<std::string> sources = {"vocals", "bass", "drums", "other"};
  double max_seconds = 60;  // of each song and source that are looked at, spread over it; 0 = all
  int num_threads = 0;      // 0 = one a core
};

// A profile a source. `songs` with these sources, as load_songs gives them. Throws as Song::read.
std::vector<SourceProfile> profile_songs(const std::vector<Song>& songs, const ProfileOptions& options);

// Numbers that are not known are null.
nlohmann::ordered_json to_json(const SourceProfile& profile);

// Medians side by side and their differences, a table a source.
std::string compare_table(const std::vector<SourceProfile>& first, const std::vector<SourceProfile>& second);

}  // namespace vqcodec::dataset
