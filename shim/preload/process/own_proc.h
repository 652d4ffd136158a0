// Reads the files of this thread in /proc, never something that is mounted over them.
#pragma once

#include "shim/common/proc_root.h"
#include "shim/common/raw_syscall.h"

namespace libmseal::shim {

// "self" takes half the time of "thread-self", but shows no memory once the first thread has ended.
inline ProcPath own_path(std::string_view file) {
  const bool is_first_thread = raw_syscall(__NR_gettid) == raw_syscall(__NR_getpid);
  return ProcPath(is_first_thread ? "self/" : "thread-self/").append(file);
}

// A descriptor, or -errno.
inline long open_own(std::string_view file) {
  return ProcRoot().open(own_path(file));
}

}  // namespace libmseal::shim
