// shmat with SHM_REMAP of a segment of huge pages: its size, as IPC_STAT tells it, is not rounded up.
#include <sys/ipc.h>
#include <sys/shm.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

int main() {
  constexpr std::uint64_t kTarget = 0x2000'0020'0000;
  const Victim victim = Victim::page(kTarget + 0x10'0000);
  const long segment =
      raw_syscall(__NR_shmget, IPC_PRIVATE, 4096, IPC_CREAT | SHM_HUGETLB | SHM_NORESERVE | 0600);
  if (libmseal::shim::failed(segment)) {
    if (segment != -ENOSYS) {
      errno = static_cast<int>(-segment);
      cannot_try("shmget(SHM_HUGETLB)");
    }
    return conclude(victim, "shmget(SHM_HUGETLB)", segment);
  }
  const long answer = raw_syscall(__NR_shmat, segment, kTarget, SHM_REMAP);
  ::shmctl(static_cast<int>(segment), IPC_RMID, nullptr);
  return conclude(victim, "shmat(SHM_REMAP) of huge pages", answer);
}
