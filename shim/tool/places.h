// Where the library and this program are.
#pragma once

#include <cstdint>
#include <string>

namespace libmseal::tool {

// This program's own file, with or without /proc.
std::string own_program();

// libmseal.so beside this program (a build), else where the installation puts it. Throws std::runtime_error
// if it is at neither place, or is of another version than this tool.
std::string find_library();

// The version of the layout that the library's note says; 0 if the file is no libmseal.so.
std::uint32_t layout_of(const std::string& library);

// The supervisor program that this library starts.
std::string supervisor_of(const std::string& library);

}  // namespace libmseal::tool
