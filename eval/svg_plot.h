// Plots as SVG text: lines and points with axes, a legend and a title; several panels side by side. Colours follow the
// reader's choice of light or dark.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace vqcodec::eval {

struct Series {
  std::string name{};                               // in the legend; empty = not there
  std::vector<std::pair<double, double>> points{};  // (x, y); those that are not finite are left out
  int color = 0;                                    // index into the palette of 8, which wraps round
  bool line = true;
  bool markers = true;
  double marker_radius = 3.5;  // px
  bool dashed = false;
};

struct Panel {
  std::string title{}, x_label{}, y_label{};
  std::vector<Series> series{};
  bool log_x = false;      // positive x only
  bool hide_axes = false;  // a map without units
};

// Panels in rows of `columns`, each width x height px. Text is escaped.
std::string svg_plot(const std::vector<Panel>& panels, int columns = 1, int width_px = 560, int height_px = 380);

}  // namespace vqcodec::eval
