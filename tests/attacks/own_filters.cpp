// Filters of the program that allow everything: they do not replace those of the library.
#include "tests/attacks/attack.h"
#include "tests/support/filters.h"

using namespace libmseal::tests;

int main() {
  const Victim victim = Victim::page();
  sock_filter allow[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  for (int count = 0; count < 10; ++count) (void)install_filter(allow);
  return conclude(victim, "munmap", raw_syscall(__NR_munmap, victim.at(), victim.size()));
}
