// shmat with SHM_REMAP puts a whole segment over whatever is there.
#include "tests/attacks/segment.h"

using namespace libmseal::tests;

int main() {
  const Victim victim = Victim::page(0x2000'0000'4000);
  const int segment = new_segment(16 * kPage);
  const long answer = raw_syscall(__NR_shmat, segment, 0x2000'0000'0000, SHM_REMAP);
  ::shmctl(segment, IPC_RMID, nullptr);
  return conclude(victim, "shmat(SHM_REMAP)", answer);
}
