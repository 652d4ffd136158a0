// A program whose clock is its own and stands still, as one under faketime: mseal does not wait by it.
#include <ctime>

#include "tests/attacks/sharer.h"

using namespace libmseal::tests;

extern "C" int clock_gettime(clockid_t /*clock*/, timespec* now) {
  *now = {1000, 0};
  return 0;
}

int main() {
  const int child = ::clone([](void*) -> int { share(); }, stack_top<0>(), CLONE_VM | SIGCHLD, nullptr);
  if (child < 0) cannot_try("clone(CLONE_VM)");
  const int outcome = seal_beside_sharer();
  ::kill(child, SIGKILL);
  return outcome;
}
