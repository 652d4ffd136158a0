// Children that the program does not notice: they have no exit signal, so there is no SIGCHLD, and an
// ordinary wait() does not return them.
#pragma once

#include <fcntl.h>
#include <sys/wait.h>

#include <cerrno>
#include <cstring>

#include "shim/common/raw_syscall.h"

namespace libmseal::shim {

// Whether this thread's next child would be in another pid namespace (unshare, setns). The first process of a
// namespace must be one of the program: when it ends, nobody can create another one there. The link has no
// target until that process exists (fs/nsfs.c; kernel/pid_namespace.c, pidns_for_children_get).
inline bool next_child_is_elsewhere() {
  char own[32] = {};
  char next[32] = {};
  if (raw_syscall(__NR_readlinkat, AT_FDCWD, "/proc/thread-self/ns/pid", own, sizeof own - 1) <= 0)
    return false;
  const long link = raw_syscall(__NR_openat, AT_FDCWD, "/proc/thread-self/ns/pid_for_children",
                                O_PATH | O_NOFOLLOW | O_CLOEXEC);
  if (failed(link)) return false;  // before Linux 4.12
  (void)raw_syscall(__NR_readlinkat, link, "", next, sizeof next - 1);
  (void)raw_syscall(__NR_close, link);
  return std::strcmp(own, next) != 0;
}

// As fork: 0 in the child, its ID, or -errno; -EXDEV if it would be in another pid namespace.
inline long create_child(unsigned long flags) {
  return next_child_is_elsewhere() ? -EXDEV : raw_syscall(__NR_clone, flags, 0, 0, 0, 0);
}

// Ends the process without libc.
[[noreturn]] inline void end_process(int status) {
  while (true) (void)raw_syscall(__NR_exit_group, status);
}

// Waits until such a child has ended. Returns its wait status, or -errno.
inline long reap(long child) {
  int status = 0;
  long waited = 0;
  do {
    waited = raw_syscall(__NR_wait4, child, &status, __WCLONE, nullptr);
  } while (waited == -EINTR);
  return failed(waited) ? waited : status;
}

// Runs work() in a forked child, which exits with its result. Returns the wait status, or -errno.
template <class Work>
long run_in_child(Work work) {
  const long child = create_child(0);
  if (child == 0) end_process(work());
  return failed(child) ? child : reap(child);
}

}  // namespace libmseal::shim
