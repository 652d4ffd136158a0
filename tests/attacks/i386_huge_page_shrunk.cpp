// mremap by int 0x80 that makes a mapping of huge pages smaller, with an old size that ends in the small
// pages behind it: the kernel unmaps up to the end of a huge page (mm/mremap.c, align_hugetlb and
// shrink_vma).
#include "tests/attacks/int80.h"

using namespace libmseal::tests;

int main() {
  need_int80();
  constexpr std::uint32_t kMremap = 163;
  constexpr std::uint32_t kHugePage = 2 << 20;
  constexpr std::uint32_t kPlace = 0x6000'0000;
  const Victim victim = Victim::page(kPlace + kHugePage + kHugePage / 2);
  const long mapped =
      raw_syscall(__NR_mmap, kPlace, kHugePage, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_NORESERVE | MAP_FIXED, -1, 0);
  if (libmseal::shim::failed(mapped)) return conclude(victim, "mmap(MAP_HUGETLB)", mapped);
  return conclude(victim, "mremap by int 0x80", int80(kMremap, kPlace, kHugePage + kPage, kHugePage, 0, 0));
}
