// Calls for which another seccomp filter (of a service, container or sandbox) may kill the caller. Such a
// call is tried in a child first. If the child is killed, the call is not used.
#pragma once

#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>

#include <cerrno>

#include "shim/common/child.h"

namespace libmseal::shim {

// The calls that are known to kill.
struct KilledCalls {
  bool openat2 = false;
  bool kcmp = false;
  bool kcmp_was_tried = false;
  bool ptrace = false;
};
inline KilledCalls g_killed_calls;

inline bool has_filters() {
  return raw_syscall(__NR_prctl, PR_GET_SECCOMP, 0, 0, 0, 0) == SECCOMP_MODE_FILTER;
}

// Whether a child that does `work` is killed.
template <class Work>
bool kills(Work work) {
  const long status = run_in_child([work] {
    work();
    return 0;
  });
  return !failed(status) && WIFSIGNALED(status);
}

// These calls have no effect.
inline void try_openat2() {
  (void)raw_syscall(__NR_openat2, AT_FDCWD, nullptr, nullptr, 0);
}
inline void try_kcmp() {
  (void)raw_syscall(__NR_kcmp, -1, -1, KCMP_VM, 0, 0);
}
inline void try_ptrace() {
  (void)raw_syscall(__NR_ptrace, PTRACE_DETACH, -1, 0, 0);
}

// To be called before kcmp is first used, where other filters may be in force.
inline void find_out_about_kcmp() {
  if (g_killed_calls.kcmp_was_tried) return;
  g_killed_calls.kcmp_was_tried = true;
  g_killed_calls.kcmp = g_killed_calls.kcmp || (has_filters() && kills(try_kcmp));
}

// Whether two tasks share memory: 0 if they do, positive if not, or -errno.
inline long compare_memory(long one, long other) {
  return g_killed_calls.kcmp ? -EPERM : raw_syscall(__NR_kcmp, one, other, KCMP_VM, 0, 0);
}

}  // namespace libmseal::shim
