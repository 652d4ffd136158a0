// A vfork child makes the library's first call, and so gets its first filter: what its parent seals later
// must not rely on that filter.
#include "tests/attacks/segment.h"
#include "tests/attacks/sharer.h"

using namespace libmseal::tests;

namespace {

int unmap_born_sealed() {
  void* const born = ::mmap(nullptr, kPage, PROT_READ | PROT_SEAL, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (born == MAP_FAILED) return nothing_promised(-errno);
  const Victim victim = Victim::sealed_already(static_cast<char*>(born), kPage);
  return conclude(victim, "munmap of a mapping with PROT_SEAL", raw_syscall(__NR_munmap, born, kPage));
}

}  // namespace

int main() {
  g_sharer.page = map_at(0, 2 * kPage);
  std::memset(g_sharer.page, 'v', 2 * kPage);
  const auto body = [](void*) -> int {
    (void)seal(g_sharer.page, kPage);
    while (true) raw_syscall(__NR_exit, 0);
  };
  const int child = ::clone(body, stack_top<0>(), CLONE_VM | CLONE_VFORK | SIGCHLD, nullptr);
  if (child < 0) cannot_try("clone");
  (void)outcome_of(child);
  const int replaced = replace_by_segment(g_sharer.page + kPage);
  return worse_of(replaced, unmap_born_sealed());
}
