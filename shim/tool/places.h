// Finds the library, the supervisor and this program.
#pragma once

#include <cstdint>
#include <string>

namespace libmseal::tool {

// This program's own file, with or without /proc.
std::string own_program();

// libmseal.so next to this program (in a build), else the installed one. Throws std::runtime_error if there
// is none, or if it has another version than this tool.
std::string find_library();

// The layout version in the library's ELF note; 0 if the file is not libmseal.so.
std::uint32_t layout_of(const std::string& library);

// The supervisor program that this library starts.
std::string supervisor_of(const std::string& library);

}  // namespace libmseal::tool
