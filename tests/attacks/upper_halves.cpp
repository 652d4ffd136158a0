// Garbage in the halves of registers that the kernel does not read.
#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const Victim victim = Victim::page();
  constexpr long kGarbage = 0x7BADL << 32;
  long answer = raw_syscall(__NR_madvise, victim.at(), victim.size(), MADV_DONTNEED | kGarbage);
  if (answer == -EPERM) {
    answer = raw_syscall(__NR_mmap, victim.at(), victim.size(), PROT_READ,
                         (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED) | kGarbage, -1, 0);
  }
  if (answer == -EPERM) answer = raw_syscall(__NR_munmap | kGarbage, victim.at(), victim.size());
  return conclude(victim, "madvise, mmap and munmap", answer);
}
