// Forged messages about pages of the heap, which brk could unmap: a vfork child says that a filter protects
// one, and the process itself that the supervisor does, which is not notified of brk.
#include "tests/attacks/heap.h"
#include "tests/attacks/programs.h"
#include "tests/attacks/sharer.h"

using namespace libmseal::tests;
using libmseal::policy::Control;

namespace {

char* g_page = nullptr;

void forge_in_same_memory() {
  const auto child = [](void*) -> int {
    (void)forge(Control::Kind::add_filtered, g_page);
    while (true) raw_syscall(__NR_exit, 0);
  };
  const int made = ::clone(child, stack_top<0>(), CLONE_VM | CLONE_VFORK | SIGCHLD, nullptr);
  if (made < 0) cannot_try("vfork");
  ::waitpid(made, nullptr, 0);
}

int seal_and_shrink(const char* name, std::uint64_t start) {
  const long sealed = seal(g_page, kPage);
  if (sealed != 0) return nothing_promised(sealed);
  const Victim victim = Victim::sealed_already(g_page, kPage);
  return conclude(victim, name, raw_syscall(__NR_brk, start));
}

}  // namespace

int main() {
  const std::uint64_t start = grow_heap(2);
  g_page = reinterpret_cast<char*>(start);
  std::memset(g_page, 'v', kPage);
  const int child = ::fork();  // with no seal of the other's
  if (child == 0) {
    (void)forge(Control::Kind::add_supervised, g_page);
    leave(seal_and_shrink("brk after a message of its own", start));
  }
  const int outcome = outcome_of(child);
  forge_in_same_memory();
  return worse_of(outcome, seal_and_shrink("brk after a vfork child's message", start));
}
