// A vfork child makes another in the same memory, and is killed: the grandchild lives on here, and is
// nobody's child.
#include "tests/attacks/sharer.h"

using namespace libmseal::tests;

namespace {

volatile long g_child = 0;

int grandchild(void*) {
  raw_syscall(__NR_kill, g_child, SIGKILL);
  nap();
  share();
}

int child(void*) {
  g_child = raw_syscall(__NR_getpid);
  (void)::clone(grandchild, stack_top<1>(), CLONE_VM | CLONE_VFORK | SIGCHLD, nullptr);
  while (true) raw_syscall(__NR_exit, 0);
}

}  // namespace

int main() {
  const int made = ::clone(child, stack_top<0>(), CLONE_VM | CLONE_VFORK | SIGCHLD, nullptr);
  if (made < 0) cannot_try("vfork");
  ::waitpid(made, nullptr, 0);
  return seal_beside_sharer();
}
