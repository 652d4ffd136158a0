// Interposed libc functions that start programs: they set the memory layout of the new program first.
#pragma once

namespace libmseal::shim {

// Finds the functions of libc with these names. Called once, at start.
void find_exec_functions();

}  // namespace libmseal::shim
