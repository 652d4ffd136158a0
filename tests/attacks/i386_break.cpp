// brk by int 0x80, with and without garbage in the upper half. Linked to a fixed address, so that the heap
// lies below 4 GiB.
#include "tests/attacks/attack.h"
#include "tests/attacks/int80.h"

using namespace libmseal::tests;

int main() {
  need_int80();
  constexpr std::uint32_t kBrk = 45;
  const auto old = static_cast<std::uint64_t>(raw_syscall(__NR_brk, 0));
  const std::uint64_t start = (old + kPage - 1) & -kPage;
  const std::uint64_t end = start + 4 * kPage;
  if (end >> 32 != 0) cannot_try("the heap lies above 4 GiB");
  if (static_cast<std::uint64_t>(raw_syscall(__NR_brk, end)) != end) cannot_try("brk");
  std::memset(reinterpret_cast<char*>(start), 'v', 4 * kPage);
  const Victim victim(reinterpret_cast<char*>(start + 2 * kPage), kPage);
  const int plain =
      conclude(victim, "brk by int 0x80", int80(kBrk, static_cast<std::uint32_t>(start), 0, 0, 0, 0));
  return worse_of(plain, conclude(victim, "the same with garbage", int80_garbage(kBrk, start)));
}
