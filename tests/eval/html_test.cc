#include "eval/html.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "eval/svg_plot.h"
#include "tests/base/expect_error.h"
#include "tests/eval/well_formed.h"

namespace vqcodec::eval {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(EscapeHtml, LeavesNothingThatCouldBeMarkup) {
  EXPECT_EQ(escape_html("<b a=\"1\" c='2'>&amp;</b>"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;amp;&lt;/b&gt;");
  EXPECT_EQ(escape_html("a\tb\n"), "a\tb\n");
}

TEST(EscapeHtml, KeepsUtf8AndReplacesWhatIsNone) {
  EXPECT_EQ(escape_html("K\xC3\xB6nig \xE2\x80\x93 \xF0\x9F\x8E\xB5"), "K\xC3\xB6nig \xE2\x80\x93 \xF0\x9F\x8E\xB5");
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(escape_html("a\xFF"), "a" + bad);
  EXPECT_EQ(escape_html("a\xC3"), "a" + bad);               // cut off
  EXPECT_EQ(escape_html("\xC0\xAF"), bad + bad);            // an overlong slash
  EXPECT_EQ(escape_html("\xED\xA0\x80"), bad + bad + bad);  // a surrogate
  EXPECT_EQ(escape_html(std::string_view("a\0b\x7F", 4)), "a" + bad + "b" + bad);
}

TEST(Base64, IsThatOfTheRfc) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xFB\xFF\xFE"), "+//+");
}

TEST(HtmlTable, NamesColumnsRowsAndItself) {
  const std::string html = html_table({"<Rates>", {"track", "kbit/s"}, {{"a & b", "12"}, {"short"}}});
  EXPECT_THAT(html, HasSubstr("<caption><span>&lt;Rates&gt;</span></caption>"));
  EXPECT_THAT(html, HasSubstr("<th scope=\"col\">kbit/s</th>"));
  EXPECT_THAT(html, HasSubstr("<th scope=\"row\">a &amp; b</th><td>12</td>"));
  EXPECT_THAT(html, HasSubstr("<th scope=\"row\">short</th><td></td>"));
  EXPECT_EQ(malformation(html), "");
}

std::string in_svg(const std::string& inside) {
  return "<svg xmlns=\"http://www.w3.org/2000/svg\">" + inside + "</svg>";
}

TEST(InlineSvg, PassesOurPlots) {
  Panel panel{.title = "a < b & c", .x_label = "x", .y_label = "y", .series = {}};
  panel.series.push_back({.name = "one", .points = {{1, 2}, {2, 3}}, .dashed = true});
  const std::string svg = inline_svg(svg_plot({panel, panel}, 2), "plot.svg", "p1-");
  EXPECT_THAT(svg, testing::StartsWith("<svg "));
  EXPECT_THAT(svg, HasSubstr("a &lt; b &amp; c"));
  EXPECT_THAT(svg, HasSubstr("<polyline "));
  EXPECT_THAT(svg, Not(HasSubstr("<style")));
  EXPECT_EQ(malformation(svg), "");
}

TEST(InlineSvg, TakesOffDeclarationAndComments) {
  EXPECT_EQ(inline_svg("\xEF\xBB\xBF<?xml version=\"1.0\"?>\n<!-- <script> --><svg/>\n", "p.svg", "a"), "<svg/>");
}

TEST(InlineSvg, GivesIdsThatAreThePlotsOwn) {
  const std::string svg = inline_svg(in_svg("<clipPath id=\"c\"><rect/></clipPath><g clip-path=\"url(#c)\" "
                                            "aria-labelledby=\"c  d\"/>"),
                                     "p.svg", "rate1-");
  EXPECT_THAT(svg, HasSubstr("<clipPath id=\"rate1-c\">"));
  EXPECT_THAT(svg, HasSubstr("clip-path=\"url(#rate1-c)\""));
  EXPECT_THAT(svg, HasSubstr("aria-labelledby=\"rate1-c  rate1-d\""));
}

TEST(InlineSvg, RefusesWhatIsMoreThanADrawing) {
  for (const std::string inside : {
           "<script>alert(1)</script>",
           "<SCRIPT/>",
           "<foreignObject/>",
           "<image href=\"#a\"/>",
           "<a href=\"#a\"/>",
           "<iframe/>",
           "<use href=\"#a\"/>",
           "<animate/>",
           "<set/>",
           "<svg:script/>",
           "<g onload=\"alert(1)\"/>",
           "<g href=\"javascript:alert(1)\"/>",
           "<g xlink:href=\"https://a.example/\"/>",
           "<g xml:base=\"https://a.example/\"/>",
           "<g fill=\"url(https://a.example/)\"/>",
           "<g fill=\"URL( 'https://a.example/')\"/>",
           "<g style=\"fill:url(//a.example)\"/>",
           "<g style=\"@import 'a'\"/>",
           "<g style=\"fill:u\\72l(a)\"/>",
           "<g fill=\"&#117;rl(https://a.example/)\"/>",
           "<text>&unknown;</text>",
           "<text>&</text>",
           "<![CDATA[<script/>]]>",
           "<?php?>",
           "<!ENTITY a \"b\">",
       }) {
    EXPECT_ERROR(inline_svg(in_svg(inside), "bad.svg", "p-"), ExitCode::kBadFile, HasSubstr("bad.svg: "));
  }
}

TEST(InlineSvg, RefusesWhatIsNotWellFormed) {
  for (const std::string text : {"", "plain", "<g/>", "<svg>", "<svg><g></svg>", "<svg></g></svg>", "<svg/><svg/>",
                                 "<svg a/>", "<svg a=b/>", "<svg a=\"b/>", "<svg", "</svg>", "<svg/>text",
                                 "<svg><style></svg>", "<svg><!-- </svg>", "<svg a=\"<\"/>", "<!DOCTYPE svg><svg/>"}) {
    EXPECT_ERROR(inline_svg(text, "bad.svg", "p-"), ExitCode::kBadFile, HasSubstr("bad.svg: "));
  }
  std::string deep;
  for (int i = 0; i < 100000; ++i) deep += "<g>";
  EXPECT_ERROR(inline_svg("<svg>" + deep, "bad.svg", "p-"), ExitCode::kBadFile, HasSubstr("nested too deeply"));
}

}  // namespace
}  // namespace vqcodec::eval
