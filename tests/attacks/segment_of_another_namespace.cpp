// shmat with SHM_REMAP in an IPC namespace of one's own, where the same number means a larger segment.
#include <sched.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#include "tests/attacks/attack.h"

using namespace libmseal::tests;

namespace {

constexpr std::uint64_t kTarget = 0x2000'0000'0000;
constexpr int kIndexBits = 15;  // of an id; the rest counts how often its index was used

// A segment with this id, in a namespace that has none yet.
bool make_segment(int id, std::size_t size) {
  const int index = id & ((1 << kIndexBits) - 1);
  for (int filler = 0; filler < index; ++filler) {
    if (::shmget(IPC_PRIVATE, kPage, IPC_CREAT | 0600) < 0) return false;
  }
  for (int attempt = 0; attempt < 1 << 23; ++attempt) {
    const int made = ::shmget(IPC_PRIVATE, size, IPC_CREAT | 0600);
    if (made < 0 || made == id) return made == id;
    ::shmctl(made, IPC_RMID, nullptr);
  }
  return false;
}

}  // namespace

int main() {
  const Victim victim = Victim::page(kTarget + 4 * kPage);
  const int small = ::shmget(IPC_PRIVATE, kPage, IPC_CREAT | 0600);
  if (small < 0) cannot_try("shmget");
  const int child = ::fork();
  if (child == 0) {
    const bool alone = ::unshare(CLONE_NEWIPC) == 0 || ::unshare(CLONE_NEWUSER | CLONE_NEWIPC) == 0;
    if (!alone) cannot_try("unshare");
    if (!make_segment(small, 16 * kPage)) cannot_try("the same segment in another namespace");
    const int outcome =
        conclude(victim, "shmat(SHM_REMAP)", raw_syscall(__NR_shmat, small, kTarget, SHM_REMAP));
    leave(outcome);
  }
  const int outcome = outcome_of(child);
  ::shmctl(small, IPC_RMID, nullptr);
  return outcome;
}
