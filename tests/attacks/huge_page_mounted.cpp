// A file of huge pages from a file system of its own: neither a flag nor memfd_create shows it.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  constexpr std::uint64_t kTarget = 0x2000'0020'0000;
  const Victim victim = Victim::page(kTarget + 0x10'0000);
  char folder[] = "/tmp/libmseal-huge-XXXXXX";
  if (::mkdtemp(folder) == nullptr) cannot_try("a folder");
  const bool mounted = ::unshare(CLONE_NEWNS) == 0 &&
                       ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                       ::mount("none", folder, "hugetlbfs", 0, "pagesize=2M") == 0;
  const int file = mounted ? ::open((std::string(folder) + "/file").c_str(), O_RDWR | O_CREAT, 0600) : -1;
  const int error = errno;
  if (mounted) ::umount2(folder, MNT_DETACH);
  ::rmdir(folder);
  errno = error;
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
