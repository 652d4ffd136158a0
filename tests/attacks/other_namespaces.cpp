// From a child in new user, pid and mount namespaces, where the same numbers mean other processes.
#include <sched.h>
#include <sys/wait.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const Victim victim = Victim::page();
  const Victim text = Victim::text();
  // Inside a chroot there are no new user namespaces.
  constexpr int kNamespaces = CLONE_NEWPID | CLONE_NEWNS;
  if (::unshare(CLONE_NEWUSER | kNamespaces) != 0 && ::unshare(kNamespaces) != 0) cannot_try("namespaces");
  const int child = ::fork();
  if (child == 0) {
    (void)raw_syscall(__NR_munmap, victim.at(), victim.size());
    (void)raw_syscall(__NR_mprotect, text.at(), text.size(), PROT_READ | PROT_WRITE | PROT_EXEC);
    ::_exit(victim.intact() && text.intact() ? kHeld : kBroken);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  std::printf("the child's victims are %s\n", WEXITSTATUS(status) == 0 ? "unharmed" : "CHANGED");
  return WEXITSTATUS(status);
}
