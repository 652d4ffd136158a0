// Opens the files of this thread in /proc, never something that is mounted over them.
#pragma once

#include "shim/common/proc_root.h"

namespace libmseal::shim {

// A descriptor, or -errno.
inline long open_own(std::string_view file, std::uint64_t flags = O_RDONLY) {
  return ProcRoot().open(ProcPath("thread-self/").append(file), flags);
}

}  // namespace libmseal::shim
