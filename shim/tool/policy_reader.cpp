#include "shim/tool/policy_reader.h"

#include <sys/stat.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <vector>

#include "shim/common/policy_path.h"
#include "shim/common/table_size.h"
#include "shim/tool/program_file.h"
#include "shim/tool/text_file.h"

namespace libmseal::tool {
namespace {

namespace fs = std::filesystem;

// The existing files that the library reads, the weakest first.
std::vector<std::string> present_files() {
  std::vector<std::string> files{shim::kSystemPolicy};
  const shim::UserPolicy user = shim::find_user_policy(std::getenv);
  if (!user.folder.empty()) files.push_back(std::string(user.folder).append(user.rest));
  std::erase_if(files, [](const std::string& file) { return !fs::exists(file); });
  return files;
}

// The library does not start a program for which there are too many rules.
void look_for_too_many_rules(PolicyLevel& level) {
  for (const policy::ProgramRule& rule : level.policy.programs) {
    const std::size_t bytes = policy::options_for({&level.policy, 1}, rule.name).size();
    if (bytes < shim::kOptionTextBytes) continue;
    level.errors.push_back(level.path + ": too many rules for " +
                           (rule.name.empty() ? "every program" : "the program " + rule.name) + ": " +
                           std::to_string(bytes) + " bytes of options, and at most " +
                           std::to_string(shim::kOptionTextBytes - 1) + " are possible");
  }
}

}  // namespace

PolicyLevel read_policy_file(const std::string& path) {
  PolicyLevel level;
  std::vector<policy::PolicyError> errors;
  level.path = path;
  level.policy = policy::read_policy(TextFile(path).whole(shim::kMostPolicyBytes), errors);
  for (const policy::PolicyError& error : errors) level.errors.push_back(path + ":" + error.text());
  if (errors.empty()) look_for_too_many_rules(level);
  return level;
}

PolicyLevel read_regular_policy_file(const std::string& path) {
  struct stat file {};
  if (stat(path.c_str(), &file) == 0 && !shim::may_hold_policy(file) && !S_ISDIR(file.st_mode))
    throw std::runtime_error(path + " can't be read: it is not a regular file");
  return read_policy_file(path);
}

bool print_errors(const PolicyLevel& level) {
  for (const std::string& error : level.errors) std::fprintf(stderr, "%s\n", error.c_str());
  return level.applies();
}

std::vector<PolicyLevel> read_policy_levels(const std::string& named) {
  std::vector<std::string> files = present_files();
  if (!named.empty()) files.push_back(named);
  std::vector<PolicyLevel> levels;
  for (const std::string& file : files) {
    try {
      levels.push_back(read_regular_policy_file(file));
    } catch (const std::runtime_error& error) {
      levels.push_back({file, {}, {error.what()}});
    }
  }
  return levels;
}

std::string options_of(const std::vector<PolicyLevel>& levels, const std::string& program) {
  std::vector<policy::PolicyFile> policies;
  for (const PolicyLevel& level : levels) {
    if (level.applies()) policies.push_back(level.policy);
  }
  const std::string path = look_at_program(program).path;
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  return policy::options_for(policies, error ? program : real.string());
}

}  // namespace libmseal::tool
