// Writes the policy file that allows the calls of a report.
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "shim/common/json_text.h"
#include "shim/tool/report.h"

namespace libmseal::tool {
namespace {

constexpr const char* kOpenComment =
    "# Applies only if this program is the first of its tree, as a service is; not to one that a sealed\n"
    "# program starts.\n";

// A TOML string: a literal one if possible. A pattern has no control characters.
std::string quoted(const std::string& text) {
  return text.find('\'') == std::string::npos ? "'" + text + "'" : shim::json_text(nlohmann::json(text));
}

void replace_all(std::string& text, std::string_view what, std::string_view by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += by.size())
    text.replace(at, what.size(), by);
}

}  // namespace

std::string pattern_for(const std::string& name) {
  constexpr std::string_view kMeaning = "*?[\\:,!";
  std::string pattern = name;
  replace_all(pattern, "\\012", "?");  // a newline, as in /proc/PID/maps
  for (char& one : pattern) {
    const bool control = static_cast<unsigned char>(one) < ' ' || one == 0x7F;
    if (control || kMeaning.find(one) != std::string_view::npos) one = '?';
  }
  replace_all(pattern, "\uFFFD", "*");  // events have this in place of invalid UTF-8
  return pattern;
}

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
    if (!open_calls.empty()) {
      text += kOpenComment;
      text += "open = [" + open_calls + "]\n";
    }
    const auto add = [&text](const std::string& object, const char* rule) {
      text += "[[program.object]]\nname = " + quoted(object) + "\n" + rule + "\n";
    };
    for (const std::string& object : exemptions.skipped) add(object, "seal = false");
    for (const std::string& object : exemptions.mutable_data) add(object, "mutable = true");
  }
  return text;
}

}  // namespace libmseal::tool
