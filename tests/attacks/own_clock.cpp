// A program that replaces clock_gettime by a clock that stands still, as faketime can: mseal must not wait by
// it for ever.
#include <sys/prctl.h>

#include <ctime>

#include "tests/attacks/sharer.h"

using namespace libmseal::tests;

extern "C" int clock_gettime(clockid_t /*clock*/, timespec* now) {
  *now = {1000, 0};
  return 0;
}

namespace {

int attack() {
  const auto body = [](void*) -> int {
    raw_syscall(__NR_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    share();
  };
  const int child = ::clone(body, stack_top<0>(), CLONE_VM | SIGCHLD, nullptr);
  if (child < 0) cannot_try("clone(CLONE_VM)");
  const int outcome = seal_beside_sharer();
  ::kill(child, SIGKILL);
  return outcome;
}

}  // namespace

int main() {
  const int attacker = ::fork();
  if (attacker == 0) leave(attack());
  siginfo_t end{};
  for (int looks = 0; looks < 1000; ++looks) {  // with no clock to look at
    if (::waitid(P_PID, static_cast<id_t>(attacker), &end, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        end.si_pid == attacker)
      return outcome_of(attacker);
    libmseal::shim::nap(20'000'000);
  }
  ::kill(attacker, SIGKILL);
  std::puts("mseal does not end");
  return kBroken;
}
