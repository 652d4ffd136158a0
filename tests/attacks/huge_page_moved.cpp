// mremap of one page of a mapping of huge pages: both sizes are rounded up to the huge page, so what comes
// after the target goes too. Such a mapping needs neither rights nor huge pages.
#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  constexpr std::uint64_t kTarget = 0x2000'0020'0000;
  const Victim victim = Victim::page(kTarget + 0x10'0000);
  const long source = raw_syscall(__NR_mmap, 0, 2 << 20, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);
  if (libmseal::shim::failed(source)) return conclude(victim, "mmap(MAP_HUGETLB)", source);
  const long answer = raw_syscall(__NR_mremap, source, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, kTarget);
  return conclude(victim, "mremap of a part of a huge page", answer);
}
