// Policy files as the commands read them.
#pragma once

#include <string>

#include "policy/configuration/policy_file.h"

namespace libmseal::tool {

// Prints what is wrong with the file, and clears `good` then. Throws std::runtime_error, with the reason, if
// it can't be read.
policy::PolicyFile read_policy_file(const std::string& path, bool& good);

}  // namespace libmseal::tool
