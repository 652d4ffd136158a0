// CLONE_PARENT makes a child of one process look like another's: it inherits the seals of the process that
// called clone, not those of its parent in /proc.
#include <sched.h>

#include <csignal>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  char* const page = map_at(0, kPage);
  std::memset(page, 'v', kPage);
  const int first = ::fork();
  if (first == 0) {
    const Victim victim(page, kPage);
    if (raw_syscall(__NR_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0) == 0) {
      leave(conclude(victim, "munmap by the copy", raw_syscall(__NR_munmap, page, kPage)));
    }
    ::usleep(100'000);
    leave(conclude(victim, "munmap by the first", raw_syscall(__NR_munmap, page, kPage)));
  }
  const int outcome = outcome_of(first);
  return worse_of(outcome, outcome_of(-1));
}
