// libc's functions that start programs, from any thread: interposed to prepare for the program.
#pragma once

namespace libmseal::shim {

// Finds those of libc. Called once, at start.
void find_exec_functions();

}  // namespace libmseal::shim
