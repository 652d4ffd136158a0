// Where the library is.
#pragma once

#include <string>

namespace libmseal::tool {

// libmseal.so beside this program (a build), else where the installation puts it. Throws std::runtime_error,
// with what was looked for, if it is at neither place.
std::string find_library();

}  // namespace libmseal::tool
