// A program that replaces clock_gettime by a clock that stands still, as faketime can: mseal must not wait by
// it for ever.
#include <ctime>

#include "tests/attacks/sharer.h"

using namespace libmseal::tests;

extern "C" int clock_gettime(clockid_t /*clock*/, timespec* now) {
  *now = {1000, 0};
  return 0;
}

namespace {

int attack() {
  const int child = ::clone([](void*) -> int { share(); }, stack_top<0>(), CLONE_VM | SIGCHLD, nullptr);
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
  for (int moments = 0; moments < 30'000; ++moments) {  // with no clock to look at
    if (::waitid(P_PID, static_cast<id_t>(attacker), &end, WEXITED | WNOHANG | WNOWAIT) == 0 &&
        end.si_pid == attacker)
      return outcome_of(attacker);
    nap();
  }
  ::kill(attacker, SIGKILL);
  std::puts("mseal does not end");
  return kBroken;
}
