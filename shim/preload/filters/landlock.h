// Keeps this process, and all that come from it, from opening files of /proc for writing: no filter sees a
// path, but Landlock does.
#pragma once

#include <string_view>

namespace libmseal::shim {

// Whether writing is forbidden already.
bool writing_proc_is_forbidden();

// Forbids it. All files outside of /proc stay as writable as they were. Empty, or why it is impossible.
std::string_view forbid_writing_proc();

}  // namespace libmseal::shim
