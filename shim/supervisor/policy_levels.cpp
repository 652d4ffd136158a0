#include "shim/supervisor/policy_levels.h"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

namespace libmseal::supervisor {

PolicyLevels::PolicyLevels(std::span<const char* const> paths) {
  for (const char* const path : paths) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    if (!file || text.bad()) {
      complaints_ += std::string(path) + ": can't be read\n";
      continue;
    }
    std::vector<policy::PolicyError> errors;
    policy::PolicyFile read = policy::read_policy(text.str(), errors);
    for (const policy::PolicyError& error : errors) {
      complaints_ += std::string(path) + ":" + std::to_string(error.line) + ":" +
                     std::to_string(error.column) + ": " + error.what + "\n";
    }
    if (errors.empty()) files_.push_back(std::move(read));
  }
}

std::string PolicyLevels::options_for(pid_t process, const std::string& otherwise) const {
  if (files_.empty()) return {};
  std::error_code unreadable;
  const std::string program =
      std::filesystem::read_symlink("/proc/" + std::to_string(process) + "/exe", unreadable);
  return policy::options_for(files_, unreadable ? otherwise : program);
}

}  // namespace libmseal::supervisor
