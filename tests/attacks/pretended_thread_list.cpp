// A madvise that began before the seal waits. A filter of the program answers getdents64 with 0, as if the
// list of threads were empty; the supervisor, which starts later, inherits the filter.
#include "tests/attacks/stalled_discard.h"
#include "tests/support/filters.h"

using namespace libmseal::tests;

int main() {
  if (install_filter_for(__NR_getdents64, SECCOMP_RET_ERRNO | 0) != 0) cannot_try("a filter");
  return discard_stalled(discard_by_madvise);
}
