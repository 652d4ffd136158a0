// Reads event files and groups the events.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "policy/rules/blocked_call.h"
#include "shim/common/printable.h"
#include "shim/tool/report.h"
#include "shim/tool/report_picture.h"
#include "shim/tool/symbols.h"
#include "shim/tool/text_file.h"

namespace libmseal::tool {
namespace {

using nlohmann::json;

constexpr std::size_t kMostKinds = 65536;
constexpr std::size_t kLongestLine = std::size_t{1} << 17;  // a path may have 4 KiB, each byte written as six

// The item of MSEAL_OPTIONS that would allow the call.
std::string exemption_of(const Finding& finding, bool of_static_data) {
  if (finding.object == "[blocked call]") {
    return std::string(policy::item_that_opens(finding.call));
  }
  if (!finding.object.starts_with('/')) return "";
  return (of_static_data ? "mutable=" : "skip=") + pattern_for(base_name(finding.object));
}

// Describes what is wrong with a line.
std::string reason_of(const std::exception& error) {
  if (dynamic_cast<const json::parse_error*>(&error) != nullptr) return "it is not JSON, or it is truncated";
  if (dynamic_cast<const json::out_of_range*>(&error) != nullptr) return "a field is missing";
  if (dynamic_cast<const json::type_error*>(&error) != nullptr) return "a field has the wrong type";
  return "an address is not a number";
}

// Events with equal ones belong together.
using Key = std::tuple<std::string, std::string, std::string, std::string, std::string>;

class Reader {
 public:
  explicit Reader(bool with_picture) : with_picture_(with_picture) {}

  // Events without a host count as events of `host`.
  void read(const std::string& path, const std::string& host) {
    TextFile file(path);
    std::size_t number = 0;
    file.for_each_line(kLongestLine, [&](const std::string& line, bool is_complete) {
      ++number;
      if (line.empty()) return;
      try {
        const json event = json::parse(line);
        if (event.contains("lost")) {
          report_.lost += event.at("lost").get<std::uint64_t>();
        } else if (event.contains("maps")) {
          if (with_picture_) picture_.add_maps(event);
        } else {
          const bool is_local = !event.contains("host") || is_this_host(event.at("host"));
          add(event, event.value("host", host), is_local);
        }
      } catch (const std::exception& error) {
        if (!is_complete && dynamic_cast<const json::parse_error*>(&error) != nullptr) {
          std::fprintf(stderr, "mseal: %s: the last line is incomplete, so its event is left out\n",
                       shim::printable(file.name()).c_str());
          return;
        }
        throw std::runtime_error(file.name() + ", line " + std::to_string(number) +
                                 ": not an event of libmseal: " + reason_of(error));
      }
      if (groups_.size() > kMostKinds)
        throw std::runtime_error(file.name() + " has more than " + std::to_string(kMostKinds) +
                                 " groups of events: split it");
    });
  }

  Report take() {
    std::vector<std::size_t> joined = join_hosts();
    for (auto& [key, group] : groups_) {
      if (joined[group.number] == group.number) report_.findings.push_back(std::move(group));
    }
    std::stable_sort(report_.findings.begin(), report_.findings.end(),
                     [](const Finding& a, const Finding& b) { return a.count > b.count; });
    std::vector<std::size_t> places(joined.size());
    for (std::size_t index = 0; index < report_.findings.size(); ++index)
      places[report_.findings[index].number] = index;
    picture_.finish(report_);
    for (Hit& hit : report_.hits) hit.finding = places[joined[hit.finding]];
    return std::move(report_);
  }

 private:
  void add(const json& event, const std::string& host, bool is_local) {
    Finding one;
    one.program = event.at("program");
    one.verdict = event.at("verdict");
    one.call = event.at("call");
    one.object = event.at("sealed").at("object");
    const std::uint64_t offset = number_in(event.at("sealed").at("offset"));
    if (is_local) one.section = symbols_.section_at(one.object, offset);
    one.is_local = is_local;
    one.offset = site_of(event.at("site"), false);
    one.site = is_local ? site_of(event.at("site"), true) : one.offset;
    one.protection = event.at("sealed").at("protection");
    one.exemption = exemption_of(one, is_local ? symbols_.is_static_data(one.object, offset)
                                               : one.protection.find('w') != std::string::npos);
    one.first = one.last = event.at("time");
    one.number = groups_.size();
    const policy::Range range{number_in(event.at("start")), number_in(event.at("end"))};
    // If the section is not known, use the protection.
    const std::string part = is_local ? one.section : " " + one.protection;
    Finding& group =
        groups_.try_emplace({one.program, one.call, one.object, part, one.site}, one).first->second;
    ++group.count;
    group.first = std::min(group.first, one.first);
    group.last = std::max(group.last, one.last);
    ++group.hosts[host];
    ++report_.hosts[host];
    ++report_.events;
    if (with_picture_) picture_.add_hit(event, host, {0, group.number, one.last, range, 0}, one.protection);
  }

  // Joins groups of other hosts with the equal group of this host, where names are known: the same call on
  // the same part of the object, from the same offset. Returns the new number of each group.
  std::vector<std::size_t> join_hosts() {
    const auto key_of = [](const Finding& one) {
      return Key{one.program, one.call, one.object, one.protection, one.offset};
    };
    std::map<Key, std::vector<Finding*>> local;
    std::vector<std::size_t> joined(groups_.size());
    for (auto& [key, group] : groups_) {
      joined[group.number] = group.number;
      if (group.is_local) local[key_of(group)].push_back(&group);
    }
    for (auto& [key, group] : groups_) {
      const auto same = group.is_local ? local.end() : local.find(key_of(group));
      if (same == local.end() || same->second.size() != 1) continue;
      Finding& into = *same->second.front();
      joined[group.number] = into.number;
      into.count += group.count;
      into.first = std::min(into.first, group.first);
      into.last = std::max(into.last, group.last);
      for (const auto& [host, count] : group.hosts) into.hosts[host] += count;
    }
    return joined;
  }

  std::string site_of(const json& site, bool is_local) {
    const std::string object = site.at("object");
    if (object.empty()) return "code outside of any file";
    const std::uint64_t offset = number_in(site.at("offset"));
    const std::string function = is_local ? symbols_.function_at(object, offset) : "";
    return object + (function.empty() ? "+0x" + hex(offset) : " " + function);
  }

  bool with_picture_;
  std::map<Key, Finding> groups_;
  ReportPicture picture_;
  Symbols symbols_;
  Report report_;
};

}  // namespace

Report read_reports(const std::vector<std::string>& paths, bool with_picture) {
  Reader reader(with_picture);
  for (const std::string& path : paths) {
    // Events of earlier versions do not name their host; each file then counts as a host.
    reader.read(path, paths.size() > 1 ? base_name(path) : "");
  }
  return reader.take();
}

}  // namespace libmseal::tool
