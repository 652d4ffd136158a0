// A segment of huge pages with the ID 0, the first one of an IPC namespace. /proc shows the ID as the inode
// number, so the mapping looks as if it had no file. mremap that makes it smaller unmaps whole huge pages,
// and a part of one can't be sealed.
#include <sys/ipc.h>
#include <sys/shm.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

constexpr std::size_t kHugePage = 2 << 20;

}  // namespace

int main() {
  constexpr std::uint64_t kSource = 0x2000'0100'0000;
  const int segment = ::shmget(IPC_PRIVATE, kHugePage, SHM_HUGETLB | SHM_NORESERVE | IPC_CREAT | 0600);
  if (segment < 0) cannot_try("shmget(SHM_HUGETLB)");
  if (segment != 0) {
    std::printf("the segment has the ID %d\n", segment);
    return kCannotTry;
  }
  if (::shmat(segment, reinterpret_cast<void*>(kSource), 0) == reinterpret_cast<void*>(-1))
    cannot_try("shmat");
  const Victim victim = Victim::page(kSource + kHugePage + kHugePage / 2);
  const long part = seal(reinterpret_cast<void*>(kSource + kPage), kPage);
  if (part != -EINVAL) std::printf("mseal of a part of a huge page gave %ld\n", part);
  const long shrunk = raw_syscall(__NR_mremap, kSource, kHugePage + kPage, kHugePage, 0, 0);
  const int outcome = conclude(victim, "mremap", shrunk);
  return outcome == kHeld && part != -EINVAL ? kBroken : outcome;
}
