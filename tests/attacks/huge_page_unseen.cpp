// Maps a file of huge pages over the victim while a tmpfs covers /proc, as if the file were not there. Root
// can.
#include <fcntl.h>
#include <sys/mount.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  constexpr std::uint64_t kTarget = 0x2000'0020'0000;
  const Victim victim = Victim::page(kTarget + 0x10'0000);
  char folder[] = "/tmp/libmseal-huge-XXXXXX";
  if (::mkdtemp(folder) == nullptr) cannot_try("a folder");
  const bool mounted = ::mount("none", folder, "hugetlbfs", 0, "pagesize=2M") == 0;
  const int file = mounted ? ::open((std::string(folder) + "/file").c_str(), O_RDWR | O_CREAT, 0600) : -1;
  if (mounted) ::umount2(folder, MNT_DETACH);
  ::rmdir(folder);
  if (file < 0 || ::mount("none", "/proc", "tmpfs", 0, nullptr) != 0) cannot_try("a file of huge pages");
  const long answer =
      raw_syscall(__NR_mmap, kTarget, kPage, PROT_READ, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, file, 0);
  ::umount2("/proc", MNT_DETACH);
  return conclude(victim, "mmap(MAP_FIXED) of a huge page file", answer);
}
