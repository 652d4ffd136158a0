// Filters of one's own that allow everything, and the oldest trick: they run too, they do not replace.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const Victim victim = Victim::page();
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  sock_fprog program{1, allow};
  for (int count = 0; count < 10; ++count)
    (void)raw_syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
  return conclude(victim, "munmap", raw_syscall(__NR_munmap, victim.at(), victim.size()));
}
