// A vfork child that CLONE_PARENT makes a child of somebody else: none of this process's own children.
#include <thread>

#include "tests/attacks/sharer.h"

using namespace libmseal::tests;

int main() {
  const int child = ::fork();  // whose parent we are, to get the sharer for a child
  if (child != 0) {
    const int outcome = outcome_of(child);
    while (::waitpid(-1, nullptr, __WALL) > 0) {
    }
    return outcome;
  }
  std::thread waits([] {
    (void)::clone([](void*) -> int { share(); }, stack_top<0>(),
                  CLONE_VM | CLONE_VFORK | CLONE_PARENT | SIGCHLD, nullptr);
  });
  const int outcome = seal_beside_sharer();
  waits.join();
  leave(outcome);
}
