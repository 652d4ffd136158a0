// mseal policy: checks policy files, and shows the resulting options.
#include <cstdio>
#include <sstream>
#include <string>
#include <vector>

#include "shim/tool/command.h"
#include "shim/tool/policy_reader.h"

namespace libmseal::tool {
namespace {

// The items of the text, of each option the last one.
std::vector<std::string> effective(const std::string& text) {
  std::vector<std::string> items;
  std::stringstream options(text);
  for (std::string item; std::getline(options, item, ',');) {
    const std::string key = item.substr(0, item.find('=') + 1);
    std::erase_if(items, [&](const std::string& one) { return one.starts_with(key); });
    items.push_back(item);
  }
  return items;
}

}  // namespace

int check_policies(const std::vector<std::string>& files) {
  bool good = true;
  for (const std::string& file : files) good = print_errors(read_policy_file(file)) && good;
  return good ? kDone : kUsage;
}

int show_policy(const std::string& program, const std::string& file) {
  const std::vector<PolicyLevel> levels = read_policy_levels(file);
  bool good = true;
  for (const PolicyLevel& level : levels) {
    good = print_errors(level) && good;
    std::printf("# %s%s\n", level.path.c_str(), level.applies() ? "" : ": does not apply");
  }
  if (levels.empty()) std::printf("# no policy file\n");
  for (const std::string& item : effective(options_of(levels, program))) std::printf("%s\n", item.c_str());
  return good ? kDone : kUsage;
}

}  // namespace libmseal::tool
