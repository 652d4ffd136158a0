// munmap and mprotect under their numbers of the x32 ABI.
#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const Victim victim = Victim::page();
  const Victim supervised = Victim::supervised_page();
  constexpr long kX32 = 0x40000000;
  long answer = raw_syscall(kX32 + __NR_munmap, victim.at(), victim.size());
  if (answer == -ENOSYS)
    answer = raw_syscall(kX32 + __NR_mprotect, supervised.at(), supervised.size(), PROT_READ | PROT_WRITE);
  const int held = conclude(supervised, "x32 munmap, mprotect", answer);
  return held == kHeld ? conclude(victim, "x32 munmap", answer) : held;
}
