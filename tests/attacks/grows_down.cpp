// mprotect with PROT_GROWSDOWN reaches from one page down to the start of a stack mapping, sealed or not.
#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  char* const base = map_at(0, 8 * kPage, MAP_PRIVATE | MAP_GROWSDOWN);
  std::memset(base, 'v', 8 * kPage);
  const Victim victim(base, kPage);
  const long answer =
      raw_syscall(__NR_mprotect, base + 4 * kPage, kPage, PROT_READ | PROT_EXEC | PROT_GROWSDOWN);
  return conclude(victim, "mprotect(PROT_GROWSDOWN)", answer);
}
