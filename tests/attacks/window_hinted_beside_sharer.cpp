// The first seal fails beside a process that shares the memory, and leaves the first filter. That process
// does not have it. Then the program maps a page by a hint in the area where the filter seals everything, and
// seals it: the other process takes it away.
#include "tests/attacks/sharer.h"

using namespace libmseal::tests;

namespace {

// A page that nobody has sealed and that can't be unmapped, or null.
char* page_in_area() {
  constexpr std::uint64_t kTiB = std::uint64_t{1} << 40;
  for (std::uint64_t area = 65 * kTiB; area < 81 * kTiB; area += 2 * kTiB) {
    const std::uint64_t hint = area + kTiB / 4;
    const long at = raw_syscall(__NR_mmap, hint, kPage, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (libmseal::shim::failed(at)) continue;
    if (raw_syscall(__NR_munmap, at, kPage) == -EPERM) return reinterpret_cast<char*>(at);
  }
  return nullptr;
}

}  // namespace

int main() {
  const auto body = [](void*) -> int { share(); };
  const int sharer = ::clone(body, stack_top<0>(), CLONE_VM | SIGCHLD, nullptr);
  if (sharer < 0) cannot_try("clone");
  while (!g_sharer.runs) nap();
  (void)seal(map_at(0, kPage), kPage);
  char* const in_area = page_in_area();
  g_sharer.page = in_area != nullptr ? in_area : map_at(0, kPage);
  const long sealed = seal(g_sharer.page, kPage);
  if (sealed != 0) {
    g_sharer.sealed = true;
    return nothing_promised(sealed);
  }
  const Victim victim = Victim::sealed_already(g_sharer.page, kPage);
  g_sharer.sealed = true;
  (void)outcome_of(sharer);
  return conclude(victim, "munmap by the sharer", g_sharer.answer);
}
