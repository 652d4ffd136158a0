// Checks before the library is loaded into every program of a system.
#pragma once

#include <string>

namespace libmseal::tool {

// The folder, link or file by which somebody else than root could replace or change this file. Empty if there
// is none.
std::string not_roots(const std::string& path);

// What is wrong with the library for all programs of this system, in words; empty if nothing is.
std::string flaw_of_library(const std::string& library);

// What is wrong with the system: one whose programs would not load the library, or can't be tried.
std::string flaw_of_system();

// Starts programs as root and as nobody. What they say or how they fail; empty if all is well. `library` for
// LD_PRELOAD; empty: the system has to load one by itself.
std::string complaints_of_programs(const std::string& library);

// Whether ordinary users' programs get no_new_privs from the library, so that sudo and the like gain nothing.
bool takes_privileges_away(const std::string& library);

}  // namespace libmseal::tool
