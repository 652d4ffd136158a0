#include "shim/preload/thread_stop.h"

#include <sched.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <time.h>

#include <cerrno>

#include "shim/common/raw_syscall.h"

namespace libmseal::shim {
namespace {

constexpr long kNap = 20'000;      // ns
constexpr int kMostNaps = 25'000;  // half a second and more: what lasts longer is no ordinary memory call

// The signal that the stopped thread was about to take and has to be given back; 0 if there is none.
long interrupted_signal(int status) {
  const bool stopped_by_us = status >> 16 == PTRACE_EVENT_STOP;
  return stopped_by_us ? 0 : WSTOPSIG(status);
}

bool trace_to_stop(long id) {
  const long seized = raw_syscall(__NR_ptrace, PTRACE_SEIZE, id, 0, 0);
  if (seized != 0) return seized == -ESRCH;
  (void)raw_syscall(__NR_ptrace, PTRACE_INTERRUPT, id, 0, 0);
  for (int naps = 0; naps < kMostNaps; ++naps) {
    int status = 0;
    const long waited = raw_syscall(__NR_wait4, id, &status, __WALL | WNOHANG, nullptr);
    if (waited == id) {
      if (WIFSTOPPED(status))
        (void)raw_syscall(__NR_ptrace, PTRACE_DETACH, id, 0, interrupted_signal(status));
      return true;
    }
    if (waited == -ECHILD) return true;
    const timespec time{0, kNap};
    (void)raw_syscall(__NR_nanosleep, &time, nullptr);
  }
  return false;  // the end of the tracer lets it go
}

// In the child: all memory is the parent's.
[[noreturn]] void trace_and_end(long id, volatile bool* stopped) {
  *stopped = trace_to_stop(id);
  while (true) (void)raw_syscall(__NR_exit_group, 0);
}

}  // namespace

// The child starts on this very frame, so it must never return into it.
__attribute__((noinline)) bool stop_thread(long id) {
  volatile bool stopped = false;
  // No exit signal: neither SIGCHLD nor an ordinary wait() tells of the child.
  const long child = raw_syscall(__NR_clone, CLONE_VM | CLONE_VFORK, 0, 0, 0, 0);
  if (child == 0) trace_and_end(id, &stopped);
  if (failed(child)) return false;
  long waited = 0;
  do {
    waited = raw_syscall(__NR_wait4, child, nullptr, __WCLONE, nullptr);
  } while (waited == -EINTR);
  return stopped;
}

}  // namespace libmseal::shim
