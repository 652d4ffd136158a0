// As huge_page_by_flag, with a file of huge pages: no flag of mmap shows that.
#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const Victim victim = Victim::page(0x2000'0020'0000 + 0x100000);
  const long file = raw_syscall(__NR_memfd_create, "huge", MFD_HUGETLB);
  if (libmseal::shim::failed(file)) return conclude(victim, "memfd_create(MFD_HUGETLB)", file);
  if (::ftruncate(static_cast<int>(file), 2 << 20) != 0) cannot_try("a memory file of huge pages");
  const long answer =
      raw_syscall(__NR_mmap, 0x2000'0020'0000, kPage, PROT_READ, MAP_PRIVATE | MAP_FIXED, file, 0);
  return conclude(victim, "mmap(MAP_FIXED) of a huge page file", answer);
}
