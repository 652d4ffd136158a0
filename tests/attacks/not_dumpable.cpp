// PR_SET_DUMPABLE 0 hides the memory of a process from the supervisor of an ordinary user: of a process that
// the supervisor knows, and of a child that it has not met yet.
#include <sys/prctl.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

int change_hidden(const Victim& page) {
  const long answer = raw_syscall(__NR_mprotect, page.at(), page.size(), PROT_READ | PROT_WRITE | PROT_EXEC);
  ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  return conclude(page, "mprotect", answer);
}

}  // namespace

int main() {
  const Victim page = Victim::supervised_page();
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  const int child = ::fork();
  if (child == 0) leave(change_hidden(page));
  const int outcome = outcome_of(child);
  return worse_of(outcome, change_hidden(page));
}
