// shmat with SHM_REMAP puts a whole segment over whatever is there.
#include <sys/ipc.h>
#include <sys/shm.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const Victim victim = Victim::page(0x2000'0000'4000);
  const int segment = ::shmget(IPC_PRIVATE, 16 * kPage, IPC_CREAT | 0600);
  if (segment < 0) cannot_try("shmget");
  const long answer = raw_syscall(__NR_shmat, segment, 0x2000'0000'0000, SHM_REMAP);
  ::shmctl(segment, IPC_RMID, nullptr);
  return conclude(victim, "shmat(SHM_REMAP)", answer);
}
