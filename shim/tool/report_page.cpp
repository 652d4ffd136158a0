// The report as a self-contained HTML page.
#include <algorithm>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "shim/common/printable.h"
#include "shim/tool/page.h"
#include "shim/tool/report.h"

namespace libmseal::tool {
namespace {

using nlohmann::ordered_json;
using shim::printable;

// How many programs have their address space in the page.
constexpr std::size_t kMostDrawn = 64;
constexpr std::size_t kMostTables = 8;

// 09:12:52 of 2026-11-26T09:12:52.046Z.
std::string clock_time(const std::string& time) {
  return time.size() < 19 ? time : time.substr(11, 8);
}

std::string cell(const char* label, const std::string& html, const char* more = "") {
  return std::string("<td data-label=\"") + label + "\"" + more + ">" + html;
}

std::string code(const std::string& text) {
  return "<code>" + escaped(text) + "</code>";
}

// Highlights the last component of a path. A line may break after each slash.
std::string path_html(const std::string& path) {
  const std::size_t slash = path.rfind('/', path.find(' '));
  if (slash == std::string::npos) return code(path);
  std::string folder = escaped(path.substr(0, slash + 1));
  constexpr std::string_view kBreak = "<wbr>";
  for (std::size_t at = 1; (at = folder.find('/', at)) != std::string::npos; at += kBreak.size())
    folder.insert(++at, kBreak);
  return "<code><span class=\"folder\">" + folder + "</span>" + escaped(path.substr(slash + 1)) + "</code>";
}

bool is_refused(const Finding& one) {
  return one.verdict == "refused";
}

std::string row_of(const Finding& one, bool has_hosts, bool has_verdicts) {
  std::string hosts;
  for (const auto& [host, count] : one.hosts)
    hosts += (hosts.empty() ? "" : ", ") + escaped(host) + " (" + grouped(count) + ")";
  std::string sealed = one.object.empty() ? "anonymous memory" : path_html(one.object);
  if (!one.section.empty()) sealed += " " + code(one.section);
  std::string call = code(one.call);
  if (has_verdicts)
    call +=
        std::string(" <span class=\"verdict\">") + (is_refused(one) ? "" : "would be ") + "refused</span>";
  return "<tr>" + cell("count", grouped(one.count), " class=\"n\"") + cell("call", call) +
         cell("sealed", "<span>" + sealed + "</span>") + cell("called from", path_html(one.site)) +
         cell("program",
              path_html(one.program) + (has_hosts ? "<span class=\"hosts\">on " + hosts + "</span>" : "")) +
         cell("to allow it", one.exemption.empty() ? "&ndash;" : code(one.exemption)) + "</tr>\n";
}

std::string lead_of(const Report& report) {
  if (report.findings.empty())
    return report.lost == 0 ? "Nothing was refused, and nothing would have been."
                            : "The file holds no events; some were not recorded.";
  std::string first = report.findings.front().first;
  std::string last;
  for (const Finding& one : report.findings) {
    first = std::min(first, one.first);
    last = std::max(last, one.last);
  }
  const std::string what = std::ranges::all_of(report.findings, is_refused) ? "Calls that were refused"
                           : std::ranges::none_of(report.findings, is_refused)
                               ? "Calls that mode=enforce would refuse"
                               : "Calls that were refused, or would be";
  constexpr std::size_t kDay = 10;
  const std::string from = first.substr(0, kDay) + " " + clock_time(first);
  const std::string to =
      (first.substr(0, kDay) == last.substr(0, kDay) ? "" : last.substr(0, kDay) + " ") + clock_time(last);
  return what + ", " + from + (from.ends_with(to) ? "" : " to " + to) + " UTC";
}

// The programs that are drawn: those with the most events, in the order of the report.
std::vector<std::size_t> drawn_images(const Report& report) {
  std::vector<std::size_t> order(report.images.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater<>(),
                           [&](std::size_t index) { return report.images[index].events; });
  if (order.size() > kMostDrawn) order.erase(order.begin() + kMostDrawn, order.end());
  return order;
}

ordered_json data_of(const Report& report, const std::vector<std::size_t>& drawn,
                     const std::vector<std::vector<Object>>& objects) {
  ordered_json all{{"kind", "report"},
                   {"events", report.events},
                   {"images", ordered_json::array()},
                   {"findings", ordered_json::array()},
                   {"hits", ordered_json::array()}};
  std::vector<std::size_t> places(report.images.size(), drawn.size());
  for (std::size_t index = 0; index < drawn.size(); ++index) {
    places[drawn[index]] = index;
    all["images"].push_back(to_json(report.images[drawn[index]], objects[index]));
  }
  for (const Finding& one : report.findings) {
    ordered_json hosts = ordered_json::array();
    for (const auto& [host, count] : one.hosts) hosts.push_back(printable(host));
    all["findings"].push_back({{"program", printable(one.program)},
                               {"call", printable(one.call)},
                               {"verdict", printable(one.verdict)},
                               {"section", printable(one.section)},
                               {"site", printable(one.site)},
                               {"count", one.count},
                               {"hosts", hosts}});
  }
  for (const Hit& hit : report.hits) {
    if (places[hit.image] == drawn.size()) continue;
    all["hits"].push_back({places[hit.image], hit.finding, printable(hit.time), hex(hit.range.start),
                           hex(hit.range.end), hex(hit.address)});
  }
  return all;
}

}  // namespace

void write_report_page(const Report& report, const std::string& path) {
  const std::vector<std::size_t> drawn = drawn_images(report);
  Symbols symbols;
  std::vector<std::vector<Object>> objects;
  Page page;
  for (const std::size_t index : drawn) {
    const Image& image = report.images[index];
    objects.push_back(objects_of(image, symbols));
    if (objects.size() > kMostTables || objects.back().empty()) continue;
    page.mappings +=
        mappings_table("All mappings of " + base_name(image.program) + ", process " +
                           std::to_string(image.process) + (image.host.empty() ? "" : " on " + image.host),
                       objects.back());
  }
  page.kind = "report";
  page.title = "mseal report";
  if (report.images.size() == 1) page.title += ": " + base_name(report.images.front().program);
  page.lead = lead_of(report);
  page.numbers = {{report.events == 1 ? "call" : "calls", grouped(report.events)},
                  {report.findings.size() == 1 ? "group" : "groups", grouped(report.findings.size())},
                  {report.images.size() == 1 ? "program" : "programs", grouped(report.images.size())},
                  {report.hosts.size() == 1 ? "host" : "hosts", grouped(report.hosts.size())}};
  if (report.lost != 0) page.numbers.emplace_back("events not recorded", grouped(report.lost));
  const bool has_verdicts =
      std::ranges::any_of(report.findings, is_refused) && !std::ranges::all_of(report.findings, is_refused);
  for (const Finding& one : report.findings)
    page.findings += row_of(one, report.hosts.size() > 1, has_verdicts);
  page.policy = policy_of(report);
  page.data = data_of(report, drawn, objects);
  write_page(page, path);
}

}  // namespace libmseal::tool
