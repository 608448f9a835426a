#include "dataset/layout.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "dataset/shipped_documents.h"

namespace vqcodec::dataset {

namespace fs = std::filesystem;
using nlohmann::json;
using Fields = std::map<std::string, std::string>;

namespace {

constexpr size_t kMaxDocumentBytes = 16 << 20;
constexpr size_t kMaxDocumentNodes = 1 << 20;  // a YAML alias may name a large part many times
constexpr int kMaxDocumentDepth = 64;
constexpr double kMaxGainDb = 120;
constexpr int kMaxStreamIndex = 63;

// Files beside the audio whose names differ from a stem's in the extension only.
constexpr std::array kNoAudio = {".json", ".txt", ".vqc", ".mid", ".midi", ".yaml", ".yml", ".csv", ".tsv",
                                 ".lab",  ".md",  ".png", ".jpg", ".svg",  ".pdf",  ".xml", ".npy"};

// The wildcard in an expanded pattern, where "*" is a character of a name.
constexpr char kAny = '\x01';

[[noreturn]] void bad(const std::string& message) { throw Error(ExitCode::kBadFile, message); }

std::string quoted(const std::string& text) { return '"' + text + '"'; }

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const std::string& word : words) all += (all.empty() ? "" : ", ") + word;
  return all;
}

std::vector<std::string> split_at(const std::string& text, char separator) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == separator) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

std::string read_text(const fs::path& path) {
  std::error_code error;
  if (fs::is_directory(path, error)) throw Error(ExitCode::kIo, path.string() + ": is a folder, expected a file");
  std::ifstream in(path, std::ios::binary);
  if (!in) throw Error(ExitCode::kIo, path.string() + ": cannot be read");
  std::string text(kMaxDocumentBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad()) throw Error(ExitCode::kIo, path.string() + ": cannot be read");
  text.resize(static_cast<size_t>(in.gcount()));
  if (text.size() > kMaxDocumentBytes) bad(path.string() + ": is larger than 16 MiB, expected a short description");
  return text;
}

json parse_json(const std::string& text, const std::string& where) {
  try {
    return json::parse(text);
  } catch (const json::exception& error) {
    bad(where + ": is not JSON: " + error.what());
  }
}

// Scalars become strings: YAML's yes, no and numbers are compared as they are written.
json from_yaml(const YAML::Node& node, size_t& num_nodes, int depth, const std::string& where) {
  if (++num_nodes > kMaxDocumentNodes || depth > kMaxDocumentDepth) bad(where + ": is too large or too deep");
  if (node.IsScalar()) return node.Scalar();
  if (node.IsSequence()) {
    json list = json::array();
    for (const auto& item : node) list.push_back(from_yaml(item, num_nodes, depth + 1, where));
    return list;
  }
  if (node.IsMap()) {
    json object = json::object();
    for (const auto& item : node) {
      if (!item.first.IsScalar()) bad(where + ": has a key that is no text");
      object[item.first.Scalar()] = from_yaml(item.second, num_nodes, depth + 1, where);
    }
    return object;
  }
  return "";
}

json read_document(const fs::path& path) {
  const std::string text = read_text(path);
  const std::string where = path.string();
  if (path.extension() == ".json") return parse_json(text, where);
  try {
    size_t num_nodes = 0;
    return from_yaml(YAML::Load(text), num_nodes, 0, where);
  } catch (const YAML::Exception& error) {
    bad(where + ": line " + std::to_string(error.mark.line + 1) + ": is not YAML: " + error.msg);
  }
}

// Text of a scalar, of a list's first scalar; nothing for what else there is.
std::optional<std::string> scalar_text(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean() || value.is_number()) return value.dump();
  if (value.is_null()) return "";
  if (value.is_array() && !value.empty() && value[0].is_string()) return value[0].get<std::string>();
  return std::nullopt;
}

void add_scalars(const json& object, Fields& fields) {
  if (!object.is_object()) return;
  for (const auto& [key, value] : object.items()) {
    if (const auto text = scalar_text(value)) fields[key] = *text;
  }
}

bool is_true(const Fields& fields, const std::string& field) {
  const auto found = fields.find(field);
  return found != fields.end() && (found->second == "true" || found->second == "yes");
}

// "{name}" gives its field, "*" becomes kAny.
std::string expand(const std::string& pattern, const Fields& fields, const std::string& where) {
  std::string text;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] != '{') {
      text += pattern[i] == '*' ? kAny : pattern[i];
      continue;
    }
    const size_t end = pattern.find('}', i);
    if (end == std::string::npos) bad(where + ": pattern " + quoted(pattern) + ": a { without its }");
    const std::string name = pattern.substr(i + 1, end - i - 1);
    const auto field = fields.find(name);
    if (field == fields.end()) bad(where + ": has no " + quoted(name) + ", which " + quoted(pattern) + " needs");
    if (field->second.empty()) bad(where + ": " + quoted(name) + " is empty");
    text += field->second;
    i = end;
  }
  return text;
}

// What comes out of a set's own files may not lead out of the set.
void check_inside(const std::string& path, const std::string& where) {
  const auto parts = split_at(path, '/');
  if (path.starts_with('/') || std::ranges::find(parts, "..") != parts.end() || path.find('\0') != std::string::npos) {
    bad(where + ": names " + quoted(path) + ", which is not within the set");
  }
}

// `pattern` with any number of kAny.
bool fits_pattern(const std::string& name, const std::string& pattern) {
  size_t n = 0, p = 0, star = std::string::npos, resume = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == kAny) {
      star = p++;
      resume = n;
    } else if (p < pattern.size() && pattern[p] == name[n]) {
      ++n;
      ++p;
    } else if (star != std::string::npos) {
      p = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == kAny) ++p;
  return p == pattern.size();
}

std::vector<std::string> sorted_names(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::string name = it->path().filename().string();
    if (!name.starts_with('.')) names.push_back(std::move(name));  // also "._song.wav", which macOS leaves behind
  }
  if (error) throw Error(ExitCode::kIo, folder.string() + ": cannot be read: " + error.message());
  std::ranges::sort(names);  // a folder's order is not the same on every machine
  return names;
}

bool is_file(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

// The files, relative to `root`, that an expanded pattern fits: sorted by name.
std::vector<std::string> find_files(const fs::path& root, const std::string& pattern) {
  const size_t slash = pattern.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : pattern.substr(0, slash);
  const std::string last = slash == std::string::npos ? pattern : pattern.substr(slash + 1);
  if (last.find(kAny) == std::string::npos) {
    return is_file(root / pattern) ? std::vector<std::string>{pattern} : std::vector<std::string>{};
  }
  if (!is_folder(root / folder)) return {};
  const bool any_extension = last.ends_with(std::string{'.', kAny});  // of one name: no other dot is in it
  std::vector<std::string> files;
  for (const std::string& name : sorted_names(root / folder)) {
    const std::string extension = fs::path(name).extension().string();
    if (std::ranges::find(kNoAudio, extension) != kNoAudio.end()) continue;
    const bool fits = any_extension ? fits_pattern(fs::path(name).stem().string(), last.substr(0, last.size() - 2))
                                    : fits_pattern(name, last);
    const std::string path = folder.empty() ? name : folder + '/' + name;
    if (fits && is_file(root / path)) files.push_back(path);
  }
  return files;
}

// An object's fields, with errors that name them.
class Object {
 public:
  Object(const json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object.is_object()) bad(where_ + ": is no JSON object");
  }

  const json* find(const std::string& key) {
    known_.insert(key);
    const auto found = object_.find(key);
    return found == object_.end() ? nullptr : &*found;
  }
  const json& need(const std::string& key) {
    const json* value = find(key);
    if (value == nullptr) bad(where_ + ": has no " + quoted(key));
    return *value;
  }
  std::string text(const std::string& key) {
    const json* value = find(key);
    return value == nullptr ? "" : as_text(*value, key);
  }
  double number(const std::string& key, double fallback, double minimum, double maximum) {
    const json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_number() || !(value->get<double>() >= minimum && value->get<double>() <= maximum)) {
      fail(key, "a number in [" + std::to_string(minimum) + ", " + std::to_string(maximum) + "]");
    }
    return value->get<double>();
  }
  bool boolean(const std::string& key) {
    const json* value = find(key);
    if (value != nullptr && !value->is_boolean()) fail(key, "true or false");
    return value != nullptr && value->get<bool>();
  }
  std::vector<std::string> texts(const std::string& key, bool single = false) {
    const json& value = need(key);
    if (single && value.is_string()) return {as_text(value, key)};
    if (!value.is_array() || value.empty()) fail(key, "a list of texts");
    std::vector<std::string> all;
    for (const json& item : value) all.push_back(as_text(item, key));
    return all;
  }
  // Refuses keys that were not asked for.
  void finish() const {
    for (const auto& [key, value] : object_.items()) {
      if (!known_.contains(key)) bad(where_ + ": unknown key " + quoted(key) + "; see dataset/layout.h");
    }
  }
  [[noreturn]] void fail(const std::string& key, const std::string& expected) const {
    bad(where_ + ": " + quoted(key) + ": expected " + expected);
  }
  const std::string& where() const { return where_; }

 private:
  std::string as_text(const json& value, const std::string& key) const {
    if (!value.is_string() || value.get<std::string>().find('\0') != std::string::npos) fail(key, "a text");
    return value.get<std::string>();
  }
  const json& object_;
  std::string where_;
  std::set<std::string> known_;
};

}  // namespace

// A file or folder that makes a song.
struct Layout::Anchor {
  std::string path;  // relative to the set's folder
  bool is_folder = false;
  Fields fields;  // song, split (of the folder), anchor, folder
};

struct Layout::Reader {
  static Entry entry(const json& value, const std::string& where) {
    Entry entry;
    if (value.is_string()) {
      entry.files = {value.get<std::string>()};
      return entry;
    }
    Object object(value, where);
    entry.files = object.texts("file", true);
    const double stream = object.number("stream", 0, 0, kMaxStreamIndex);
    if (stream != std::floor(stream)) object.fail("stream", "a whole number");
    entry.stream_index = static_cast<int>(stream);
    entry.gain = std::pow(10.0, object.number("gain_db", 0, -kMaxGainDb, kMaxGainDb) / 20);
    entry.every = object.boolean("every");
    object.finish();
    return entry;
  }

  static std::vector<Entry> entries(const json& value, const std::string& where) {
    if (!value.is_array() || value.empty()) bad(where + ": expected a list of files");
    std::vector<Entry> all;
    for (const json& item : value) all.push_back(entry(item, where));
    return all;
  }

  static void song_pattern(const std::string& pattern, const std::string& where) {
    std::set<std::string> known;
    for (const std::string& part : split_at(pattern, '/')) {
      int num_unknown = 0;
      for (size_t i = 0; i < part.size(); ++i) {
        if (part[i] == '*') ++num_unknown;
        if (part[i] != '{') continue;
        const size_t end = part.find('}', i);
        const std::string name = end == std::string::npos ? "" : part.substr(i + 1, end - i - 1);
        if (name != "song" && name != "split")
          bad(where + ": " + quoted(pattern) + ": expected {song} or {split} in it");
        if (known.insert(name).second) ++num_unknown;
        i = end;
      }
      if (num_unknown > 1) {
        bad(where + ": " + quoted(pattern) + ": has two unknowns in " + quoted(part) + ", expected at most one");
      }
    }
    if (!known.contains("song")) bad(where + ": " + quoted(pattern) + ": has no {song}");
    if (pattern.starts_with('/') || pattern.find("..") != std::string::npos) {
      bad(where + ": " + quoted(pattern) + ": expected a path within the set's folder");
    }
  }

  static void known_group(const std::string& group, const Layout& layout, const std::string& where) {
    if (std::ranges::find(layout.groups_, group) == layout.groups_.end()) {
      bad(where + ": " + quoted(group) + " is not among \"groups\": " + joined(layout.groups_));
    }
  }

  static Metadata metadata(const json& value, const Layout& layout, const std::string& where) {
    Object object(value, where);
    Metadata metadata;
    metadata.stems = split_at(object.need("stems").is_string() ? object.text("stems") : "", '.');
    if (std::ranges::find(metadata.stems, "*") == metadata.stems.end()) object.fail("stems", "a path such as stems.*");
    metadata.audio = object.texts("audio");
    const json& rules = object.need("groups");
    if (!rules.is_array() || rules.empty()) object.fail("groups", "a list of rules");
    for (const json& item : rules) {
      Object rule_object(item, where + ".groups");
      Rule rule{.field = rule_object.text("field"), .groups = {}};
      const json& values = rule_object.need("values");
      if (rule.field.empty() || !values.is_object()) bad(where + ".groups: expected \"field\" and \"values\"");
      for (const auto& [key, group] : values.items()) {
        if (!group.is_string()) bad(where + ".groups: " + quoted(key) + ": expected a group's name");
        if (group != "") known_group(group.get<std::string>(), layout, where + ".groups");
        rule.groups[key] = group.get<std::string>();
      }
      rule_object.finish();
      metadata.rules.push_back(std::move(rule));
    }
    if (object.find("otherwise") != nullptr) {
      metadata.otherwise = object.text("otherwise");
      if (!metadata.otherwise->empty()) known_group(*metadata.otherwise, layout, where + ".otherwise");
    }
    if (const json* skip = object.find("skip")) {
      Object skip_object(*skip, where + ".skip");
      for (const auto& [key, values] : skip->items()) metadata.skip[key] = skip_object.texts(key);
    }
    metadata.bleed = object.text("bleed");
    object.finish();
    return metadata;
  }

  static SplitList split_list(const std::string& name, const std::string& layout_where) {
    std::string where, text;
    if (name.ends_with(".json")) {
      const fs::path path = fs::path(layout_where).parent_path() / name;
      where = path.string();
      text = read_text(path);
    } else {
      where = "configs/splits/" + name + ".json";
      const auto found = shipped_documents().find("splits/" + name);
      if (found == shipped_documents().end()) bad(layout_where + ": \"split_list\": there is no " + where);
      text = found->second;
    }
    const json document = parse_json(text, where);
    Object object(document, where);
    SplitList list;
    object.text("description");
    object.text("reference");
    list.of = object.text("of");
    Object splits(object.need("splits"), where + ": \"splits\"");
    for (const auto& [split, songs] : object.need("splits").items()) {
      for (const std::string& song : splits.texts(split)) {
        if (!list.splits.emplace(song, split).second) bad(where + ": " + quoted(song) + " is there twice");
      }
    }
    object.finish();
    return list;
  }
};

Layout Layout::parse(const std::string& text, const std::string& where, const std::string& name) {
  const json document = parse_json(text, where);
  Object object(document, where);
  Layout layout;
  layout.name_ = name;
  layout.description_ = object.text("description");
  layout.reference_ = object.text("reference");
  layout.licence_ = object.text("licence");
  layout.groups_ = object.texts("groups");
  if (std::set<std::string>(layout.groups_.begin(), layout.groups_.end()).size() != layout.groups_.size()) {
    object.fail("groups", "different names");
  }
  layout.complete_ = object.boolean("complete");
  if (object.find("sum_tolerance_db") != nullptr) {
    layout.sum_tolerance_db_ = object.number("sum_tolerance_db", 0, -200, 20);
  }
  layout.songs_ = object.texts("songs");
  for (const std::string& pattern : layout.songs_) Reader::song_pattern(pattern, where + ": \"songs\"");
  if (const json* splits = object.find("splits")) {
    if (!splits->is_object()) object.fail("splits", "an object of folder: split");
    for (const auto& [folder, split] : splits->items()) {
      if (!split.is_string() || split == "") object.fail("splits", "an object of folder: split");
      layout.splits_[folder] = split.get<std::string>();
    }
  }
  if (const std::string list = object.text("split_list"); !list.empty()) {
    layout.split_list_ = Reader::split_list(list, where);
  }
  const json* sources = object.find("sources");
  const json* metadata = object.find("metadata");
  if ((sources == nullptr) == (metadata == nullptr)) bad(where + ": expected either \"sources\" or \"metadata\"");
  if (sources != nullptr) {
    if (!sources->is_object() || sources->empty()) object.fail("sources", "an object of group: files");
    for (const auto& [group, files] : sources->items()) {
      if (group != "*") Reader::known_group(group, layout, where + ": \"sources\"");
      layout.sources_[group] = Reader::entries(files, where + ": \"sources\": " + quoted(group));
    }
  } else {
    layout.metadata_ = Reader::metadata(*metadata, layout, where + ": \"metadata\"");
    const bool ends_in_folder = std::ranges::any_of(layout.songs_, [](const auto& p) { return p.ends_with('/'); });
    if (ends_in_folder) object.fail("songs", "files, since \"metadata\" is in them");
  }
  if (const json* mixture = object.find("mixture")) {
    layout.mixture_ = Reader::entries(*mixture, where + ": \"mixture\"");
  }
  object.finish();
  // Patterns that name what no song has are found now, not at the first song.
  Fields fields = {{"song", "s"}, {"split", "s"}, {"anchor", "s"}, {"folder", "s"}, {"source", "s"}};
  const auto try_entries = [&](const std::vector<Entry>& entries, const char* key) {
    for (const Entry& entry : entries) {
      for (const std::string& file : entry.files) expand(file, fields, where + ": " + quoted(key));
    }
  };
  for (const auto& [group, entries] : layout.sources_) try_entries(entries, "sources");
  try_entries(layout.mixture_, "mixture");
  return layout;
}

std::vector<std::string> Layout::splits() const {
  std::set<std::string> names;
  for (const auto& [folder, split] : splits_) names.insert(split);
  if (split_list_) {
    for (const auto& [song, split] : split_list_->splits) names.insert(split);
  }
  return {names.begin(), names.end()};
}

void Layout::check_sources(const std::vector<std::string>& sources) const {
  if (sources_.contains("*")) return;
  for (const std::string& source : sources) {
    if (std::ranges::find(groups_, source) != groups_.end()) continue;
    throw Error(ExitCode::kUsage, "layout " + name_ + " has no source " + quoted(source) + ", only " + joined(groups_) +
                                      "; copy its file, add the source and name the copy by --layout");
  }
}

std::vector<Layout::Anchor> Layout::find_anchors(const std::string& root) const {
  std::error_code error;
  const fs::directory_iterator probe(root, error);
  if (error) throw Error(ExitCode::kIo, root + ": cannot be read as a folder of songs: " + error.message());
  std::vector<Anchor> anchors;
  std::set<std::string> paths;
  std::set<std::pair<std::string, std::string>> songs;

  struct Walk {
    const Layout& layout;
    const fs::path root;
    const std::vector<std::string> parts;
    const bool to_folder;
    const std::function<void(Anchor)> found;

    void run(const std::string& folder, size_t at, const Fields& fields) const {
      const bool last = at + 1 == parts.size();
      std::string prefix, suffix, unknown;
      for (size_t i = 0; i < parts[at].size(); ++i) {
        std::string& side = unknown.empty() ? prefix : suffix;
        if (parts[at][i] == '*') {
          unknown = "*";
        } else if (parts[at][i] == '{') {
          const size_t end = parts[at].find('}', i);
          const std::string name = parts[at].substr(i + 1, end - i - 1);
          const auto field = fields.find(name);
          if (field != fields.end()) {
            side += field->second;
          } else {
            unknown = name;
          }
          i = end;
        } else {
          side += parts[at][i];
        }
      }
      std::vector<std::string> names = {prefix};
      if (!unknown.empty()) names = sorted_names(root / folder);
      for (const std::string& name : names) {
        Fields with = fields;
        if (!unknown.empty()) {
          if (name.size() <= prefix.size() + suffix.size() || !name.starts_with(prefix) || !name.ends_with(suffix)) {
            continue;
          }
          const std::string value = name.substr(prefix.size(), name.size() - prefix.size() - suffix.size());
          if (unknown == "split" && !layout.splits_.contains(value)) continue;
          if (unknown != "*") with[unknown] = value;
        }
        const std::string path = folder.empty() ? name : folder + '/' + name;
        if (!last) {
          if (is_folder(root / path)) run(path, at + 1, with);
        } else if (to_folder ? is_folder(root / path) : is_file(root / path)) {
          with["anchor"] = path;
          with["folder"] = to_folder ? path : folder.empty() ? "." : folder;
          found({.path = path, .is_folder = to_folder, .fields = std::move(with)});
        }
      }
    }
  };

  const std::string root_name = [&] {
    fs::path whole = fs::weakly_canonical(root, error);
    if (!whole.has_filename()) whole = whole.parent_path();
    return whole.filename().string();
  }();
  const auto add = [&](Anchor anchor) {
    const auto split = anchor.fields.find("split");
    const std::string folder = split == anchor.fields.end() ? "" : split->second;
    if (paths.contains(anchor.path) || !songs.emplace(folder, anchor.fields.at("song")).second) return;
    paths.insert(anchor.path);
    anchors.push_back(std::move(anchor));
  };
  for (const std::string& pattern : songs_) {
    const bool to_folder = pattern.ends_with('/');
    const auto parts = split_at(to_folder ? pattern.substr(0, pattern.size() - 1) : pattern, '/');
    Walk walk{*this, root, parts, to_folder, add};
    walk.run("", 0, {});
    // A split's folder of a larger set.
    if (parts.size() > 1 && parts[0] == "{split}" && splits_.contains(root_name))
      walk.run("", 1, {{"split", root_name}});
  }
  std::ranges::sort(anchors, [](const Anchor& a, const Anchor& b) { return fs::path(a.path) < fs::path(b.path); });
  return anchors;
}

SongFiles Layout::read_song(const std::string& root, const Anchor& anchor,
                            const std::vector<std::string>& sources) const {
  SongFiles song;
  song.name = anchor.fields.at("song");
  if (const auto folder = anchor.fields.find("split"); folder != anchor.fields.end()) {
    song.split = splits_.at(folder->second);
  }
  if (split_list_ && (song.split.empty() || song.split == split_list_->of)) {
    const auto found = split_list_->splits.find(song.name);
    if (found != split_list_->splits.end()) song.split = found->second;
  }
  song.sources.resize(sources.size());
  Fields fields = anchor.fields;
  const std::string where = "layout " + name_ + ": song " + song.name;
  const auto add = [&](const std::vector<Entry>& entries, const std::string& what, std::vector<AudioFile>& files) {
    for (const Entry& entry : entries) {
      for (const std::string& pattern : entry.files) {
        if (!fields.contains("split") && pattern.find("{split}") != std::string::npos) continue;
        auto paths = find_files(root, expand(pattern, fields, where));
        if (paths.empty()) continue;
        for (size_t i = 1; !entry.every && i < paths.size(); ++i) {
          song.remarks.push_back((root / fs::path(paths[i])).string() + ": left out; " + what + " is read from " +
                                 (root / fs::path(paths[0])).string());
        }
        if (!entry.every) paths.resize(1);
        for (const std::string& path : paths) {
          files.push_back({(root / fs::path(path)).string(), entry.stream_index, entry.gain});
        }
        break;
      }
    }
  };
  for (size_t s = 0; s < sources.size() && !metadata_; ++s) {
    auto entries = sources_.find(sources[s]);
    if (entries == sources_.end()) entries = sources_.find("*");
    if (entries == sources_.end()) continue;
    fields["source"] = sources[s];
    add(entries->second, sources[s], song.sources[s]);
    if (complete_ && song.sources[s].empty()) song.missing.push_back(sources[s]);
  }
  fields.erase("source");
  if (metadata_) read_metadata(root, anchor, sources, song);
  add(mixture_, "the mixture", song.mixture);
  if (complete_ && !mixture_.empty() && song.mixture.empty()) song.missing.push_back("mixture");
  return song;
}

void Layout::read_metadata(const std::string& root, const Anchor& anchor, const std::vector<std::string>& sources,
                           SongFiles& song) const {
  const fs::path path = root / fs::path(anchor.path);
  const json document = read_document(path);
  const Metadata& metadata = *metadata_;
  const auto add_stem = [&](const Fields& stem, const std::string& label) {
    const std::string where = path.string() + ": " + label;
    song.has_bleed = song.has_bleed || is_true(stem, metadata.bleed);
    for (const auto& [field, values] : metadata.skip) {
      const auto found = stem.find(field);
      if (found != stem.end() && std::ranges::find(values, found->second) != values.end()) return;
    }
    const std::string* group = metadata.otherwise ? &*metadata.otherwise : nullptr;
    std::string tried;
    for (const Rule& rule : metadata.rules) {
      const auto value = stem.find(rule.field);
      if (value == stem.end()) continue;
      const auto found = rule.groups.find(value->second);
      tried += (tried.empty() ? "" : ", ") + rule.field + ' ' + quoted(value->second);
      if (found == rule.groups.end()) continue;
      group = &found->second;
      break;
    }
    if (group == nullptr) {
      bad(where + ": " + (tried.empty() ? "no " + quoted(metadata.rules[0].field) : tried) +
          " is in no group of layout " + name_ + "; add it to a copy of the layout's file");
    }
    if (group->empty()) {
      song.remarks.push_back(where + ": left out, as layout " + name_ + " says for " + tried);
      return;
    }
    const auto source = std::ranges::find(sources, *group);
    if (source == sources.end()) return;
    std::string first;
    for (const std::string& pattern : metadata.audio) {
      const std::string expanded = expand(pattern, stem, where);
      check_inside(expanded, where);
      const auto files = find_files(root, expanded);
      if (!files.empty()) {
        song.sources[static_cast<size_t>(source - sources.begin())].push_back(
            {(root / fs::path(files[0])).string(), 0, 1});
        return;
      }
      if (first.empty()) first = expanded;
    }
    std::ranges::replace(first, kAny, '*');
    song.missing.push_back(first);
  };

  struct Walk {
    const std::vector<std::string>& parts;
    const std::string& where;
    const decltype(add_stem)& found;

    void run(const json& node, size_t at, const Fields& fields, const std::string& label) const {
      if (at == parts.size()) {
        if (!node.is_object()) bad(where + ": " + label + ": expected a stem with its fields");
        found(fields, label);
        return;
      }
      if (parts[at] != "*") {
        const json* next = nullptr;
        if (node.is_object()) {
          const auto member = node.find(parts[at]);
          if (member != node.end()) next = &*member;
        }
        if (next == nullptr) bad(where + ": has no " + quoted(label.empty() ? parts[at] : label + '.' + parts[at]));
        Fields with = fields;
        add_scalars(*next, with);
        run(*next, at + 1, with, label.empty() ? parts[at] : label + '.' + parts[at]);
        return;
      }
      if (!node.is_array() && !node.is_object()) bad(where + ": " + label + ": expected a list or a map");
      for (const auto& [key, value] : node.items()) {
        Fields with = fields;
        add_scalars(value, with);
        with["key"] = key;
        run(value, at + 1, with, label + '.' + key);
      }
    }
  };
  Fields fields;
  add_scalars(document, fields);
  song.has_bleed = is_true(fields, metadata.bleed);
  for (const auto& [key, value] : anchor.fields)
    fields[key] = value;  // these are the layout's, whatever is in the file
  Walk{metadata.stems, path.string(), add_stem}.run(document, 0, fields, "");
}

Listing Layout::list(const std::string& root, const std::vector<std::string>& sources) const {
  check_sources(sources);
  Listing listing;
  for (const Anchor& anchor : find_anchors(root)) {
    try {
      SongFiles song = read_song(root, anchor, sources);
      if (std::ranges::any_of(song.sources, [](const auto& files) { return !files.empty(); })) {
        listing.songs.push_back(std::move(song));
      } else if (!splits_.contains(song.name)) {  // a split's folder is no song
        listing.left_out.push_back((root / fs::path(anchor.path)).string() + ": no file of any source: left out");
      }
    } catch (const Error& error) {
      if (error.code() != ExitCode::kBadFile) throw;
      listing.bad_songs.push_back(error.what());
    }
  }
  return listing;
}

bool Layout::fits(const std::string& root, const std::vector<std::string>& sources) const {
  return std::ranges::any_of(find_anchors(root), [&](const Anchor& anchor) {
    if (!anchor.is_folder) return true;
    const SongFiles song = read_song(root, anchor, sources);
    return std::ranges::any_of(song.sources, [](const auto& files) { return !files.empty(); });
  });
}

std::vector<std::string> shipped_layout_names() {
  return {"musdb18", "musdb18hq", "dsd100", "stems", "slakh2100", "medleydb", "moisesdb"};
}

Layout load_layout(const std::string& name_or_file) {
  if (name_or_file.ends_with(".json")) {
    return Layout::parse(read_text(name_or_file), name_or_file, fs::path(name_or_file).stem().string());
  }
  const auto found = shipped_documents().find("layouts/" + name_or_file);
  if (found == shipped_documents().end()) {
    throw Error(ExitCode::kUsage, quoted(name_or_file) + " is no layout; there are " + joined(shipped_layout_names()) +
                                      ", and files that end in .json");
  }
  return Layout::parse(found->second, "configs/layouts/" + name_or_file + ".json", name_or_file);
}

Layout detect_layout(const std::string& root, const std::vector<std::string>& sources) {
  for (const std::string& name : shipped_layout_names()) {
    Layout layout = load_layout(name);
    if (layout.fits(root, sources)) return layout;
  }
  bad(root + ": no song found; expected folders " + root + "/<song>/ with files named " + sources.front() +
      ".wav (or .flac, .opus, ...), or one of the layouts " + joined(shipped_layout_names()));
}

std::vector<SongFiles> select_splits(const Listing& listing, const std::vector<std::string>& splits,
                                     const std::string& root) {
  if (splits.empty()) return listing.songs;
  std::map<std::string, size_t> counts;
  for (const SongFiles& song : listing.songs) ++counts[song.split];
  for (const std::string& split : splits) {
    if (!split.empty() && counts.contains(split)) continue;
    std::string there;
    for (const auto& [name, count] : counts) {
      there += (there.empty() ? "" : ", ") + (name.empty() ? "none" : name) + " (" + std::to_string(count) + ")";
    }
    throw Error(ExitCode::kUsage, root + ": has no song in split " + quoted(split) + "; songs by split: " + there);
  }
  std::vector<SongFiles> songs;
  for (const SongFiles& song : listing.songs) {
    if (std::ranges::find(splits, song.split) != splits.end()) songs.push_back(song);
  }
  return songs;
}

}  // namespace vqcodec::dataset
