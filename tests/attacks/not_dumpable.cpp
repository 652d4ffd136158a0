// PR_SET_DUMPABLE 0 hides a process from those who may not look.
#include <sys/prctl.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const Victim text = Victim::text();
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  const long answer = raw_syscall(__NR_mprotect, text.at(), text.size(), PROT_READ | PROT_WRITE | PROT_EXEC);
  ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  return conclude(text, "mprotect", answer);
}
