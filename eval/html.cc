#include "eval/html.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/error.h"

namespace vqcodec::eval {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

// Bytes of the UTF-8 character that `text` begins with; 0 = it begins with none.
size_t character_length(std::string_view text) {
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xF0 && first < 0xF5   ? 4
                        : first >= 0xE0 && first < 0xF0 ? 3
                        : first >= 0xC2 && first < 0xE0 ? 2
                                                        : 0;
  if (length == 0 || text.size() < length) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned char second = byte(1);
  const bool overlong = (first == 0xE0 && second < 0xA0) || (first == 0xF0 && second < 0x90);
  const bool no_character = (first == 0xED && second >= 0xA0) || (first == 0xF4 && second >= 0x90);
  return overlong || no_character ? 0 : length;
}

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == ':' || c == '_';
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

template <size_t kSize>
bool contains(const std::array<std::string_view, kSize>& words, std::string_view word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

constexpr std::array<std::string_view, 15> kElements = {"svg",     "g",      "path",    "line", "polyline",
                                                        "polygon", "circle", "ellipse", "rect", "text",
                                                        "tspan",   "defs",   "title",   "desc", "clipPath"};

std::string valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t length = character_length(text);
    out += length == 0 ? kReplacement : text.substr(0, length);
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

// Reads an SVG document and writes it again, element by element.
class SvgReader {
 public:
  SvgReader(std::string_view text, const std::string& file, const std::string& prefix)
      : text_(text), file_(file), prefix_(prefix) {}

  std::string read() {
    skip_prologue();
    while (at_ < text_.size()) {
      if (text_[at_] == '<') {
        tag();
      } else {
        characters();
      }
    }
    if (!open_.empty()) fail("<" + open_.back() + "> is not closed");
    if (!ended_) fail("there is no <svg>");
    return std::move(out_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ExitCode::kBadFile, file_ + ": no plot that can be shown: at byte " + std::to_string(at_) + " " + what);
  }
  bool starts_with(std::string_view word) const { return text_.substr(at_).starts_with(word); }
  void skip_spaces() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }
  void skip_past(std::string_view end) {
    const size_t found = text_.find(end, at_);
    if (found == std::string_view::npos) fail(std::string(end) + " is missing");
    at_ = found + end.size();
  }
  void skip_prologue() {
    if (starts_with(kByteOrderMark)) at_ += kByteOrderMark.size();
    skip_spaces();
    if (starts_with("<?xml")) skip_past("?>");
    skip_spaces();
  }

  std::string name() {
    const size_t begin = at_;
    while (at_ < text_.size() && is_name_character(text_[at_])) ++at_;
    if (at_ == begin) fail("a name was expected");
    return std::string(text_.substr(begin, at_ - begin));
  }

  void tag() {
    if (starts_with("<!--")) {
      at_ += 4;
      return skip_past("-->");
    }
    ++at_;
    if (starts_with("/")) {
      ++at_;
      const std::string element = name();
      skip_spaces();
      if (!starts_with(">")) fail("\">\" was expected");
      ++at_;
      if (open_.empty() || open_.back() != element) fail("</" + element + "> closes nothing");
      open_.pop_back();
      ended_ = open_.empty();
      out_ += "</" + element + ">";
      return;
    }
    const std::string element = name();
    if (element == "style" && !open_.empty()) return skip_past("</style>");
    if (!contains(kElements, element)) fail("<" + element + "> is not allowed");
    if (open_.empty() && (element != "svg" || ended_)) fail("<svg> was expected, and nothing after it");
    if (open_.size() > 64) fail("elements are nested too deeply");
    out_ += "<" + element;
    for (skip_spaces(); at_ < text_.size() && is_name_character(text_[at_]); skip_spaces()) attribute();
    if (starts_with("/>")) {
      at_ += 2;
      out_ += "/>";
      ended_ = open_.empty();
    } else if (starts_with(">")) {
      ++at_;
      out_ += ">";
      open_.push_back(element);
    } else {
      fail("an attribute or \">\" was expected");
    }
  }

  void attribute() {
    const std::string key = name();
    skip_spaces();
    if (!starts_with("=")) fail("\"=\" was expected");
    ++at_;
    skip_spaces();
    if (!starts_with("\"") && !starts_with("'")) fail("a quoted value was expected");
    const char quote = text_[at_++];
    const size_t begin = at_;
    skip_past(std::string_view(&quote, 1));
    std::string value(text_.substr(begin, at_ - 1 - begin));
    if (value.find('<') != std::string::npos) fail("\"<\" in a value");
    const bool is_link = key == "href" || key == "xlink:href";
    if (key.starts_with("on") || key.starts_with("xml:")) fail("the attribute " + key + " is not allowed");
    if (is_link && !value.starts_with("#")) fail("a link out of the drawing is not allowed");
    // A value with escapes could hide a reference from the search below; a drawing needs them in words only.
    const bool is_words = key == "aria-label" || key == "font-family" || key.starts_with("data-");
    if (!is_words && value.find_first_of("&\\") != std::string::npos) fail("escapes in " + key + " are not allowed");
    if (key == "style" && value.find('@') != std::string::npos) fail("a style sheet is not allowed");
    check_entities(value);
    if (key == "id") {
      value.insert(0, prefix_);
    } else if (is_link) {
      value.insert(1, prefix_);
    } else if (key == "aria-labelledby" || key == "aria-describedby") {
      prefix_words(value);
    } else if (!is_words) {
      prefix_references(value);
    }
    out_ += " " + key + "=" + quote + value + quote;
  }

  void prefix_words(std::string& value) const {
    for (size_t at = 0; at < value.size(); ++at) {
      if (is_space(value[at]) || (at > 0 && !is_space(value[at - 1]))) continue;
      value.insert(at, prefix_);
      at += prefix_.size();
    }
  }

  // url(#id) becomes url(#<prefix>id).
  void prefix_references(std::string& value) const {
    std::string lower = value;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 'a' - 'A') : c; });
    constexpr std::string_view kOpening = "url(";
    for (size_t from = lower.size(); (from = lower.rfind(kOpening, from)) != std::string::npos;) {
      if (lower.substr(from + kOpening.size(), 1) != "#") fail("a reference out of the drawing is not allowed");
      value.insert(from + kOpening.size() + 1, prefix_);
      if (from == 0) break;
      --from;
    }
  }

  // Only what XML has without a document type: others would end the page's being well-formed.
  void check_entities(std::string_view words) const {
    for (size_t at = words.find('&'); at != std::string_view::npos; at = words.find('&', at + 1)) {
      const size_t end = words.find(';', at);
      const std::string_view entity = end == std::string_view::npos ? "" : words.substr(at + 1, end - at - 1);
      const bool is_number = entity.size() > 1 && entity[0] == '#' &&
                             std::all_of(entity.begin() + 1, entity.end(), [](char c) { return c >= '0' && c <= '9'; });
      constexpr std::array<std::string_view, 5> kEntities = {"amp", "lt", "gt", "quot", "apos"};
      if (!is_number && !contains(kEntities, entity)) fail("an unknown escape is not allowed");
    }
  }

  void characters() {
    const size_t end = std::min(text_.find('<', at_), text_.size());
    const std::string_view words = text_.substr(at_, end - at_);
    const bool only_spaces = std::all_of(words.begin(), words.end(), is_space);
    if (open_.empty() && !only_spaces) fail("text outside the drawing");
    check_entities(words);
    if (!open_.empty()) out_ += words;
    at_ = end;
  }

  static constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  std::string_view text_;
  const std::string& file_;
  const std::string& prefix_;
  size_t at_ = 0;
  std::vector<std::string> open_;
  bool ended_ = false;
  std::string out_;
};

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t length = character_length(text.substr(at));
    const auto first = static_cast<unsigned char>(text[at]);
    if (length == 0 || first == 0x7F || (first < 0x20 && !is_space(text[at]))) {
      out += kReplacement;
    } else if (text[at] == '&') {
      out += "&amp;";
    } else if (text[at] == '<') {
      out += "&lt;";
    } else if (text[at] == '>') {
      out += "&gt;";
    } else if (text[at] == '"') {
      out += "&quot;";
    } else if (text[at] == '\'') {
      out += "&#39;";
    } else {
      out += text.substr(at, length);
    }
    at += std::max<size_t>(length, 1);
  }
  return out;
}

std::string base64(std::string_view bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t at = 0; at < bytes.size(); at += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - at);
    uint32_t group = 0;
    for (size_t i = 0; i < 3; ++i) group = group << 8 | (i < count ? static_cast<unsigned char>(bytes[at + i]) : 0U);
    for (size_t i = 0; i < 4; ++i) out += i <= count ? kDigits[group >> (18 - 6 * i) & 63] : '=';
  }
  return out;
}

std::string html_table(const HtmlTable& table) {
  const auto cell_class = [&](size_t column) {
    return static_cast<int>(column) < table.num_text_columns ? " class=\"words\"" : "";
  };
  std::string out = "<div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"" + escape_html(table.caption) +
                    "\">\n<table>\n<caption><span>" + escape_html(table.caption) + "</span></caption>\n<thead><tr>";
  for (size_t i = 0; i < table.columns.size(); ++i) {
    out += "<th scope=\"col\"" + std::string(cell_class(i)) + ">" + escape_html(table.columns[i]) + "</th>";
  }
  out += "</tr></thead>\n<tbody>\n";
  for (const std::vector<std::string>& row : table.rows) {
    out += "<tr>";
    for (size_t i = 0; i < table.columns.size(); ++i) {
      const std::string text = i < row.size() ? escape_html(row[i]) : "";
      if (i == 0) {
        out += std::string("<th scope=\"row\"") + (text.size() > 14 ? " class=\"long\">" : ">") + text + "</th>";
      } else {
        out += "<td" + std::string(cell_class(i)) + ">" + text + "</td>";
      }
    }
    out += "</tr>\n";
  }
  return out + "</tbody>\n</table>\n</div>\n";
}

std::string inline_svg(std::string_view text, const std::string& file, const std::string& prefix) {
  const std::string valid = valid_utf8(text);
  return SvgReader(valid, file, prefix).read();
}

}  // namespace vqcodec::eval
