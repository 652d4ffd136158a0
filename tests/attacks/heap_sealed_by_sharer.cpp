// As sealed_by_sharer, with a page of the heap, which only filters protect from brk.
#include "tests/attacks/heap.h"
#include "tests/attacks/sharer.h"

using namespace libmseal::tests;

int main() {
  (void)Victim::page();
  const std::uint64_t start = grow_heap(8);
  char* const page = reinterpret_cast<char*>(start + 6 * kPage);
  std::memset(page, 'v', kPage);
  if (const long sealed = seal_by_sharer(page); sealed != 0) return nothing_promised(sealed);
  const Victim victim = Victim::sealed_already(page, kPage);
  return conclude(victim, "brk by the parent", raw_syscall(__NR_brk, start));
}
