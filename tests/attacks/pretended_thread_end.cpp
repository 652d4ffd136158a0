// A madvise that began before the seal waits. A filter of the program answers ptrace with ESRCH, as if the
// thread that is to be stopped had ended; the supervisor, which starts later, inherits the filter.
#include "tests/attacks/stalled_discard.h"
#include "tests/support/filters.h"

using namespace libmseal::tests;

int main() {
  if (install_filter_for(__NR_ptrace, SECCOMP_RET_ERRNO | ESRCH) != 0) cannot_try("a filter");
  return discard_stalled(discard_by_madvise);
}
