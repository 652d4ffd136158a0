// Moves a page and the beginning of a huge page in one call, as Linux 6.17 and later can: the huge page moves
// whole. This program was started with the personality of an old kernel, and, as root, hides how large huge
// pages are.
#include <sys/mount.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

constexpr std::uint64_t kHuge = 2 << 20;

char* make_page_and_huge_page() {
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE;
  auto* const huge = reinterpret_cast<char*>(0x2100'0020'0000);
  if (::mmap(huge, kHuge, PROT_READ | PROT_WRITE, kFlags | MAP_HUGETLB, -1, 0) != huge ||
      ::mmap(huge - kPage, kPage, PROT_READ | PROT_WRITE, kFlags, -1, 0) != huge - kPage)
    cannot_try("a huge page behind a page");
  return huge - kPage;
}

}  // namespace

int main() {
  constexpr std::uint64_t kTarget = 0x2000'0020'0000;
  const Victim victim = Victim::page(kTarget + 0x10'0000);
  if (::mount("none", "/proc", "tmpfs", 0, nullptr) != 0) cannot_try("mount");
  std::ofstream("/proc/meminfo") << "Hugepagesize: 4 kB\n";
  char* const pages = make_page_and_huge_page();
  ::umount2("/proc", MNT_DETACH);
  const long answer =
      raw_syscall(__NR_mremap, pages, 2 * kPage, 2 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, kTarget - kPage);
  return conclude(victim, "mremap of a page and a part of a huge page", answer);
}
