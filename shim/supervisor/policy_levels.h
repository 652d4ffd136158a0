// The policy files of a tree: read once, when it starts.
#pragma once

#include <sys/types.h>

#include <span>
#include <string>
#include <vector>

#include "policy/configuration/policy_file.h"
#include "shim/supervisor/proc.h"

namespace libmseal::supervisor {

class PolicyLevels {
 public:
  // `paths`, the weakest first. A file that is wrong does not apply at all; what is wrong is told by
  // complaints(), a line for each.
  explicit PolicyLevels(std::span<const char* const> paths);

  [[nodiscard]] const std::string& complaints() const { return complaints_; }

  // What they say about the program that the process runs, as text of MSEAL_OPTIONS. If the process can't be
  // looked at, as without `proc`: of the program `otherwise`, or what is for all.
  [[nodiscard]] std::string options_for(Proc* proc, pid_t process, const std::string& otherwise = {}) const;

 private:
  std::vector<policy::PolicyFile> files_;
  std::string complaints_;
};

}  // namespace libmseal::supervisor
