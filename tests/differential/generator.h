// Random sequences of operations.
#pragma once

#include <cstdint>

#include "tests/differential/operation.h"

namespace libmseal::tests {

// What a sequence has more of than others. Each also has what all have: mmap, munmap, mprotect, madvise,
// mremap...
enum class Family : std::uint8_t {
  pages,     // nothing else
  huge,      // huge pages: anonymous ones, a file of them, parts of them
  rings,     // io_setup, io_destroy, and what becomes of the ring between
  segments,  // System V shared memory, also of another IPC namespace, and a file that looks like it
  i386,      // int 0x80 with garbage in the upper halves of the registers, around and below 4 GiB
  heap,      // brk over whatever is mapped in the heap
  stacks,    // MAP_GROWSDOWN and PROT_GROWSDOWN
  sharers,   // calls by processes that share the memory, and seals made while they do
  images,    // exec of other images, new namespaces, first threads that end
  limits,    // many children and few file descriptors, also for the supervisor
  mixed,     // of everything
};

// Without `i386` no call is made by int 0x80, which some machines do not have.
Sequence generate(Family family, std::uint64_t seed, int count, bool i386);

}  // namespace libmseal::tests
