// MADV_DONTFORK and WIPEONFORK on everything, then fork: the child must have its sealed memory.
#include <sys/wait.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const Victim victim = Victim::page();
  (void)raw_syscall(__NR_madvise, victim.at(), victim.size(), MADV_DONTFORK);
  (void)raw_syscall(__NR_madvise, victim.at(), victim.size(), MADV_WIPEONFORK);
  const int child = ::fork();
  if (child == 0) {
    (void)raw_syscall(__NR_munmap, victim.at(), victim.size());
    ::_exit(victim.intact() ? kHeld : kBroken);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  const int held = conclude(victim, "madvise and fork", 0);
  return held == kHeld ? WEXITSTATUS(status) : held;
}
