// The report as one HTML page that needs nothing else.
#include <algorithm>
#include <cstdio>
#include <map>
#include <string>

#include "shim/tool/report.h"

namespace libmseal::tool {
namespace {

std::string escaped(const std::string& text) {
  std::string safe;
  for (const char character : text) {
    switch (character) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      default:
        safe += character;
    }
  }
  return safe;
}

constexpr const char* kHead = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>mseal report</title><style>
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;color:#1b1f24;background:#fff}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #d0d7de;
vertical-align:top}code{font-size:.9em;overflow-wrap:anywhere}.n{text-align:right}svg{width:100%;height:auto}
@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}td,th{border-color:#30363d}}
</style></head><body>
)";

// One bar a program's object: its hits, from the lowest address to the highest. Addresses far apart would
// leave nothing to see on one scale, so each object has its own.
std::string picture(const Report& report) {
  struct Bar {
    std::uint64_t low = ~0ULL;
    std::uint64_t high = 0;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> hits;
  };
  std::map<std::string, Bar> bars;
  for (const Finding& one : report.findings) {
    for (const auto& hit : one.hits) {
      Bar& bar = bars[one.object.empty() ? "memory of " + one.program : one.object];
      bar.low = std::min(bar.low, hit.first);
      bar.high = std::max(bar.high, hit.second);
      bar.hits.push_back(hit);
    }
  }
  if (bars.empty()) return "";
  constexpr int kWidth = 1000;
  constexpr int kRow = 44;
  char text[256];
  std::snprintf(text, sizeof text, "<svg viewBox=\"0 0 %d %zu\" role=\"img\" aria-label=\"address space\">",
                kWidth, bars.size() * kRow);
  std::string svg = text;
  std::size_t row = 0;
  for (const auto& [name, bar] : bars) {
    const double top = static_cast<double>(row++ * kRow);
    const double scale = kWidth / static_cast<double>(std::max<std::uint64_t>(bar.high - bar.low, 1));
    std::snprintf(text, sizeof text, "<text x=\"0\" y=\"%.0f\" font-size=\"13\" fill=\"currentColor\">",
                  top + 14);
    svg += text + escaped(name);
    std::snprintf(
        text, sizeof text,
        " %#lx&#8211;%#lx</text><rect x=\"0\" y=\"%.0f\" width=\"%d\" height=\"16\" fill=\"#8aa4c8\"/>",
        static_cast<unsigned long>(bar.low), static_cast<unsigned long>(bar.high), top + 20, kWidth);
    svg += text;
    for (const auto& [start, end] : bar.hits) {
      std::snprintf(text, sizeof text,
                    "<rect x=\"%.2f\" y=\"%.0f\" width=\"%.2f\" height=\"16\" "
                    "fill=\"#d1242f\"><title>%#lx</title></rect>",
                    static_cast<double>(start - bar.low) * scale, top + 20,
                    std::max(2.0, static_cast<double>(end - start) * scale),
                    static_cast<unsigned long>(start));
      svg += text;
    }
  }
  return svg +
         "</svg>\n<p>Blue: sealed, from the first hit to the last. Red: what calls would have changed.</p>\n";
}

}  // namespace

std::string html_page(const Report& report) {
  std::string page = kHead;
  page += "<h1>mseal report</h1>\n<p>" + std::to_string(report.events) + " events, " +
          std::to_string(report.findings.size()) + " kinds.</p>\n" + picture(report);
  page += "<table><tr><th class=\"n\">count<th>program<th>call<th>sealed<th>from<th>to allow it</tr>\n";
  for (const Finding& one : report.findings) {
    page += "<tr><td class=\"n\">" + std::to_string(one.count) + "<td><code>" + escaped(one.program) +
            "</code><td>" + escaped(one.verdict) + " <code>" + escaped(one.call) + "</code><td><code>" +
            escaped(one.object.empty() ? "memory of its own" : one.object) + " " + escaped(one.section) +
            "</code><td><code>" + escaped(one.site) + "</code><td><code>" + escaped(one.exemption) +
            "</code></tr>\n";
  }
  return page + "</table></body></html>\n";
}

}  // namespace libmseal::tool
