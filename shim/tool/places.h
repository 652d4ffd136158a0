// Where the library and this program are.
#pragma once

#include <string>

namespace libmseal::tool {

// This program's own file, with or without /proc.
std::string own_program();

// libmseal.so beside this program (a build), else where the installation puts it. Throws std::runtime_error,
// with what was looked for, if it is at neither place, or
// is of another version than this tool.
std::string find_library();

}  // namespace libmseal::tool
