#include "shim/supervisor/processes/seize.h"

#include <sys/ptrace.h>
#include <sys/time.h>
#include <sys/wait.h>

#include <cerrno>
#include <csetjmp>
#include <csignal>

namespace libmseal::supervisor {
namespace {

constexpr long kAtMost = 100'000;  // us: all notifications wait meanwhile

sigjmp_buf g_give_up;
volatile std::sig_atomic_t g_may_give_up = 0;
itimerval g_timer_before{};
std::span<const pid_t> g_attached;  // while the handler may run

// The kernel restarts PTRACE_SEIZE after any signal, so a handler has to leave it.
void stop_waiting(int /*signal*/) {
  if (g_may_give_up == 0) return;  // it is the listener's timer, which only interrupts
  g_may_give_up = 0;
  siglongjmp(g_give_up, 1);
}

void reap(int /*signal*/) {
  const int kept = errno;
  reap_ended(g_attached);
  errno = kept;
}

// SIGCHLD is blocked except during PTRACE_SEIZE, because it would interrupt other calls.
bool set_handlers() {
  const sigset_t signals = child_signal();
  (void)sigprocmask(SIG_BLOCK, &signals, nullptr);
  struct sigaction action {};
  action.sa_handler = reap;
  (void)sigaction(SIGCHLD, &action, nullptr);
  action.sa_handler = stop_waiting;
  (void)sigaction(SIGALRM, &action, nullptr);
  return true;
}

}  // namespace

sigset_t child_signal() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGCHLD);
  return signals;
}

int seize(pid_t task, unsigned long options, std::span<const pid_t> attached) {
  [[maybe_unused]] static const bool set = set_handlers();
  const sigset_t signals = child_signal();
  g_attached = attached;
  volatile int error = EBUSY;
  if (sigsetjmp(g_give_up, 1) == 0) {
    g_may_give_up = 1;
    const itimerval limit{{0, 0}, {0, kAtMost}};
    (void)setitimer(ITIMER_REAL, &limit, &g_timer_before);
    (void)sigprocmask(SIG_UNBLOCK, &signals, nullptr);
    error = ptrace(PTRACE_SEIZE, task, nullptr, options) == 0 ? 0 : errno;
    g_may_give_up = 0;
  }
  (void)sigprocmask(SIG_BLOCK, &signals, nullptr);
  (void)setitimer(ITIMER_REAL, &g_timer_before, nullptr);
  // The timer may have expired right after the call succeeded: only a tracer may interrupt the thread.
  if (error == EBUSY && ptrace(PTRACE_INTERRUPT, task, nullptr, nullptr) == 0) error = 0;
  return error;
}

// waitid reports the stops of traced threads even if it is only asked for ends (kernel/exit.c,
// wait_task_stopped). So it is asked about each thread, first without taking the report.
void reap_ended(std::span<const pid_t> attached) {
  constexpr int kEnded = WEXITED | WNOHANG | __WALL;
  for (const pid_t task : attached) {
    siginfo_t seen{};
    if (waitid(P_PID, static_cast<id_t>(task), &seen, kEnded | WNOWAIT) != 0 || seen.si_pid != task) continue;
    const bool ended = seen.si_code == CLD_EXITED || seen.si_code == CLD_KILLED || seen.si_code == CLD_DUMPED;
    if (ended) (void)waitid(P_PID, static_cast<id_t>(task), &seen, kEnded);
  }
}

}  // namespace libmseal::supervisor
