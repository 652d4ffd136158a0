// mseal policy: what policy files say, and what is wrong with them.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "policy/configuration/policy_file.h"
#include "shim/tool/command.h"
#include "shim/tool/policy_reader.h"
#include "shim/tool/program_file.h"

namespace libmseal::tool {
namespace {

namespace fs = std::filesystem;

// Those that the library looks for, the weakest first.
std::vector<std::string> present_files() {
  std::vector<std::string> files{"/etc/libmseal/policy.toml"};
  const char* const folder = std::getenv("XDG_CONFIG_HOME");
  const char* const home = std::getenv("HOME");
  if (folder != nullptr && *folder == '/') {
    files.push_back(std::string(folder) + "/libmseal/policy.toml");
  } else if (home != nullptr && *home == '/') {
    files.push_back(std::string(home) + "/.config/libmseal/policy.toml");
  }
  std::erase_if(files, [](const std::string& file) { return !fs::exists(file); });
  return files;
}

}  // namespace

int check_policies(const std::vector<std::string>& files) {
  bool good = true;
  for (const std::string& file : files) (void)read_policy_file(file, good);
  return good ? kDone : kUsage;
}

int show_policy(const std::string& program, const std::string& file) {
  std::vector<std::string> files = present_files();
  if (!file.empty()) files.push_back(file);
  bool good = true;
  std::vector<policy::PolicyFile> levels;
  for (const std::string& one : files) {
    bool fine = true;
    policy::PolicyFile level = read_policy_file(one, fine);
    if (fine) levels.push_back(std::move(level));
    good = good && fine;
    std::printf("# %s%s\n", one.c_str(), fine ? "" : ": does not apply");
  }
  if (files.empty()) std::printf("# no policy file\n");
  const std::string path = look_at_program(program).path;
  std::stringstream options(
      policy::options_for(levels, path.empty() ? program : fs::canonical(path).string()));
  for (std::string item; std::getline(options, item, ',');) std::printf("%s\n", item.c_str());
  return good ? kDone : kUsage;
}

}  // namespace libmseal::tool
