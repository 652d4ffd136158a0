// Maps a file of huge pages over the victim while a tmpfs covers /proc, so that the descriptor can't be
// looked up. It takes root.
#include "tests/attacks/huge_page_file.h"

using namespace libmseal::tests;

int main() {
  constexpr std::uint64_t kTarget = 0x2000'0020'0000;
  const Victim victim = Victim::page(kTarget + 0x10'0000);
  const int file = huge_page_file();
  if (file < 0 || ::mount("none", "/proc", "tmpfs", 0, nullptr) != 0) cannot_try("a file of huge pages");
  const long answer =
      raw_syscall(__NR_mmap, kTarget, kPage, PROT_READ, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, file, 0);
  ::umount2("/proc", MNT_DETACH);
  return conclude(victim, "mmap(MAP_FIXED) of a huge page file", answer);
}
