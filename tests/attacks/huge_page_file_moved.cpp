// As huge_page_moved, from a file of huge pages: no flag of mmap shows that.
#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  constexpr std::uint64_t kTarget = 0x2000'0020'0000;
  const Victim victim = Victim::page(kTarget + 0x10'0000);
  const long file = raw_syscall(__NR_memfd_create, "huge", MFD_HUGETLB);
  if (libmseal::shim::failed(file)) return conclude(victim, "memfd_create(MFD_HUGETLB)", file);
  if (::ftruncate(static_cast<int>(file), 2 << 20) != 0) cannot_try("ftruncate");
  const long source =
      raw_syscall(__NR_mmap, 0, 2 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file, 0);
  if (libmseal::shim::failed(source)) return conclude(victim, "mmap of a huge page file", source);
  const long answer = raw_syscall(__NR_mremap, source, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, kTarget);
  return conclude(victim, "mremap of a part of a huge page", answer);
}
