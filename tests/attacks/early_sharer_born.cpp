// A constructor of a library, which runs before that of libmseal, creates a process that shares the memory.
// The program, which seals none of its objects, maps a page with PROT_SEAL, and that process makes it
// writable.
#include "tests/attacks/early_sharer.h"

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  if (!has_early_sharer()) cannot_try("clone");
  void* const born = ::mmap(nullptr, kPage, PROT_READ | PROT_SEAL, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (born == MAP_FAILED) return nothing_promised(-errno);
  char* const page = static_cast<char*>(born);
  const Victim victim = Victim::sealed_already(page, kPage);
  return conclude(victim, "mprotect by the sharer", reprotect_by_sharer(page));
}
