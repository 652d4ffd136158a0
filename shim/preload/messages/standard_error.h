// Standard error of the program. A message must neither end the program, nor stop it, nor get into its data.
#pragma once

#include <string_view>

namespace libmseal::shim {

// To be called at the start: what is standard error now.
void note_standard_error();

// Writes the line if it can be written at once, and if descriptor 2 is still what it was at the start, a
// terminal, or a file that is opened for appending: a daemon that has closed it may have its data there.
void write_to_standard_error(std::string_view line);

// From now on it is written without these checks: a filter of the program kills callers of what they need.
void trust_standard_error();

}  // namespace libmseal::shim
