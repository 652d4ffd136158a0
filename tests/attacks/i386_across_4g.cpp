// An i386 munmap that starts below 4 GiB and ends above.
#include "tests/attacks/attack.h"
#include "tests/attacks/int80.h"

using namespace libmseal::tests;

int main() {
  need_int80();
  const Victim victim = Victim::page(0x1'0000'0000);
  (void)map_at(0xFFFF'F000, kPage);
  return conclude(victim, "munmap by int 0x80", int80(91, 0xFFFF'F000, 2 * kPage, 0, 0, 0));
}
