// Takes a thread out of whatever system call it runs, for a moment.
#pragma once

#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include <cerrno>

#include "shim/common/deadline.h"
#include "shim/common/raw_syscall.h"

namespace libmseal::shim {

// Attaches to the thread, waits until it stops on its way out of the kernel, and lets it go. True once it has
// been seen outside of every call that it had begun, or is gone; false if it may not be stopped, or has not
// within a second. No thread of one's own process.
inline bool trace_to_stop(long id) {
  constexpr long kNap = 20'000;  // ns
  const long seized = raw_syscall(__NR_ptrace, PTRACE_SEIZE, id, 0, 0);
  if (seized != 0) return seized == -ESRCH;
  (void)raw_syscall(__NR_ptrace, PTRACE_INTERRUPT, id, 0, 0);
  const Deadline deadline(1000);  // what lasts longer is no ordinary memory call
  while (!deadline.passed()) {
    int status = 0;
    const long waited = raw_syscall(__NR_wait4, id, &status, __WALL | WNOHANG, nullptr);
    if (waited == id) {
      // A signal that the thread was about to take has to be given back.
      const bool stopped_by_us = status >> 16 == PTRACE_EVENT_STOP;
      if (WIFSTOPPED(status)) {
        (void)raw_syscall(__NR_ptrace, PTRACE_DETACH, id, 0, stopped_by_us ? 0 : WSTOPSIG(status));
      }
      return true;
    }
    if (waited == -ECHILD) return true;
    const timespec time{0, kNap};
    (void)raw_syscall(__NR_nanosleep, &time, nullptr);
  }
  return false;  // the end of the tracer lets it go
}

}  // namespace libmseal::shim
