// Maps a file of huge pages over the victim, and moves parts of it there.
#include "tests/attacks/huge_page_file.h"

#include <sched.h>

using namespace libmseal::tests;

int main() {
  constexpr std::uint64_t kTarget = 0x2000'0020'0000;
  const Victim victim = Victim::page(kTarget + 0x10'0000);
  const bool apart =
      ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  if (!apart) cannot_try("unshare");
  const int file = huge_page_file();
  if (file < 0 || ::ftruncate(file, 2 << 20) != 0) cannot_try("a file of huge pages");
  const long by_mmap =
      raw_syscall(__NR_mmap, kTarget, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, file, 0);
  const int held = conclude(victim, "mmap(MAP_FIXED) of a huge page file", by_mmap);
  const long source = raw_syscall(__NR_mmap, 0, 2 << 20, PROT_READ, MAP_PRIVATE | MAP_NORESERVE, file, 0);
  if (libmseal::shim::failed(source)) return worse_of(held, conclude(victim, "mmap", source));
  const long part = raw_syscall(__NR_mremap, source, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, kTarget);
  const int part_held = worse_of(held, conclude(victim, "mremap of a part of a huge page", part));
  // Behind an ordinary page: since Linux 6.17 both move at once.
  constexpr std::uint64_t kSource = 0x2000'0080'0000;
  (void)map_at(kSource - kPage, kPage);
  const long placed = raw_syscall(__NR_mmap, kSource, 2 << 20, PROT_READ,
                                  MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED_NOREPLACE, file, 0);
  if (libmseal::shim::failed(placed)) return worse_of(part_held, conclude(victim, "mmap", placed));
  const long both = raw_syscall(__NR_mremap, kSource - kPage, 2 * kPage, 2 * kPage,
                                MREMAP_MAYMOVE | MREMAP_FIXED, kTarget - kPage);
  return worse_of(part_held, conclude(victim, "mremap of two mappings", both));
}
