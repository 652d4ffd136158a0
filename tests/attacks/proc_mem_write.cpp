// A write through /proc/self/mem changes no mapping, and goes past the protection.
#include <fcntl.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const Victim victim = Victim::page();
  const int memory = ::open("/proc/self/mem", O_RDWR);
  if (memory < 0) return conclude(victim, "open of /proc/self/mem", -errno);
  const long answer = ::pwrite(memory, "x", 1, static_cast<off_t>(victim.address()));
  return conclude(victim, "write to /proc/self/mem", answer);
}
