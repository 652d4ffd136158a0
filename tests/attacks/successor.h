// Seals what lies where this process's seals are about something else that is not there any more, and changes
// it in ways that what was there before does not need to be protected from.
#pragma once

#include "tests/attacks/segment.h"

namespace libmseal::tests {

inline int seal_and_detach_segment(std::uint64_t where) {
  char* const page = attach_new_segment(where);
  const long sealed = seal(page, kPage);
  if (sealed != 0) return nothing_promised(sealed);
  const Victim victim = Victim::sealed_already(page, kPage);
  return conclude(victim, "shmdt", raw_syscall(__NR_shmdt, page));
}

// A page that is not writable. It is moved there, because a new one could not be re-protected there.
inline int seal_and_discard(std::uint64_t where) {
  char* const source = map_at(0, kPage);
  std::memset(source, 'v', kPage);
  if (::mprotect(source, kPage, PROT_READ) != 0) cannot_try("mprotect before the seal");
  constexpr int kAtHint = MREMAP_MAYMOVE | MREMAP_DONTUNMAP;  // the kernel then takes the address for a hint
  const long moved = raw_syscall(__NR_mremap, source, kPage, kPage, kAtHint, where);
  if (moved != static_cast<long>(where)) cannot_try("mremap to the page");
  char* const page = reinterpret_cast<char*>(moved);
  const long sealed = seal(page, kPage);
  if (sealed != 0) return nothing_promised(sealed);
  const Victim victim = Victim::sealed_already(page, kPage);
  return conclude(victim, "madvise(MADV_DONTNEED)", raw_syscall(__NR_madvise, page, kPage, MADV_DONTNEED));
}

}  // namespace libmseal::tests
