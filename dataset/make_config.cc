#include "dataset/make_config.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <set>

#include "base/error.h"
#include "dataset/layout.h"
#include "dataset/render_fonts.h"

namespace vqcodec::dataset {

using nlohmann::json;

namespace {

constexpr size_t kMaxConfigBytes = 4 << 20;
constexpr size_t kMaxParts = 1000;

// Reads the keys of one object; finish() refuses those that nobody asked for.
class Fields {
 public:
  Fields(const json& object, std::string where, const char* separator = ".")
      : object_(object), where_(std::move(where)), separator_(separator) {
    if (!object.is_object()) throw Error(ExitCode::kBadFile, where_ + ": expected an object");
  }

  [[noreturn]] void fail(const std::string& key, const std::string& expected) const {
    const auto found = object_.find(key);
    std::string got = "missing";
    if (found != object_.end()) {
      got = found->dump(-1, ' ', false, json::error_handler_t::replace);
      if (got.size() > 60) got = got.substr(0, 57) + "...";
      got = "found " + got;
    }
    throw Error(ExitCode::kBadFile, where_ + separator_ + key + ": " + got + ", expected " + expected);
  }

  const json* find(const char* key) {
    seen_.insert(key);
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }

  std::string text(const char* key, const char* otherwise = nullptr) {
    const json* value = find(key);
    if (value == nullptr && otherwise != nullptr) return otherwise;
    if (value == nullptr || !value->is_string()) fail(key, "a text");
    if (otherwise == nullptr && value->get_ref<const std::string&>().empty()) fail(key, "a text that is not empty");
    return value->get<std::string>();
  }

  std::vector<std::string> texts(const char* key) {
    const json* value = find(key);
    if (value == nullptr) return {};
    if (!value->is_array()) fail(key, "a list of texts");
    std::vector<std::string> list;
    for (const json& item : *value) {
      if (!item.is_string() || item.get_ref<const std::string&>().empty()) fail(key, "a list of texts");
      list.push_back(item.get<std::string>());
    }
    return list;
  }

  double number(const char* key, double otherwise, double low, double high, bool over = false) {
    const json* value = find(key);
    if (value == nullptr) return otherwise;
    if (!is_number(*value, low, high) || (over && value->get<double>() == low)) {
      fail(key, std::string("a number ") + (over ? "over " : "from ") + plain(low) + " to " + plain(high));
    }
    return value->get<double>();
  }

  // Of [min, max].
  void range(const char* key, double& min, double& max, double low, double high) {
    const json* value = find(key);
    if (value == nullptr) return;
    if (!value->is_array() || value->size() != 2 || !is_number((*value)[0], low, high) ||
        !is_number((*value)[1], low, high) || (*value)[0].get<double>() > (*value)[1].get<double>()) {
      fail(key, "[min, max] from " + plain(low) + " to " + plain(high));
    }
    min = (*value)[0].get<double>();
    max = (*value)[1].get<double>();
  }

  uint64_t count(const char* key, std::optional<uint64_t> otherwise, uint64_t low, uint64_t high) {
    const json* value = find(key);
    if (value == nullptr && otherwise) return *otherwise;
    if (value == nullptr || !value->is_number_unsigned() || value->get<uint64_t>() < low ||
        value->get<uint64_t>() > high) {
      fail(key, "a whole number from " + std::to_string(low) + " to " + std::to_string(high));
    }
    return value->get<uint64_t>();
  }

  const std::string& where() const { return where_; }

  void finish() const {
    for (const auto& [key, value] : object_.items()) {
      if (seen_.contains(key)) continue;
      throw Error(ExitCode::kBadFile, where_ + ": unknown key \"" + key + "\"");
    }
  }

 private:
  static bool is_number(const json& value, double low, double high) {
    return value.is_number() && value.get<double>() >= low && value.get<double>() <= high;
  }
  static std::string plain(double value) {
    std::string text = std::to_string(value);
    text.erase(text.find_last_not_of('0') + 1);
    if (text.ends_with('.')) text.pop_back();
    return text;
  }

  const json& object_;
  std::string where_;
  const char* separator_;  // before a key
  std::set<std::string> seen_;
};

bool is_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && name[0] != '-' && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

MaterialSpec read_material(const json& object, const std::string& where) {
  Fields fields(object, where);
  MaterialSpec spec{fields.text("path"), fields.text("licence"), fields.text("source"), fields.text("attribution", "")};
  fields.finish();
  return spec;
}

MakeFont read_font(const json& object, const std::string& where) {
  Fields fields(object, where);
  MakeFont font;
  const json* file = fields.find("file");
  if (file != nullptr && file->is_string()) {
    font.files = {file->get<std::string>()};
  } else {
    font.files = fields.texts("file");
  }
  if (font.files.empty()) fields.fail("file", "a soundfont, or a list of which the first that is there is taken");
  font.licence = fields.text("licence");
  font.source = fields.text("source");
  font.attribution = fields.text("attribution", "");
  font.role_map = object;
  font.role_map.erase("file");
  font.role_map.erase("source");
  // All other keys are the role map's to judge.
  json entry = font.role_map;
  entry["file"] = font.files[0];
  parse_role_map(json{{"fonts", {entry}}}.dump(-1, ' ', false, json::error_handler_t::replace), where);
  return font;
}

void read_slice(Fields& fields, MakePart& part) {
  const json* slice = fields.find("slice");
  if (slice == nullptr) return;
  const auto bound = [](const json& value) {
    return value.is_null() || (value.is_number_integer() && std::abs(value.get<double>()) <= 1e9);
  };
  if (!slice->is_array() || slice->size() != 2 || !bound((*slice)[0]) || !bound((*slice)[1])) {
    fields.fail("slice", "[first, end] of whole numbers or null");
  }
  if (!(*slice)[0].is_null()) part.slice_first = (*slice)[0].get<int64_t>();
  if (!(*slice)[1].is_null()) part.slice_end = (*slice)[1].get<int64_t>();
}

void read_stems(Fields& fields, MakePart& part) {
  part.layout = fields.text("layout", "");
  if (!part.layout.empty() && !part.layout.ends_with(".json")) {
    const auto names = shipped_layout_names();
    if (std::ranges::find(names, part.layout) == names.end()) {
      fields.fail("layout", "a name that vqdata layouts lists, or a .json file");
    }
  }
  part.songs = fields.texts("songs");
  part.exclude = fields.texts("exclude");
  const json* filters = fields.find("filters");
  if (filters == nullptr) return;
  if (!filters->is_array()) fields.fail("filters", "a list of objects");
  for (size_t i = 0; i < filters->size(); ++i) {
    Fields filter((*filters)[i], fields.where() + ".filters[" + std::to_string(i) + "]");
    StemFilter& spec = part.filters.emplace_back();
    spec.song = filter.text("song");
    spec.source = filter.text("source");
    if (std::ranges::find(kRenderGroups, spec.source) == kRenderGroups.end()) {
      filter.fail("source", "vocals, bass, drums or other");
    }
    spec.high_pass_hz = filter.number("high_pass_hz", 0, 20, 2000);
    if (spec.high_pass_hz == 0) filter.fail("high_pass_hz", "a number from 20 to 2000");
    filter.finish();
  }
}

void read_compose(Fields& fields, MakePart& part) {
  part.num_composed = fields.count("songs", std::nullopt, 1, 1'000'000);
  part.first_composed = fields.count("first", 0, 0, 1'000'000'000);
  part.compose.styles = fields.texts("styles");
  const auto styles = compose_styles();
  for (const std::string& style : part.compose.styles) {
    if (std::ranges::find(styles, style) == styles.end()) {
      std::string names;
      for (const std::string& name : styles) names += (names.empty() ? "" : ", ") + name;
      fields.fail("styles", "styles of these: " + names);
    }
  }
  fields.range("length_seconds", part.compose.min_seconds, part.compose.max_seconds, kMinComposedSeconds,
               kMaxComposedSeconds);
}

void read_rendering(Fields& fields, MakePart& part, const MakeConfig& config) {
  part.render.seed = fields.count("seed", std::nullopt, 0, UINT64_MAX);
  part.fonts = fields.texts("fonts");
  for (const std::string& font : part.fonts) {
    if (!config.fonts.contains(font)) fields.fail("fonts", "names of \"fonts\"; there is no \"" + font + "\"");
  }
  part.num_variants = static_cast<int>(fields.count("variants", 1, 1, 10000));
  if (fields.find("groups") != nullptr) {
    part.groups.fill(false);
    for (const std::string& name : fields.texts("groups")) {
      size_t group = 0;
      while (group < 4 && name != midi_group_name(static_cast<MidiGroup>(group))) ++group;
      if (group == 4) fields.fail("groups", "of bass, drums, other, melody");
      part.groups[group] = true;
    }
    if (part.groups == std::array<bool, 4>{}) fields.fail("groups", "at least one of bass, drums, other, melody");
  }
  part.grooves = fields.text("grooves", "");
  if (!part.grooves.empty() && !config.materials.contains(part.grooves)) {
    fields.fail("grooves", "a name of \"materials\"");
  }
  RenderOptions& render = part.render;
  render.max_seconds = part.max_seconds;
  render.max_transpose = static_cast<int>(fields.count("max_transpose", 3, 0, 12));
  fields.range("tempo", render.min_tempo, render.max_tempo, 0.25, 4);
  render.max_tuning_cents = fields.number("max_tuning_cents", render.max_tuning_cents, 0, 100);
  render.synth_bass_share = fields.number("synth_bass_share", 0, 0, 1);
  render.pulsed_share = fields.number("pulsed_share", 0, 0, 1);
  render.groove_share = fields.number("groove_share", render.groove_share, 0, 1);
  render.sing_share = fields.number("sing_share", 0, 0, 1);
  const bool only_bass = part.keeps(MidiGroup::kBass) && !part.keeps(MidiGroup::kDrums) &&
                         !part.keeps(MidiGroup::kOther) && !part.keeps(MidiGroup::kMelody);
  if (part.fonts.empty() && !(only_bass && render.synth_bass_share == 1)) {
    fields.fail("fonts", "names of \"fonts\" (none only for groups [\"bass\"] with synth_bass_share 1)");
  }
}

// What the part's audio depends on: all but its name, split, weight and how it is packed.
json facts_of(const json& object) {
  json facts = object;
  for (const char* key : {"name", "weight", "encoding", "opus_bps"}) facts.erase(key);
  return facts;
}

MakePart read_part(const json& object, const std::string& where, bool is_validation, const MakeConfig& config,
                   PackEncoding encoding, int opus_bps) {
  Fields fields(object, where);
  MakePart part;
  part.render.sing_share = 0;
  part.is_validation = is_validation;
  part.name = fields.text("name");
  if (!is_name(part.name)) fields.fail("name", "1 to 64 letters, digits, - and _, and no - at the start");
  const std::string kind = fields.text("kind");
  if (kind != "stems" && kind != "midi" && kind != "compose") fields.fail("kind", "stems, midi or compose");
  part.kind = kind == "stems" ? PartKind::kStems : kind == "midi" ? PartKind::kMidi : PartKind::kCompose;
  if (!is_validation) part.weight = fields.number("weight", 1, 0, 1000, /*over=*/true);
  part.licence = fields.text("licence", "");
  const std::string name = fields.text("encoding", to_string(encoding).c_str());
  if (name != "int16" && name != "flac" && name != "opus") fields.fail("encoding", "int16, flac or opus");
  part.encoding = parse_pack_encoding(name);
  part.opus_bps = static_cast<int>(fields.count("opus_bps", static_cast<uint64_t>(opus_bps), 16000, 510000));
  part.max_seconds = fields.number("max_seconds", 600, 1, 1800);
  if (part.kind != PartKind::kCompose) {
    part.material = fields.text("material");
    if (!config.materials.contains(part.material)) fields.fail("material", "a name of \"materials\"");
  }
  if (part.kind == PartKind::kStems) read_stems(fields, part);
  if (part.kind == PartKind::kMidi) {
    part.include = fields.texts("include");
    part.exclude = fields.texts("exclude");
    read_slice(fields, part);
    part.min_seconds = fields.number("min_seconds", 0, 0, 1800);
  }
  if (part.kind == PartKind::kCompose) {
    read_compose(fields, part);
    if (part.licence.empty()) fields.fail("licence", "the licence of the composed songs");
  }
  if (part.kind != PartKind::kStems) read_rendering(fields, part, config);
  fields.finish();
  part.facts = facts_of(object);
  return part;
}

// What validation hears is nowhere in training.
void check_apart(const MakeConfig& config) {
  for (const MakePart& held : config.parts) {
    if (!held.is_validation) continue;
    for (const MakePart& part : config.parts) {
      if (part.is_validation) continue;
      const std::string both = config.path + ": validation part \"" + held.name + "\" and training part \"" +
                               part.name + "\" ";
      for (const std::string& font : held.fonts) {
        for (const std::string& other : part.fonts) {
          if (config.fonts.at(font).files != config.fonts.at(other).files) continue;
          throw Error(ExitCode::kBadFile,
                      both + "both play font \"" + font + "\", expected fonts that training never hears");
        }
      }
      if (held.kind != PartKind::kCompose || part.kind != PartKind::kCompose) continue;
      if (held.render.seed == part.render.seed && held.first_composed < part.first_composed + part.num_composed &&
          part.first_composed < held.first_composed + held.num_composed) {
        throw Error(ExitCode::kBadFile,
                    both + "compose songs of one seed and number, expected another seed or \"first\"");
      }
    }
  }
}

}  // namespace

const char* part_kind_name(PartKind kind) {
  return kind == PartKind::kStems ? "stems" : kind == PartKind::kMidi ? "midi" : "compose";
}

MakeConfig parse_make_config(const std::string& text, const std::string& where) {
  json document;
  try {
    document = json::parse(text);
  } catch (const json::exception& error) {
    throw Error(ExitCode::kBadFile, where + ": is not JSON: " + error.what());
  }
  Fields fields(document, where, ": ");
  MakeConfig config;
  config.path = where;
  config.description = fields.text("description", "");
  const std::string encoding = fields.text("encoding", "opus");
  if (encoding != "int16" && encoding != "flac" && encoding != "opus") {
    fields.fail("encoding", "int16, flac or opus");
  }
  const int opus_bps = static_cast<int>(fields.count("opus_bps", 160000, 16000, 510000));
  const auto each = [&](const char* key, auto&& read) {
    const json* object = fields.find(key);
    if (object == nullptr) return;
    if (!object->is_object()) fields.fail(key, "an object");
    for (const auto& [name, value] : object->items()) {
      if (!is_name(name)) fields.fail(key, "names of letters, digits, - and _; found \"" + name + "\"");
      read(name, value, where + ": " + key + "." + name);
    }
  };
  each("materials", [&](const std::string& name, const json& value, const std::string& at) {
    config.materials[name] = read_material(value, at);
  });
  each("fonts", [&](const std::string& name, const json& value, const std::string& at) {
    config.fonts[name] = read_font(value, at);
  });
  for (const char* split : {"train", "validation"}) {
    const json* list = fields.find(split);
    if (list == nullptr) continue;
    if (!list->is_array() || list->size() > kMaxParts) fields.fail(split, "a list of at most 1000 parts");
    for (size_t i = 0; i < list->size(); ++i) {
      const std::string at = where + ": " + split + "[" + std::to_string(i) + "]";
      MakePart part = read_part((*list)[i], at, split == std::string("validation"), config,
                                parse_pack_encoding(encoding), opus_bps);
      if (std::ranges::find(config.parts, part.name, &MakePart::name) != config.parts.end()) {
        throw Error(ExitCode::kBadFile, at + ".name: two parts are named \"" + part.name + "\"");
      }
      config.parts.push_back(std::move(part));
    }
  }
  fields.finish();
  if (config.parts.empty()) {
    throw Error(ExitCode::kBadFile, where + ": has no part, expected some in \"train\" or \"validation\"");
  }
  check_apart(config);
  return config;
}

MakeConfig read_make_config(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::error_code error;
  if (!in || std::filesystem::is_directory(path, error)) throw Error(ExitCode::kIo, path + ": cannot be read");
  std::string text(kMaxConfigBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) throw Error(ExitCode::kIo, path + ": cannot be read");
  text.resize(static_cast<size_t>(in.gcount()));
  if (text.size() > kMaxConfigBytes) throw Error(ExitCode::kBadFile, path + ": is over 4 MiB, expected a configuration");
  return parse_make_config(text, path);
}

}  // namespace vqcodec::dataset
