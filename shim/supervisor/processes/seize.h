// Attaches to threads (ptrace(2), PTRACE_SEIZE).
#pragma once

#include <sys/types.h>

#include <csignal>
#include <span>

namespace libmseal::supervisor {

// Becomes the thread's tracer, with these PTRACE_O_ options. `attached`: the threads that this process traces
// already. 0 or an errno: ESRCH if it has ended, EBUSY if another thread of its process is in execve(2) and
// stays there.
//
// The kernel makes PTRACE_SEIZE wait while a thread of the process is in execve (kernel/ptrace.c,
// ptrace_attach: cred_guard_mutex). And execve waits until all other threads have ended and their tracer has
// reaped them (fs/exec.c, de_thread). If that is this process, each would wait for the other: so this reaps
// threads meanwhile.
int seize(pid_t task, unsigned long options, std::span<const pid_t> attached);

// SIGCHLD, which seize() blocks.
sigset_t child_signal();

// Reaps those of the traced threads that have ended; waitpid then fails with ECHILD for them.
void reap_ended(std::span<const pid_t> attached);

}  // namespace libmseal::supervisor
