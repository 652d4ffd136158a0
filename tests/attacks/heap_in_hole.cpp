// The heap of a fork grows over a hole: its parent has sealed a page above its own heap there, and does not
// let forks inherit it. What the fork seals in its heap, brk unmaps.
#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

long set_break(std::uint64_t to) {
  return raw_syscall(__NR_brk, to);
}

int seal_in_heap(std::uint64_t start, char* page) {
  const std::uint64_t end = reinterpret_cast<std::uint64_t>(page) + kPage;
  if (set_break(end) != static_cast<long>(end)) cannot_try("brk");
  std::memset(page, 'v', kPage);
  const long sealed = seal(page, kPage);
  if (sealed != 0) return nothing_promised(sealed);
  const Victim victim = Victim::sealed_already(page, kPage);
  return conclude(victim, "brk", set_break(start));
}

}  // namespace

int main() {
  const auto start = static_cast<std::uint64_t>(set_break(0));
  const std::uint64_t above = (start + 4 * kPage) & -kPage;
  char* const page = map_at(above, kPage);
  if (const long sealed = seal(page, kPage); sealed != 0) return nothing_promised(sealed);
  if (raw_syscall(__NR_madvise, page, kPage, MADV_DONTFORK) != 0) cannot_try("madvise");
  const int child = ::fork();
  if (child == 0) leave(seal_in_heap(start, page));
  return outcome_of(child);
}
