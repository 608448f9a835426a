#include "eval/svg_plot.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vqcodec::eval {
namespace {

using testing::HasSubstr;
using testing::Not;

size_t count(const std::string& text, const std::string& what) {
  size_t found = 0;
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

TEST(SvgPlot, DrawsEveryFinitePoint) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  Panel panel{.title = "a < b & c", .x_label = "kbit/s", .y_label = "dB"};
  panel.series.push_back({.points = {{1, 2}, {2, nan}, {nan, 1}, {4, 3}}});
  const std::string svg = svg_plot({panel});
  EXPECT_EQ(count(svg, "<circle"), 2U);
  EXPECT_THAT(svg, HasSubstr("a &lt; b &amp; c"));
  EXPECT_THAT(svg, HasSubstr("kbit/s"));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_EQ(count(svg, "<polyline"), 1U);
  EXPECT_EQ(count(svg, "<g "), count(svg, "</g>"));
}

TEST(SvgPlot, PlacesPointsInOrderOnALogarithmicAxis) {
  Panel panel{.log_x = true};
  panel.series.push_back({.points = {{0, 1}, {-1, 1}, {1, 0}, {10, 1}, {100, 2}}, .markers = false});
  const std::string svg = svg_plot({panel}, 1, 500, 300);
  const size_t at = svg.find("points=\"") + 8;
  double x[3], y[3];
  ASSERT_EQ(std::sscanf(svg.c_str() + at, "%lf,%lf %lf,%lf %lf,%lf", &x[0], &y[0], &x[1], &y[1], &x[2], &y[2]), 6);
  EXPECT_NEAR(x[1] - x[0], x[2] - x[1], 0.11);
  EXPECT_GT(x[0], 0);
  EXPECT_LT(x[2], 500);
  EXPECT_GT(y[0], y[1]);  // up is less
  EXPECT_GT(y[1], y[2]);
  EXPECT_LT(y[0], 300);
}

TEST(SvgPlot, PanelsStandInRows) {
  const std::string svg = svg_plot({{.title = "one"}, {.title = "two"}, {.title = "three"}}, 2, 200, 100);
  EXPECT_THAT(svg, HasSubstr("viewBox=\"0 0 400 200\""));
  EXPECT_THAT(svg, HasSubstr("three"));
}

TEST(SvgPlot, OneValueAndNoneGiveAnAxis) {
  Panel same{.title = "same"};
  same.series.push_back({.name = "flat", .points = {{5, 7}, {5, 7}}});
  for (const Panel& panel : {same, Panel{.title = "none"}}) {
    const std::string svg = svg_plot({panel});
    EXPECT_THAT(svg, Not(HasSubstr("nan")));
    EXPECT_THAT(svg, Not(HasSubstr("inf")));
    EXPECT_THAT(svg, HasSubstr("</svg>"));
  }
  EXPECT_THAT(svg_plot({}), HasSubstr("</svg>"));
}

}  // namespace
}  // namespace vqcodec::eval
