#include "shim/preload/process/thread_stop.h"

#include <sched.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <cerrno>

#include "shim/common/child.h"
#include "shim/common/clock.h"
#include "shim/common/raw_syscall.h"

namespace libmseal::shim {
namespace {

// Attaches to the thread of another process, waits until it stops on its return to user mode, and detaches.
// True if the thread has left its call; false if it has ended, may not be stopped, or does not stop within a
// second. That it has ended must be seen otherwise: a filter may have answered instead of the kernel.
bool trace_to_stop(long id) {
  constexpr long kNap = 20'000;  // ns
  if (raw_syscall(__NR_ptrace, PTRACE_SEIZE, id, 0, 0) != 0) return false;
  (void)raw_syscall(__NR_ptrace, PTRACE_INTERRUPT, id, 0, 0);
  const Deadline deadline(1000);  // no ordinary memory call takes longer
  while (!deadline.passed()) {
    int status = 0;
    const long waited = raw_syscall(__NR_wait4, id, &status, __WALL | WNOHANG, nullptr);
    if (waited == id) {
      // If the thread was about to receive a signal, redeliver it.
      const bool stopped_by_us = status >> 16 == PTRACE_EVENT_STOP;
      if (WIFSTOPPED(status)) {
        (void)raw_syscall(__NR_ptrace, PTRACE_DETACH, id, 0, stopped_by_us ? 0 : WSTOPSIG(status));
      }
      return WIFSTOPPED(status);
    }
    if (waited == -ECHILD) return false;
    nap(kNap);
  }
  return false;  // the thread is detached when the tracer ends
}

// Runs in the child, which shares all memory with the parent.
[[noreturn]] void trace_and_end(long id, volatile bool* stopped) {
  *stopped = trace_to_stop(id);
  end_process(0);
}

}  // namespace

// The child runs on this stack frame, so it must never return from it.
__attribute__((noinline)) bool stop_thread(long id) {
  volatile bool stopped = false;
  if (next_child_is_elsewhere()) return false;
  const long child = raw_syscall(__NR_clone, CLONE_VM | CLONE_VFORK, 0, 0, 0, 0);
  if (child == 0) trace_and_end(id, &stopped);
  if (failed(child)) return false;
  (void)reap(child);
  return stopped;
}

}  // namespace libmseal::shim
