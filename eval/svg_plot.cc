#include "eval/svg_plot.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <limits>

namespace vqcodec::eval {

namespace {

// The palette of Okabe and Ito (2008), which people who see colours differently can tell apart; black is grey here.
constexpr std::array<const char*, 8> kPalette = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                                 "#e69f00", "#56b4e9", "#8a8a8a", "#b8a900"};

constexpr const char* kStyle =
    "<style>.vqp-page{fill:#fff}.vqp-ink{fill:#222}.vqp-axis{stroke:#555;fill:none}.vqp-grid{stroke:#ddd}"
    "@media(prefers-color-scheme:dark){.vqp-page{fill:#16181c}.vqp-ink{fill:#ddd}.vqp-axis{stroke:#aaa}"
    ".vqp-grid{stroke:#3a3d44}}</style>";

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default:
        if (static_cast<unsigned char>(c) >= 0x20) out += c;
    }
  }
  return out;
}

std::string number(double value, const char* format = "%.1f") {
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

struct Axis {
  double low = 0, high = 1;
  bool log = false;
  std::vector<double> ticks;

  // Share of the axis' length.
  double place(double value) const {
    return log ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
  }
};

// 1, 2 or 5 times a power of ten.
double nice_step(double range, int count) {
  const double rough = range / count, power = std::pow(10.0, std::floor(std::log10(rough)));
  const double digit = rough / power;
  return power * (digit <= 1 ? 1 : digit <= 2 ? 2 : digit <= 5 ? 5 : 10);
}

Axis make_axis(double low, double high, bool log, bool tight) {
  Axis axis;
  axis.log = log;
  if (!(low <= high)) low = log ? 1 : 0, high = log ? 10 : 1;  // no point
  if (log) {
    axis.low = low / 1.15;
    axis.high = high * 1.15;
    for (double power = std::pow(10.0, std::floor(std::log10(axis.low))); power <= axis.high; power *= 10) {
      for (const double digit : {1.0, 2.0, 5.0}) {
        if (power * digit >= axis.low && power * digit <= axis.high) axis.ticks.push_back(power * digit);
      }
    }
    return axis;
  }
  if (high - low < 1e-12 * std::max(1.0, std::abs(high))) low -= 0.5, high += 0.5;
  const double margin = (high - low) * (tight ? 0.02 : 0.06);
  const double step = nice_step(high - low, 5);
  axis.low = low - margin;
  axis.high = high + margin;
  for (double k = std::ceil(axis.low / step); k * step <= axis.high; ++k) axis.ticks.push_back(k * step);
  return axis;
}

bool usable(const Panel& panel, const std::pair<double, double>& point) {
  return std::isfinite(point.first) && std::isfinite(point.second) && (!panel.log_x || point.first > 0);
}

void add_text(std::string& svg, double x, double y, const char* anchor, int size, const std::string& text,
              const std::string& more = "") {
  svg += "<text class=\"vqp-ink\" x=\"" + number(x) + "\" y=\"" + number(y) + "\" text-anchor=\"" + anchor +
         "\" font-size=\"" + std::to_string(size) + "\"" + more + ">" + escaped(text) + "</text>\n";
}

void add_line(std::string& svg, const char* kind, double x1, double y1, double x2, double y2) {
  svg += std::string("<line class=\"") + kind + "\" x1=\"" + number(x1) + "\" y1=\"" + number(y1) + "\" x2=\"" +
         number(x2) + "\" y2=\"" + number(y2) + "\"/>\n";
}

void add_panel(std::string& svg, const Panel& panel, double left, double top, double width, double height) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  double low_x = kInfinity, high_x = -kInfinity, low_y = kInfinity, high_y = -kInfinity;
  for (const Series& series : panel.series) {
    for (const auto& point : series.points) {
      if (!usable(panel, point)) continue;
      low_x = std::min(low_x, point.first);
      high_x = std::max(high_x, point.first);
      low_y = std::min(low_y, point.second);
      high_y = std::max(high_y, point.second);
    }
  }
  const Axis x_axis = make_axis(low_x, high_x, panel.log_x, panel.hide_axes);
  const Axis y_axis = make_axis(low_y, high_y, false, panel.hide_axes);
  const double begin_x = left + (panel.hide_axes ? 10 : 58), end_x = left + width - 12;
  // The legend stands in rows under the title, as long as names fit a row.
  std::vector<std::vector<const Series*>> rows;
  double row_width = kInfinity;
  for (const Series& series : panel.series) {
    if (series.name.empty()) continue;
    const double item = 30 + 6.6 * static_cast<double>(series.name.size());
    if (row_width + item > end_x - begin_x) {
      rows.emplace_back();
      row_width = 0;
    }
    rows.back().push_back(&series);
    row_width += item;
  }
  double y = top + 24;
  add_text(svg, (begin_x + end_x) / 2, y, "middle", 15, panel.title, " font-weight=\"600\"");
  for (const auto& row : rows) {
    y += 18;
    double x = begin_x;
    for (const Series* series : row) {
      const char* color = kPalette[static_cast<size_t>(series->color) % kPalette.size()];
      if (series->line) {
        svg += "<line x1=\"" + number(x) + "\" y1=\"" + number(y - 4) + "\" x2=\"" + number(x + 18) + "\" y2=\"" +
               number(y - 4) + "\" stroke=\"" + color + "\" stroke-width=\"2\"" +
               (series->dashed ? " stroke-dasharray=\"5 3\"" : "") + "/>\n";
      }
      if (series->markers) {
        svg += "<circle cx=\"" + number(x + 9) + "\" cy=\"" + number(y - 4) + "\" r=\"3.5\" fill=\"" + color + "\"/>\n";
      }
      add_text(svg, x + 22, y, "start", 12, series->name);
      x += 30 + 6.6 * static_cast<double>(series->name.size());
    }
  }
  const double begin_y = y + 12, end_y = top + height - (panel.hide_axes ? 10 : 46);
  const auto to_x = [&](double value) { return begin_x + x_axis.place(value) * (end_x - begin_x); };
  const auto to_y = [&](double value) { return end_y - y_axis.place(value) * (end_y - begin_y); };
  if (!panel.hide_axes) {
    for (const double tick : x_axis.ticks) {
      add_line(svg, "vqp-grid", to_x(tick), begin_y, to_x(tick), end_y);
      add_text(svg, to_x(tick), end_y + 16, "middle", 12, number(std::abs(tick) < 1e-12 ? 0 : tick, "%.6g"));
    }
    for (const double tick : y_axis.ticks) {
      add_line(svg, "vqp-grid", begin_x, to_y(tick), end_x, to_y(tick));
      add_text(svg, begin_x - 6, to_y(tick) + 4, "end", 12, number(std::abs(tick) < 1e-12 ? 0 : tick, "%.6g"));
    }
    add_text(svg, (begin_x + end_x) / 2, end_y + 36, "middle", 13, panel.x_label);
    const double label_x = left + 14, label_y = (begin_y + end_y) / 2;
    add_text(svg, label_x, label_y, "middle", 13, panel.y_label,
             " transform=\"rotate(-90 " + number(label_x) + " " + number(label_y) + ")\"");
  }
  svg += "<rect class=\"vqp-axis\" x=\"" + number(begin_x) + "\" y=\"" + number(begin_y) + "\" width=\"" +
         number(end_x - begin_x) + "\" height=\"" + number(end_y - begin_y) + "\"/>\n";
  for (const Series& series : panel.series) {
    const char* color = kPalette[static_cast<size_t>(series.color) % kPalette.size()];
    if (series.line) {
      svg += std::string("<polyline fill=\"none\" stroke=\"") + color + "\" stroke-width=\"2\"" +
             (series.dashed ? " stroke-dasharray=\"5 3\"" : "") + " points=\"";
      for (const auto& point : series.points) {
        if (usable(panel, point)) svg += number(to_x(point.first)) + "," + number(to_y(point.second)) + " ";
      }
      svg += "\"/>\n";
    }
    if (!series.markers) continue;
    svg += std::string("<g fill=\"") + color + "\" fill-opacity=\"" + (series.line ? "1" : "0.7") + "\">\n";
    for (const auto& point : series.points) {
      if (!usable(panel, point)) continue;
      svg += "<circle cx=\"" + number(to_x(point.first)) + "\" cy=\"" + number(to_y(point.second)) + "\" r=\"" +
             number(series.marker_radius) + "\"/>\n";
    }
    svg += "</g>\n";
  }
}

}  // namespace

std::string svg_plot(const std::vector<Panel>& panels, int columns, int width_px, int height_px) {
  const int count = std::max<int>(1, static_cast<int>(panels.size()));
  columns = std::clamp(columns, 1, count);
  const int rows = (count + columns - 1) / columns;
  const std::string width = std::to_string(columns * width_px), height = std::to_string(rows * height_px);
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + width + " " + height + "\" width=\"" +
                    width + "\" height=\"" + height + "\" font-family=\"sans-serif\" role=\"img\">\n" + kStyle +
                    "\n<rect class=\"vqp-page\" width=\"100%\" height=\"100%\"/>\n";
  for (size_t i = 0; i < panels.size(); ++i) {
    add_panel(svg, panels[i], static_cast<double>(static_cast<int>(i) % columns * width_px),
              static_cast<double>(static_cast<int>(i) / columns * height_px), width_px, height_px);
  }
  return svg + "</svg>\n";
}

}  // namespace vqcodec::eval
