// Keeps this process, and all that come from it, from opening files of /proc for writing: no filter sees a
// path, but Landlock does.
#pragma once

#include <string_view>

namespace libmseal::shim {

// Whether that is so already.
bool writing_proc_is_forbidden();

// Every file below /, but those of /proc, stays as writable as it was. Empty, or why it can't be had.
std::string_view forbid_writing_proc();

}  // namespace libmseal::shim
