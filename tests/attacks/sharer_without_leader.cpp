// A vfork child whose first thread has ended: a zombie without memory, and its other thread runs in ours.
#include "tests/attacks/sharer.h"

using namespace libmseal::tests;

namespace {

int leader(void*) {
  constexpr int kThread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
  (void)::clone([](void*) -> int { share(); }, stack_top<1>(), kThread, nullptr);
  while (true) raw_syscall(__NR_exit, 0);
}

}  // namespace

int main() {
  const int made = ::clone(leader, stack_top<0>(), CLONE_VM | CLONE_VFORK | SIGCHLD, nullptr);
  if (made < 0) cannot_try("vfork");
  const int outcome = seal_beside_sharer();
  ::waitpid(made, nullptr, 0);
  return outcome;
}
