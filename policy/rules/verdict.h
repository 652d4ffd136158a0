// The rules of sealing: whether a call may run.
#pragma once

#include <cstdint>
#include <span>

#include "policy/rules/mm_call.h"
#include "policy/rules/seal.h"

namespace libmseal::policy {

enum class Verdict : std::uint8_t {
  allow,             // the kernel may run the call
  refuse,            // fails with EPERM, nothing is changed
  answer_zero,       // returns 0 and is not run
  depends_on_file,   // to be refused if the file that it maps is on hugetlbfs
  depends_on_source  // to be refused if the source of mremap contains huge pages
};

// What a verdict needs to know about a process. Nothing in it can become weaker later.
struct SealedMemory {
  std::span<const Seal> seals;  // sorted, disjoint
  // The largest huge page that the tree may have created, in bytes; 0: none. It matters for mremap, which can
  // move several mappings at once since 6.17.
  std::uint64_t huge_page = 0;
};

// The arguments of brk that would unmap one of the seals; empty: none would. `floor` is the lowest break that
// the kernel accepts, mm->start_brk (mm/mmap.c, brk; not so with CONFIG_COMPAT_BRK), `present` the current
// one. A mapping above that is safe: the break does not grow over a mapping (mm/mmap.c, do_brk).
Range refused_breaks(std::span<const Seal> seals, std::uint64_t floor, std::uint64_t present,
                     std::uint64_t page_size);

// The verdict on a call of a process with these seals.
//
// Follows mseal(2) as merged: a call that overlaps a seal is refused as a whole; a discarding madvise is
// refused only where the contents are protected (private, not writable). shmdt of a sealed segment answers 0
// and keeps it, as the kernel does. An unjudgeable call is refused as soon as anything is sealed. brk is
// decided by filters, not here.
Verdict decide(const MmCall& call, const SealedMemory& memory);

}  // namespace libmseal::policy
