// The kernel makes a ring longer the more processors there may be. Here, as root can, a file says that there
// is one, and the victim is in the second page of a ring that takes two with sixteen.
#include <sys/mount.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  constexpr const char* kProcessors = "/sys/devices/system/cpu";
  if (::sysconf(_SC_NPROCESSORS_CONF) < 16) cannot_try("sixteen processors");
  if (::mount("none", kProcessors, "tmpfs", 0, nullptr) != 0) cannot_try("mount");
  std::ofstream(std::string(kProcessors) + "/possible") << "0\n";
  unsigned long ring = 0;
  if (raw_syscall(__NR_io_setup, 1, &ring) != 0) cannot_try("io_setup");
  if (::munmap(reinterpret_cast<char*>(ring) + kPage, kPage) != 0) cannot_try("munmap");
  const Victim victim = Victim::page(ring + kPage);
  const long answer = raw_syscall(__NR_io_destroy, ring);
  leave(conclude(victim, "io_destroy of a ring of two pages", answer));
}
