// What vqdata make reads: which songs are made of which material, as JSON. configs/data-default.json is an example.
//
//   "description": text
//   "encoding", "opus_bps": of the packed sets (dataset/pack.h), which a part may override; default opus, 160000
//   "materials": name -> {"path": folder, relative to --material; "licence", "source": texts, where it can be had;
//     "attribution": text, default ""}
//   "fonts": name -> what a role map says of a font (dataset/render_fonts.h), with "licence" and "source" required. "file" is
//     looked for in --material and then, by its name alone, in the folders of --soundfonts
//   "train", "validation": lists of parts. Each becomes a packed set <out>/train/<name> or <out>/validation/<name>
// A part:
//   "name": letters, digits, "-" and "_"; unlike every other part's
//   "kind": "stems", "midi" or "compose"
//   "weight": of the set in training, over 0 to 1000, default 1; not in validation
//   "licence": of the songs; default: put together from those of material, drum takes and fonts
//   "encoding", "opus_bps"
//   "max_seconds": longer songs are cut; 1 to 1800, default 600
// of stems, which are packed as they are:
//   "material"; "layout": name or file, default detected; "songs": names, "exclude": patterns of names
//   "filters": list of {"song", "source", "high_pass_hz": 20 to 2000}: an eighth-order Butterworth filter
// of midi, which are rendered:
//   "material"; "include", "exclude": patterns of file names relative to the material's folder ("*" is any text), default all
//     and none; "slice": [first, end) of those by name, negative from the end, null = open
//   "min_seconds": shorter files are left out; 0 to 1800, default 0
// of compose, which are written anew (dataset/compose.h) and rendered:
//   "songs": number, 1 to 1000000; "first": number of the first, default 0; "styles", default all; "length_seconds": [min, max]
// of midi and compose:
//   "seed": required
//   "fonts": names; may be empty when synth_bass_share is 1 and the groups are bass
//   "variants": songs of each file, 1 to 10000, default 1
//   "groups": of bass, drums, other, melody: what is kept; default all
//   "grooves": material of drum takes that are laid under the songs
//   "max_transpose", "tempo": [min, max], "max_tuning_cents", "synth_bass_share", "pulsed_share", "groove_share", "sing_share":
//     as RenderOptions (dataset/render.h), but sing_share is 0 by default
// Patterns are those of fnmatch(3). Keys that are not listed are refused. A font of a validation part plays in no training
// part, and songs that are composed for validation are in no training part; MIDI files of validation parts are taken out of
// training parts by their content (dataset/make_set.h).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "dataset/compose.h"
#include "dataset/midi.h"
#include "dataset/pack.h"
#include "dataset/render.h"

namespace vqcodec::dataset {

struct MaterialSpec {
  std::string path, licence, source, attribution;
};

struct MakeFont {
  std::vector<std::string> files;  // alternatives
  nlohmann::json role_map;         // the entry of a role map, without "file"
  std::string licence, source, attribution;
};

struct StemFilter {
  std::string song, source;
  double high_pass_hz = 0;
};

enum class PartKind { kStems, kMidi, kCompose };

struct MakePart {
  std::string name;
  PartKind kind = PartKind::kStems;
  bool is_validation = false;
  double weight = 1;
  std::string licence;  // "" = put together
  PackEncoding encoding = PackEncoding::kOpus;
  int opus_bps = 160000;
  double max_seconds = 600;
  std::string material;  // "" of compose

  std::string layout;              // stems
  std::vector<std::string> songs;  // empty = all
  std::vector<StemFilter> filters;

  std::vector<std::string> include, exclude;  // midi; exclude of stems too
  std::optional<int64_t> slice_first, slice_end;
  double min_seconds = 0;

  uint64_t num_composed = 0, first_composed = 0;  // compose
  ComposeOptions compose;

  std::vector<std::string> fonts;  // midi and compose
  int num_variants = 1;
  std::array<bool, 4> groups = {true, true, true, true};  // by MidiGroup
  std::string grooves;
  RenderOptions render;  // without `sing`

  nlohmann::json facts;  // all that its audio depends on, for manifests

  bool keeps(MidiGroup group) const { return groups[static_cast<size_t>(group)]; }
  bool keeps_all() const { return groups == std::array{true, true, true, true}; }
  std::string folder() const { return (is_validation ? "validation/" : "train/") + name; }
};

const char* part_kind_name(PartKind kind);

struct MakeConfig {
  std::string path, description;
  std::map<std::string, MaterialSpec> materials;
  std::map<std::string, MakeFont> fonts;
  std::vector<MakePart> parts;  // those of training first
};

// `where`: the file, for messages. Throws Error(kBadFile) with the key that is wrong and what was expected.
MakeConfig parse_make_config(const std::string& json, const std::string& where);
// Throws Error(kIo) too.
MakeConfig read_make_config(const std::string& path);

}  // namespace vqcodec::dataset
