// prctl(PR_SET_MM) changes the addresses by which the supervisor identifies an image.
#include <sys/prctl.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const Victim page = Victim::supervised_page();
  const long other = reinterpret_cast<long>(&main);
  (void)raw_syscall(__NR_prctl, PR_SET_MM, PR_SET_MM_START_CODE, other & -4096L, 0, 0);
  (void)raw_syscall(__NR_prctl, PR_SET_MM, PR_SET_MM_ARG_START, other, 0, 0);
  (void)raw_syscall(__NR_prctl, PR_SET_MM, PR_SET_MM_START_STACK, other, 0, 0);
  return conclude(page, "mprotect under a new identity",
                  raw_syscall(__NR_mprotect, page.at(), page.size(), PROT_READ | PROT_WRITE | PROT_EXEC));
}
