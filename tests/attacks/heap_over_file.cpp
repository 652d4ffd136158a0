// brk frees whatever lies below the break: also a sealed file mapping there, which is no heap.
#include "tests/attacks/heap.h"

using namespace libmseal::tests;

int main() {
  const std::uint64_t start = grow_heap(8);
  const int file = ::memfd_create("file", 0);
  if (file < 0 || ::ftruncate(file, static_cast<off_t>(kPage)) != 0) cannot_try("memfd_create");
  char* const at = reinterpret_cast<char*>(start + 4 * kPage);
  if (::mmap(at, kPage, PROT_READ, MAP_SHARED | MAP_FIXED, file, 0) != at) cannot_try("mmap");
  const Victim victim(at, kPage);
  return conclude(victim, "brk", raw_syscall(__NR_brk, start));
}
