// mmap MAP_FIXED of one page below the victim, as huge page: the kernel rounds the length up.
#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const Victim victim = Victim::page(0x2000'0020'0000 + 0x100000);
  const long answer = raw_syscall(__NR_mmap, 0x2000'0020'0000, kPage, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_HUGETLB, -1, 0);
  return conclude(victim, "mmap(MAP_FIXED|MAP_HUGETLB)", answer);
}
