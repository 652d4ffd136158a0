// Prevents this process and its descendants from opening files of /proc for writing. A seccomp filter can't
// see paths, but Landlock can.
#pragma once

#include <string_view>

namespace libmseal::shim {

// Whether that is forbidden already.
bool writing_proc_is_forbidden();

// Forbids it. Files and folders that are created directly in / later can't be written either. Returns "", or
// why it is impossible.
std::string_view forbid_writing_proc();

}  // namespace libmseal::shim
