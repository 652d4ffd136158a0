// System V segments, for the attacks by shmat and shmdt.
#pragma once

#include <sys/ipc.h>
#include <sys/shm.h>

#include "tests/attacks/attack.h"

namespace libmseal::tests {

inline int new_segment(std::size_t size) {
  const int segment = ::shmget(IPC_PRIVATE, size, IPC_CREAT | 0600);
  if (segment < 0) cannot_try("shmget");
  return segment;
}

// A new segment of four pages, all 'v', which goes when it is detached. At `where`, or anywhere.
inline char* attach_new_segment(std::uint64_t where = 0) {
  const int segment = new_segment(4 * kPage);
  char* const at = static_cast<char*>(::shmat(segment, reinterpret_cast<void*>(where), 0));
  ::shmctl(segment, IPC_RMID, nullptr);
  if (at == reinterpret_cast<char*>(-1)) cannot_try("shmat");
  std::memset(at, 'v', 4 * kPage);
  return at;
}

// A sealed page in the middle of a new segment.
inline Victim attached_at(std::uint64_t where) {
  return {attach_new_segment(where) + kPage, kPage};
}

// Seals the page, and attaches a segment over it.
inline int replace_by_segment(char* page) {
  const long sealed = seal(page, kPage);
  if (sealed != 0) return nothing_promised(sealed);
  const Victim victim = Victim::sealed_already(page, kPage);
  const int segment = new_segment(kPage);
  const long answer = raw_syscall(__NR_shmat, segment, page, SHM_REMAP);
  ::shmctl(segment, IPC_RMID, nullptr);
  return conclude(victim, "shmat over it", answer);
}

}  // namespace libmseal::tests
