// An aio ring of several pages.
#pragma once

#include "tests/attacks/attack.h"

namespace libmseal::tests {

// The kernel makes it longer than it was asked to.
inline libmseal::policy::Range new_ring() {
  unsigned long context = 0;
  const auto events = static_cast<long>(kPage / 32);
  if (raw_syscall(__NR_io_setup, events, &context) != 0) cannot_try("io_setup");
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const auto vma = libmseal::policy::parse_maps_line(line);
    if (vma && vma->range.start == context && vma->range.size() > kPage) return vma->range;
  }
  errno = ENOENT;
  cannot_try("a ring of several pages");
}

}  // namespace libmseal::tests
