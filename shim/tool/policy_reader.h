// Policy files as the commands read them.
#pragma once

#include <string>
#include <vector>

#include "policy/configuration/policy_file.h"

namespace libmseal::tool {

struct PolicyLevel {
  std::string path;
  policy::PolicyFile policy;
  std::vector<std::string> errors;  // FILE:LINE:COLUMN: what is wrong

  // A file with mistakes does not.
  [[nodiscard]] bool applies() const { return errors.empty(); }
};
// The existing files that the library reads, then `named` if it is not empty, the weakest first. If a file
// can't be read, its `errors` say so.
std::vector<PolicyLevel> read_policy_levels(const std::string& named);

// Throws std::runtime_error if it can't be read.
PolicyLevel read_policy_file(const std::string& path);
// The same for a file that programs will read: it must be a regular file.
PolicyLevel read_regular_policy_file(const std::string& path);

// Prints all errors of the level; false if there are any.
bool print_errors(const PolicyLevel& level);

// The options for the program, in the form of MSEAL_OPTIONS.
std::string options_of(const std::vector<PolicyLevel>& levels, const std::string& program);

}  // namespace libmseal::tool
