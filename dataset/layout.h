// How a set of songs lies on disk: which files make which source of which song, and which split a song is in. Nothing
// here reads audio.
//
// A layout is a JSON object (those under configs/layouts/ are compiled in, and are examples for one's own):
//   "description", "reference", "licence": text for people; the licence is what the publisher says, "" unknown
//   "groups": names of the sources that together are the mixture
//   "songs": patterns, relative to the set's folder, of the file or (with "/" at the end) folder that makes a song: its
//     anchor. {song} and {split} stand for what is read off the path, "*" for anything; at most one of them is unknown
//     between two slashes. A pattern that begins with "{split}/" also fits a set's folder that is itself a split's.
//   "splits": name of the folder -> name of the split, what {split} may be
//   "split_list": name of a list under configs/splits/ (or a JSON file beside the layout's) that moves songs to other
//     splits by name: {"of": split, "splits": {split: [songs]}}, with "description" and "reference"
//   "sources": group -> list of entries, summed. An entry is a pattern, or {"file": pattern or list of alternatives (the
//     first that is there), "stream": index among the file's audio streams, "gain_db", "every": true sums all files that
//     fit (else the first by name)}. The group "*" stands for every source that is not named; {source} is its name,
//     {anchor} the anchor's path, {folder} the anchor's folder (itself, if it is one). "*" in the last part of a pattern
//     is any file, but for those that are text, pictures, MIDI or .vqc by their extensions.
//   "metadata", instead of "sources": stems are listed in the anchor, which is JSON or YAML by its extension.
//     "stems": path to them, such as "stems.*.tracks.*" ("*" = each element of a list or map)
//     "audio": patterns (the first that is there), in which every scalar along the path is a {field}; {key} is the key or
//       number of the last element
//     "groups": rules {"field", "values": {value: group}}, of which the first that fits decides; the group "" leaves out
//     "otherwise": group of what fits no rule; without it that is an error
//     "skip": field -> values with which a stem is passed over
//     "bleed": field that is true or yes when a song or stem has other sources in it
//   "mixture": list of entries, summed; without files the sum of the sources
//   "complete": true when every song should have every group (a missing one is told of)
//   "sum_tolerance_db": by how much the mixture may differ from the sum of its sources, energy of the difference over the
//     mixture's; absent where mixtures are mastered and differ anyway
// Keys that are not listed are refused.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace vqcodec::dataset {

struct AudioFile {
  std::string path;
  int stream_index = 0;  // among the file's audio streams (audio::ReaderOptions)
  double gain = 1;       // linear
};

struct SongFiles {
  std::string name;
  std::string split;                            // "" = in none
  std::vector<std::vector<AudioFile>> sources;  // per wanted source, to be summed; none = silence
  std::vector<AudioFile> mixture;               // to be summed; none = the sum of the sources
  bool has_bleed = false;                       // the metadata says that sources sound in each other's files
  std::vector<std::string> missing;             // sources or files that should be there and are not: taken as silence
  std::vector<std::string> remarks;             // files left out, and why
};

struct Listing {
  std::vector<SongFiles> songs;        // sorted by path; each has a file of at least one source
  std::vector<std::string> left_out;   // songs without any file, with the reason
  std::vector<std::string> bad_songs;  // messages of songs whose metadata is damaged; they are in neither list
};

class Layout {
 public:
  // `where` is for messages; a "split_list" that is a file is looked for beside it. Throws Error(kBadFile) with the key
  // and what was expected.
  static Layout parse(const std::string& json, const std::string& where, const std::string& name);

  const std::string& name() const { return name_; }
  const std::string& description() const { return description_; }
  const std::string& reference() const { return reference_; }
  const std::string& licence() const { return licence_; }
  const std::vector<std::string>& groups() const { return groups_; }
  std::vector<std::string> splits() const;  // that songs can be in, sorted
  std::optional<double> sum_tolerance_db() const { return sum_tolerance_db_; }

  // Songs of the set in `root`. Throws Error(kIo) when `root` is no folder that can be read, Error(kUsage) for a source
  // that the layout does not have.
  Listing list(const std::string& root, const std::vector<std::string>& sources) const;

  // Whether `root` has a song's anchor and, where anchors are folders, in it a file of one of the sources. Throws as
  // list() for `root`.
  bool fits(const std::string& root, const std::vector<std::string>& sources) const;

 private:
  struct Entry {
    std::vector<std::string> files;  // alternatives
    int stream_index = 0;
    double gain = 1;
    bool every = false;
  };
  struct Rule {
    std::string field;
    std::map<std::string, std::string> groups;  // by value
  };
  struct Metadata {
    std::vector<std::string> stems;
    std::vector<std::string> audio;
    std::vector<Rule> rules;
    std::optional<std::string> otherwise;
    std::map<std::string, std::vector<std::string>> skip;
    std::string bleed;
  };
  struct SplitList {
    std::string of;
    std::map<std::string, std::string> splits;  // by song
  };
  struct Anchor;
  struct Reader;

  std::vector<Anchor> find_anchors(const std::string& root) const;
  SongFiles read_song(const std::string& root, const Anchor& anchor, const std::vector<std::string>& sources) const;
  void read_metadata(const std::string& root, const Anchor& anchor, const std::vector<std::string>& sources,
                     SongFiles& song) const;
  void check_sources(const std::vector<std::string>& sources) const;

  std::string name_, description_, reference_, licence_;
  std::vector<std::string> groups_;
  std::vector<std::string> songs_;
  std::map<std::string, std::string> splits_;
  std::map<std::string, std::vector<Entry>> sources_;
  std::optional<Metadata> metadata_;
  std::vector<Entry> mixture_;
  std::optional<SplitList> split_list_;
  bool complete_ = false;
  std::optional<double> sum_tolerance_db_;
};

// Of the layouts that are compiled in, in the order in which detect_layout tries them.
std::vector<std::string> shipped_layout_names();

// The shipped layout of this name, or the layout in this file when it ends in .json. Throws Error(kUsage) for a name that
// is none, Error(kIo, kBadFile) for the file.
Layout load_layout(const std::string& name_or_file);

// The first of shipped_layout_names() that fits: musdb18, musdb18hq, dsd100, stems, slakh2100, medleydb, moisesdb. Throws
// Error(kIo) when `root` is no folder that can be read, Error(kBadFile) when none fits.
Layout detect_layout(const std::string& root, const std::vector<std::string>& sources);

// `layout` as in load_layout, "" = detected.
inline Layout choose_layout(const std::string& layout, const std::string& root,
                            const std::vector<std::string>& sources) {
  return layout.empty() ? detect_layout(root, sources) : load_layout(layout);
}

// Songs in one of `splits` (all, if there are none). Throws Error(kUsage), naming the splits that are there, when a split
// has no song.
std::vector<SongFiles> select_splits(const Listing& listing, const std::vector<std::string>& splits,
                                     const std::string& root);

}  // namespace vqcodec::dataset
