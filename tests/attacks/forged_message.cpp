// A child tells the supervisor that a page is sealed by a filter, which is not there: the parent's own mseal
// must install one all the same.
#include "tests/attacks/heap.h"
#include "tests/attacks/programs.h"
#include "tests/attacks/sharer.h"

using namespace libmseal::tests;
using libmseal::policy::Control;

namespace {

long forge(Control::Kind kind, char* page) {
  const auto range = libmseal::policy::Range::of(reinterpret_cast<std::uint64_t>(page), kPage);
  const auto said = libmseal::policy::encode({kind, {range, true, 0}});
  return raw_syscall(libmseal::policy::kMsealNumber, said[0], said[1], said[2], said[3], said[4], said[5]);
}

char* g_page = nullptr;

int forge_in_same_memory(void*) {
  (void)forge(Control::Kind::prepare, g_page);
  (void)forge(Control::Kind::add_filtered, g_page);
  while (true) raw_syscall(__NR_exit, 0);
}

int seal_and_change(const char* name, char* page) {
  const long sealed = seal(page, kPage);
  if (sealed != 0) return nothing_promised(sealed);
  const Victim victim = Victim::sealed_already(page, kPage);
  return conclude(victim, name, raw_syscall(__NR_munmap, page, kPage));
}

}  // namespace

int main() {
  int worst = kHeld;
  for (const Control::Kind kind : {Control::Kind::add_filtered, Control::Kind::add_to_hull}) {
    char* const page = map_at(0, kPage);
    std::memset(page, 'v', kPage);
    const int child = ::fork();
    if (child == 0) {
      (void)forge(kind, page);
      ::_exit(0);
    }
    (void)outcome_of(child);
    worst = worse_of(worst, seal_and_change("munmap after a child's message", page));
  }
  // In the same memory, and of a page that brk could take.
  const std::uint64_t heap = grow_heap(2);
  g_page = reinterpret_cast<char*>(heap);
  std::memset(g_page, 'v', kPage);
  const int of_heap =
      ::clone(forge_in_same_memory, stack_top<0>(), CLONE_VM | CLONE_VFORK | SIGCHLD, nullptr);
  if (of_heap > 0) ::waitpid(of_heap, nullptr, 0);
  if (const long sealed = seal(g_page, kPage); sealed == 0) {
    const Victim victim = Victim::sealed_already(g_page, kPage);
    worst =
        worse_of(worst, conclude(victim, "brk after a vfork child's message", raw_syscall(__NR_brk, heap)));
  }
  g_page = map_at(0, kPage);
  std::memset(g_page, 'v', kPage);
  const int sharer = ::clone(forge_in_same_memory, stack_top<0>(), CLONE_VM | CLONE_VFORK | SIGCHLD, nullptr);
  if (sharer > 0) ::waitpid(sharer, nullptr, 0);
  return worse_of(worst, seal_and_change("munmap after a vfork child's message", g_page));
}
