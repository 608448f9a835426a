#include "eval/report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "eval/html.h"
#include "eval/json_output.h"

namespace vqcodec::eval {

namespace fs = std::filesystem;

namespace {

constexpr int64_t kMaxTextBytes = 64 << 20;  // of a JSON or SVG file

constexpr std::string_view kStyle = R"(
:root { color-scheme: light dark; --page: #fff; --ink: #1c1e22; --soft: #555b66; --line: #d0d4db; --grid: #e0e3e8;
  --box: #f4f5f7; --link: #0b57a8; --mark: #8a4b00; }
@media (prefers-color-scheme: dark) {
  :root { --page: #16181c; --ink: #e2e4e8; --soft: #a9afba; --line: #3d424b; --grid: #31353d; --box: #1f2228;
    --link: #8ab8f0; --mark: #f0b060; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 72rem; background: var(--page); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0.5rem 0; }
h2 { font-size: 1.3rem; margin: 0 0 0.5rem; }
h3 { font-size: 1.1rem; margin: 1.5rem 0 0.25rem; }
h4 { font-size: 1rem; margin: 0; }
section { border-top: 1px solid var(--line); margin-top: 2rem; padding-top: 1.25rem; }
p, dl { margin: 0.4rem 0; max-width: 48rem; }
a { color: var(--link); }
nav ul { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; list-style: none; margin: 1rem 0 0; padding: 0; }
nav a { display: inline-block; padding: 0.25rem 0; }
dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0 1rem; }
dt { color: var(--soft); }
dd { margin: 0; }
code { font: 0.875rem/1.5 ui-monospace, monospace; }
.command { display: block; background: var(--box); padding: 0.5rem 0.75rem; border-radius: 4px; overflow-wrap: anywhere;
  white-space: pre-wrap; }
.note, caption { color: var(--soft); }
.missing { color: var(--mark); }
.scroll { overflow-x: auto; margin: 1rem 0; max-width: 100%; }
.scroll:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; min-width: min(100%, 34rem); }
caption { text-align: left; padding-bottom: 0.35rem; font-size: 0.95rem; }
caption span { display: inline-block; position: sticky; left: 0; max-width: min(48rem, calc(100vw - 2rem)); }
th, td { padding: 0.25rem 0.75rem 0.25rem 0; text-align: right; white-space: nowrap; vertical-align: top;
  border-bottom: 1px solid var(--grid); }
thead th { border-bottom-color: var(--soft); vertical-align: bottom; }
th[scope="row"], .words { text-align: left; }
tbody th { font-weight: 500; }
td.words { white-space: normal; min-width: 12rem; }
details { margin: 1rem 0; }
summary { cursor: pointer; padding: 0.25rem 0; }
figure { margin: 0; min-width: 0; }
.plot svg { display: block; width: 100%; max-width: var(--width); min-width: calc(var(--width) * 0.62); height: auto; }
.vqp-page { fill: var(--page); }
.vqp-ink { fill: var(--ink); }
.vqp-axis { stroke: var(--soft); fill: none; }
.vqp-grid { stroke: var(--grid); }
.stem { display: grid; grid-template-columns: 5rem 1fr 1fr; gap: 0.25rem 1rem; align-items: center; padding: 0.5rem 0;
  border-bottom: 1px solid var(--grid); max-width: 60rem; }
figcaption { font-size: 0.875rem; color: var(--soft); }
audio { display: block; width: 100%; min-width: 0; height: 2.5rem; }
@media (max-width: 40rem) { .stem, .notes { grid-template-columns: 1fr; } .notes dd { margin: 0 0 0.5rem 1rem; } }
)";

std::string kind_of(const Json& value) {
  if (value.is_null()) return "null";
  if (value.is_number()) return "the number " + value.dump();
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  if (value.is_string()) return "a text";
  return value.is_array() ? "a list" : "an object";
}

// A JSON object with its place in its file, for messages.
class Fields {
 public:
  Fields(const Json& value, std::string where) : value_(&value), where_(std::move(where)) {
    if (!value.is_object()) fail(where_, value, "an object");
  }

  const Json& json() const { return *value_; }
  bool has(const std::string& key) const { return value_->contains(key); }
  std::string place(const std::string& key) const { return where_ + (where_.ends_with(":") ? " " : ".") + key; }
  // The value of `key`; throws if it is not there.
  const Json& at(const std::string& key) const {
    const auto found = value_->find(key);
    if (found == value_->end()) {
      throw Error(ExitCode::kBadFile, place(key) + ": is missing; was the file written by another version of vqeval?");
    }
    return *found;
  }
  Fields object(const std::string& key) const { return {at(key), place(key)}; }
  std::vector<Fields> objects(const std::string& key) const {
    const Json& list = at(key);
    if (!list.is_array()) fail(place(key), list, "a list");
    std::vector<Fields> items;
    for (const Json& item : list) items.emplace_back(item, place(key) + "[" + std::to_string(items.size()) + "]");
    return items;
  }
  // The same; none if the key is not there.
  std::vector<Fields> optional_objects(const std::string& key) const {
    return has(key) ? objects(key) : std::vector<Fields>();
  }
  // The members of an object that are objects, by name and in order.
  std::vector<std::pair<std::string, Fields>> members() const {
    std::vector<std::pair<std::string, Fields>> all;
    for (const auto& [key, item] : value_->items()) all.emplace_back(key, Fields(item, place(key)));
    return all;
  }
  std::string text(const std::string& key) const {
    const Json& value = at(key);
    if (!value.is_string()) fail(place(key), value, "a text");
    return value.get<std::string>();
  }
  std::string text_or(const std::string& key, const std::string& otherwise) const {
    return has(key) ? text(key) : otherwise;
  }
  std::vector<std::string> texts(const std::string& key) const {
    const Json& list = at(key);
    if (!list.is_array()) fail(place(key), list, "a list of texts");
    std::vector<std::string> items;
    for (const Json& item : list) {
      if (!item.is_string()) fail(place(key), item, "a list of texts");
      items.push_back(item.get<std::string>());
    }
    return items;
  }
  // NaN for null.
  double number(const std::string& key) const {
    const Json& value = at(key);
    if (value.is_null()) return std::numeric_limits<double>::quiet_NaN();
    if (!value.is_number()) fail(place(key), value, "a number or null");
    return value.get<double>();
  }
  // NaN if it is not there, too.
  double number_or_nan(const std::string& key) const {
    return has(key) ? number(key) : std::numeric_limits<double>::quiet_NaN();
  }

 private:
  [[noreturn]] static void fail(const std::string& place, const Json& found, const std::string& expected) {
    throw Error(ExitCode::kBadFile, place + ": found " + kind_of(found) + ", expected " + expected);
  }

  const Json* value_;
  std::string where_;
};

std::string decimals(double value, int count) {
  if (!std::isfinite(value)) return "\xE2\x80\x93";  // en dash
  std::array<char, 400> text{};
  std::snprintf(text.data(), text.size(), "%.*f", count, value);
  std::string out = text.data();
  if (out.starts_with("-") && out.find_first_of("123456789") == std::string::npos) out.erase(0, 1);
  if (out.starts_with("-")) out.replace(0, 1, "\xE2\x88\x92");  // a minus sign, as wide as a digit
  return out;
}

// All of a file. Throws Error(kIo) also if it is larger than `max_bytes`.
std::string read_file(const fs::path& path, int64_t max_bytes) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  if (error) throw Error(ExitCode::kIo, path.string() + ": cannot be read: " + error.message());
  if (size > static_cast<uintmax_t>(max_bytes)) {
    throw Error(ExitCode::kIo,
                path.string() + ": has " + std::to_string(size) + " bytes, more than " + std::to_string(max_bytes));
  }
  std::ifstream in(path, std::ios::binary);
  std::string bytes(static_cast<size_t>(size), '\0');
  in.read(bytes.data(), static_cast<std::streamsize>(size));
  if (!in || in.gcount() != static_cast<std::streamsize>(size)) {
    throw Error(ExitCode::kIo, path.string() + ": cannot be read");
  }
  return bytes;
}

Json read_json(const fs::path& path) {
  try {
    return Json::parse(read_file(path, kMaxTextBytes));
  } catch (const Json::exception& error) {
    throw Error(ExitCode::kBadFile, path.string() + ": is not JSON: " + error.what());
  }
}

bool is_file(const fs::path& path) {
  std::error_code error;
  return fs::is_regular_file(path, error);
}

std::string paragraph(const std::string& text, const char* kind) {
  return std::string("<p class=\"") + kind + "\">" + escape_html(text) + "</p>\n";
}

std::string details_html(const std::string& summary, const std::string& body) {
  return "<details>\n<summary>" + escape_html(summary) + "</summary>\n" + body + "</details>\n";
}

// The width that an SVG says it has, in px.
int svg_width(std::string_view svg) {
  constexpr std::string_view kWidth = " width=\"";
  const size_t begin = svg.substr(0, svg.find('>')).find(kWidth);
  int width = 0;
  for (size_t at = begin + kWidth.size(); begin != std::string_view::npos && at < svg.size(); ++at) {
    if (svg[at] < '0' || svg[at] > '9' || width > 10000) break;
    width = 10 * width + (svg[at] - '0');
  }
  return std::clamp(width, 200, 4000);
}

std::string plots_html(const Fields& report, const fs::path& folder, const std::string& kind) {
  std::string out;
  int count = 0;
  for (const Fields& plot : report.optional_objects("plots")) {
    const std::string title = plot.text("title"), name = plot.text("file");
    // A plot lies beside its JSON: a path could name any file of the machine.
    if (name.find_first_of("/\\") != std::string::npos || !name.ends_with(".svg") || name.starts_with(".")) {
      throw Error(ExitCode::kBadFile, plot.place("file") + ": found \"" + name +
                                          "\", expected the name of an .svg file " + "in the same folder");
    }
    const fs::path path = folder / name;
    const std::string svg =
        inline_svg(read_file(path, kMaxTextBytes), path.string(), kind + std::to_string(++count) + "-");
    out += "<figure>\n<figcaption>" + escape_html(title) +
           "</figcaption>\n<div class=\"scroll plot\" role=\"region\" " + "tabindex=\"0\" aria-label=\"" +
           escape_html(title) + "\" style=\"--width: " + std::to_string(svg_width(svg)) + "px\">\n" + svg +
           "</div>\n</figure>\n";
  }
  return out;
}

std::string left_out_html(const Fields& report) {
  HtmlTable table{.caption = "What is not in the figures above, and why",
                  .columns = {"track", "source", "window", "why"},
                  .rows = {},
                  .num_text_columns = 4};
  for (const Fields& item : report.optional_objects("left_out")) {
    std::string window;
    if (item.has("window")) {
      const Json& value = item.at("window");
      window = value.is_string() ? value.get<std::string>() : value.dump();
    }
    table.rows.push_back({item.text_or("track", ""), item.text_or("source", ""), window, item.text("why")});
  }
  if (table.rows.empty()) return "";
  return details_html("Left out, and remarks: " + std::to_string(table.rows.size()), html_table(table));
}

// Which command, model and data the tables of a section are of.
std::string facts_html(const Fields& report) {
  std::string out = "<code class=\"command\">" + escape_html(report.text("command")) + "</code>\n<dl>\n";
  if (report.has("model")) {
    const Fields model = report.object("model");
    out += "<dt>Model</dt><dd>" + escape_html(model.text("name")) + ", " + escape_html(model.text("file")) +
           ", <code>" + escape_html(model.text("id").substr(0, 16)) + "</code></dd>\n";
  }
  if (report.has("data")) out += "<dt>Data</dt><dd>" + escape_html(report.text("data")) + "</dd>\n";
  out += "<dt>vqcodec</dt><dd>" + escape_html(report.text("vqcodec_version")) + "</dd>\n";
  if (report.has("settings")) {
    std::string words;
    for (const auto& [key, value] : report.object("settings").json().items()) {
      if (value.is_structured()) continue;
      std::string name = key;
      std::ranges::replace(name, '_', ' ');
      words += (words.empty() ? "" : ", ") + name + " " + (value.is_string() ? value.get<std::string>() : value.dump());
    }
    out += "<dt>Settings</dt><dd>" + escape_html(words) + "</dd>\n";
  }
  return out + "</dl>\n";
}

std::string remarks_html(const Fields& report) {
  std::string out;
  if (!report.has("remarks")) return out;
  for (const std::string& remark : report.texts("remarks")) out += paragraph(remark, "note");
  return out;
}

// Rows of numbers; null is NaN.
std::vector<std::vector<double>> matrix(const Fields& report, const std::string& key) {
  const Json& rows = report.at(key);
  const auto fail = [&] {
    throw Error(ExitCode::kBadFile, report.place(key) + ": found " + kind_of(rows) + ", expected rows of numbers");
  };
  if (!rows.is_array()) fail();
  std::vector<std::vector<double>> all;
  for (const Json& row : rows) {
    if (!row.is_array()) fail();
    all.emplace_back();
    for (const Json& value : row) {
      if (!value.is_number() && !value.is_null()) fail();
      all.back().push_back(value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>());
    }
  }
  return all;
}

HtmlTable matrix_table(const std::string& caption, const Fields& report, const std::string& key,
                       const std::vector<std::string>& names, double scale, int digits) {
  HtmlTable table{.caption = caption, .columns = {"source"}, .rows = {}};
  table.columns.insert(table.columns.end(), names.begin(), names.end());
  const auto values = matrix(report, key);
  for (size_t i = 0; i < values.size() && i < names.size(); ++i) {
    table.rows.push_back({names[i]});
    for (const double value : values[i]) table.rows.back().push_back(decimals(value * scale, digits));
  }
  return table;
}

std::string codes_tables(const Fields& report) {
  std::string out;
  const Fields notes = report.object("notes");
  HtmlTable scores{.caption =
                       "How well a vector tells its source: silhouette from -1 to 1, and accuracy of a linear probe "
                       "on tracks (or excerpts) that it was not trained on",
                   .columns = {"vectors", "codebook", "dimensions", "silhouette", "probe, %", "balanced, %",
                               "chance, %"},
                   .rows = {}};
  HtmlTable by_codebook = scores;
  by_codebook.caption = "The same for each codebook";
  for (const Fields& score : report.objects("scores")) {
    const Json& codebook = score.at("codebook");
    std::string vectors = score.text("vectors");
    std::ranges::replace(vectors, '_', ' ');
    HtmlTable& table = codebook.is_string() ? scores : by_codebook;
    table.rows.push_back({vectors, codebook.is_string() ? codebook.get<std::string>() : codebook.dump(),
                          decimals(score.number("dims"), 0), decimals(score.number("silhouette"), 3),
                          decimals(100 * score.number("probe_accuracy"), 1),
                          decimals(100 * score.number("probe_balanced_accuracy"), 1),
                          decimals(100 * score.number("chance"), 1)});
  }
  out += html_table(scores);
  out += "<dl class=\"notes\">\n";
  for (const char* key : {"own_slot", "tables_alone", "all_slots", "decoded_spectrum", "original_spectrum", "tables"}) {
    std::string name = key;
    std::ranges::replace(name, '_', ' ');
    out += "<dt>" + name + "</dt><dd>" + escape_html(notes.text(key)) + "</dd>\n";
  }
  out += "</dl>\n";
  if (!by_codebook.rows.empty()) out += details_html("Each codebook", html_table(by_codebook));

  std::vector<std::string> names;
  HtmlTable sources{.caption = "Excerpts of each source alone",
                    .columns = {"source", "tracks", "excerpts", "frames", "points on the maps"},
                    .rows = {}};
  for (const Fields& source : report.objects("sources")) {
    names.push_back(source.text("name"));
    sources.rows.push_back({names.back(), decimals(source.number("tracks"), 0), decimals(source.number("excerpts"), 0),
                            decimals(source.number("frames"), 0), decimals(source.number("points"), 0)});
  }
  out += html_table(
      matrix_table("Which slot (column) decodes to the most energy when a source (row) plays alone, % of its "
                   "frames; the own slot in " +
                       decimals(100 * report.number("slot_accuracy"), 1) + " % of all",
                   report, "loudest_slot", names, 100, 1));
  const Fields swapped = report.object("swapped");
  out += html_table(matrix_table("Codes of a source (row) decoded in the place of another (column), SI-SDR in dB",
                                 swapped, "si_sdr_db", names, 1, 1));
  out += html_table(matrix_table("The same, SDR in dB", swapped, "sdr_db", names, 1, 1));

  HtmlTable use{.caption = "Entries of each codebook in use, % (perplexity)", .columns = {"codebook"}, .rows = {}};
  for (const Fields& item : report.objects("codebook_use")) {
    const std::string source = item.text("source"), codebook = decimals(item.number("codebook"), 0);
    if (std::ranges::find(use.columns, source) == use.columns.end()) use.columns.push_back(source);
    auto row = std::ranges::find_if(use.rows, [&](const auto& cells) { return cells[0] == codebook; });
    if (row == use.rows.end()) row = use.rows.insert(row, {codebook});
    row->push_back(decimals(100 * item.number("share"), 1) + " (" + decimals(item.number("perplexity"), 1) + ")");
  }
  return out + html_table(use) + html_table(sources);
}

// TABLES HERE

struct AudioType {
  std::string_view extension, mime;
};
constexpr std::array<AudioType, 3> kAudioTypes = {
    {{".flac", "audio/flac"}, {".opus", "audio/ogg; codecs=opus"}, {".wav", "audio/wav"}}};

// Stem and file of the audio in a folder.
std::vector<std::pair<std::string, fs::path>> audio_files(const fs::path& folder) {
  std::vector<std::pair<std::string, fs::path>> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string extension = entry.path().extension().string();
    const bool is_audio =
        std::ranges::any_of(kAudioTypes, [&](const AudioType& t) { return t.extension == extension; });
    if (is_audio && is_file(entry.path())) files.emplace_back(entry.path().stem().string(), entry.path());
  }
  std::ranges::sort(files);
  return files;
}

std::vector<fs::path> sorted_folders(const fs::path& parent) {
  std::vector<fs::path> folders;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(parent, error)) {
    if (entry.is_directory()) folders.push_back(entry.path());
  }
  std::ranges::sort(folders);
  return folders;
}

std::string player_html(const std::string& label, const std::string& caption, const fs::path& path) {
  const auto type = std::ranges::find(kAudioTypes, std::string_view(path.extension().native()), &AudioType::extension);
  return "<figure>\n<figcaption>" + caption + "</figcaption>\n<audio controls=\"controls\" preload=\"metadata\" " +
         "aria-label=\"" + escape_html(label) + "\"><source type=\"" + std::string(type->mime) +
         "\" src=\"data:" + std::string(type->mime.substr(0, type->mime.find(';'))) + ";base64," +
         base64(read_file(path, int64_t{1} << 31)) + "\"/></audio>\n</figure>\n";
}

std::string examples_html(const fs::path& folder, int64_t max_audio_bytes) {
  constexpr std::array<std::string_view, 2> kVersions = {"original", "decoded"};
  const std::vector<fs::path> tracks = sorted_folders(folder);
  uintmax_t total_bytes = 0;
  for (const fs::path& track : tracks) {
    for (const std::string_view version : kVersions) {
      for (const auto& [stem, path] : audio_files(track / version)) total_bytes += fs::file_size(path);
    }
  }
  if (total_bytes > static_cast<uintmax_t>(max_audio_bytes)) {
    throw Error(ExitCode::kUsage, folder.string() + ": the examples take " +
                                      decimals(static_cast<double>(total_bytes) / 1e6, 1) + " MB, more than " +
                                      decimals(static_cast<double>(max_audio_bytes) / 1e6, 1) +
                                      " MB; make them fewer, shorter or Opus, or raise --max-audio-mb");
  }
  std::string out;
  for (const fs::path& track : tracks) {
    const auto original = audio_files(track / kVersions[0]), decoded = audio_files(track / kVersions[1]);
    std::vector<std::string> stems = {"mixture", "vocals", "bass", "drums", "other"};
    for (const auto* files : {&original, &decoded}) {
      for (const auto& [stem, path] : *files) {
        if (std::ranges::find(stems, stem) == stems.end()) stems.push_back(stem);
      }
    }
    const std::string name = track.filename().string();
    std::string players;
    for (const std::string& stem : stems) {
      std::string pair;
      for (size_t i = 0; i < kVersions.size(); ++i) {
        const auto& files = i == 0 ? original : decoded;
        const auto found = std::ranges::find(files, stem, &std::pair<std::string, fs::path>::first);
        const std::string version(kVersions[i]);
        pair += found != files.end() ? player_html(name + ", " + stem + ", " + version, version, found->second)
                                     : "<p class=\"note\">" + version + ": no file</p>\n";
      }
      if (pair.find("<audio") == std::string::npos) continue;
      players += "<div class=\"stem\">\n<h4>" + escape_html(stem) + "</h4>\n" + pair + "</div>\n";
    }
    if (players.empty()) continue;
    out += "<h3>" + escape_html(name) + "</h3>\n";
    if (is_file(track / "about.txt")) out += paragraph(read_file(track / "about.txt", 1000), "note");
    out += players;
  }
  return out;
}

struct Part {
  const char *kind, *heading;
  std::string (*tables)(const Fields&);
};
constexpr std::array<Part, 1> kParts = {{{"codes", "What the codes hold", codes_tables}}};

std::string section(const std::string& id, const std::string& heading, const std::string& body) {
  return "<section id=\"" + id + "\" aria-labelledby=\"" + id + "-heading\">\n<h2 id=\"" + id + "-heading\">" +
         heading + "</h2>\n" + body + "</section>\n";
}

}  // namespace

Report make_report(const fs::path& folder, const ReportOptions& options) {
  std::error_code error;
  if (!fs::is_directory(folder, error)) throw Error(ExitCode::kIo, folder.string() + ": no such folder");
  Report report;
  std::string sections, contents, model_name, model_id;
  bool found_any = false;
  const auto add = [&](const std::string& id, const std::string& heading, const std::string& body) {
    sections += section(id, heading, body);
    contents += "<li><a href=\"#" + id + "\">" + heading + "</a></li>\n";
  };
  const auto add_missing = [&](const std::string& id, const std::string& heading, const std::string& why) {
    report.missing.push_back(why);
    add(id, heading, paragraph(why, "missing"));
  };
  for (const Part& part : kParts) {
    const std::string kind = part.kind, file_name = kind + ".json";
    const fs::path path = folder / file_name;
    if (!is_file(path)) {
      add_missing(kind, part.heading, file_name + " is not there; \"vqeval " + kind + " ... --out DIR\" makes it");
      continue;
    }
    const Json json = read_json(path);
    const Fields fields(json, path.string() + ":");
    if (fields.text("kind") != kind) {
      throw Error(ExitCode::kBadFile, fields.place("kind") + ": found \"" + fields.text("kind") + "\", expected \"" +
                                          kind + "\" (a report of vqeval " + kind + ")");
    }
    std::string body;
    if (fields.has("model")) {
      const Fields model = fields.object("model");
      if (model_id.empty()) {
        model_name = model.text("name");
        model_id = model.text("id");
      } else if (model.text("id") != model_id) {
        const std::string what = file_name + " is of another model than the parts above";
        report.missing.push_back(what);
        body += paragraph(what, "missing");
      }
    }
    body += facts_html(fields);
    body += part.tables(fields);
    body += remarks_html(fields);
    body += plots_html(fields, folder, kind);
    body += left_out_html(fields);
    add(kind, part.heading, body);
    found_any = true;
  }
  const std::string examples = examples_html(folder / "examples", options.max_audio_bytes);
  if (examples.empty()) {
    add_missing("examples", "Examples", "examples/<track>/{original,decoded}/ is not there; eval/run.sh makes it");
  } else {
    add("examples", "Examples",
        paragraph("As it was, and decoded: the mixture from all codes, each source from its own codes alone.", "note") +
            examples);
    found_any = true;
  }
  if (!found_any) {
    throw Error(ExitCode::kIo, folder.string() + ": holds nothing to show; expected sdr.json, rate.json, speed.json, " +
                                   "codes.json or examples/, see vqeval report --help");
  }
  const std::string title = "Evaluation of " + (model_name.empty() ? std::string("vqcodec") : model_name);
  // Whatever came in through a name or a plot could neither run nor load anything.
  report.html =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
      "media-src data:; base-uri 'none'; form-action 'none'\"/>\n<title>" +
      escape_html(title) + "</title>\n<style>" + std::string(kStyle) + "</style>\n</head>\n<body>\n<header>\n<h1>" +
      escape_html(title) + "</h1>\n<nav aria-label=\"Contents\">\n<ul>\n" + contents +
      "</ul>\n</nav>\n</header>\n<main>\n" + sections + "</main>\n</body>\n</html>\n";
  return report;
}

}  // namespace vqcodec::eval
