// A child's child that this process adopts when the one between has ended: an honest double fork. Its seals
// are those of whom it was copied from.
#include <sys/prctl.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  char* const page = map_at(0, kPage);
  std::memset(page, 'v', kPage);
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  const int self = ::getpid();
  const int first = ::fork();
  if (first == 0) {
    const Victim victim(page, kPage);
    if (::fork() != 0) ::_exit(kHeld);
    while (::getppid() != self) ::usleep(1000);
    leave(conclude(victim, "munmap by the adopted", raw_syscall(__NR_munmap, page, kPage)));
  }
  const int outcome = outcome_of(first);
  return worse_of(outcome, outcome_of(-1));
}
