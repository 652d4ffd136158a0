// The same of a page of the heap, which brk could take, by a vfork child.
#include "tests/attacks/heap.h"
#include "tests/attacks/programs.h"
#include "tests/attacks/sharer.h"

using namespace libmseal::tests;

int main() {
  const std::uint64_t start = grow_heap(2);
  static char* page = reinterpret_cast<char*>(start);
  std::memset(page, 'v', kPage);
  const auto child = [](void*) -> int {
    (void)forge(libmseal::policy::Control::Kind::add_filtered, page);
    while (true) raw_syscall(__NR_exit, 0);
  };
  const int made = ::clone(child, stack_top<0>(), CLONE_VM | CLONE_VFORK | SIGCHLD, nullptr);
  if (made < 0) cannot_try("vfork");
  ::waitpid(made, nullptr, 0);
  const long sealed = seal(page, kPage);
  if (sealed != 0) return nothing_promised(sealed);
  const Victim victim = Victim::sealed_already(page, kPage);
  return conclude(victim, "brk", raw_syscall(__NR_brk, start));
}
