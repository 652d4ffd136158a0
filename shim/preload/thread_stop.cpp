#include "shim/preload/thread_stop.h"

#include <sched.h>
#include <sys/wait.h>

#include <cerrno>

#include "shim/common/raw_syscall.h"
#include "shim/common/trace_stop.h"

namespace libmseal::shim {
namespace {

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
