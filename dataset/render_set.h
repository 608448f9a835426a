// Many MIDI files become a set of songs on disk: <out>/<song>-<variant>/{vocals,bass,drums,other}.{flac,wav} with a
// song.json each. A stem that is silent has no file. A folder is there only when it is whole.
//
// song.json: what RenderedSong::facts has (dataset/render.cc), after "format" ("vqdata render 1"), "manifest" (SHA-256 of
// all that the song depends on), "song", "midi" (file), "licence"; every stem names its "file".
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "dataset/render.h"

namespace vqcodec::dataset {

struct RenderSetOptions {
  std::vector<std::string> inputs;  // MIDI files, or folders that are searched for .mid and .midi
  std::string out;                  // folder, made if it is not there
  std::string format = "flac";      // or "wav"; 16 bits
  int num_variants = 1;             // of every song, 1 to 10000
  std::string licence{};            // of the songs; "" = what a licence file in a MIDI file's folder says
  std::string singer{};             // identifies what RenderOptions::sing does, for the manifest
  int num_threads = 0;              // songs at once, 0 = one a core
  bool force = false;               // render also what is there and matches
  RenderOptions render;
  // Called with (songs done, songs in all), and with remarks on files.
  std::function<void(size_t, size_t)> on_progress{};
  std::function<void(const std::string&)> on_remark{};
};

struct RenderSetReport {
  size_t num_rendered = 0, num_kept = 0;
  std::vector<std::string> skipped;  // one message a MIDI file that is damaged or has nothing to play
  double audio_seconds = 0;          // rendered
  double thread_seconds = 0;         // CPU time that took
  size_t num_sung = 0;               // songs with vocals
  // Seconds of each group's stems, in the order of kRenderGroups.
  std::array<double, 4> stem_seconds{};
};

// The same options give the same files, whatever the number of threads. Songs that are there and whose manifest matches
// are kept; a folder of another manifest is replaced. Throws Error(kUsage) for options, for two inputs that would have
// one name, and for a folder in the way that this did not write; Error(kIo), for example on a full disk: finished songs
// stay.
RenderSetReport render_set(const RenderSetOptions& options, const FontLibrary& fonts, const GrooveSet* grooves);

}  // namespace vqcodec::dataset
