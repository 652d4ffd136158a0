// Under a low limit of open files, which the supervisor inherits; many programs, and nothing hostile.
#include "tests/attacks/programs.h"

using namespace libmseal::tests;

int main() {
  const Victim text = Victim::text();
  for (int count = 0; count < 140; ++count) run_program();
  return conclude(text, "mprotect of the text",
                  raw_syscall(__NR_mprotect, text.at(), text.size(), PROT_READ | PROT_WRITE | PROT_EXEC));
}
