// Whether markup is well-formed: a small reader of tags, independent of what writes them.
#pragma once

#include <cctype>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace vqcodec::eval {

// What is wrong with `markup`; empty = every tag is closed in its place, attributes are quoted and no id is there twice.
inline std::string malformation(std::string_view markup) {
  std::vector<std::string> open;
  std::set<std::string> ids;
  size_t at = 0;
  const auto near = [&](const std::string& what) { return what + " near: " + std::string(markup.substr(at, 60)); };
  while ((at = markup.find_first_of("<>&", at)) != std::string_view::npos) {
    if (!open.empty() && open.back() == "style" && !markup.substr(at).starts_with("</style>")) {
      ++at;
      continue;
    }
    if (markup[at] == '>') return near("a stray >");
    if (markup[at] == '&') {
      const size_t end = markup.find(';', at);
      if (end == std::string_view::npos || end - at > 8) return near("a stray &");
      at = end;
      continue;
    }
    if (markup.substr(at).starts_with("<!DOCTYPE html>")) {
      at += 15;
      continue;
    }
    size_t p = at + 1;
    const bool closes = p < markup.size() && markup[p] == '/';
    if (closes) ++p;
    const auto read_name = [&] {
      const size_t begin = p;
      while (p < markup.size() &&
             (std::isalnum(static_cast<unsigned char>(markup[p])) || markup[p] == '-' || markup[p] == ':')) {
        ++p;
      }
      return std::string(markup.substr(begin, p - begin));
    };
    const auto skip_spaces = [&] {
      while (p < markup.size() && std::isspace(static_cast<unsigned char>(markup[p]))) ++p;
    };
    const std::string name = read_name();
    if (name.empty()) return near("no name in a tag");
    std::set<std::string> keys;
    for (skip_spaces(); p < markup.size() && markup[p] != '>' && markup[p] != '/'; skip_spaces()) {
      const std::string key = read_name();
      if (key.empty() || closes || !keys.insert(key).second) return near("a bad attribute " + key);
      if (markup.substr(p, 2) != "=\"" && markup.substr(p, 2) != "='") return near("no quoted value of " + key);
      const size_t end = markup.find(markup[p + 1], p + 2);
      if (end == std::string_view::npos) return near("an open quote");
      const std::string value(markup.substr(p + 2, end - p - 2));
      if (value.find('<') != std::string::npos) return near("< in a value");
      if (key == "id" && !ids.insert(value).second) return near("the id " + value + " twice");
      p = end + 1;
    }
    const bool is_empty = markup.substr(p, 2) == "/>";
    if (!is_empty && markup.substr(p, 1) != ">") return near("no end of a tag");
    if (closes) {
      if (open.empty() || open.back() != name)
        return near("</" + name + "> closes " + (open.empty() ? "nothing" : open.back()));
      open.pop_back();
    } else if (!is_empty) {
      open.push_back(name);
    }
    at = p + (is_empty ? 2 : 1);
  }
  return open.empty() ? "" : "<" + open.back() + "> is not closed";
}

}  // namespace vqcodec::eval
