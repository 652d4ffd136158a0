// From a child in new user, pid and mount namespaces, where the same numbers mean other processes.
#include <sched.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const Victim victim = Victim::page();
  const Victim supervised = Victim::supervised_page();
  // Inside a chroot there are no new user namespaces.
  constexpr int kNamespaces = CLONE_NEWPID | CLONE_NEWNS;
  if (::unshare(CLONE_NEWUSER | kNamespaces) != 0 && ::unshare(kNamespaces) != 0) cannot_try("unshare");
  const int child = ::fork();
  if (child == 0) {
    const int held = conclude(victim, "munmap", raw_syscall(__NR_munmap, victim.at(), victim.size()));
    const long answer =
        raw_syscall(__NR_mprotect, supervised.at(), supervised.size(), PROT_READ | PROT_WRITE | PROT_EXEC);
    leave(worse_of(held, conclude(supervised, "mprotect", answer)));
  }
  return outcome_of(child);
}
