// A process that was alone with its memory, and has sealed something, makes another one that shares it and
// seals a page: the first one must not be able to change that.
#include "tests/attacks/sharer.h"

using namespace libmseal::tests;

int main() {
  (void)Victim::page();
  char* const page = map_at(0, kPage);
  std::memset(page, 'v', kPage);
  if (const long sealed = seal_by_sharer(page); sealed != 0) return nothing_promised(sealed);
  const Victim victim = Victim::sealed_already(page, kPage);
  return conclude(victim, "munmap by the parent", raw_syscall(__NR_munmap, page, kPage));
}
