// A heap of more than a terabyte: brk, which no filter judges in a program without the library, unmaps its
// end.
#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  constexpr std::uint64_t kStep = 1ULL << 30;  // the kernel refuses to commit more at once than there is
  const auto start = static_cast<std::uint64_t>(raw_syscall(__NR_brk, 0));
  std::uint64_t end = start;
  for (const std::uint64_t wanted = start + (1ULL << 40) + kStep; end < wanted; end += kStep) {
    if (raw_syscall(__NR_brk, end + kStep) != static_cast<long>(end + kStep)) cannot_try("brk");
  }
  char* const page = reinterpret_cast<char*>((end - kPage) & -kPage);
  std::memset(page, 'v', kPage);
  if (::mprotect(page, kPage, PROT_READ) != 0)
    cannot_try("mprotect before the seal");  // a mapping of its own
  const long sealed = seal(page, kPage);
  if (sealed != 0) return nothing_promised(sealed);
  const Victim victim = Victim::sealed_already(page, kPage);
  return conclude(victim, "brk", raw_syscall(__NR_brk, start));
}
