// Interposed libc functions that start programs. First they make this process known to the supervisor if
// necessary, and set the memory layout of the new program.
#pragma once

namespace libmseal::shim {

// Finds the functions of libc with these names. Called once, at start.
void find_exec_functions();

}  // namespace libmseal::shim
