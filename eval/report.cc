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
table { border-collapse: separate; border-spacing: 0; font-size: 0.9rem; font-variant-numeric: tabular-nums; min-width: min(100%, 34rem); }
caption { text-align: left; padding-bottom: 0.35rem; font-size: 0.95rem; }
caption span { display: block; position: sticky; left: 0; max-width: min(48rem, calc(100vw - 2rem)); }
th, td { padding: 0.25rem 0.75rem 0.25rem 0; text-align: right; white-space: nowrap; vertical-align: top;
  border-bottom: 1px solid var(--grid); }
thead th { border-bottom-color: var(--soft); vertical-align: bottom; white-space: normal; min-width: 3.5rem; }
th[scope="row"], .words { text-align: left; }
tbody th { font-weight: 500; position: sticky; left: 0; background: var(--page); }
td.words { white-space: normal; min-width: 12rem; }
details { margin: 0.25rem 0; }
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
@media (max-width: 40rem) { tbody th { white-space: normal; max-width: 9rem; } .long { min-width: 8.5rem; } .stem, .notes { grid-template-columns: 1fr; } .notes dd { margin: 0 0 0.5rem 1rem; } }
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
  // `where`: the file, or for what is within it the file, ": " and the keys.
  Fields(const Json& value, std::string where, bool is_file = false)
      : value_(&value), where_(std::move(where)), is_file_(is_file) {
    if (!value.is_object()) fail(where_, value, "an object");
  }

  const Json& json() const { return *value_; }
  bool has(const std::string& key) const { return value_->contains(key); }
  std::string place(const std::string& key) const { return where_ + (is_file_ ? ": " : ".") + key; }
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
  bool is_file_;
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

std::string counted(double count, const std::string& what) {
  return decimals(count, 0) + " " + what + (count == 1 ? "" : "s");
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
                  .columns = {"track", "source", "what", "why"},
                  .rows = {},
                  .num_text_columns = 4};
  for (const Fields& item : report.optional_objects("left_out")) {
    std::string what = item.text_or("what", "");
    if (item.has("window")) {
      const Json& window = item.at("window");
      what = "seconds " + (window.is_string() ? window.get<std::string>() : window.dump());
    }
    table.rows.push_back({item.text_or("track", ""), item.text_or("source", ""), what, item.text("why")});
  }
  for (const Fields& track : report.optional_objects("tracks")) {
    if (!track.has("remarks")) continue;
    for (const std::string& remark : track.texts("remarks")) table.rows.push_back({track.text("name"), "", "", remark});
  }
  if (table.rows.empty()) return "";
  return details_html("Left out, and remarks: " + std::to_string(table.rows.size()), html_table(table));
}

std::string setting_text(const Json& value) {
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_number_float()) return value.dump();
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), "%g", value.get<double>());
  return text.data();
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
      words += (words.empty() ? "" : ", ") + name + " " + setting_text(value);
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

std::string codes_tables_html(const Fields& report) {
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
  for (const auto& [key, value] : notes.json().items()) {
    if (key == "loudest_slot" || key == "swapped") continue;  // said in the captions
    std::string name = key;
    std::ranges::replace(name, '_', ' ');
    out += "<dt>" + escape_html(name) + "</dt><dd>" + escape_html(notes.text(key)) + "</dd>\n";
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

// "3", or "2-3" if sources differ.
std::string num_tracks_text(const Fields& row, const std::string& metric, const std::vector<std::string>& sources) {
  double least = std::numeric_limits<double>::infinity(), most = 0;
  const Fields scores = row.object("sources");
  for (const std::string& source : sources) {
    if (!scores.has(source)) continue;
    const Fields counts = scores.object(source).object("num_tracks");
    const double count = counts.number_or_nan(metric == "whole_sdr_mean" ? "whole_sdr" : metric);
    least = std::min(least, std::isnan(count) ? 0 : count);
    most = std::max(most, std::isnan(count) ? 0 : count);
  }
  if (!(least <= most)) return "";
  return least == most ? decimals(most, 0) : decimals(least, 0) + "\xE2\x80\x93" + decimals(most, 0);
}

std::string sdr_row_name(const std::string& id, const Fields& report) {
  if (id == "mixture") return "the mixture as estimate";
  if (id == "ideal_ratio_mask") return "ideal ratio masks";
  if (id == "true_own_slot") return "true source alone, its slot";
  if (id == "true_all_slots") return "true source alone, all slots";
  if (id != "estimate") return id;
  return report.has("model") ? "model " + report.object("model").text("name") : "estimates";
}

// One metric of all rows; no rows if nobody has it.
HtmlTable sdr_table(const Fields& report, const std::string& metric, const std::string& caption,
                    const std::vector<std::string>& sources) {
  HtmlTable table{.caption = caption, .columns = {""}, .rows = {}};
  table.columns.insert(table.columns.end(), sources.begin(), sources.end());
  table.columns.insert(table.columns.end(), {"average", "sum against mixture", "tracks"});
  bool any_mixture = false;
  for (const Fields& row : report.objects("rows")) {
    const Fields scores = row.object("sources"), average = row.object("average");
    if (!average.has(metric)) continue;
    std::vector<std::string> cells = {sdr_row_name(row.text("id"), report)};
    for (const std::string& source : sources) {
      const double value =
          scores.has(source) ? scores.object(source).number_or_nan(metric) : std::numeric_limits<double>::quiet_NaN();
      cells.push_back(decimals(value, 2));
    }
    cells.push_back(decimals(average.number(metric), 2));
    const bool has_mixture = row.has("mixture") && row.object("mixture").has(metric);
    any_mixture = any_mixture || has_mixture;
    cells.push_back(has_mixture ? decimals(row.object("mixture").number(metric), 2) : "");
    cells.push_back(num_tracks_text(row, metric, sources));
    table.rows.push_back(std::move(cells));
  }
  if (metric == "sdr" && !table.rows.empty()) {
    for (const Fields& row : report.objects("published")) {
      std::vector<std::string> cells = {row.text("name") + " (" + row.text("data") + ")"};
      const Fields scores = row.object("sources");
      for (const std::string& source : sources) cells.push_back(decimals(scores.number_or_nan(source), 2));
      cells.push_back(decimals(row.number("average"), 2));
      cells.resize(table.columns.size());
      table.rows.push_back(std::move(cells));
    }
  }
  if (any_mixture) return table;
  const size_t column = table.columns.size() - 2;
  table.columns.erase(table.columns.begin() + static_cast<long>(column));
  for (auto& cells : table.rows) cells.erase(cells.begin() + static_cast<long>(column));
  return table;
}

std::string sdr_tables_html(const Fields& report) {
  const std::vector<std::string> sources = report.texts("sources");
  std::string out, more;
  const auto add = [&](std::string& to, const char* metric, const char* caption) {
    const HtmlTable table = sdr_table(report, metric, caption, sources);
    if (!table.rows.empty()) to += html_table(table);
  };
  add(out, "sdr", "SDR in dB, BSSEval version 4: median over windows of 1 s, then over tracks");
  add(out, "windowed_sdr", "Plain SDR in dB of windows of 1 s in which the source sounds, medians");
  add(out, "whole_sdr_mean", "Plain SDR in dB of whole tracks, mean over tracks");
  add(more, "whole_sdr", "Plain SDR in dB of whole tracks, median over tracks");
  add(more, "si_sdr", "SI-SDR in dB, median over tracks");
  add(more, "isr", "ISR in dB, BSSEval version 4");
  add(more, "sir", "SIR in dB, BSSEval version 4");
  add(more, "sar", "SAR in dB, BSSEval version 4");
  if (!more.empty()) out += details_html("SI-SDR, ISR, SIR, SAR", more);

  HtmlTable tracks{.caption =
                       "SDR in dB of each track: BSSEval version 4, or plain SDR of windows where there is none (*)",
                   .columns = {"track", "seconds", "windows"},
                   .rows = {}};
  tracks.columns.insert(tracks.columns.end(), sources.begin(), sources.end());
  for (const Fields& track : report.objects("tracks")) {
    const Fields rows = track.object("rows");
    std::vector<std::string> cells = {track.text("track"), decimals(track.number("seconds"), 1),
                                      decimals(track.number("num_windows"), 0)};
    if (rows.has("estimate")) {
      const Fields scores = rows.object("estimate").object("sources");
      for (const std::string& source : sources) {
        if (!scores.has(source)) {
          cells.emplace_back();
          continue;
        }
        const Fields values = scores.object(source);
        const bool has_bss = values.has("sdr");
        cells.push_back(decimals(values.number_or_nan(has_bss ? "sdr" : "windowed_sdr"), 2) + (has_bss ? "" : " *"));
      }
    }
    tracks.rows.push_back(std::move(cells));
  }
  if (tracks.rows.empty()) return out;
  return out + details_html("Each track: " + std::to_string(tracks.rows.size()), html_table(tracks));
}

constexpr std::array<std::pair<const char*, const char*>, 4> kDistances = {{{"mel", "mel"},
                                                                            {"mel_two_scales", "mel, two scales"},
                                                                            {"log_spectral_db", "log-spectral, dB"},
                                                                            {"si_sdr_db", "SI-SDR, dB"}}};

void add_distances(std::vector<std::string>& cells, const Fields& distances) {
  for (const auto& [key, name] : kDistances) {
    cells.push_back(decimals(distances.number(key), std::string_view(key).ends_with("_db") ? 2 : 3));
  }
}

HtmlTable distance_table(const std::string& caption) {
  HtmlTable table{.caption = caption, .columns = {"codec", "setting", "kbit/s"}, .rows = {}, .num_text_columns = 2};
  for (const auto& [key, name] : kDistances) table.columns.emplace_back(name);
  return table;
}

constexpr std::array<std::array<const char*, 3>, 3> kCurves = {
    {{"levels", "num_codebooks", "vqcodec"},
     {"opus", "bitrate_bps", "Opus"},
     {"opus_stems", "bitrate_bps", "Opus, true sources apart"}}};

// Distances of the mixture, or of the source of that index, over all settings.
HtmlTable curves_table(const Fields& summary, const std::string& caption, std::optional<size_t> source) {
  HtmlTable table = distance_table(caption);
  for (const auto& [key, setting, codec] : kCurves) {
    for (const Fields& point : summary.objects(key)) {
      const double value = point.number(setting);
      std::vector<std::string> cells = {codec,
                                        std::string_view(key) == "levels" ? counted(value, "codebook")
                                                                          : decimals(value / 1000, 0) + " kbit/s asked",
                                        decimals(point.number("kbit_per_second"), 2)};
      if (!source) {
        add_distances(cells, point.object("mixture"));
      } else {
        const auto sources = point.optional_objects("sources");
        if (*source >= sources.size()) continue;
        add_distances(cells, sources[*source]);
      }
      table.rows.push_back(std::move(cells));
    }
  }
  return table;
}

double kbit_per_second(double bytes, double seconds) { return bytes * 8e-3 / seconds; }

// Rate of each coder on all codes, and of each source, by level.
HtmlTable coders_table(const std::vector<Fields>& levels, const std::vector<std::string>& sources, double seconds) {
  constexpr std::array<std::pair<const char*, const char*>, 5> kCoders = {{{"raw_bytes", "raw"},
                                                                           {"zstd_packed_bytes", "zstd -19, packed"},
                                                                           {"zstd_words_bytes", "zstd -19, 16 bits"},
                                                                           {"adaptive_bytes", "adaptive"},
                                                                           {"prior_bytes", "prior"}}};
  HtmlTable table{
      .caption = "kbit/s: of the whole file; of all its codes, raw and by each coder; and of each source's streams",
      .columns = {"codebooks", "file"},
      .rows = {}};
  for (const Fields& level : levels) {
    const auto parts = level.object("file").objects("sources");
    std::vector<std::string> cells = {decimals(level.number("num_codebooks"), 0),
                                      decimals(level.number("kbit_per_second"), 2)};
    for (const auto& [key, name] : kCoders) {
      double bytes = 0;
      for (const Fields& part : parts) bytes += part.object("coders").number_or_nan(key);
      if (std::isnan(bytes)) continue;
      if (table.rows.empty()) table.columns.emplace_back(name);
      cells.push_back(decimals(kbit_per_second(bytes, seconds), 2));
    }
    for (const Fields& part : parts) cells.push_back(decimals(part.number("kbit_per_second"), 2));
    table.rows.push_back(std::move(cells));
  }
  table.columns.insert(table.columns.end(), sources.begin(), sources.end());
  return table;
}

// Where the bytes of the best level are.
std::string file_tables(const Fields& level, double seconds) {
  const Fields file = level.object("file");
  const double all = level.number("bytes");
  HtmlTable parts{.caption = "What the files of " + counted(level.number("num_codebooks"), "codebook") + " are made of",
                  .columns = {"part", "bytes", "kbit/s", "%"},
                  .rows = {}};
  const auto add = [&](const std::string& name, double bytes) {
    parts.rows.push_back(
        {name, decimals(bytes, 0), decimals(kbit_per_second(bytes, seconds), 3), decimals(100 * bytes / all, 2)});
  };
  HtmlTable codebooks{.caption = "Each codebook: kbit/s, and in brackets % of the raw codes",
                      .columns = {"codebook"},
                      .rows = {}};
  for (const Fields& source : file.objects("sources")) {
    const std::string name = source.text("name");
    add(name + ", codes", source.number("code_bytes"));
    codebooks.columns.push_back(name);
    size_t h = 0;
    for (const Fields& codebook : source.objects("codebooks")) {
      if (codebooks.rows.size() <= h) codebooks.rows.push_back({std::to_string(h + 1)});
      codebooks.rows[h++].push_back(decimals(codebook.number("kbit_per_second"), 2) + " (" +
                                    decimals(100 * codebook.number("bytes") / codebook.number("raw_bytes"), 0) + ")");
    }
  }
  double gain_bytes = 0, stream_checksum_bytes = 0;
  for (const Fields& source : file.objects("sources")) {
    gain_bytes += source.number("gain_bytes");
    stream_checksum_bytes += source.number("checksum_bytes");
  }
  add("gains and choice of coder", gain_bytes);
  add("checksums of the streams", stream_checksum_bytes);
  add("heads of segments", file.number("segment_head_bytes"));
  add("index", file.number("index_bytes"));
  add("metadata", file.number("metadata_bytes"));
  add("header", file.number("header_bytes"));
  add("all", all);
  return html_table(parts) + html_table(codebooks);
}

// What eval/add_visqol.py added.
std::string visqol_table(const Fields& visqol) {
  HtmlTable table{.caption = "ViSQOL of excerpts of " + decimals(visqol.number("excerpt_seconds"), 0) +
                             " s of the mixture, by " + visqol.text("package") + " (1 to about 4.75, more is better)",
                  .columns = {"codec", "setting", "MOS-LQO"},
                  .rows = {},
                  .num_text_columns = 2};
  for (size_t i = 0; i < 2; ++i) {
    const auto& [key, setting, codec] = kCurves[i];
    for (const Fields& point : visqol.objects(key)) {
      const double value = point.number(setting);
      table.rows.push_back({codec, i == 0 ? counted(value, "codebook") : decimals(value / 1000, 0) + " kbit/s asked",
                            decimals(point.number("mos_lqo"), 2)});
    }
  }
  return html_table(table);
}

std::string rate_tables_html(const Fields& report) {
  const std::vector<std::string> sources = report.texts("sources");
  const Fields summary = report.object("summary");
  if (!summary.has("levels")) return paragraph("No track could be measured.", "missing");
  const double seconds = summary.number("seconds");
  const std::vector<Fields> levels = summary.objects("levels");
  std::string out = paragraph(counted(summary.number("num_tracks"), "track") + ", " + decimals(seconds, 0) +
                                  " s. Rates are those of whole files; distances are means over all seconds.",
                              "note");
  out += html_table(coders_table(levels, sources, seconds));

  HtmlTable matched = distance_table("Mixture: vqcodec, and Opus at the same rate (between its two nearest)");
  for (const Fields& match : summary.objects("matched")) {
    const std::string rate = decimals(match.number("kbit_per_second"), 2);
    std::vector<std::string> cells = {"vqcodec", counted(match.number("num_codebooks"), "codebook"), rate};
    add_distances(cells, match.object("mixture"));
    matched.rows.push_back(std::move(cells));
    for (size_t i = 1; i < kCurves.size(); ++i) {
      if (!match.has(kCurves[i][0])) continue;
      const Fields distances = match.object(kCurves[i][0]).object("interpolated").object("mixture");
      // Where Opus cannot go there is nothing to hold against.
      if (std::ranges::all_of(kDistances, [&](const auto& d) { return std::isnan(distances.number(d.first)); }))
        continue;
      cells = {kCurves[i][2], "", rate};
      add_distances(cells, distances);
      matched.rows.push_back(std::move(cells));
    }
  }
  out += html_table(matched);
  out +=
      details_html("All settings, mixture", html_table(curves_table(summary, "Mixture, all settings", std::nullopt)));
  if (report.has("visqol")) out += visqol_table(report.object("visqol"));
  std::string each;
  for (size_t s = 0; s < sources.size(); ++s) {
    const HtmlTable table = curves_table(summary, sources[s], s);
    if (!table.rows.empty()) each += html_table(table);
  }
  if (!each.empty()) out += details_html("All settings, each source", each);
  if (!levels.empty())
    out += details_html("Parts of the files, and each codebook", file_tables(levels.back(), seconds));
  return out;
}

// "encode.audio_read" as "encode: audio read".
std::string measure_name(std::string name) {
  std::ranges::replace(name, '_', ' ');
  const size_t dot = name.find('.');
  return dot == std::string::npos ? name : name.replace(dot, 1, ": ");
}

std::string speed_tables_html(const Fields& report) {
  const Fields machine = report.object("machine"), bytes = report.object("bytes");
  std::string out = paragraph(machine.text("cpu") + ", " + decimals(machine.number("num_cpus"), 0) + " CPUs, " +
                                  machine.text("kernels") + ". Machines differ, so what carries over are the ratios.",
                              "note");
  const auto threads = [](const Fields& item) {
    return item.has("threads") ? decimals(item.number("threads"), 0) : "";
  };
  const auto spread = [](std::vector<std::string>& cells, const Fields& item, int digits) {
    for (const char* key : {"median", "min", "max"}) cells.push_back(decimals(item.number(key), digits));
  };
  HtmlTable ratios{.caption = "Against others on the same material in the same run (above 1 is faster)",
                   .columns = {"measure", "against", "threads", "median", "least", "most"},
                   .rows = {},
                   .num_text_columns = 2};
  for (const Fields& ratio : report.objects("ratios")) {
    std::vector<std::string> cells = {measure_name(ratio.text("name")), measure_name(ratio.text("to")), threads(ratio)};
    spread(cells, ratio, 2);
    ratios.rows.push_back(std::move(cells));
  }
  HtmlTable measures{.caption = "Speeds by stage and as a whole, memory, start",
                     .columns = {"measure", "unit", "threads", "median", "least", "most"},
                     .rows = {},
                     .num_text_columns = 2};
  for (const Fields& measure : report.objects("measures")) {
    std::vector<std::string> cells = {measure_name(measure.text("name")), measure.text("unit"), threads(measure)};
    spread(cells, measure, 1);
    measures.rows.push_back(std::move(cells));
  }
  out += html_table(measures);
  if (!ratios.rows.empty()) out += html_table(ratios);
  if (report.has("compare")) {
    HtmlTable compared{.caption = "Against " + report.text("compared_with") + " (above 1 is better)",
                       .columns = {"measure", "unit", "threads", "then", "now", "ratio", "ratio beside opusenc"},
                       .rows = {},
                       .num_text_columns = 2};
    for (const Fields& item : report.objects("compare")) {
      compared.rows.push_back({measure_name(item.text("name")), item.text("unit"), threads(item),
                               decimals(item.number("old"), 1), decimals(item.number("new"), 1),
                               decimals(item.number("ratio"), 3), decimals(item.number_or_nan("ratio_to_opus"), 3)});
    }
    out += html_table(compared);
  }
  HtmlTable sizes{.caption = "Sizes of the material", .columns = {"", "bytes"}, .rows = {}};
  for (const auto& [key, name] : {std::pair{"vqc", ".vqc"}, std::pair{"codes", "codes at 16 bits each"},
                                  std::pair{"zstd19", "these by zstd -19"}, std::pair{"opus", "Opus"}}) {
    sizes.rows.push_back({name, decimals(bytes.number(key), 0)});
  }
  return out + html_table(sizes);
}

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
constexpr std::array<Part, 4> kParts = {{{"sdr", "Quality: SDR of the sources", sdr_tables_html},
                                         {"rate", "Rate and distortion", rate_tables_html},
                                         {"speed", "Speed and memory", speed_tables_html},
                                         {"codes", "What the codes hold", codes_tables_html}}};

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
    const Fields fields(json, path.string(), true);
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
