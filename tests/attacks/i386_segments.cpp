// SysV shared memory by int 0x80: through ipc and directly, with garbage in the upper halves.
#include "tests/attacks/int80.h"
#include "tests/attacks/segment.h"

using namespace libmseal::tests;

namespace {

constexpr std::uint32_t kIpc = 117, kIpcShmat = 21, kIpcShmdt = 22, kShmat = 397;

}  // namespace

int main() {
  need_int80();
  int worst = kHeld;
  const auto tell = [&](const Victim& victim, const char* name, long answer) {
    worst = worse_of(conclude(victim, name, answer), worst);
  };
  const Victim detached[] = {attached_at(0x2000'0000), attached_at(0x2100'0000)};
  tell(detached[0], "ipc(SHMDT)", int80(kIpc, kIpcShmdt, 0, 0, 0, 0x2000'0000));
  tell(detached[1], "ipc(SHMDT) with garbage", int80_garbage(kIpc, kIpcShmdt, 0, 0, 0, 0x2100'0000));

  const auto over = [&](std::uint64_t where) { return Victim::page(where + 2 * kPage); };
  const auto segment = static_cast<std::uint32_t>(new_segment(4 * kPage));
  constexpr std::uint32_t kAnswerAt = 0x2800'0000;
  (void)map_at(kAnswerAt, kPage);
  const Victim covered[] = {over(0x2400'0000), over(0x2500'0000), over(0x2600'0000), over(0x2700'0000)};
  tell(covered[0], "ipc(SHMAT)", int80(kIpc, kIpcShmat, segment, SHM_REMAP, kAnswerAt, 0x2400'0000));
  tell(covered[1], "ipc(SHMAT) with garbage",
       int80_garbage(kIpc, kIpcShmat, segment, SHM_REMAP, kAnswerAt, 0x2500'0000));
  tell(covered[2], "shmat", int80(kShmat, segment, 0x2600'0000, SHM_REMAP, 0, 0));
  tell(covered[3], "shmat with garbage", int80_garbage(kShmat, segment, 0x2700'0000, SHM_REMAP));
  ::shmctl(static_cast<int>(segment), IPC_RMID, nullptr);
  return worst;
}
