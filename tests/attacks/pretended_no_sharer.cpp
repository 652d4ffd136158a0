// A process shares the memory. A filter of the program answers kcmp with ESRCH, as if that process had ended;
// the supervisor, which starts later, inherits the filter.
#include "tests/attacks/sharer.h"
#include "tests/support/filters.h"

using namespace libmseal::tests;

int main() {
  if (install_filter_for(__NR_kcmp, SECCOMP_RET_ERRNO | ESRCH) != 0) cannot_try("a filter");
  const auto body = [](void*) -> int { share(); };
  if (::clone(body, stack_top<0>(), CLONE_VM | SIGCHLD, nullptr) < 0) cannot_try("clone");
  return seal_beside_sharer();
}
