// shmdt unmaps a sealed segment.
#include <sys/ipc.h>
#include <sys/shm.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  const int segment = ::shmget(IPC_PRIVATE, 4 * kPage, IPC_CREAT | 0600);
  if (segment < 0) cannot_try("shmget");
  char* const at = static_cast<char*>(::shmat(segment, nullptr, 0));
  ::shmctl(segment, IPC_RMID, nullptr);
  std::memset(at, 'v', 4 * kPage);
  const Victim victim(at + kPage, kPage);
  return conclude(victim, "shmdt", raw_syscall(__NR_shmdt, at));
}
