// A program that its user may execute and not read. The supervisor may not inspect it when the library
// starts. Later the program makes itself dumpable.
#include <sys/prctl.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  if (::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 1) cannot_try("it can be looked at from the start");
  const auto page = reinterpret_cast<std::uintptr_t>(&cannot_try) & -kPage;
  const Victim text = Victim::sealed_already(reinterpret_cast<char*>(page), kPage);
  ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  return conclude(text, "mprotect",
                  raw_syscall(__NR_mprotect, text.at(), text.size(), PROT_READ | PROT_WRITE | PROT_EXEC));
}
