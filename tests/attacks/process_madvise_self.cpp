// process_madvise on oneself, with the range behind a pointer.
#include <sys/uio.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const Victim victim = Victim::page();
  const long self = raw_syscall(__NR_pidfd_open, ::getpid(), 0);
  iovec range{victim.at(), victim.size()};
  return conclude(victim, "process_madvise(DONTNEED)",
                  raw_syscall(__NR_process_madvise, self, &range, 1, MADV_DONTNEED, 0));
}
