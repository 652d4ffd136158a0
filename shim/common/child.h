// Children that the program does not notice: they have no exit signal, so there is no SIGCHLD, and an
// ordinary wait() does not return them.
#pragma once

#include <sys/wait.h>

#include <cerrno>

#include "shim/common/raw_syscall.h"

namespace libmseal::shim {

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
  const long child = raw_syscall(__NR_clone, 0, 0, 0, 0, 0);
  if (child == 0) end_process(work());
  return failed(child) ? child : reap(child);
}

}  // namespace libmseal::shim
