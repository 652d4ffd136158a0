// shmdt of a sealed segment by int 0x80, with and without garbage in the upper halves.
#include "tests/attacks/int80.h"
#include "tests/attacks/segment.h"

using namespace libmseal::tests;

int main() {
  need_int80();
  constexpr std::uint32_t kShmdt = 398;
  const Victim first = attached_at(0x2000'0000);
  const Victim second = attached_at(0x2100'0000);
  const int held = conclude(first, "shmdt", int80(kShmdt, 0x2000'0000, 0, 0, 0, 0));
  return worse_of(held, conclude(second, "shmdt with garbage", int80_garbage(kShmdt, 0x2100'0000)));
}
