// A heap of more than a terabyte.
#pragma once

#include "tests/attacks/attack.h"

namespace libmseal::tests {

inline std::uint64_t present_break() {
  return static_cast<std::uint64_t>(raw_syscall(__NR_brk, 0));
}

// Where a page is that a heap of this size contains.
inline std::uint64_t page_beyond_terabyte(std::uint64_t start) {
  return (start + (1ULL << 40) + kPage) & -std::uint64_t{kPage};
}

inline void grow_heap_over(std::uint64_t page) {
  constexpr std::uint64_t kStep = 1ULL << 30;  // the kernel refuses to commit more at once than there is
  for (std::uint64_t end = present_break(); end < page + kPage;) {
    end += kStep;
    if (raw_syscall(__NR_brk, end) != static_cast<long>(end)) cannot_try("brk");
  }
}

// Seals the page, and takes the heap back to `start`.
inline int seal_and_shrink_heap(std::uint64_t at, std::uint64_t start) {
  char* const page = reinterpret_cast<char*>(at);
  const long sealed = seal(page, kPage);
  if (sealed != 0) return nothing_promised(sealed);
  const Victim victim = Victim::sealed_already(page, kPage);
  return conclude(victim, "brk", raw_syscall(__NR_brk, start));
}

}  // namespace libmseal::tests
