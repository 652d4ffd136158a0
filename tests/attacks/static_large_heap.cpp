// brk, which no filter judges in a program without the library, unmaps the end of a heap of more than a
// terabyte.
#include "tests/attacks/large_heap.h"

using namespace libmseal::tests;

int main() {
  const std::uint64_t start = present_break();
  const std::uint64_t page = page_beyond_terabyte(start);
  grow_heap_over(page);
  std::memset(reinterpret_cast<char*>(page), 'v', kPage);
  // Then it is a mapping of its own.
  if (::mprotect(reinterpret_cast<char*>(page), kPage, PROT_READ) != 0)
    cannot_try("mprotect before the seal");
  return seal_and_shrink_heap(page, start);
}
