// Root makes a process that shares the memory, and becomes an ordinary user, whose supervisor may not look
// into that process.
#include <grp.h>
#include <sys/prctl.h>

#include "tests/attacks/sharer.h"

using namespace libmseal::tests;

int main() {
  const auto body = [](void*) -> int { share(); };
  if (::clone(body, stack_top<0>(), CLONE_VM | SIGCHLD, nullptr) < 0) cannot_try("clone");
  constexpr unsigned kNobody = 65534;
  const bool changed = ::setgroups(0, nullptr) == 0 && ::setresgid(kNobody, kNobody, kNobody) == 0 &&
                       ::setresuid(kNobody, kNobody, kNobody) == 0;
  const int error = errno;
  (void)::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);  // else the supervisor could look into neither
  const int outcome = seal_beside_sharer();    // also ends the sharer
  errno = error;
  if (!changed) cannot_try("root, to become another user");
  return outcome;
}
