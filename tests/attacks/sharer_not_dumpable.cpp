// clone with CLONE_VM, in a process whose memory can't be compared with any other: it is not dumpable, and
// its user is not root.
#include <grp.h>
#include <sys/prctl.h>

#include "tests/attacks/sharer.h"

using namespace libmseal::tests;

int main() {
  constexpr unsigned kNobody = 65534;
  const bool root = ::geteuid() == 0;
  if (root && (::setgroups(0, nullptr) != 0 || ::setresgid(kNobody, kNobody, kNobody) != 0 ||
               ::setresuid(kNobody, kNobody, kNobody) != 0))
    cannot_try("another user");
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  const auto run = [](void*) -> int { share(); };
  if (::clone(run, stack_top<0>(), CLONE_VM | SIGCHLD, nullptr) < 0) cannot_try("clone");
  return seal_beside_sharer();
}
