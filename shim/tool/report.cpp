// mseal report: what an audit found, grouped by call site and object.
#include "shim/tool/report.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <stdexcept>
#include <string_view>
#include <tuple>

#include "shim/common/printable.h"
#include "shim/tool/command.h"
#include "shim/tool/symbols.h"
#include "shim/tool/text_file.h"

namespace libmseal::tool {
namespace {

using nlohmann::json;

constexpr std::size_t kMostHits = 64;
constexpr std::size_t kMostKinds = 65536;
constexpr std::size_t kLongestLine = std::size_t{1} << 17;  // a path may have 4 KiB, each byte written as six

std::uint64_t number_in(const json& value) {
  return std::stoull(value.get<std::string>(), nullptr, 16);
}

// As TOML has strings: a literal one, unless there is in it what that may not have. A pattern has no control
// characters.
std::string quoted(const std::string& text) {
  return text.find('\'') == std::string::npos ? "'" + text + "'" : json(text).dump();
}

// A pattern for a file of that name, wherever it stands: in place of what has a meaning in patterns or in
// lists of them, and of control characters, any character fits.
std::string pattern_for(const std::string& name) {
  constexpr std::string_view kMeaning = "*?[\\:,!";
  std::string pattern = name;
  constexpr std::string_view kNewline = "\\012";  // as /proc/PID/maps has it
  for (std::size_t at = 0; (at = pattern.find(kNewline, at)) != std::string::npos;)
    pattern.replace(at, kNewline.size(), "?");
  for (char& one : pattern) {
    const bool control = static_cast<unsigned char>(one) < ' ' || one == 0x7F;
    if (control || kMeaning.find(one) != std::string_view::npos) one = '?';
  }
  // What the event has in place of bytes that are no UTF-8.
  constexpr std::string_view kReplaced = "\uFFFD";
  for (std::size_t at = 0; (at = pattern.find(kReplaced, at)) != std::string::npos;)
    pattern.replace(at, kReplaced.size(), "*");
  return pattern;
}

std::string site_of(const json& site, Symbols& symbols) {
  const std::string object = site.at("object");
  if (object.empty()) return "code outside of any file";
  const std::uint64_t offset = number_in(site.at("offset"));
  const std::string function = symbols.function_at(object, offset);
  char text[32];
  std::snprintf(text, sizeof text, "+%#lx", static_cast<unsigned long>(offset));
  return object + (function.empty() ? text : " " + function);
}

// What would allow it, as an option of MSEAL_OPTIONS.
std::string exemption_of(const Finding& finding, bool of_static_data) {
  if (finding.object == "[blocked call]") {
    const std::string name = finding.call.substr(0, finding.call.find('('));
    if (name.starts_with("io_uring_")) return "open=io_uring";
    if (name == "memfd_create") return "open=hugetlb_files";
    if (name == "prctl") return "open=prctl_mm";
    if (name == "arch_prctl") return "open=tagged_addresses";
    return "open=" + name;
  }
  if (!finding.object.starts_with('/')) return "";
  return (of_static_data ? "mutable=" : "skip=") +
         pattern_for(finding.object.substr(finding.object.rfind('/') + 1));
}

// The same for all findings, as a policy file.
std::string policy_of(const Report& report) {
  struct Exemptions {
    std::set<std::string> open_calls;
    std::set<std::string> skipped;
    std::set<std::string> mutable_data;
  };
  std::map<std::string, Exemptions> programs;
  for (const Finding& one : report.findings) {
    const std::string what = one.exemption.substr(0, one.exemption.find('=') + 1);
    const std::string which = one.exemption.substr(what.size());
    if (what == "open=") programs[one.program].open_calls.insert(which);
    if (what == "skip=") programs[one.program].skipped.insert(which);
    if (what == "mutable=") programs[one.program].mutable_data.insert(which);
  }
  std::string text;
  for (const auto& [program, exemptions] : programs) {
    text += (text.empty() ? "" : "\n") + std::string("[[program]]\nname = ") + quoted(pattern_for(program)) +
            "\n";
    std::string open_calls;
    for (const std::string& call : exemptions.open_calls)
      open_calls += (open_calls.empty() ? "" : ", ") + quoted(call);
    if (!open_calls.empty()) text += "open = [" + open_calls + "]\n";
    const auto add = [&text](const std::string& object, const char* rule) {
      text += "[[program.object]]\nname = " + quoted(object) + "\n" + rule + "\n";
    };
    for (const std::string& object : exemptions.skipped) add(object, "seal = false");
    for (const std::string& object : exemptions.mutable_data) add(object, "mutable = true");
  }
  return text;
}

void add(
    std::map<std::tuple<std::string, std::string, std::string, std::string, std::string>, Finding>& groups,
    const json& event, Symbols& symbols) {
  Finding one;
  one.program = event.at("program");
  one.verdict = event.at("verdict");
  one.call = event.at("call");
  one.object = event.at("sealed").at("object");
  const std::uint64_t offset = number_in(event.at("sealed").at("offset"));
  one.section = symbols.section_at(one.object, offset);
  one.site = site_of(event.at("site"), symbols);
  one.exemption = exemption_of(one, symbols.is_static_data(one.object, offset));
  one.first = one.last = event.at("time");
  Finding& group =
      groups.try_emplace({one.program, one.call, one.object, one.section, one.site}, one).first->second;
  ++group.count;
  group.last = one.last;
  const auto start = number_in(event.at("start"));
  const auto end = number_in(event.at("end"));
  if (group.hits.size() < kMostHits && end > start) group.hits.emplace_back(start, end);
}

void print(const Report& report) {
  if (report.lost != 0)
    std::printf("%lu more events are missing in the file\n", static_cast<unsigned long>(report.lost));
  if (report.findings.empty()) {
    if (report.lost == 0) std::printf("nothing was refused, and nothing would have been\n");
    return;
  }
  for (const Finding& one : report.findings) {
    const std::string object = one.object.empty() ? "memory of its own" : one.object;
    const std::string lines[] = {one.verdict + "  " + one.program + ": " + one.call,
                                 object + (one.section.empty() ? "" : " ") + one.section, "from " + one.site,
                                 one.exemption.empty() ? "" : "to allow it: " + one.exemption};
    std::printf("%6lu  %s\n", static_cast<unsigned long>(one.count), shim::printable(lines[0]).c_str());
    for (const std::string& line : std::span(lines).subspan(1)) {
      if (!line.empty()) std::printf("        %s\n", shim::printable(line).c_str());
    }
  }
  std::printf("events: %lu, kinds: %zu\n", static_cast<unsigned long>(report.events), report.findings.size());
  if (const std::string policy = policy_of(report); !policy.empty())
    std::printf("\nA policy file that allows all of this (mseal run --policy=FILE):\n\n%s", policy.c_str());
}

json json_of(const Report& report) {
  json all{{"events", report.events},
           {"lost", report.lost},
           {"policy", policy_of(report)},
           {"findings", json::array()}};
  for (const Finding& one : report.findings) {
    all["findings"].push_back({{"count", one.count},
                               {"verdict", one.verdict},
                               {"program", one.program},
                               {"call", one.call},
                               {"object", one.object},
                               {"section", one.section},
                               {"site", one.site},
                               {"exemption", one.exemption},
                               {"first", one.first},
                               {"last", one.last}});
  }
  return all;
}

}  // namespace

namespace {

// What is wrong with a line, in words.
std::string reason_of(const std::exception& error) {
  if (dynamic_cast<const json::parse_error*>(&error) != nullptr)
    return "it is no JSON, or not all of it is there";
  if (dynamic_cast<const json::out_of_range*>(&error) != nullptr) return "a part of it is missing";
  if (dynamic_cast<const json::type_error*>(&error) != nullptr) return "a part of it is of the wrong kind";
  return "an address in it is no number";
}

}  // namespace

Report read_report(const std::string& path) {
  TextFile file(path);
  std::map<std::tuple<std::string, std::string, std::string, std::string, std::string>, Finding> groups;
  Symbols symbols;
  Report report;
  std::size_t number = 0;
  file.for_each_line(kLongestLine, [&](const std::string& line) {
    ++number;
    if (line.empty()) return;
    try {
      const json event = json::parse(line);
      if (event.contains("lost")) {
        report.lost += event.at("lost").get<std::uint64_t>();
        return;
      }
      add(groups, event, symbols);
    } catch (const std::exception& error) {
      throw std::runtime_error(path + ", line " + std::to_string(number) +
                               ": not an event of libmseal: " + reason_of(error));
    }
    ++report.events;
    if (groups.size() > kMostKinds)
      throw std::runtime_error(path + " has events of more than " + std::to_string(kMostKinds) +
                               " kinds: put a part of it into a file of its own");
  });
  for (auto& [key, group] : groups) report.findings.push_back(std::move(group));
  std::stable_sort(report.findings.begin(), report.findings.end(),
                   [](const Finding& a, const Finding& b) { return a.count > b.count; });
  return report;
}

int report(const std::string& file, Form form) {
  const Report report = read_report(file);
  if (form == Form::json) {
    std::printf("%s\n", json_of(report).dump(2, ' ', false, json::error_handler_t::replace).c_str());
  } else if (form == Form::html) {
    std::printf("%s", html_page(report).c_str());
  } else {
    print(report);
  }
  return report.findings.empty() ? kNo : kDone;
}

}  // namespace libmseal::tool
