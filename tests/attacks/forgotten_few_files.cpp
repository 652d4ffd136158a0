// Under a low limit of open files, which the supervisor inherits; many programs, and nothing hostile.
#include "tests/attacks/programs.h"

using namespace libmseal::tests;

int main() {
  const Victim page = Victim::supervised_page();
  for (int count = 0; count < 140; ++count) run_program();
  return conclude(page, "mprotect of the page",
                  raw_syscall(__NR_mprotect, page.at(), page.size(), PROT_READ | PROT_WRITE | PROT_EXEC));
}
