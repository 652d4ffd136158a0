// Checks before the library is loaded into every program of a system.
#pragma once

#include <string>

namespace libmseal::tool {

// The directory, link or file through which somebody other than root could replace or change this file. Empty
// if there is none.
std::string not_roots(const std::string& path);

// Whether the file is called as this library is.
bool has_our_name(const std::string& path);

// Why the library can't be loaded into all programs; empty if it can.
std::string flaw_of_library(const std::string& library);

// Why programs of this system would not load the library, or can't be tried; empty if there is no problem.
std::string flaw_of_system();

// Starts programs as root and as nobody. Returns what they print or how they fail; empty if all is well.
// `library` is for LD_PRELOAD; empty: the system's list already names one.
std::string complaints_of_programs(const std::string& library);

// Whether ordinary users' programs get no_new_privs from the library, so that sudo stops working.
bool takes_privileges_away(const std::string& library);

}  // namespace libmseal::tool
