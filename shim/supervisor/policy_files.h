// The policy files of a tree. They are read once, when the tree starts.
#pragma once

#include <sys/types.h>

#include <span>
#include <string>
#include <vector>

#include "policy/configuration/policy_file.h"
#include "shim/supervisor/processes/proc.h"

namespace libmseal::supervisor {

class PolicyFiles {
 public:
  // `paths`: the weakest first. A file with a mistake is ignored as a whole; complaints() has a line for each
  // mistake.
  explicit PolicyFiles(std::span<const char* const> paths);

  [[nodiscard]] const std::string& complaints() const { return complaints_; }

  // The options for the program of the process, in the form of MSEAL_OPTIONS. If the process can't be
  // inspected, or without `proc`: for the program `otherwise`, or the rules for all programs.
  [[nodiscard]] std::string options_for(Proc* proc, pid_t process, const std::string& otherwise = {}) const;

 private:
  std::vector<policy::PolicyFile> files_;
  std::string complaints_;
};

}  // namespace libmseal::supervisor
