// mseal report: prints recorded events, grouped by call site and object.
#include "shim/tool/report.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <span>

#include "shim/common/json_text.h"
#include "shim/common/printable.h"
#include "shim/tool/command.h"

namespace libmseal::tool {
namespace {

using nlohmann::json;

// As web1 (12), web2 (3).
std::string hosts_of(const Finding& finding) {
  std::string text;
  for (const auto& [host, count] : finding.hosts)
    text += (text.empty() ? "" : ", ") + host + " (" + std::to_string(count) + ")";
  return text;
}

void print(const Report& report) {
  if (report.lost != 0)
    std::printf("%lu more events were not recorded\n", static_cast<unsigned long>(report.lost));
  if (report.findings.empty()) {
    if (report.lost == 0) std::printf("nothing was refused, and nothing would have been\n");
    return;
  }
  for (const Finding& one : report.findings) {
    const std::string object = one.object.empty() ? "anonymous memory" : one.object;
    const std::string lines[] = {one.verdict + "  " + one.program + ": " + one.call,
                                 object + (one.section.empty() ? "" : " ") + one.section, "from " + one.site,
                                 report.hosts.size() < 2 ? "" : "on " + hosts_of(one),
                                 one.exemption.empty() ? "" : "to allow it: " + one.exemption};
    std::printf("%6lu  %s\n", static_cast<unsigned long>(one.count), shim::printable(lines[0]).c_str());
    for (const std::string& line : std::span(lines).subspan(1)) {
      if (!line.empty()) std::printf("        %s\n", shim::printable(line).c_str());
    }
  }
  std::printf("events: %lu, groups: %zu\n", static_cast<unsigned long>(report.events),
              report.findings.size());
  if (const std::string policy = policy_of(report); !policy.empty())
    std::printf("\nA policy file that allows all of this (mseal run --policy=FILE):\n\n%s", policy.c_str());
}

json json_of(const Report& report) {
  json all{{"events", report.events},
           {"lost", report.lost},
           {"hosts", report.hosts},
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
                               {"hosts", one.hosts},
                               {"first", one.first},
                               {"last", one.last}});
  }
  return all;
}

}  // namespace

int report(const ReportChoice& choice) {
  const Report report = read_reports(choice.files, choice.form == Form::html);
  if (choice.form == Form::json) {
    std::printf("%s\n", shim::json_text(json_of(report)).c_str());
  } else if (choice.form == Form::html) {
    write_report_page(report, choice.page);
  } else {
    print(report);
  }
  if (choice.exit_code) return report.events + report.lost == 0 ? kDone : kNo;
  return report.findings.empty() ? kNo : kDone;
}

}  // namespace libmseal::tool
