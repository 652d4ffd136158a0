// Policy files as the commands read them.
#pragma once

#include <string>
#include <vector>

#include "policy/configuration/policy_file.h"

namespace libmseal::tool {

struct PolicyLevel {
  std::string path;
  policy::PolicyFile policy;
  bool applies = true;              // a file with mistakes does not
  std::vector<std::string> errors;  // FILE:LINE:COLUMN: what is wrong
};
// The files that the library looks for and finds, then `named`, if it is not empty: each stronger than those
// before. One that can't be read has that for its error.
std::vector<PolicyLevel> read_policy_levels(const std::string& named);

// Throws std::runtime_error, with the reason, if it can't be read.
PolicyLevel read_policy_file(const std::string& path);
// The same of one that programs are started with: those take regular files alone.
PolicyLevel read_regular_policy_file(const std::string& path);

// Prints them all; false if there are any.
bool print_errors(const PolicyLevel& level);

// What they say of the program, in the form of MSEAL_OPTIONS.
std::string options_of(const std::vector<PolicyLevel>& levels, const std::string& program);

}  // namespace libmseal::tool
