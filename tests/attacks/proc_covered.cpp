// Covers /proc while the supervisor looks for processes that have ended. It takes root.
#include <sys/mount.h>

#include "tests/attacks/programs.h"

using namespace libmseal::tests;

int main() {
  const Victim page = Victim::supervised_page();
  const auto change_page = [&] {
    return raw_syscall(__NR_mprotect, page.at(), page.size(), PROT_READ | PROT_WRITE | PROT_EXEC);
  };
  for (int count = 0; count < 150; ++count) {
    make_known();
    if (::mount("none", "/proc", "tmpfs", 0, nullptr) != 0) cannot_try("mount");
    (void)change_page();
    ::umount2("/proc", MNT_DETACH);
  }
  return conclude(page, "mprotect of the page", change_page());
}
