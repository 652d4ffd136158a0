// mseal of a part of a huge page, and then the whole page is moved away. The kernel refuses such a seal.
#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  constexpr std::uint64_t kSize = 2 << 20;
  // Not accessible: there need not be a huge page to put there.
  const long at = raw_syscall(__NR_mmap, 0, kSize, PROT_NONE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE, -1, 0);
  if (libmseal::shim::failed(at)) cannot_try("mmap(MAP_HUGETLB)");
  char* const start = reinterpret_cast<char*>(at);
  const long sealed = seal(start + kSize / 2, 4096);
  if (sealed != 0) return nothing_promised(sealed);
  const Victim victim(start + kSize / 2, 4096);
  const long answer =
      raw_syscall(__NR_mremap, at, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, 0x2000'0020'0000);
  return conclude(victim, "mremap of the huge page", answer);
}
