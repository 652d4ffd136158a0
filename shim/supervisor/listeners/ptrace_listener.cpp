#include "shim/supervisor/listeners/ptrace_listener.h"

#include <elf.h>
#include <linux/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <ctime>
#include <set>
#include <vector>

#include "policy/protocol/control.h"
#include "shim/common/raw_syscall.h"
#include "shim/supervisor/processes/seize.h"

namespace libmseal::supervisor {
namespace {

long trace(long request, pid_t task, unsigned long address = 0, unsigned long data = 0) {
  return shim::raw_syscall(__NR_ptrace, request, task, address, data);
}

int event_in(int status) {
  return status >> 16;
}

// A stop of the whole process, by SIGSTOP for example, as opposed to the first stop of a new thread.
bool is_group_stop(int signal) {
  return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

// Has the stopped call return this value instead of being made (seccomp(2), SECCOMP_RET_TRACE).
void skip_call(pid_t task, std::int64_t value) {
#ifdef __x86_64__
  (void)trace(PTRACE_POKEUSR, task, offsetof(user_regs_struct, orig_rax), ~0UL);
  (void)trace(PTRACE_POKEUSR, task, offsetof(user_regs_struct, rax), static_cast<unsigned long>(value));
#else
  int none = -1;
  iovec number{&none, sizeof none};
  (void)trace(PTRACE_SETREGSET, task, NT_ARM_SYSTEM_CALL, reinterpret_cast<unsigned long>(&number));
  user_regs_struct registers{};
  iovec all{&registers, sizeof registers};
  if (trace(PTRACE_GETREGSET, task, NT_PRSTATUS, reinterpret_cast<unsigned long>(&all)) != 0) return;
  registers.regs[0] = static_cast<std::uint64_t>(value);
  (void)trace(PTRACE_SETREGSET, task, NT_PRSTATUS, reinterpret_cast<unsigned long>(&all));
#endif
}

}  // namespace

std::unique_ptr<PtraceListener> PtraceListener::attach(Proc& proc, pid_t process) {
  constexpr unsigned long kOptions = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                                     PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
  auto listener = std::make_unique<PtraceListener>();
  std::set<pid_t> done;
  int tries_left = 10;  // while one is in execve
  std::vector<pid_t> attached;
  // A thread that is not attached yet may create another one.
  for (bool found = true; found;) {
    found = false;
    const auto threads = proc.threads(process);
    if (!threads.is_seen()) {
      errno = ESRCH;
      return nullptr;
    }
    for (const pid_t task : *threads) {
      if (!done.insert(task).second) continue;
      found = true;
      const int error = seize(task, kOptions, attached);
      if (error == 0) attached.push_back(task);
      if (error == 0 || error == ESRCH) continue;
      if (error == EBUSY && --tries_left > 0) {
        done.erase(task);
        continue;
      }
      // EPERM also means that a traced thread has created it meanwhile, or that it has ended: the first
      // thread remains visible.
      const bool is_traced_by_us = trace(PTRACE_INTERRUPT, task) == 0;
      if (is_traced_by_us) attached.push_back(task);
      if (is_traced_by_us || has_ended(proc, task)) continue;
      errno = error == EBUSY ? ETIMEDOUT : error;
      return nullptr;  // the threads are released when this process ends
    }
  }
  return listener;
}

// All that has been reported is taken first: the kernel reports the newest thread first (kernel/ptrace.c,
// __ptrace_link), so that older ones might wait for ever.
bool PtraceListener::take_reports() {
  int status = 0;
  pid_t task = 0;
  while ((task = waitpid(-1, &status, __WALL | WNOHANG)) > 0) {
    seccomp_notif notification{};
    if (note(task, status, notification)) reported_.push_back(notification);
  }
  return task == 0;
}

Listener::Received PtraceListener::next(seccomp_notif& notification, int timeout_ms) {
  while (true) {
    const bool is_left = take_reports();
    if (!reported_.empty()) {
      notification = reported_.front();
      reported_.pop_front();
      return Received::notification;
    }
    if (!is_left) return Received::hang_up;
    // A change of state is announced by that signal, which seize() has blocked.
    const sigset_t signals = child_signal();
    const timespec timeout{timeout_ms / 1000, timeout_ms % 1000 * 1'000'000L};
    if (sigtimedwait(&signals, nullptr, timeout_ms < 0 ? nullptr : &timeout) < 0) return Received::nothing;
  }
}

bool PtraceListener::note(pid_t task, int status, seccomp_notif& notification) {
  waiting_.erase(task);  // it has ended, or was the first thread when another one called execve
  if (!WIFSTOPPED(status)) return false;
  const int signal = WSTOPSIG(status);
  switch (event_in(status)) {
    case 0:
      (void)trace(PTRACE_CONT, task, 0, static_cast<unsigned long>(signal));
      return false;
    case PTRACE_EVENT_SECCOMP:
      if (describe(task, notification)) return true;
      break;
    case PTRACE_EVENT_STOP:
      if (!is_group_stop(signal)) break;
      (void)trace(PTRACE_LISTEN, task);
      return false;
    default:
      break;
  }
  (void)trace(PTRACE_CONT, task);
  return false;
}

bool PtraceListener::describe(pid_t task, seccomp_notif& notification) {
  ptrace_syscall_info call{};
  const long got = trace(PTRACE_GET_SYSCALL_INFO, task, sizeof call, reinterpret_cast<unsigned long>(&call));
  if (got <= 0 || call.op != PTRACE_SYSCALL_INFO_SECCOMP) return false;
  notification = {};
  notification.id = ++last_id_;
  notification.pid = static_cast<std::uint32_t>(task);
  notification.data.nr = static_cast<int>(call.seccomp.nr);
  notification.data.arch = call.arch;
  notification.data.instruction_pointer = call.instruction_pointer;
  std::ranges::copy(call.seccomp.args, notification.data.args);
  waiting_[task] = notification.id;
  return true;
}

bool PtraceListener::has_next() const {
  if (!reported_.empty()) return true;
  siginfo_t one{};
  return waitid(P_ALL, 0, &one, WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL) == 0 && one.si_pid != 0;
}

pid_t PtraceListener::task_of(std::uint64_t id) const {
  const auto found = std::ranges::find_if(waiting_, [&](const auto& entry) { return entry.second == id; });
  return found != waiting_.end() ? found->first : 0;
}

bool PtraceListener::still_waits(std::uint64_t id) const {
  const pid_t task = task_of(id);
  unsigned long message = 0;  // ESRCH if it was killed in its stop
  return task != 0 && trace(PTRACE_GETEVENTMSG, task, 0, reinterpret_cast<unsigned long>(&message)) == 0;
}

void PtraceListener::continue_call(std::uint64_t id) {
  const pid_t task = task_of(id);
  if (task == 0) return;
  waiting_.erase(task);
  (void)trace(PTRACE_CONT, task);
}

bool PtraceListener::deliver(std::uint64_t id, std::int64_t value) {
  const pid_t task = task_of(id);
  if (task == 0) return false;
  skip_call(task, value);
  continue_call(id);
  return true;
}

bool PtraceListener::answer_with_table(std::uint64_t id, int file) {
  answer(id, policy::encode(policy::TablePlace{getpid(), file}));
  return true;
}

}  // namespace libmseal::supervisor
