// No attack: a tracer that skips a call, by the number -1, answers it itself. Its answer must stand.
#include <sys/ptrace.h>
#include <sys/user.h>

#include <csignal>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  constexpr unsigned long long kAnswer = 1234;
  const Victim text = Victim::text();
  const int child = ::fork();
  if (child == 0) {
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    ::raise(SIGSTOP);
    ::_exit(raw_syscall(__NR_getppid) == static_cast<long>(kAnswer) ? kHeld : kBroken);
  }
  ::waitpid(child, nullptr, 0);
  ::ptrace(PTRACE_SETOPTIONS, child, nullptr, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
  bool skipped = false;
  int status = 0;
  while (!skipped) {
    ::ptrace(PTRACE_SYSCALL, child, nullptr, nullptr);
    if (::waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) cannot_try("ptrace");
    user_regs_struct registers{};
    ::ptrace(PTRACE_GETREGS, child, nullptr, &registers);
    if (registers.orig_rax != __NR_getppid) continue;
    registers.orig_rax = ~0ULL;
    registers.rax = kAnswer;
    ::ptrace(PTRACE_SETREGS, child, nullptr, &registers);
    skipped = true;
  }
  ::ptrace(PTRACE_DETACH, child, nullptr, nullptr);
  const int outcome = outcome_of(child);
  std::printf("the tracer's answer %s\n", outcome == kHeld ? "stands" : "is LOST");
  return outcome;
}
