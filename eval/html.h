// The pieces of a page that needs nothing but itself: escaped text, tables, data URIs, SVG taken in. Everything is
// well-formed XML as well, so that what is not closed can be found.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace vqcodec::eval {

// Text for an element or a quoted attribute: & < > " ' escaped; control characters and bytes that are no UTF-8 become
// U+FFFD.
std::string escape_html(std::string_view text);

// RFC 4648, with padding.
std::string base64(std::string_view bytes);

struct HtmlTable {
  std::string caption;
  std::vector<std::string> columns;            // the first is of the rows' names
  std::vector<std::vector<std::string>> rows;  // plain text; a short row is filled up with empty cells
  int num_text_columns = 1;                    // the first so many are aligned left, numbers right
};

// The table in a box of its own that scrolls sideways where the page is narrow. All text is escaped.
std::string html_table(const HtmlTable& table);

// An SVG document as an element of a page: its declaration and its style sheet are taken off (the page styles it, see
// eval/svg_plot.h), and its ids get `prefix`, since a page has one space of ids. Only what a drawing needs passes: shapes,
// text and their attributes. Throws Error(kBadFile), naming `file`, for anything else (scripts, event handlers, links,
// foreign objects, references out of the document) and for what is not well-formed.
std::string inline_svg(std::string_view text, const std::string& file, const std::string& prefix);

}  // namespace vqcodec::eval
